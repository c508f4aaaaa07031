//! Machine ops that only move bytes: whatever the immediate, found by what becomes of marked bytes.

use super::goal::{value, vector_ops};
use super::sample::Samples;
use super::term::{Clif, Machine};
use egraft_ir::eval::Concrete;
use egraft_ir::machine::Target;
use rustc_hash::FxHashSet;

/// What stands in a byte that is always 0.
const ZERO: u8 = 0xff;

/// A byte mover and the shuffle that it is.
pub(super) fn moves(target: Target, samples: &Samples) -> Vec<(Machine, Clif)> {
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    let mut ops: Vec<_> = vector_ops(target).filter(|op| op.args().len() <= 2).collect();
    // The cheaper of two ops that move alike.
    ops.sort_by_key(|op| (super::goal::is_extra(op.feature()), op.cost()));
    for op in ops {
        for imm in op.imm_range().unwrap_or(0..=0) {
            let args = (0..op.args().len() as u8).map(Machine::Leaf).collect();
            let machine = Machine::Op { op, imm, args };
            let Some(picks) = picks(&machine) else { continue };
            let Some(term) = shuffle(&picks) else { continue };
            let right = samples
                .leaves
                .iter()
                .map(|leaves| term.value(&mut Concrete, leaves))
                .eq(value(samples, &machine));
            if right && seen.insert(picks) {
                found.push((machine, term));
            }
        }
    }
    found
}

/// By byte of the result: which byte of both operands it is, if it is the same for two markings.
fn picks(machine: &Machine) -> Option<[u8; 16]> {
    let marked = |add: u8| -> [u8; 16] {
        let leaf =
            |first: u8| u128::from_le_bytes(std::array::from_fn(|at| first + at as u8 + add));
        machine.value(&mut Concrete, &[leaf(0), leaf(16)]).to_le_bytes()
    };
    let (first, second) = (marked(1), marked(65));
    let mut picks = [ZERO; 16];
    for (at, pick) in picks.iter_mut().enumerate() {
        *pick = match (first[at], second[at]) {
            (0, 0) => ZERO,
            (byte @ 1..=32, other) if other == byte + 64 => byte - 1,
            _ => return None,
        };
    }
    Some(picks)
}

/// The shuffle that picks these bytes; zeros take the place of an operand.
fn shuffle(picks: &[u8; 16]) -> Option<Clif> {
    let reads = |low: u8, high: u8| picks.iter().any(|pick| (low..high).contains(pick));
    let zeros = picks.contains(&ZERO);
    let (first, second) = (reads(0, 16), reads(16, 32));
    if zeros && first && second || !first && !second {
        return None;
    }
    let only_second = !first;
    let mask = picks.map(|pick| match pick {
        ZERO => 16,
        pick if only_second => pick - 16,
        pick => pick,
    });
    let leaf = Clif::Leaf(u8::from(only_second));
    let other = match (zeros, second) {
        (true, _) => Clif::Splat(egraft_ir::Ty::I8X16, 0),
        (false, true) if !only_second => Clif::Leaf(1),
        _ => Clif::Leaf(u8::from(!only_second)),
    };
    let mask = u128::from_le_bytes(mask);
    let identity = mask == u128::from_le_bytes(std::array::from_fn(|at| at as u8));
    (!identity).then(|| Clif::shuffle(mask, leaf, other))
}
