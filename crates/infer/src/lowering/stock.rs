//! What stock Cranelift makes of a CLIF term: its instructions, counted.

use super::term::Clif;
use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    self, AbiParam, Function, InstBuilder, InstructionData, MemFlagsData, Signature, UserFuncName,
    Value, types,
};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa, lookup_by_name};
use cranelift_codegen::settings::{self, Configurable as _};
use egraft_ir::clif::{to_int_cc, to_opcode, to_type};
use egraft_ir::machine::Target;
use egraft_ir::{IntCc, Op};
use rustc_hash::FxHashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The level of the x64 target that has AVX2, and the flags that AVX-512 adds.
const AVX2: &str = "x86-64-v3";
const AVX512: &[&str] =
    &["has_avx512f", "has_avx512vl", "has_avx512dq", "has_avx512bitalg", "has_avx512vbmi"];

/// Stock Cranelift for one target.
pub struct Stock {
    isa: OwnedTargetIsa,
}

impl Stock {
    /// With AVX2, and where `extended` with what Cranelift knows of AVX-512; for AArch64 its default.
    ///
    /// # Panics
    /// If this build of Cranelift lacks the target.
    pub fn new(target: Target, extended: bool) -> Stock {
        let mut flags = settings::builder();
        flags.set("opt_level", "speed").expect("a known flag");
        let name = match target {
            Target::X64 => "x86_64",
            Target::A64 => "aarch64",
        };
        let mut isa = lookup_by_name(name).expect("all targets are built in");
        if target == Target::X64 {
            let more: &[&str] = if extended { AVX512 } else { &[] };
            for flag in [AVX2].iter().chain(more) {
                isa.enable(flag).expect("a known flag");
            }
        }
        Stock { isa: isa.finish(settings::Flags::new(flags)).expect("flags fit") }
    }

    /// The instructions that compute the term, without moves between registers and without frame
    /// code, or `None` where stock has no lowering.
    pub fn compile(&self, term: &Clif) -> Option<Vec<String>> {
        let func = build(&*self.isa, term)?;
        // Some backends panic on what wasm never asks of them.
        let text = catch_unwind(AssertUnwindSafe(|| {
            let mut context = Context::for_function(func);
            context.set_disasm(true);
            let code = context.compile(&*self.isa, &mut ControlPlane::default()).ok()?;
            code.vcode.clone()
        }));
        let lines = text.ok()??;
        Some(lines.lines().map(str::trim).filter(|line| counts(line)).map(str::to_owned).collect())
    }
}

/// Whether a line of disassembly is an instruction that computes or loads.
fn counts(line: &str) -> bool {
    let mnemonic = line.split_whitespace().next().unwrap_or("");
    let frame = [
        "pushq",
        "popq",
        "ret",
        "retq",
        "stp",
        "ldp",
        "args",
        "rets",
        "unwind",
        "jmp",
        "b",
        "uninit",
        "dummy_use",
    ];
    let no_code = mnemonic.is_empty() || mnemonic.ends_with(':') || mnemonic.starts_with(';');
    let bare = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    let computes = bare.starts_with("movmsk")
        || ["movsd", "movss", "movhlps", "movlhps", "movddup", "movi"].contains(&bare)
        || bare.starts_with("movd") && !bare.starts_with("movdq");
    let is_move = bare.starts_with("mov") && !line.contains(['(', '[']) && !computes;
    let copies = is_move && moves_registers(line);
    !(no_code || copies || frame.contains(&mnemonic))
}

/// Whether all operands of a move are whole registers of one kind.
fn moves_registers(line: &str) -> bool {
    let operands = line.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    let kinds: Vec<char> = operands
        .split(',')
        .filter_map(|operand| operand.trim().trim_start_matches('%').chars().next())
        .collect();
    kinds.len() == 2 && kinds[0] == kinds[1] && kinds[0].is_alphabetic()
}

fn build(isa: &dyn TargetIsa, term: &Clif) -> Option<Function> {
    let mut signature = Signature::new(isa.default_call_conv());
    let params = usize::from(term.leaves().max(1));
    signature.params.extend((0..params).map(|_| AbiParam::new(types::I8X16)));
    signature.returns.push(AbiParam::new(types::I8X16));
    let mut func = Function::with_name_signature(UserFuncName::default(), signature);
    let block = func.dfg.make_block();
    func.layout.append_block(block);
    let leaves: Vec<Value> =
        (0..params).map(|_| func.dfg.append_block_param(block, types::I8X16)).collect();
    let mut emitter = Emitter {
        cursor: FuncCursor::new(&mut func).at_bottom(block),
        leaves,
        done: FxHashMap::default(),
    };
    let root = emitter.emit(term)?;
    let root = emitter.retype(root, types::I8X16);
    emitter.cursor.ins().return_(&[root]);
    Some(func)
}

struct Emitter<'a, 'f> {
    cursor: FuncCursor<'f>,
    leaves: Vec<Value>,
    done: FxHashMap<&'a Clif, Value>,
}

impl<'a> Emitter<'a, '_> {
    fn emit(&mut self, term: &'a Clif) -> Option<Value> {
        if let Some(done) = self.done.get(term) {
            return Some(*done);
        }
        let value = match term {
            Clif::Leaf(at) => self.leaves[usize::from(*at)],
            Clif::Amount(n) => self.cursor.ins().iconst(types::I32, i64::from(*n)),
            Clif::Splat(ty, number) => {
                let bits = ty.splat_bits(u128::from(*number));
                let data = ir::ConstantData::from(&bits.to_le_bytes()[..]);
                let handle = self.cursor.func.dfg.constants.insert(data);
                self.cursor.ins().vconst(types::I8X16, handle)
            }
            Clif::Op { op, ty, imm, args } => {
                let mut values = Vec::new();
                for (at, arg) in args.iter().enumerate() {
                    let value = self.emit(arg)?;
                    values.push(match op.operand_type(*ty, *ty, at) {
                        Some(wanted) => self.retype(value, to_type(wanted)),
                        None => value,
                    });
                }
                let opcode = to_opcode(*op)?;
                let data = match (*op, values.as_slice()) {
                    (Op::Icmp, &[x, y]) => InstructionData::IntCompare {
                        opcode,
                        cond: to_int_cc(IntCc::from_imm(*imm)?),
                        args: [x, y],
                    },
                    (Op::Shuffle, &[x, y]) => {
                        let mask = ir::ConstantData::from(&imm.to_le_bytes()[..]);
                        let imm = self.cursor.func.dfg.immediates.push(mask);
                        InstructionData::Shuffle { opcode, args: [x, y], imm }
                    }
                    (_, &[x]) => InstructionData::Unary { opcode, arg: x },
                    (_, &[x, y]) => InstructionData::Binary { opcode, args: [x, y] },
                    (_, &[x, y, z]) => InstructionData::Ternary { opcode, args: [x, y, z] },
                    _ => return None,
                };
                let inst = self.cursor.func.dfg.make_inst(data);
                self.cursor.func.dfg.make_inst_results(inst, to_type(*ty));
                self.cursor.insert_inst(inst);
                self.cursor.func.dfg.first_result(inst)
            }
        };
        self.done.insert(term, value);
        Some(value)
    }

    fn retype(&mut self, value: Value, ty: ir::Type) -> Value {
        if self.cursor.func.dfg.value_type(value) == ty {
            return value;
        }
        let little = MemFlagsData::new().with_endianness(ir::Endianness::Little);
        self.cursor.ins().bitcast(ty, little, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_ir::Ty;

    #[test]
    fn moves_and_frames_do_not_count() {
        for line in
            ["movdqa %xmm0, %xmm1", "mov v0.16b, v1.16b", "retq", "block0:", "movq %rsp, %rbp"]
        {
            assert!(!counts(line), "{line}");
        }
        for line in ["vpaddw %xmm0, %xmm1, %xmm0", "movi v3.16b, #1", "movdqu (%rip), %xmm1"] {
            assert!(counts(line), "{line}");
        }
    }

    #[test]
    fn one_op_is_one_instruction() {
        let add = Clif::op(Op::Iadd, Ty::I16X8, vec![Clif::Leaf(0), Clif::Leaf(1)]);
        for target in [Target::X64, Target::A64] {
            let code = Stock::new(target, false).compile(&add).expect("it has a lowering");
            assert_eq!(code.len(), 1, "{code:?}");
        }
    }
}
