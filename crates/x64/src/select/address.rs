//! Addresses: `base + index * scale + disp`, and loads as operands of other instructions.

use super::{MemRef, Select, Source};
use crate::error::Unsupported;
use crate::vcode::Mem;
use cranelift_codegen::ir::{
    Inst as ClifInst, InstructionData, MemFlagsData, Opcode, Type, Value, types,
};

/// Instructions of CLIF within which a value counts as young.
const YOUNG: u32 = 40;
/// How many additions an address may take in.
const MAX_TERMS: usize = 6;

impl Select<'_> {
    /// The flags of a load or store; `None` for other instructions.
    pub(super) fn load_flags(&self, inst: ClifInst) -> Option<MemFlagsData> {
        let dfg = &self.func.dfg;
        match dfg.insts[inst] {
            InstructionData::Load { flags, .. } | InstructionData::Store { flags, .. } => {
                Some(dfg.mem_flags[flags])
            }
            _ => None,
        }
    }

    /// The memory at `address + offset`, as `inst` accesses it.
    pub(super) fn memory(
        &mut self,
        inst: ClifInst,
        address: Value,
        offset: i32,
    ) -> Result<MemRef, Unsupported> {
        let trap = self.load_flags(inst).and_then(MemFlagsData::trap_code);
        let mem = self.address(address, offset)?;
        let access = self.accesses[inst];
        Ok(MemRef { mem, trap, access, srcloc: self.func.stencil.srclocs[inst] })
    }

    /// The operand for `address + offset`, 64 bits.
    pub(super) fn address(&mut self, address: Value, offset: i32) -> Result<Mem, Unsupported> {
        if let Some(inst) = self.def_of(address, Opcode::StackAddr)
            && let InstructionData::StackAddr { stack_slot, offset: inner, .. } =
                self.func.dfg.insts[inst]
        {
            let start = self.stack_slots.offsets[stack_slot.as_u32() as usize] as i32;
            if let Some(sum) = start.checked_add(inner.into()).and_then(|n| n.checked_add(offset)) {
                return Ok(Mem::StackSlot(sum));
            }
        }
        let mut disp = offset;
        let mut terms = vec![address];
        // Takes sums apart: constants join the displacement, at most two other terms remain.
        for _ in 0..MAX_TERMS {
            let Some((at, parts)) = terms.iter().enumerate().find_map(|(at, &term)| {
                let args = self.match_op(term, Opcode::Iadd, types::I64)?;
                let fits = terms.len() < 2 || args.iter().any(|&arg| self.imm32(arg).is_some());
                fits.then_some((at, [args[0], args[1]]))
            }) else {
                break;
            };
            let immediate = parts.iter().position(|&part| self.imm32(part).is_some());
            match immediate {
                Some(which) => {
                    let bits = self.imm32(parts[which]).expect("an immediate");
                    let Some(sum) = disp.checked_add(bits) else { break };
                    disp = sum;
                    terms[at] = parts[1 - which];
                }
                None => {
                    terms[at] = parts[0];
                    terms.push(parts[1]);
                }
            }
        }
        let (base, index) = match terms[..] {
            [base] => (base, None),
            [one, other] => match (self.scaled(one), self.scaled(other)) {
                (_, Some((index, scale))) => (one, Some((index, scale))),
                (Some((index, scale)), None) => (other, Some((index, scale))),
                (None, None) => (one, Some((other, 1))),
            },
            _ => unreachable!("at most two terms"),
        };
        let base = self.reg(base)?;
        let index = match index {
            Some((index, scale)) => Some((self.reg(index)?, scale)),
            None => None,
        };
        Ok(Mem::Address { base, index, disp })
    }

    /// `value` as a smaller value times 2, 4 or 8.
    pub(super) fn scaled(&self, value: Value) -> Option<(Value, u8)> {
        let args = self.match_op(value, Opcode::Ishl, types::I64)?;
        match self.constant(args[1])? {
            count @ 1..=3 => Some((args[0], 1 << count)),
            _ => None,
        }
    }

    /// The load that makes `value`, if its bytes may be read by the root instead: it has no other
    /// user, directly or through tiles, and nothing ordered lies between.
    pub(super) fn sinkable(&self, value: Value, ty: Type) -> Option<ClifInst> {
        let value = self.canonical(value);
        let inst = self.def_of(value, Opcode::Load)?;
        if self.type_of(value).bytes() != ty.bytes() {
            return None;
        }
        self.unobserved(inst).then_some(inst)
    }

    /// Whether `inst`, a load, may be done by the root instead.
    pub(super) fn unobserved(&self, inst: ClifInst) -> bool {
        let layout = &self.func.layout;
        let value = self.func.dfg.first_result(inst);
        if self.regs[value].is_some()
            || self.uses[value] != 1
            || layout.inst_block(inst) != layout.inst_block(self.root)
        {
            return false;
        }
        let between = match self.accesses[inst] {
            // Of what is ordered, only stores matter to it.
            Some(_) => self.effects[inst] != self.reached,
            None => self.can_trap_in_order(inst) && self.effects[inst] + 1 != self.reached,
        };
        if between {
            return false;
        }
        // Every tile between must be folded into the root and nowhere else.
        let mut user = self.user[value];
        for _ in 0..4 {
            let Some(inst) = user else { return false };
            if inst == self.root {
                return true;
            }
            let results = self.func.dfg.inst_results(inst);
            let [result] = results else { return false };
            if self.uses[*result] != 1 || self.regs[*result].is_some() {
                return false;
            }
            user = self.user[*result];
        }
        false
    }

    /// Lets the load of exactly `bytes` that makes `value`, and has no other user, do the work of
    /// the root as `code`, at the load's own place. Its effects stay in order that way.
    pub(super) fn raise(
        &mut self,
        value: Value,
        bytes: u32,
        code: iced_x86::Code,
    ) -> Result<bool, Unsupported> {
        let value = self.canonical(value);
        let Some(inst) = self.def(value) else { return Ok(false) };
        if self.loaded_bytes(inst) != Some(bytes)
            || self.uses[value] != 1
            || self.regs[value].is_some()
            || self.sunk.contains(inst)
        {
            return Ok(false);
        }
        let to = self.result()?;
        self.raised.insert(inst, (code, to));
        Ok(true)
    }

    /// The bytes that a scalar or vector load reads.
    pub(super) fn loaded_bytes(&self, inst: ClifInst) -> Option<u32> {
        match self.func.dfg.insts[inst].opcode() {
            Opcode::Load => Some(self.type_of(self.func.dfg.first_result(inst)).bytes()),
            Opcode::Uload8 | Opcode::Sload8 => Some(1),
            Opcode::Uload16 | Opcode::Sload16 => Some(2),
            Opcode::Uload32 | Opcode::Sload32 => Some(4),
            _ => None,
        }
    }

    /// Makes a sinkable load part of the root.
    pub(super) fn sink(&mut self, inst: ClifInst) -> Result<MemRef, Unsupported> {
        let InstructionData::Load { arg, offset, .. } = self.func.dfg.insts[inst] else {
            return self.unsupported("sinking what is no load");
        };
        self.sunk.insert(inst);
        if self.can_trap_in_order(inst) {
            self.reached = self.effects[inst];
        }
        self.memory(inst, arg, offset.into())
    }

    /// `value` of `ty` as the last operand of an instruction.
    pub(super) fn source(&mut self, value: Value, ty: Type) -> Result<Source, Unsupported> {
        if let Some(inst) = self.sinkable(value, ty) {
            return Ok(Source::Mem(self.sink(inst)?));
        }
        self.source_unsunk(value)
    }

    /// As [`Self::source`], but never a load.
    pub(super) fn source_unsunk(&mut self, value: Value) -> Result<Source, Unsupported> {
        if let Some(inst) = self.def(value) {
            match self.func.dfg.insts[inst] {
                InstructionData::UnaryIeee32 { imm, .. } if imm.bits() != 0 => {
                    return Ok(self.pool_source(&imm.bits().to_le_bytes()));
                }
                InstructionData::UnaryIeee64 { imm, .. } if imm.bits() != 0 => {
                    return Ok(self.pool_source(&imm.bits().to_le_bytes()));
                }
                _ => {}
            }
            // A constant of this block alone is read where it is needed.
            let canonical = self.canonical(value);
            if self.uses[canonical] == 1
                && self.regs[canonical].is_none()
                && self.func.layout.inst_block(inst) == self.func.layout.inst_block(self.root)
                && let Some(data) = self.vector_constant(value)
                && data.iter().any(|&byte| byte != 0)
            {
                let bytes = data.as_slice().to_vec();
                return Ok(self.pool_source(&bytes));
            }
        }
        let reg = self.reg(value)?;
        Ok(if self.is_young(value) { Source::Young(reg) } else { Source::Reg(reg) })
    }

    /// Whether `value` is a vector made shortly before the root.
    fn is_young(&self, value: Value) -> bool {
        let layout = &self.func.layout;
        self.def(value).is_some_and(|inst| {
            layout.inst_block(inst) == layout.inst_block(self.root)
                && self.places[self.root].saturating_sub(self.places[inst]) <= YOUNG
                && !self.type_of(self.canonical(value)).is_int()
        })
    }

    /// A pool or memory source in a register.
    pub(super) fn source_reg(&mut self, source: Source) -> regalloc2::VReg {
        match source {
            Source::Reg(reg) | Source::Young(reg) => reg,
            Source::Mem(_) => self.unary(iced_x86::Code::VEX_Vmovups_xmm_xmmm128, source, None),
        }
    }
}
