//! The x86-64 vector ops: AVX2, and the 128-bit forms of AVX-512.
//!
//! Names are Intel's without the leading `v`; operands stand in Intel's order, destination left out.
//! Shifts by an immediate end in `_imm`.

use super::Family as F;
use super::Feature::{self, *};
use super::Kind::{Gpr32, Gpr64, Vector};
use super::float::FloatMeaning;
use super::lanes::{Cut, Lanewise as L};
use super::meaning::Meaning;
use super::moves::{Move, Outside};
use super::shifts::{Shift, Way};
use super::sums::Sum;
use super::{Family, Imm, Kind, Row, Target};
use crate::semantics::Rounding;
use crate::{IntCc, Op};

type Members = &'static [(&'static str, u32)];

const B: Members = &[("b", 8)];
const W: Members = &[("w", 16)];
const D: Members = &[("d", 32)];
const Q: Members = &[("q", 64)];
const BW: Members = &[("b", 8), ("w", 16)];
const WD: Members = &[("w", 16), ("d", 32)];
const DQ: Members = &[("d", 32), ("q", 64)];
const BWD: Members = &[("b", 8), ("w", 16), ("d", 32)];
const WDQ: Members = &[("w", 16), ("d", 32), ("q", 64)];
const BWDQ: Members = &[("b", 8), ("w", 16), ("d", 32), ("q", 64)];
const PS: Members = &[("ps", 32)];
const PD: Members = &[("pd", 64)];
const PSD: Members = &[("ps", 32), ("pd", 64)];
/// Ops on all bits.
const ALL: Members = &[("", 8)];
/// Ops whose name says their lanes already.
const WORDS: Members = &[("", 16)];
const DOUBLES: Members = &[("", 32)];
const QUADS: Members = &[("", 64)];

/// The cost of one of `pipes` that take an instruction every cycle.
const fn on(pipes: u16) -> u16 {
    16 / pipes
}

const fn lanes(stem: &'static str, members: Members, arity: usize, meaning: L, cost: u16) -> F {
    F::new(stem, members, arity, Meaning::Lanes(meaning), cost, Avx)
}

const fn two(stem: &'static str, members: Members, op: Op, cost: u16) -> F {
    lanes(stem, members, 2, L::Two(op), cost)
}

const fn shift(stem: &'static str, members: Members, meaning: Shift, cost: u16) -> F {
    let arity = match meaning {
        Shift::Imm(_) | Shift::RotateImm(_) | Shift::Bytes(_) => 1,
        _ => 2,
    };
    let family = F::new(stem, members, arity, Meaning::Shift(meaning), cost, Avx);
    if arity == 1 { family.imm(Imm::UpTo(255)) } else { family }
}

const fn sum(stem: &'static str, members: Members, arity: usize, meaning: Sum, cost: u16) -> F {
    F::new(stem, members, arity, Meaning::Sum(meaning), cost, Avx)
}

const fn moved(stem: &'static str, members: Members, arity: usize, meaning: Move, cost: u16) -> F {
    F::new(stem, members, arity, Meaning::Move(meaning), cost, Avx)
}

const fn float(stem: &'static str, members: Members, arity: usize, meaning: FloatMeaning) -> F {
    F::new(stem, members, arity, Meaning::Float(meaning), on(2), Avx)
}

const fn extend(stem: &'static str, members: Members, signed: bool, to: u32) -> F {
    lanes(stem, members, 1, L::Extend { signed, to }, on(2))
}

const fn truncate(stem: &'static str, members: Members, cut: Cut, to: u32) -> F {
    lanes(stem, members, 1, L::Truncate { cut, to }, on(1)).needs(Avx512Vl)
}

impl Family {
    const fn needs(mut self, feature: Feature) -> Family {
        self.feature = feature;
        self
    }
}

const FROM_GPR32: &[Kind] = &[Vector, Gpr32];
const FROM_GPR64: &[Kind] = &[Vector, Gpr64];
const MIXED: [bool; 2] = [false, true];
const SIGNED: [bool; 2] = [true, true];

pub(super) static FAMILIES: &[Family] = &[
    two("padd", BWDQ, Op::Iadd, on(4)).swaps(),
    two("psub", BWDQ, Op::Isub, on(4)),
    two("padds", BW, Op::SaddSat, on(2)).swaps(),
    two("paddus", BW, Op::UaddSat, on(2)).swaps(),
    two("psubs", BW, Op::SsubSat, on(2)),
    two("psubus", BW, Op::UsubSat, on(2)),
    two("pmull", WD, Op::Imul, on(2)).swaps(),
    two("pmull", Q, Op::Imul, 24).swaps().needs(Avx512Dq),
    two("pmulh", W, Op::Smulhi, on(2)).swaps(),
    two("pmulhu", W, Op::Umulhi, on(2)).swaps(),
    two("pmulhrs", W, Op::X86Pmulhrsw, on(2)).swaps(),
    sum("pmuludq", DOUBLES, 2, Sum::MulEven { signed: false }, on(2)).swaps(),
    sum("pmuldq", DOUBLES, 2, Sum::MulEven { signed: true }, on(2)).swaps(),
    sum("pmaddwd", WORDS, 2, Sum::MulPairs, on(2)).swaps(),
    sum("pmaddubsw", ALL, 2, Sum::MulPairsMixed, on(2)),
    sum("psadbw", ALL, 2, Sum::AbsDiffs, on(2)).swaps(),
    sum("mpsadbw", ALL, 2, Sum::AbsDiffsSliding, 2 * on(1)).imm(Imm::UpTo(7)),
    two("pavg", BW, Op::AvgRound, on(2)).swaps(),
    lanes("pabs", BWD, 1, L::One(Op::Iabs), on(2)),
    lanes("pabs", Q, 1, L::One(Op::Iabs), on(2)).needs(Avx512Vl),
    lanes("psign", BWD, 2, L::Sign, on(2)),
    two("pmins", BWD, Op::Smin, on(4)).swaps(),
    two("pmins", Q, Op::Smin, on(1)).swaps().needs(Avx512Vl),
    two("pmaxs", BWD, Op::Smax, on(4)).swaps(),
    two("pmaxs", Q, Op::Smax, on(1)).swaps().needs(Avx512Vl),
    two("pminu", BWD, Op::Umin, on(4)).swaps(),
    two("pminu", Q, Op::Umin, on(1)).swaps().needs(Avx512Vl),
    two("pmaxu", BWD, Op::Umax, on(4)).swaps(),
    two("pmaxu", Q, Op::Umax, on(1)).swaps().needs(Avx512Vl),
    lanes("pcmpeq", BWD, 2, L::Compare(IntCc::Eq), on(4)).swaps(),
    lanes("pcmpeq", Q, 2, L::Compare(IntCc::Eq), on(2)).swaps(),
    lanes("pcmpgt", BWDQ, 2, L::Compare(IntCc::Sgt), on(4)),
    lanes("pand", ALL, 2, L::Bits(Op::Band), on(4)).swaps(),
    lanes("por", ALL, 2, L::Bits(Op::Bor), on(4)).swaps(),
    lanes("pxor", ALL, 2, L::Bits(Op::Bxor), on(4)).swaps(),
    lanes("pandn", ALL, 2, L::NotAnd, on(4)),
    lanes("pternlogd", DOUBLES, 3, L::Ternary, on(4)).tied().imm(Imm::UpTo(255)).needs(Avx512Vl),
    moved("pblendv", B, 3, Move::Blend, on(2)),
    moved("blendv", PSD, 3, Move::Blend, on(2)),
    moved("pblend", W, 2, Move::BlendImm, on(4)).imm(Imm::UpTo(255)),
    moved("pblend", D, 2, Move::BlendImm, on(4)).imm(Imm::UpTo(15)).needs(Avx2),
    // Shifts.
    shift("psll", WDQ, Shift::Imm(Way::Left), on(2)),
    shift("psrl", WDQ, Shift::Imm(Way::Right), on(2)),
    shift("psra", WD, Shift::Imm(Way::RightSigned), on(2)),
    shift("psra", Q, Shift::Imm(Way::RightSigned), on(2)).needs(Avx512Vl),
    shift("psll", WDQ, Shift::Count(Way::Left), on(2)),
    shift("psrl", WDQ, Shift::Count(Way::Right), on(2)),
    shift("psra", WD, Shift::Count(Way::RightSigned), on(2)),
    shift("psra", Q, Shift::Count(Way::RightSigned), on(2)).needs(Avx512Vl),
    shift("psllv", DQ, Shift::Each(Way::Left), on(2)).needs(Avx2),
    shift("psrlv", DQ, Shift::Each(Way::Right), on(2)).needs(Avx2),
    shift("psrav", D, Shift::Each(Way::RightSigned), on(2)).needs(Avx2),
    shift("psllv", W, Shift::Each(Way::Left), on(2)).needs(Avx512Bw),
    shift("psrlv", W, Shift::Each(Way::Right), on(2)).needs(Avx512Bw),
    shift("psrav", W, Shift::Each(Way::RightSigned), on(2)).needs(Avx512Bw),
    shift("psrav", Q, Shift::Each(Way::RightSigned), on(2)).needs(Avx512Vl),
    shift("prol", DQ, Shift::RotateImm(Op::Rotl), on(2)).needs(Avx512Vl),
    shift("pror", DQ, Shift::RotateImm(Op::Rotr), on(2)).needs(Avx512Vl),
    shift("prolv", DQ, Shift::RotateEach(Op::Rotl), on(2)).needs(Avx512Vl),
    shift("prorv", DQ, Shift::RotateEach(Op::Rotr), on(2)).needs(Avx512Vl),
    shift("pslldq", ALL, Shift::Bytes(Way::Left), on(2)),
    shift("psrldq", ALL, Shift::Bytes(Way::Right), on(2)),
    // Widening and narrowing.
    lanes("packsswb", WORDS, 2, L::Pack(Cut::Signed), on(2)),
    lanes("packuswb", WORDS, 2, L::Pack(Cut::ToUnsigned), on(2)),
    lanes("packssdw", DOUBLES, 2, L::Pack(Cut::Signed), on(2)),
    lanes("packusdw", DOUBLES, 2, L::Pack(Cut::ToUnsigned), on(2)),
    extend("pmovsx", &[("bw", 8)], true, 16),
    extend("pmovsx", &[("bd", 8), ("wd", 16)], true, 32),
    extend("pmovsx", &[("bq", 8), ("wq", 16), ("dq", 32)], true, 64),
    extend("pmovzx", &[("bw", 8)], false, 16),
    extend("pmovzx", &[("bd", 8), ("wd", 16)], false, 32),
    extend("pmovzx", &[("bq", 8), ("wq", 16), ("dq", 32)], false, 64),
    truncate("pmov", &[("wb", 16)], Cut::Wrap, 8).needs(Avx512Bw),
    truncate("pmov", &[("db", 32), ("qb", 64)], Cut::Wrap, 8),
    truncate("pmov", &[("dw", 32), ("qw", 64)], Cut::Wrap, 16),
    lanes("pmov", &[("qd", 64)], 1, QUAD_TO_DOUBLE, on(2)).needs(Avx512Vl),
    truncate("pmovs", &[("wb", 16)], Cut::Signed, 8).needs(Avx512Bw),
    truncate("pmovs", &[("db", 32), ("qb", 64)], Cut::Signed, 8),
    truncate("pmovs", &[("dw", 32), ("qw", 64)], Cut::Signed, 16),
    truncate("pmovs", &[("qd", 64)], Cut::Signed, 32),
    truncate("pmovus", &[("wb", 16)], Cut::Unsigned, 8).needs(Avx512Bw),
    truncate("pmovus", &[("db", 32), ("qb", 64)], Cut::Unsigned, 8),
    truncate("pmovus", &[("dw", 32), ("qw", 64)], Cut::Unsigned, 16),
    truncate("pmovus", &[("qd", 64)], Cut::Unsigned, 32),
    // Lanes that move.
    moved("punpckl", UNPACK, 2, Move::Zip { high: false }, on(2)),
    moved("punpckh", UNPACK, 2, Move::Zip { high: true }, on(2)),
    moved("palignr", ALL, 2, Move::Slide { low: 1 }, on(2)).imm(Imm::UpTo(255)),
    moved("pshuf", B, 2, lookup(0, 1, Outside::ZeroIfNegative), on(2)),
    moved("perm", B, 2, lookup(1, 0, Outside::Wraps), on(1)).needs(Avx512Vbmi),
    moved("permi2", B, 3, LOOKUP_TWO, 2 * on(1)).tied().needs(Avx512Vbmi),
    moved("pshuf", D, 1, Move::PickFour { from: 0 }, on(2)).imm(Imm::UpTo(255)),
    moved("pshufl", W, 1, Move::PickFour { from: 0 }, on(2)).imm(Imm::UpTo(255)),
    moved("pshufh", W, 1, Move::PickFour { from: 4 }, on(2)).imm(Imm::UpTo(255)),
    moved("shuf", PS, 2, Move::PickTwo, on(2)).imm(Imm::UpTo(255)),
    moved("shuf", PD, 2, Move::PickTwo, on(2)).imm(Imm::UpTo(3)),
    moved("insertps", DOUBLES, 2, Move::InsertAndClear, on(2)).imm(Imm::UpTo(255)),
    moved("pinsr", BWD, 2, Move::Insert, on(1)).imm(Imm::Lane).kinds(FROM_GPR32, Vector),
    moved("pinsr", Q, 2, Move::Insert, on(1)).imm(Imm::Lane).kinds(FROM_GPR64, Vector),
    moved("pextr", BWD, 1, Move::Extract { signed: false, to: 32 }, on(1))
        .imm(Imm::Lane)
        .kinds(&[Vector], Gpr32),
    moved("pextr", Q, 1, Move::Extract { signed: false, to: 64 }, on(1))
        .imm(Imm::Lane)
        .kinds(&[Vector], Gpr64),
    moved("movd", DOUBLES, 1, Move::Lowest, on(1)).kinds(&[Gpr32], Vector),
    moved("movq", QUADS, 1, Move::Lowest, on(1)).kinds(&[Gpr64], Vector),
    moved("movq_low", QUADS, 1, Move::Lowest, on(4)).called("movq"),
    moved("pbroadcast", BWDQ, 1, Move::Broadcast, on(2)).needs(Avx2),
    moved("pbroadcast_gpr_", BWD, 1, Move::Splat, on(1))
        .called("pbroadcast")
        .kinds(&[Gpr32], Vector)
        .needs(Avx512Bw),
    moved("pmovmskb", ALL, 1, Move::SignMask, on(1)).kinds(&[Vector], Gpr32),
    moved("movmsk", PSD, 1, Move::SignMask, on(1)).kinds(&[Vector], Gpr32),
    // Neighbours and products.
    sum("phadd", WD, 2, Sum::Pairs(Op::Iadd), 2 * on(1)),
    sum("phaddsw", WORDS, 2, Sum::Pairs(Op::SaddSat), 2 * on(1)),
    sum("phsub", WD, 2, Sum::Pairs(Op::Isub), 2 * on(1)),
    sum("phsubsw", WORDS, 2, Sum::Pairs(Op::SsubSat), 2 * on(1)),
    sum("phminposuw", WORDS, 1, Sum::MinPosition, on(2)),
    dot("pdpbusd", ALL, MIXED, 4, false),
    dot("pdpbusds", ALL, MIXED, 4, true),
    dot("pdpwssd", WORDS, SIGNED, 2, false),
    dot("pdpwssds", WORDS, SIGNED, 2, true),
    lanes("popcnt", BW, 1, L::One(Op::Popcnt), on(1)).needs(Avx512Bitalg),
    lanes("popcnt", DQ, 1, L::One(Op::Popcnt), on(1)).needs(Avx512Vpopcntdq),
    lanes("plzcnt", DQ, 1, L::One(Op::Clz), on(2)).needs(Avx512Cd),
    // Floats.
    float("min", PSD, 2, FloatMeaning::Lesser),
    float("max", PSD, 2, FloatMeaning::Greater),
    float("cmp", PSD, 2, FloatMeaning::CompareImm).imm(Imm::UpTo(31)),
    float("cvtdq2ps", DOUBLES, 1, FloatMeaning::FromInt { signed: true }),
    float("cvtdq2pd", QUADS, 1, FloatMeaning::FromLowInt),
    float("cvtps2dq", DOUBLES, 1, FloatMeaning::ToIntOrLeast(Rounding::Nearest)),
    float("cvttps2dq", DOUBLES, 1, FloatMeaning::ToIntOrLeast(Rounding::Zero)),
    float("cvtpd2dq", QUADS, 1, FloatMeaning::ToIntOrLeast(Rounding::Nearest)),
    float("cvttpd2dq", QUADS, 1, FloatMeaning::ToIntOrLeast(Rounding::Zero)),
];

const UNPACK: Members = &[("bw", 8), ("wd", 16), ("dq", 32), ("qdq", 64)];
const QUAD_TO_DOUBLE: L = L::Truncate { cut: Cut::Wrap, to: 32 };
const LOOKUP_TWO: Move = Move::LookupTwo { table: 1, by: 0, outside: Outside::Wraps };

const fn lookup(table: usize, by: usize, outside: Outside) -> Move {
    Move::Lookup { table, by, outside }
}

const fn dot(
    stem: &'static str,
    members: Members,
    signed: [bool; 2],
    group: u32,
    saturate: bool,
) -> F {
    let family = sum(stem, members, 3, Sum::Dot { signed, group, saturate }, on(2));
    family.tied().needs(Avx512Vnni)
}

/// Adds the members of `family`.
pub(super) fn rows(family: &'static Family, rows: &mut Vec<Row>) {
    for &(suffix, lane) in family.members {
        let by_imm = matches!(family.meaning, Meaning::Shift(Shift::Imm(_)));
        let stem = family.stem;
        let mnemonic = family.mnemonic.unwrap_or(stem);
        rows.push(Row {
            name: format!("x64_{stem}{suffix}{}", if by_imm { "_imm" } else { "" }),
            mnemonic: format!("v{mnemonic}{suffix}"),
            target: Target::X64,
            family,
            args: family.args,
            tied: family.tied,
            lane,
            high: false,
        });
    }
}

/// `row` as an instruction in Intel's syntax.
pub(super) fn assembly(row: &Row, imm: u32) -> String {
    let register = |kind: Kind, number: usize| match kind {
        Vector => format!("xmm{number}"),
        Gpr32 => format!("r{}d", 8 + number),
        Gpr64 => format!("r{}", 8 + number),
    };
    let mut operands = vec![register(row.family.result, 0)];
    let sources = row.args.iter().enumerate().skip(usize::from(row.tied));
    operands.extend(sources.map(|(at, kind)| register(*kind, at + usize::from(!row.tied))));
    if row.family.imm != Imm::None {
        operands.push(imm.to_string());
    }
    format!("{} {}", row.mnemonic, operands.join(", "))
}
