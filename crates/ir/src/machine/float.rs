//! Meanings on float lanes: those whose bits no NaN leaves open.

use super::meaning::{Call, at, map, mask};
use crate::semantics::{Domain, Float, Rounding, build, float};
use crate::{FloatCc, Op};

/// Meanings on float lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FloatMeaning {
    /// A CLIF op that only changes the sign.
    Sign(Op),
    /// x86's minimum: the second operand unless the first is less.
    Lesser,
    /// x86's maximum: the second operand unless the first is greater.
    Greater,
    /// Ones where the code holds, else zeros.
    Compare(FloatCc),
    /// As `Compare`, by x86's number of the predicate.
    CompareImm,
    /// Integers to floats of the same width.
    FromInt { signed: bool },
    /// The two low signed 32-bit integers to doubles.
    FromLowInt,
    /// Floats to integers of the same width, rounding and saturating; NaN gives 0.
    ToInt { signed: bool, rounding: Rounding },
    /// Floats to signed 32-bit integers, the least one where they do not fit; zeros above.
    ToIntOrLeast(Rounding),
}

/// x86's predicates 0 to 15; the others differ only in when they raise exceptions.
const PREDICATES: [Option<FloatCc>; 16] = [
    Some(FloatCc::Eq),
    Some(FloatCc::Lt),
    Some(FloatCc::Le),
    Some(FloatCc::Uno),
    Some(FloatCc::Ne),
    Some(FloatCc::Uge),
    Some(FloatCc::Ugt),
    Some(FloatCc::Ord),
    Some(FloatCc::Ueq),
    Some(FloatCc::Ult),
    Some(FloatCc::Ule),
    None,
    Some(FloatCc::One),
    Some(FloatCc::Ge),
    Some(FloatCc::Gt),
    None,
];

/// The predicate that always holds; the other without a code never does.
const TRUE: u32 = 15;

impl FloatMeaning {
    pub(super) fn apply<D: Domain>(self, d: &mut D, call: Call<D::Bits>) -> D::Bits {
        let Call { w, imm, args, .. } = call;
        let f = if w == 32 { Float::Single } else { Float::Double };
        match self {
            FloatMeaning::Sign(op) => map(d, w, [&args[0]], |d, [x]| float::unary(d, op, f, &x)),
            FloatMeaning::Lesser => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let less = d.flt(f, &x, &y);
                d.ite(w, &less, &x, &y)
            }),
            FloatMeaning::Greater => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let greater = d.flt(f, &y, &x);
                d.ite(w, &greater, &x, &y)
            }),
            FloatMeaning::Compare(code) => compare(d, call, f, code),
            FloatMeaning::CompareImm => match PREDICATES[(imm % 16) as usize] {
                Some(code) => compare(d, call, f, code),
                None => d.constant(128, if imm % 16 == TRUE { u128::MAX } else { 0 }),
            },
            FloatMeaning::FromInt { signed } => {
                map(d, w, [&args[0]], |d, [x]| d.float_from_int(f, signed, w, &x))
            }
            FloatMeaning::FromLowInt => build(d, 2, 64, |d, index| {
                let x = at(d, 32, &args[0], index);
                d.float_from_int(Float::Double, true, 32, &x)
            }),
            FloatMeaning::ToInt { signed, rounding } => map(d, w, [&args[0]], |d, [x]| {
                let x = match rounding {
                    // What follows truncates.
                    Rounding::Zero => x,
                    _ => d.fround(f, rounding, &x),
                };
                if signed {
                    float::saturate_signed(d, f, w, &x)
                } else {
                    float::saturate_unsigned(d, f, w, &x)
                }
            }),
            FloatMeaning::ToIntOrLeast(rounding) => {
                let n = call.lanes();
                let low = build(d, n, 32, |d, index| {
                    let x = at(d, w, &args[0], index);
                    // Truncation is exact, so the integer's range is asked of the truncated value.
                    let x = d.fround(f, rounding, &x);
                    let inside = float::signed_range(d, f, 32, &x);
                    let least = d.constant(32, 1 << 31);
                    let exact = d.float_to_int(f, true, 32, &x);
                    d.ite(32, &inside, &exact, &least)
                });
                if n == 4 { low } else { d.zext(&low, 64, 128) }
            }
        }
    }
}

fn compare<D: Domain>(d: &mut D, call: Call<D::Bits>, f: Float, code: FloatCc) -> D::Bits {
    map(d, call.w, [&call.args[0], &call.args[1]], |d, [x, y]| {
        let holds = float::compare(d, code, f, &x, &y);
        mask(d, call.w, &holds)
    })
}
