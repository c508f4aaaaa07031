//! The evaluator against stock Cranelift: native code on this machine, and the interpreter.
//!
//! Bit for bit, except that a NaN that float arithmetic computes may be any quiet NaN. Every op
//! at every type must be compared by one of the two; the counts are printed.

#[path = "support/clif.rs"]
mod clif;
mod support;

use clif::{Expression, Native, Operands};
use cranelift_codegen::ir::{InstBuilder, types};
use cranelift_frontend::FunctionBuilder;
use egraft_ir::eval::{has_nan, nan_bits_are_open};
use egraft_ir::semantics::Float;
use egraft_ir::{Node, Op, Ty, eval};
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, BTreeSet};
use support::{nodes, operand, rng};

/// Operand tuples natively compared per op and types, shared out to its immediates.
const NATIVE: usize = 40_000;
/// And by the interpreter.
const INTERPRETED: usize = 160;
/// At least so many per immediate, whatever there are of those.
const LEAST: usize = 16;

/// What was compared for an op at its types.
#[derive(Default)]
struct Tally {
    native: usize,
    interpreted: usize,
    reasons: BTreeSet<String>,
}

/// Who computed a result.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    Native,
    /// Hands signalling NaNs through `fmin`, `fmax` and rounding, where compiled code quiets them.
    Interpreter,
}

/// Whether `found` is a result that `node` may have where the evaluator says `expected`.
fn agrees(source: Source, node: &Node, expected: u128, found: u128) -> bool {
    if expected == found {
        return true;
    }
    let ty = node.result_type();
    if !nan_bits_are_open(node.op) {
        return false;
    }
    let mark = match ty.lane() {
        _ if source == Source::Interpreter => 0,
        Ty::F32 => Float::Single.canonical_nan(),
        _ => Float::Double.canonical_nan(),
    };
    (0..ty.lanes()).all(|index| {
        let (expected, found) = (ty.lane_of(expected, index), ty.lane_of(found, index));
        let both_nan = has_nan(ty.lane(), expected) && has_nan(ty.lane(), found);
        expected == found || both_nan && found & mark == mark
    })
}

/// Types of the operands; where any integer will do, one variant each.
fn operand_types(node: &Node) -> Vec<Vec<Ty>> {
    let mut variants = vec![Vec::new()];
    for index in 0..node.op.arity() {
        let choices = match node.op.operand_type(node.ty, node.from, index) {
            Some(ty) => vec![ty],
            None => vec![Ty::I8, Ty::I16, Ty::I32, Ty::I64],
        };
        variants = variants
            .into_iter()
            .flat_map(|types| choices.iter().map(move |ty| [types.as_slice(), &[*ty]].concat()))
            .collect();
    }
    variants
}

fn operands(rng: &mut SmallRng, node: &Node, types: &[Ty], count: usize) -> Vec<Operands> {
    let one = |rng: &mut SmallRng| {
        let mut tuple = [0; 3];
        for (index, ty) in types.iter().enumerate() {
            tuple[index] = operand(rng, node, index, *ty);
        }
        tuple
    };
    (0..count).map(|_| one(rng)).collect()
}

/// Compares results with the evaluator's; `None` if they all agree.
fn difference(
    source: Source,
    node: &Node,
    arity: usize,
    operands: &[Operands],
    found: &[u128],
) -> Option<String> {
    for (tuple, found) in operands.iter().zip(found) {
        let expected = eval(node, &tuple[..arity]).expect("operands are legal");
        if !agrees(source, node, expected, *found) {
            return Some(format!("{tuple:x?} gives {found:#x}, the evaluator {expected:#x}"));
        }
    }
    None
}

#[test]
fn the_evaluator_is_stock_cranelift() {
    let host = clif::host();
    let mut rng = rng("differential");
    let mut tallies: BTreeMap<(Op, Ty, Ty), Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    let nodes = nodes(&mut rng);
    let mut immediates: BTreeMap<(Op, Ty, Ty), usize> = BTreeMap::new();
    for node in &nodes {
        *immediates.entry((node.op, node.ty, node.from)).or_default() += 1;
    }
    for node in &nodes {
        let key = (node.op, node.ty, node.from);
        let tally = tallies.entry(key).or_default();
        let variants = operand_types(node);
        let parts = immediates[&key] * variants.len();
        for types in &variants {
            let emit = |builder: &mut FunctionBuilder, args: &[_]| clif::emit(builder, node, args);
            let expression = Expression { params: types, result: node.result_type(), emit: &emit };
            match host.as_ref().map_err(Clone::clone).and_then(|isa| Native::new(isa, &expression))
            {
                Ok(native) => {
                    let operands = operands(&mut rng, node, types, (NATIVE / parts).max(LEAST));
                    let mut found = vec![0; operands.len()];
                    native.run(&operands, &mut found);
                    tally.native += operands.len();
                    if let Some(text) =
                        difference(Source::Native, node, types.len(), &operands, &found)
                    {
                        wrong.push(format!("native {node:?} on {types:?}: {text}"));
                    }
                }
                Err(reason) => drop(tally.reasons.insert(format!("native: {reason}"))),
            }
            let operands = operands(&mut rng, node, types, (INTERPRETED / parts).max(LEAST));
            match clif::interpret(&expression, &operands) {
                Ok(found) => {
                    tally.interpreted += operands.len();
                    if let Some(text) =
                        difference(Source::Interpreter, node, types.len(), &operands, &found)
                    {
                        wrong.push(format!("interpreter {node:?} on {types:?}: {text}"));
                    }
                }
                Err(reason) => drop(tally.reasons.insert(format!("interpreter: {reason}"))),
            }
        }
    }
    report(&tallies);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let on_x86 = cfg!(target_arch = "x86_64");
    let missed: Vec<_> = tallies
        .iter()
        .filter(|(key, tally)| {
            tally.native + tally.interpreted == 0 && (on_x86 || !clif::is_x86_only(key.0))
        })
        .map(|(key, _)| key)
        .collect();
    assert!(missed.is_empty(), "compared by neither: {missed:?}");
    if on_x86 {
        let total: usize = tallies.values().map(|tally| tally.native + tally.interpreted).sum();
        assert!(total > 10_000_000, "only {total} operand tuples were compared");
    }
}

fn report(tallies: &BTreeMap<(Op, Ty, Ty), Tally>) {
    let sum = |count: fn(&Tally) -> usize| tallies.values().map(count).sum::<usize>();
    println!(
        "{} ops at types: {} tuples compared natively, {} by the interpreter",
        tallies.len(),
        sum(|tally| tally.native),
        sum(|tally| tally.interpreted),
    );
    let mut skipped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((op, ty, from), tally) in tallies {
        for reason in &tally.reasons {
            let at = if from == ty { format!("{op}.{ty}") } else { format!("{op}.{ty}.{from}") };
            skipped.entry(reason).or_default().push(at);
        }
    }
    for (reason, ops) in skipped {
        println!("skipped, {reason}: {} ({})", ops.len(), ops.join(" "));
    }
}

/// Pairs that stock x64 code knows only together, as wasm writes them.
#[test]
fn pairs_that_lower_as_one() {
    let Ok(isa) = clif::host() else {
        println!("skipped: no stock compiler for this machine");
        return;
    };
    let lanes = |op, ty, from| Node::detached(op, ty, from, 0);
    let zero = 0u128;
    let pairs = [
        // f64x2.convert_low_i32x4_{s,u}
        (lanes(Op::SwidenLow, Ty::I32X4, Ty::I32X4), lanes(Op::FcvtFromSint, Ty::F64X2, Ty::I64X2)),
        (lanes(Op::UwidenLow, Ty::I32X4, Ty::I32X4), lanes(Op::FcvtFromUint, Ty::F64X2, Ty::I64X2)),
        // i32x4.trunc_sat_f64x2_{s,u}_zero
        (lanes(Op::FcvtToSintSat, Ty::I64X2, Ty::F64X2), lanes(Op::Snarrow, Ty::I64X2, Ty::I64X2)),
        (lanes(Op::FcvtToUintSat, Ty::I64X2, Ty::F64X2), lanes(Op::Uunarrow, Ty::I64X2, Ty::I64X2)),
    ];
    let mut rng = rng("pairs");
    let mut compared = 0;
    for (first, second) in pairs {
        let param = first.op.operand_type(first.ty, first.from, 0).expect("lanes have a type");
        let emit = |builder: &mut FunctionBuilder, args: &[_]| {
            let inner = clif::emit(builder, &first, args);
            let bits = builder.func.dfg.constants.insert(vec![0u8; 16].into());
            let zeros = builder.ins().vconst(types::I64X2, bits);
            clif::emit(builder, &second, &[inner, zeros][..second.op.arity()])
        };
        let expression = Expression { params: &[param], result: second.result_type(), emit: &emit };
        let native = match Native::new(&isa, &expression) {
            Ok(native) => native,
            Err(reason) if cfg!(target_arch = "x86_64") => {
                panic!("{first:?}, {second:?}: {reason}")
            }
            Err(reason) => {
                println!("skipped {first:?}, {second:?}: {reason}");
                continue;
            }
        };
        let operands = operands(&mut rng, &first, &[param], 100_000);
        let mut found = vec![0; operands.len()];
        native.run(&operands, &mut found);
        for (tuple, found) in operands.iter().zip(found) {
            let inner = eval(&first, &tuple[..1]).expect("operands are legal");
            let outer = eval(&second, &[inner, zero][..second.op.arity()]);
            let expected = outer.expect("operands are legal");
            assert_eq!(expected, found, "{first:?}, then {second:?} at {:#x}", tuple[0]);
            compared += 1;
        }
    }
    println!("{compared} operands compared");
}
