//! Terms mean what numbers do: every op, computed on both.

use egraft_ir::semantics::{Domain, apply, shuffle_by};
use egraft_ir::{Concrete, FloatCc, ImmKind, IntCc, Node, Op, Ty, TypeRule};
use egraft_verify::smt::{FloatMode, Kind, Terms};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustc_hash::FxHashMap;

/// Chains of ops that are tried.
const CHAINS: usize = 6_000;

fn number(random: &mut SmallRng, ty: Ty) -> u128 {
    let bits: u128 = random.random();
    let some = random.random_range(0..ty.lane_bits());
    ty.mask()
        & match random.random_range(0..5) {
            0 => bits,
            1 => ty.splat_bits(1 << some),
            2 => ty.splat_bits((1 << some) - 1),
            3 => ty.splat_bits(bits & 7),
            _ => ty.splat_bits(u128::MAX << some),
        }
}

fn immediate(random: &mut SmallRng, op: Op, ty: Ty) -> u128 {
    match op.imm_kind() {
        ImmKind::IntCc => random.random_range(0..IntCc::ALL.len() as u128),
        ImmKind::FloatCc => random.random_range(0..FloatCc::ALL.len() as u128),
        ImmKind::Lane => random.random_range(0..u128::from(ty.lanes())),
        ImmKind::Mask => random.random::<u128>() & 0x1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f,
        ImmKind::Bits => number(random, ty),
        _ => 0,
    }
}

/// Values of one chain: as a term, as a number, and their type.
type Value = (egraft_verify::smt::Term, u128, Ty);

/// Some op on values that are there, or on new ones; constants at times, so that simplification
/// has something to see.
fn step(
    terms: &mut Terms,
    model: &mut FxHashMap<egraft_verify::smt::VarId, u128>,
    values: &[Value],
    random: &mut SmallRng,
) -> Option<Value> {
    let op = Op::ALL[random.random_range(0..Op::ALL.len())];
    let pairs: Vec<(Ty, Ty)> = op.type_pairs().collect();
    if pairs.is_empty() || matches!(op, Op::Leaf | Op::Opaque) {
        return None;
    }
    let (ty, from) = pairs[random.random_range(0..pairs.len())];
    let imm = immediate(random, op, ty);
    let mut operands = (Vec::new(), Vec::new());
    for at in 0..op.arity() {
        let wanted = op.operand_type(ty, from, at).unwrap_or(Ty::I32).value();
        let old: Vec<&Value> = values.iter().filter(|value| value.2 == wanted).collect();
        let fresh = number(random, wanted);
        let (term, number) = match random.random_range(0..4) {
            0 => (terms.number(wanted.bits(), fresh), fresh),
            1.. if !old.is_empty() => {
                let old = old[random.random_range(0..old.len())];
                (old.0, old.1)
            }
            _ => {
                let term = terms.var("v", wanted.bits());
                if let Kind::Var(var) = *terms.kind(term) {
                    model.insert(var, fresh);
                }
                (term, fresh)
            }
        };
        operands.0.push(term);
        operands.1.push(number);
    }
    let divides = matches!(op, Op::Udiv | Op::Sdiv | Op::Urem | Op::Srem);
    if divides && (operands.1[1] == 0 || operands.1[1] == ty.mask()) {
        return None;
    }
    let node = Node::detached(op, ty, from, imm);
    let term = apply(terms, &node, &operands.0).ok()?;
    let number = apply(&mut Concrete, &node, &operands.1).ok()?;
    if op.type_rule() == TypeRule::Leaf && op != Op::Const {
        return None;
    }
    Some((term, number, node.result_type().value()))
}

#[test]
fn terms_have_the_values_that_numbers_have() {
    let mut random = SmallRng::seed_from_u64(11);
    let mode = FloatMode { ieee: false, canonical_nan: true };
    let mut compared: FxHashMap<&str, usize> = FxHashMap::default();
    for _ in 0..CHAINS {
        let mut terms = Terms::new(mode);
        let mut model = FxHashMap::default();
        let mut values: Vec<Value> = Vec::new();
        for _ in 0..6 {
            let Some(made) = step(&mut terms, &mut model, &values, &mut random) else { continue };
            let (term, number, ty) = made;
            assert_eq!(terms.width(term), ty.bits());
            // Rounding is known by name only.
            if let Some(value) = terms.evaluate(term, &model) {
                assert_eq!(value, number, "{:?} {model:x?}", terms.kind(term));
                *compared.entry(ty.name()).or_default() += 1;
                values.push(made);
            }
            if let Some(other) = values.iter().find(|other| other.2 == ty && other.0 != term) {
                let (same, less) = (terms.equal(term, other.0), terms.less(true, term, other.0));
                if let Some(same) = terms.evaluate(same, &model) {
                    assert_eq!(same != 0, number == other.1);
                }
                if let Some(less) = terms.evaluate(less, &model) {
                    let expected = Concrete.slt(ty.bits(), &number, &other.1);
                    assert_eq!(less != 0, expected);
                }
            }
        }
    }
    println!("{compared:?}");
    let least = compared.values().min().copied().unwrap_or(0);
    assert!(compared.len() >= 7 && least > 100, "too little was compared: {compared:?}");
}

#[test]
fn a_shuffle_by_a_value_is_the_shuffle() {
    let mut random = SmallRng::seed_from_u64(3);
    for _ in 0..2_000 {
        let mask = immediate(&mut random, Op::Shuffle, Ty::I8X16);
        let (a, b): (u128, u128) = (random.random(), random.random());
        let node = Node::detached(Op::Shuffle, Ty::I8X16, Ty::I8X16, mask);
        let expected = apply(&mut Concrete, &node, &[a, b]).expect("the mask is legal");
        assert_eq!(shuffle_by(&mut Concrete, &mask, &a, &b), expected);
    }
}
