//! Conversions between integers and floats, and between widths of floats. None has a branch, but
//! for the traps of those that trap.

use super::float::predicate;
use super::{Fits, Root, Select, Source, done};
use crate::asm::CMOVCC64;
use crate::error::Unsupported;
use crate::vcode::{Cc, Cond, Kind, Opnd};
use cranelift_codegen::ir::{Opcode, TrapCode, Type, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

/// `bitcast` between general-purpose and vector registers.
pub(super) fn bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let from = select.type_of(root.args[0]);
    let to = select.type_of(select.func.dfg.first_result(root.inst));
    let code = match (from, to) {
        (types::I32, types::F32) => Code::VEX_Vmovd_xmm_rm32,
        (types::I64, types::F64) => Code::VEX_Vmovq_xmm_rm64,
        (types::F32, types::I32) => Code::VEX_Vmovd_rm32_xmm,
        (types::F64, types::I64) => Code::VEX_Vmovq_rm64_xmm,
        _ => return Ok(false),
    };
    if from.is_int() {
        let load =
            if from == types::I64 { Code::VEX_Vmovsd_xmm_m64 } else { Code::VEX_Vmovss_xmm_m32 };
        if select.raise(root.args[0], from.bytes(), load)? {
            return Ok(true);
        }
        let source = select.source(root.args[0], from)?;
        let result = select.result()?;
        select.x86_source(code, &[Opnd::Def(result)], source, &[]);
    } else {
        let source = select.reg(root.args[0])?;
        let result = select.result()?;
        select.x86(code, &[Opnd::Def(result), Opnd::UseReg(source)]);
    }
    Ok(true)
}

/// `fpromote`, `fdemote`, `fvpromote_low` and `fvdemote`.
pub(super) fn resize(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let from = select.type_of(arg);
    match (root.op, from) {
        (Opcode::Fpromote, types::F32) => {
            let source = select.source(arg, from)?;
            select.scalar_unary(Code::VEX_Vcvtss2sd_xmm_xmm_xmmm32, source, None);
        }
        (Opcode::Fdemote, types::F64) => {
            let source = select.source(arg, from)?;
            select.scalar_unary(Code::VEX_Vcvtsd2ss_xmm_xmm_xmmm64, source, None);
        }
        (Opcode::FvpromoteLow, _) => {
            let source = Source::Reg(select.reg(arg)?);
            select.unary(Code::VEX_Vcvtps2pd_xmm_xmmm64, source, None);
        }
        (Opcode::Fvdemote, _) => {
            let source = select.source(arg, from)?;
            select.unary(Code::VEX_Vcvtpd2ps_xmm_xmmm128, source, None);
        }
        _ => return Ok(false),
    }
    done(select)
}

fn int_to_float(wide: bool, double: bool) -> Code {
    match (wide, double) {
        (false, false) => Code::VEX_Vcvtsi2ss_xmm_xmm_rm32,
        (true, false) => Code::VEX_Vcvtsi2ss_xmm_xmm_rm64,
        (false, true) => Code::VEX_Vcvtsi2sd_xmm_xmm_rm32,
        (true, true) => Code::VEX_Vcvtsi2sd_xmm_xmm_rm64,
    }
}

fn float_to_int(wide: bool, double: bool) -> Code {
    match (wide, double) {
        (false, false) => Code::VEX_Vcvttss2si_r32_xmmm32,
        (true, false) => Code::VEX_Vcvttss2si_r64_xmmm32,
        (false, true) => Code::VEX_Vcvttsd2si_r32_xmmm64,
        (true, true) => Code::VEX_Vcvttsd2si_r64_xmmm64,
    }
}

impl Select<'_> {
    /// Emits `code to, from` into a new general-purpose register.
    fn unary_gpr(&mut self, code: Code, from: VReg) -> VReg {
        let to = self.gpr();
        self.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
        to
    }

    /// `value` of `ty`, 8 or 16 bits, extended to 32; wider ones as they are.
    pub(super) fn widened(
        &mut self,
        value: Value,
        ty: Type,
        signed: bool,
    ) -> Result<VReg, Unsupported> {
        let from = self.reg(value)?;
        let code = match (ty, signed) {
            (types::I8, true) => Code::Movsx_r32_rm8,
            (types::I16, true) => Code::Movsx_r32_rm16,
            (types::I8, false) => Code::Movzx_r32_rm8,
            (types::I16, false) => Code::Movzx_r32_rm16,
            _ => return Ok(from),
        };
        Ok(self.unary_gpr(code, from))
    }
}

/// `fcvt_from_sint`.
pub(super) fn from_signed(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let from = select.type_of(arg);
    let to = select.type_of(select.func.dfg.first_result(root.inst));
    match (from, to) {
        (types::I32X4, types::F32X4) => {
            let source = select.source(arg, from)?;
            select.unary(Code::VEX_Vcvtdq2ps_xmm_xmmm128, source, None);
        }
        (types::I64X2, types::F64X2) => {
            if let Some(low) = select.match_op(arg, Opcode::SwidenLow, types::I64X2) {
                let low = select.reg(low[0])?;
                select.unary(Code::VEX_Vcvtdq2pd_xmm_xmmm64, Source::Reg(low), None);
            } else {
                let from = select.reg(arg)?;
                let one = select.unary_gpr(Code::VEX_Vmovq_rm64_xmm, from);
                let other = select.gpr();
                let lane = [Opnd::Def(other), Opnd::UseReg(from), Opnd::Imm(1)];
                select.x86(Code::VEX_Vpextrq_rm64_xmm_imm8, &lane);
                let zero = select.zero();
                let convert = int_to_float(true, true);
                let one = select.binary_regs(convert, zero, one);
                let other = select.binary_regs(convert, zero, other);
                select.binary_regs(Code::VEX_Vunpcklpd_xmm_xmm_xmmm128, one, other);
            }
        }
        (types::I8 | types::I16 | types::I32 | types::I64, types::F32 | types::F64) => {
            let zero = select.zero();
            let source = if matches!(from, types::I32 | types::I64) {
                select.source(arg, from)?
            } else {
                Source::Reg(select.widened(arg, from, true)?)
            };
            let code = int_to_float(from == types::I64, to == types::F64);
            select.binary(code, zero, source, None);
        }
        _ => return Ok(false),
    }
    done(select)
}

/// Bits of 2^52 and 2^84 as doubles: an integer of 32 bits ored into their low half is added to
/// them exactly.
const TWO_52: u64 = 0x4330_0000_0000_0000;
const TWO_84: u64 = 0x4530_0000_0000_0000;

/// `fcvt_from_uint`.
pub(super) fn from_unsigned(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let from = select.type_of(arg);
    let to = select.type_of(select.func.dfg.first_result(root.inst));
    match (from, to) {
        (types::I8 | types::I16 | types::I32, types::F32 | types::F64) => {
            let mut source = select.widened(arg, from, false)?;
            if from == types::I32 && !select.zero_extended(arg) {
                source = select.unary_gpr(Code::Mov_r32_rm32, source);
            }
            let zero = select.zero();
            select.binary_regs(int_to_float(true, to == types::F64), zero, source);
        }
        (types::I64, types::F64) => {
            // Both halves beside the exponents of 2^52 and 2^84; the sum is rounded once.
            let source = select.reg(arg)?;
            let moved = select.xmm();
            select.x86(Code::VEX_Vmovq_xmm_rm64, &[Opnd::Def(moved), Opnd::Use(source)]);
            let exponents = [(TWO_52 >> 32) as u32, (TWO_84 >> 32) as u32, 0, 0];
            let exponents: Vec<u8> = exponents.iter().flat_map(|lane| lane.to_le_bytes()).collect();
            let exponents = select.pool_source(&exponents);
            let halves =
                select.binary(Code::VEX_Vpunpckldq_xmm_xmm_xmmm128, moved, exponents, None);
            let offsets: Vec<u8> =
                [TWO_52, TWO_84].iter().flat_map(|lane| lane.to_le_bytes()).collect();
            let offsets = select.pool_source(&offsets);
            let halves = select.binary(Code::VEX_Vsubpd_xmm_xmm_xmmm128, halves, offsets, None);
            let high = select.binary_regs(Code::VEX_Vunpckhpd_xmm_xmm_xmmm128, halves, halves);
            select.binary_regs(Code::VEX_Vaddsd_xmm_xmm_xmmm64, high, halves);
        }
        (types::I64, types::F32) => return long_to_single(select, arg),
        (types::I32X4, types::F32X4) => {
            let from = select.reg(arg)?;
            let low = select.shift_imm(Code::VEX_Vpslld_xmm_xmm_imm8, from, 16);
            let low = select.shift_imm(Code::VEX_Vpsrld_xmm_xmm_imm8, low, 16);
            let high = select.binary_regs(Code::VEX_Vpsubd_xmm_xmm_xmmm128, from, low);
            let convert = Code::VEX_Vcvtdq2ps_xmm_xmmm128;
            let low = select.unary(convert, Source::Reg(low), None);
            // Half of the high part is positive and exact; doubling is exact too.
            let high = select.shift_imm(Code::VEX_Vpsrld_xmm_xmm_imm8, high, 1);
            let high = select.unary(convert, Source::Reg(high), None);
            let add = Code::VEX_Vaddps_xmm_xmm_xmmm128;
            let high = select.binary_regs(add, high, high);
            select.binary_regs(add, high, low);
        }
        (types::I64X2, types::F64X2) => {
            if let Some(low) = select.match_op(arg, Opcode::UwidenLow, types::I64X2) {
                let low = select.reg(low[0])?;
                let exponents = select.pool_u32x4((TWO_52 >> 32) as u32);
                let code = Code::VEX_Vunpcklps_xmm_xmm_xmmm128;
                let doubles = select.binary(code, low, exponents, None);
                let offset = select.pool_u64x2(TWO_52);
                select.binary(Code::VEX_Vsubpd_xmm_xmm_xmmm128, doubles, offset, None);
            } else {
                let from = select.reg(arg)?;
                let (and, or) = (Code::VEX_Vpand_xmm_xmm_xmmm128, Code::VEX_Vpor_xmm_xmm_xmmm128);
                let mask = select.pool_u64x2(0xffff_ffff);
                let low = select.binary(and, from, mask, None);
                let exponent = select.pool_u64x2(TWO_52);
                let low = select.binary(or, low, exponent, None);
                let high = select.shift_imm(Code::VEX_Vpsrlq_xmm_xmm_imm8, from, 32);
                let exponent = select.pool_u64x2(TWO_84);
                let high = select.binary(or, high, exponent, None);
                let offset = select.pool_u64x2(0x4530_0000_0010_0000);
                let high = select.binary(Code::VEX_Vsubpd_xmm_xmm_xmmm128, high, offset, None);
                select.binary_regs(Code::VEX_Vaddpd_xmm_xmm_xmmm128, low, high);
            }
        }
        _ => return Ok(false),
    }
    done(select)
}

/// A 64-bit integer to single precision: one with the sign bit is halved, with the lost bit kept
/// for rounding, converted and doubled.
fn long_to_single(select: &mut Select<'_>, arg: Value) -> Fits {
    let from = select.reg(arg)?;
    let zero = select.zero();
    let convert = int_to_float(true, false);
    let small = select.binary_regs(convert, zero, from);
    let (half, bit, joined) = (select.gpr(), select.gpr(), select.gpr());
    select.x86(Code::Shr_rm64_imm8, &[Opnd::Mod { from, to: half }, Opnd::Imm(1)]);
    select.x86(Code::And_rm32_imm8, &[Opnd::Mod { from, to: bit }, Opnd::Imm(1)]);
    select.x86(Code::Or_r64_rm64, &[Opnd::Mod { from: half, to: joined }, Opnd::Use(bit)]);
    let half = select.binary_regs(convert, zero, joined);
    let large = select.binary_regs(Code::VEX_Vaddss_xmm_xmm_xmmm32, half, half);
    select.x86(Code::Test_rm64_r64, &[Opnd::UseReg(from), Opnd::UseReg(from)]);
    let to = select.result()?;
    select.push(Kind::SelectVector { cond: Cc::L, yes: large, no: small, to });
    Ok(true)
}

/// Bounds of a conversion, as bits of the source type, and whether the lower one is excluded.
struct Bounds {
    low: f64,
    low_excluded: bool,
    high: f64,
}

fn bounds(from: Type, to: Type, signed: bool) -> Bounds {
    let bits = to.bits() as i32;
    if !signed {
        return Bounds { low: -1.0, low_excluded: true, high: 2f64.powi(bits) };
    }
    let (low, high) = (-2f64.powi(bits - 1), 2f64.powi(bits - 1));
    if from == types::F64 && bits == 32 {
        // Fractions between -2^31 - 1 and -2^31 are cut off.
        Bounds { low: low - 1.0, low_excluded: true, high }
    } else {
        Bounds { low, low_excluded: false, high }
    }
}

impl Select<'_> {
    fn float_scalar(&mut self, ty: Type, value: f64) -> Source {
        if ty == types::F32 {
            self.pool_source(&(value as f32).to_bits().to_le_bytes())
        } else {
            self.pool_source(&value.to_bits().to_le_bytes())
        }
    }

    /// Traps unless `from` is a number whose integer part fits.
    fn check_bounds(&mut self, from: VReg, ty: Type, bounds: &Bounds) {
        let compare = if ty == types::F32 {
            Code::VEX_Vucomiss_xmm_xmmm32
        } else {
            Code::VEX_Vucomisd_xmm_xmmm64
        };
        self.x86(compare, &[Opnd::UseReg(from), Opnd::UseReg(from)]);
        self.push(Kind::TrapIf(Cond::One(Cc::P), TrapCode::BAD_CONVERSION_TO_INTEGER));
        let low = self.float_scalar(ty, bounds.low);
        self.x86_source(compare, &[Opnd::UseReg(from)], low, &[]);
        let below = if bounds.low_excluded { Cc::Be } else { Cc::B };
        self.push(Kind::TrapIf(Cond::One(below), TrapCode::INTEGER_OVERFLOW));
        let high = self.float_scalar(ty, bounds.high);
        self.x86_source(compare, &[Opnd::UseReg(from)], high, &[]);
        self.push(Kind::TrapIf(Cond::One(Cc::Ae), TrapCode::INTEGER_OVERFLOW));
    }

    /// The integer part of a float in [0, 2^64), as 64 bits.
    fn float_to_u64(&mut self, from: VReg, ty: Type) -> VReg {
        let double = ty == types::F64;
        let convert = float_to_int(true, double);
        let small = self.unary_gpr(convert, from);
        let offset = self.float_scalar(ty, 2f64.powi(63));
        let subtract =
            if double { Code::VEX_Vsubsd_xmm_xmm_xmmm64 } else { Code::VEX_Vsubss_xmm_xmm_xmmm32 };
        let less = self.binary(subtract, from, offset, None);
        let large = self.unary_gpr(convert, less);
        // Beyond 2^63 the first result is the sign bit alone, which is then added to the second.
        let (sign, masked, to) = (self.gpr(), self.gpr(), self.gpr());
        self.x86(Code::Sar_rm64_imm8, &[Opnd::Mod { from: small, to: sign }, Opnd::Imm(63)]);
        self.x86(Code::And_r64_rm64, &[Opnd::Mod { from: large, to: masked }, Opnd::Use(sign)]);
        self.x86(Code::Or_r64_rm64, &[Opnd::Mod { from: masked, to }, Opnd::Use(small)]);
        to
    }
}

fn scalar_types(select: &Select<'_>, root: &Root) -> Option<(Type, Type)> {
    let from = select.type_of(root.args[0]);
    let to = select.type_of(select.func.dfg.first_result(root.inst));
    let covered = matches!(from, types::F32 | types::F64) && matches!(to, types::I32 | types::I64);
    covered.then_some((from, to))
}

/// `fcvt_to_sint`.
pub(super) fn to_signed(select: &mut Select<'_>, root: &Root) -> Fits {
    let Some((from, to)) = scalar_types(select, root) else { return Ok(false) };
    let source = select.reg(root.args[0])?;
    select.check_bounds(source, from, &bounds(from, to, true));
    select.unary_gpr(float_to_int(to == types::I64, from == types::F64), source);
    done(select)
}

/// `fcvt_to_uint`.
pub(super) fn to_unsigned(select: &mut Select<'_>, root: &Root) -> Fits {
    let Some((from, to)) = scalar_types(select, root) else { return Ok(false) };
    let source = select.reg(root.args[0])?;
    select.check_bounds(source, from, &bounds(from, to, false));
    if to == types::I32 {
        // A 64-bit conversion has room for all 32-bit results.
        select.unary_gpr(float_to_int(true, from == types::F64), source);
    } else {
        select.float_to_u64(source, from);
    }
    done(select)
}

/// `fcvt_to_sint_sat`.
pub(super) fn to_signed_saturating(select: &mut Select<'_>, root: &Root) -> Fits {
    if select.type_of(root.args[0]) == types::F32X4 && root.ty == types::I32X4 {
        return lanes_to_signed(select, root.args[0]);
    }
    let Some((from, to)) = scalar_types(select, root) else { return Ok(false) };
    let mut source = select.reg(root.args[0])?;
    if to == types::I32 {
        // In double precision the largest result is exact; too small a number converts to the
        // smallest one by itself.
        if from == types::F32 {
            let promote = Code::VEX_Vcvtss2sd_xmm_xmm_xmmm32;
            source = select.scalar_unary(promote, Source::Reg(source), None);
        }
        let compare = Code::VEX_Vcmpsd_xmm_xmm_xmmm64_imm8;
        let number = select.binary(compare, source, Source::Reg(source), Some(predicate::ORDERED));
        let number = select.binary_regs(Code::VEX_Vandps_xmm_xmm_xmmm128, number, source);
        let most = select.float_scalar(types::F64, f64::from(i32::MAX));
        let clamped = select.binary(Code::VEX_Vminsd_xmm_xmm_xmmm64, number, most, None);
        select.unary_gpr(float_to_int(false, true), clamped);
        return done(select);
    }
    let double = from == types::F64;
    let compare = if double {
        Code::VEX_Vcmpsd_xmm_xmm_xmmm64_imm8
    } else {
        Code::VEX_Vcmpss_xmm_xmm_xmmm32_imm8
    };
    let mask = if double { Code::VEX_Vmovq_rm64_xmm } else { Code::VEX_Vmovd_rm32_xmm };
    let number = select.binary(compare, source, Source::Reg(source), Some(predicate::ORDERED));
    let number = select.binary_regs(Code::VEX_Vandps_xmm_xmm_xmmm128, number, source);
    let result = select.unary_gpr(float_to_int(true, double), number);
    // Too large a number gave the sign bit alone; all its bits are turned round.
    let limit = select.float_scalar(from, 2f64.powi(63));
    let over = select.binary(compare, source, limit, Some(predicate::GREATER_OR_EQUAL));
    let over_bits = select.gpr();
    select.x86(mask, &[Opnd::Def(over_bits), Opnd::UseReg(over)]);
    let over_bits =
        if double { over_bits } else { select.unary_gpr(Code::Movsxd_r64_rm32, over_bits) };
    let to = select.gpr();
    select.x86(Code::Xor_r64_rm64, &[Opnd::Mod { from: result, to }, Opnd::Use(over_bits)]);
    done(select)
}

/// `fcvt_to_uint_sat`.
pub(super) fn to_unsigned_saturating(select: &mut Select<'_>, root: &Root) -> Fits {
    if select.type_of(root.args[0]) == types::F32X4 && root.ty == types::I32X4 {
        return lanes_to_unsigned(select, root.args[0]);
    }
    let Some((from, to)) = scalar_types(select, root) else { return Ok(false) };
    let mut source = select.reg(root.args[0])?;
    let mut ty = from;
    if to == types::I32 && from == types::F32 {
        let promote = Code::VEX_Vcvtss2sd_xmm_xmm_xmmm32;
        source = select.scalar_unary(promote, Source::Reg(source), None);
        ty = types::F64;
    }
    let double = ty == types::F64;
    // The second operand is the answer for NaN.
    let zero = select.zero();
    let max =
        if double { Code::VEX_Vmaxsd_xmm_xmm_xmmm64 } else { Code::VEX_Vmaxss_xmm_xmm_xmmm32 };
    let positive = select.binary_regs(max, source, zero);
    if to == types::I32 {
        let most = select.float_scalar(types::F64, f64::from(u32::MAX));
        let clamped = select.binary(Code::VEX_Vminsd_xmm_xmm_xmmm64, positive, most, None);
        select.unary_gpr(float_to_int(true, true), clamped);
        return done(select);
    }
    let result = select.float_to_u64(positive, ty);
    let ones = select.gpr();
    select.x86(Code::Mov_rm64_imm32, &[Opnd::Def(ones), Opnd::Imm(-1)]);
    let limit = select.float_scalar(ty, 2f64.powi(64));
    let compare =
        if double { Code::VEX_Vucomisd_xmm_xmmm64 } else { Code::VEX_Vucomiss_xmm_xmmm32 };
    select.x86_source(compare, &[Opnd::UseReg(positive)], limit, &[]);
    let to = select.gpr();
    let above = CMOVCC64[Cc::Ae.bits() as usize];
    select.x86(above, &[Opnd::Mod { from: result, to }, Opnd::Use(ones)]);
    done(select)
}

/// Four lanes: too large ones come out as the sign bit alone and are turned round, NaNs cleared.
fn lanes_to_signed(select: &mut Select<'_>, arg: Value) -> Fits {
    let from = select.reg(arg)?;
    let compare = Code::VEX_Vcmpps_xmm_xmm_xmmm128_imm8;
    let result = select.unary(Code::VEX_Vcvttps2dq_xmm_xmmm128, Source::Reg(from), None);
    let limit = select.pool_u32x4(2f32.powi(31).to_bits());
    let over = select.binary(compare, from, limit, Some(predicate::GREATER_OR_EQUAL));
    let result = select.binary_regs(Code::VEX_Vpxor_xmm_xmm_xmmm128, result, over);
    let number = select.binary(compare, from, Source::Reg(from), Some(predicate::ORDERED));
    select.binary_regs(Code::VEX_Vpand_xmm_xmm_xmmm128, result, number);
    done(select)
}

/// Four lanes: those beyond 2^31 are the sum of 2^31 and the conversion of the rest.
fn lanes_to_unsigned(select: &mut Select<'_>, arg: Value) -> Fits {
    let from = select.reg(arg)?;
    let zero = select.zero();
    let convert = Code::VEX_Vcvttps2dq_xmm_xmmm128;
    // The second operand is the answer for NaN.
    let positive = select.binary_regs(Code::VEX_Vmaxps_xmm_xmm_xmmm128, from, zero);
    let small = select.unary(convert, Source::Reg(positive), None);
    let offset = select.pool_u32x4(2f32.powi(31).to_bits());
    let less = select.binary(Code::VEX_Vsubps_xmm_xmm_xmmm128, positive, offset, None);
    let large = select.unary(convert, Source::Reg(less), None);
    let sign = select.shift_imm(Code::VEX_Vpsrad_xmm_xmm_imm8, small, 31);
    let large = select.binary_regs(Code::VEX_Vpand_xmm_xmm_xmmm128, large, sign);
    let or = Code::VEX_Vpor_xmm_xmm_xmmm128;
    let result = select.binary_regs(or, small, large);
    let limit = select.pool_u32x4(2f32.powi(32).to_bits());
    let compare = Code::VEX_Vcmpps_xmm_xmm_xmmm128_imm8;
    let over = select.binary(compare, positive, limit, Some(predicate::GREATER_OR_EQUAL));
    select.binary_regs(or, result, over);
    done(select)
}

/// `snarrow` and `uunarrow` of two doubles as 64-bit integers, the upper half zero: a conversion to
/// 32-bit integers.
pub(super) fn narrow_doubles(select: &mut Select<'_>, root: &Root) -> Fits {
    let [doubles, upper] = root.args[..] else { return Ok(false) };
    if !select.all_bytes(upper, 0) {
        return Ok(false);
    }
    let Some(inst) = select.def(doubles) else { return Ok(false) };
    let from = select.func.dfg.inst_args(inst).first().copied();
    let Some(from) = from.filter(|&from| select.type_of(from) == types::F64X2) else {
        return Ok(false);
    };
    let truncate = Code::VEX_Vcvttpd2dq_xmm_xmmm128;
    match (root.op, select.func.dfg.insts[inst].opcode()) {
        (Opcode::Snarrow, Opcode::X86Cvtt2dq) => {
            let source = Source::Reg(select.reg(from)?);
            select.unary(truncate, source, None);
        }
        (Opcode::Snarrow, Opcode::FcvtToSintSat) => {
            // The minimum answers with its second operand for NaN, which is zero there.
            let from = select.reg(from)?;
            let compare = Code::VEX_Vcmppd_xmm_xmm_xmmm128_imm8;
            let number = select.binary(compare, from, Source::Reg(from), Some(predicate::EQUAL));
            let most = select.pool_u64x2(f64::from(i32::MAX).to_bits());
            let most = select.binary(Code::VEX_Vandps_xmm_xmm_xmmm128, number, most, None);
            let clamped = select.binary_regs(Code::VEX_Vminpd_xmm_xmm_xmmm128, from, most);
            select.unary(truncate, Source::Reg(clamped), None);
        }
        (Opcode::Uunarrow, Opcode::FcvtToUintSat) => {
            // Clamped and cut off, plus 2^52: the low half of the double is the integer.
            let from = select.reg(from)?;
            let zero = select.zero();
            let positive = select.binary_regs(Code::VEX_Vmaxpd_xmm_xmm_xmmm128, from, zero);
            let most = select.pool_u64x2(f64::from(u32::MAX).to_bits());
            let clamped = select.binary(Code::VEX_Vminpd_xmm_xmm_xmmm128, positive, most, None);
            let round = Code::VEX_Vroundpd_xmm_xmmm128_imm8;
            let whole = select.unary(round, Source::Reg(clamped), Some(3));
            let offset = select.pool_u64x2(TWO_52);
            let sum = select.binary(Code::VEX_Vaddpd_xmm_xmm_xmmm128, whole, offset, None);
            let shuffle = Code::VEX_Vshufps_xmm_xmm_xmmm128_imm8;
            select.binary(shuffle, sum, Source::Reg(zero), Some(0x88));
        }
        _ => return Ok(false),
    }
    done(select)
}
