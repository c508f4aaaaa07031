//! Ranges of lanes from the bits known of a class.

use super::imm;
use egraft_ir::KnownBits;
use egraft_ir::Ty;

/// The lanes of a value of which some bits are known.
pub(super) struct Lanes(pub(super) Ty, pub(super) KnownBits);

/// One lane of which some bits are known.
#[derive(Clone, Copy)]
pub(super) struct Lane {
    ty: Ty,
    pub(super) zeros: u128,
    pub(super) ones: u128,
}

impl Lane {
    pub(super) fn umin(self) -> u128 {
        self.ones
    }

    pub(super) fn umax(self) -> u128 {
        !self.zeros & self.ty.lane_mask()
    }

    pub(super) fn smin(self) -> i128 {
        // An unknown sign is taken to be set.
        let sign = imm::sign_bit(self.ty) & !self.zeros;
        imm::sext(self.ty, self.ones | sign)
    }

    pub(super) fn smax(self) -> i128 {
        // An unknown sign is taken to be clear.
        let sign = imm::sign_bit(self.ty) & !self.ones;
        imm::sext(self.ty, self.umax() & !sign)
    }
}

impl Lanes {
    fn get(&self, index: u32) -> Lane {
        let Lanes(ty, known) = *self;
        Lane { ty, zeros: ty.lane_of(known.zeros, index), ones: ty.lane_of(known.ones, index) }
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
pub(super) fn both(ty: Ty, x: KnownBits, y: KnownBits, holds: impl Fn(Lane, Lane) -> bool) -> bool {
    let (x, y) = (Lanes(ty, x), Lanes(ty, y));
    // Sums and products of two lanes are computed in 128 bits.
    ty.lane_bits() <= 64 && (0..ty.lanes()).all(|index| holds(x.get(index), y.get(index)))
}

/// Whether a number is in the signed range of a lane.
pub(super) fn in_signed(ty: Ty, number: i128) -> bool {
    imm::fits_signed(number, u128::from(ty.lane_bits()))
}

/// The extreme products of two lanes.
pub(super) fn products(x: Lane, y: Lane) -> [i128; 4] {
    [x.smin() * y.smin(), x.smin() * y.smax(), x.smax() * y.smin(), x.smax() * y.smax()]
}
