//! Calls.

use super::{Done, Fits, Root, Select};
use crate::abi::{Abi, Place};
use crate::regs::call_clobbers;
use crate::vcode::{Call, Callee, Kind, Mem, Opnd};
use cranelift_codegen::ir::{ArgumentExtension, ExternalName, InstructionData, Type, Value, types};
use iced_x86::Code;
use regalloc2::VReg;
use smallvec::SmallVec;

/// `call` of a function of the same module.
pub(super) fn direct(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::Call { func_ref, .. } = root.data else { return Ok(false) };
    let callee = &select.func.dfg.ext_funcs[func_ref];
    let ExternalName::User(name) = callee.name else {
        return select.unsupported("a callee that is not of the module");
    };
    if !callee.colocated {
        return select.unsupported("a callee that may be far away");
    }
    if callee.patchable {
        return select.unsupported("a patchable call");
    }
    let signature = callee.signature;
    select.call(signature, Callee::Named(name), &root.args)?;
    Ok(true)
}

/// `call_indirect`.
pub(super) fn indirect(select: &mut Select<'_>, root: &Root) -> Fits {
    let InstructionData::CallIndirect { sig_ref, .. } = root.data else { return Ok(false) };
    let address = select.reg(root.args[0])?;
    select.call(sig_ref, Callee::Address(address), &root.args[1..])?;
    Ok(true)
}

impl Select<'_> {
    fn call(
        &mut self,
        signature: cranelift_codegen::ir::SigRef,
        callee: Callee,
        args: &[Value],
    ) -> Done {
        if self.func.dfg.user_stack_map_entries(self.root).is_some() {
            return self.unsupported("a stack map");
        }
        let abi = Abi::new(&self.func.dfg.signatures[signature])?;
        let mut uses: SmallVec<[(VReg, regalloc2::PReg); 8]> = SmallVec::new();
        for (slot, &arg) in abi.args.iter().zip(args) {
            let reg = self.extended(arg, slot.extension)?;
            match slot.place {
                Place::Reg(preg) => uses.push((reg, preg)),
                Place::Stack(offset) => self.store_slot(reg, slot.ty, Mem::OutgoingArg(offset))?,
            }
        }
        if let Some(Place::Reg(preg)) = abi.ret_area {
            let area = self.gpr();
            let at = Mem::OutgoingArg(abi.arg_bytes as i32);
            self.x86(Code::Lea_r64_m, &[Opnd::Def(area), Opnd::Mem(at)]);
            uses.push((area, preg));
        }
        let mut defs = SmallVec::new();
        let mut clobbers = call_clobbers();
        let mut loads: SmallVec<[(Type, VReg, i32); 4]> = SmallVec::new();
        let results = self.func.dfg.inst_results(self.root);
        for (slot, &result) in abi.rets.iter().zip(results) {
            match slot.place {
                Place::Reg(preg) => {
                    defs.push((self.value_reg(result)?, preg));
                    clobbers.remove(preg);
                }
                Place::Stack(offset) => {
                    if self.regs[result].is_some() {
                        let reg = self.value_reg(result)?;
                        loads.push((slot.ty, reg, abi.arg_bytes as i32 + offset));
                    }
                }
            }
        }
        self.vcode.calls = true;
        self.vcode.outgoing_args = self.vcode.outgoing_args.max(abi.arg_bytes + abi.ret_bytes);
        let callee_pops = if abi.callee_pops { abi.arg_bytes } else { 0 };
        let tail = false;
        self.push(Kind::Call(Box::new(Call { callee, uses, defs, clobbers, callee_pops, tail })));
        for (ty, reg, offset) in loads {
            self.load_slot(reg, ty, Mem::OutgoingArg(offset))?;
        }
        Ok(())
    }

    /// `return_call` and `return_call_indirect`, where the callee's stack arguments fill this
    /// function's own exactly.
    pub(super) fn tail_call(&mut self) -> Done {
        let dfg = &self.func.dfg;
        let args = dfg.inst_args(self.root);
        let (signature, callee, args) = match dfg.insts[self.root] {
            InstructionData::Call { func_ref, .. } => {
                let callee = &dfg.ext_funcs[func_ref];
                let ExternalName::User(name) = callee.name else {
                    return self.unsupported("a callee that is not of the module");
                };
                if !callee.colocated || callee.patchable {
                    return self.unsupported("a callee that may be far away");
                }
                (callee.signature, Callee::Named(name), args)
            }
            InstructionData::CallIndirect { sig_ref, .. } => {
                let address = self.reg(args[0])?;
                (sig_ref, Callee::Address(address), &args[1..])
            }
            _ => return self.unsupported("such a tail call"),
        };
        let abi = Abi::new(&dfg.signatures[signature])?;
        if !abi.callee_pops || !self.abi.callee_pops || abi.arg_bytes != self.abi.arg_bytes {
            return self.unsupported("a tail call with another size of stack arguments");
        }
        let mut uses: SmallVec<[(VReg, regalloc2::PReg); 8]> = SmallVec::new();
        let mut stores = Vec::new();
        for (slot, &arg) in abi.args.iter().zip(args) {
            let reg = self.extended(arg, slot.extension)?;
            match slot.place {
                Place::Reg(preg) => uses.push((reg, preg)),
                Place::Stack(offset) => stores.push((reg, slot.ty, Mem::IncomingArg(offset))),
            }
        }
        for (reg, ty, mem) in stores {
            self.store_slot(reg, ty, mem)?;
        }
        if let (Some(Place::Reg(preg)), Some(area)) = (abi.ret_area, self.ret_area) {
            uses.push((area, preg));
        }
        self.vcode.calls = true;
        let (defs, clobbers) = (SmallVec::new(), regalloc2::PRegSet::empty());
        let call = Call { callee, uses, defs, clobbers, callee_pops: 0, tail: true };
        self.push(Kind::Call(Box::new(call)));
        Ok(())
    }

    /// `value` as an argument or result, extended if its slot asks for that.
    pub(super) fn extended(
        &mut self,
        value: Value,
        extension: ArgumentExtension,
    ) -> Result<VReg, crate::error::Unsupported> {
        let from = self.reg(value)?;
        let code = match (extension, self.type_of(value)) {
            (ArgumentExtension::None, _) | (_, types::I64) => return Ok(from),
            (ArgumentExtension::Uext, types::I8) => Code::Movzx_r32_rm8,
            (ArgumentExtension::Uext, types::I16) => Code::Movzx_r32_rm16,
            (ArgumentExtension::Uext, types::I32) => Code::Mov_r32_rm32,
            (ArgumentExtension::Sext, types::I8) => Code::Movsx_r64_rm8,
            (ArgumentExtension::Sext, types::I16) => Code::Movsx_r64_rm16,
            (ArgumentExtension::Sext, types::I32) => Code::Movsxd_r64_rm32,
            (_, ty) => return self.unsupported(format!("the extension of {ty}")),
        };
        let to = self.gpr();
        self.x86(code, &[Opnd::Def(to), Opnd::Use(from)]);
        Ok(to)
    }
}
