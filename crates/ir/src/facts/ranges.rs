//! What the ranges of lanes say of a result, beyond what the primitives see one by one.
//!
//! Invariant: every answer holds by itself; it is intersected with the general one.

use super::KnownBits;
use crate::{Node, Op, Ty};

/// What is known of the result of a well-formed `node` by the ranges of its operands' lanes;
/// nothing where ranges do not help.
pub(super) fn sharpen(node: &Node, args: &[KnownBits]) -> KnownBits {
    let Node { op, ty, .. } = *node;
    match op {
        Op::Umin
        | Op::Umax
        | Op::UaddSat
        | Op::UsubSat
        | Op::Smin
        | Op::Smax
        | Op::SaddSat
        | Op::SsubSat => lanes(ty, |index| {
            binary(op, ty.lane_bits(), args[0].lane(ty, index), args[1].lane(ty, index))
        }),
        Op::Iabs | Op::Popcnt | Op::Clz | Op::Ctz => {
            lanes(ty, |index| unary(op, ty.lane_bits(), args[0].lane(ty, index)))
        }
        Op::Snarrow | Op::Unarrow | Op::Uunarrow => {
            let Some(narrow) = ty.narrowed() else { return KnownBits::unknown() };
            lanes(narrow, |index| {
                let n = ty.lanes();
                narrowed(op, ty.lane_bits(), args[(index / n) as usize].lane(ty, index % n))
            })
        }
        _ => KnownBits::unknown(),
    }
}

/// Facts about the lanes of `ty`, put together.
fn lanes(ty: Ty, of: impl Fn(u32) -> KnownBits) -> KnownBits {
    let mut all = KnownBits::of_type(ty);
    for index in 0..ty.lanes() {
        let (fact, below) = (of(index), index * ty.lane_bits());
        all.zeros |= (fact.zeros & ty.lane_mask()) << below;
        all.ones |= (fact.ones & ty.lane_mask()) << below;
    }
    all
}

/// The unsigned range of a lane; its upper bits are known zeros.
fn unsigned(lane: KnownBits) -> (u128, u128) {
    (lane.ones, !lane.zeros)
}

fn binary(op: Op, w: u32, a: KnownBits, b: KnownBits) -> KnownBits {
    let all = u128::MAX >> (128 - w);
    let ((ua0, ua1), (ub0, ub1)) = (unsigned(a), unsigned(b));
    let ((sa0, sa1), (sb0, sb1)) = (a.signed_range(w), b.signed_range(w));
    let (least, greatest) = (i128::MIN >> (128 - w), i128::MAX >> (128 - w));
    let signed = |low: i128, high: i128| {
        KnownBits::from_signed_range(w, low.clamp(least, greatest), high.clamp(least, greatest))
    };
    // Lanes have at most 64 bits, but contradicting facts may give bounds of any size.
    match op {
        Op::Umin => KnownBits::from_range(w, ua0.min(ub0), ua1.min(ub1)),
        Op::Umax => KnownBits::from_range(w, ua0.max(ub0), ua1.max(ub1)),
        Op::UaddSat => KnownBits::from_range(
            w,
            ua0.saturating_add(ub0).min(all),
            ua1.saturating_add(ub1).min(all),
        ),
        Op::UsubSat => KnownBits::from_range(w, ua0.saturating_sub(ub1), ua1.saturating_sub(ub0)),
        Op::Smin => signed(sa0.min(sb0), sa1.min(sb1)),
        Op::Smax => signed(sa0.max(sb0), sa1.max(sb1)),
        Op::SaddSat => signed(sa0.saturating_add(sb0), sa1.saturating_add(sb1)),
        Op::SsubSat => signed(sa0.saturating_sub(sb1), sa1.saturating_sub(sb0)),
        _ => KnownBits::unknown(),
    }
}

fn unary(op: Op, w: u32, a: KnownBits) -> KnownBits {
    let above = 128 - w;
    let (low, high) = unsigned(a);
    let bits_from = |low: u32, high: u32| KnownBits::from_range(w, low.into(), high.into());
    match op {
        Op::Iabs => {
            let (low, high) = a.signed_range(w);
            let nearest = if low > 0 {
                low
            } else if high < 0 {
                high
            } else {
                0
            };
            // The least integer maps to itself: as an unsigned number that is its magnitude.
            let farthest = low.unsigned_abs().max(high.unsigned_abs());
            KnownBits::from_range(w, nearest.unsigned_abs(), farthest)
        }
        Op::Popcnt => bits_from(a.ones.count_ones(), high.count_ones()),
        Op::Clz => bits_from(
            high.leading_zeros().saturating_sub(above),
            low.leading_zeros().saturating_sub(above),
        ),
        Op::Ctz => bits_from(a.zeros.trailing_ones().min(w), a.ones.trailing_zeros().min(w)),
        _ => KnownBits::unknown(),
    }
}

fn narrowed(op: Op, w: u32, a: KnownBits) -> KnownBits {
    let half = w / 2;
    let all = u128::MAX >> (128 - half);
    let (low, high) = a.signed_range(w);
    match op {
        Op::Snarrow => {
            let (least, greatest) = (i128::MIN >> (128 - half), i128::MAX >> (128 - half));
            KnownBits::from_signed_range(
                half,
                low.clamp(least, greatest),
                high.clamp(least, greatest),
            )
        }
        Op::Unarrow => {
            let clamp = |x: i128| x.max(0).unsigned_abs().min(all);
            KnownBits::from_range(half, clamp(low), clamp(high))
        }
        Op::Uunarrow => {
            let (low, high) = unsigned(a);
            KnownBits::from_range(half, low.min(all), high.min(all))
        }
        _ => KnownBits::unknown(),
    }
}
