//! Scalar integer arithmetic.

use super::{Done, Fits, Root, Select, Source};
use crate::asm::{CMOVCC64, SETCC};
use crate::regs::{RAX, RCX, RDX};
use crate::vcode::{Cc, Cond, Kind, Mem, Opnd};
use cranelift_codegen::ir::{InstructionData, Opcode, TrapCode, Type, Value, types};
use iced_x86::Code;
use regalloc2::VReg;

/// Whether arithmetic on `ty` can be done in general-purpose registers.
fn is_scalar(ty: Type) -> bool {
    matches!(ty, types::I8 | types::I16 | types::I32 | types::I64)
}

/// The codes for 32 bits (narrower types too) and 64 bits.
fn by_width(ty: Type, narrow: Code, wide: Code) -> Code {
    if ty == types::I64 { wide } else { narrow }
}

/// Codes of a two-operand instruction.
struct Alu {
    /// `reg op= reg-or-memory`, 32 and 64 bits.
    rm: [Code; 2],
    /// `reg op= imm8`.
    imm8: [Code; 2],
    /// `reg op= imm32`.
    imm32: [Code; 2],
}

fn alu(op: Opcode) -> Alu {
    macro_rules! alu {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident) => {
            Alu {
                rm: [Code::$a, Code::$b],
                imm8: [Code::$c, Code::$d],
                imm32: [Code::$e, Code::$f],
            }
        };
    }
    match op {
        Opcode::Iadd => alu!(Add_r32_rm32 Add_r64_rm64 Add_rm32_imm8 Add_rm64_imm8
            Add_rm32_imm32 Add_rm64_imm32),
        Opcode::Isub => alu!(Sub_r32_rm32 Sub_r64_rm64 Sub_rm32_imm8 Sub_rm64_imm8
            Sub_rm32_imm32 Sub_rm64_imm32),
        Opcode::Band => alu!(And_r32_rm32 And_r64_rm64 And_rm32_imm8 And_rm64_imm8
            And_rm32_imm32 And_rm64_imm32),
        Opcode::Bor => alu!(Or_r32_rm32 Or_r64_rm64 Or_rm32_imm8 Or_rm64_imm8
            Or_rm32_imm32 Or_rm64_imm32),
        _ => alu!(Xor_r32_rm32 Xor_r64_rm64 Xor_rm32_imm8 Xor_rm64_imm8
            Xor_rm32_imm32 Xor_rm64_imm32),
    }
}

/// `iadd` as one `lea`, or as `add` with memory.
pub(super) fn add(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_scalar(ty) {
        return Ok(false);
    }
    let [left, right] = root.args[..] else { return Ok(false) };
    if matches!(ty, types::I32 | types::I64) {
        for (one, other) in [(left, right), (right, left)] {
            if let Some(load) = select.sinkable(other, ty) {
                let code = by_width(ty, Code::Add_r32_rm32, Code::Add_r64_rm64);
                let from = select.reg(one)?;
                let at = select.sink(load)?;
                let to = select.result()?;
                select.x86_mem(code, &[Opnd::Mod { from, to }, Opnd::Mem(at.mem)], at);
                return Ok(true);
            }
        }
    }
    let (left, right) = if select.imm32(left).is_some() { (right, left) } else { (left, right) };
    let mem = if let Some(disp) = select.imm32(right) {
        Mem::Address { base: select.reg(left)?, index: None, disp }
    } else {
        let scaled = |select: &Select<'_>, value: Value| {
            let args = select.match_op(value, Opcode::Ishl, ty)?;
            match select.constant(args[1])? {
                count @ 1..=3 => Some((args[0], 1u8 << count)),
                _ => None,
            }
        };
        let (base, (index, scale)) = match (scaled(select, left), scaled(select, right)) {
            (_, Some(index)) => (left, index),
            (Some(index), None) => (right, index),
            (None, None) => (left, (right, 1)),
        };
        let base = select.reg(base)?;
        let index = select.reg(index)?;
        Mem::Address { base, index: Some((index, scale)), disp: 0 }
    };
    let to = select.result()?;
    let code = by_width(ty, Code::Lea_r32_m, Code::Lea_r64_m);
    select.x86(code, &[Opnd::Def(to), Opnd::Mem(mem)]);
    Ok(true)
}

/// `isub`, `band`, `bor`, `bxor` in their two-operand forms.
pub(super) fn two_operand(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_scalar(ty) {
        return Ok(false);
    }
    let [mut left, mut right] = root.args[..] else { return Ok(false) };
    let wide = usize::from(ty == types::I64);
    let codes = alu(root.op);
    let commutes = root.op != Opcode::Isub;
    if commutes
        && (select.imm32(left).is_some()
            || (select.sinkable(left, ty).is_some() && select.imm32(right).is_none()))
    {
        (left, right) = (right, left);
    }
    if root.op == Opcode::Band
        && let Some(imm) = select.constant(right)
        && let Some(code) = zero_extension(imm as u64 & super::mask(ty))
    {
        let from = select.reg(left)?;
        let to = select.result()?;
        select.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
        return Ok(true);
    }
    if let Some(imm) = select.imm32(right) {
        let from = select.reg(left)?;
        let to = select.result()?;
        if root.op == Opcode::Isub
            && let Some(disp) = imm.checked_neg()
        {
            let mem = Mem::Address { base: from, index: None, disp };
            let code = by_width(ty, Code::Lea_r32_m, Code::Lea_r64_m);
            select.x86(code, &[Opnd::Def(to), Opnd::Mem(mem)]);
            return Ok(true);
        }
        let code = if i8::try_from(imm).is_ok() { codes.imm8 } else { codes.imm32 };
        select.x86(code[wide], &[Opnd::Mod { from, to }, Opnd::Imm(i64::from(imm))]);
        return Ok(true);
    }
    let from = select.reg(left)?;
    let source = if matches!(ty, types::I32 | types::I64) {
        select.source(right, ty)?
    } else {
        Source::Reg(select.reg(right)?)
    };
    let to = select.result()?;
    select.x86_source(codes.rm[wide], &[Opnd::Mod { from, to }], source, &[]);
    Ok(true)
}

fn zero_extension(mask: u64) -> Option<Code> {
    match mask {
        0xff => Some(Code::Movzx_r32_rm8),
        0xffff => Some(Code::Movzx_r32_rm16),
        0xffff_ffff => Some(Code::Mov_r32_rm32),
        _ => None,
    }
}

/// `x & ~y` as `andn`.
pub(super) fn and_not(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let negation = |value| Some(select.match_op(value, Opcode::Bnot, ty)?[0]);
    let Some((kept, negated)) = select.and_not_operands(root, negation) else { return Ok(false) };
    let negated = select.reg(negated)?;
    let source = select.source(kept, ty)?;
    let to = select.result()?;
    let code = by_width(ty, Code::VEX_Andn_r32_r32_rm32, Code::VEX_Andn_r64_r64_rm64);
    select.x86_source(code, &[Opnd::Def(to), Opnd::UseReg(negated)], source, &[]);
    Ok(true)
}

/// `ineg` and `bnot`.
pub(super) fn negate(select: &mut Select<'_>, root: &Root) -> Fits {
    if !is_scalar(root.ty) {
        return Ok(false);
    }
    let code = if root.op == Opcode::Ineg {
        by_width(root.ty, Code::Neg_rm32, Code::Neg_rm64)
    } else {
        by_width(root.ty, Code::Not_rm32, Code::Not_rm64)
    };
    let from = select.reg(root.args[0])?;
    let to = select.result()?;
    select.x86(code, &[Opnd::Mod { from, to }]);
    Ok(true)
}

/// `imul`, low half.
pub(super) fn multiply(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_scalar(ty) {
        return Ok(false);
    }
    let [mut left, mut right] = root.args[..] else { return Ok(false) };
    if select.imm32(left).is_some() {
        (left, right) = (right, left);
    }
    if let Some(imm) = select.imm32(right) {
        let (short, long) = if ty == types::I64 {
            (Code::Imul_r64_rm64_imm8, Code::Imul_r64_rm64_imm32)
        } else {
            (Code::Imul_r32_rm32_imm8, Code::Imul_r32_rm32_imm32)
        };
        let code = if i8::try_from(imm).is_ok() { short } else { long };
        let from = select.reg(left)?;
        let to = select.result()?;
        select.x86(code, &[Opnd::Def(to), Opnd::Use(from), Opnd::Imm(i64::from(imm))]);
        return Ok(true);
    }
    let from = select.reg(left)?;
    let source = if matches!(ty, types::I32 | types::I64) {
        select.source(right, ty)?
    } else {
        Source::Reg(select.reg(right)?)
    };
    let to = select.result()?;
    let code = by_width(ty, Code::Imul_r32_rm32, Code::Imul_r64_rm64);
    select.x86_source(code, &[Opnd::Mod { from, to }], source, &[]);
    Ok(true)
}

/// `umulhi` and `smulhi`.
pub(super) fn multiply_high(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if matches!(ty, types::I8 | types::I16) {
        return narrow_multiply_high(select, root);
    }
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let code = if root.op == Opcode::Umulhi {
        by_width(ty, Code::Mul_rm32, Code::Mul_rm64)
    } else {
        by_width(ty, Code::Imul_rm32, Code::Imul_rm64)
    };
    let (left, right) = (select.reg(root.args[0])?, select.reg(root.args[1])?);
    let (low, to) = (select.gpr(), select.result()?);
    select.x86_implicit(
        code,
        &[Opnd::UseReg(right)],
        &[Opnd::UseFixed(left, RAX), Opnd::DefFixed(low, RAX), Opnd::DefFixed(to, RDX)],
    );
    Ok(true)
}

/// The high half of a product that fits a register.
fn narrow_multiply_high(select: &mut Select<'_>, root: &Root) -> Fits {
    let signed = root.op == Opcode::Smulhi;
    let left = select.widened(root.args[0], root.ty, signed)?;
    let right = select.widened(root.args[1], root.ty, signed)?;
    let (product, high): (VReg, VReg) = (select.gpr(), select.gpr());
    let ops = [Opnd::Mod { from: left, to: product }, Opnd::UseReg(right)];
    select.x86(Code::Imul_r32_rm32, &ops);
    let bits = i64::from(root.ty.bits());
    let ops = [Opnd::Mod { from: product, to: high }, Opnd::Imm(bits)];
    select.x86(Code::Shr_rm32_imm8, &ops);
    finish(select)
}

/// Shifts.
pub(super) fn shift(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_scalar(ty) {
        return Ok(false);
    }
    let [value, count] = root.args[..] else { return Ok(false) };
    let wide = usize::from(ty == types::I64);
    let narrow = ty.bits() < 32;
    let mut from = select.reg(value)?;
    // Bits shifted in from above must be those of the narrow type.
    let extension = match (root.op, ty) {
        (Opcode::Ushr, types::I8) => Some(Code::Movzx_r32_rm8),
        (Opcode::Ushr, types::I16) => Some(Code::Movzx_r32_rm16),
        (Opcode::Sshr, types::I8) => Some(Code::Movsx_r32_rm8),
        (Opcode::Sshr, types::I16) => Some(Code::Movsx_r32_rm16),
        _ => None,
    };
    if let Some(code) = extension {
        let to = select.gpr();
        select.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
        from = to;
    }
    if let Some(count) = select.constant(count) {
        let count = count & i64::from(ty.bits() - 1);
        let code = match root.op {
            Opcode::Ishl => [Code::Shl_rm32_imm8, Code::Shl_rm64_imm8],
            Opcode::Ushr => [Code::Shr_rm32_imm8, Code::Shr_rm64_imm8],
            _ => [Code::Sar_rm32_imm8, Code::Sar_rm64_imm8],
        };
        let to = select.result()?;
        select.x86(code[wide], &[Opnd::Mod { from, to }, Opnd::Imm(count)]);
        return Ok(true);
    }
    let mut count = select.reg(count)?;
    if narrow {
        let to = select.gpr();
        let mask = Opnd::Imm(i64::from(ty.bits() - 1));
        select.x86(Code::And_rm32_imm8, &[Opnd::Mod { from: count, to }, mask]);
        count = to;
    }
    let code = match root.op {
        Opcode::Ishl => [Code::VEX_Shlx_r32_rm32_r32, Code::VEX_Shlx_r64_rm64_r64],
        Opcode::Ushr => [Code::VEX_Shrx_r32_rm32_r32, Code::VEX_Shrx_r64_rm64_r64],
        _ => [Code::VEX_Sarx_r32_rm32_r32, Code::VEX_Sarx_r64_rm64_r64],
    };
    let to = select.result()?;
    select.x86(code[wide], &[Opnd::Def(to), Opnd::Use(from), Opnd::UseReg(count)]);
    Ok(true)
}

/// Rotations.
pub(super) fn rotate(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let [value, count] = root.args[..] else { return Ok(false) };
    let wide = usize::from(ty == types::I64);
    let left = root.op == Opcode::Rotl;
    let from = select.reg(value)?;
    if let Some(count) = select.constant(count) {
        let bits = i64::from(ty.bits());
        let count = (if left { -count } else { count }) & (bits - 1);
        let code = [Code::VEX_Rorx_r32_rm32_imm8, Code::VEX_Rorx_r64_rm64_imm8][wide];
        let to = select.result()?;
        select.x86(code, &[Opnd::Def(to), Opnd::Use(from), Opnd::Imm(count)]);
        return Ok(true);
    }
    let count = select.reg(count)?;
    let code = if left {
        [Code::Rol_rm32_CL, Code::Rol_rm64_CL]
    } else {
        [Code::Ror_rm32_CL, Code::Ror_rm64_CL]
    };
    let to = select.result()?;
    select.x86(code[wide], &[Opnd::Mod { from, to }, Opnd::UseFixed(count, RCX)]);
    Ok(true)
}

/// `clz`, `ctz` and `popcnt`.
pub(super) fn count_bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if root.op == Opcode::Popcnt && matches!(ty, types::I8 | types::I16) && select.features.popcnt {
        let from = select.widened(root.args[0], ty, false)?;
        let to = select.result()?;
        select.x86(Code::Popcnt_r32_rm32, &[Opnd::Def(to), Opnd::Use(from)]);
        return Ok(true);
    }
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let code = match root.op {
        Opcode::Clz if select.features.lzcnt => {
            by_width(ty, Code::Lzcnt_r32_rm32, Code::Lzcnt_r64_rm64)
        }
        Opcode::Ctz => by_width(ty, Code::Tzcnt_r32_rm32, Code::Tzcnt_r64_rm64),
        Opcode::Popcnt if select.features.popcnt => {
            by_width(ty, Code::Popcnt_r32_rm32, Code::Popcnt_r64_rm64)
        }
        _ => return Ok(false),
    };
    let source = select.source(root.args[0], ty)?;
    let to = select.result()?;
    select.x86_source(code, &[Opnd::Def(to)], source, &[]);
    Ok(true)
}

/// `bswap`.
pub(super) fn swap_bytes(select: &mut Select<'_>, root: &Root) -> Fits {
    let code = match root.ty {
        types::I32 => Code::Bswap_r32,
        types::I64 => Code::Bswap_r64,
        _ => return Ok(false),
    };
    let from = select.reg(root.args[0])?;
    let to = select.result()?;
    select.x86(code, &[Opnd::Mod { from, to }]);
    Ok(true)
}

/// `uextend` and `sextend`.
pub(super) fn extend(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let from = select.type_of(arg);
    let to = select.type_of(select.func.dfg.first_result(root.inst));
    let signed = root.op == Opcode::Sextend;
    let wide = to == types::I64;
    let code = match (signed, from) {
        _ if !is_scalar(from) || !is_scalar(to) => return Ok(false),
        (false, types::I8) => Code::Movzx_r32_rm8,
        (false, types::I16) => Code::Movzx_r32_rm16,
        (false, _) => Code::Mov_r32_rm32,
        (true, types::I8) if wide => Code::Movsx_r64_rm8,
        (true, types::I16) if wide => Code::Movsx_r64_rm16,
        (true, types::I8) => Code::Movsx_r32_rm8,
        (true, types::I16) => Code::Movsx_r32_rm16,
        (true, _) => Code::Movsxd_r64_rm32,
    };
    let source = select.source(arg, from)?;
    let result = select.result()?;
    select.x86_source(code, &[Opnd::Def(result)], source, &[]);
    Ok(true)
}

/// `udiv`, `sdiv`, `urem` and `srem`.
pub(super) fn divide(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let wide = ty == types::I64;
    let [dividend, divisor] = root.args[..] else { return Ok(false) };
    let known = select.constant(divisor);
    let low = select.reg(dividend)?;
    let mut by = select.reg(divisor)?;
    let signed = matches!(root.op, Opcode::Sdiv | Opcode::Srem);
    let mut trap = Some(TrapCode::INTEGER_DIVISION_BY_ZERO);
    if signed && known.is_none_or(|known| known == 0) {
        let test = by_width(ty, Code::Test_rm32_r32, Code::Test_rm64_r64);
        select.x86(test, &[Opnd::UseReg(by), Opnd::UseReg(by)]);
        select.push(Kind::TrapIf(Cond::One(Cc::E), TrapCode::INTEGER_DIVISION_BY_ZERO));
        trap = Some(TrapCode::INTEGER_OVERFLOW);
    }
    if signed && root.op == Opcode::Sdiv {
        trap = Some(TrapCode::INTEGER_OVERFLOW);
    }
    if root.op == Opcode::Srem && known.is_none_or(|known| known == -1) {
        // The remainder by -1 is that by 1, which never overflows.
        let one = select.gpr();
        select.x86(Code::Mov_r32_imm32, &[Opnd::Def(one), Opnd::Imm(1)]);
        let compare = by_width(ty, Code::Cmp_rm32_imm8, Code::Cmp_rm64_imm8);
        select.x86(compare, &[Opnd::UseReg(by), Opnd::Imm(-1)]);
        let to = select.gpr();
        let equal = CMOVCC64[Cc::E.bits() as usize];
        select.x86(equal, &[Opnd::Mod { from: by, to }, Opnd::UseReg(one)]);
        by = to;
    }
    let high = select.gpr();
    if signed {
        let code = if wide { Code::Cqo } else { Code::Cdq };
        let implicit = [Opnd::UseFixed(low, RAX), Opnd::DefFixed(high, RDX)];
        select.x86_implicit(code, &[], &implicit);
    } else {
        select.push(Kind::Idiom { code: Code::Xor_r32_rm32, to: high });
    }
    let code = match (signed, wide) {
        (false, false) => Code::Div_rm32,
        (false, true) => Code::Div_rm64,
        (true, false) => Code::Idiv_rm32,
        (true, true) => Code::Idiv_rm64,
    };
    let result = select.result()?;
    let other = select.gpr();
    let (quotient, remainder) = if matches!(root.op, Opcode::Udiv | Opcode::Sdiv) {
        (result, other)
    } else {
        (other, result)
    };
    select.x86_implicit(
        code,
        &[Opnd::UseReg(by)],
        &[
            Opnd::UseFixed(low, RAX),
            Opnd::UseFixed(high, RDX),
            Opnd::DefFixed(quotient, RAX),
            Opnd::DefFixed(remainder, RDX),
        ],
    );
    let inst = select.code.last_mut().expect("just pushed");
    inst.trap = trap;
    Ok(true)
}

/// `uadd_overflow_trap`.
pub(super) fn add_or_trap(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::IntAddTrap { code: trap, .. } = root.data else { return Ok(false) };
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let [left, right] = root.args[..] else { return Ok(false) };
    let from = select.reg(left)?;
    let other = select.reg(right)?;
    let to = select.result()?;
    let code = by_width(ty, Code::Add_r32_rm32, Code::Add_r64_rm64);
    select.x86(code, &[Opnd::Mod { from, to }, Opnd::Use(other)]);
    select.push(Kind::TrapIf(Cond::One(Cc::B), trap));
    Ok(true)
}

/// `uadd_overflow`: the sum, and whether it carried.
pub(super) fn add_with_carry(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let [sum, carry] = select.func.dfg.inst_results(root.inst) else { return Ok(false) };
    let from = select.reg(root.args[0])?;
    let other = select.reg(root.args[1])?;
    let to = select.value_reg(*sum)?;
    let code = by_width(ty, Code::Add_r32_rm32, Code::Add_r64_rm64);
    select.x86(code, &[Opnd::Mod { from, to }, Opnd::Use(other)]);
    let byte = select.gpr();
    select.x86(SETCC[Cc::B.bits() as usize], &[Opnd::Def(byte)]);
    let to = select.value_reg(*carry)?;
    select.x86(Code::Movzx_r32_rm8, &[Opnd::Def(to), Opnd::Use(byte)]);
    Ok(true)
}

/// Scalar `iabs`: the negation unless that is negative.
pub(super) fn absolute(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !is_scalar(ty) {
        return Ok(false);
    }
    let mut from = select.reg(root.args[0])?;
    let extension = match ty {
        types::I8 => Some(Code::Movsx_r32_rm8),
        types::I16 => Some(Code::Movsx_r32_rm16),
        _ => None,
    };
    if let Some(code) = extension {
        let to = select.gpr();
        select.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
        from = to;
    }
    let negated = select.gpr();
    let negate = by_width(ty, Code::Neg_rm32, Code::Neg_rm64);
    select.x86(negate, &[Opnd::Mod { from, to: negated }]);
    // The flags of the negation compare zero with the operand: it was negative if zero is greater.
    select.cmov(Cond::One(Cc::G), negated, from, ty == types::I64);
    finish(select)
}

/// Scalar `bitselect`.
pub(super) fn choose_bits(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I32 | types::I64) {
        return Ok(false);
    }
    let [mask, yes, no] = root.args[..] else { return Ok(false) };
    let (mask, yes, no) = (select.reg(mask)?, select.reg(yes)?, select.reg(no)?);
    let (kept, other) = (select.gpr(), select.gpr());
    let and = by_width(ty, Code::And_r32_rm32, Code::And_r64_rm64);
    select.x86(and, &[Opnd::Mod { from: yes, to: kept }, Opnd::Use(mask)]);
    let andn = by_width(ty, Code::VEX_Andn_r32_r32_rm32, Code::VEX_Andn_r64_r64_rm64);
    select.x86(andn, &[Opnd::Def(other), Opnd::UseReg(mask), Opnd::Use(no)]);
    let or = by_width(ty, Code::Or_r32_rm32, Code::Or_r64_rm64);
    let to = select.result()?;
    select.x86(or, &[Opnd::Mod { from: kept, to }, Opnd::Use(other)]);
    Ok(true)
}

/// `bmask`: all ones if the operand is not zero.
pub(super) fn spread(select: &mut Select<'_>, root: &Root) -> Fits {
    let arg = root.args[0];
    let from = select.type_of(arg);
    if !is_scalar(from) || !is_scalar(root.ty) {
        return Ok(false);
    }
    let reg = select.widened(arg, from, false)?;
    let (negated, result): (VReg, VReg) = (select.gpr(), select.gpr());
    let negate = by_width(from, Code::Neg_rm32, Code::Neg_rm64);
    select.x86(negate, &[Opnd::Mod { from: reg, to: negated }]);
    // The carry of the negation says whether the operand was not zero.
    let borrow = Code::Sbb_r64_rm64;
    select.x86(borrow, &[Opnd::Mod { from: negated, to: result }, Opnd::UseReg(negated)]);
    finish(select)
}

fn finish(select: &mut Select<'_>) -> Fits {
    let done: Done = select.last_is_result();
    done.map(|()| true)
}
