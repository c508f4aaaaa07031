//! The AArch64 vector ops: NEON with `rdm`, `dotprod`, `i8mm`, and the bit ops of `sha3`.
//!
//! Names are Arm's with the arrangement of the operands: of the narrow ones, where they differ in
//! width, and for narrowing ops of the wide ones. 64-bit forms are left out, except where a result
//! fills half a register; its other half is then zero.
//!
//! A row's text holds the operands as an assembler wants them: `@F` stands for the arrangement of
//! full vectors, `@L` for the half that is read, `@W` for lanes twice as wide, `@N` for lanes half
//! as wide in the half that is written, `@e` and `@w` for the letter of a lane and of one twice as
//! wide, `@r` for the letter of a general register, `#` for the immediate, and `#d` and `#s` for its
//! two lane numbers.

use super::Family as F;
use super::Feature::{self, *};
use super::Kind::{Gpr32, Gpr64, Vector};
use super::float::FloatMeaning;
use super::lanes::{Cut, Exact, Into, Lanewise as L};
use super::meaning::Meaning;
use super::moves::{Move, Outside};
use super::shifts::{Shift, Way};
use super::sums::Sum;
use super::{Family, Halves, Imm, Kind, Row, Target};
use crate::semantics::Rounding;
use crate::{FloatCc, IntCc, Op};

type Members = &'static [(&'static str, u32)];

const B: Members = &[("16b", 8)];
const BH: Members = &[("16b", 8), ("8h", 16)];
const BHS: Members = &[("16b", 8), ("8h", 16), ("4s", 32)];
const BHSD: Members = &[("16b", 8), ("8h", 16), ("4s", 32), ("2d", 64)];
const HS: Members = &[("8h", 16), ("4s", 32)];
const HSD: Members = &[("8h", 16), ("4s", 32), ("2d", 64)];
const S: Members = &[("4s", 32)];
const SD: Members = &[("4s", 32), ("2d", 64)];
const D: Members = &[("2d", 64)];

const ONE: &str = "v0.@F, v1.@F";
const TWO: &str = "v0.@F, v1.@F, v2.@F";
const ONE_IMM: &str = "v0.@F, v1.@F, ##";
const LONG: &str = "v0.@W, v1.@L, v2.@L";
const WIDE: &str = "v0.@W, v1.@W, v2.@L";

/// The cost of one of `pipes` that take an instruction every cycle.
const fn on(pipes: u16) -> u16 {
    16 / pipes
}

const fn family(
    stem: &'static str,
    members: Members,
    arity: usize,
    text: &'static str,
    meaning: Meaning,
    pipes: u16,
) -> F {
    let mut family = F::new(stem, members, arity, meaning, on(pipes), Neon);
    family.text = text;
    family
}

const fn lanes(stem: &'static str, members: Members, arity: usize, meaning: L, pipes: u16) -> F {
    let text = if arity == 1 { ONE } else { TWO };
    family(stem, members, arity, text, Meaning::Lanes(meaning), pipes)
}

const fn two(stem: &'static str, members: Members, op: Op, pipes: u16) -> F {
    lanes(stem, members, 2, L::Two(op), pipes)
}

const fn compare(stem: &'static str, code: IntCc) -> F {
    lanes(stem, BHSD, 2, L::Compare(code), 4)
}

const fn compare_zero(stem: &'static str, mnemonic: &'static str, code: IntCc) -> F {
    let meaning = Meaning::Lanes(L::CompareZero(code));
    family(stem, BHSD, 1, "v0.@F, v1.@F, #0", meaning, 4).called(mnemonic)
}

const fn half(stem: &'static str, signed: bool, sub: bool, round: bool) -> F {
    lanes(stem, BHS, 2, L::Halving { signed, sub, round }, 4)
}

const fn long(stem: &'static str, exact: Exact, signed: bool, pipes: u16) -> F {
    let meaning = Meaning::Lanes(L::Widening { exact, signed, into: Into::Nothing });
    family(stem, BHS, 2, LONG, meaning, pipes).halves(Halves::Source)
}

const fn long_into(stem: &'static str, exact: Exact, signed: bool, into: Into, pipes: u16) -> F {
    let meaning = Meaning::Lanes(L::Widening { exact, signed, into });
    family(stem, BHS, 3, LONG, meaning, pipes).tied().halves(Halves::Source).swaps()
}

const fn wide(stem: &'static str, exact: Exact, signed: bool) -> F {
    let meaning = Meaning::Lanes(L::WideningSecond { exact, signed });
    family(stem, BHS, 2, WIDE, meaning, 4).halves(Halves::Source)
}

const fn narrow(
    stem: &'static str,
    arity: usize,
    text: &'static str,
    meaning: Meaning,
    pipes: u16,
) -> F {
    family(stem, HSD, arity, text, meaning, pipes).halves(Halves::Result)
}

const fn narrow_sum(stem: &'static str, sub: bool, round: bool) -> F {
    let meaning = Meaning::Lanes(L::NarrowHigh { sub, round });
    narrow(stem, 2, "v0.@N, v1.@F, v2.@F", meaning, 3)
}

const fn narrow_cut(stem: &'static str, cut: Cut, pipes: u16) -> F {
    narrow(stem, 1, "v0.@N, v1.@F", Meaning::Lanes(L::Narrow(cut)), pipes)
}

const fn narrow_shift(stem: &'static str, signed: bool, round: bool, cut: Cut) -> F {
    let meaning = Meaning::Shift(Shift::Narrowing { signed, round, cut });
    narrow(stem, 1, "v0.@N, v1.@F, ##", meaning, 2).imm(Imm::Narrowing)
}

const fn right(stem: &'static str, signed: bool, round: bool, add: bool) -> F {
    let meaning = Meaning::Shift(Shift::Right { signed, round, add });
    let family = family(stem, BHSD, if add { 2 } else { 1 }, ONE_IMM, meaning, 2).imm(Imm::Right);
    if add { family.tied() } else { family }
}

const fn left(stem: &'static str, meaning: Shift) -> F {
    family(stem, BHSD, 1, ONE_IMM, Meaning::Shift(meaning), 2).imm(Imm::Left)
}

const fn left_long(stem: &'static str, signed: bool) -> F {
    let meaning = Meaning::Shift(Shift::WideningLeft { signed });
    family(stem, BHS, 1, "v0.@W, v1.@L, ##", meaning, 2).imm(Imm::Left).halves(Halves::Source)
}

const fn either(stem: &'static str, signed: bool, round: bool, saturate: bool) -> F {
    let meaning = Meaning::Shift(Shift::Either { signed, round, saturate });
    family(stem, BHSD, 2, TWO, meaning, 2)
}

const fn pairs(stem: &'static str, members: Members, op: Op) -> F {
    family(stem, members, 2, TWO, Meaning::Sum(Sum::Pairs(op)), 4)
}

const fn pairs_long(stem: &'static str, signed: bool, add: bool, pipes: u16) -> F {
    let meaning = Meaning::Sum(Sum::PairsWidened { signed, add });
    let family = family(stem, BHS, if add { 2 } else { 1 }, "v0.@W, v1.@F", meaning, pipes);
    if add { family.tied() } else { family }
}

const fn across(stem: &'static str, members: Members, op: Op, pipes: u16) -> F {
    family(stem, members, 1, "@e0, v1.@F", Meaning::Sum(Sum::Across(op)), pipes)
}

const fn dot(stem: &'static str, signed: [bool; 2], feature: Feature) -> F {
    let meaning = Meaning::Sum(Sum::Dot { signed, group: 4, saturate: false });
    family(stem, B, 3, "v0.4s, v1.16b, v2.16b", meaning, 4).tied().needing(feature)
}

const fn matmul(stem: &'static str, signed: [bool; 2]) -> F {
    let meaning = Meaning::Sum(Sum::MatMul { signed });
    family(stem, B, 3, "v0.4s, v1.16b, v2.16b", meaning, 4).tied().needing(I8mm)
}

const fn moved(stem: &'static str, members: Members, meaning: Move) -> F {
    family(stem, members, 2, TWO, Meaning::Move(meaning), 4)
}

const fn moved_one(stem: &'static str, members: Members, text: &'static str, meaning: Move) -> F {
    family(stem, members, 1, text, Meaning::Move(meaning), 4)
}

const fn float(
    stem: &'static str,
    members: Members,
    arity: usize,
    meaning: FloatMeaning,
    pipes: u16,
) -> F {
    let text = if arity == 1 { ONE } else { TWO };
    family(stem, members, arity, text, Meaning::Float(meaning), pipes)
}

impl Family {
    const fn halves(mut self, halves: Halves) -> Family {
        self.halves = halves;
        self
    }

    const fn needing(mut self, feature: Feature) -> Family {
        self.feature = feature;
        self
    }
}

const fn lookup(table: usize, by: usize, outside: Outside) -> Move {
    Move::Lookup { table, by, outside }
}

const UNSIGNED: [bool; 2] = [false, false];
const SIGNED: [bool; 2] = [true, true];
const MIXED: [bool; 2] = [false, true];

pub(super) static FAMILIES: &[Family] = &[
    two("add", BHSD, Op::Iadd, 4).swaps(),
    two("sub", BHSD, Op::Isub, 4),
    two("mul", BHS, Op::Imul, 2).swaps(),
    lanes("mla", BHS, 3, L::MulInto(Into::Sum), 2).tied().swaps(),
    lanes("mls", BHS, 3, L::MulInto(Into::Difference), 2).tied().swaps(),
    lanes("neg", BHSD, 1, L::One(Op::Ineg), 4),
    lanes("abs", BHSD, 1, L::One(Op::Iabs), 4),
    lanes("sqneg", BHSD, 1, L::SaturatingNeg { abs: false }, 4),
    lanes("sqabs", BHSD, 1, L::SaturatingNeg { abs: true }, 4),
    lanes("uabd", BHS, 2, L::AbsDiff { signed: false, into: Into::Nothing }, 4).swaps(),
    lanes("sabd", BHS, 2, L::AbsDiff { signed: true, into: Into::Nothing }, 4).swaps(),
    lanes("uaba", BHS, 3, L::AbsDiff { signed: false, into: Into::Sum }, 2).tied().swaps(),
    lanes("saba", BHS, 3, L::AbsDiff { signed: true, into: Into::Sum }, 2).tied().swaps(),
    long("uabdl", Exact::AbsDiff, false, 4).swaps(),
    long("sabdl", Exact::AbsDiff, true, 4).swaps(),
    long_into("uabal", Exact::AbsDiff, false, Into::Sum, 2),
    long_into("sabal", Exact::AbsDiff, true, Into::Sum, 2),
    half("uhadd", false, false, false).swaps(),
    half("shadd", true, false, false).swaps(),
    half("urhadd", false, false, true).swaps(),
    half("srhadd", true, false, true).swaps(),
    half("uhsub", false, true, false),
    half("shsub", true, true, false),
    two("uqadd", BHSD, Op::UaddSat, 4).swaps(),
    two("sqadd", BHSD, Op::SaddSat, 4).swaps(),
    two("uqsub", BHSD, Op::UsubSat, 4),
    two("sqsub", BHSD, Op::SsubSat, 4),
    two("smax", BHS, Op::Smax, 4).swaps(),
    two("smin", BHS, Op::Smin, 4).swaps(),
    two("umax", BHS, Op::Umax, 4).swaps(),
    two("umin", BHS, Op::Umin, 4).swaps(),
    lanes("sqdmulh", HS, 2, L::DoubledMulHigh, 2).swaps(),
    two("sqrdmulh", HS, Op::SqmulRoundSat, 2).swaps(),
    lanes("sqrdmlah", HS, 3, L::DoubledMulHighInto { sub: false }, 1).tied().swaps().needing(Rdm),
    lanes("sqrdmlsh", HS, 3, L::DoubledMulHighInto { sub: true }, 1).tied().swaps().needing(Rdm),
    lanes("cnt", B, 1, L::One(Op::Popcnt), 4),
    lanes("clz", BHS, 1, L::One(Op::Clz), 4),
    lanes("cls", BHS, 1, L::LeadingSigns, 4),
    lanes("rbit", B, 1, L::ReverseBits, 4),
    compare("cmeq", IntCc::Eq).swaps(),
    compare("cmgt", IntCc::Sgt),
    compare("cmge", IntCc::Sge),
    compare("cmhi", IntCc::Ugt),
    compare("cmhs", IntCc::Uge),
    lanes("cmtst", BHSD, 2, L::Test, 4).swaps(),
    compare_zero("cmeq_zero", "cmeq", IntCc::Eq),
    compare_zero("cmgt_zero", "cmgt", IntCc::Sgt),
    compare_zero("cmge_zero", "cmge", IntCc::Sge),
    compare_zero("cmle_zero", "cmle", IntCc::Sle),
    compare_zero("cmlt_zero", "cmlt", IntCc::Slt),
    // Bits.
    lanes("and", B, 2, L::Bits(Op::Band), 4).swaps(),
    lanes("orr", B, 2, L::Bits(Op::Bor), 4).swaps(),
    lanes("eor", B, 2, L::Bits(Op::Bxor), 4).swaps(),
    lanes("mvn", B, 1, L::Bits(Op::Bnot), 4),
    lanes("bic", B, 2, L::AndNot, 4),
    lanes("orn", B, 2, L::OrNot, 4),
    lanes("bsl", B, 3, L::Bitselect { c: 0, x: 1, y: 2 }, 4).tied(),
    lanes("bit", B, 3, L::Bitselect { c: 2, x: 1, y: 0 }, 4).tied(),
    lanes("bif", B, 3, L::Bitselect { c: 2, x: 0, y: 1 }, 4).tied(),
    family("eor3", B, 3, "v0.@F, v1.@F, v2.@F, v3.@F", Meaning::Lanes(L::Xor3), 1)
        .swaps()
        .needing(Sha3),
    family("bcax", B, 3, "v0.@F, v1.@F, v2.@F, v3.@F", Meaning::Lanes(L::XorAndNot), 1)
        .needing(Sha3),
    family("xar", D, 2, "v0.2d, v1.2d, v2.2d, ##", Meaning::Shift(Shift::XorRotate), 1)
        .imm(Imm::UpTo(63))
        .swaps()
        .needing(Sha3),
    // Widening.
    long("uaddl", Exact::Add, false, 4).swaps(),
    long("saddl", Exact::Add, true, 4).swaps(),
    long("usubl", Exact::Sub, false, 4),
    long("ssubl", Exact::Sub, true, 4),
    wide("uaddw", Exact::Add, false),
    wide("saddw", Exact::Add, true),
    wide("usubw", Exact::Sub, false),
    wide("ssubw", Exact::Sub, true),
    long("umull", Exact::Mul, false, 2).swaps(),
    long("smull", Exact::Mul, true, 2).swaps(),
    long_into("umlal", Exact::Mul, false, Into::Sum, 2),
    long_into("smlal", Exact::Mul, true, Into::Sum, 2),
    long_into("umlsl", Exact::Mul, false, Into::Difference, 2),
    long_into("smlsl", Exact::Mul, true, Into::Difference, 2),
    left_long("ushll", false),
    left_long("sshll", true),
    // Narrowing.
    narrow_sum("addhn", false, false).swaps(),
    narrow_sum("raddhn", false, true).swaps(),
    narrow_sum("subhn", true, false),
    narrow_sum("rsubhn", true, true),
    narrow_cut("xtn", Cut::Wrap, 3),
    narrow_cut("sqxtn", Cut::Signed, 2),
    narrow_cut("uqxtn", Cut::Unsigned, 2),
    narrow_cut("sqxtun", Cut::ToUnsigned, 2),
    narrow_shift("shrn", false, false, Cut::Wrap),
    narrow_shift("rshrn", false, true, Cut::Wrap),
    narrow_shift("sqshrn", true, false, Cut::Signed),
    narrow_shift("sqrshrn", true, true, Cut::Signed),
    narrow_shift("uqshrn", false, false, Cut::Unsigned),
    narrow_shift("uqrshrn", false, true, Cut::Unsigned),
    narrow_shift("sqshrun", true, false, Cut::ToUnsigned),
    narrow_shift("sqrshrun", true, true, Cut::ToUnsigned),
    // Shifts.
    right("sshr", true, false, false),
    right("ushr", false, false, false),
    right("srshr", true, true, false),
    right("urshr", false, true, false),
    right("ssra", true, false, true),
    right("usra", false, false, true),
    right("srsra", true, true, true),
    right("ursra", false, true, true),
    left("shl", Shift::Imm(Way::Left)),
    left("sqshl_imm", Shift::SaturatingLeft(Cut::Signed)).called("sqshl"),
    left("uqshl_imm", Shift::SaturatingLeft(Cut::Unsigned)).called("uqshl"),
    left("sqshlu", Shift::SaturatingLeft(Cut::ToUnsigned)),
    insert("sli", Way::Left, Imm::Left),
    insert("sri", Way::Right, Imm::Right),
    either("sshl", true, false, false),
    either("ushl", false, false, false),
    either("srshl", true, true, false),
    either("urshl", false, true, false),
    either("sqshl", true, false, true),
    either("uqshl", false, false, true),
    either("sqrshl", true, true, true),
    either("uqrshl", false, true, true),
    // Several lanes into one.
    pairs("addp", BHSD, Op::Iadd),
    pairs("smaxp", BHS, Op::Smax),
    pairs("sminp", BHS, Op::Smin),
    pairs("umaxp", BHS, Op::Umax),
    pairs("uminp", BHS, Op::Umin),
    pairs_long("saddlp", true, false, 4),
    pairs_long("uaddlp", false, false, 4),
    pairs_long("sadalp", true, true, 2),
    pairs_long("uadalp", false, true, 2),
    across("addv", B, Op::Iadd, 1),
    across("addv", HS, Op::Iadd, 2),
    across("smaxv", B, Op::Smax, 1),
    across("smaxv", HS, Op::Smax, 2),
    across("sminv", B, Op::Smin, 1),
    across("sminv", HS, Op::Smin, 2),
    across("umaxv", B, Op::Umax, 1),
    across("umaxv", HS, Op::Umax, 2),
    across("uminv", B, Op::Umin, 1),
    across("uminv", HS, Op::Umin, 2),
    across_long("saddlv", B, true, 1),
    across_long("saddlv", HS, true, 2),
    across_long("uaddlv", B, false, 1),
    across_long("uaddlv", HS, false, 2),
    dot("udot", UNSIGNED, Dotprod).swaps(),
    dot("sdot", SIGNED, Dotprod).swaps(),
    dot("usdot", MIXED, I8mm),
    matmul("ummla", UNSIGNED),
    matmul("smmla", SIGNED),
    matmul("usmmla", MIXED),
    // Lanes that move.
    moved("zip1", BHSD, Move::Zip { high: false }),
    moved("zip2", BHSD, Move::Zip { high: true }),
    moved("uzp1", BHSD, Move::Unzip { odd: false }),
    moved("uzp2", BHSD, Move::Unzip { odd: true }),
    moved("trn1", BHSD, Move::Transpose { odd: false }),
    moved("trn2", BHSD, Move::Transpose { odd: true }),
    family("ext", B, 2, "v0.16b, v1.16b, v2.16b, ##", Meaning::Move(Move::Slide { low: 0 }), 4)
        .imm(Imm::UpTo(15)),
    moved_one("rev16", B, ONE, Move::Reverse { group: 16 }),
    moved_one("rev32", BH, ONE, Move::Reverse { group: 32 }),
    moved_one("rev64", BHS, ONE, Move::Reverse { group: 64 }),
    table("tbl", 2, "v0.16b, {v1.16b}, v2.16b", lookup(0, 1, Outside::Zero), 2),
    table("tbl2", 3, "v0.16b, {v1.16b, v2.16b}, v3.16b", TWO_TABLES, 2).called("tbl"),
    table("tbx", 3, "v0.16b, {v1.16b}, v2.16b", lookup(1, 2, Outside::Keep), 4).tied(),
    moved_one("dup", BHSD, "v0.@F, v1.@e[#]", Move::Broadcast).imm(Imm::Lane),
    dup_gpr(BHS, &[Gpr32]),
    dup_gpr(D, &[Gpr64]),
    family("ins", BHSD, 2, "v0.@e[#d], v1.@e[#s]", Meaning::Move(Move::CopyLane), 4)
        .tied()
        .imm(Imm::TwoLanes),
    ins_gpr(BHS, &[Vector, Gpr32]),
    ins_gpr(D, &[Vector, Gpr64]),
    take("umov", BHS, false, Gpr32),
    take("umov", D, false, Gpr64),
    take("smov", BH, true, Gpr32),
    take("smov_64", BHS, true, Gpr64).called("smov"),
    // Floats.
    float("fneg", SD, 1, FloatMeaning::Sign(Op::Fneg), 4),
    float("fabs", SD, 1, FloatMeaning::Sign(Op::Fabs), 4),
    float("fcmeq", SD, 2, FloatMeaning::Compare(FloatCc::Eq), 4).swaps(),
    float("fcmgt", SD, 2, FloatMeaning::Compare(FloatCc::Gt), 4),
    float("fcmge", SD, 2, FloatMeaning::Compare(FloatCc::Ge), 4),
    float("scvtf", S, 1, FloatMeaning::FromInt { signed: true }, 1),
    float("scvtf", D, 1, FloatMeaning::FromInt { signed: true }, 2),
    float("ucvtf", S, 1, FloatMeaning::FromInt { signed: false }, 1),
    float("ucvtf", D, 1, FloatMeaning::FromInt { signed: false }, 2),
    float("fcvtzs", S, 1, to_int(true, Rounding::Zero), 1),
    float("fcvtzs", D, 1, to_int(true, Rounding::Zero), 2),
    float("fcvtzu", S, 1, to_int(false, Rounding::Zero), 1),
    float("fcvtzu", D, 1, to_int(false, Rounding::Zero), 2),
    float("fcvtns", S, 1, to_int(true, Rounding::Nearest), 1),
    float("fcvtns", D, 1, to_int(true, Rounding::Nearest), 2),
    float("fcvtnu", S, 1, to_int(false, Rounding::Nearest), 1),
    float("fcvtnu", D, 1, to_int(false, Rounding::Nearest), 2),
    float("fcvtms", S, 1, to_int(true, Rounding::Down), 1),
    float("fcvtms", D, 1, to_int(true, Rounding::Down), 2),
    float("fcvtps", S, 1, to_int(true, Rounding::Up), 1),
    float("fcvtps", D, 1, to_int(true, Rounding::Up), 2),
    float("fcvtpu", S, 1, to_int(false, Rounding::Up), 1),
    float("fcvtpu", D, 1, to_int(false, Rounding::Up), 2),
];

const TWO_TABLES: Move = Move::LookupTwo { table: 0, by: 2, outside: Outside::Zero };

const fn to_int(signed: bool, rounding: Rounding) -> FloatMeaning {
    FloatMeaning::ToInt { signed, rounding }
}

const fn across_long(stem: &'static str, members: Members, signed: bool, pipes: u16) -> F {
    family(stem, members, 1, "@w0, v1.@F", Meaning::Sum(Sum::AcrossWidened { signed }), pipes)
}

const fn insert(stem: &'static str, way: Way, imm: Imm) -> F {
    family(stem, BHSD, 2, ONE_IMM, Meaning::Shift(Shift::Insert(way)), 2).tied().imm(imm)
}

const fn table(
    stem: &'static str,
    arity: usize,
    text: &'static str,
    meaning: Move,
    pipes: u16,
) -> F {
    family(stem, B, arity, text, Meaning::Move(meaning), pipes)
}

const fn dup_gpr(members: Members, args: &'static [Kind]) -> F {
    family("dup_gpr", members, 1, "v0.@F, @r1", Meaning::Move(Move::Splat), 1)
        .called("dup")
        .kinds(args, Vector)
}

const fn ins_gpr(members: Members, args: &'static [Kind]) -> F {
    family("ins_gpr", members, 2, "v0.@e[#], @r1", Meaning::Move(Move::Insert), 1)
        .called("ins")
        .kinds(args, Vector)
        .tied()
        .imm(Imm::Lane)
}

const fn take(stem: &'static str, members: Members, signed: bool, to: Kind) -> F {
    let meaning = Meaning::Move(Move::Extract { signed, to: to.bits() });
    family(stem, members, 1, "@r0, v1.@e[#]", meaning, 1).kinds(&[Vector], to).imm(Imm::Lane)
}

/// Adds the members of `family`, for both halves where there are two.
pub(super) fn rows(family: &'static Family, rows: &mut Vec<Row>) {
    let stem = family.stem;
    let mnemonic = family.mnemonic.unwrap_or(stem);
    for &(arrangement, lane) in family.members {
        let low = match family.halves {
            Halves::Source => half_arrangement(lane),
            Halves::None | Halves::Result => arrangement,
        };
        let row = |mnemonic: String, name: String, high: bool| Row {
            name,
            mnemonic,
            target: Target::A64,
            family,
            // The member that writes the upper half is given the lower one.
            args: match high && family.halves == Halves::Result {
                true => super::VECTORS.split_at(family.args.len() + 1).0,
                false => family.args,
            },
            tied: family.tied || high && family.halves == Halves::Result,
            lane,
            high,
        };
        rows.push(row(mnemonic.to_owned(), format!("a64_{stem}_{low}"), false));
        if family.halves != Halves::None {
            rows.push(row(format!("{mnemonic}2"), format!("a64_{stem}2_{arrangement}"), true));
        }
    }
}

/// The arrangement of a full vector of lanes of `w` bits.
fn arrangement(w: u32) -> &'static str {
    match w {
        8 => "16b",
        16 => "8h",
        32 => "4s",
        _ => "2d",
    }
}

/// The arrangement of half a vector of lanes of `w` bits.
fn half_arrangement(w: u32) -> &'static str {
    match w {
        8 => "8b",
        16 => "4h",
        32 => "2s",
        _ => "1d",
    }
}

/// The letter of a lane of `w` bits.
fn letter(w: u32) -> &'static str {
    match w {
        8 => "b",
        16 => "h",
        32 => "s",
        _ => "d",
    }
}

/// `row` as an instruction.
pub(super) fn assembly(row: &Row, imm: u32) -> String {
    let (w, n) = (row.lane, 128 / row.lane);
    let in_half = if row.high { arrangement } else { half_arrangement };
    let kinds = row.args.iter().chain([&row.family.result]);
    let gpr = if kinds.clone().any(|kind| *kind == Gpr64) { "x" } else { "w" };
    let operands = row
        .family
        .text
        .replace("@F", arrangement(w))
        .replace("@L", in_half(w))
        .replace("@W", arrangement(2 * w))
        .replace("@N", in_half(w / 2))
        .replace("@e", letter(w))
        .replace("@w", letter(2 * w))
        .replace("@r", gpr)
        .replace("##", &format!("#{imm}"))
        .replace("#d", &(imm / n).to_string())
        .replace("#s", &(imm % n).to_string())
        .replace("[#]", &format!("[{imm}]"));
    format!("{} {operands}", row.mnemonic)
}
