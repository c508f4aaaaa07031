//! The instructions the generator draws from, by lane shape and scalar type, and the constants that
//! make rewrite rules fire.

use crate::choices::Choices;
use wasm_encoder::Instruction as I;
use wasm_encoder::ValType;

/// How the lanes of a v128 are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

pub(super) const SHAPES: [Shape; 8] =
    [Shape::I8, Shape::I16, Shape::I32, Shape::I16, Shape::I8, Shape::F32, Shape::I64, Shape::F64];

type Ops = &'static [I<'static>];

impl Shape {
    pub(super) fn lanes(self) -> usize {
        16 / self.lane_bytes()
    }

    pub(super) fn lane_bytes(self) -> usize {
        match self {
            Shape::I8 => 1,
            Shape::I16 => 2,
            Shape::I32 | Shape::F32 => 4,
            Shape::I64 | Shape::F64 => 8,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Shape::F32 | Shape::F64)
    }

    /// The type of one lane on the stack.
    pub(super) fn scalar(self) -> ValType {
        match self {
            Shape::I8 | Shape::I16 | Shape::I32 => ValType::I32,
            Shape::I64 => ValType::I64,
            Shape::F32 => ValType::F32,
            Shape::F64 => ValType::F64,
        }
    }

    /// Integer lanes half as wide.
    pub(super) fn half(self) -> Option<Shape> {
        match self {
            Shape::I16 => Some(Shape::I8),
            Shape::I32 => Some(Shape::I16),
            Shape::I64 => Some(Shape::I32),
            _ => None,
        }
    }

    /// Integer lanes twice as wide.
    pub(super) fn double(self) -> Option<Shape> {
        match self {
            Shape::I8 => Some(Shape::I16),
            Shape::I16 => Some(Shape::I32),
            Shape::I32 => Some(Shape::I64),
            _ => None,
        }
    }

    pub(super) fn splat(self) -> I<'static> {
        match self {
            Shape::I8 => I::I8x16Splat,
            Shape::I16 => I::I16x8Splat,
            Shape::I32 => I::I32x4Splat,
            Shape::I64 => I::I64x2Splat,
            Shape::F32 => I::F32x4Splat,
            Shape::F64 => I::F64x2Splat,
        }
    }

    pub(super) fn extract(self, lane: u8, signed: bool) -> I<'static> {
        match (self, signed) {
            (Shape::I8, true) => I::I8x16ExtractLaneS(lane),
            (Shape::I8, false) => I::I8x16ExtractLaneU(lane),
            (Shape::I16, true) => I::I16x8ExtractLaneS(lane),
            (Shape::I16, false) => I::I16x8ExtractLaneU(lane),
            (Shape::I32, _) => I::I32x4ExtractLane(lane),
            (Shape::I64, _) => I::I64x2ExtractLane(lane),
            (Shape::F32, _) => I::F32x4ExtractLane(lane),
            (Shape::F64, _) => I::F64x2ExtractLane(lane),
        }
    }

    pub(super) fn replace(self, lane: u8) -> I<'static> {
        match self {
            Shape::I8 => I::I8x16ReplaceLane(lane),
            Shape::I16 => I::I16x8ReplaceLane(lane),
            Shape::I32 => I::I32x4ReplaceLane(lane),
            Shape::I64 => I::I64x2ReplaceLane(lane),
            Shape::F32 => I::F32x4ReplaceLane(lane),
            Shape::F64 => I::F64x2ReplaceLane(lane),
        }
    }

    /// Shift left, right signed, right unsigned.
    pub(super) fn shifts(self) -> [I<'static>; 3] {
        match self {
            Shape::I8 => [I::I8x16Shl, I::I8x16ShrS, I::I8x16ShrU],
            Shape::I16 => [I::I16x8Shl, I::I16x8ShrS, I::I16x8ShrU],
            Shape::I32 | Shape::F32 => [I::I32x4Shl, I::I32x4ShrS, I::I32x4ShrU],
            Shape::I64 | Shape::F64 => [I::I64x2Shl, I::I64x2ShrS, I::I64x2ShrU],
        }
    }

    /// Unary ops from the shape to itself.
    pub(super) fn unary(self) -> Ops {
        match self {
            Shape::I8 => I8_UNARY,
            Shape::I16 => I16_UNARY,
            Shape::I32 => I32_UNARY,
            Shape::I64 => I64_UNARY,
            Shape::F32 => F32_UNARY,
            Shape::F64 => F64_UNARY,
        }
    }

    /// Binary ops from the shape to itself.
    pub(super) fn binary(self) -> Ops {
        match self {
            Shape::I8 => I8_BINARY,
            Shape::I16 => I16_BINARY,
            Shape::I32 => I32_BINARY,
            Shape::I64 => I64_BINARY,
            Shape::F32 => F32_BINARY,
            Shape::F64 => F64_BINARY,
        }
    }

    /// Comparisons; they give masks.
    pub(super) fn compare(self) -> Ops {
        match self {
            Shape::I8 => I8_COMPARE,
            Shape::I16 => I16_COMPARE,
            Shape::I32 => I32_COMPARE,
            Shape::I64 => I64_COMPARE,
            Shape::F32 => F32_COMPARE,
            Shape::F64 => F64_COMPARE,
        }
    }

    /// Low and high widening from the half shape, signed then unsigned.
    pub(super) fn extends(self) -> Option<[I<'static>; 4]> {
        Some(match self {
            Shape::I16 => [
                I::I16x8ExtendLowI8x16S,
                I::I16x8ExtendHighI8x16S,
                I::I16x8ExtendLowI8x16U,
                I::I16x8ExtendHighI8x16U,
            ],
            Shape::I32 => [
                I::I32x4ExtendLowI16x8S,
                I::I32x4ExtendHighI16x8S,
                I::I32x4ExtendLowI16x8U,
                I::I32x4ExtendHighI16x8U,
            ],
            Shape::I64 => [
                I::I64x2ExtendLowI32x4S,
                I::I64x2ExtendHighI32x4S,
                I::I64x2ExtendLowI32x4U,
                I::I64x2ExtendHighI32x4U,
            ],
            _ => return None,
        })
    }

    /// Widening products of the half shape: two operands.
    pub(super) fn extmuls(self) -> Option<Ops> {
        match self {
            Shape::I16 => Some(I16_EXTMUL),
            Shape::I32 => Some(I32_EXTMUL),
            Shape::I64 => Some(I64_EXTMUL),
            _ => None,
        }
    }

    /// Pairwise widening sums of the half shape: one operand.
    pub(super) fn extadds(self) -> Option<[I<'static>; 2]> {
        match self {
            Shape::I16 => Some([I::I16x8ExtAddPairwiseI8x16S, I::I16x8ExtAddPairwiseI8x16U]),
            Shape::I32 => Some([I::I32x4ExtAddPairwiseI16x8S, I::I32x4ExtAddPairwiseI16x8U]),
            _ => None,
        }
    }

    /// Saturating narrowing from the double shape, signed and unsigned: two operands.
    pub(super) fn narrows(self) -> Option<[I<'static>; 2]> {
        match self {
            Shape::I8 => Some([I::I8x16NarrowI16x8S, I::I8x16NarrowI16x8U]),
            Shape::I16 => Some([I::I16x8NarrowI32x4S, I::I16x8NarrowI32x4U]),
            _ => None,
        }
    }

    /// From a v128 to a condition: any lane set, all lanes set, one bit a lane.
    pub(super) fn reductions(self) -> [I<'static>; 3] {
        match self {
            Shape::I8 => [I::V128AnyTrue, I::I8x16AllTrue, I::I8x16Bitmask],
            Shape::I16 => [I::V128AnyTrue, I::I16x8AllTrue, I::I16x8Bitmask],
            Shape::I32 | Shape::F32 => [I::V128AnyTrue, I::I32x4AllTrue, I::I32x4Bitmask],
            Shape::I64 | Shape::F64 => [I::V128AnyTrue, I::I64x2AllTrue, I::I64x2Bitmask],
        }
    }

    /// Relaxed ops: the instruction and its operand count.
    pub(super) fn relaxed(self) -> &'static [(I<'static>, usize)] {
        match self {
            Shape::I8 => I8_RELAXED,
            Shape::I16 => I16_RELAXED,
            Shape::I32 => I32_RELAXED,
            Shape::I64 => I64_RELAXED,
            Shape::F32 => F32_RELAXED,
            Shape::F64 => F64_RELAXED,
        }
    }

    /// A number for one lane, mostly one that rules look for.
    pub(super) fn lane_constant(self, choices: &mut Choices<'_>) -> u64 {
        match self {
            Shape::F32 => u64::from(f32_constant(choices).to_bits()),
            Shape::F64 => f64_constant(choices).to_bits(),
            _ => integer_constant(choices) as u64,
        }
    }

    /// The same number in every lane.
    pub(super) fn repeat(self, number: u64) -> u128 {
        let bits = self.lane_bytes() * 8;
        let lane = u128::from(number) & (u128::MAX >> (128 - bits));
        (0..self.lanes()).fold(0, |wide, at| wide | lane << (at * bits))
    }
}

const INTERESTING: [i64; 40] = [
    0,
    1,
    -1,
    2,
    4,
    8,
    255,
    128,
    127,
    16,
    3,
    5,
    6,
    7,
    9,
    15,
    24,
    31,
    32,
    33,
    63,
    64,
    -2,
    -8,
    -16,
    -127,
    -128,
    256,
    0x7fff,
    0x8000,
    0xffff,
    -0x8000,
    0x1_0000,
    0x5555,
    0x3333_3333,
    0x7fff_ffff,
    -0x8000_0000,
    0xffff_ffff,
    i64::MAX,
    i64::MIN,
];

pub(super) fn integer_constant(choices: &mut Choices<'_>) -> i64 {
    if choices.one_in(8) { choices.wide() as i64 } else { *choices.pick(&INTERESTING) }
}

pub(super) fn f32_constant(choices: &mut Choices<'_>) -> f32 {
    const NUMBERS: [f32; 18] = [
        0.0,
        1.0,
        -0.0,
        -1.0,
        0.5,
        2.0,
        255.0,
        -0.5,
        4.0,
        1.0 / 3.0,
        65535.0,
        2_147_483_648.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE,
        f32::MAX,
        1e-40,
    ];
    if choices.one_in(8) { f32::from_bits(choices.wide() as u32) } else { *choices.pick(&NUMBERS) }
}

pub(super) fn f64_constant(choices: &mut Choices<'_>) -> f64 {
    if choices.one_in(8) {
        f64::from_bits(choices.wide() as u64)
    } else {
        f64::from(f32_constant(choices))
    }
}

/// Byte indices of a shuffle: the patterns of Halide and LLVM, and sometimes none of them.
pub(super) fn shuffle(choices: &mut Choices<'_>) -> [u8; 16] {
    let width = *choices.pick(&[1usize, 2, 4, 8]);
    let lanes = 16 / width;
    let pattern = choices.below(14);
    let extra = choices.below(16);
    // Which lane of the two operands together lane `at` of the result comes from.
    let lane = |at: usize| match pattern {
        0 => at,
        1 => lanes + at,
        2 => at / 2 + at % 2 * lanes,
        3 => lanes / 2 + at / 2 + at % 2 * lanes,
        4 => 2 * at,
        5 => 2 * at + 1,
        6 => lanes - 1 - at,
        7 => extra % lanes,
        8 => at + at % 2 * lanes,
        9 => at ^ 1,
        10 => (at + lanes / 2) % lanes,
        11 => at / 2,
        _ => at,
    };
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = match pattern {
            12 => (at + extra) as u8,
            13 => choices.byte() % 32,
            _ => (lane(at / width) * width + at % width) as u8,
        };
    }
    bytes
}

const I8_UNARY: Ops = &[I::V128Not, I::I8x16Neg, I::I8x16Abs, I::I8x16Popcnt];
const I16_UNARY: Ops = &[I::V128Not, I::I16x8Neg, I::I16x8Abs];
const I32_UNARY: Ops = &[I::V128Not, I::I32x4Neg, I::I32x4Abs];
const I64_UNARY: Ops = &[I::V128Not, I::I64x2Neg, I::I64x2Abs];
const F32_UNARY: Ops = &[
    I::F32x4Neg,
    I::F32x4Abs,
    I::F32x4Sqrt,
    I::F32x4Ceil,
    I::F32x4Floor,
    I::F32x4Trunc,
    I::F32x4Nearest,
];
const F64_UNARY: Ops = &[
    I::F64x2Neg,
    I::F64x2Abs,
    I::F64x2Sqrt,
    I::F64x2Ceil,
    I::F64x2Floor,
    I::F64x2Trunc,
    I::F64x2Nearest,
];

const I8_BINARY: Ops = &[
    I::I8x16Add,
    I::I8x16Sub,
    I::V128And,
    I::V128Or,
    I::V128Xor,
    I::V128AndNot,
    I::I8x16AddSatS,
    I::I8x16AddSatU,
    I::I8x16SubSatS,
    I::I8x16SubSatU,
    I::I8x16MinS,
    I::I8x16MinU,
    I::I8x16MaxS,
    I::I8x16MaxU,
    I::I8x16AvgrU,
    I::I8x16Swizzle,
];
const I16_BINARY: Ops = &[
    I::I16x8Add,
    I::I16x8Sub,
    I::I16x8Mul,
    I::V128And,
    I::V128Or,
    I::V128Xor,
    I::V128AndNot,
    I::I16x8AddSatS,
    I::I16x8AddSatU,
    I::I16x8SubSatS,
    I::I16x8SubSatU,
    I::I16x8MinS,
    I::I16x8MinU,
    I::I16x8MaxS,
    I::I16x8MaxU,
    I::I16x8AvgrU,
    I::I16x8Q15MulrSatS,
];
const I32_BINARY: Ops = &[
    I::I32x4Add,
    I::I32x4Sub,
    I::I32x4Mul,
    I::V128And,
    I::V128Or,
    I::V128Xor,
    I::V128AndNot,
    I::I32x4MinS,
    I::I32x4MinU,
    I::I32x4MaxS,
    I::I32x4MaxU,
    I::I32x4DotI16x8S,
];
const I64_BINARY: Ops =
    &[I::I64x2Add, I::I64x2Sub, I::I64x2Mul, I::V128And, I::V128Or, I::V128Xor, I::V128AndNot];
const F32_BINARY: Ops = &[
    I::F32x4Add,
    I::F32x4Sub,
    I::F32x4Mul,
    I::F32x4Div,
    I::F32x4Min,
    I::F32x4Max,
    I::F32x4PMin,
    I::F32x4PMax,
    I::V128And,
];
const F64_BINARY: Ops = &[
    I::F64x2Add,
    I::F64x2Sub,
    I::F64x2Mul,
    I::F64x2Div,
    I::F64x2Min,
    I::F64x2Max,
    I::F64x2PMin,
    I::F64x2PMax,
    I::V128Xor,
];

const I8_COMPARE: Ops = &[
    I::I8x16Eq,
    I::I8x16Ne,
    I::I8x16LtS,
    I::I8x16LtU,
    I::I8x16GtS,
    I::I8x16GtU,
    I::I8x16LeS,
    I::I8x16LeU,
    I::I8x16GeS,
    I::I8x16GeU,
];
const I16_COMPARE: Ops = &[
    I::I16x8Eq,
    I::I16x8Ne,
    I::I16x8LtS,
    I::I16x8LtU,
    I::I16x8GtS,
    I::I16x8GtU,
    I::I16x8LeS,
    I::I16x8LeU,
    I::I16x8GeS,
    I::I16x8GeU,
];
const I32_COMPARE: Ops = &[
    I::I32x4Eq,
    I::I32x4Ne,
    I::I32x4LtS,
    I::I32x4LtU,
    I::I32x4GtS,
    I::I32x4GtU,
    I::I32x4LeS,
    I::I32x4LeU,
    I::I32x4GeS,
    I::I32x4GeU,
];
const I64_COMPARE: Ops =
    &[I::I64x2Eq, I::I64x2Ne, I::I64x2LtS, I::I64x2GtS, I::I64x2LeS, I::I64x2GeS];
const F32_COMPARE: Ops = &[I::F32x4Eq, I::F32x4Ne, I::F32x4Lt, I::F32x4Gt, I::F32x4Le, I::F32x4Ge];
const F64_COMPARE: Ops = &[I::F64x2Eq, I::F64x2Ne, I::F64x2Lt, I::F64x2Gt, I::F64x2Le, I::F64x2Ge];

const I16_EXTMUL: Ops = &[
    I::I16x8ExtMulLowI8x16S,
    I::I16x8ExtMulHighI8x16S,
    I::I16x8ExtMulLowI8x16U,
    I::I16x8ExtMulHighI8x16U,
];
const I32_EXTMUL: Ops = &[
    I::I32x4ExtMulLowI16x8S,
    I::I32x4ExtMulHighI16x8S,
    I::I32x4ExtMulLowI16x8U,
    I::I32x4ExtMulHighI16x8U,
];
const I64_EXTMUL: Ops = &[
    I::I64x2ExtMulLowI32x4S,
    I::I64x2ExtMulHighI32x4S,
    I::I64x2ExtMulLowI32x4U,
    I::I64x2ExtMulHighI32x4U,
];

const I8_RELAXED: &[(I<'static>, usize)] =
    &[(I::I8x16RelaxedSwizzle, 2), (I::I8x16RelaxedLaneselect, 3)];
const I16_RELAXED: &[(I<'static>, usize)] = &[
    (I::I16x8RelaxedQ15mulrS, 2),
    (I::I16x8RelaxedDotI8x16I7x16S, 2),
    (I::I16x8RelaxedLaneselect, 3),
];
const I32_RELAXED: &[(I<'static>, usize)] = &[
    (I::I32x4RelaxedTruncF32x4S, 1),
    (I::I32x4RelaxedTruncF32x4U, 1),
    (I::I32x4RelaxedTruncF64x2SZero, 1),
    (I::I32x4RelaxedTruncF64x2UZero, 1),
    (I::I32x4RelaxedDotI8x16I7x16AddS, 3),
    (I::I32x4RelaxedLaneselect, 3),
];
const I64_RELAXED: &[(I<'static>, usize)] = &[(I::I64x2RelaxedLaneselect, 3)];
const F32_RELAXED: &[(I<'static>, usize)] = &[
    (I::F32x4RelaxedMadd, 3),
    (I::F32x4RelaxedNmadd, 3),
    (I::F32x4RelaxedMin, 2),
    (I::F32x4RelaxedMax, 2),
];
const F64_RELAXED: &[(I<'static>, usize)] = &[
    (I::F64x2RelaxedMadd, 3),
    (I::F64x2RelaxedNmadd, 3),
    (I::F64x2RelaxedMin, 2),
    (I::F64x2RelaxedMax, 2),
];

pub(super) const I32_SCALAR_BINARY: Ops = &[
    I::I32Add,
    I::I32Sub,
    I::I32Mul,
    I::I32And,
    I::I32Or,
    I::I32Xor,
    I::I32Shl,
    I::I32ShrS,
    I::I32ShrU,
    I::I32Rotl,
    I::I32Rotr,
];
pub(super) const I32_SCALAR_UNARY: Ops =
    &[I::I32Extend8S, I::I32Extend16S, I::I32Eqz, I::I32Clz, I::I32Ctz, I::I32Popcnt];
pub(super) const I32_SCALAR_COMPARE: Ops = &[
    I::I32Eq,
    I::I32Ne,
    I::I32LtS,
    I::I32LtU,
    I::I32GtS,
    I::I32GtU,
    I::I32LeS,
    I::I32LeU,
    I::I32GeS,
    I::I32GeU,
];
pub(super) const I32_DIVIDE: Ops = &[I::I32DivU, I::I32DivS, I::I32RemU, I::I32RemS];
pub(super) const I64_SCALAR_BINARY: Ops = &[
    I::I64Add,
    I::I64Sub,
    I::I64Mul,
    I::I64And,
    I::I64Or,
    I::I64Xor,
    I::I64Shl,
    I::I64ShrS,
    I::I64ShrU,
    I::I64Rotl,
    I::I64Rotr,
];
pub(super) const I64_SCALAR_UNARY: Ops =
    &[I::I64Extend8S, I::I64Extend16S, I::I64Extend32S, I::I64Clz, I::I64Ctz, I::I64Popcnt];
pub(super) const I64_SCALAR_COMPARE: Ops = &[
    I::I64Eq,
    I::I64Ne,
    I::I64LtS,
    I::I64LtU,
    I::I64GtS,
    I::I64GtU,
    I::I64LeS,
    I::I64LeU,
    I::I64GeS,
    I::I64GeU,
];
pub(super) const I64_DIVIDE: Ops = &[I::I64DivU, I::I64DivS, I::I64RemU, I::I64RemS];
pub(super) const F32_SCALAR_BINARY: Ops =
    &[I::F32Add, I::F32Sub, I::F32Mul, I::F32Div, I::F32Min, I::F32Max, I::F32Copysign];
pub(super) const F32_SCALAR_UNARY: Ops =
    &[I::F32Neg, I::F32Abs, I::F32Sqrt, I::F32Ceil, I::F32Floor, I::F32Trunc, I::F32Nearest];
pub(super) const F32_SCALAR_COMPARE: Ops =
    &[I::F32Eq, I::F32Ne, I::F32Lt, I::F32Gt, I::F32Le, I::F32Ge];
pub(super) const F64_SCALAR_BINARY: Ops =
    &[I::F64Add, I::F64Sub, I::F64Mul, I::F64Div, I::F64Min, I::F64Max, I::F64Copysign];
pub(super) const F64_SCALAR_UNARY: Ops =
    &[I::F64Neg, I::F64Abs, I::F64Sqrt, I::F64Ceil, I::F64Floor, I::F64Trunc, I::F64Nearest];
