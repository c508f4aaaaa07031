//! Float arithmetic, scalar and vector, with the NaN bits that stock Cranelift gives.

use super::{Fits, Root, Select, Source, done, is_vector};
use crate::vcode::Opnd;
use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{InstructionData, Opcode, Type, types};
use iced_x86::Code;
use regalloc2::VReg;

/// Predicates of `vcmp`.
pub(super) mod predicate {
    pub(crate) const EQUAL: i64 = 0;
    pub(crate) const LESS: i64 = 1;
    pub(crate) const LESS_OR_EQUAL: i64 = 2;
    pub(crate) const UNORDERED: i64 = 3;
    pub(crate) const NOT_EQUAL: i64 = 4;
    pub(crate) const ORDERED: i64 = 7;
    pub(crate) const UNORDERED_OR_EQUAL: i64 = 8;
    pub(crate) const NOT_GREATER_OR_EQUAL: i64 = 9;
    pub(crate) const NOT_GREATER: i64 = 10;
    pub(crate) const ORDERED_NOT_EQUAL: i64 = 12;
    pub(crate) const GREATER_OR_EQUAL: i64 = 13;
    pub(crate) const GREATER: i64 = 14;
    pub(crate) const NOT_LESS: i64 = 5;
    pub(crate) const NOT_LESS_OR_EQUAL: i64 = 6;
}

/// The code for `f32`, `f64`, `f32x4`, `f64x2`.
pub(super) fn by_type(ty: Type, codes: [Code; 4]) -> Option<Code> {
    let at = match ty {
        types::F32 => 0,
        types::F64 => 1,
        types::F32X4 => 2,
        types::F64X2 => 3,
        _ => return None,
    };
    Some(codes[at])
}

impl Select<'_> {
    /// Emits a scalar instruction that copies the upper lanes of its first source: they come from
    /// the operand itself, or from zeros, so that no other register is waited for.
    pub(super) fn scalar_unary(&mut self, code: Code, source: Source, imm: Option<i64>) -> VReg {
        let upper = match source {
            Source::Reg(reg) | Source::Young(reg) => reg,
            Source::Mem(_) => self.zero(),
        };
        self.binary(code, upper, source, imm)
    }

    /// A pool constant of one lane per float in `ty`.
    pub(super) fn float_pool(&mut self, ty: Type, f32_bits: u32, f64_bits: u64) -> Source {
        if ty.lane_type() == types::F32 {
            self.pool_u32x4(f32_bits)
        } else {
            self.pool_u64x2(f64_bits)
        }
    }
}

/// `sqrt`.
pub(super) fn square_root(select: &mut Select<'_>, root: &Root) -> Fits {
    let codes = [
        Code::VEX_Vsqrtss_xmm_xmm_xmmm32,
        Code::VEX_Vsqrtsd_xmm_xmm_xmmm64,
        Code::VEX_Vsqrtps_xmm_xmmm128,
        Code::VEX_Vsqrtpd_xmm_xmmm128,
    ];
    let Some(code) = by_type(root.ty, codes) else { return Ok(false) };
    let source = select.source(root.args[0], root.ty)?;
    if is_vector(root.ty) {
        select.unary(code, source, None);
    } else {
        select.scalar_unary(code, source, None);
    }
    done(select)
}

/// `fma`, with negations of a factor and of the summand taken in: they leave NaNs alone.
pub(super) fn multiply_add(select: &mut Select<'_>, root: &Root) -> Fits {
    if !select.features.fma {
        return Ok(false);
    }
    let [mut x, mut y, mut z] = root.args[..] else { return Ok(false) };
    let negation = |value| select.match_op(value, Opcode::Fneg, root.ty).map(|args| args[0]);
    let mut product_negated = true;
    if let Some(inner) = negation(y) {
        y = inner;
    } else if let Some(inner) = negation(x) {
        x = inner;
    } else {
        product_negated = false;
    }
    let summand = negation(z);
    z = summand.unwrap_or(z);
    let codes = match (product_negated, summand.is_some()) {
        (false, false) => [
            Code::VEX_Vfmadd213ss_xmm_xmm_xmmm32,
            Code::VEX_Vfmadd213sd_xmm_xmm_xmmm64,
            Code::VEX_Vfmadd213ps_xmm_xmm_xmmm128,
            Code::VEX_Vfmadd213pd_xmm_xmm_xmmm128,
        ],
        (false, true) => [
            Code::VEX_Vfmsub213ss_xmm_xmm_xmmm32,
            Code::VEX_Vfmsub213sd_xmm_xmm_xmmm64,
            Code::VEX_Vfmsub213ps_xmm_xmm_xmmm128,
            Code::VEX_Vfmsub213pd_xmm_xmm_xmmm128,
        ],
        (true, false) => [
            Code::VEX_Vfnmadd213ss_xmm_xmm_xmmm32,
            Code::VEX_Vfnmadd213sd_xmm_xmm_xmmm64,
            Code::VEX_Vfnmadd213ps_xmm_xmm_xmmm128,
            Code::VEX_Vfnmadd213pd_xmm_xmm_xmmm128,
        ],
        (true, true) => [
            Code::VEX_Vfnmsub213ss_xmm_xmm_xmmm32,
            Code::VEX_Vfnmsub213sd_xmm_xmm_xmmm64,
            Code::VEX_Vfnmsub213ps_xmm_xmm_xmmm128,
            Code::VEX_Vfnmsub213pd_xmm_xmm_xmmm128,
        ],
    };
    let Some(code) = by_type(root.ty, codes) else { return Ok(false) };
    let (from, y) = (select.reg(x)?, select.reg(y)?);
    let z = select.source(z, root.ty)?;
    let to = select.result()?;
    select.x86_source(code, &[Opnd::Mod { from, to }, Opnd::UseReg(y)], z, &[]);
    Ok(true)
}

/// `fabs` and `fneg`.
pub(super) fn sign(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if by_type(ty, [Code::INVALID; 4]).is_none() {
        return Ok(false);
    }
    let from = select.reg(root.args[0])?;
    let (code, mask) = if root.op == Opcode::Fabs {
        let mask = select.float_pool(ty, u32::MAX >> 1, u64::MAX >> 1);
        (Code::VEX_Vandps_xmm_xmm_xmmm128, mask)
    } else {
        let mask = select.float_pool(ty, 1 << 31, 1 << 63);
        (Code::VEX_Vxorps_xmm_xmm_xmmm128, mask)
    };
    select.binary(code, from, mask, None);
    done(select)
}

/// `fcopysign`.
pub(super) fn copy_sign(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::F32 | types::F64) {
        return Ok(false);
    }
    let (magnitude, sign) = (select.reg(root.args[0])?, select.reg(root.args[1])?);
    let mask = select.float_pool(ty, 1 << 31, 1 << 63);
    let and = Code::VEX_Vandps_xmm_xmm_xmmm128;
    let sign = select.binary(and, sign, mask, None);
    let mask = select.float_pool(ty, u32::MAX >> 1, u64::MAX >> 1);
    let magnitude = select.binary(and, magnitude, mask, None);
    select.binary_regs(Code::VEX_Vorps_xmm_xmm_xmmm128, sign, magnitude);
    done(select)
}

/// `nearest`, `floor`, `ceil` and `trunc`.
pub(super) fn round(select: &mut Select<'_>, root: &Root) -> Fits {
    let mode = match root.op {
        Opcode::Nearest => 0,
        Opcode::Floor => 1,
        Opcode::Ceil => 2,
        _ => 3,
    };
    let codes = [
        Code::VEX_Vroundss_xmm_xmm_xmmm32_imm8,
        Code::VEX_Vroundsd_xmm_xmm_xmmm64_imm8,
        Code::VEX_Vroundps_xmm_xmmm128_imm8,
        Code::VEX_Vroundpd_xmm_xmmm128_imm8,
    ];
    let Some(code) = by_type(root.ty, codes) else { return Ok(false) };
    let source = select.source(root.args[0], root.ty)?;
    if is_vector(root.ty) {
        select.unary(code, source, Some(mode));
    } else {
        select.scalar_unary(code, source, Some(mode));
    }
    done(select)
}

/// `fcmp` of lanes.
pub(super) fn compare_lanes(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::FloatCompare { args: [left, right], cond, .. } = root.data else {
        return Ok(false);
    };
    let ty = select.type_of(left);
    let code = match ty {
        types::F32X4 => Code::VEX_Vcmpps_xmm_xmm_xmmm128_imm8,
        types::F64X2 => Code::VEX_Vcmppd_xmm_xmm_xmmm128_imm8,
        _ => return Ok(false),
    };
    let predicate = match cond {
        FloatCC::Ordered => predicate::ORDERED,
        FloatCC::Unordered => predicate::UNORDERED,
        FloatCC::Equal => predicate::EQUAL,
        FloatCC::NotEqual => predicate::NOT_EQUAL,
        FloatCC::OrderedNotEqual => predicate::ORDERED_NOT_EQUAL,
        FloatCC::UnorderedOrEqual => predicate::UNORDERED_OR_EQUAL,
        FloatCC::LessThan => predicate::LESS,
        FloatCC::LessThanOrEqual => predicate::LESS_OR_EQUAL,
        FloatCC::GreaterThan => predicate::GREATER,
        FloatCC::GreaterThanOrEqual => predicate::GREATER_OR_EQUAL,
        FloatCC::UnorderedOrLessThan => predicate::NOT_GREATER_OR_EQUAL,
        FloatCC::UnorderedOrLessThanOrEqual => predicate::NOT_GREATER,
        FloatCC::UnorderedOrGreaterThan => predicate::NOT_LESS_OR_EQUAL,
        FloatCC::UnorderedOrGreaterThanOrEqual => predicate::NOT_LESS,
    };
    let left = select.reg(left)?;
    let source = select.source(right, ty)?;
    select.binary(code, left, source, Some(predicate));
    done(select)
}
