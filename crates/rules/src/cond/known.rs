//! Ranges of lanes from what is known of a class.
//!
//! Invariant: a range has every lane that both facts, known bits and sign copies, allow.

use super::imm;
use egraft_ir::semantics::Float;
use egraft_ir::{Annotation, Facts, OfFloat, POWERS, Ty};

/// The lanes of a value of which something is known.
pub(super) struct Lanes(pub(super) Ty, pub(super) Facts);

/// One lane of which something is known.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    ty: Ty,
    /// What is known of the lane as a scalar.
    facts: Facts,
    pub(super) zeros: u128,
    pub(super) ones: u128,
}

impl Lane {
    pub(super) fn umin(self) -> u128 {
        // Numbers of one sign are in the same order, signed and unsigned.
        let (least, greatest) = self.signed_range();
        let of_one_sign = least >= 0 || greatest < 0;
        self.ones.max(if of_one_sign { least as u128 & self.ty.lane_mask() } else { 0 })
    }

    pub(super) fn umax(self) -> u128 {
        let (least, greatest) = self.signed_range();
        let of_one_sign = least >= 0 || greatest < 0;
        let known = !self.zeros & self.ty.lane_mask();
        if of_one_sign { known.min(greatest as u128 & self.ty.lane_mask()) } else { known }
    }

    pub(super) fn smin(self) -> i128 {
        self.signed_range().0
    }

    pub(super) fn smax(self) -> i128 {
        self.signed_range().1
    }

    fn signed_range(self) -> (i128, i128) {
        self.facts.lane_range(self.ty.lane(), 0)
    }
}

impl Lanes {
    fn get(&self, index: u32) -> Lane {
        let Lanes(ty, facts) = *self;
        let lane = facts.lane(ty, index);
        let mask = ty.lane_mask();
        Lane { ty, facts: lane, zeros: lane.bits.zeros & mask, ones: lane.bits.ones & mask }
    }

    /// The number of low bits that may be set in any lane.
    pub(super) fn used(&self) -> u128 {
        let Lanes(ty, _) = *self;
        (0..ty.lanes())
            .map(|index| 128 - self.get(index).umax().leading_zeros())
            .max()
            .map_or(0, u128::from)
    }

    /// Whether `holds` is true of every lane.
    pub(super) fn all(&self, holds: impl Fn(Lane) -> bool) -> bool {
        (0..self.0.lanes()).all(|index| holds(self.get(index)))
    }
}

/// Whether `holds` is true of every pair of lanes of `x` and `y`.
pub(super) fn both(ty: Ty, x: Facts, y: Facts, holds: impl Fn(Lane, Lane) -> bool) -> bool {
    let (x, y) = (Lanes(ty, x), Lanes(ty, y));
    // Sums and products of two lanes are computed in 128 bits.
    ty.lane_bits() <= 64 && (0..ty.lanes()).all(|index| holds(x.get(index), y.get(index)))
}

/// Whether all of this is known of every float lane.
pub(super) fn floats(ty: Ty, x: Facts, all: &[OfFloat]) -> bool {
    let Some(float) = Float::of_lanes(ty) else { return false };
    all.iter().all(|of| x.has(ty, Annotation::Float(float, *of)))
}

/// Whether every float lane is known to be of magnitude below 2^n, or a NaN.
pub(super) fn within(ty: Ty, x: Facts, n: u128) -> bool {
    let power = POWERS.iter().find(|power| u128::from(**power) <= n);
    power.is_some_and(|n| floats(ty, x, &[OfFloat::Under(*n), OfFloat::Over(*n)]))
}

/// Whether a number is in the signed range of a lane.
pub(super) fn in_signed(ty: Ty, number: i128) -> bool {
    imm::fits_signed(number, u128::from(ty.lane_bits()))
}

/// The extreme products of two lanes.
pub(super) fn products(x: Lane, y: Lane) -> [i128; 4] {
    [x.smin() * y.smin(), x.smin() * y.smax(), x.smax() * y.smin(), x.smax() * y.smax()]
}
