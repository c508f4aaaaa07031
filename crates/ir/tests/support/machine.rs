//! Operands for machine ops, and the comparison of what a processor makes of them.

#![allow(dead_code, reason = "each test uses its part")]

use crate::support::value;
use egraft_ir::Ty;
use egraft_ir::machine::{self, Kind, MachineOp};
use rand::Rng;
use rand::rngs::SmallRng;

/// Operands of one application; those that an op does not take are noise.
pub(crate) type Tuple = [u128; 3];

/// Operand tuples for one op with one immediate.
pub(crate) struct Batch {
    pub(crate) op: MachineOp,
    pub(crate) imm: u32,
    pub(crate) tuples: Vec<Tuple>,
}

/// At least so many tuples for each immediate, whatever there are of those.
const LEAST: usize = 24;

/// How often the tests run on new operands: `EGRAFT_MACHINE_ROUNDS`, or once.
pub(crate) fn rounds() -> usize {
    match std::env::var("EGRAFT_MACHINE_ROUNDS") {
        Ok(text) => text.parse().expect("EGRAFT_MACHINE_ROUNDS is a number"),
        Err(_) => 1,
    }
}

/// About `count` tuples for each of `ops`, shared out to its immediates.
pub(crate) fn batches(
    rng: &mut SmallRng,
    ops: impl Iterator<Item = MachineOp>,
    count: usize,
) -> Vec<Batch> {
    let mut batches = Vec::new();
    for op in ops {
        let imms: Vec<u32> = op.imm_range().map_or(vec![0], Iterator::collect);
        let share = (count / imms.len()).max(LEAST);
        for imm in imms {
            let tuples = (0..share).map(|_| tuple(rng, op)).collect();
            batches.push(Batch { op, imm, tuples });
        }
    }
    batches
}

fn tuple(rng: &mut SmallRng, op: MachineOp) -> Tuple {
    let mut tuple: Tuple = std::array::from_fn(|_| operand(rng, op.lane_bits()));
    match rng.random_range(0..16) {
        0 => tuple[1] = tuple[0],
        1 => tuple[2] = tuple[1],
        _ => {}
    }
    tuple
}

/// A vector of lanes of `w` bits, or sometimes of others: edges, noise, and small numbers of both
/// signs, as amounts and selectors are.
fn operand(rng: &mut SmallRng, w: u32) -> u128 {
    let of = |w: u32| Ty::vector_of(int(w)).expect("lanes make vectors");
    match rng.random_range(0..8) {
        0 => {
            let small = |rng: &mut SmallRng| i128::from(rng.random_range(-70..70i8)) as u128;
            (0..128 / w)
                .fold(0, |bits, index| bits | (small(rng) & of(w).lane_mask()) << (index * w))
        }
        1 => {
            let other = [8, 16, 32, 64][rng.random_range(0..4)];
            value(rng, of(other))
        }
        // A count in the low 64 bits.
        2 => value(rng, Ty::I64X2) & (u128::MAX << 64) | rng.random_range(0..70),
        3 if w >= 32 => value(rng, if w == 32 { Ty::F32X4 } else { Ty::F64X2 }),
        _ => value(rng, of(w)),
    }
}

fn int(w: u32) -> Ty {
    match w {
        8 => Ty::I8,
        16 => Ty::I16,
        32 => Ty::I32,
        _ => Ty::I64,
    }
}

/// Where the definition of `op` gives something else than was `found`.
pub(crate) fn difference(
    op: MachineOp,
    imm: u32,
    tuples: &[Tuple],
    found: &[u128],
) -> Option<String> {
    assert_eq!(tuples.len(), found.len(), "one result for each tuple");
    tuples.iter().zip(found).find_map(|(tuple, found)| {
        let args = &tuple[..op.args().len()];
        let defined = machine::eval(op, imm, args).expect("operands and immediate are legal");
        let text = || {
            let args: Vec<String> =
                args.iter().zip(op.args()).map(|(arg, kind)| hex(*arg, *kind)).collect();
            let (found, defined) = (hex(*found, op.result()), hex(defined, op.result()));
            format!("{op} #{imm} on {}:\n  found   {found}\n  defined {defined}", args.join(", "))
        };
        (defined != *found).then(text)
    })
}

fn hex(bits: u128, kind: Kind) -> String {
    let masked = bits & (u128::MAX >> (128 - kind.bits()));
    format!("{masked:#0width$x}", width = kind.bits() as usize / 4 + 2)
}
