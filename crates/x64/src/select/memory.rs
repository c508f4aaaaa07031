//! Loads, stores and addresses of the stack.

use super::{Fits, Root, Select, is_vector};
use crate::vcode::{Mem, Opnd};
use cranelift_codegen::ir::{InstructionData, Opcode, Type, Value, types};
use iced_x86::Code;

/// The load that extends `ty` to the whole register, for loads that do not say how.
fn plain_load(ty: Type) -> Option<Code> {
    Some(match ty {
        types::I8 => Code::Movzx_r32_rm8,
        types::I16 => Code::Movzx_r32_rm16,
        types::I32 => Code::Mov_r32_rm32,
        types::I64 => Code::Mov_r64_rm64,
        types::F32 => Code::VEX_Vmovss_xmm_m32,
        types::F64 => Code::VEX_Vmovsd_xmm_m64,
        _ if is_vector(ty) && !ty.lane_type().is_float() => Code::VEX_Vmovdqu_xmm_xmmm128,
        _ if is_vector(ty) => Code::VEX_Vmovups_xmm_xmmm128,
        _ => return None,
    })
}

/// Every load.
pub(super) fn load(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::Load { arg, offset, .. } = root.data else { return Ok(false) };
    let result = select.func.dfg.first_result(root.inst);
    let ty = select.type_of(result);
    let wide = ty == types::I64;
    let code = match root.op {
        Opcode::Load => plain_load(ty),
        Opcode::Uload8 => Some(Code::Movzx_r32_rm8),
        Opcode::Uload16 => Some(Code::Movzx_r32_rm16),
        Opcode::Uload32 => Some(Code::Mov_r32_rm32),
        Opcode::Sload8 => Some(if wide { Code::Movsx_r64_rm8 } else { Code::Movsx_r32_rm8 }),
        Opcode::Sload16 => Some(if wide { Code::Movsx_r64_rm16 } else { Code::Movsx_r32_rm16 }),
        Opcode::Sload32 => Some(Code::Movsxd_r64_rm32),
        Opcode::Uload8x8 => Some(Code::VEX_Vpmovzxbw_xmm_xmmm64),
        Opcode::Uload16x4 => Some(Code::VEX_Vpmovzxwd_xmm_xmmm64),
        Opcode::Uload32x2 => Some(Code::VEX_Vpmovzxdq_xmm_xmmm64),
        Opcode::Sload8x8 => Some(Code::VEX_Vpmovsxbw_xmm_xmmm64),
        Opcode::Sload16x4 => Some(Code::VEX_Vpmovsxwd_xmm_xmmm64),
        Opcode::Sload32x2 => Some(Code::VEX_Vpmovsxdq_xmm_xmmm64),
        _ => None,
    };
    let Some(code) = code else { return select.unsupported(format!("a load of {ty}")) };
    let mut at = select.memory(root.inst, arg, offset.into())?;
    if let Some(place) = select.fault_places.get(&root.inst) {
        at.srcloc = *place;
    }
    let (code, to) = match select.raised.remove(&root.inst) {
        Some(raised) => raised,
        None => (code, select.result()?),
    };
    select.x86_mem(code, &[Opnd::Def(to), Opnd::Mem(at.mem)], at);
    Ok(true)
}

/// Every store.
pub(super) fn store(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::Store { args: [value, address], offset, .. } = root.data else {
        return Ok(false);
    };
    let bytes = match root.op {
        Opcode::Istore8 => 1,
        Opcode::Istore16 => 2,
        Opcode::Istore32 => 4,
        _ => select.type_of(value).bytes(),
    };
    let ty = select.type_of(value);
    if ty.is_int() {
        return store_int(select, root, value, address, offset.into(), bytes);
    }
    let code = match ty {
        types::F32 => Code::VEX_Vmovss_m32_xmm,
        types::F64 => Code::VEX_Vmovsd_m64_xmm,
        _ if is_vector(ty) && !ty.lane_type().is_float() => Code::VEX_Vmovdqu_xmmm128_xmm,
        _ if is_vector(ty) => Code::VEX_Vmovups_xmmm128_xmm,
        _ => return select.unsupported(format!("a store of {ty}")),
    };
    let from = select.reg(value)?;
    let at = select.memory(root.inst, address, offset.into())?;
    select.x86_mem(code, &[Opnd::Mem(at.mem), Opnd::UseReg(from)], at);
    Ok(true)
}

fn store_int(
    select: &mut Select<'_>,
    root: &Root,
    value: Value,
    address: Value,
    offset: i32,
    bytes: u32,
) -> Fits {
    let (code, imm_code) = match bytes {
        1 => (Code::Mov_rm8_r8, Code::Mov_rm8_imm8),
        2 => (Code::Mov_rm16_r16, Code::Mov_rm16_imm16),
        4 => (Code::Mov_rm32_r32, Code::Mov_rm32_imm32),
        8 => (Code::Mov_rm64_r64, Code::Mov_rm64_imm32),
        _ => return select.unsupported(format!("a store of {bytes} bytes")),
    };
    if let Some(bits) = select.constant(value) {
        let shift = 64 - 8 * bytes;
        let bits = (bits << shift) >> shift;
        if i32::try_from(bits).is_ok() {
            let at = select.memory(root.inst, address, offset)?;
            select.x86_mem(imm_code, &[Opnd::Mem(at.mem), Opnd::Imm(bits)], at);
            return Ok(true);
        }
    }
    if let Some((code, source, imm)) = lane_store(select, value, bytes) {
        let from = select.reg(source)?;
        let at = select.memory(root.inst, address, offset)?;
        select.x86_mem(code, &[Opnd::Mem(at.mem), Opnd::UseReg(from), Opnd::Imm(imm)], at);
        return Ok(true);
    }
    if root.op == Opcode::Store
        && let Some((operation, codes)) = select.read_modify_write(root, value, address, offset)
    {
        let at = select.memory(root.inst, address, offset)?;
        let (code, operand) = match select.imm32(operation) {
            Some(imm) => (codes.imm, Opnd::Imm(imm.into())),
            None => (codes.reg, Opnd::UseReg(select.reg(operation)?)),
        };
        select.x86_mem(code, &[Opnd::Mem(at.mem), operand], at);
        return Ok(true);
    }
    let from = select.reg(value)?;
    let at = select.memory(root.inst, address, offset)?;
    select.x86_mem(code, &[Opnd::Mem(at.mem), Opnd::UseReg(from)], at);
    Ok(true)
}

/// Instructions that compute in memory.
struct MemoryCodes {
    reg: Code,
    imm: Code,
}

impl MemoryCodes {
    fn new(op: Opcode, ty: Type) -> Option<MemoryCodes> {
        let (reg, imm) = match (op, ty) {
            (Opcode::Iadd, types::I32) => (Code::Add_rm32_r32, Code::Add_rm32_imm32),
            (Opcode::Iadd, types::I64) => (Code::Add_rm64_r64, Code::Add_rm64_imm32),
            (Opcode::Isub, types::I32) => (Code::Sub_rm32_r32, Code::Sub_rm32_imm32),
            (Opcode::Isub, types::I64) => (Code::Sub_rm64_r64, Code::Sub_rm64_imm32),
            (Opcode::Band, types::I32) => (Code::And_rm32_r32, Code::And_rm32_imm32),
            (Opcode::Band, types::I64) => (Code::And_rm64_r64, Code::And_rm64_imm32),
            (Opcode::Bor, types::I32) => (Code::Or_rm32_r32, Code::Or_rm32_imm32),
            (Opcode::Bor, types::I64) => (Code::Or_rm64_r64, Code::Or_rm64_imm32),
            (Opcode::Bxor, types::I32) => (Code::Xor_rm32_r32, Code::Xor_rm32_imm32),
            (Opcode::Bxor, types::I64) => (Code::Xor_rm64_r64, Code::Xor_rm64_imm32),
            _ => return None,
        };
        Some(MemoryCodes { reg, imm })
    }
}

impl Select<'_> {
    /// The other operand of a root that stores what is computed of what it overwrites, and how to.
    /// Stock Cranelift does the same (`lower.isle`), so that a fault has the store's place in both.
    fn read_modify_write(
        &mut self,
        root: &Root,
        value: Value,
        address: Value,
        offset: i32,
    ) -> Option<(Value, MemoryCodes)> {
        let func = self.func;
        let inst = self.def(value)?;
        let InstructionData::Binary { opcode, args } = func.dfg.insts[inst] else { return None };
        let ty = self.type_of(func.dfg.first_result(inst));
        let codes = MemoryCodes::new(opcode, ty).filter(|_| self.type_of(value) == ty)?;
        for (loaded, other) in [(args[0], args[1]), (args[1], args[0])] {
            let Some(load) = self.sinkable(loaded, ty) else { continue };
            let InstructionData::Load { arg, offset: from, .. } = func.dfg.insts[load] else {
                continue;
            };
            let same = self.canonical(arg) == self.canonical(address)
                && i32::from(from) == offset
                && self.load_flags(load) == self.load_flags(root.inst);
            if same && (opcode != Opcode::Isub || loaded == args[0]) {
                self.sunk.insert(load);
                if self.can_trap_in_order(load) {
                    self.reached = self.effects[load];
                }
                return Some((other, codes));
            }
        }
        None
    }
}

/// A lane that is extracted only to be stored.
fn lane_store(select: &Select<'_>, value: Value, bytes: u32) -> Option<(Code, Value, i64)> {
    let value = select.canonical(value);
    let inst = select.def_of(value, Opcode::Extractlane)?;
    let InstructionData::BinaryImm8 { arg, imm, .. } = select.func.dfg.insts[inst] else {
        return None;
    };
    if select.type_of(value).bytes() != bytes || select.uses[value] != 1 {
        return None;
    }
    let code = match bytes {
        1 => Code::VEX_Vpextrb_r32m8_xmm_imm8,
        2 => Code::VEX_Vpextrw_r32m16_xmm_imm8,
        4 => Code::VEX_Vpextrd_rm32_xmm_imm8,
        _ => Code::VEX_Vpextrq_rm64_xmm_imm8,
    };
    Some((code, arg, i64::from(imm)))
}

/// `stack_addr`.
pub(super) fn stack_addr(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::StackAddr { stack_slot, offset, .. } = root.data else {
        return Ok(false);
    };
    let start = select.stack_slots.offsets[stack_slot.as_u32() as usize] as i32;
    let Some(offset) = start.checked_add(offset.into()) else {
        return select.unsupported("so large an offset");
    };
    let to = select.result()?;
    select.x86(Code::Lea_r64_m, &[Opnd::Def(to), Opnd::Mem(Mem::StackSlot(offset))]);
    Ok(true)
}

/// `get_frame_pointer`, `get_stack_pointer` and `get_return_address`.
pub(super) fn frame(select: &mut Select<'_>, root: &Root) -> Fits {
    let to = select.result()?;
    let (code, from) = match root.op {
        Opcode::GetFramePointer => (Code::Mov_r64_rm64, Opnd::Pointer(crate::regs::RBP)),
        Opcode::GetStackPointer => (Code::Mov_r64_rm64, Opnd::Pointer(crate::regs::RSP)),
        _ => (Code::Mov_r64_rm64, Opnd::Mem(Mem::Frame(8))),
    };
    select.x86(code, &[Opnd::Def(to), from]);
    Ok(true)
}
