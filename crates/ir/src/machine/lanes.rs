//! Meanings lane by lane, and those that widen or narrow lanes on the way. No shifts.

use super::meaning::{Call, at, extend, map, mask, scalar};
use crate::semantics::{Domain, build, int};
use crate::{IntCc, Op};

/// How a result joins an accumulator, the first operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Into {
    /// There is none.
    Nothing,
    /// It is added.
    Sum,
    /// It is subtracted.
    Difference,
}

/// Arithmetic on lanes that were widened, so that nothing overflows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Exact {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Absolute value of the difference.
    AbsDiff,
    /// Product.
    Mul,
}

/// How a lane is cut to fewer bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    /// The low bits.
    Wrap,
    /// Signed, saturated to signed.
    Signed,
    /// Signed, saturated to unsigned.
    ToUnsigned,
    /// Unsigned, saturated to unsigned.
    Unsigned,
}

impl Cut {
    /// `x`, of `from` bits, in `to` bits.
    pub(super) fn apply<D: Domain>(self, d: &mut D, x: &D::Bits, from: u32, to: u32) -> D::Bits {
        match self {
            Cut::Wrap => d.extract(x, 0, to),
            Cut::Signed => int::clamp_signed(d, from, x, to),
            Cut::ToUnsigned => int::clamp_to_unsigned(d, from, x, to),
            Cut::Unsigned => int::clamp_unsigned(d, from, x, to),
        }
    }
}

/// Meanings lane by lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lanewise {
    /// What a CLIF op of one operand computes.
    One(Op),
    /// What a CLIF op of two operands computes.
    Two(Op),
    /// Ones where the code holds, else zeros.
    Compare(IntCc),
    /// Ones where the code holds of the lane and 0.
    CompareZero(IntCc),
    /// Ones where the lanes have a common one bit.
    Test,
    /// The product joined into the first operand.
    MulInto(Into),
    /// Absolute value of the difference.
    AbsDiff { signed: bool, into: Into },
    /// Half of the sum or difference, computed without overflow.
    Halving { signed: bool, sub: bool, round: bool },
    /// The negation, or the absolute value, saturated.
    SaturatingNeg { abs: bool },
    /// The first lane with its sign flipped where the second is negative; 0 where that is 0.
    Sign,
    /// High half of twice the product, saturated.
    DoubledMulHigh,
    /// The first operand joined with the rounded high half of twice the product, saturated.
    DoubledMulHighInto { sub: bool },
    /// How often the sign bit is repeated below it.
    LeadingSigns,
    /// The bits of each lane in reverse.
    ReverseBits,

    /// A CLIF op on all bits.
    Bits(Op),
    /// Complement of the first operand, and the second.
    NotAnd,
    /// The first operand, and the complement of the second.
    AndNot,
    /// The first operand, or the complement of the second.
    OrNot,
    /// `(c & x) | (!c & y)` of the operands with these numbers.
    Bitselect { c: usize, x: usize, y: usize },
    /// Exclusive or of three.
    Xor3,
    /// The first operand, exclusive or with the second where the third is 0.
    XorAndNot,
    /// Any function of three bits: bit `4a + 2b + c` of the immediate.
    Ternary,

    /// Lanes of one half of the operands, widened twofold.
    Widening { exact: Exact, signed: bool, into: Into },
    /// As `Widening`, where the first operand has wide lanes already.
    WideningSecond { exact: Exact, signed: bool },
    /// The high half of each sum or difference, as lanes of half the width.
    NarrowHigh { sub: bool, round: bool },
    /// Each lane cut to half the width, into one half of the result.
    Narrow(Cut),
    /// Lanes of both operands cut to half the width.
    Pack(Cut),
    /// Lanes cut to `to` bits, zeros above.
    Truncate { cut: Cut, to: u32 },
    /// The low lanes extended to `to` bits.
    Extend { signed: bool, to: u32 },
}

impl Lanewise {
    pub(super) fn apply<D: Domain>(self, d: &mut D, call: Call<D::Bits>) -> D::Bits {
        let Call { w, imm, args, .. } = call;
        match self {
            Lanewise::One(op) => map(d, w, [&args[0]], |d, [x]| int::unary(d, op, w, &x)),
            Lanewise::Two(op) => {
                map(d, w, [&args[0], &args[1]], |d, [x, y]| int::binary(d, op, scalar(w), &x, &y))
            }
            Lanewise::Compare(code) => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let holds = int::compare(d, code, w, &x, &y);
                mask(d, w, &holds)
            }),
            Lanewise::CompareZero(code) => map(d, w, [&args[0]], |d, [x]| {
                let zero = d.constant(w, 0);
                let holds = int::compare(d, code, w, &x, &zero);
                mask(d, w, &holds)
            }),
            Lanewise::Test => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let common = d.and(w, &x, &y);
                let none = d.is_zero(&common);
                let any = d.bool_not(&none);
                mask(d, w, &any)
            }),
            Lanewise::MulInto(into) => map(d, w, [&args[0], &args[1], &args[2]], |d, [z, x, y]| {
                let product = d.mul(w, &x, &y);
                join(d, into, w, &z, &product)
            }),
            Lanewise::AbsDiff { signed, into: Into::Nothing } => {
                map(d, w, [&args[0], &args[1]], |d, [x, y]| abs_diff(d, signed, w, &x, &y))
            }
            Lanewise::AbsDiff { signed, into } => {
                map(d, w, [&args[0], &args[1], &args[2]], |d, [z, x, y]| {
                    let difference = abs_diff(d, signed, w, &x, &y);
                    join(d, into, w, &z, &difference)
                })
            }
            Lanewise::Halving { signed, sub, round } => {
                map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                    let (x, y) = (extend(d, signed, &x, w, w + 1), extend(d, signed, &y, w, w + 1));
                    let sum = if sub { d.sub(w + 1, &x, &y) } else { d.add(w + 1, &x, &y) };
                    let up = d.constant(w + 1, u128::from(round));
                    let sum = d.add(w + 1, &sum, &up);
                    d.extract(&sum, 1, w)
                })
            }
            Lanewise::SaturatingNeg { abs } => map(d, w, [&args[0]], |d, [x]| {
                let zero = d.constant(w, 0);
                let negated = int::binary(d, Op::SsubSat, scalar(w), &zero, &x);
                if !abs {
                    return negated;
                }
                let negative = d.slt(w, &x, &zero);
                d.ite(w, &negative, &negated, &x)
            }),
            Lanewise::Sign => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let zero = d.constant(w, 0);
                let negated = d.sub(w, &zero, &x);
                let (negative, none) = (d.slt(w, &y, &zero), d.is_zero(&y));
                let signed = d.ite(w, &negative, &negated, &x);
                d.ite(w, &none, &zero, &signed)
            }),
            Lanewise::DoubledMulHigh => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let product = int::wide_product(d, true, w, &x, &y);
                let high = d.extract(&product, w - 1, w + 1);
                int::clamp_signed(d, w + 1, &high, w)
            }),
            Lanewise::DoubledMulHighInto { sub } => {
                map(d, w, [&args[0], &args[1], &args[2]], |d, [z, x, y]| {
                    // |x * y| is at most 2^(2w-2) and |z * 2^(w-1)| too, so 2w + 1 bits hold the
                    // sum.
                    let wide = 2 * w + 1;
                    let product = int::wide_product(d, true, w, &x, &y);
                    let product = d.sext(&product, 2 * w, wide);
                    let zeros = d.constant(w - 1, 0);
                    let z = d.concat(&z, w, &zeros, w - 1);
                    let z = d.sext(&z, 2 * w - 1, wide);
                    let sum =
                        if sub { d.sub(wide, &z, &product) } else { d.add(wide, &z, &product) };
                    let half = d.constant(wide, 1 << (w - 2));
                    let sum = d.add(wide, &sum, &half);
                    let high = d.extract(&sum, w - 1, w + 2);
                    int::clamp_signed(d, w + 2, &high, w)
                })
            }
            Lanewise::LeadingSigns => map(d, w, [&args[0]], |d, [x]| {
                // Bits that differ from the one below; the lowest counts as one that does.
                let (one, last) = (d.constant(w, 1), d.constant(w, u128::from(w - 1)));
                let by_one = d.shl(w, &x, &one);
                let changes = d.xor(w, &x, &by_one);
                let count = int::unary(d, Op::Clz, w, &changes);
                let all = d.ult(w, &last, &count);
                d.ite(w, &all, &last, &count)
            }),
            Lanewise::ReverseBits => map(d, w, [&args[0]], |d, [x]| {
                build(d, w, 1, |d, bit| d.extract(&x, w - 1 - bit, 1))
            }),

            Lanewise::Bits(op) => int::bitwise(d, op, 128, args),
            Lanewise::NotAnd => and_not(d, &args[1], &args[0]),
            Lanewise::AndNot => and_not(d, &args[0], &args[1]),
            Lanewise::OrNot => {
                let complement = d.not(128, &args[1]);
                d.or(128, &args[0], &complement)
            }
            Lanewise::Bitselect { c, x, y } => {
                let args = [args[c].clone(), args[x].clone(), args[y].clone()];
                int::bitwise(d, Op::Bitselect, 128, &args)
            }
            Lanewise::Xor3 => {
                let both = d.xor(128, &args[0], &args[1]);
                d.xor(128, &both, &args[2])
            }
            Lanewise::XorAndNot => {
                let kept = and_not(d, &args[1], &args[2]);
                d.xor(128, &args[0], &kept)
            }
            Lanewise::Ternary => ternary(d, imm, args),

            Lanewise::Widening { exact, signed, into } => {
                let first = usize::from(into != Into::Nothing);
                widened(d, call, |d, index, wide| {
                    let [x, y] = [0, 1].map(|arg| half_lane(d, call, signed, first + arg, index));
                    let result = exact.apply(d, signed, 2 * w, &x, &y);
                    if into == Into::Nothing {
                        return result;
                    }
                    let z = at(d, wide, &args[0], index);
                    join(d, into, wide, &z, &result)
                })
            }
            Lanewise::WideningSecond { exact, signed } => widened(d, call, |d, index, wide| {
                let (x, y) = (at(d, wide, &args[0], index), half_lane(d, call, signed, 1, index));
                exact.apply(d, signed, wide, &x, &y)
            }),
            Lanewise::NarrowHigh { sub, round } => {
                let first = usize::from(call.high);
                narrowed(d, call, |d, index| {
                    let [x, y] = [0, 1].map(|arg| at(d, w, &args[first + arg], index));
                    let sum = if sub { d.sub(w, &x, &y) } else { d.add(w, &x, &y) };
                    let up = d.constant(w, if round { 1 << (w / 2 - 1) } else { 0 });
                    let sum = d.add(w, &sum, &up);
                    d.extract(&sum, w / 2, w / 2)
                })
            }
            Lanewise::Narrow(cut) => {
                let source = usize::from(call.high);
                narrowed(d, call, |d, index| {
                    let x = at(d, w, &args[source], index);
                    cut.apply(d, &x, w, w / 2)
                })
            }
            Lanewise::Pack(cut) => build(d, 2 * call.lanes(), w / 2, |d, index| {
                let n = call.lanes();
                let x = at(d, w, &args[(index / n) as usize], index % n);
                cut.apply(d, &x, w, w / 2)
            }),
            Lanewise::Truncate { cut, to } => {
                let n = call.lanes();
                let low = build(d, n, to, |d, index| {
                    let x = at(d, w, &args[0], index);
                    cut.apply(d, &x, w, to)
                });
                d.zext(&low, n * to, 128)
            }
            Lanewise::Extend { signed, to } => build(d, 128 / to, to, |d, index| {
                let x = at(d, w, &args[0], index);
                extend(d, signed, &x, w, to)
            }),
        }
    }
}

impl Exact {
    /// Of two numbers of `w` bits that are sign- or zero-extended.
    fn apply<D: Domain>(
        self,
        d: &mut D,
        signed: bool,
        w: u32,
        x: &D::Bits,
        y: &D::Bits,
    ) -> D::Bits {
        match self {
            Exact::Add => d.add(w, x, y),
            Exact::Sub => d.sub(w, x, y),
            Exact::AbsDiff => abs_diff(d, signed, w, x, y),
            Exact::Mul => d.mul(w, x, y),
        }
    }
}

/// `z`, and `x` joined into it.
pub(super) fn join<D: Domain>(d: &mut D, into: Into, w: u32, z: &D::Bits, x: &D::Bits) -> D::Bits {
    match into {
        Into::Nothing => x.clone(),
        Into::Sum => d.add(w, z, x),
        Into::Difference => d.sub(w, z, x),
    }
}

/// The greater less the lesser.
pub(super) fn abs_diff<D: Domain>(
    d: &mut D,
    signed: bool,
    w: u32,
    x: &D::Bits,
    y: &D::Bits,
) -> D::Bits {
    let less = if signed { d.slt(w, x, y) } else { d.ult(w, x, y) };
    let (forth, back) = (d.sub(w, x, y), d.sub(w, y, x));
    d.ite(w, &less, &back, &forth)
}

fn and_not<D: Domain>(d: &mut D, x: &D::Bits, y: &D::Bits) -> D::Bits {
    let complement = d.not(128, y);
    d.and(128, x, &complement)
}

/// The union of those of eight cases that `table` names, each a conjunction of three.
fn ternary<D: Domain>(d: &mut D, table: u32, args: &[D::Bits]) -> D::Bits {
    let complements: Vec<D::Bits> = args.iter().map(|x| d.not(128, x)).collect();
    let mut result = d.constant(128, 0);
    for case in (0..8).filter(|case| table >> case & 1 == 1) {
        let mut holds = d.constant(128, u128::MAX);
        for index in 0..3 {
            let set = case >> (2 - index) & 1 == 1;
            let literal = if set { &args[index] } else { &complements[index] };
            holds = d.and(128, &holds, literal);
        }
        result = d.or(128, &result, &holds);
    }
    result
}

/// Lane `index` of the half of operand `arg` that is read, widened twofold.
fn half_lane<D: Domain>(
    d: &mut D,
    call: Call<D::Bits>,
    signed: bool,
    arg: usize,
    index: u32,
) -> D::Bits {
    let first = if call.high { call.lanes() / 2 } else { 0 };
    let x = at(d, call.w, &call.args[arg], first + index);
    extend(d, signed, &x, call.w, 2 * call.w)
}

/// A vector of lanes twice as wide; `lane` is given the index and the width.
pub(super) fn widened<D: Domain>(
    d: &mut D,
    call: Call<D::Bits>,
    mut lane: impl FnMut(&mut D, u32, u32) -> D::Bits,
) -> D::Bits {
    build(d, call.lanes() / 2, 2 * call.w, |d, index| lane(d, index, 2 * call.w))
}

/// Lanes half as wide, in the low half with zeros above, or above the low half of the first operand.
pub(super) fn narrowed<D: Domain>(
    d: &mut D,
    call: Call<D::Bits>,
    lane: impl FnMut(&mut D, u32) -> D::Bits,
) -> D::Bits {
    let half = build(d, call.lanes(), call.w / 2, lane);
    if !call.high {
        return d.zext(&half, 64, 128);
    }
    let low = d.extract(&call.args[0], 0, 64);
    d.concat(&half, 64, &low, 64)
}
