//! From allocated code to bytes: fills in registers, places blocks, records traps, call sites and
//! source locations. Chooses no instructions, except to move values between registers and slots.

use crate::asm::{Addr, Arg, Assembler};
use crate::error::Unsupported;
use crate::frame::{Frame, adjust};
use crate::marks::{Marks, Version};
use crate::regalloc::{Allocated, Step};
use crate::regs::{gpr64, mask_register, part};
use crate::vcode::{BlockId, Call, Callee, Cc, Cond, Inst, Kind, Mem, Opnd, VCode, WASM_VECTOR};
use cranelift_codegen::ir::{ExternalName, RelSourceLoc};
use cranelift_codegen::isa::x64::Inst as CraneInst;
use cranelift_codegen::{MachBuffer, MachLabel, VCodeConstants};
use iced_x86::{Code, OpCodeOperandKind, Register};
use regalloc2::{Allocation, PReg, RegClass};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Emits `vcode`: once to see how long its innermost loops are, once with these laid out well.
///
/// Marks are made if `versions` are given: loops with a fast version.
///
/// # Errors
/// [`Unsupported`] if an instruction cannot be encoded.
pub(crate) fn emit(
    vcode: &VCode,
    allocated: &Allocated,
    frame: &Frame,
    constants: &VCodeConstants,
    versions: Option<Vec<Version>>,
) -> Result<(MachBuffer<CraneInst>, Option<Marks>), Unsupported> {
    let loops = innermost_loops(vcode);
    let new = |loops, marked: bool| {
        let mut asm = Assembler::new(marked);
        asm.buffer.reserve_labels_for_blocks(vcode.blocks.len());
        asm.buffer.register_constants(constants);
        asm.buffer.set_log2_min_function_alignment(CODE_LINE.ilog2() as u8);
        let starts = FxHashMap::default();
        Emitter { asm, vcode, allocated, frame, loops, starts, srcloc: None }
    };
    let mut lengths = FxHashMap::default();
    if !loops.is_empty() {
        let places = new(FxHashMap::default(), false).run()?.1;
        lengths.extend(loops.into_iter().map(|(header, last)| {
            let (start, end) = (places[header.index()].0, places[last].1);
            (header, end.saturating_sub(start))
        }));
    }
    let (buffer, mut marks) = new(lengths, versions.is_some()).run()?.0.finish()?;
    if let (Some(marks), Some(versions)) = (&mut marks, versions) {
        marks.versions = versions;
    }
    Ok((buffer, marks))
}

/// The function of three bits that is always one, in `vpternlog`.
const ALL_ONES: i64 = 0xff;

/// Allocations of one instruction's operands, taken in their order.
struct Allocs<'a>(std::slice::Iter<'a, Allocation>);

impl Allocs<'_> {
    fn next(&mut self) -> Allocation {
        *self.0.next().expect("an allocation for every operand")
    }

    fn reg(&mut self) -> PReg {
        self.next().as_reg().expect("an operand that must be in a register")
    }

    fn gpr(&mut self) -> Register {
        gpr64(self.reg())
    }
}

/// Bytes of code that the processor keeps together once decoded.
const CODE_LINE: u32 = 64;
/// Loops longer than this are left where they are.
const LONGEST_PLACED: u32 = 256;
/// Padding is executed each time that a loop is entered; more than this is not worth it.
const MOST_PADDING: u32 = 40;

/// The padding that lets a loop of `length` bytes at `start` touch as few code lines as it can.
fn padding(start: u32, length: u32) -> u32 {
    let lines = |start: u32| (start % CODE_LINE + length).div_ceil(CODE_LINE);
    let to_line = start.next_multiple_of(CODE_LINE) - start;
    let worth = length <= LONGEST_PLACED && to_line <= MOST_PADDING;
    if worth && lines(start) > lines(start + to_line) { to_line } else { 0 }
}

/// The headers of loops that hold no other loop, and the last block of each. Blocks are in reverse
/// postorder, so an edge backwards closes a loop.
fn innermost_loops(vcode: &VCode) -> Vec<(BlockId, usize)> {
    let mut ends = std::collections::BTreeMap::new();
    for (index, block) in vcode.blocks.iter().enumerate() {
        for edge in &block.succs {
            if edge.to.index() <= index {
                ends.insert(edge.to, index);
            }
        }
    }
    let headers: Vec<(BlockId, usize)> = ends.into_iter().collect();
    let innermost = headers
        .iter()
        .enumerate()
        .filter(|(at, (_, end))| headers.get(at + 1).is_none_or(|(next, _)| next.index() > *end));
    innermost.map(|(_, found)| *found).collect()
}

struct Emitter<'a> {
    asm: Assembler,
    /// Bytes of innermost loops, by their headers.
    loops: FxHashMap<BlockId, u32>,
    /// Where edges backwards go: behind the padding before a loop.
    starts: FxHashMap<BlockId, MachLabel>,
    vcode: &'a VCode,
    allocated: &'a Allocated,
    frame: &'a Frame,
    srcloc: Option<RelSourceLoc>,
}

fn label(block: BlockId) -> MachLabel {
    MachLabel::from_u32(block.0)
}

impl Emitter<'_> {
    /// Emits all blocks; returns where each starts and ends, about.
    fn run(mut self) -> Result<(Assembler, Vec<(u32, u32)>), Unsupported> {
        let vcode = self.vcode;
        let (cold, warm): (Vec<_>, Vec<_>) =
            (0..vcode.blocks.len()).partition(|&block| vcode.blocks[block].cold);
        let mut places = vec![(0, 0); vcode.blocks.len()];
        for block in warm.into_iter().chain(cold) {
            let start = self.asm.buffer.cur_offset();
            self.block(block)?;
            places[block] = (start, self.asm.buffer.cur_offset());
        }
        self.asm.buffer.optimize_branches(&mut Default::default());
        Ok((self.asm, places))
    }

    fn block(&mut self, index: usize) -> Result<(), Unsupported> {
        if index == 0 {
            self.asm.buffer.start_srcloc(RelSourceLoc::default());
            self.frame.prologue(&mut self.asm);
            self.asm.buffer.end_srcloc();
        }
        let id = BlockId(index as u32);
        self.asm.bind(label(id));
        if let Some(&length) = self.loops.get(&id) {
            let bytes = padding(self.asm.buffer.cur_offset(), length);
            if bytes > 0 {
                self.asm.pad(bytes);
                let start = self.asm.buffer.get_label();
                self.asm.bind(start);
                self.starts.insert(id, start);
            }
        }
        self.asm.mark_block(id);
        let (vcode, allocated) = (self.vcode, self.allocated);
        let block = &vcode.blocks[index];
        for step in allocated.steps(index) {
            match step {
                Step::Move { from, to } => self.move_value(from, to),
                Step::Inst(at, allocs) => {
                    let inst = &block.insts[at];
                    self.at(inst.srcloc);
                    self.asm.set_tile(inst.tile);
                    self.inst(inst, index, &mut Allocs(allocs.iter()))?;
                }
            }
        }
        if self.srcloc.take().is_some() {
            self.asm.buffer.end_srcloc();
        }
        Ok(())
    }

    /// Code from here on belongs to `srcloc`.
    fn at(&mut self, srcloc: RelSourceLoc) {
        if self.srcloc != Some(srcloc) {
            if self.srcloc.is_some() {
                self.asm.buffer.end_srcloc();
            }
            self.asm.buffer.start_srcloc(srcloc);
            self.srcloc = Some(srcloc);
        }
    }

    fn inst(
        &mut self,
        inst: &Inst,
        block: usize,
        allocs: &mut Allocs<'_>,
    ) -> Result<(), Unsupported> {
        match &inst.kind {
            Kind::X86 { code, ops, .. } => {
                let mut args: SmallVec<[Arg; 4]> = SmallVec::new();
                for (at, op) in ops.iter().enumerate() {
                    args.push(self.arg(*code, at, op, allocs)?);
                }
                if let Some(trap) = inst.trap {
                    self.asm.buffer.add_trap(trap);
                }
                self.asm.put(*code, &args);
            }
            Kind::Idiom { code, .. } => {
                let to = allocs.reg();
                let info = code.op_code();
                let arg = |at| match info.op_kind(at) {
                    OpCodeOperandKind::imm8 => Some(Arg::Imm(ALL_ONES)),
                    kind => part(to, kind).map(Arg::Reg),
                };
                let args: SmallVec<[Arg; 4]> = (0..info.op_count()).filter_map(arg).collect();
                self.asm.put(*code, &args);
            }
            Kind::Args(_) => {}
            Kind::Ret(_) => {
                self.clear_uppers();
                self.frame.epilogue(&mut self.asm);
            }
            Kind::Call(call) => {
                self.clear_uppers();
                self.call(call, allocs);
            }
            Kind::Jump => self.asm.jmp(self.target(block, 0)),
            Kind::Branch(cond) => self.branch(*cond, self.target(block, 0), self.target(block, 1)),
            Kind::JumpTable { .. } => self.jump_table(block, allocs),
            Kind::TrapIf(cond, code) => match *cond {
                Cond::One(cc) => {
                    let label = self.asm.buffer.defer_trap(*code);
                    self.asm.jcc(cc, label);
                }
                Cond::Or(one, other) => {
                    let label = self.asm.buffer.defer_trap(*code);
                    self.asm.jcc(one, label);
                    self.asm.jcc(other, label);
                }
                Cond::And(one, other) => {
                    let skip = self.asm.buffer.get_label();
                    self.asm.jcc(one.invert(), skip);
                    let label = self.asm.buffer.defer_trap(*code);
                    self.asm.jcc(other, label);
                    self.asm.bind(skip);
                }
            },
            Kind::Trap(code) => self.asm.trap(*code),
            Kind::SelectVector { cond, .. } => {
                let (yes, _, to) = (allocs.reg(), allocs.reg(), allocs.reg());
                if yes != to {
                    let skip = self.asm.buffer.get_label();
                    self.asm.jcc(cond.invert(), skip);
                    self.move_value(Allocation::reg(yes), Allocation::reg(to));
                    self.asm.bind(skip);
                }
            }
            Kind::Move { .. } => {
                let (from, to) = (allocs.next(), allocs.next());
                self.move_value(from, to);
            }
        }
        Ok(())
    }

    fn target(&self, block: usize, succ: usize) -> MachLabel {
        let to = self.vcode.blocks[block].succs[succ].to;
        match self.starts.get(&to) {
            Some(&start) if to.index() <= block => start,
            _ => label(to),
        }
    }

    fn arg(
        &mut self,
        code: Code,
        at: usize,
        op: &Opnd,
        allocs: &mut Allocs<'_>,
    ) -> Result<Arg, Unsupported> {
        let register = |reg: PReg| {
            part(reg, code.op_code().op_kind(at as u32)).map(Arg::Reg).ok_or_else(|| {
                Unsupported::new(format!("encoding {code:?}"), format!("{reg} as operand {at}"))
            })
        };
        match *op {
            Opnd::Use(_) | Opnd::UseReg(_) | Opnd::UseFixed(..) => {
                let allocation = allocs.next();
                match allocation.as_stack() {
                    Some(slot) => Ok(Arg::Mem(self.spill_slot(slot.index()))),
                    None => register(allocation.as_reg().expect("a register or a slot")),
                }
            }
            Opnd::Def(_) | Opnd::DefFixed(..) => register(allocs.reg()),
            Opnd::Mod { .. } => {
                allocs.next();
                register(allocs.reg())
            }
            Opnd::Pointer(reg) => register(reg),
            Opnd::Mask(_) => Ok(Arg::Mask(mask_register(allocs.reg()))),
            Opnd::Imm(value) => Ok(Arg::Imm(value)),
            Opnd::Mem(mem) => Ok(Arg::Mem(self.address(mem, allocs))),
        }
    }

    fn address(&mut self, mem: Mem, allocs: &mut Allocs<'_>) -> Addr {
        match mem {
            Mem::Address { index, disp, .. } => {
                let base = allocs.gpr();
                let (index, scale) = match index {
                    Some((_, scale)) => (allocs.gpr(), scale),
                    None => (Register::None, 1),
                };
                Addr::Reg { base, index, scale, disp }
            }
            Mem::Constant(constant) => Addr::Label(self.asm.constant(constant)),
            Mem::StackSlot(offset) => Addr::base(Register::RSP, self.frame.stack_slot(offset)),
            Mem::IncomingArg(offset) => Addr::base(Register::RBP, Frame::incoming_args() + offset),
            Mem::OutgoingArg(offset) => Addr::base(Register::RSP, offset),
            Mem::Frame(offset) => Addr::base(Register::RBP, offset),
        }
    }

    fn spill_slot(&self, slot: usize) -> Addr {
        Addr::base(Register::RSP, self.frame.spill_slot(slot))
    }

    fn move_value(&mut self, from: Allocation, to: Allocation) {
        if from == to {
            return;
        }
        let reg = from.as_reg().or(to.as_reg()).expect("regalloc2 makes no moves between slots");
        let [between, load, store] = match (reg.class(), self.vcode.vector_bytes) {
            (RegClass::Int, _) => [Code::Mov_r64_rm64, Code::Mov_r64_rm64, Code::Mov_rm64_r64],
            (RegClass::Vector, _) => {
                [Code::VEX_Kmovq_kr_km64, Code::VEX_Kmovq_kr_km64, Code::VEX_Kmovq_m64_kr]
            }
            (RegClass::Float, 64) => [
                Code::EVEX_Vmovaps_zmm_k1z_zmmm512,
                Code::EVEX_Vmovups_zmm_k1z_zmmm512,
                Code::EVEX_Vmovups_zmmm512_k1z_zmm,
            ],
            (RegClass::Float, 32) => [
                Code::VEX_Vmovaps_ymm_ymmm256,
                Code::VEX_Vmovups_ymm_ymmm256,
                Code::VEX_Vmovups_ymmm256_ymm,
            ],
            (RegClass::Float, _) => [
                Code::VEX_Vmovaps_xmm_xmmm128,
                Code::VEX_Vmovups_xmm_xmmm128,
                Code::VEX_Vmovups_xmmm128_xmm,
            ],
        };
        let code = match (from.as_reg(), to.as_reg()) {
            (Some(_), Some(_)) => between,
            (None, _) => load,
            (Some(_), None) => store,
        };
        let arg = |at: u32, allocation: Allocation| match allocation.as_reg() {
            Some(reg) => Arg::Reg(part(reg, code.op_code().op_kind(at)).expect("of its class")),
            None => {
                let slot = allocation.as_stack().expect("a register or a slot");
                Arg::Mem(self.spill_slot(slot.index()))
            }
        };
        let args = [arg(0, to), arg(1, from)];
        self.asm.set_tile("move");
        self.asm.put(code, &args);
    }

    /// Other code may mix in instructions without VEX, which are slow while upper halves are in use.
    fn clear_uppers(&mut self) {
        if self.vcode.vector_bytes > WASM_VECTOR {
            self.asm.put(Code::VEX_Vzeroupper, &[]);
        }
    }

    fn call(&mut self, call: &Call, allocs: &mut Allocs<'_>) {
        if call.tail {
            self.frame.restore(&mut self.asm);
        }
        match call.callee {
            Callee::Named(name) => self.asm.call(&ExternalName::User(name), call.tail),
            Callee::Address(_) => {
                let allocation = allocs.next();
                let callee = match allocation.as_stack() {
                    Some(slot) => Arg::Mem(self.spill_slot(slot.index())),
                    None => Arg::Reg(gpr64(allocation.as_reg().expect("a register or a slot"))),
                };
                let code = if call.tail { Code::Jmp_rm64 } else { Code::Call_rm64 };
                self.asm.put(code, &[callee]);
            }
        }
        self.asm.buffer.add_call_site();
        if !call.tail {
            adjust(&mut self.asm, true, call.callee_pops);
        }
    }

    fn branch(&mut self, cond: Cond, yes: MachLabel, no: MachLabel) {
        match cond {
            Cond::One(cc) => {
                self.asm.jcc_block(cc, yes);
                self.asm.jmp(no);
            }
            Cond::Or(one, other) => {
                self.asm.jcc_block(one, yes);
                self.asm.jcc_block(other, yes);
                self.asm.jmp(no);
            }
            Cond::And(..) => self.branch(cond.invert(), no, yes),
        }
    }

    /// The index is clamped without a branch, so that no speculation reads beyond the table.
    fn jump_table(&mut self, block: usize, allocs: &mut Allocs<'_>) {
        let succs = &self.vcode.blocks[block].succs;
        let (index, clamped, table) = (allocs.reg(), allocs.reg(), allocs.reg());
        let r32 = |reg: PReg| Arg::Reg(Register::EAX + reg.hw_enc() as u32);
        let r64 = |reg: PReg| Arg::Reg(gpr64(reg));
        let last = succs.len() as i64 - 1;
        self.asm.put(Code::Mov_r32_imm32, &[r32(clamped), Arg::Imm(last)]);
        self.asm.put(Code::Cmp_r32_rm32, &[r32(index), r32(clamped)]);
        let below = crate::asm::CMOVCC32[Cc::B.bits() as usize];
        self.asm.put(below, &[r32(clamped), r32(index)]);
        let start = self.asm.buffer.get_label();
        self.asm.put(Code::Lea_r64_m, &[r64(table), Arg::Mem(Addr::Label(start))]);
        let entry = Addr::Reg { base: gpr64(table), index: gpr64(clamped), scale: 4, disp: 0 };
        self.asm.put(Code::Movsxd_r64_rm32, &[r64(clamped), Arg::Mem(entry)]);
        self.asm.put(Code::Add_r64_rm64, &[r64(table), r64(clamped)]);
        self.asm.put(Code::Jmp_rm64, &[r64(table)]);
        self.asm.bind(start);
        let start = self.asm.buffer.cur_offset();
        for edge in succs {
            let at = self.asm.buffer.cur_offset();
            // Entries count from the start of the table, the label use from itself.
            self.asm.buffer.put4(at - start);
            let kind = crate::asm::LabelUse::PCRel32;
            self.asm.buffer.use_label_at_offset(at, label(edge.to), kind);
        }
    }
}

/// Bytes of outgoing arguments, rounded as the stack is aligned.
pub(crate) fn body(vcode: &VCode, allocated: &Allocated) -> crate::frame::Body {
    crate::frame::Body {
        outgoing: vcode.outgoing_args.next_multiple_of(16),
        spill_slots: allocated.spill_slots,
        vector_bytes: vcode.vector_bytes,
        written: allocated.written,
        calls: vcode.calls,
    }
}
