//! One lane of the integer ops.

use super::Domain;
use crate::{IntCc, Op, Ty};

/// Ops of two lanes to one lane of the same width.
pub(crate) fn binary<D: Domain>(d: &mut D, op: Op, ty: Ty, a: &D::Bits, b: &D::Bits) -> D::Bits {
    let w = ty.lane_bits();
    match op {
        Op::Iadd => d.add(w, a, b),
        Op::Isub => d.sub(w, a, b),
        Op::Imul => d.mul(w, a, b),
        Op::Umulhi | Op::Smulhi => {
            let product = wide_product(d, op == Op::Smulhi, w, a, b);
            d.extract(&product, w, w)
        }
        Op::Udiv => d.udiv(w, a, b),
        Op::Sdiv => d.sdiv(w, a, b),
        Op::Urem => d.urem(w, a, b),
        Op::Srem => d.srem(w, a, b),
        Op::Smin | Op::Smax => {
            let less = d.slt(w, a, b);
            if op == Op::Smin { d.ite(w, &less, a, b) } else { d.ite(w, &less, b, a) }
        }
        Op::Umin | Op::Umax => {
            let less = d.ult(w, a, b);
            if op == Op::Umin { d.ite(w, &less, a, b) } else { d.ite(w, &less, b, a) }
        }
        Op::UaddSat => {
            let sum = d.add(w, a, b);
            let carried = d.ult(w, &sum, a);
            let ones = d.constant(w, u128::MAX);
            d.ite(w, &carried, &ones, &sum)
        }
        Op::UsubSat => {
            let difference = d.sub(w, a, b);
            let borrowed = d.ult(w, a, b);
            let zero = d.constant(w, 0);
            d.ite(w, &borrowed, &zero, &difference)
        }
        Op::SaddSat | Op::SsubSat => {
            let (a, b) = (d.sext(a, w, w + 1), d.sext(b, w, w + 1));
            let exact = if op == Op::SaddSat { d.add(w + 1, &a, &b) } else { d.sub(w + 1, &a, &b) };
            clamp_signed(d, w + 1, &exact, w)
        }
        Op::AvgRound => {
            let (a, b) = (d.zext(a, w, w + 1), d.zext(b, w, w + 1));
            let sum = d.add(w + 1, &a, &b);
            let one = d.constant(w + 1, 1);
            let rounded = d.add(w + 1, &sum, &one);
            d.extract(&rounded, 1, w)
        }
        Op::SqmulRoundSat | Op::X86Pmulhrsw => {
            // |a * b| is at most 2^(2w-2), so the rounding term cannot overflow.
            let product = wide_product(d, true, w, a, b);
            let half = d.constant(2 * w, 1 << (w - 2));
            let rounded = d.add(2 * w, &product, &half);
            if op == Op::X86Pmulhrsw {
                return d.extract(&rounded, w - 1, w);
            }
            let kept = d.extract(&rounded, w - 1, w + 1);
            clamp_signed(d, w + 1, &kept, w)
        }
        _ => unreachable!("`apply` sends no other op here"),
    }
}

/// The product of two `w`-bit numbers in `2w` bits.
pub(crate) fn wide_product<D: Domain>(
    d: &mut D,
    signed: bool,
    w: u32,
    a: &D::Bits,
    b: &D::Bits,
) -> D::Bits {
    let (a, b) = if signed {
        (d.sext(a, w, 2 * w), d.sext(b, w, 2 * w))
    } else {
        (d.zext(a, w, 2 * w), d.zext(b, w, 2 * w))
    };
    d.mul(2 * w, &a, &b)
}

/// A signed `w`-bit number saturated to `to` signed bits.
pub(crate) fn clamp_signed<D: Domain>(d: &mut D, w: u32, x: &D::Bits, to: u32) -> D::Bits {
    let greatest = d.constant(w, (1 << (to - 1)) - 1);
    let least = d.constant(w, u128::MAX << (to - 1));
    let (above, below) = (d.slt(w, &greatest, x), d.slt(w, x, &least));
    let x = d.ite(w, &above, &greatest, x);
    let x = d.ite(w, &below, &least, &x);
    d.extract(&x, 0, to)
}

/// A signed `w`-bit number saturated to `to` unsigned bits.
pub(crate) fn clamp_to_unsigned<D: Domain>(d: &mut D, w: u32, x: &D::Bits, to: u32) -> D::Bits {
    let greatest = d.constant(w, (1 << to) - 1);
    let zero = d.constant(w, 0);
    let (above, below) = (d.slt(w, &greatest, x), d.slt(w, x, &zero));
    let x = d.ite(w, &above, &greatest, x);
    let x = d.ite(w, &below, &zero, &x);
    d.extract(&x, 0, to)
}

/// An unsigned `w`-bit number saturated to `to` unsigned bits.
pub(crate) fn clamp_unsigned<D: Domain>(d: &mut D, w: u32, x: &D::Bits, to: u32) -> D::Bits {
    let greatest = d.constant(w, (1 << to) - 1);
    let above = d.ult(w, &greatest, x);
    let x = d.ite(w, &above, &greatest, x);
    d.extract(&x, 0, to)
}

/// Ops of one lane to one lane of the same width.
pub(crate) fn unary<D: Domain>(d: &mut D, op: Op, w: u32, a: &D::Bits) -> D::Bits {
    let zero = d.constant(w, 0);
    match op {
        Op::Ineg => d.sub(w, &zero, a),
        Op::Iabs => {
            let negated = d.sub(w, &zero, a);
            let negative = d.slt(w, a, &zero);
            d.ite(w, &negative, &negated, a)
        }
        Op::Clz | Op::Ctz => count_zeros(d, op == Op::Clz, w, a),
        Op::Popcnt => count_ones(d, w, a),
        _ => unreachable!("`apply` sends no other op here"),
    }
}

/// Zeros above the highest or below the lowest one, by halving the part that may hold it.
fn count_zeros<D: Domain>(d: &mut D, leading: bool, w: u32, a: &D::Bits) -> D::Bits {
    let mut count = d.constant(w, 0);
    let mut rest = a.clone();
    let mut half = w / 2;
    while half > 0 {
        let part = d.extract(&rest, if leading { w - half } else { 0 }, half);
        let clear = d.is_zero(&part);
        let by = d.constant(w, u128::from(half));
        let skipped = if leading { d.shl(w, &rest, &by) } else { d.lshr(w, &rest, &by) };
        let counted = d.add(w, &count, &by);
        rest = d.ite(w, &clear, &skipped, &rest);
        count = d.ite(w, &clear, &counted, &count);
        half /= 2;
    }
    // One bit is left to look at; it is only clear if all were.
    let part = d.extract(&rest, if leading { w - 1 } else { 0 }, 1);
    let clear = d.is_zero(&part);
    let one = d.constant(w, 1);
    let counted = d.add(w, &count, &one);
    d.ite(w, &clear, &counted, &count)
}

/// The number of ones: sums of neighbouring fields, twice as wide each time.
fn count_ones<D: Domain>(d: &mut D, w: u32, a: &D::Bits) -> D::Bits {
    let mut sums = a.clone();
    let mut field = 1;
    while field < w {
        // Ones in the lower half of every field of twice the width: all / (2^field + 1).
        let low_halves = (u128::MAX >> (128 - w)) / ((1 << field) + 1);
        let mask = d.constant(w, low_halves);
        let by = d.constant(w, u128::from(field));
        let high = d.lshr(w, &sums, &by);
        let (high, low) = (d.and(w, &high, &mask), d.and(w, &sums, &mask));
        sums = d.add(w, &high, &low);
        field *= 2;
    }
    sums
}

/// Shifts and rotations by `amount`, a `w`-bit number below `w`.
pub(crate) fn shift<D: Domain>(
    d: &mut D,
    op: Op,
    w: u32,
    a: &D::Bits,
    amount: &D::Bits,
) -> D::Bits {
    match op {
        Op::Ishl => d.shl(w, a, amount),
        Op::Ushr => d.lshr(w, a, amount),
        Op::Sshr => d.ashr(w, a, amount),
        Op::Rotl | Op::Rotr => {
            // The other way by the rest of the width, modulo the width: 0 stays 0.
            let zero = d.constant(w, 0);
            let rest = d.sub(w, &zero, amount);
            let below = d.constant(w, u128::from(w - 1));
            let rest = d.and(w, &rest, &below);
            let (left, right) = if op == Op::Rotl { (amount, &rest) } else { (&rest, amount) };
            let (left, right) = (d.shl(w, a, left), d.lshr(w, a, right));
            d.or(w, &left, &right)
        }
        _ => unreachable!("`apply` sends no other op here"),
    }
}

/// Ops on bits that know no lanes.
pub(crate) fn bitwise<D: Domain>(d: &mut D, op: Op, w: u32, args: &[D::Bits]) -> D::Bits {
    match (op, args) {
        (Op::Band, [a, b]) => d.and(w, a, b),
        (Op::Bor, [a, b]) => d.or(w, a, b),
        (Op::Bxor, [a, b]) => d.xor(w, a, b),
        (Op::Bnot, [a]) => d.not(w, a),
        (Op::Bitselect, [c, a, b]) => {
            let a = d.and(w, c, a);
            let c = d.not(w, c);
            let b = d.and(w, &c, b);
            d.or(w, &a, &b)
        }
        _ => unreachable!("`apply` sends no other op here"),
    }
}

/// Whether `code` holds of two lanes.
pub(crate) fn compare<D: Domain>(
    d: &mut D,
    code: IntCc,
    w: u32,
    a: &D::Bits,
    b: &D::Bits,
) -> D::Bool {
    match code {
        IntCc::Eq => d.eq(w, a, b),
        IntCc::Slt => d.slt(w, a, b),
        IntCc::Ult => d.ult(w, a, b),
        IntCc::Sgt | IntCc::Ugt => compare(d, code.swapped(), w, b, a),
        IntCc::Ne | IntCc::Sge | IntCc::Sle | IntCc::Uge | IntCc::Ule => {
            let opposite = compare(d, code.complement(), w, a, b);
            d.bool_not(&opposite)
        }
    }
}
