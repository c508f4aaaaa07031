//! Vector integers.

use super::shuffle::Narrowing;
use super::{Fits, Root, Select, Source, done, is_vector};
use crate::vcode::{Kind, Opnd};
use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::{InstructionData, Opcode, Type, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

/// `vconst`.
pub(super) fn constant(select: &mut Select<'_>, root: &Root) -> Fits {
    let value = select.func.dfg.first_result(root.inst);
    let Some(data) = select.vector_constant(value) else { return Ok(false) };
    let bytes = data.as_slice().to_vec();
    if bytes.len() != 16 {
        return Ok(false);
    }
    if bytes.iter().all(|&byte| byte == bytes[0]) && matches!(bytes[0], 0 | 0xff) {
        let to = select.result()?;
        let code = if bytes[0] == 0 {
            Code::VEX_Vpxor_xmm_xmm_xmmm128
        } else {
            Code::VEX_Vpcmpeqd_xmm_xmm_xmmm128
        };
        select.push(Kind::Idiom { code, to });
        return Ok(true);
    }
    let source = select.pool_source(&bytes);
    select.unary(Code::VEX_Vmovups_xmm_xmmm128, source, None);
    done(select)
}

/// The code for the lane width of `ty`: 8, 16, 32, 64 bits.
fn by_lane(ty: Type, codes: [Code; 4]) -> Code {
    codes[ty.lane_bits().trailing_zeros() as usize - 3]
}

/// `ineg`.
pub(super) fn negate(select: &mut Select<'_>, root: &Root) -> Fits {
    if !is_vector(root.ty) {
        return Ok(false);
    }
    let code = by_lane(root.ty, SUB);
    let zero = select.zero();
    let source = select.source(root.args[0], root.ty)?;
    select.binary(code, zero, source, None);
    done(select)
}

const SUB: [Code; 4] = [
    Code::VEX_Vpsubb_xmm_xmm_xmmm128,
    Code::VEX_Vpsubw_xmm_xmm_xmmm128,
    Code::VEX_Vpsubd_xmm_xmm_xmmm128,
    Code::VEX_Vpsubq_xmm_xmm_xmmm128,
];

/// `iabs` of 64-bit lanes: the sign of a double selects the negation.
pub(super) fn abs64(select: &mut Select<'_>, root: &Root) -> Fits {
    let from = select.reg(root.args[0])?;
    let zero = select.zero();
    let negated = select.binary_regs(Code::VEX_Vpsubq_xmm_xmm_xmmm128, zero, from);
    let to = select.result()?;
    let blend = Code::VEX_Vblendvpd_xmm_xmm_xmmm128_xmm;
    let (from_op, negated) = (Opnd::UseReg(from), Opnd::Use(negated));
    select.x86(blend, &[Opnd::Def(to), from_op, negated, Opnd::UseReg(from)]);
    Ok(true)
}

/// `x86_pmaddubsw`: the second operand of CLIF is the unsigned one, which comes first on x86.
pub(super) fn multiply_add_bytes(select: &mut Select<'_>, root: &Root) -> Fits {
    let unsigned = select.reg(root.args[1])?;
    let source = select.source(root.args[0], root.ty)?;
    select.binary(Code::VEX_Vpmaddubsw_xmm_xmm_xmmm128, unsigned, source, None);
    done(select)
}

/// Pairwise sums of what was just widened.
pub(super) fn pairwise_widened(select: &mut Select<'_>, root: &Root) -> Fits {
    let [low, high] = root.args[..] else { return Ok(false) };
    let ty = root.ty;
    let pairs = [
        (Opcode::SwidenLow, Opcode::SwidenHigh, true),
        (Opcode::UwidenLow, Opcode::UwidenHigh, false),
    ];
    for (low_op, high_op, signed) in pairs {
        let (Some(one), Some(other)) =
            (select.match_op(low, low_op, ty), select.match_op(high, high_op, ty))
        else {
            continue;
        };
        if select.canonical(one[0]) != select.canonical(other[0]) {
            continue;
        }
        let narrow = one[0];
        match (select.type_of(narrow), signed) {
            (types::I8X16, true) => {
                let ones = select.pool_u32x4(0x0101_0101);
                let ones = select.source_reg(ones);
                let source = Source::Reg(select.reg(narrow)?);
                select.binary(Code::VEX_Vpmaddubsw_xmm_xmm_xmmm128, ones, source, None);
            }
            (types::I8X16, false) => {
                let narrow = select.reg(narrow)?;
                let ones = select.pool_u32x4(0x0101_0101);
                select.binary(Code::VEX_Vpmaddubsw_xmm_xmm_xmmm128, narrow, ones, None);
            }
            (types::I16X8, true) => {
                let narrow = select.reg(narrow)?;
                let ones = select.pool_u32x4(0x0001_0001);
                select.binary(Code::VEX_Vpmaddwd_xmm_xmm_xmmm128, narrow, ones, None);
            }
            _ => return Ok(false),
        }
        return done(select);
    }
    Ok(false)
}

/// `iadd_pairwise` of bytes.
pub(super) fn pairwise8(select: &mut Select<'_>, root: &Root) -> Fits {
    let (left, right) = (select.reg(root.args[0])?, select.reg(root.args[1])?);
    let [evens, odds] =
        [false, true].map(|upper| Narrowing { width: 1, upper }.put(select, [left, right]));
    select.binary_regs(Code::VEX_Vpaddb_xmm_xmm_xmmm128, evens, odds);
    done(select)
}

/// `band`, `bor` and `bxor`; also those of scalar floats, which some rewrites make.
pub(super) fn bitwise(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_vector(ty) {
        return Ok(false);
    }
    let code = match (root.op, ty.lane_type().is_float()) {
        (Opcode::Band, false) => Code::VEX_Vpand_xmm_xmm_xmmm128,
        (Opcode::Bor, false) => Code::VEX_Vpor_xmm_xmm_xmmm128,
        (_, false) => Code::VEX_Vpxor_xmm_xmm_xmmm128,
        (Opcode::Band, true) => Code::VEX_Vandps_xmm_xmm_xmmm128,
        (Opcode::Bor, true) => Code::VEX_Vorps_xmm_xmm_xmmm128,
        (_, true) => Code::VEX_Vxorps_xmm_xmm_xmmm128,
    };
    let [mut left, mut right] = root.args[..] else { return Ok(false) };
    if select.memory_rank(left, ty) > select.memory_rank(right, ty) {
        (left, right) = (right, left);
    }
    let left = select.reg(left)?;
    let source = select.source(right, ty)?;
    select.binary(code, left, source, None);
    done(select)
}

/// `x & ~y`.
pub(super) fn and_not(select: &mut Select<'_>, root: &Root) -> Fits {
    if !is_vector(root.ty) {
        return Ok(false);
    }
    let negation = |value| {
        let inst = select.def_of(value, Opcode::Bnot)?;
        Some(select.func.dfg.inst_args(inst)[0])
    };
    let Some((kept, negated)) = select.and_not_operands(root, negation) else { return Ok(false) };
    let negated = select.reg(negated)?;
    let source = select.source(kept, root.ty)?;
    select.binary(Code::VEX_Vpandn_xmm_xmm_xmmm128, negated, source, None);
    done(select)
}

/// `bnot`.
pub(super) fn not(select: &mut Select<'_>, root: &Root) -> Fits {
    if !is_vector(root.ty) {
        return Ok(false);
    }
    let ones = select.ones();
    let source = select.source(root.args[0], root.ty)?;
    select.binary(Code::VEX_Vpxor_xmm_xmm_xmmm128, ones, source, None);
    done(select)
}

/// A `bitselect` that is a native minimum or maximum: `x < y ? x : y` and the like.
pub(super) fn float_min_max(select: &mut Select<'_>, root: &Root) -> Fits {
    let [mask, yes, no] = root.args[..] else { return Ok(false) };
    let Some(inst) = select.def_of(mask, Opcode::Fcmp) else { return Ok(false) };
    let InstructionData::FloatCompare { args: [x, y], cond: FloatCC::LessThan, .. } =
        select.func.dfg.insts[inst]
    else {
        return Ok(false);
    };
    let lanes = select.type_of(x);
    let (x, y) = (select.canonical(x), select.canonical(y));
    let (yes_key, no_key) = (select.canonical(yes), select.canonical(no));
    let min = (x, y) == (yes_key, no_key);
    let max = (y, x) == (yes_key, no_key);
    let code = match (lanes, min, max) {
        (types::F32X4, true, _) => Code::VEX_Vminps_xmm_xmm_xmmm128,
        (types::F64X2, true, _) => Code::VEX_Vminpd_xmm_xmm_xmmm128,
        (types::F32X4, _, true) => Code::VEX_Vmaxps_xmm_xmm_xmmm128,
        (types::F64X2, _, true) => Code::VEX_Vmaxpd_xmm_xmm_xmmm128,
        _ => return Ok(false),
    };
    let left = select.reg(yes)?;
    let right = select.reg(no)?;
    select.binary_regs(code, left, right);
    done(select)
}

impl Select<'_> {
    /// Whether every byte of `value` is all ones or all zeros.
    fn is_byte_mask(&self, value: Value) -> bool {
        let value = self.canonical(value);
        match self.def(value).map(|inst| self.func.dfg.insts[inst]) {
            Some(
                InstructionData::IntCompare { args, .. }
                | InstructionData::FloatCompare { args, .. },
            ) => is_vector(self.type_of(args[0])),
            Some(InstructionData::UnaryConst { .. }) => self
                .vector_constant(value)
                .is_some_and(|data| data.iter().all(|&byte| byte == 0 || byte == 0xff)),
            Some(InstructionData::Unary { opcode: Opcode::Bnot, arg, .. }) => {
                is_vector(self.type_of(arg)) && self.is_byte_mask(arg)
            }
            _ => false,
        }
    }
}

fn blend_with(select: &mut Select<'_>, code: Code, mask: VReg, yes: Value, no: Value) -> Fits {
    let no = select.reg(no)?;
    let yes = select.reg(yes)?;
    let to = select.result()?;
    select.x86(code, &[Opnd::Def(to), Opnd::UseReg(no), Opnd::Use(yes), Opnd::UseReg(mask)]);
    Ok(true)
}

/// `bitselect` by the mask of a comparison.
pub(super) fn choose_lanes(select: &mut Select<'_>, root: &Root) -> Fits {
    let [mask, yes, no] = root.args[..] else { return Ok(false) };
    if !is_vector(root.ty) || !select.is_byte_mask(mask) {
        return Ok(false);
    }
    let mask = select.reg(mask)?;
    blend_with(select, Code::VEX_Vpblendvb_xmm_xmm_xmmm128_xmm, mask, yes, no)
}

/// `bitselect` by any mask.
pub(super) fn choose_bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let [mask, yes, no] = root.args[..] else { return Ok(false) };
    if !is_vector(root.ty) {
        return Ok(false);
    }
    let mask = select.reg(mask)?;
    let yes = select.source(yes, root.ty)?;
    let kept = select.binary(Code::VEX_Vpand_xmm_xmm_xmmm128, mask, yes, None);
    let no = select.reg(no)?;
    let other = select.binary_regs(Code::VEX_Vpandn_xmm_xmm_xmmm128, mask, no);
    select.binary_regs(Code::VEX_Vpor_xmm_xmm_xmmm128, kept, other);
    done(select)
}

/// `blendv`: the highest bit of each lane chooses.
pub(super) fn blend(select: &mut Select<'_>, root: &Root) -> Fits {
    let [mask, yes, no] = root.args[..] else { return Ok(false) };
    let code = match root.ty {
        types::I8X16 => Code::VEX_Vpblendvb_xmm_xmm_xmmm128_xmm,
        types::I32X4 | types::F32X4 => Code::VEX_Vblendvps_xmm_xmm_xmmm128_xmm,
        types::I64X2 | types::F64X2 => Code::VEX_Vblendvpd_xmm_xmm_xmmm128_xmm,
        _ => return Ok(false),
    };
    let mask = select.reg(mask)?;
    blend_with(select, code, mask, yes, no)
}

/// Lanes that are taken out one by one, shifted by lanes of another vector and put together again,
/// as wasm must; AVX2 shifts each lane by a count of its own.
pub(super) fn shifts_of_lanes(select: &mut Select<'_>, root: &Root) -> Fits {
    let lanes = match root.ty {
        types::I32X4 => 4,
        types::I64X2 => 2,
        _ => return Ok(false),
    };
    let dfg = &select.func.dfg;
    let mut shifts = [None; 4];
    let mut inst = root.inst;
    loop {
        // What is below may be seen through a bitcast.
        if dfg.value_type(dfg.first_result(inst)) != root.ty {
            return Ok(false);
        }
        match dfg.insts[inst] {
            InstructionData::TernaryImm8 { opcode: Opcode::Insertlane, args, imm } => {
                shifts[usize::from(imm)].get_or_insert(args[1]);
                match select.def(args[0]) {
                    Some(below) => inst = below,
                    None => return Ok(false),
                }
            }
            InstructionData::Unary { opcode: Opcode::Splat, arg } => {
                for shift in &mut shifts {
                    shift.get_or_insert(arg);
                }
                break;
            }
            _ => return Ok(false),
        }
    }
    let lane_of = |value: Value, lane: usize| {
        let inst = select.def_of(value, Opcode::Extractlane)?;
        let InstructionData::BinaryImm8 { arg, imm, .. } = dfg.insts[inst] else { return None };
        let fits = usize::from(imm) == lane && select.type_of(arg) == root.ty;
        fits.then(|| select.canonical(arg))
    };
    let mut found = None;
    for (lane, shift) in shifts.into_iter().enumerate().take(lanes) {
        let Some(shift) = shift.and_then(|shift| select.def(shift)) else { return Ok(false) };
        let InstructionData::Binary { opcode, args } = dfg.insts[shift] else { return Ok(false) };
        if dfg.value_type(dfg.first_result(shift)) != root.ty.lane_type() {
            return Ok(false);
        }
        let (Some(from), Some(counts)) = (lane_of(args[0], lane), lane_of(args[1], lane)) else {
            return Ok(false);
        };
        if *found.get_or_insert((opcode, from, counts)) != (opcode, from, counts) {
            return Ok(false);
        }
    }
    let Some((op, from, counts)) = found else { return Ok(false) };
    let code = match (op, root.ty) {
        (Opcode::Ushr, types::I32X4) => Code::VEX_Vpsrlvd_xmm_xmm_xmmm128,
        (Opcode::Ishl, types::I32X4) => Code::VEX_Vpsllvd_xmm_xmm_xmmm128,
        (Opcode::Sshr, types::I32X4) => Code::VEX_Vpsravd_xmm_xmm_xmmm128,
        (Opcode::Ushr, types::I64X2) => Code::VEX_Vpsrlvq_xmm_xmm_xmmm128,
        (Opcode::Ishl, types::I64X2) => Code::VEX_Vpsllvq_xmm_xmm_xmmm128,
        _ => return Ok(false),
    };
    // Counts are modulo the width, which the instruction does not take them to be.
    let mask = match lanes {
        4 => select.pool_u32x4(31),
        _ => select.pool_u64x2(63),
    };
    let counts = select.reg(counts)?;
    let counts = select.binary(Code::VEX_Vpand_xmm_xmm_xmmm128, counts, mask, None);
    let from = select.reg(from)?;
    select.binary_regs(code, from, counts);
    done(select)
}

/// `smin`, `smax`, `umin` and `umax` of 64-bit lanes, for which AVX2 has a signed comparison alone.
pub(super) fn min_max64(select: &mut Select<'_>, root: &Root) -> Fits {
    let [left, right] = root.args[..] else { return Ok(false) };
    let (one, other) = (select.reg(left)?, select.reg(right)?);
    let (mut above, mut below) = (one, other);
    if matches!(root.op, Opcode::Umin | Opcode::Umax) {
        for side in [&mut above, &mut below] {
            let signs = select.pool_u64x2(1 << 63);
            *side = select.binary(Code::VEX_Vpxor_xmm_xmm_xmmm128, *side, signs, None);
        }
    }
    let mask = select.binary_regs(Code::VEX_Vpcmpgtq_xmm_xmm_xmmm128, above, below);
    let largest = matches!(root.op, Opcode::Smax | Opcode::Umax);
    let (yes, no) = if largest { (one, other) } else { (other, one) };
    let to = select.result()?;
    let ops = [Opnd::Def(to), Opnd::UseReg(no), Opnd::Use(yes), Opnd::UseReg(mask)];
    select.x86(Code::VEX_Vblendvpd_xmm_xmm_xmmm128_xmm, &ops);
    Ok(true)
}

/// Shifts of 16, 32 and 64 bits: by an immediate, and by the low bits of a vector register.
struct ShiftCodes {
    imm: Code,
    reg: Code,
}

fn shift_codes(op: Opcode, lane_bits: u32) -> Option<ShiftCodes> {
    let (imm, reg) = match (op, lane_bits) {
        (Opcode::Ishl, 16) => (Code::VEX_Vpsllw_xmm_xmm_imm8, Code::VEX_Vpsllw_xmm_xmm_xmmm128),
        (Opcode::Ishl, 32) => (Code::VEX_Vpslld_xmm_xmm_imm8, Code::VEX_Vpslld_xmm_xmm_xmmm128),
        (Opcode::Ishl, 64) => (Code::VEX_Vpsllq_xmm_xmm_imm8, Code::VEX_Vpsllq_xmm_xmm_xmmm128),
        (Opcode::Ushr, 16) => (Code::VEX_Vpsrlw_xmm_xmm_imm8, Code::VEX_Vpsrlw_xmm_xmm_xmmm128),
        (Opcode::Ushr, 32) => (Code::VEX_Vpsrld_xmm_xmm_imm8, Code::VEX_Vpsrld_xmm_xmm_xmmm128),
        (Opcode::Ushr, 64) => (Code::VEX_Vpsrlq_xmm_xmm_imm8, Code::VEX_Vpsrlq_xmm_xmm_xmmm128),
        (Opcode::Sshr, 16) => (Code::VEX_Vpsraw_xmm_xmm_imm8, Code::VEX_Vpsraw_xmm_xmm_xmmm128),
        (Opcode::Sshr, 32) => (Code::VEX_Vpsrad_xmm_xmm_imm8, Code::VEX_Vpsrad_xmm_xmm_xmmm128),
        _ => return None,
    };
    Some(ShiftCodes { imm, reg })
}

/// How far lanes are shifted.
#[derive(Clone, Copy)]
enum Count {
    Imm(i64),
    /// In the low 64 bits of a vector register.
    Reg(VReg),
}

impl Select<'_> {
    fn shift_lanes(&mut self, op: Opcode, lane_bits: u32, from: VReg, count: Count) -> VReg {
        let codes = shift_codes(op, lane_bits).expect("a shift that x86 has");
        match count {
            Count::Imm(count) => self.shift_imm(codes.imm, from, count),
            Count::Reg(count) => self.binary_regs(codes.reg, from, count),
        }
    }
}

/// Shifts of vectors, by counts modulo the width of lanes.
pub(super) fn shift(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_vector(ty) {
        return Ok(false);
    }
    let bits = ty.lane_bits();
    let [value, count] = root.args[..] else { return Ok(false) };
    let count_mask = i64::from(bits - 1);
    let from = select.reg(value)?;
    let count = match select.constant(count) {
        Some(count) => Count::Imm(count & count_mask),
        None => {
            let count = select.reg(count)?;
            let low = select.gpr();
            let mask = Opnd::Imm(count_mask);
            select.x86(Code::And_rm32_imm8, &[Opnd::Mod { from: count, to: low }, mask]);
            let to = select.xmm();
            select.x86(Code::VEX_Vmovd_xmm_rm32, &[Opnd::Def(to), Opnd::Use(low)]);
            Count::Reg(to)
        }
    };
    match (bits, root.op) {
        (8, Opcode::Sshr) => {
            // Each byte in the high half of 16 bits, beside itself.
            let count = match count {
                Count::Imm(count) => Count::Imm(count + 8),
                Count::Reg(count) => {
                    let eight = select.pool_u64x2(8);
                    let add = Code::VEX_Vpaddq_xmm_xmm_xmmm128;
                    Count::Reg(select.binary(add, count, eight, None))
                }
            };
            let low = select.binary_regs(Code::VEX_Vpunpcklbw_xmm_xmm_xmmm128, from, from);
            let high = select.binary_regs(Code::VEX_Vpunpckhbw_xmm_xmm_xmmm128, from, from);
            let low = select.shift_lanes(Opcode::Sshr, 16, low, count);
            let high = select.shift_lanes(Opcode::Sshr, 16, high, count);
            select.binary_regs(Code::VEX_Vpacksswb_xmm_xmm_xmmm128, low, high);
        }
        (8, op) => {
            // Shift in 16 bits, then clear what came from the neighbour.
            let shifted = select.shift_lanes(op, 16, from, count);
            let mask = match count {
                Count::Imm(count) => {
                    let byte = match op {
                        Opcode::Ishl => 0xffu8 << count,
                        _ => 0xffu8 >> count,
                    };
                    select.pool_source(&[byte; 16])
                }
                Count::Reg(_) => {
                    // The same shift of all ones has the mask in one byte of each pair.
                    let ones = select.ones();
                    let mask = select.shift_lanes(op, 16, ones, count);
                    let byte = if op == Opcode::Ishl { 0 } else { 1 };
                    let pick = select.pool_source(&[byte; 16]);
                    let shuffle = Code::VEX_Vpshufb_xmm_xmm_xmmm128;
                    Source::Reg(select.binary(shuffle, mask, pick, None))
                }
            };
            select.binary(Code::VEX_Vpand_xmm_xmm_xmmm128, shifted, mask, None);
        }
        (64, Opcode::Sshr) => {
            // (x ^ s) - s for the sign bit s, shifted logically like x.
            let sign = select.pool_u64x2(1 << 63);
            let sign = select.source_reg(sign);
            let sign = select.shift_lanes(Opcode::Ushr, 64, sign, count);
            let shifted = select.shift_lanes(Opcode::Ushr, 64, from, count);
            let flipped = select.binary_regs(Code::VEX_Vpxor_xmm_xmm_xmmm128, shifted, sign);
            select.binary_regs(Code::VEX_Vpsubq_xmm_xmm_xmmm128, flipped, sign);
        }
        (bits, op) => {
            select.shift_lanes(op, bits, from, count);
        }
    }
    done(select)
}

const EQUAL: [Code; 4] = [
    Code::VEX_Vpcmpeqb_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpeqw_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpeqd_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpeqq_xmm_xmm_xmmm128,
];
const GREATER: [Code; 4] = [
    Code::VEX_Vpcmpgtb_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpgtw_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpgtd_xmm_xmm_xmmm128,
    Code::VEX_Vpcmpgtq_xmm_xmm_xmmm128,
];
const MAX_SIGNED: [Code; 3] = [
    Code::VEX_Vpmaxsb_xmm_xmm_xmmm128,
    Code::VEX_Vpmaxsw_xmm_xmm_xmmm128,
    Code::VEX_Vpmaxsd_xmm_xmm_xmmm128,
];
const MAX_UNSIGNED: [Code; 3] = [
    Code::VEX_Vpmaxub_xmm_xmm_xmmm128,
    Code::VEX_Vpmaxuw_xmm_xmm_xmmm128,
    Code::VEX_Vpmaxud_xmm_xmm_xmmm128,
];

/// `icmp` of lanes.
pub(super) fn compare(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::IntCompare { args: [left, right], cond, .. } = root.data else {
        return Ok(false);
    };
    let ty = select.type_of(left);
    if !is_vector(ty) {
        return Ok(false);
    }
    // All orders become one of: equal, greater, greater or equal.
    let (cond, left, right) = match cond {
        IntCC::SignedLessThan
        | IntCC::SignedLessThanOrEqual
        | IntCC::UnsignedLessThan
        | IntCC::UnsignedLessThanOrEqual => (cond.swap_args(), right, left),
        _ => (cond, left, right),
    };
    let lane = ty.lane_bits().trailing_zeros() as usize - 3;
    let wide = lane == 3;
    match cond {
        IntCC::Equal | IntCC::SignedGreaterThan => {
            let code = if cond == IntCC::Equal { EQUAL } else { GREATER }[lane];
            let left = select.reg(left)?;
            let source = select.source(right, ty)?;
            select.binary(code, left, source, None);
        }
        IntCC::NotEqual => {
            let left = select.reg(left)?;
            let source = select.source(right, ty)?;
            let equal = select.binary(EQUAL[lane], left, source, None);
            invert(select, equal);
        }
        IntCC::SignedGreaterThanOrEqual if wide => {
            let (left, right) = (select.reg(left)?, select.reg(right)?);
            let less = select.binary_regs(GREATER[lane], right, left);
            invert(select, less);
        }
        IntCC::SignedGreaterThanOrEqual | IntCC::UnsignedGreaterThanOrEqual if !wide => {
            let signed = cond == IntCC::SignedGreaterThanOrEqual;
            let max = if signed { MAX_SIGNED } else { MAX_UNSIGNED }[lane];
            let (left, right) = (select.reg(left)?, select.reg(right)?);
            let larger = select.binary_regs(max, left, right);
            select.binary_regs(EQUAL[lane], left, larger);
        }
        IntCC::UnsignedGreaterThan if !wide => {
            let (left, right) = (select.reg(left)?, select.reg(right)?);
            let larger = select.binary_regs(MAX_UNSIGNED[lane], left, right);
            let reached = select.binary_regs(EQUAL[lane], right, larger);
            invert(select, reached);
        }
        _ => {
            // Unsigned 64-bit lanes: signed ones with the sign turned round.
            let sign = select.pool_u64x2(1 << 63);
            let sign = select.source_reg(sign);
            let xor = Code::VEX_Vpxor_xmm_xmm_xmmm128;
            let (left, right) = (select.reg(left)?, select.reg(right)?);
            let left = select.binary_regs(xor, left, sign);
            let right = select.binary_regs(xor, right, sign);
            if cond == IntCC::UnsignedGreaterThan {
                select.binary_regs(GREATER[lane], left, right);
            } else {
                let less = select.binary_regs(GREATER[lane], right, left);
                invert(select, less);
            }
        }
    }
    done(select)
}

fn invert(select: &mut Select<'_>, mask: VReg) -> VReg {
    let ones = select.ones();
    select.binary_regs(Code::VEX_Vpxor_xmm_xmm_xmmm128, mask, ones)
}

/// `vhigh_bits`.
pub(super) fn high_bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let mut from = select.reg(root.args[0])?;
    let ty = select.type_of(root.args[0]);
    let code = match ty.lane_bits() {
        8 | 16 => Code::VEX_Vpmovmskb_r32_xmm,
        32 => Code::VEX_Vmovmskps_r32_xmm,
        _ => Code::VEX_Vmovmskpd_r32_xmm,
    };
    if ty.lane_bits() == 16 {
        let zero = select.zero();
        from = select.binary_regs(Code::VEX_Vpacksswb_xmm_xmm_xmmm128, from, zero);
    }
    let to = select.result()?;
    select.x86(code, &[Opnd::Def(to), Opnd::UseReg(from)]);
    Ok(true)
}

/// `popcnt` of bytes: the counts of both nibbles from a table.
pub(super) fn count_bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let from = select.reg(root.args[0])?;
    let and = Code::VEX_Vpand_xmm_xmm_xmmm128;
    let lookup = Code::VEX_Vpshufb_xmm_xmm_xmmm128;
    let low_mask = select.pool_u32x4(0x0f0f_0f0f);
    let low = select.binary(and, from, low_mask, None);
    let high = select.shift_imm(Code::VEX_Vpsrlw_xmm_xmm_imm8, from, 4);
    let high = select.binary(and, high, low_mask, None);
    let table = select.pool_source(&[0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4]);
    let table = select.source_reg(table);
    let low = select.binary_regs(lookup, table, low);
    let high = select.binary_regs(lookup, table, high);
    select.binary_regs(Code::VEX_Vpaddb_xmm_xmm_xmmm128, low, high);
    done(select)
}

/// Widening of the low or high half.
pub(super) fn widen(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let ty = select.type_of(arg);
    let at = match ty {
        types::I8X16 => 0,
        types::I16X8 => 1,
        types::I32X4 => 2,
        _ => return Ok(false),
    };
    let signed = [
        Code::VEX_Vpmovsxbw_xmm_xmmm64,
        Code::VEX_Vpmovsxwd_xmm_xmmm64,
        Code::VEX_Vpmovsxdq_xmm_xmmm64,
    ];
    let unsigned = [
        Code::VEX_Vpmovzxbw_xmm_xmmm64,
        Code::VEX_Vpmovzxwd_xmm_xmmm64,
        Code::VEX_Vpmovzxdq_xmm_xmmm64,
    ];
    match root.op {
        Opcode::UwidenHigh => {
            let code = [
                Code::VEX_Vpunpckhbw_xmm_xmm_xmmm128,
                Code::VEX_Vpunpckhwd_xmm_xmm_xmmm128,
                Code::VEX_Vpunpckhdq_xmm_xmm_xmmm128,
            ][at];
            let from = select.reg(arg)?;
            let zero = select.zero();
            select.binary_regs(code, from, zero);
        }
        Opcode::SwidenHigh => {
            let source = select.source(arg, ty)?;
            let high = select.unary(Code::VEX_Vpshufd_xmm_xmmm128_imm8, source, Some(0b11_10));
            select.unary(signed[at], Source::Reg(high), None);
        }
        op => {
            let codes = if op == Opcode::SwidenLow { signed } else { unsigned };
            // All 16 bytes must be readable, so a load of them is not shortened to 8.
            let from = select.reg(arg)?;
            select.unary(codes[at], Source::Reg(from), None);
        }
    }
    done(select)
}
