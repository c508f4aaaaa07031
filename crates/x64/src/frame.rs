//! The stack frame: its layout, prologue and epilogue, as Cranelift's x64 ABI has them.
//!
//! From high to low: stack arguments, return address, the caller's frame pointer (to which `rbp`
//! points), saved registers, spill slots, stack slots, arguments of calls (to which `rsp` points).
//! Where vectors of 256 bits are spilled, `rsp` is aligned to their size, lest slots lie across cache
//! lines for one caller and not for another; what lies above the spill slots is found from `rbp`.

use crate::abi::{Abi, Place};
use crate::asm::{Addr, Arg, Assembler};
use crate::error::Unsupported;
use crate::regs::{self, CALLEE_SAVED, gpr64};
use crate::vcode::Cc;
use cranelift_codegen::ir::{ArgumentPurpose, Function, GlobalValue, GlobalValueData, TrapCode};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInst;
use cranelift_codegen::settings::ProbestackStrategy;
use iced_x86::{Code, Register};
use regalloc2::{PReg, PRegSet};

/// What the caller's stack is aligned to.
const STACK_ALIGN: u32 = 16;
/// Saved frame pointer and return address.
const SETUP_AREA: u32 = 16;
/// Frames from this size on check the limit before adding their size to it, lest it wraps.
const LARGE_FRAME: u32 = 32 * 1024;
/// The most probes that are unrolled.
const PROBES_UNROLLED: u32 = 4;
/// Frames beyond this are left to stock Cranelift.
const FRAME_LIMIT: u32 = 1 << 24;

/// The explicit stack slots: where each begins, and the bytes of all.
pub(crate) struct StackSlots {
    pub(crate) offsets: Vec<u32>,
    pub(crate) bytes: u32,
}

impl StackSlots {
    /// Lays out the stack slots of `func`.
    pub(crate) fn new(func: &Function) -> Result<StackSlots, Unsupported> {
        if !func.dynamic_stack_slots.is_empty() {
            return Err(Unsupported::new("stack slots", "a slot of dynamic size"));
        }
        let mut offsets = Vec::new();
        let mut end = 0u32;
        for (slot, data) in func.sized_stack_slots.iter() {
            let align = 8u32.max(1 << data.align_shift.min(31));
            let large = || Unsupported::new(format!("{slot}"), "so large a stack slot");
            let start = end.checked_next_multiple_of(align).ok_or_else(large)?;
            end =
                start.checked_add(data.size).filter(|end| *end < FRAME_LIMIT).ok_or_else(large)?;
            offsets.push(start);
        }
        Ok(StackSlots { offsets, bytes: end.next_multiple_of(8) })
    }
}

/// A frame with all sizes known.
pub(crate) struct Frame {
    /// Bytes at `rsp` for arguments and results of calls.
    pub(crate) outgoing: u32,
    stack_slots: u32,
    spill_bytes: u32,
    /// What the frame is aligned to: the bytes of the largest spill slot, if that is more than the
    /// caller's alignment.
    align: u32,
    saved: Vec<PReg>,
    calls: bool,
    unwind: bool,
    /// Bytes that a return pops.
    pops: u32,
    /// The loads that find the stack limit, from the register that the first one starts at.
    limit: Option<(PReg, Vec<i32>)>,
    /// Guard size in bytes, if frames are probed.
    guard: Option<u32>,
}

impl Frame {
    /// The frame of a function whose code is otherwise known.
    pub(crate) fn new(
        func: &Function,
        isa: &dyn TargetIsa,
        abi: &Abi,
        stack_slots: &StackSlots,
        body: Body,
    ) -> Result<Frame, Unsupported> {
        let flags = isa.flags();
        let guard = if flags.enable_probestack() {
            if flags.probestack_strategy() != ProbestackStrategy::Inline {
                return Err(Unsupported::new("target", "an outlined stack probe"));
            }
            Some(1 << flags.probestack_size_log2())
        } else {
            None
        };
        let limit = func.stack_limit.map(|value| stack_limit(func, abi, value)).transpose()?;
        let frame = Frame {
            outgoing: body.outgoing,
            stack_slots: stack_slots.bytes,
            spill_bytes: body.spill_slots.saturating_mul(8),
            align: if body.spill_slots > 0 { body.vector_bytes } else { STACK_ALIGN },
            saved: CALLEE_SAVED.into_iter().filter(|&reg| body.written.contains(reg)).collect(),
            calls: body.calls,
            unwind: flags.unwind_info(),
            pops: if abi.callee_pops { abi.arg_bytes } else { 0 },
            limit,
            guard,
        };
        if u64::from(frame.spill_bytes) + u64::from(frame.outgoing) > u64::from(FRAME_LIMIT) {
            return Err(Unsupported::new("stack frame", "so large a frame"));
        }
        Ok(frame)
    }

    fn saved_bytes(&self) -> u32 {
        (self.saved.len() as u32 * 8).next_multiple_of(16)
    }

    /// Offset from `rsp` of the first spill slot.
    fn spills(&self) -> u32 {
        let align = if self.align > STACK_ALIGN { self.align } else { 8 };
        (self.outgoing + self.stack_slots).next_multiple_of(align)
    }

    /// What aligning may take.
    fn slack(&self) -> u32 {
        self.align - STACK_ALIGN
    }

    /// From `rsp` to `rbp`, at most.
    pub(crate) fn size(&self) -> u32 {
        let fixed = (self.spills() + self.spill_bytes).next_multiple_of(STACK_ALIGN);
        fixed + self.saved_bytes() + self.slack()
    }

    /// Offset from `rsp` of a byte of the stack slots.
    pub(crate) fn stack_slot(&self, offset: i32) -> i32 {
        self.outgoing as i32 + offset
    }

    /// Offset from `rsp` of a spill slot.
    pub(crate) fn spill_slot(&self, slot: usize) -> i32 {
        self.spills() as i32 + slot as i32 * 8
    }

    /// Offset from `rbp` of the first stack argument.
    pub(crate) fn incoming_args() -> i32 {
        SETUP_AREA as i32
    }

    /// Emits the prologue.
    pub(crate) fn prologue(&self, asm: &mut Assembler) {
        let (rsp, rbp) = (Arg::Reg(Register::RSP), Arg::Reg(Register::RBP));
        asm.set_tile("prologue");
        asm.put(Code::Push_r64, &[rbp]);
        if self.unwind {
            let offset_upward_to_caller_sp = SETUP_AREA;
            asm.buffer.add_unwind(UnwindInst::PushFrameRegs { offset_upward_to_caller_sp });
        }
        asm.put(Code::Mov_r64_rm64, &[rbp, rsp]);

        let size = self.size();
        let checked = size + if self.calls { SETUP_AREA } else { 0 };
        if checked > 0 {
            if let Some((base, offsets)) = &self.limit {
                check_stack(asm, *base, offsets, checked);
            }
            if let Some(guard) = self.guard {
                probe_stack(asm, checked, guard);
            }
        }

        if self.unwind {
            asm.buffer.add_unwind(UnwindInst::DefineNewFrame {
                offset_upward_to_caller_sp: SETUP_AREA,
                offset_downward_to_clobbers: self.saved_bytes(),
            });
        }
        adjust(asm, true, size - self.slack());
        if self.align > STACK_ALIGN {
            asm.put(Code::And_rm64_imm8, &[rsp, Arg::Imm(-i64::from(self.align))]);
        }
        for (at, &reg) in self.saved.iter().enumerate() {
            asm.put(Code::Mov_rm64_r64, &[self.saved_slot(at), Arg::Reg(gpr64(reg))]);
            if self.unwind {
                let clobber_offset = at as u32 * 8;
                let reg = regs::real(reg);
                asm.buffer.add_unwind(UnwindInst::SaveReg { clobber_offset, reg });
            }
        }
    }

    /// Emits what undoes the prologue, up to the return address.
    pub(crate) fn restore(&self, asm: &mut Assembler) {
        asm.set_tile("epilogue");
        for (at, &reg) in self.saved.iter().enumerate() {
            asm.put(Code::Mov_r64_rm64, &[Arg::Reg(gpr64(reg)), self.saved_slot(at)]);
        }
        asm.put(Code::Mov_r64_rm64, &[Arg::Reg(Register::RSP), Arg::Reg(Register::RBP)]);
        asm.put(Code::Pop_r64, &[Arg::Reg(Register::RBP)]);
    }

    /// Emits the epilogue and the return.
    pub(crate) fn epilogue(&self, asm: &mut Assembler) {
        self.restore(asm);
        if self.pops == 0 {
            asm.put(Code::Retnq, &[]);
        } else {
            asm.put(Code::Retnq_imm16, &[Arg::Imm(i64::from(self.pops))]);
        }
    }

    fn saved_slot(&self, at: usize) -> Arg {
        let offset = at as i32 * 8 - self.saved_bytes() as i32;
        Arg::Mem(Addr::base(Register::RBP, offset))
    }
}

/// What the code of a function needs of its frame.
pub(crate) struct Body {
    pub(crate) outgoing: u32,
    pub(crate) spill_slots: u32,
    /// Bytes of the widest vector registers in use.
    pub(crate) vector_bytes: u32,
    pub(crate) written: PRegSet,
    pub(crate) calls: bool,
}

/// The register and the offsets of the loads that find the stack limit.
fn stack_limit(
    func: &Function,
    abi: &Abi,
    value: GlobalValue,
) -> Result<(PReg, Vec<i32>), Unsupported> {
    let mut offsets = Vec::new();
    let mut value = value;
    loop {
        match func.global_values[value] {
            GlobalValueData::VMContext => {
                let place = func
                    .signature
                    .special_param_index(ArgumentPurpose::VMContext)
                    .map(|index| abi.args[index].place);
                let Some(Place::Reg(reg)) = place else {
                    return Err(Unsupported::new("stack limit", "a context outside registers"));
                };
                offsets.reverse();
                return Ok((reg, offsets));
            }
            GlobalValueData::Load { base, offset, .. } if offsets.len() < 8 => {
                offsets.push(offset.into());
                value = base;
            }
            _ => return Err(Unsupported::new("stack limit", "such a global value")),
        }
    }
}

/// Traps if `size` bytes below `rsp` are beyond the limit.
fn check_stack(asm: &mut Assembler, base: PReg, offsets: &[i32], size: u32) {
    let scratch = Register::R10;
    let mut limit = gpr64(base);
    for &offset in offsets {
        let from = Arg::Mem(Addr::base(limit, offset));
        asm.put(Code::Mov_r64_rm64, &[Arg::Reg(scratch), from]);
        limit = scratch;
    }
    let trap_if_below = |asm: &mut Assembler, limit| {
        asm.put(Code::Cmp_rm64_r64, &[Arg::Reg(limit), Arg::Reg(Register::RSP)]);
        let label = asm.buffer.defer_trap(TrapCode::STACK_OVERFLOW);
        asm.jcc(Cc::A, label);
    };
    if size >= LARGE_FRAME {
        trap_if_below(asm, limit);
    }
    let sum = Arg::Mem(Addr::base(limit, size as i32));
    asm.put(Code::Lea_r64_m, &[Arg::Reg(scratch), sum]);
    trap_if_below(asm, scratch);
}

/// Touches every page of a large frame.
fn probe_stack(asm: &mut Assembler, size: u32, guard: u32) {
    let touch = |asm: &mut Assembler| {
        let top = Arg::Mem(Addr::base(Register::RSP, 0));
        asm.put(Code::Mov_rm32_imm32, &[top, Arg::Imm(0)]);
    };
    let probes = size / guard;
    if probes <= PROBES_UNROLLED {
        for _ in 0..probes {
            adjust(asm, true, guard);
            touch(asm);
        }
        adjust(asm, false, guard * probes);
        return;
    }
    let bytes = size.next_multiple_of(guard);
    let scratch = Arg::Reg(Register::R11);
    let below = Arg::Mem(Addr::base(Register::RSP, -(bytes as i32)));
    asm.put(Code::Lea_r64_m, &[scratch, below]);
    let start = asm.buffer.get_label();
    asm.bind(start);
    adjust(asm, true, guard);
    touch(asm);
    asm.put(Code::Cmp_rm64_r64, &[Arg::Reg(Register::RSP), scratch]);
    asm.jcc(Cc::Ne, start);
    adjust(asm, false, bytes);
}

/// Moves `rsp` down or up.
pub(crate) fn adjust(asm: &mut Assembler, down: bool, bytes: u32) {
    let code = match (down, bytes < 128) {
        _ if bytes == 0 => return,
        (true, true) => Code::Sub_rm64_imm8,
        (true, false) => Code::Sub_rm64_imm32,
        (false, true) => Code::Add_rm64_imm8,
        (false, false) => Code::Add_rm64_imm32,
    };
    asm.put(code, &[Arg::Reg(Register::RSP), Arg::Imm(i64::from(bytes))]);
}
