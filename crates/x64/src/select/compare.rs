//! Comparisons: conditions on the flags, their values, selects, minima and traps.

use super::{Done, Fits, Root, Select, Source};
use crate::asm::{CMOVCC32, CMOVCC64, SETCC};
use crate::error::Unsupported;
use crate::vcode::{Cc, Cond, Kind, Opnd};
use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::{
    BlockArg, Inst as ClifInst, InstructionData, Opcode, Type, Value, ValueDef, types,
};
use iced_x86::Code;
use regalloc2::VReg;

/// The condition code of an integer comparison.
pub(super) fn int_cc(cc: IntCC) -> Cc {
    match cc {
        IntCC::Equal => Cc::E,
        IntCC::NotEqual => Cc::Ne,
        IntCC::SignedLessThan => Cc::L,
        IntCC::SignedGreaterThanOrEqual => Cc::Ge,
        IntCC::SignedGreaterThan => Cc::G,
        IntCC::SignedLessThanOrEqual => Cc::Le,
        IntCC::UnsignedLessThan => Cc::B,
        IntCC::UnsignedGreaterThanOrEqual => Cc::Ae,
        IntCC::UnsignedGreaterThan => Cc::A,
        IntCC::UnsignedLessThanOrEqual => Cc::Be,
    }
}

/// The condition after `ucomis left, right`, and whether operands are to be swapped.
fn float_cond(cc: FloatCC) -> (Cond, bool) {
    match cc {
        FloatCC::Ordered => (Cond::One(Cc::Np), false),
        FloatCC::Unordered => (Cond::One(Cc::P), false),
        FloatCC::Equal => (Cond::And(Cc::E, Cc::Np), false),
        FloatCC::NotEqual => (Cond::Or(Cc::Ne, Cc::P), false),
        FloatCC::OrderedNotEqual => (Cond::One(Cc::Ne), false),
        FloatCC::UnorderedOrEqual => (Cond::One(Cc::E), false),
        FloatCC::LessThan => (Cond::One(Cc::A), true),
        FloatCC::LessThanOrEqual => (Cond::One(Cc::Ae), true),
        FloatCC::GreaterThan => (Cond::One(Cc::A), false),
        FloatCC::GreaterThanOrEqual => (Cond::One(Cc::Ae), false),
        FloatCC::UnorderedOrLessThan => (Cond::One(Cc::B), false),
        FloatCC::UnorderedOrLessThanOrEqual => (Cond::One(Cc::Be), false),
        FloatCC::UnorderedOrGreaterThan => (Cond::One(Cc::B), true),
        FloatCC::UnorderedOrGreaterThanOrEqual => (Cond::One(Cc::Be), true),
    }
}

/// `cmp` and `test` of one width.
struct CompareCodes {
    reg: Code,
    mem: Code,
    imm8: Code,
    imm: Code,
    test: Code,
    test_imm: Code,
}

fn codes(ty: Type) -> Option<CompareCodes> {
    macro_rules! codes {
        ($reg:ident $mem:ident $imm8:ident $imm:ident $test:ident $test_imm:ident) => {
            Some(CompareCodes {
                reg: Code::$reg,
                mem: Code::$mem,
                imm8: Code::$imm8,
                imm: Code::$imm,
                test: Code::$test,
                test_imm: Code::$test_imm,
            })
        };
    }
    match ty {
        types::I8 => {
            codes!(Cmp_r8_rm8 Cmp_rm8_r8 Cmp_rm8_imm8 Cmp_rm8_imm8 Test_rm8_r8 Test_rm8_imm8)
        }
        types::I16 => codes!(
            Cmp_r16_rm16 Cmp_rm16_r16 Cmp_rm16_imm8 Cmp_rm16_imm16 Test_rm16_r16 Test_rm16_imm16
        ),
        types::I32 => codes!(
            Cmp_r32_rm32 Cmp_rm32_r32 Cmp_rm32_imm8 Cmp_rm32_imm32 Test_rm32_r32 Test_rm32_imm32
        ),
        types::I64 => codes!(
            Cmp_r64_rm64 Cmp_rm64_r64 Cmp_rm64_imm8 Cmp_rm64_imm32 Test_rm64_r64 Test_rm64_imm32
        ),
        _ => None,
    }
}

impl Select<'_> {
    /// Sets the flags so that the answered condition holds if `value` is not zero.
    ///
    /// Nothing that writes flags may be emitted between this and the use of the condition.
    pub(super) fn condition(&mut self, value: Value) -> Result<Cond, Unsupported> {
        let tile = self.tile;
        if let Some(inst) = self.def(value)
            && let Some(cond) = self.condition_of(inst)?
        {
            self.tile = tile;
            return Ok(cond);
        }
        let ty = self.type_of(value);
        let Some(codes) = codes(ty) else {
            return self.unsupported(format!("a condition of {ty}"));
        };
        let reg = self.reg(value)?;
        self.x86(codes.test, &[Opnd::UseReg(reg), Opnd::UseReg(reg)]);
        Ok(Cond::One(Cc::Ne))
    }

    /// As [`Self::condition`] where `inst` compares; `None` where it does not.
    fn condition_of(&mut self, inst: ClifInst) -> Result<Option<Cond>, Unsupported> {
        let args = self.func.dfg.inst_args(inst);
        match self.func.dfg.insts[inst] {
            InstructionData::IntCompare { cond, .. } => {
                let ty = self.type_of(args[0]);
                if !ty.is_int() || ty == types::I128 {
                    return Ok(None);
                }
                self.tile = "icmp";
                self.int_compare(cond, args[0], args[1], ty).map(Some)
            }
            InstructionData::FloatCompare { cond, .. } => {
                let ty = self.type_of(args[0]);
                if !matches!(ty, types::F32 | types::F64) {
                    return Ok(None);
                }
                self.tile = "fcmp";
                self.float_compare(cond, args[0], args[1], ty).map(Some)
            }
            InstructionData::Unary { opcode: Opcode::VanyTrue, .. } => {
                self.tile = "vany_true";
                let reg = self.reg(args[0])?;
                let test = Code::VEX_Vptest_xmm_xmmm128;
                self.x86(test, &[Opnd::UseReg(reg), Opnd::UseReg(reg)]);
                Ok(Some(Cond::One(Cc::Ne)))
            }
            InstructionData::Unary { opcode: Opcode::VallTrue, .. } => {
                self.tile = "vall_true";
                let code = match self.type_of(args[0]).lane_bits() {
                    8 => Code::VEX_Vpcmpeqb_xmm_xmm_xmmm128,
                    16 => Code::VEX_Vpcmpeqw_xmm_xmm_xmmm128,
                    32 => Code::VEX_Vpcmpeqd_xmm_xmm_xmmm128,
                    _ => Code::VEX_Vpcmpeqq_xmm_xmm_xmmm128,
                };
                let reg = self.reg(args[0])?;
                let zero = self.zero();
                let zeros = self.binary_regs(code, reg, zero);
                let test = Code::VEX_Vptest_xmm_xmmm128;
                self.x86(test, &[Opnd::UseReg(zeros), Opnd::UseReg(zeros)]);
                Ok(Some(Cond::One(Cc::E)))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn int_compare(
        &mut self,
        cc: IntCC,
        mut left: Value,
        mut right: Value,
        ty: Type,
    ) -> Result<Cond, Unsupported> {
        let mut cc = cc;
        let Some(codes) = codes(ty) else {
            return self.unsupported(format!("a comparison of {ty}"));
        };
        if self.imm32(left).is_some() {
            (left, right) = (right, left);
            cc = cc.swap_args();
        }
        if let Some((next, bits)) = self.next_of(cc, left, right, ty) {
            let reg = self.reg(next)?;
            let imm = Opnd::Imm(i64::from(bits));
            let code = if i8::try_from(bits).is_ok() { codes.imm8 } else { codes.imm };
            if bits == 0 {
                self.x86(codes.test, &[Opnd::UseReg(reg), Opnd::UseReg(reg)]);
            } else {
                self.x86(code, &[Opnd::Use(reg), imm]);
            }
            return Ok(Cond::One(int_cc(cc)));
        }
        let cond = Cond::One(int_cc(cc));
        let unsigned = cc.unsigned() == cc && !matches!(cc, IntCC::Equal | IntCC::NotEqual);
        match self.imm32(right) {
            Some(0) if !unsigned => {
                if let Some(args) = self.match_op(left, Opcode::Band, ty)
                    && self.uses[self.canonical(left)] == 1
                {
                    let one = self.reg(args[0])?;
                    match self.imm32(args[1]) {
                        Some(imm) => {
                            self.x86(codes.test_imm, &[Opnd::Use(one), Opnd::Imm(i64::from(imm))])
                        }
                        None => {
                            let other = self.reg(args[1])?;
                            self.x86(codes.test, &[Opnd::Use(one), Opnd::UseReg(other)]);
                        }
                    }
                    return Ok(cond);
                }
                if let Some(load) = self.sinkable(left, ty) {
                    let at = self.sink(load)?;
                    self.x86_mem(codes.imm8, &[Opnd::Mem(at.mem), Opnd::Imm(0)], at);
                    return Ok(cond);
                }
                let reg = self.reg(left)?;
                self.x86(codes.test, &[Opnd::UseReg(reg), Opnd::UseReg(reg)]);
            }
            Some(imm) => {
                let code = if i8::try_from(imm).is_ok() { codes.imm8 } else { codes.imm };
                let imm = Opnd::Imm(i64::from(imm));
                if let Some(load) = self.sinkable(left, ty) {
                    let at = self.sink(load)?;
                    self.x86_mem(code, &[Opnd::Mem(at.mem), imm], at);
                    return Ok(cond);
                }
                let reg = self.reg(left)?;
                self.x86(code, &[Opnd::Use(reg), imm]);
            }
            None => {
                if let Some(load) = self.sinkable(left, ty) {
                    let at = self.sink(load)?;
                    let reg = self.reg(right)?;
                    self.x86_mem(codes.mem, &[Opnd::Mem(at.mem), Opnd::UseReg(reg)], at);
                    return Ok(cond);
                }
                let reg = self.reg(left)?;
                let source = self.source(right, ty)?;
                self.x86_source(codes.reg, &[Opnd::UseReg(reg)], source, &[]);
            }
        }
        Ok(cond)
    }

    /// For the comparison at the end of a loop of a parameter with a constant: the parameter's next
    /// value, and the constant to compare that with instead. The parameter is free then, and the
    /// next value can be made in its register.
    fn next_of(&self, cc: IntCC, left: Value, right: Value, ty: Type) -> Option<(Value, i32)> {
        if !matches!(cc, IntCC::Equal | IntCC::NotEqual) || ty.bits() < 32 {
            return None;
        }
        let limit = self.imm32(right)?;
        let left = self.canonical(left);
        let dfg = &self.func.dfg;
        let ValueDef::Param(header, at) = dfg.value_def(left) else { return None };
        let data = &dfg.insts[self.root];
        let calls = data.branch_destination(&dfg.jump_tables, &dfg.exception_tables);
        let call = calls.iter().find(|call| call.block(&dfg.value_lists) == header)?;
        let BlockArg::Value(next) = call.args(&dfg.value_lists).nth(at)? else { return None };
        let args = self.match_op(next, Opcode::Iadd, ty)?;
        if self.canonical(args[0]) != left {
            return None;
        }
        // Both sides wrap alike.
        let sum = i64::from(limit).wrapping_add(self.constant(args[1])?);
        let sum = if ty == types::I32 { sum as i32 } else { i32::try_from(sum).ok()? };
        Some((next, sum))
    }

    fn float_compare(
        &mut self,
        cc: FloatCC,
        mut left: Value,
        mut right: Value,
        ty: Type,
    ) -> Result<Cond, Unsupported> {
        let (cond, swap) = float_cond(cc);
        if swap {
            (left, right) = (right, left);
        }
        let code = if ty == types::F32 {
            Code::VEX_Vucomiss_xmm_xmmm32
        } else {
            Code::VEX_Vucomisd_xmm_xmmm64
        };
        let reg = self.reg(left)?;
        let source = self.source(right, ty)?;
        self.x86_source(code, &[Opnd::UseReg(reg)], source, &[]);
        Ok(cond)
    }

    /// `to = cond ? yes : no` in general-purpose registers; returns `to`.
    pub(super) fn cmov(&mut self, cond: Cond, yes: VReg, no: VReg, wide: bool) -> VReg {
        let codes = if wide { &CMOVCC64 } else { &CMOVCC32 };
        let (ccs, yes, no): (&[Cc], _, _) = match cond {
            Cond::One(cc) => (&[cc], yes, no),
            Cond::Or(one, other) => (&[one, other], yes, no),
            Cond::And(one, other) => (&[one.invert(), other.invert()], no, yes),
        };
        let mut from = no;
        for cc in ccs {
            let to = self.gpr();
            self.x86(codes[cc.bits() as usize], &[Opnd::Mod { from, to }, Opnd::Use(yes)]);
            from = to;
        }
        from
    }

    fn setcc(&mut self, cc: Cc) -> VReg {
        let byte = self.gpr();
        self.x86(SETCC[cc.bits() as usize], &[Opnd::Def(byte)]);
        let to = self.gpr();
        self.x86(Code::Movzx_r32_rm8, &[Opnd::Def(to), Opnd::Use(byte)]);
        to
    }

    fn condition_value(&mut self, cond: Cond) -> Done {
        match cond {
            Cond::One(cc) => {
                self.setcc(cc);
            }
            Cond::Or(one, other) | Cond::And(one, other) => {
                let (from, mask) = (self.setcc(one), self.setcc(other));
                let to = self.gpr();
                let or = matches!(cond, Cond::Or(..));
                let code = if or { Code::Or_r32_rm32 } else { Code::And_r32_rm32 };
                self.x86(code, &[Opnd::Mod { from, to }, Opnd::Use(mask)]);
            }
        }
        self.last_is_result()
    }
}

/// A comparison whose result is needed as a number.
pub(super) fn value(select: &mut Select<'_>, root: &Root) -> Fits {
    match select.condition_of(root.inst)? {
        Some(cond) => select.condition_value(cond).map(|()| true),
        None => Ok(false),
    }
}

/// `select` and `select_spectre_guard`.
pub(super) fn choose(select: &mut Select<'_>, root: &Root) -> Fits {
    let [cond, yes, no] = root.args[..] else { return Ok(false) };
    let ty = root.ty;
    let (yes, no) = (select.reg(yes)?, select.reg(no)?);
    let cond = select.condition(cond)?;
    if ty.is_int() {
        if ty == types::I128 {
            return select.unsupported("a select of i128");
        }
        select.cmov(cond, yes, no, ty == types::I64);
        return select.last_is_result().map(|()| true);
    }
    let (ccs, yes, no) = match cond {
        Cond::One(cc) => (vec![cc], yes, no),
        Cond::Or(one, other) => (vec![one, other], yes, no),
        Cond::And(one, other) => (vec![one.invert(), other.invert()], no, yes),
    };
    let mut from = no;
    for (at, &cc) in ccs.iter().enumerate() {
        let to = if at + 1 == ccs.len() { select.result()? } else { select.xmm() };
        select.push(Kind::SelectVector { cond: cc, yes, no: from, to });
        from = to;
    }
    Ok(true)
}

/// Scalar `smin`, `smax`, `umin` and `umax`.
pub(super) fn min_max(select: &mut Select<'_>, root: &Root) -> Fits {
    let ty = root.ty;
    if !matches!(ty, types::I8 | types::I16 | types::I32 | types::I64) {
        return Ok(false);
    }
    let signed = matches!(root.op, Opcode::Smin | Opcode::Smax);
    let cc = match root.op {
        Opcode::Smin => IntCC::SignedLessThan,
        Opcode::Smax => IntCC::SignedGreaterThan,
        Opcode::Umin => IntCC::UnsignedLessThan,
        _ => IntCC::UnsignedGreaterThan,
    };
    let [left, right] = root.args[..] else { return Ok(false) };
    let yes = select.widened(left, ty, signed)?;
    let no = select.widened(right, ty, signed)?;
    let code = if ty == types::I64 { Code::Cmp_r64_rm64 } else { Code::Cmp_r32_rm32 };
    select.x86_source(code, &[Opnd::UseReg(yes)], Source::Reg(no), &[]);
    select.cmov(Cond::One(int_cc(cc)), yes, no, ty == types::I64);
    select.last_is_result().map(|()| true)
}

/// `trapz` and `trapnz`.
pub(super) fn trap_if(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::CondTrap { arg, code, .. } = root.data else { return Ok(false) };
    let cond = select.condition(arg)?;
    let cond = if root.op == Opcode::Trapz { cond.invert() } else { cond };
    select.push(Kind::TrapIf(cond, code));
    Ok(true)
}
