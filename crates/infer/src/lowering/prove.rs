//! Proof that both sides of a lowering rule are equal, for all operands.

use super::read::{Fact, Instance};
use super::term::{Clif, LEAVES, Machine};
use egraft_ir::semantics::Domain;
use egraft_ir::{Op, TypeRule};
use egraft_verify::smt::{FloatMode, SolverError, Term, Terms};
use egraft_verify::{Equality, Prover};

/// Whether `machine` computes what `clif` does, lane by lane of the result.
///
/// # Errors
/// [`SolverError`] if a solver is needed and cannot be had.
pub fn prove(prover: &mut Prover, clif: &Clif, machine: &Machine) -> Result<Equality, SolverError> {
    let (clif, machine) = (clif.clone(), machine.clone());
    prove_instance(prover, &Instance { clif, machine, facts: Vec::new() })
}

/// As [`prove`], wherever the instance's facts hold.
///
/// # Errors
/// Those of [`prove`].
pub fn prove_instance(
    prover: &mut Prover,
    Instance { clif, machine, facts }: &Instance,
) -> Result<Equality, SolverError> {
    let mut terms = Terms::new(FloatMode::default());
    let leaves = LEAVES.map(|name| terms.var(name, 128));
    let facts: Vec<Term> =
        facts.iter().flat_map(|fact| lanes_of(fact, &mut terms, &leaves)).collect();
    let left = clif.value(&mut terms, &leaves);
    let right = machine.value(&mut terms, &leaves);
    let w = lane_bits(clif);
    for low in (0..128).step_by(w as usize) {
        let [a, b]: [Term; 2] = [left, right].map(|side| terms.slice(side, low, w));
        match prover.equal(&mut terms, a, b, &facts)? {
            Equality::Proven => {}
            other => return Ok(other),
        }
    }
    Ok(Equality::Proven)
}

/// Bits in a lane of the result.
fn lane_bits(clif: &Clif) -> u32 {
    match clif {
        Clif::Op { op: Op::Shuffle, .. } => 8,
        Clif::Op { op, args, .. } if op.type_rule() == TypeRule::Bits => {
            args.iter().map(lane_bits).min().unwrap_or(64)
        }
        Clif::Op { op, ty, .. } => op.result_type(*ty).map_or(64, |ty| ty.lane_bits()),
        Clif::Splat(ty, _) => ty.lane_bits(),
        _ => 64,
    }
}

/// What a fact says, lane by lane; nothing for conditions that no instance has.
fn lanes_of(fact: &Fact, terms: &mut Terms, leaves: &[Term]) -> Vec<Term> {
    let w = fact.ty.lane_bits();
    let values: Vec<Term> = fact.values.iter().map(|value| value.value(terms, leaves)).collect();
    let number = fact.number.min(u128::from(w)) as u32;
    let mut lane_fact = |low: u32| {
        let lanes: Vec<Term> = values.iter().map(|value| terms.extract(value, low, w)).collect();
        Some(match (fact.cond.name(), &lanes[..]) {
            ("no_uadd_wrap", [x, y]) => {
                let sum = terms.add(w, x, y);
                let wraps = terms.ult(w, &sum, x);
                terms.bool_not(&wraps)
            }
            (name @ ("no_sadd_wrap" | "no_ssub_wrap"), [x, y]) => {
                let [wide_x, wide_y] = [x, y].map(|lane| terms.sext(lane, w, w + 1));
                let (exact, cut) = match name {
                    "no_sadd_wrap" => (terms.add(w + 1, &wide_x, &wide_y), terms.add(w, x, y)),
                    _ => (terms.sub(w + 1, &wide_x, &wide_y), terms.sub(w, x, y)),
                };
                let again = terms.sext(&cut, w, w + 1);
                terms.eq(w + 1, &exact, &again)
            }
            ("fits_unsigned", [x]) if number < w => {
                let high = terms.extract(x, number, w - number);
                terms.is_zero(&high)
            }
            ("fits_signed", [x]) if (1..w).contains(&number) => {
                let low = terms.extract(x, 0, number);
                let again = terms.sext(&low, number, w);
                terms.eq(w, x, &again)
            }
            _ => return None,
        })
    };
    (0..128 / w).filter_map(|lane| lane_fact(lane * w)).collect()
}
