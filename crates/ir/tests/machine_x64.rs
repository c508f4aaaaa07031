//! x64 machine ops against the processor this runs on, bit for bit.
//!
//! Ops whose feature is missing here are counted and named. `EGRAFT_MACHINE_ROUNDS=N` compares N
//! times as many operand tuples.

#![cfg(target_arch = "x86_64")]

#[path = "support/machine.rs"]
mod common;
mod support;

use common::{Batch, Tuple, batches, difference, rounds};
use egraft_ir::machine::{Feature, Kind, MachineOp, Target};
use iced_x86::{
    Code, Encoder, EncodingKind, Formatter, Instruction, IntelFormatter, MemoryOperand, OpKind,
    Register,
};
use std::collections::{BTreeMap, HashMap};

/// Operand tuples for each op, shared out to its immediates.
const TUPLES: usize = 7_000;
/// What a round must compare in all.
const LEAST_TOTAL: usize = 1_000_000;

/// Bytes from one tuple to the next.
const STRIDE: i64 = size_of::<Tuple>() as i64;

/// A register as [`MachineOp::assembly`] counts them.
fn register(kind: Kind, number: usize) -> Register {
    let number = number as u32;
    match kind {
        Kind::Vector => Register::XMM0 + number,
        Kind::Gpr32 => Register::R8D + number,
        Kind::Gpr64 => Register::R8 + number,
    }
}

/// The register of operand `index`.
fn source(op: MachineOp, index: usize) -> Register {
    register(op.args()[index], index + usize::from(!op.is_tied()))
}

fn needs_evex(op: MachineOp) -> bool {
    !matches!(op.feature(), Feature::Avx | Feature::Avx2)
}

/// Instructions by their mnemonic.
fn codes() -> HashMap<String, Vec<Code>> {
    let mut codes: HashMap<String, Vec<Code>> = HashMap::new();
    for code in Code::values() {
        let encoding = code.op_code().encoding();
        if matches!(encoding, EncodingKind::VEX | EncodingKind::EVEX) {
            codes.entry(format!("{:?}", code.mnemonic()).to_lowercase()).or_default().push(code);
        }
    }
    codes
}

/// `op` as an instruction: the one of its mnemonic that takes its operands.
fn instruction(codes: &HashMap<String, Vec<Code>>, op: MachineOp, imm: u32) -> Instruction {
    let mut registers = vec![register(op.result(), 0)];
    registers.extend((usize::from(op.is_tied())..op.args().len()).map(|index| source(op, index)));
    let has_imm = op.imm_range().is_some();
    let operands = registers.len() + usize::from(has_imm);
    let kind = if needs_evex(op) { EncodingKind::EVEX } else { EncodingKind::VEX };
    for code in codes.get(op.mnemonic()).into_iter().flatten() {
        if code.op_code().op_count() as usize != operands || code.op_code().encoding() != kind {
            continue;
        }
        let mut instruction = Instruction::default();
        instruction.set_code(*code);
        for (index, register) in registers.iter().enumerate() {
            instruction.set_op_kind(index as u32, OpKind::Register);
            instruction.set_op_register(index as u32, *register);
        }
        if has_imm {
            instruction.set_op_kind(operands as u32 - 1, OpKind::Immediate8);
            instruction.set_immediate8(imm as u8);
        }
        if Encoder::new(64).encode(&instruction, 0).is_ok() {
            return instruction;
        }
    }
    panic!("{op}: no instruction `{}` takes these operands", op.mnemonic());
}

/// A function that applies one instruction to an array of tuples.
struct Loop {
    code: memmap2::Mmap,
}

impl Loop {
    fn new(op: MachineOp, instruction: Instruction) -> Loop {
        let operand = |at: i64| MemoryOperand::with_base_displ(Register::RDI, at);
        let result = |at: i64| MemoryOperand::with_base_displ(Register::RSI, at);
        let mut body = Vec::new();
        for (index, kind) in op.args().iter().enumerate() {
            let from = operand(16 * index as i64);
            body.push(match kind {
                Kind::Vector => {
                    Instruction::with2(Code::VEX_Vmovdqu_xmm_xmmm128, source(op, index), from)
                }
                Kind::Gpr32 | Kind::Gpr64 => {
                    Instruction::with2(Code::Mov_r64_rm64, source(op, index).full_register(), from)
                }
            });
        }
        body.push(Ok(instruction));
        if op.result() == Kind::Vector {
            let store = Code::VEX_Vmovdqu_xmmm128_xmm;
            body.push(Instruction::with2(store, result(0), Register::XMM0));
        } else {
            body.push(Instruction::with2(Code::Mov_rm64_r64, result(0), Register::R8));
            body.push(Instruction::with2(Code::Mov_rm64_imm32, result(8), 0));
        }
        body.push(Instruction::with2(Code::Add_rm64_imm32, Register::RDI, STRIDE as i32));
        body.push(Instruction::with2(Code::Add_rm64_imm32, Register::RSI, 16));
        body.push(Instruction::with1(Code::Dec_rm64, Register::RDX));
        body.push(Instruction::with_branch(Code::Jne_rel32_64, 0));
        body.push(Ok(Instruction::with(Code::Retnq)));
        let mut encoder = Encoder::new(64);
        let mut at = 0;
        for instruction in body {
            let instruction = instruction.expect("operands fit the code");
            at += encoder.encode(&instruction, at).expect("it can be encoded") as u64;
        }
        let bytes = encoder.take_buffer();
        let mut map = memmap2::MmapMut::map_anon(bytes.len()).expect("a page");
        map[..bytes.len()].copy_from_slice(&bytes);
        Loop { code: map.make_exec().expect("an executable page") }
    }

    fn run(&self, tuples: &[Tuple]) -> Vec<u128> {
        let mut results = vec![0u128; tuples.len()];
        assert!(!tuples.is_empty(), "the loop runs at least once");
        // SAFETY: the code is a function of this signature; it reads `tuples.len()` tuples, writes
        // as many results, and uses registers that a callee may.
        unsafe {
            let run: extern "sysv64" fn(*const Tuple, *mut u128, usize) =
                std::mem::transmute(self.code.as_ptr());
            run(tuples.as_ptr(), results.as_mut_ptr(), tuples.len());
        }
        results
    }
}

fn has(feature: Feature) -> bool {
    let vl = std::arch::is_x86_feature_detected!("avx512vl");
    match feature {
        Feature::Avx => std::arch::is_x86_feature_detected!("avx"),
        Feature::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
        Feature::Avx512Vl => vl,
        Feature::Avx512Bw => vl && std::arch::is_x86_feature_detected!("avx512bw"),
        Feature::Avx512Dq => vl && std::arch::is_x86_feature_detected!("avx512dq"),
        Feature::Avx512Cd => vl && std::arch::is_x86_feature_detected!("avx512cd"),
        Feature::Avx512Vbmi => vl && std::arch::is_x86_feature_detected!("avx512vbmi"),
        Feature::Avx512Bitalg => vl && std::arch::is_x86_feature_detected!("avx512bitalg"),
        Feature::Avx512Vpopcntdq => vl && std::arch::is_x86_feature_detected!("avx512vpopcntdq"),
        Feature::Avx512Vnni => vl && std::arch::is_x86_feature_detected!("avx512vnni"),
        _ => false,
    }
}

fn ops() -> impl Iterator<Item = MachineOp> {
    MachineOp::all().filter(|op| op.target() == Target::X64)
}

#[test]
fn every_op_is_an_instruction_and_its_text_says_so() {
    let codes = codes();
    let mut formatter = IntelFormatter::new();
    formatter.options_mut().set_space_after_operand_separator(true);
    formatter.options_mut().set_number_base(iced_x86::NumberBase::Decimal);
    for op in ops() {
        let imm = op.imm_range().map_or(0, |range| *range.end());
        let instruction = instruction(&codes, op, imm);
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        // Formatters give predicates mnemonics of their own.
        if !op.name().starts_with("x64_cmp") {
            assert_eq!(op.assembly(imm), text, "{op}");
        }
    }
}

#[test]
fn definitions_are_the_processor() {
    let codes = codes();
    let mut rng = support::rng("machine_x64");
    let mut compared: BTreeMap<MachineOp, usize> = BTreeMap::new();
    let mut wrong: BTreeMap<MachineOp, String> = BTreeMap::new();
    for _ in 0..rounds() {
        for Batch { op, imm, tuples } in
            batches(&mut rng, ops().filter(|op| has(op.feature())), TUPLES)
        {
            let found = Loop::new(op, instruction(&codes, op, imm)).run(&tuples);
            *compared.entry(op).or_default() += tuples.len();
            if let Some(text) = difference(op, imm, &tuples, &found) {
                wrong.entry(op).or_insert(text);
            }
        }
    }
    let total: usize = compared.values().sum();
    let counts: Vec<String> = compared.iter().map(|(op, count)| format!("{op} {count}")).collect();
    println!("{total} operand tuples on {} ops: {}", compared.len(), counts.join(", "));
    let missing: Vec<String> = ops()
        .filter(|op| !has(op.feature()))
        .map(|op| format!("{op} ({})", op.feature().name()))
        .collect();
    println!("NOT RUN, not on this processor: {} ops: {}", missing.len(), missing.join(", "));
    let texts: Vec<&str> = wrong.values().map(String::as_str).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} ops differ:\n{}",
        wrong.len(),
        compared.len(),
        texts.join("\n")
    );
    if has(Feature::Avx2) {
        assert!(total >= LEAST_TOTAL, "only {total} operand tuples were compared");
    }
}

/// The comparison itself: another op's definition must not pass.
#[test]
fn wrong_definitions_are_caught() {
    if !has(Feature::Avx2) {
        println!("skipped: this processor has no AVX2");
        return;
    }
    let pairs = [
        ("x64_pavgb", "x64_pminub"),
        ("x64_pmulhrsw", "x64_pmulhw"),
        ("x64_packuswb", "x64_packsswb"),
        ("x64_pmaddubsw", "x64_pmaddwd"),
        ("x64_psllw", "x64_psrlw"),
        ("x64_pandn", "x64_pand"),
        ("x64_minps", "x64_maxps"),
    ];
    let codes = codes();
    let mut rng = support::rng("machine_x64_wrong");
    for (run, defined) in pairs {
        let [run, defined] = [run, defined].map(|name| MachineOp::by_name(name).expect("an op"));
        let batch = batches(&mut rng, [run].into_iter(), 500).remove(0);
        let found = Loop::new(run, instruction(&codes, run, 0)).run(&batch.tuples);
        assert!(difference(run, 0, &batch.tuples, &found).is_none(), "{run} is right");
        assert!(difference(defined, 0, &batch.tuples, &found).is_some(), "{run} is not {defined}");
    }
}
