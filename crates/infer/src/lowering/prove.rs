//! Proof that both sides of a lowering rule are equal, for all operands.

use super::term::{Clif, LEAVES, Machine};
use egraft_ir::{Op, TypeRule};
use egraft_verify::smt::{FloatMode, SolverError, Term, Terms};
use egraft_verify::{Equality, Prover};

/// Whether `machine` computes what `clif` does, lane by lane of the result.
///
/// # Errors
/// [`SolverError`] if a solver is needed and cannot be had.
pub fn prove(prover: &mut Prover, clif: &Clif, machine: &Machine) -> Result<Equality, SolverError> {
    let mut terms = Terms::new(FloatMode::default());
    let leaves = LEAVES.map(|name| terms.var(name, 128));
    let left = clif.value(&mut terms, &leaves);
    let right = machine.value(&mut terms, &leaves);
    let w = lane_bits(clif);
    for low in (0..128).step_by(w as usize) {
        let [a, b]: [Term; 2] = [left, right].map(|side| terms.slice(side, low, w));
        match prover.equal(&mut terms, a, b, &[])? {
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
