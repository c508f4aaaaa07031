//! Every lowering rule: a function of its left side is compiled by stock Cranelift and with the rules, both run, and the
//! results are the same to the bit. `filetests/aarch64/lowering.txt` shows both codes side by side.

#[path = "common/mod.rs"]
mod common;

use common::{Job, Operands, can_run, run, scratch, succeed, tool};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    AbiParam, Function, InstBuilder, MemFlagsData, Signature, UserFuncName, Value, types,
};
use cranelift_codegen::isa::{CallConv, OwnedTargetIsa, lookup_by_name};
use cranelift_codegen::settings::{self, Configurable};
use egraft_aarch64::{Compiled, LOWERING, Options, Version, compile};
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_lower::{emit_const, emit_op, retype};
use egraft_rules::{LoweringRule, MachineTemplate, Pattern, Sort, VarId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

/// Functions of each rule, and calls of each.
const SAMPLES: usize = 3;
const CALLS: usize = 48;
/// Functions that are tried for a rule before it counts as unused.
const TRIES: usize = 400;

fn isa() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").expect("a known flag");
    let mut builder = lookup_by_name("aarch64-unknown-linux-gnu").expect("the target is built in");
    builder.enable("has_dotprod").expect("a known flag");
    builder.enable("has_i8mm").expect("a known flag");
    builder.finish(settings::Flags::new(flags)).expect("flags fit")
}

/// A function that loads operands, computes the left side of a rule with numbers at random, and stores it.
struct Sample<'a> {
    rule: &'a LoweringRule,
    rng: SmallRng,
    values: BTreeMap<VarId, Value>,
    numbers: BTreeMap<VarId, u128>,
    input: Value,
}

impl Sample<'_> {
    /// The operand of a variable: as it is, or with few bits, so that conditions on facts hold.
    fn operand(&mut self, cursor: &mut FuncCursor<'_>, var: VarId) -> Value {
        if let Some(value) = self.values.get(&var) {
            return *value;
        }
        let offset = 16 * self.values.len() as i32;
        let mut value =
            cursor.ins().load(types::I8X16, MemFlagsData::trusted(), self.input, offset);
        if !self.rule.conditions.is_empty() && self.rng.random_bool(0.8) {
            let ty = [Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::I8X16][self.rng.random_range(0..4)];
            let bits = self.rng.random_range(1..ty.lane_bits());
            let mask = emit_const(cursor, ty, ty.splat_bits((1u128 << bits) - 1));
            let mask = retype(cursor, mask, types::I8X16);
            value = cursor.ins().band(value, mask);
        }
        self.values.insert(var, value);
        value
    }

    fn number(&mut self, var: Option<VarId>, ty: Ty) -> u128 {
        if let Some(known) = var.and_then(|var| self.numbers.get(&var)) {
            return *known;
        }
        let bits = ty.lane_bits();
        // Half of what a shift drops, where rounding adds it.
        let half = self.numbers.values().find(|number| number.is_power_of_two()).copied();
        if let Some(half) = half
            && self.rng.random()
        {
            let number = u128::from(half.trailing_zeros()) + 1;
            var.map(|var| self.numbers.insert(var, number));
            return number;
        }
        let number = match self.rng.random_range(0..4) {
            0 | 1 => u128::from(self.rng.random_range(0..bits)),
            2 => 1 << self.rng.random_range(0..bits),
            _ => self.rng.random::<u128>() & ty.lane_mask() >> self.rng.random_range(0..bits),
        };
        if let Some(var) = var {
            self.numbers.insert(var, number);
        }
        number
    }

    fn emit(&mut self, cursor: &mut FuncCursor<'_>, pattern: &Pattern) -> Option<Value> {
        Some(match pattern {
            Pattern::Var(var) if self.rule.vars[var.index()].sort == Sort::Value => {
                self.operand(cursor, *var)
            }
            Pattern::Bind(var, inner) => {
                let value = self.emit(cursor, inner)?;
                self.values.insert(*var, value);
                value
            }
            Pattern::Op { op, ty, from, imm, args } => {
                let mut values = Vec::new();
                for arg in args {
                    values.push(self.emit(cursor, arg)?);
                }
                let imm = imm.map_or(0, |slot| slot.is.unwrap_or(0));
                let ty = ty.is?;
                let from = from.and_then(|from| from.is).unwrap_or(ty);
                let node = Node { op: *op, ty, from, imm, args: [ClassId::NONE; 3] };
                emit_op(cursor, &node, &values)?
            }
            Pattern::Splat { ty, value } => {
                let ty = ty.is?;
                let number = value.is.unwrap_or_else(|| self.number(value.var, ty));
                emit_const(cursor, ty, ty.splat_bits(number & ty.lane_mask()) & ty.mask())
            }
            Pattern::Bits { value } => emit_const(cursor, Ty::I8X16, value.is?),
            _ => return None,
        })
    }
}

fn function(rule: &LoweringRule, seed: u64) -> Option<Function> {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params = vec![AbiParam::new(types::I64); 2];
    let mut func = Function::with_name_signature(UserFuncName::default(), signature);
    let block = func.dfg.make_block();
    func.layout.append_block(block);
    let [input, output] = [0, 1].map(|_| func.dfg.append_block_param(block, types::I64));
    let rng = SmallRng::seed_from_u64(seed);
    let (values, numbers) = Default::default();
    let mut sample = Sample { rule, rng, values, numbers, input };
    let mut cursor = FuncCursor::new(&mut func).at_bottom(block);
    let value = sample.emit(&mut cursor, &rule.lhs)?;
    cursor.ins().store(MemFlagsData::trusted(), value, output, 0);
    cursor.ins().return_(&[]);
    Some(func)
}

fn root_op(rule: &LoweringRule) -> &'static str {
    match &rule.rhs {
        MachineTemplate::Op { op, .. } => op.name(),
        _ => unreachable!("a loaded rule has a machine op at its root"),
    }
}

/// Functions in which a rule's instruction is chosen: their text, stock's code, and the code with rules.
fn samples(isa: &OwnedTargetIsa, rule: &LoweringRule) -> Vec<(String, Compiled, Compiled)> {
    let plain =
        Options { optimize: false, unroll: false, version: Version::Never, ..Options::default() };
    let stock = Options { cover: false, ..plain };
    let own = plain;
    let mut found = Vec::new();
    for seed in 0..TRIES as u64 {
        let Some(func) = function(rule, seed) else { continue };
        let covered = compile(&func, &**isa, &own)
            .unwrap_or_else(|error| panic!("{}: {error}\n{func}", rule.name));
        if covered.chosen.contains_key(root_op(rule)) {
            let stock = compile(&func, &**isa, &stock).expect("stock compiles it");
            found.push((func.to_string(), stock, covered));
            if found.len() == SAMPLES {
                break;
            }
        }
    }
    found
}

fn operands(rng: &mut SmallRng) -> Vec<Operands> {
    let edge = |rng: &mut SmallRng| {
        let ty = [Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2][rng.random_range(0..4)];
        let lane = [0, 1, ty.lane_mask(), ty.lane_mask() >> 1, (ty.lane_mask() >> 1) + 1];
        let lanes = (0..ty.lanes()).map(|at| lane[rng.random_range(0..5)] << (at * ty.lane_bits()));
        lanes.fold(0, |all, lane| all | lane)
    };
    let operand = |rng: &mut SmallRng| if rng.random_bool(0.4) { edge(rng) } else { rng.random() };
    (0..CALLS).map(|_| [(); 4].map(|()| operand(rng))).collect()
}

#[test]
fn every_rule_computes_what_stock_code_does() {
    let isa = isa();
    let mut rng = SmallRng::seed_from_u64(7);
    let mut jobs = Vec::new();
    let mut texts = Vec::new();
    let mut unused = Vec::new();
    let mut shown = String::new();
    let mut better = 0;
    for rule in &LOWERING.rules {
        let samples = samples(&isa, rule);
        let Some((text, stock, own)) = samples.first() else {
            unused.push(rule.name.as_str());
            continue;
        };
        better += usize::from(own.code.len() < stock.code.len());
        let _ = write!(shown, "{}", beside(rule, text, &stock.code, &own.code));
        for (text, stock, own) in samples {
            let operands = operands(&mut rng);
            jobs.push(Job { code: stock.code, operands: operands.clone() });
            jobs.push(Job { code: own.code, operands });
            texts.push((rule.name.as_str(), text));
        }
    }
    println!("{} rules, {better} with less code, unused: {unused:?}", LOWERING.rules.len());
    assert!(unused.is_empty(), "no function uses {unused:?}");
    if !can_run() {
        return;
    }
    let results = run("lowering_rules", &jobs);
    for ((job, pair), (name, text)) in jobs.chunks(2).zip(results.chunks(2)).zip(&texts) {
        for ((operands, stock), own) in job[0].operands.iter().zip(&pair[0]).zip(&pair[1]) {
            assert_eq!(own, stock, "{name}: {operands:x?}: {own:x} instead of {stock:x}\n{text}");
        }
    }
    expect(&shown);
}

/// Stock's code and ours side by side.
fn beside(rule: &LoweringRule, _text: &str, stock: &[u8], own: &[u8]) -> String {
    let (stock, own) = (disassembled(stock), disassembled(own));
    let mut text = format!(";; {}: {}\n;; {}\n", rule.name, rule.lhs_text(), rule.rhs_text());
    for at in 0..stock.len().max(own.len()) {
        let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_default();
        let _ = writeln!(text, "{:<44}| {}", line(&stock), line(&own));
    }
    text + "\n"
}

/// Instructions of `code`, but loads of operands, the store of the result and the frame.
fn disassembled(code: &[u8]) -> Vec<String> {
    let (binary, _) = (scratch("shown.bin"), ());
    std::fs::write(&binary, code).expect("the target folder is writable");
    let mut command = Command::new(tool("objdump"));
    command.args(["-D", "-b", "binary", "-m", "aarch64", "--no-show-raw-insn"]).arg(&binary);
    let text = String::from_utf8(succeed(&mut command)).expect("it is text");
    let insts = text.lines().filter_map(|line| {
        let (address, inst) = line.trim().split_once(":\t")?;
        let inst = inst.split("//").next()?.trim().replace('\t', " ");
        address.chars().all(|digit| digit.is_ascii_hexdigit()).then_some(inst)
    });
    let frame = ["stp x29", "mov x29", "ldp x29", "ret", "udf", ".inst", "nop"];
    let is_frame = |inst: &String| {
        frame.iter().any(|start| inst.starts_with(start))
            || inst.ends_with("[x1]")
            || (inst.starts_with("ldr q") && inst.contains("[x0"))
    };
    insts.filter(|inst| !is_frame(inst)).collect()
}

fn expect(shown: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../filetests/aarch64/lowering.txt");
    if std::env::var("EGRAFT_BLESS").is_ok() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().expect("a folder")).unwrap();
        std::fs::write(path, shown).expect("the file is writable");
        return;
    }
    let known = std::fs::read_to_string(path).expect("the file is there");
    assert!(known == shown, "{path} is not what comes out; EGRAFT_BLESS=1 writes it anew");
}

/// Keeps the op table in use where a rule's root is none.
#[test]
fn rules_are_for_vectors() {
    for rule in &LOWERING.rules {
        assert_ne!(rule.lhs.root_op(), Some(Op::Const), "{}", rule.name);
    }
}
