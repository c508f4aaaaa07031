//! What the ops of a family compute, and the lanes they compute it on.
//!
//! Each kind of meaning has its own module; this one only sends on. Invariant: nothing here knows a
//! target or a name, so two targets' instructions that do the same share a meaning.

use super::{float::FloatMeaning, lanes::Lanewise, moves::Move, shifts::Shift, sums::Sum};
use crate::Ty;
use crate::semantics::{Domain, build};

/// What the ops of a family compute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// Lane by lane.
    Lanes(Lanewise),
    /// Shifts and rotations.
    Shift(Shift),
    /// Sums, products and minima of several lanes.
    Sum(Sum),
    /// Lanes that change place.
    Move(Move),
    /// Lanes that are floats.
    Float(FloatMeaning),
}

/// One use of an op.
pub(super) struct Call<'a, B> {
    /// Bits in a lane of the operands.
    pub(super) w: u32,
    /// Whether this is the member for the upper half.
    pub(super) high: bool,
    pub(super) imm: u32,
    pub(super) args: &'a [B],
}

impl<B> Clone for Call<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Call<'_, B> {}

impl<B> Call<'_, B> {
    /// Lanes in a vector.
    pub(super) fn lanes(&self) -> u32 {
        128 / self.w
    }
}

/// What `meaning` computes from `args` in lanes of `w` bits.
pub(super) fn apply<D: Domain>(
    d: &mut D,
    meaning: Meaning,
    w: u32,
    high: bool,
    imm: u32,
    args: &[D::Bits],
) -> D::Bits {
    let call = Call { w, high, imm, args };
    match meaning {
        Meaning::Lanes(meaning) => meaning.apply(d, call),
        Meaning::Shift(meaning) => meaning.apply(d, call),
        Meaning::Sum(meaning) => meaning.apply(d, call),
        Meaning::Move(meaning) => meaning.apply(d, call),
        Meaning::Float(meaning) => meaning.apply(d, call),
    }
}

/// The integer scalar as wide as a lane, by which CLIF's lane definitions are asked.
pub(super) fn scalar(w: u32) -> Ty {
    match w {
        8 => Ty::I8,
        16 => Ty::I16,
        32 => Ty::I32,
        64 => Ty::I64,
        _ => unreachable!("tables have no other lane widths"),
    }
}

/// Lane `index`, of `w` bits, of a vector.
pub(super) fn at<D: Domain>(d: &mut D, w: u32, x: &D::Bits, index: u32) -> D::Bits {
    d.extract(x, index * w, w)
}

/// A vector of lanes computed from the lanes of `args` in the same place.
pub(super) fn map<D: Domain, const N: usize>(
    d: &mut D,
    w: u32,
    args: [&D::Bits; N],
    mut lane: impl FnMut(&mut D, [D::Bits; N]) -> D::Bits,
) -> D::Bits {
    build(d, 128 / w, w, |d, index| {
        let lanes = args.map(|x| at(d, w, x, index));
        lane(d, lanes)
    })
}

/// `x`, of `from` bits, in `to` bits.
pub(super) fn extend<D: Domain>(
    d: &mut D,
    signed: bool,
    x: &D::Bits,
    from: u32,
    to: u32,
) -> D::Bits {
    match signed {
        _ if from == to => x.clone(),
        true => d.sext(x, from, to),
        false => d.zext(x, from, to),
    }
}

/// A bit mask of `w` bits: ones if `holds`.
pub(super) fn mask<D: Domain>(d: &mut D, w: u32, holds: &D::Bool) -> D::Bits {
    let (ones, zeros) = (d.constant(w, u128::MAX), d.constant(w, 0));
    d.ite(w, holds, &ones, &zeros)
}
