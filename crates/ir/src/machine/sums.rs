//! Meanings that combine several lanes into one: sums, products, differences, minima.

use super::lanes::abs_diff;
use super::meaning::{Call, at, extend, scalar};
use crate::Op;
use crate::semantics::{Domain, build, int};

/// Meanings that combine lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sum {
    /// A CLIF op on neighbours: those of the first operand, then those of the second.
    Pairs(Op),
    /// Sums of neighbours in lanes twice as wide, alone or added to the first operand.
    PairsWidened { signed: bool, add: bool },
    /// A CLIF op over all lanes, in the lowest lane, zeros above.
    Across(Op),
    /// The sum of all lanes, twice as wide, in the lowest lane, zeros above.
    AcrossWidened { signed: bool },
    /// Products of the even lanes, twice as wide.
    MulEven { signed: bool },
    /// Sums of two neighbouring signed products, twice as wide.
    MulPairs,
    /// Sums of two neighbouring products, unsigned by signed, saturated.
    MulPairsMixed,
    /// The first operand and `group` neighbouring products, in lanes `group` times as wide.
    Dot { signed: [bool; 2], group: u32, saturate: bool },
    /// The first operand and the product of two 2 by 8 matrices, the second transposed.
    MatMul { signed: [bool; 2] },
    /// The sum of absolute differences of each eight bytes, unsigned.
    AbsDiffs,
    /// Such sums of four bytes: of those at eight places of the first operand to four of the
    /// second.
    AbsDiffsSliding,
    /// The least lane, unsigned, and above it its number; the first of equals.
    MinPosition,
}

impl Sum {
    pub(super) fn apply<D: Domain>(self, d: &mut D, call: Call<D::Bits>) -> D::Bits {
        let Call { w, imm, args, .. } = call;
        let n = call.lanes();
        match self {
            Sum::Pairs(op) => build(d, n, w, |d, index| {
                let source = &args[usize::from(index >= n / 2)];
                let first = 2 * (index % (n / 2));
                let (x, y) = (at(d, w, source, first), at(d, w, source, first + 1));
                int::binary(d, op, scalar(w), &x, &y)
            }),
            Sum::PairsWidened { signed, add } => build(d, n / 2, 2 * w, |d, index| {
                let source = &args[usize::from(add)];
                let [x, y] = [0, 1].map(|odd| {
                    let x = at(d, w, source, 2 * index + odd);
                    extend(d, signed, &x, w, 2 * w)
                });
                let sum = d.add(2 * w, &x, &y);
                if !add {
                    return sum;
                }
                let z = at(d, 2 * w, &args[0], index);
                d.add(2 * w, &z, &sum)
            }),
            Sum::Across(op) => {
                let mut all = at(d, w, &args[0], 0);
                for index in 1..n {
                    let x = at(d, w, &args[0], index);
                    all = int::binary(d, op, scalar(w), &all, &x);
                }
                d.zext(&all, w, 128)
            }
            Sum::AcrossWidened { signed } => {
                let mut all = d.constant(2 * w, 0);
                for index in 0..n {
                    let x = at(d, w, &args[0], index);
                    let x = extend(d, signed, &x, w, 2 * w);
                    all = d.add(2 * w, &all, &x);
                }
                d.zext(&all, 2 * w, 128)
            }
            Sum::MulEven { signed } => build(d, n / 2, 2 * w, |d, index| {
                let [x, y] = [0, 1].map(|arg| at(d, w, &args[arg], 2 * index));
                int::wide_product(d, signed, w, &x, &y)
            }),
            Sum::MulPairs => build(d, n / 2, 2 * w, |d, index| {
                products(d, call, 0, [true, true], 2 * index..2 * index + 2, 2 * w)
            }),
            Sum::MulPairsMixed => build(d, n / 2, 2 * w, |d, index| {
                // 2 * 255 * 128 fits one bit more than the result.
                let pair = 2 * index..2 * index + 2;
                let sum = products(d, call, 0, [false, true], pair, 2 * w + 1);
                int::clamp_signed(d, 2 * w + 1, &sum, 2 * w)
            }),
            Sum::Dot { signed, group, saturate } => {
                let to = group * w;
                // Room for the first operand and up to four products.
                let wide = if saturate { to + 3 } else { to };
                build(d, n / group, to, |d, index| {
                    let z = at(d, to, &args[0], index);
                    let z = extend(d, true, &z, to, wide);
                    let lanes = group * index..group * (index + 1);
                    let sum = products(d, call, 1, signed, lanes, wide);
                    let sum = d.add(wide, &z, &sum);
                    if saturate { int::clamp_signed(d, wide, &sum, to) } else { sum }
                })
            }
            Sum::MatMul { signed } => build(d, 4, 32, |d, index| {
                let mut sum = at(d, 32, &args[0], index);
                for k in 0..8 {
                    let x = at(d, w, &args[1], 8 * (index / 2) + k);
                    let y = at(d, w, &args[2], 8 * (index % 2) + k);
                    let product = product(d, signed, w, &x, &y, 32);
                    sum = d.add(32, &sum, &product);
                }
                sum
            }),
            Sum::AbsDiffs => build(d, 2, 64, |d, half| {
                let sum = abs_diffs(d, call, 8, 8 * half, 8 * half);
                d.zext(&sum, 16, 64)
            }),
            Sum::AbsDiffsSliding => build(d, 8, 16, |d, index| {
                abs_diffs(d, call, 4, 4 * (imm >> 2 & 1) + index, 4 * (imm & 3))
            }),
            Sum::MinPosition => {
                let mut least = at(d, w, &args[0], 0);
                let mut place = d.constant(w, 0);
                for index in 1..n {
                    let x = at(d, w, &args[0], index);
                    let less = d.ult(w, &x, &least);
                    let here = d.constant(w, u128::from(index));
                    least = d.ite(w, &less, &x, &least);
                    place = d.ite(w, &less, &here, &place);
                }
                let both = d.concat(&place, w, &least, w);
                d.zext(&both, 2 * w, 128)
            }
        }
    }
}

/// The product of two lanes of `w` bits in `to` bits.
fn product<D: Domain>(
    d: &mut D,
    signed: [bool; 2],
    w: u32,
    x: &D::Bits,
    y: &D::Bits,
    to: u32,
) -> D::Bits {
    let (x, y) = (extend(d, signed[0], x, w, to), extend(d, signed[1], y, w, to));
    d.mul(to, &x, &y)
}

/// The sum of the products of `lanes` of operands `first` and `first + 1`, in `to` bits.
fn products<D: Domain>(
    d: &mut D,
    call: Call<D::Bits>,
    first: usize,
    signed: [bool; 2],
    lanes: std::ops::Range<u32>,
    to: u32,
) -> D::Bits {
    let term = |d: &mut D, index| {
        let [x, y] = [0, 1].map(|arg| at(d, call.w, &call.args[first + arg], index));
        product(d, signed, call.w, &x, &y, to)
    };
    let mut sum = term(d, lanes.start);
    for index in lanes.start + 1..lanes.end {
        let next = term(d, index);
        sum = d.add(to, &sum, &next);
    }
    sum
}

/// The sum, in 16 bits, of the differences of `count` bytes from `x` and `y` on.
fn abs_diffs<D: Domain>(d: &mut D, call: Call<D::Bits>, count: u32, x: u32, y: u32) -> D::Bits {
    let mut sum = d.constant(16, 0);
    for index in 0..count {
        let a = at(d, 8, &call.args[0], x + index);
        let b = at(d, 8, &call.args[1], y + index);
        let difference = abs_diff(d, false, 8, &a, &b);
        let difference = d.zext(&difference, 8, 16);
        sum = d.add(16, &sum, &difference);
    }
    sum
}
