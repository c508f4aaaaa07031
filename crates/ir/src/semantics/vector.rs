//! Ops that move values between lanes.

use super::{Domain, build, int, lane, truth};
use crate::{Node, Op, Ty};

/// What `node`, one of the ops that cross lanes, computes.
pub(crate) fn apply<D: Domain>(d: &mut D, node: &Node, args: &[D::Bits]) -> D::Bits {
    let Node { op, ty, from, imm, .. } = *node;
    let (w, n) = (ty.lane_bits(), ty.lanes());
    match op {
        Op::IaddPairwise => build(d, n, w, |d, index| {
            let (source, first) = halves(args, n, index);
            let (a, b) = (lane(d, ty, source, 2 * first), lane(d, ty, source, 2 * first + 1));
            d.add(w, &a, &b)
        }),
        Op::UwidenLow | Op::UwidenHigh | Op::SwidenLow | Op::SwidenHigh => {
            let first = if matches!(op, Op::UwidenLow | Op::SwidenLow) { 0 } else { n / 2 };
            build(d, n / 2, 2 * w, |d, index| {
                let x = lane(d, ty, &args[0], first + index);
                match op {
                    Op::UwidenLow | Op::UwidenHigh => d.zext(&x, w, 2 * w),
                    _ => d.sext(&x, w, 2 * w),
                }
            })
        }
        Op::Snarrow | Op::Unarrow | Op::Uunarrow => build(d, 2 * n, w / 2, |d, index| {
            let (source, index) = halves(args, 2 * n, index);
            let x = lane(d, ty, source, index);
            match op {
                Op::Snarrow => int::clamp_signed(d, w, &x, w / 2),
                Op::Unarrow => int::clamp_to_unsigned(d, w, &x, w / 2),
                _ => int::clamp_unsigned(d, w, &x, w / 2),
            }
        }),
        Op::VanyTrue => {
            let none = d.is_zero(&args[0]);
            let any = d.bool_not(&none);
            truth(d, &any)
        }
        Op::VallTrue => {
            let first = lane(d, ty, &args[0], 0);
            let mut missing = d.is_zero(&first);
            for index in 1..n {
                let x = lane(d, ty, &args[0], index);
                let zero = d.is_zero(&x);
                missing = d.bool_or(&missing, &zero);
            }
            let all = d.bool_not(&missing);
            truth(d, &all)
        }
        Op::VhighBits => {
            let (from_width, from_lanes) = (from.lane_bits(), from.lanes());
            let bits = build(d, from_lanes, 1, |d, index| {
                d.extract(&args[0], (index + 1) * from_width - 1, 1)
            });
            if from_lanes < w { d.zext(&bits, from_lanes, w) } else { d.extract(&bits, 0, w) }
        }
        Op::Splat => build(d, n, w, |_, _| args[0].clone()),
        Op::ScalarToVector => d.zext(&args[0], w, 128),
        Op::Extractlane => lane(d, ty, &args[0], imm as u32),
        Op::Insertlane => build(d, n, w, |d, index| {
            if u128::from(index) == imm { args[1].clone() } else { lane(d, ty, &args[0], index) }
        }),
        Op::Shuffle => build(d, 16, 8, |d, index| {
            let selector = Ty::I8X16.lane_of(imm, index) as u32;
            lane(d, ty, &args[(selector / 16) as usize], selector % 16)
        }),
        Op::Swizzle | Op::X86Pshufb => build(d, 16, 8, |d, index| {
            let selector = lane(d, ty, &args[1], index);
            let outside = if op == Op::Swizzle {
                let high = d.extract(&selector, 4, 4);
                let inside = d.is_zero(&high);
                d.bool_not(&inside)
            } else {
                let top = d.extract(&selector, 7, 1);
                let inside = d.is_zero(&top);
                d.bool_not(&inside)
            };
            let picked = pick_byte(d, &args[0], &selector);
            let zero = d.constant(8, 0);
            d.ite(8, &outside, &zero, &picked)
        }),
        Op::Blendv => build(d, n, w, |d, index| {
            let top = d.extract(&args[0], (index + 1) * w - 1, 1);
            let otherwise = d.is_zero(&top);
            let (a, b) = (lane(d, ty, &args[1], index), lane(d, ty, &args[2], index));
            d.ite(w, &otherwise, &b, &a)
        }),
        Op::X86Pmaddubsw => build(d, 8, 16, |d, index| {
            // 2 * 128 * 255 fits 17 signed bits.
            let mut product = |byte: u32| {
                let (a, b) = (lane(d, ty, &args[0], byte), lane(d, ty, &args[1], byte));
                let (a, b) = (d.sext(&a, 8, 17), d.zext(&b, 8, 17));
                d.mul(17, &a, &b)
            };
            let (low, high) = (product(2 * index), product(2 * index + 1));
            let sum = d.add(17, &low, &high);
            int::clamp_signed(d, 17, &sum, 16)
        }),
        _ => unreachable!("`apply` sends no other op here"),
    }
}

/// What a shuffle computes whose mask is a value: byte i of the result is the one that byte i of
/// `mask`, 0 to 31, names in `a` and `b` laid end to end.
pub fn shuffle_by<D: Domain>(d: &mut D, mask: &D::Bits, a: &D::Bits, b: &D::Bits) -> D::Bits {
    build(d, 16, 8, |d, index| {
        let selector = d.extract(mask, index * 8, 8);
        let byte = d.extract(&selector, 0, 4);
        let amount = d.zext(&byte, 4, 125);
        let zeros = d.constant(3, 0);
        let amount = d.concat(&amount, 125, &zeros, 3);
        let (of_a, of_b) = (d.lshr(128, a, &amount), d.lshr(128, b, &amount));
        let (of_a, of_b) = (d.extract(&of_a, 0, 8), d.extract(&of_b, 0, 8));
        let operand = d.extract(&selector, 4, 1);
        let first = d.is_zero(&operand);
        d.ite(8, &first, &of_a, &of_b)
    })
}

/// Of two operands that fill the low and high half of `n` result lanes: the one that lane `index`
/// comes from, and the place within it.
fn halves<B>(args: &[B], n: u32, index: u32) -> (&B, u32) {
    if index < n / 2 { (&args[0], index) } else { (&args[1], index - n / 2) }
}

/// The byte of `table` that the low four bits of the byte `selector` name.
pub(crate) fn pick_byte<D: Domain>(d: &mut D, table: &D::Bits, selector: &D::Bits) -> D::Bits {
    let byte = d.extract(selector, 0, 4);
    let amount = d.zext(&byte, 4, 125);
    let zeros = d.constant(3, 0);
    let amount = d.concat(&amount, 125, &zeros, 3);
    let picked = d.lshr(128, table, &amount);
    d.extract(&picked, 0, 8)
}
