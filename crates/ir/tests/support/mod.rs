//! Nodes of every op and type, and operands that are likely to hurt.

#![allow(dead_code, reason = "each test uses its part")]

use egraft_ir::{FloatCc, ImmKind, IntCc, Node, Op, Ty};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// A reproducible source of randomness; `name` makes streams differ.
pub(crate) fn rng(name: &str) -> SmallRng {
    let seed = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    SmallRng::seed_from_u64(seed)
}

/// Every node shape: op, types and the immediates worth trying. Random masks come from `rng`.
pub(crate) fn nodes(rng: &mut SmallRng) -> Vec<Node> {
    let mut nodes = Vec::new();
    for &op in Op::ALL {
        if op.is_leaf() {
            continue;
        }
        for (ty, from) in op.type_pairs() {
            let imms: Vec<u128> = match op.imm_kind() {
                ImmKind::IntCc => (0..IntCc::ALL.len() as u128).collect(),
                ImmKind::FloatCc => (0..FloatCc::ALL.len() as u128).collect(),
                ImmKind::Lane => (0..u128::from(ty.lanes())).collect(),
                ImmKind::Mask => (0..24).map(|index| mask(index, rng)).collect(),
                ImmKind::None | ImmKind::Bits | ImmKind::Index => vec![0],
            };
            nodes.extend(imms.into_iter().map(|imm| Node::detached(op, ty, from, imm)));
        }
    }
    nodes
}

/// Shuffle masks: those with machine instructions of their own first, then random ones.
fn mask(index: usize, rng: &mut SmallRng) -> u128 {
    let of = |lane: &dyn Fn(u8) -> u8| {
        u128::from_le_bytes(std::array::from_fn(|at| lane(at as u8) & 31))
    };
    match index {
        0 => of(&|at| at),
        1 => of(&|at| at + 16),
        2 => of(&|_| 0),
        3 => of(&|at| at / 2 + 16 * (at % 2)),
        4 => of(&|at| 8 + at / 2 + 16 * (at % 2)),
        5 => of(&|at| 2 * at),
        6 => of(&|at| 2 * at + 1),
        7 => of(&|at| at + 1),
        8 => of(&|at| 15 - at),
        9 => of(&|at| at ^ 1),
        10 => of(&|at| at ^ 3),
        11 => of(&|at| (at & 8) + (at & 7) / 2 + 16 * (at % 2)),
        12 => of(&|at| at & 7),
        13 => of(&|at| at % 4 + 4),
        _ => rng.random::<u128>() & 0x1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f,
    }
}

/// The operand type; amounts and conditions take an integer scalar of some width.
pub(crate) fn operand_type(node: &Node, index: usize, rng: &mut SmallRng) -> Ty {
    let any = [Ty::I8, Ty::I16, Ty::I32, Ty::I64];
    node.op
        .operand_type(node.ty, node.from, index)
        .unwrap_or_else(|| any[rng.random_range(0..any.len())])
}

/// A lane of `w` bits at or near an edge of the integers.
fn int_edge(rng: &mut SmallRng, w: u32) -> u128 {
    let all = u128::MAX >> (128 - w);
    let near = u128::from(rng.random_range(0..3u8)).wrapping_sub(1);
    let power = 1u128 << rng.random_range(0..w);
    let value = match rng.random_range(0..8) {
        0 => near,
        1 => (all >> 1).wrapping_add(near),
        2 => power.wrapping_add(near),
        3 => power.wrapping_neg().wrapping_add(near),
        4 => 0x5555_5555_5555_5555_5555_5555_5555_5555 << rng.random_range(0..2),
        5 => 0x00ff_00ff_00ff_00ff_00ff_00ff_00ff_00ff << (8 * rng.random_range(0..2)),
        6 => (all >> 1).wrapping_add(1),
        _ => u128::from(rng.random_range(0..70u8)),
    };
    value & all
}

/// A lane of `w` bits (32 or 64) at or near an edge of the floats.
fn float_edge(rng: &mut SmallRng, w: u32) -> u128 {
    let fraction = if w == 32 { 23 } else { 52 };
    let (sign, exponents) = (1u128 << (w - 1), (1u128 << (w - 1 - fraction)) - 1);
    let (bias, infinity) = (exponents >> 1, exponents << fraction);
    let noise = u128::from(rng.random::<u64>()) & ((1 << fraction) - 1);
    // An integer or a half near a power of two: ties, and the limits of integer types.
    let exponent = u128::from(rng.random_range(0..66u8));
    let power = (bias + exponent) << fraction;
    let ulps = u128::from(rng.random_range(0..5u8)).wrapping_sub(2);
    let small = exponent % u128::from(fraction);
    let below_half = fraction - small as u32 - 1;
    let tie = (bias + small) << fraction | noise >> below_half << below_half;
    let magnitude = match rng.random_range(0..14) {
        0 | 1 => 0,
        2 => infinity,
        3 => infinity | 1 << (fraction - 1),
        4 => infinity | noise | 1,
        5 => infinity | noise | 1 << (fraction - 1),
        6 => noise,
        7 => 1,
        8 => infinity - 1,
        9 => 1 << fraction,
        10 => power.wrapping_add(ulps),
        11 => ((bias - 1) << fraction).wrapping_add(ulps),
        12 => tie,
        _ => (bias + exponent) << fraction | noise,
    };
    let magnitude = magnitude & (sign - 1);
    if rng.random() { magnitude | sign } else { magnitude }
}

/// A float of `w` bits near 1 in size, so that sums and products are not all trivial.
fn float_near_one(rng: &mut SmallRng, w: u32) -> u128 {
    let fraction = if w == 32 { 23 } else { 52 };
    let bias = (1u128 << (w - 2 - fraction)) - 1;
    let exponent = bias - 4 + u128::from(rng.random_range(0..9u8));
    let noise = u128::from(rng.random::<u64>()) & ((1 << fraction) - 1);
    exponent << fraction | noise | u128::from(rng.random::<bool>()) << (w - 1)
}

/// A value of `ty`: edges and noise, lane by lane, or the same in all lanes.
pub(crate) fn value(rng: &mut SmallRng, ty: Ty) -> u128 {
    let w = ty.lane_bits();
    let lane = |rng: &mut SmallRng| match rng.random_range(0..8) {
        0..6 if ty.is_float() => {
            if rng.random() {
                float_edge(rng, w)
            } else {
                float_near_one(rng, w)
            }
        }
        0..4 => int_edge(rng, w),
        4 => rng.random::<u128>() >> rng.random_range(0..w),
        _ => rng.random(),
    };
    if rng.random_range(0..8) == 0 {
        let same = lane(rng);
        return ty.splat_bits(same);
    }
    (0..ty.lanes()).fold(0, |bits, index| bits | (lane(rng) & ty.lane_mask()) << (index * w))
}

/// A value of operand `index` of `node`, of type `ty`; bit ops get edges of every lane shape, and
/// divisors are not 0 or, for signed division, -1.
pub(crate) fn operand(rng: &mut SmallRng, node: &Node, index: usize, ty: Ty) -> u128 {
    let ty_to_fill = match ty {
        Ty::I8X16 if rng.random() => {
            const VECTORS: [Ty; 5] = [Ty::I16X8, Ty::I32X4, Ty::I64X2, Ty::F32X4, Ty::F64X2];
            VECTORS[rng.random_range(0..VECTORS.len())]
        }
        _ => ty,
    };
    if matches!(node.op, Op::Swizzle | Op::X86Pshufb) && index == 1 && rng.random() {
        return value(rng, Ty::I8X16) & 0x1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f_1f1f;
    }
    let bits = value(rng, ty_to_fill);
    let signed = matches!(node.op, Op::Sdiv | Op::Srem);
    let division = signed || matches!(node.op, Op::Udiv | Op::Urem);
    if division && index == 1 && (bits == 0 || signed && bits == ty.mask()) { 3 } else { bits }
}
