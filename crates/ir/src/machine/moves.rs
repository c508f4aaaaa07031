//! Meanings that move lanes and compute nothing.

use super::meaning::{Call, at, extend, map};
use crate::semantics::{Domain, build, vector};

/// What a table lookup gives where the selector names no byte of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outside {
    /// There is no such selector: only the low bits count.
    Wraps,
    /// 0 where the selector's top bit is set; else its low four bits count.
    ZeroIfNegative,
    /// 0.
    Zero,
    /// The byte of the first operand.
    Keep,
}

/// Meanings that move lanes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Move {
    /// The second operand's lane where the top bit of the third's is set, else the first's.
    Blend,
    /// The second operand's lane where the immediate's bit is set, else the first's.
    BlendImm,
    /// Lanes of both operands in turn, from their low or high halves.
    Zip { high: bool },
    /// The even or odd lanes of the first operand, then those of the second.
    Unzip { odd: bool },
    /// The even or odd lanes of both operands in turn.
    Transpose { odd: bool },
    /// Bytes of both operands from that of the immediate's number on; operand `low` comes first.
    Slide { low: usize },
    /// Bytes of operand `table` picked by operand `by`.
    Lookup { table: usize, by: usize, outside: Outside },
    /// Bytes of two operands from `table` on picked by operand `by`.
    LookupTwo { table: usize, by: usize, outside: Outside },
    /// Four lanes picked by bit pairs of the immediate, for each group of four; the other lanes of
    /// the vector stay.
    PickFour { from: u32 },
    /// Lanes picked by the immediate, the lower half from the first operand, the upper from the
    /// second.
    PickTwo,
    /// x86's `insertps`.
    InsertAndClear,
    /// The first operand with one lane replaced by the low bits of a scalar.
    Insert,
    /// The first operand with one lane replaced by one of the second.
    CopyLane,
    /// A lane extended to a general register of `to` bits.
    Extract { signed: bool, to: u32 },
    /// One lane in all places: the immediate's, or the lowest.
    Broadcast,
    /// The low bits of a scalar in all lanes.
    Splat,
    /// The low lane, zeros above.
    Lowest,
    /// The top bit of each lane, in a general register.
    SignMask,
    /// Lanes in reverse within groups of so many bits.
    Reverse { group: u32 },
}

impl Move {
    pub(super) fn apply<D: Domain>(self, d: &mut D, call: Call<D::Bits>) -> D::Bits {
        let Call { w, imm, args, .. } = call;
        let n = call.lanes();
        let all = |d: &mut D, pick: &dyn Fn(u32) -> (usize, u32)| {
            build(d, n, w, |d, index| {
                let (arg, lane) = pick(index);
                at(d, w, &args[arg], lane)
            })
        };
        match self {
            Move::Blend => map(d, w, [&args[0], &args[1], &args[2]], |d, [x, y, c]| {
                let top = d.extract(&c, w - 1, 1);
                let clear = d.is_zero(&top);
                d.ite(w, &clear, &x, &y)
            }),
            Move::BlendImm => all(d, &|index| ((imm >> index & 1) as usize, index)),
            Move::Zip { high } => {
                let first = if high { n / 2 } else { 0 };
                all(d, &|index| ((index % 2) as usize, first + index / 2))
            }
            Move::Unzip { odd } => {
                all(d, &|index| (usize::from(index >= n / 2), 2 * index % n + u32::from(odd)))
            }
            Move::Transpose { odd } => {
                all(d, &|index| ((index % 2) as usize, index / 2 * 2 + u32::from(odd)))
            }
            Move::Slide { low } => build(d, 16, 8, |d, index| match index + imm {
                byte @ 0..16 => at(d, 8, &args[low], byte),
                byte @ 16..32 => at(d, 8, &args[1 - low], byte - 16),
                _ => d.constant(8, 0),
            }),
            Move::Lookup { table, by, outside } => build(d, 16, 8, |d, index| {
                let selector = at(d, 8, &args[by], index);
                let picked = vector::pick_byte(d, &args[table], &selector);
                settle(d, call, outside, 4, index, &selector, &picked)
            }),
            Move::LookupTwo { table, by, outside } => build(d, 16, 8, |d, index| {
                let selector = at(d, 8, &args[by], index);
                let [low, high] =
                    [0, 1].map(|second| vector::pick_byte(d, &args[table + second], &selector));
                let upper = d.extract(&selector, 4, 1);
                let in_low = d.is_zero(&upper);
                let picked = d.ite(8, &in_low, &low, &high);
                settle(d, call, outside, 5, index, &selector, &picked)
            }),
            Move::PickFour { from } => all(d, &|index| match index.wrapping_sub(from) {
                place @ 0..4 => (0, from + (imm >> (2 * place) & 3)),
                _ => (0, index),
            }),
            Move::PickTwo => {
                let bits = n.ilog2();
                all(d, &|index| (usize::from(index >= n / 2), imm >> (bits * index) & (n - 1)))
            }
            Move::InsertAndClear => build(d, n, w, |d, index| {
                if imm >> index & 1 == 1 {
                    d.constant(w, 0)
                } else if index == imm >> 4 & 3 {
                    at(d, w, &args[1], imm >> 6)
                } else {
                    at(d, w, &args[0], index)
                }
            }),
            Move::Insert => build(d, n, w, |d, index| match index == imm {
                true => d.extract(&args[1], 0, w),
                false => at(d, w, &args[0], index),
            }),
            Move::CopyLane => {
                let (to, from) = (imm / n, imm % n);
                all(d, &|index| if index == to { (1, from) } else { (0, index) })
            }
            Move::Extract { signed, to } => {
                let x = at(d, w, &args[0], imm);
                extend(d, signed, &x, w, to)
            }
            Move::Broadcast => all(d, &|_| (0, imm)),
            Move::Splat => build(d, n, w, |d, _| d.extract(&args[0], 0, w)),
            Move::Lowest => {
                let x = d.extract(&args[0], 0, w);
                d.zext(&x, w, 128)
            }
            Move::SignMask => {
                let bits = build(d, n, 1, |d, index| d.extract(&args[0], (index + 1) * w - 1, 1));
                d.zext(&bits, n, 32)
            }
            Move::Reverse { group } => {
                let last = group / w - 1;
                all(d, &|index| (0, index ^ last))
            }
        }
    }
}

/// `picked`, or what is to come out for a selector outside a table of 2^`bits` bytes.
fn settle<D: Domain>(
    d: &mut D,
    call: Call<D::Bits>,
    outside: Outside,
    bits: u32,
    index: u32,
    selector: &D::Bits,
    picked: &D::Bits,
) -> D::Bits {
    let (first, otherwise) = match outside {
        Outside::Wraps => return picked.clone(),
        Outside::ZeroIfNegative => (7, d.constant(8, 0)),
        Outside::Zero => (bits, d.constant(8, 0)),
        Outside::Keep => (bits, at(d, 8, &call.args[0], index)),
    };
    let above = d.extract(selector, first, 8 - first);
    let inside = d.is_zero(&above);
    d.ite(8, &inside, picked, &otherwise)
}
