//! Shifts and rotations, by immediates and by registers.

use super::lanes::{Cut, narrowed, widened};
use super::meaning::{Call, at, extend, map};
use crate::Op;
use crate::semantics::{Domain, int};

/// Which way, and what comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Left, zeros.
    Left,
    /// Right, zeros.
    Right,
    /// Right, the sign.
    RightSigned,
}

/// Meanings that shift.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shift {
    /// By the immediate; all bits leave if it reaches the lane width.
    Imm(Way),
    /// By the low 64 bits of the second operand, as `Imm`.
    Count(Way),
    /// Each lane by the lane of the second operand, as `Imm`.
    Each(Way),
    /// Rotation by the immediate, modulo the lane width.
    RotateImm(Op),
    /// Rotation by the lane of the second operand, modulo the lane width.
    RotateEach(Op),
    /// The whole vector by so many bytes.
    Bytes(Way),
    /// Right by the immediate, rounded or not, alone or added to the first operand.
    Right { signed: bool, round: bool, add: bool },
    /// By the immediate into the first operand, whose other bits stay.
    Insert(Way),
    /// Left by the immediate, saturated.
    SaturatingLeft(Cut),
    /// One half of the lanes, widened twofold, left by the immediate.
    WideningLeft { signed: bool },
    /// Right by the immediate, as lanes of half the width.
    Narrowing { signed: bool, round: bool, cut: Cut },
    /// Each lane left by the signed low byte of the second operand's, right if that is negative.
    Either { signed: bool, round: bool, saturate: bool },
    /// The exclusive or of both, rotated right by the immediate.
    XorRotate,
}

impl Shift {
    pub(super) fn apply<D: Domain>(self, d: &mut D, call: Call<D::Bits>) -> D::Bits {
        let Call { w, imm, args, .. } = call;
        match self {
            Shift::Imm(way) => map(d, w, [&args[0]], |d, [x]| by_number(d, way, w, &x, imm)),
            Shift::Count(way) => {
                let count = d.extract(&args[1], 0, 64);
                map(d, w, [&args[0]], |d, [x]| by_any(d, way, w, &x, 64, &count))
            }
            Shift::Each(way) => {
                map(d, w, [&args[0], &args[1]], |d, [x, y]| by_any(d, way, w, &x, w, &y))
            }
            Shift::RotateImm(op) => map(d, w, [&args[0]], |d, [x]| {
                let amount = d.constant(w, u128::from(imm % w));
                int::shift(d, op, w, &x, &amount)
            }),
            Shift::RotateEach(op) => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let last = d.constant(w, u128::from(w - 1));
                let amount = d.and(w, &y, &last);
                int::shift(d, op, w, &x, &amount)
            }),
            Shift::Bytes(way) => by_number(d, way, 128, &args[0], 8 * imm),
            Shift::Right { signed, round, add: false } => {
                map(d, w, [&args[0]], |d, [x]| right(d, signed, round, w, &x, imm))
            }
            Shift::Right { signed, round, add: true } => {
                map(d, w, [&args[0], &args[1]], |d, [z, x]| {
                    let shifted = right(d, signed, round, w, &x, imm);
                    d.add(w, &z, &shifted)
                })
            }
            Shift::Insert(way) => map(d, w, [&args[0], &args[1]], |d, [z, x]| {
                let ones = d.constant(w, u128::MAX);
                let (shifted, reached) =
                    (by_number(d, way, w, &x, imm), by_number(d, way, w, &ones, imm));
                let kept = d.not(w, &reached);
                let kept = d.and(w, &z, &kept);
                d.or(w, &kept, &shifted)
            }),
            Shift::SaturatingLeft(cut) => map(d, w, [&args[0]], |d, [x]| {
                let wide = w + imm + 1;
                let zeros = d.constant(imm + 1, 0);
                let x = extend(d, cut != Cut::Unsigned, &x, w, w + 1);
                let shifted = match imm {
                    0 => x,
                    _ => {
                        let zeros = d.extract(&zeros, 0, imm);
                        d.concat(&x, w + 1, &zeros, imm)
                    }
                };
                cut.apply(d, &shifted, wide, w)
            }),
            Shift::WideningLeft { signed } => widened(d, call, |d, index, wide| {
                let first = if call.high { call.lanes() / 2 } else { 0 };
                let x = at(d, w, &args[0], first + index);
                let x = extend(d, signed, &x, w, wide);
                by_number(d, Way::Left, wide, &x, imm)
            }),
            Shift::Narrowing { signed, round, cut } => {
                let source = usize::from(call.high);
                narrowed(d, call, |d, index| {
                    let x = at(d, w, &args[source], index);
                    let shifted = right(d, signed, round, w, &x, imm);
                    cut.apply(d, &shifted, w, w / 2)
                })
            }
            Shift::Either { signed, round, saturate } => {
                map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                    let amount = d.extract(&y, 0, 8);
                    let zero = d.constant(8, 0);
                    let negated = d.sub(8, &zero, &amount);
                    let negative = d.slt(8, &amount, &zero);
                    let right = right_by_any(d, signed, round, w, &x, &negated);
                    let left = if saturate {
                        saturating_left(d, signed, w, &x, &amount)
                    } else {
                        by_any(d, Way::Left, w, &x, 8, &amount)
                    };
                    d.ite(w, &negative, &right, &left)
                })
            }
            Shift::XorRotate => map(d, w, [&args[0], &args[1]], |d, [x, y]| {
                let both = d.xor(w, &x, &y);
                let amount = d.constant(w, u128::from(imm % w));
                int::shift(d, Op::Rotr, w, &both, &amount)
            }),
        }
    }
}

/// Shift by a number that may reach the width.
fn by_number<D: Domain>(d: &mut D, way: Way, w: u32, x: &D::Bits, amount: u32) -> D::Bits {
    let beyond = amount >= w;
    let number = d.constant(w, u128::from(if beyond { w - 1 } else { amount }));
    match way {
        Way::RightSigned => d.ashr(w, x, &number),
        _ if beyond => d.constant(w, 0),
        Way::Left => d.shl(w, x, &number),
        Way::Right => d.lshr(w, x, &number),
    }
}

/// Shift by a number of `n` bits that may reach the width.
fn by_any<D: Domain>(
    d: &mut D,
    way: Way,
    w: u32,
    x: &D::Bits,
    n: u32,
    amount: &D::Bits,
) -> D::Bits {
    let limit = d.constant(n, u128::from(w));
    let inside = d.ult(n, amount, &limit);
    let amount = if n > w { d.extract(amount, 0, w) } else { extend(d, false, amount, n, w) };
    let (last, zero) = (d.constant(w, u128::from(w - 1)), d.constant(w, 0));
    match way {
        Way::RightSigned => {
            let amount = d.ite(w, &inside, &amount, &last);
            d.ashr(w, x, &amount)
        }
        Way::Left | Way::Right => {
            let amount = d.ite(w, &inside, &amount, &zero);
            let shifted =
                if way == Way::Left { d.shl(w, x, &amount) } else { d.lshr(w, x, &amount) };
            d.ite(w, &inside, &shifted, &zero)
        }
    }
}

const fn way_right(signed: bool) -> Way {
    if signed { Way::RightSigned } else { Way::Right }
}

/// Right by `amount`, 1 to `w`; with `round`, to nearest with ties up.
fn right<D: Domain>(
    d: &mut D,
    signed: bool,
    round: bool,
    w: u32,
    x: &D::Bits,
    amount: u32,
) -> D::Bits {
    if !round {
        return by_number(d, way_right(signed), w, x, amount);
    }
    let x = extend(d, signed, x, w, w + 1);
    let half = d.constant(w + 1, 1 << (amount - 1));
    let sum = d.add(w + 1, &x, &half);
    let sum = extend(d, signed, &sum, w + 1, w + amount);
    d.extract(&sum, amount, w)
}

/// Right by `amount`, a byte from 1 to 128.
fn right_by_any<D: Domain>(
    d: &mut D,
    signed: bool,
    round: bool,
    w: u32,
    x: &D::Bits,
    amount: &D::Bits,
) -> D::Bits {
    if !round {
        return by_any(d, way_right(signed), w, x, 8, amount);
    }
    // One bit less, then one more with the last bit rounded up.
    let one = d.constant(8, 1);
    let less = d.sub(8, amount, &one);
    let x = extend(d, signed, x, w, w + 1);
    let shifted = by_any(d, way_right(signed), w + 1, &x, 8, &less);
    let one = d.constant(w + 1, 1);
    let sum = d.add(w + 1, &shifted, &one);
    d.extract(&sum, 1, w)
}

/// Left by `amount`, a byte up to 127; what loses bits saturates.
fn saturating_left<D: Domain>(
    d: &mut D,
    signed: bool,
    w: u32,
    x: &D::Bits,
    amount: &D::Bits,
) -> D::Bits {
    let shifted = by_any(d, Way::Left, w, x, 8, amount);
    let back = by_any(d, way_right(signed), w, &shifted, 8, amount);
    let kept = d.eq(w, &back, x);
    let greatest = d.constant(w, if signed { (1 << (w - 1)) - 1 } else { u128::MAX });
    let limit = if signed {
        let (zero, least) = (d.constant(w, 0), d.constant(w, 1 << (w - 1)));
        let negative = d.slt(w, x, &zero);
        d.ite(w, &negative, &least, &greatest)
    } else {
        greatest
    };
    d.ite(w, &kept, &shifted, &limit)
}
