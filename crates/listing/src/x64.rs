//! x86-64: instructions as iced-x86 decodes and writes them.

use crate::walk::{Flow, Step};
use crate::{ListedInst, Reader, Width};
use iced_x86::{
    Code as Opcode, Decoder, DecoderOptions, FlowControl, Formatter, GasFormatter, Instruction,
    InstructionInfoFactory, IntelFormatter, OpAccess, OpKind, Register,
};
use std::ops::Range;

/// The code of one function, and what makes texts of its instructions.
pub(crate) struct Code<'a> {
    bytes: &'a [u8],
    /// The instruction read last.
    last: Option<Instruction>,
    intel: IntelFormatter,
    gas: GasFormatter,
    info: InstructionInfoFactory,
}

impl Code<'_> {
    pub(crate) fn new(bytes: &[u8]) -> Code<'_> {
        let (mut intel, mut gas) = (IntelFormatter::new(), GasFormatter::new());
        for options in [intel.options_mut(), gas.options_mut()] {
            options.set_hex_prefix("0x");
            options.set_hex_suffix("");
            options.set_uppercase_hex(false);
            options.set_branch_leading_zeros(false);
            options.set_show_branch_size(false);
            options.set_rip_relative_addresses(true);
            options.set_gas_show_mnemonic_size_suffix(true);
        }
        Code { bytes, last: None, intel, gas, info: InstructionInfoFactory::new() }
    }

    fn decoded(&self, offset: u32) -> Option<Instruction> {
        let bytes = self.bytes.get(offset as usize..).filter(|bytes| !bytes.is_empty())?;
        let inst = Decoder::with_ip(64, bytes, offset.into(), DecoderOptions::NONE).decode();
        (!inst.is_invalid()).then_some(inst)
    }
}

impl Reader for Code<'_> {
    fn step(&mut self, offset: u32, is_named: &dyn Fn(Range<u32>) -> bool) -> Option<Step> {
        let inst = self.decoded(offset)?;
        let before = self.last.replace(inst).filter(|last| last.next_ip() == u64::from(offset));
        let next = inst.next_ip() as u32;
        let target = inst.near_branch_target() as u32;
        // A branch to another function leaves this one.
        let stays = !is_named(offset..next);
        let flow = match inst.flow_control() {
            FlowControl::ConditionalBranch if stays => Flow::Branch(target),
            FlowControl::UnconditionalBranch if stays => Flow::Jump(target),
            FlowControl::IndirectBranch => {
                // What was not just computed from a table is another function.
                let computed = |before: Instruction| {
                    matches!(before.code(), Opcode::Add_r64_rm64 | Opcode::Add_rm64_r64)
                        && before.op0_register() == inst.op0_register()
                };
                if before.is_some_and(computed) { Flow::Table } else { Flow::Leaves }
            }
            FlowControl::UnconditionalBranch
            | FlowControl::Return
            | FlowControl::Exception
            | FlowControl::Interrupt => Flow::Leaves,
            _ => Flow::Next,
        };
        Some(Step { next, flow })
    }

    fn written(&mut self, offset: u32) -> Option<(ListedInst, String)> {
        let inst = self.decoded(offset)?;
        let (mut text, mut att) = (String::new(), String::new());
        self.intel.format(&inst, &mut text);
        self.gas.format(&inst, &mut att);
        let (mut loads, mut stores, mut stack) = (false, false, false);
        for memory in self.info.info(&inst).used_memory() {
            use OpAccess as A;
            let access = memory.access();
            loads |= matches!(access, A::Read | A::CondRead | A::ReadWrite | A::ReadCondWrite);
            stores |= matches!(access, A::Write | A::CondWrite | A::ReadWrite | A::ReadCondWrite);
            stack |=
                access != A::NoMemAccess && matches!(memory.base(), Register::RSP | Register::RBP);
        }
        let listed = ListedInst {
            width: width(&inst, &text),
            loads,
            stores,
            stack,
            ..ListedInst::new(offset, inst.len() as u32, text)
        };
        Some((listed, att))
    }

    fn is_jump_or_call(&mut self, offset: u32) -> bool {
        self.decoded(offset).is_some_and(|inst| inst.is_call_near() || inst.is_jmp_near())
    }
}

fn width(inst: &Instruction, text: &str) -> Width {
    let registers = (0..inst.op_count())
        .filter(|at| inst.op_kind(*at) == OpKind::Register)
        .map(|at| inst.op_register(at));
    let widest = registers.map(|register| match register {
        _ if register.is_zmm() => Width::Bits512,
        _ if register.is_ymm() => Width::Bits256,
        _ if register.is_xmm() => Width::Bits128,
        _ => Width::Scalar,
    });
    match widest.max() {
        Some(Width::Bits128) if is_single(text) => Width::Scalar,
        widest => widest.unwrap_or(Width::Scalar),
    }
}

/// Whether an instruction works on one float. `pabsd` and its like end as those do.
fn is_single(text: &str) -> bool {
    let mnemonic = text.split(' ').next().unwrap_or_default();
    let mnemonic = mnemonic.strip_prefix('v').unwrap_or(mnemonic);
    let ends = |end: &str| mnemonic.ends_with(end) || mnemonic.contains(&format!("{end}2"));
    !mnemonic.starts_with('p') && !mnemonic.starts_with("broadcast") && (ends("ss") || ends("sd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loops;
    use crate::walk::{Walked, walk};
    use std::collections::BTreeMap;

    fn walked(code: &[u8]) -> Walked {
        walk(code, &mut Code::new(code), &BTreeMap::new())
    }

    #[test]
    fn loops_are_found_with_what_is_in_them() {
        // xor eax, eax; 2: inc eax; 4: dec ecx; jne 4; dec edx; jne 2; ret; data
        let walked = walked(b"\x31\xc0\xff\xc0\xff\xc9\x75\xfc\xff\xca\x75\xf6\xc3\xff\xff\xff");
        assert_eq!(walked.steps.len(), 7);
        let loops = loops::find(&walked);
        let shapes: Vec<_> = loops
            .iter()
            .map(|found| (found.insts.clone(), found.depth, found.innermost, found.latch))
            .collect();
        assert_eq!(shapes, [(vec![1, 2, 3, 4, 5], 1, false, 5), (vec![2, 3], 2, true, 3)]);
    }

    #[test]
    fn tables_are_data_and_what_they_lead_to_is_code() {
        // add rax, rcx; jmp rax; two entries; ret; ret
        let code = b"\x48\x01\xc8\xff\xe0\x08\0\0\0\x09\0\0\0\xc3\xc3";
        let found = walked(code);
        assert_eq!(found.steps.keys().copied().collect::<Vec<_>>(), [0, 3, 13, 14]);
        assert_eq!(found.successors(3), [13, 14]);
        // Without the sum the jump leaves the function.
        assert_eq!(walked(&code[3..]).steps.len(), 1);
    }

    #[test]
    fn widths_and_accesses_are_told_apart() {
        let listed = |bytes: &[u8]| {
            let (inst, _) = Code::new(bytes).written(0).unwrap();
            (inst.text, inst.width, inst.loads, inst.stores, inst.stack)
        };
        let paddw = ("vpaddw ymm0,ymm1,[rax]".to_owned(), Width::Bits256, true, false, false);
        assert_eq!(listed(b"\xc5\xf5\xfd\x00"), paddw);
        let addss = ("addss xmm0,xmm1".to_owned(), Width::Scalar, false, false, false);
        assert_eq!(listed(b"\xf3\x0f\x58\xc1"), addss);
        let pabsd = ("pabsd xmm0,xmm1".to_owned(), Width::Bits128, false, false, false);
        assert_eq!(listed(b"\x66\x0f\x38\x1e\xc1"), pabsd);
        let spill = ("mov [rsp],rax".to_owned(), Width::Scalar, false, true, true);
        assert_eq!(listed(b"\x48\x89\x04\x24"), spill);
    }
}
