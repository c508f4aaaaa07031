//! A validator of covering that accepts wrong machine ops fails here.
//!
//! Each miscompile changes one machine op, immediate or operand of what lowering rules made of a function.

use cranelift_codegen::ir::{Function, Inst};
use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use egraft_aarch64::encode::{Form, word};
use egraft_aarch64::observe::{Covering, cover};
use egraft_ir::machine::{MachineOp, eval};
use egraft_validate::{Options, Validator};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Every result is stored as it is, so that no wrong one goes unseen.
const SOURCE: &str = r#"
function u0:0(i64 vmctx, i64, i64) tail {
block0(v0: i64, v1: i64, v2: i64):
    v10 = load.i8x16 little v1
    v11 = load.i8x16 little v1+16
    v12 = load.i16x8 little v1+32
    v13 = load.i16x8 little v1+48
    v14 = load.i32x4 little v1+64
    v15 = load.f32x4 little v1+80
    v16 = load.i32x4 little v1+96
    v20 = umax v10, v11
    v21 = umin v10, v11
    v22 = isub v20, v21
    store little v22, v2
    v23 = uwiden_low v10
    v24 = uwiden_low v11
    v25 = imul v23, v24
    v26 = iadd v12, v25
    store little v26, v2+16
    v27 = swiden_low v12
    v28 = swiden_low v13
    v29 = isub v27, v28
    store little v29, v2+32
    v30 = iconst.i32 3
    v31 = ushr v12, v30
    v32 = iadd v31, v13
    store little v32, v2+48
    v33 = imul v12, v13
    v34 = isub v12, v33
    store little v34, v2+64
    v35 = nearest v15
    v36 = fcvt_to_sint_sat.i32x4 v35
    store little v36, v2+80
    v37 = bnot v10
    v38 = band v11, v37
    v39 = bxor v38, v11
    store little v39, v2+96
    v40 = swiden_high v12
    v41 = swiden_high v13
    v42 = imul v40, v41
    v43 = iadd v14, v42
    store little v43, v2+112
    v44 = iadd v14, v16
    v45 = iconst.i32 5
    v46 = sshr v16, v45
    v47 = iadd v14, v46
    store little v47, v2+128
    return
}
"#;

fn machine() -> OwnedTargetIsa {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    flags.set("enable_probestack", "false").unwrap();
    let builder = isa::lookup_by_name("aarch64-unknown-linux-gnu").unwrap();
    builder.finish(settings::Flags::new(flags)).unwrap()
}

fn covered() -> Covering {
    let func: Function = cranelift_reader::parse_functions(SOURCE).unwrap().remove(0);
    let options =
        egraft_aarch64::Options { version: egraft_aarch64::Version::Never, ..Default::default() };
    cover(&[&func], &*machine(), &options).unwrap()
}

/// The positions of stand-ins that stores depend on; others have no code.
fn read(covering: &Covering) -> Vec<usize> {
    let func = &covering.after;
    let insts = func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    let mut todo: Vec<Inst> =
        insts.filter(|inst| func.dfg.insts[*inst].opcode().can_store()).collect();
    let mut seen: Vec<Inst> = Vec::new();
    while let Some(inst) = todo.pop() {
        seen.push(inst);
        let args = func.dfg.inst_args(inst).iter();
        let made = args.map(|arg| func.dfg.value_def(func.dfg.resolve_aliases(*arg)));
        todo.extend(made.filter_map(|def| def.inst()).filter(|inst| !seen.contains(inst)));
    }
    let all = covering.stand_ins.iter().enumerate();
    all.filter(|(_, (inst, ..))| seen.contains(inst)).map(|(at, _)| at).collect()
}

/// The number behind the last `_` of the name and what is with it: how an op sees its operands.
fn arrangement(op: MachineOp) -> &'static str {
    op.name().rsplit('_').next().unwrap_or_default()
}

/// Whether two uses give other results for some of a few random operands.
fn differ(one: (MachineOp, u32), other: (MachineOp, u32)) -> bool {
    let mut rng = StdRng::seed_from_u64(7);
    (0..64).any(|_| {
        let args: Vec<u128> = (0..one.0.args().len()).map(|_| rng.random()).collect();
        eval(one.0, one.1, &args).unwrap() != eval(other.0, other.1, &args).unwrap()
    })
}

/// Other ops in place of `op`, and other immediates.
fn others(op: MachineOp, imm: u32) -> Vec<(MachineOp, u32)> {
    let same_form = |other: &MachineOp| {
        Form::of(*other) == Form::of(op)
            && arrangement(*other) == arrangement(op)
            && other.imm_range().is_some() == op.imm_range().is_some()
    };
    let ops = MachineOp::all().filter(same_form).map(|other| (other, imm));
    let imms = [imm.wrapping_sub(1), imm + 1].map(|imm| (op, imm));
    let legal = |other: &(MachineOp, u32)| word(other.0, other.1).is_some();
    ops.chain(imms).filter(legal).filter(|other| differ((op, imm), *other)).collect()
}

#[test]
fn right_ops_are_proven() {
    let covering = covered();
    assert!(read(&covering).len() >= 8, "{:?}", covering.stand_ins);
    let checked = Validator::new(Options::default()).covering(&covering).unwrap();
    assert!(checked.failed.is_empty() && checked.unknown.is_empty(), "{checked:#?}");
    assert!(checked.solved >= 8, "{checked:#?}");
}

#[test]
fn wrong_ops_are_found() {
    let mut validator = Validator::new(Options::default());
    let right = covered();
    let (mut tried, mut undecided) = (0, Vec::new());
    for at in read(&right) {
        let (_, op, imm) = right.stand_ins[at];
        for (other, other_imm) in others(op, imm) {
            let mut covering = covered();
            covering.stand_ins[at].1 = other;
            covering.stand_ins[at].2 = other_imm;
            let text = format!("{other} {other_imm} for {op} {imm}");
            let checked = validator.covering(&covering).unwrap();
            let accepted = checked.failed.is_empty() && checked.unknown.is_empty();
            assert!(!accepted, "{text} is accepted: {checked:#?}");
            tried += 1;
            if checked.failed.is_empty() {
                undecided.push(text);
            }
        }
    }
    assert!(tried >= 100, "only {tried} miscompiles");
    assert!(undecided.len() * 20 <= tried, "no example for {undecided:#?} of {tried}");
}

#[test]
fn swapped_operands_are_found() {
    let mut validator = Validator::new(Options::default());
    let right = covered();
    let mut tried = 0;
    for at in read(&right) {
        let (inst, op, _) = right.stand_ins[at];
        let first = usize::from(op.is_tied());
        if op.args().len() < first + 2 || op.commutes().is_some() {
            continue;
        }
        let mut covering = covered();
        covering.after.dfg.inst_args_mut(inst).swap(first, first + 1);
        let checked = validator.covering(&covering).unwrap();
        assert!(!checked.failed.is_empty(), "{op} with swapped operands: {checked:#?}");
        tried += 1;
    }
    assert!(tried >= 1, "no op with two operands that may not be swapped");
}
