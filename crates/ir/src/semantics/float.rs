//! One lane of the float ops, and the conversions.

use super::{Domain, Float, Rounding, build, lane, map1};
use crate::{FloatCc, Node, Op, Ty};

/// The format of the lanes of a float type.
pub(crate) fn format(ty: Ty) -> Float {
    if ty.lane() == Ty::F32 { Float::Single } else { Float::Double }
}

/// `result`, or where that is a NaN the one the domain answers for `inputs`.
fn settle_nan<D: Domain>(d: &mut D, f: Float, result: &D::Bits, inputs: &[&D::Bits]) -> D::Bits {
    let is_nan = d.is_nan(f, result);
    let nan = d.nan_result(f, inputs);
    d.ite(f.bits(), &is_nan, &nan, result)
}

/// Ops of two lanes.
pub(crate) fn binary<D: Domain>(d: &mut D, op: Op, f: Float, a: &D::Bits, b: &D::Bits) -> D::Bits {
    let w = f.bits();
    let result = match op {
        Op::Fadd => d.fadd(f, a, b),
        Op::Fsub => d.fsub(f, a, b),
        Op::Fmul => d.fmul(f, a, b),
        Op::Fdiv => d.fdiv(f, a, b),
        Op::Fmin | Op::Fmax => return extremum(d, op, f, a, b),
        Op::Fcopysign => {
            let (sign, rest) = (d.constant(w, f.sign_mask()), d.constant(w, f.sign_mask() - 1));
            let (sign, rest) = (d.and(w, b, &sign), d.and(w, a, &rest));
            return d.or(w, &sign, &rest);
        }
        _ => unreachable!("`apply` sends no other op here"),
    };
    settle_nan(d, f, &result, &[a, b])
}

/// Minimum and maximum of IEEE 754-2019.
fn extremum<D: Domain>(d: &mut D, op: Op, f: Float, a: &D::Bits, b: &D::Bits) -> D::Bits {
    let w = f.bits();
    let (less, greater) = (d.flt(f, a, b), d.flt(f, b, a));
    // Neither less: the bits are equal or are two zeros, of which -0 is the lesser.
    let (if_less, if_greater, if_equal) =
        if op == Op::Fmin { (a, b, d.or(w, a, b)) } else { (b, a, d.and(w, a, b)) };
    let number = d.ite(w, &greater, if_greater, &if_equal);
    let number = d.ite(w, &less, if_less, &number);
    let (nan_a, nan_b) = (d.is_nan(f, a), d.is_nan(f, b));
    let any_nan = d.bool_or(&nan_a, &nan_b);
    let nan = d.nan_result(f, &[a, b]);
    d.ite(w, &any_nan, &nan, &number)
}

/// Ops of one lane.
pub(crate) fn unary<D: Domain>(d: &mut D, op: Op, f: Float, a: &D::Bits) -> D::Bits {
    let w = f.bits();
    let result = match op {
        Op::Fneg => {
            let sign = d.constant(w, f.sign_mask());
            return d.xor(w, a, &sign);
        }
        Op::Fabs => {
            let rest = d.constant(w, f.sign_mask() - 1);
            return d.and(w, a, &rest);
        }
        Op::Sqrt => d.fsqrt(f, a),
        Op::Ceil => d.fround(f, Rounding::Up, a),
        Op::Floor => d.fround(f, Rounding::Down, a),
        Op::Trunc => d.fround(f, Rounding::Zero, a),
        Op::Nearest => d.fround(f, Rounding::Nearest, a),
        _ => unreachable!("`apply` sends no other op here"),
    };
    settle_nan(d, f, &result, &[a])
}

/// Fused multiply-add, lane by lane.
pub(crate) fn fma<D: Domain>(d: &mut D, ty: Ty, args: &[D::Bits]) -> D::Bits {
    let f = format(ty);
    build(d, ty.lanes(), f.bits(), |d, index| {
        let a = lane(d, ty, &args[0], index);
        let b = lane(d, ty, &args[1], index);
        let c = lane(d, ty, &args[2], index);
        let result = d.ffma(f, &a, &b, &c);
        settle_nan(d, f, &result, &[&a, &b, &c])
    })
}

/// Whether `code` holds of two lanes.
pub(crate) fn compare<D: Domain>(
    d: &mut D,
    code: FloatCc,
    f: Float,
    a: &D::Bits,
    b: &D::Bits,
) -> D::Bool {
    let either = |d: &mut D, one: FloatCc, other: FloatCc| {
        let (one, other) = (compare(d, one, f, a, b), compare(d, other, f, a, b));
        d.bool_or(&one, &other)
    };
    let unless = |d: &mut D, code: FloatCc| {
        let opposite = compare(d, code, f, a, b);
        d.bool_not(&opposite)
    };
    match code {
        FloatCc::Eq => d.feq(f, a, b),
        FloatCc::Lt => d.flt(f, a, b),
        FloatCc::Gt => d.flt(f, b, a),
        FloatCc::Uno => {
            let (nan_a, nan_b) = (d.is_nan(f, a), d.is_nan(f, b));
            d.bool_or(&nan_a, &nan_b)
        }
        FloatCc::Ord => unless(d, FloatCc::Uno),
        FloatCc::Ne => unless(d, FloatCc::Eq),
        FloatCc::One => either(d, FloatCc::Lt, FloatCc::Gt),
        FloatCc::Ueq => unless(d, FloatCc::One),
        FloatCc::Le => either(d, FloatCc::Lt, FloatCc::Eq),
        FloatCc::Ge => either(d, FloatCc::Gt, FloatCc::Eq),
        FloatCc::Ult => unless(d, FloatCc::Ge),
        FloatCc::Ule => unless(d, FloatCc::Gt),
        FloatCc::Ugt => unless(d, FloatCc::Le),
        FloatCc::Uge => unless(d, FloatCc::Lt),
    }
}

/// Conversions from and to floats.
pub(crate) fn convert<D: Domain>(d: &mut D, node: &Node, x: &D::Bits) -> D::Bits {
    let Node { op, ty, from, .. } = *node;
    let w = ty.lane_bits();
    match op {
        Op::Fpromote | Op::Fdemote => change_format(d, format(from), format(ty), x),
        Op::FvpromoteLow => build(d, 2, 64, |d, index| {
            let x = lane(d, from, x, index);
            change_format(d, Float::Single, Float::Double, &x)
        }),
        Op::Fvdemote => {
            let low = build(d, 2, 32, |d, index| {
                let x = lane(d, from, x, index);
                change_format(d, Float::Double, Float::Single, &x)
            });
            d.zext(&low, 64, 128)
        }
        Op::FcvtToUintSat => map1(d, ty, from, x, |d, x| saturate_unsigned(d, format(from), w, x)),
        Op::FcvtToSintSat => map1(d, ty, from, x, |d, x| saturate_signed(d, format(from), w, x)),
        Op::X86Cvtt2dq => map1(d, ty, from, x, |d, x| {
            let f = format(from);
            let inside = signed_range(d, f, w, x);
            let least = d.constant(w, 1 << (w - 1));
            let exact = d.float_to_int(f, true, w, x);
            d.ite(w, &inside, &exact, &least)
        }),
        Op::FcvtFromUint | Op::FcvtFromSint => {
            let signed = op == Op::FcvtFromSint;
            map1(d, ty, from, x, |d, x| d.float_from_int(format(ty), signed, from.lane_bits(), x))
        }
        _ => unreachable!("`apply` sends no other op here"),
    }
}

fn change_format<D: Domain>(d: &mut D, from: Float, to: Float, x: &D::Bits) -> D::Bits {
    let result = d.fconvert(from, to, x);
    settle_nan(d, to, &result, &[])
}

/// Whether -2^(w-1) <= x < 2^(w-1): enough for `x` to fit, and where the format has no fractions at
/// that size also needed.
pub(crate) fn signed_range<D: Domain>(d: &mut D, f: Float, w: u32, x: &D::Bits) -> D::Bool {
    let limit = f.power_of_two(w - 1);
    let (above, least) = (d.constant(f.bits(), limit), d.constant(f.bits(), limit | f.sign_mask()));
    let below_limit = d.flt(f, x, &above);
    let at_least = compare(d, FloatCc::Ge, f, x, &least);
    d.bool_and(&below_limit, &at_least)
}

pub(crate) fn saturate_signed<D: Domain>(d: &mut D, f: Float, w: u32, x: &D::Bits) -> D::Bits {
    let limit = f.power_of_two(w - 1);
    let (limit, least) = (d.constant(f.bits(), limit), d.constant(f.bits(), limit | f.sign_mask()));
    // What lies between -2^(w-1) and -2^(w-1) - 1 rounds to the least integer: both say the same.
    let (inside, below) = (d.flt(f, x, &limit), d.flt(f, x, &least));
    let exact = d.float_to_int(f, true, w, x);
    let (int_least, int_greatest) =
        (d.constant(w, 1 << (w - 1)), d.constant(w, (1 << (w - 1)) - 1));
    let result = d.ite(w, &inside, &exact, &int_greatest);
    let result = d.ite(w, &below, &int_least, &result);
    zero_if_nan(d, f, w, x, &result)
}

pub(crate) fn saturate_unsigned<D: Domain>(d: &mut D, f: Float, w: u32, x: &D::Bits) -> D::Bits {
    let limit = d.constant(f.bits(), f.power_of_two(w));
    let float_zero = d.constant(f.bits(), 0);
    let (inside, below) = (d.flt(f, x, &limit), d.flt(f, x, &float_zero));
    let exact = d.float_to_int(f, false, w, x);
    let (zero, greatest) = (d.constant(w, 0), d.constant(w, u128::MAX));
    let result = d.ite(w, &inside, &exact, &greatest);
    let result = d.ite(w, &below, &zero, &result);
    zero_if_nan(d, f, w, x, &result)
}

fn zero_if_nan<D: Domain>(d: &mut D, f: Float, w: u32, x: &D::Bits, result: &D::Bits) -> D::Bits {
    let is_nan = d.is_nan(f, x);
    let zero = d.constant(w, 0);
    d.ite(w, &is_nan, &zero, result)
}
