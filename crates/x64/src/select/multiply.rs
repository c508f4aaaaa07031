//! Products of vectors that take more than one instruction, or fewer than it seems.

use super::{Fits, Root, Select, done};
use crate::error::Unsupported;
use cranelift_codegen::ir::{Opcode, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

/// A product of lanes that were just widened from 16 to 32 bits.
pub(super) fn widening_multiply(select: &mut Select<'_>, root: &Root) -> Fits {
    let [left, right] = root.args[..] else { return Ok(false) };
    for op in [Opcode::SwidenLow, Opcode::SwidenHigh, Opcode::UwidenLow, Opcode::UwidenHigh] {
        let (Some(one), Some(other)) =
            (select.match_op(left, op, root.ty), select.match_op(right, op, root.ty))
        else {
            continue;
        };
        let one = select.reg(one[0])?;
        let other = select.reg(other[0])?;
        let low = select.binary_regs(Code::VEX_Vpmullw_xmm_xmm_xmmm128, one, other);
        let upper = match op {
            Opcode::SwidenLow | Opcode::SwidenHigh => Code::VEX_Vpmulhw_xmm_xmm_xmmm128,
            _ => Code::VEX_Vpmulhuw_xmm_xmm_xmmm128,
        };
        let upper = select.binary_regs(upper, one, other);
        let unpack = match op {
            Opcode::SwidenHigh | Opcode::UwidenHigh => Code::VEX_Vpunpckhwd_xmm_xmm_xmmm128,
            _ => Code::VEX_Vpunpcklwd_xmm_xmm_xmmm128,
        };
        select.binary_regs(unpack, low, upper);
        return done(select);
    }
    Ok(false)
}

/// A factor of 64-bit lanes that fit into 32 bits.
#[derive(Clone, Copy)]
struct ShortFactor {
    value: Value,
    /// How lanes of 32 bits are spread, where these were widened.
    spread: Option<i64>,
    /// Whether zeros fill the upper half, and whether copies of the sign do.
    unsigned: bool,
    signed: bool,
}

impl ShortFactor {
    fn of(select: &Select<'_>, value: Value) -> Option<ShortFactor> {
        const LOW: i64 = 0b01_01_00_00;
        const HIGH: i64 = 0b11_11_10_10;
        let widened = [
            (Opcode::SwidenLow, LOW, false),
            (Opcode::SwidenHigh, HIGH, false),
            (Opcode::UwidenLow, LOW, true),
            (Opcode::UwidenHigh, HIGH, true),
        ];
        for (op, spread, unsigned) in widened {
            if let Some(args) = select.match_op(value, op, types::I64X2) {
                let spread = Some(spread);
                return Some(ShortFactor { value: args[0], spread, unsigned, signed: !unsigned });
            }
        }
        let bytes: &[u8] = select.vector_constant(value)?.as_slice();
        let lanes = || bytes.chunks_exact(8).filter_map(|lane| lane.try_into().ok());
        let unsigned = lanes().all(|lane| u64::from_le_bytes(lane) <= u64::from(u32::MAX));
        let signed = lanes().all(|lane| i32::try_from(i64::from_le_bytes(lane)).is_ok());
        let factor = ShortFactor { value, spread: None, unsigned, signed };
        (unsigned || signed).then_some(factor)
    }

    /// A register with the factor in the lower halves of lanes.
    fn reg(self, select: &mut Select<'_>) -> Result<VReg, Unsupported> {
        let Some(spread) = self.spread else { return select.reg(self.value) };
        let source = select.source(self.value, types::I32X4)?;
        Ok(select.unary(Code::VEX_Vpshufd_xmm_xmmm128_imm8, source, Some(spread)))
    }
}

/// `imul` of 64-bit lanes that both fit into 32 bits.
pub(super) fn short_multiply(select: &mut Select<'_>, root: &Root) -> Fits {
    let [left, right] = root.args[..] else { return Ok(false) };
    let (Some(one), Some(other)) = (ShortFactor::of(select, left), ShortFactor::of(select, right))
    else {
        return Ok(false);
    };
    let code = match (one.unsigned && other.unsigned, one.signed && other.signed) {
        (true, _) => Code::VEX_Vpmuludq_xmm_xmm_xmmm128,
        (_, true) => Code::VEX_Vpmuldq_xmm_xmm_xmmm128,
        _ => return Ok(false),
    };
    let one = one.reg(select)?;
    let other = other.reg(select)?;
    select.binary_regs(code, one, other);
    done(select)
}

/// `imul` of 64-bit lanes from 32-bit products.
pub(super) fn multiply64(select: &mut Select<'_>, root: &Root) -> Fits {
    let (left, right) = (select.reg(root.args[0])?, select.reg(root.args[1])?);
    let multiply = Code::VEX_Vpmuludq_xmm_xmm_xmmm128;
    let add = Code::VEX_Vpaddq_xmm_xmm_xmmm128;
    let shift_right = Code::VEX_Vpsrlq_xmm_xmm_imm8;
    let left_high = select.shift_imm(shift_right, left, 32);
    let cross_one = select.binary_regs(multiply, left_high, right);
    let right_high = select.shift_imm(shift_right, right, 32);
    let cross_other = select.binary_regs(multiply, left, right_high);
    let cross = select.binary_regs(add, cross_one, cross_other);
    let cross = select.shift_imm(Code::VEX_Vpsllq_xmm_xmm_imm8, cross, 32);
    let low = select.binary_regs(multiply, left, right);
    select.binary_regs(add, low, cross);
    done(select)
}

/// `sqmul_round_sat`: `vpmulhrsw`, whose one wrong case (-1 times -1) is turned round.
pub(super) fn rounding_multiply(select: &mut Select<'_>, root: &Root) -> Fits {
    let left = select.reg(root.args[0])?;
    let source = select.source(root.args[1], root.ty)?;
    let product = select.binary(Code::VEX_Vpmulhrsw_xmm_xmm_xmmm128, left, source, None);
    let least = select.pool_u32x4(0x8000_8000);
    let wrong = select.binary(Code::VEX_Vpcmpeqw_xmm_xmm_xmmm128, product, least, None);
    select.binary_regs(Code::VEX_Vpxor_xmm_xmm_xmmm128, product, wrong);
    done(select)
}
