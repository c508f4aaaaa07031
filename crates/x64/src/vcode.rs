//! Machine code on virtual registers, in SSA form: what selection makes and regalloc2 reads.
//!
//! An instruction is an iced `Code` with operands, or one of a few pseudo-instructions (calls,
//! branches, traps, selects of vectors). Operand widths are not stated: they follow from `Code`.
//! Nothing here chooses instructions or knows encodings.
//!
//! Invariant: every virtual register has one definition, and the operand list that
//! [`Inst::operands`] makes is the one that emission walks, in the same order.

#![allow(missing_docs, reason = "shown to the validator alone; what is not said is x86's")]

use crate::regs::{AVX_VECTORS, R11};
use cranelift_codegen::VCodeConstant;
use cranelift_codegen::ir::{RelSourceLoc, TrapCode, UserExternalNameRef};
use egraft_loops::Access;
use iced_x86::{Code, OpCodeOperandKind};
use regalloc2::{Operand, PReg, PRegSet, VReg};
use smallvec::SmallVec;

/// Bytes of a vector of wasm.
pub(crate) const WASM_VECTOR: u32 = 16;

/// A block of machine code; the first is the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

impl BlockId {
    /// Its position in [`VCode::blocks`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Condition codes, numbered as x86 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Cc {
    B = 2,
    Ae = 3,
    E = 4,
    Ne = 5,
    Be = 6,
    A = 7,
    P = 10,
    Np = 11,
    L = 12,
    Ge = 13,
    Le = 14,
    G = 15,
}

impl Cc {
    /// The opposite condition.
    pub fn invert(self) -> Cc {
        match self {
            Cc::B => Cc::Ae,
            Cc::Ae => Cc::B,
            Cc::E => Cc::Ne,
            Cc::Ne => Cc::E,
            Cc::Be => Cc::A,
            Cc::A => Cc::Be,
            Cc::P => Cc::Np,
            Cc::Np => Cc::P,
            Cc::L => Cc::Ge,
            Cc::Ge => Cc::L,
            Cc::Le => Cc::G,
            Cc::G => Cc::Le,
        }
    }

    /// The low four bits of the opcodes of jcc, setcc and cmovcc.
    pub fn bits(self) -> u8 {
        self as u8
    }
}

/// A condition on the flags, possibly on two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cond {
    /// One condition code.
    One(Cc),
    /// Either condition code.
    Or(Cc, Cc),
    /// Both condition codes.
    And(Cc, Cc),
}

impl Cond {
    /// The opposite condition.
    pub fn invert(self) -> Cond {
        match self {
            Cond::One(cc) => Cond::One(cc.invert()),
            Cond::Or(one, other) => Cond::And(one.invert(), other.invert()),
            Cond::And(one, other) => Cond::Or(one.invert(), other.invert()),
        }
    }
}

/// A memory operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mem {
    /// `[base + index * scale + disp]`.
    Address { base: VReg, index: Option<(VReg, u8)>, disp: i32 },
    /// A constant behind the code.
    Constant(VCodeConstant),
    /// A byte of the function's explicit stack slots.
    StackSlot(i32),
    /// An argument of this function on the caller's stack.
    IncomingArg(i32),
    /// A stack argument of a call, or a result that a callee left on the stack.
    OutgoingArg(i32),
    /// `[frame pointer + disp]`.
    Frame(i32),
}

impl Mem {
    /// The registers that it reads.
    pub fn regs(&self) -> impl Iterator<Item = VReg> {
        let (base, index) = match *self {
            Mem::Address { base, index, .. } => (Some(base), index.map(|(reg, _)| reg)),
            _ => (None, None),
        };
        base.into_iter().chain(index)
    }
}

/// An operand of a machine instruction.
#[derive(Debug, Clone, Copy)]
pub enum Opnd {
    /// Read; a spilled value is read from its slot where the instruction can.
    Use(VReg),
    /// Read from a register, never from a slot.
    UseReg(VReg),
    /// Read from a fixed register.
    UseFixed(VReg, PReg),
    /// Written.
    Def(VReg),
    /// Written to a fixed register.
    DefFixed(VReg, PReg),
    /// Read as `from` and written as `to` in the same register.
    Mod { from: VReg, to: VReg },
    /// Memory.
    Mem(Mem),
    /// An immediate, sign-extended to 64 bits.
    Imm(i64),
    /// The stack or frame pointer.
    Pointer(PReg),
    /// The mask register by which the instruction chooses lanes; it has no place among its operands
    /// and comes behind all of them.
    Mask(VReg),
}

/// Operands of one instruction.
pub type Opnds = SmallVec<[Opnd; 4]>;

/// Whom a call calls.
#[derive(Debug, Clone, Copy)]
pub enum Callee {
    /// A function of the same module, reached by a relocation.
    Named(UserExternalNameRef),
    /// The address in a register.
    Address(VReg),
}

/// A call, its register arguments and results.
#[derive(Debug, Clone)]
pub struct Call {
    pub callee: Callee,
    pub uses: SmallVec<[(VReg, PReg); 8]>,
    pub defs: SmallVec<[(VReg, PReg); 4]>,
    pub clobbers: PRegSet,
    /// Bytes of stack arguments that the callee pops.
    pub callee_pops: u32,
    /// Whether the callee takes this function's place and returns to its caller.
    pub tail: bool,
}

/// What an instruction does.
#[derive(Debug, Clone)]
pub enum Kind {
    /// One x86 instruction. `implicit` operands are constrained but not written in the instruction.
    X86 { code: Code, ops: Opnds, implicit: SmallVec<[Opnd; 2]> },
    /// An instruction whose result does not depend on its operands, all of which are `to`.
    Idiom { code: Code, to: VReg },
    /// Receives register arguments.
    Args(Vec<(VReg, PReg)>),
    /// Leaves the function with results in registers.
    Ret(Vec<(VReg, PReg)>),
    /// A call.
    Call(Box<Call>),
    /// Goes to the only successor.
    Jump,
    /// Goes to the first successor if the condition holds, else to the second.
    Branch(Cond),
    /// Goes to the successor at `index`, 32 bits, or to the last one if there are fewer.
    JumpTable { index: VReg, temps: [VReg; 2] },
    /// Traps if the condition holds.
    TrapIf(Cond, TrapCode),
    /// Traps.
    Trap(TrapCode),
    /// `to = cond ? yes : no` for vector registers.
    SelectVector { cond: Cc, yes: VReg, no: VReg, to: VReg },
    /// Copies between registers of one class.
    Move { from: VReg, to: VReg },
}

/// An instruction with what emission must say about it.
#[derive(Debug, Clone)]
pub struct Inst {
    pub kind: Kind,
    /// Where in the source it comes from.
    pub srcloc: RelSourceLoc,
    /// The trap that a fault of it is.
    pub trap: Option<TrapCode>,
    /// What it accesses, in a loop whose accesses are known not to trap.
    pub access: Option<Access>,
    /// The tile that emitted it.
    pub tile: &'static str,
}

/// Whether operand `at` of `code` can be memory instead of a register.
pub(crate) fn takes_memory(code: Code, at: usize) -> bool {
    use OpCodeOperandKind as K;
    matches!(
        code.op_code().op_kind(at as u32),
        K::r8_or_mem
            | K::r16_or_mem
            | K::r32_or_mem
            | K::r64_or_mem
            | K::xmm_or_mem
            | K::ymm_or_mem
            | K::zmm_or_mem
    )
}

impl Inst {
    /// Appends the operands for register allocation.
    pub fn operands(&self, out: &mut Vec<Operand>) {
        let first = out.len();
        let fixed_uses = |out: &mut Vec<Operand>, pairs: &[(VReg, PReg)]| {
            out.extend(pairs.iter().map(|&(vreg, preg)| Operand::reg_fixed_use(vreg, preg)));
        };
        let fixed_defs = |out: &mut Vec<Operand>, pairs: &[(VReg, PReg)]| {
            out.extend(pairs.iter().map(|&(vreg, preg)| Operand::reg_fixed_def(vreg, preg)));
        };
        match &self.kind {
            Kind::X86 { code, ops, implicit } => {
                let memory = ops.iter().any(|op| matches!(op, Opnd::Mem(_)));
                for (at, op) in ops.iter().enumerate() {
                    let any = !memory && !matches!(op, Opnd::Mask(_)) && takes_memory(*code, at);
                    operand(op, any, first, out);
                }
                for op in implicit {
                    operand(op, false, first, out);
                }
            }
            Kind::Idiom { to, .. } => out.push(Operand::reg_def(*to)),
            Kind::Args(defs) => fixed_defs(out, defs),
            Kind::Ret(uses) => fixed_uses(out, uses),
            Kind::Call(call) => {
                match call.callee {
                    Callee::Named(_) => {}
                    // Not a register that is restored before the jump.
                    Callee::Address(vreg) if call.tail => {
                        out.push(Operand::reg_fixed_use(vreg, R11));
                    }
                    Callee::Address(vreg) => out.push(Operand::any_use(vreg)),
                }
                fixed_uses(out, &call.uses);
                fixed_defs(out, &call.defs);
            }
            Kind::Jump | Kind::Branch(_) | Kind::TrapIf(..) | Kind::Trap(_) => {}
            Kind::JumpTable { index, temps } => {
                out.push(Operand::reg_use(*index));
                out.extend(temps.map(Operand::reg_temp));
            }
            Kind::SelectVector { yes, no, to, .. } => {
                out.push(Operand::reg_use(*yes));
                out.push(Operand::reg_use(*no));
                out.push(Operand::reg_reuse_def(*to, 1));
            }
            Kind::Move { from, to } => {
                out.push(Operand::any_use(*from));
                out.push(Operand::reg_def(*to));
            }
        }
    }

    /// Whether it writes to memory outside the function's frame.
    pub fn stores(&self) -> bool {
        match &self.kind {
            Kind::X86 { ops, .. } => matches!(ops.first(), Some(Opnd::Mem(Mem::Address { .. }))),
            _ => false,
        }
    }

    /// Whether more than its registers depends on where it is done: it accesses memory outside the
    /// frame, calls, or may trap.
    pub fn has_effect(&self) -> bool {
        match &self.kind {
            Kind::X86 { ops, .. } => {
                let outside =
                    |op: &Opnd| matches!(op, Opnd::Mem(mem) if !matches!(mem, Mem::Constant(_)));
                self.trap.is_some() || ops.iter().any(outside)
            }
            Kind::Call(_) | Kind::TrapIf(..) | Kind::Trap(_) => true,
            _ => false,
        }
    }

    /// Registers that it destroys beside its results.
    pub fn clobbers(&self) -> PRegSet {
        match &self.kind {
            Kind::Call(call) => call.clobbers,
            _ => PRegSet::empty(),
        }
    }
}

fn operand(op: &Opnd, any: bool, first: usize, out: &mut Vec<Operand>) {
    match *op {
        Opnd::Use(vreg) if any => out.push(Operand::any_use(vreg)),
        Opnd::Use(vreg) | Opnd::UseReg(vreg) | Opnd::Mask(vreg) => {
            out.push(Operand::reg_use(vreg));
        }
        Opnd::UseFixed(vreg, preg) => out.push(Operand::reg_fixed_use(vreg, preg)),
        Opnd::Def(vreg) => out.push(Operand::reg_def(vreg)),
        Opnd::DefFixed(vreg, preg) => out.push(Operand::reg_fixed_def(vreg, preg)),
        Opnd::Mod { from, to } => {
            let reused = out.len() - first;
            out.push(Operand::reg_use(from));
            out.push(Operand::reg_reuse_def(to, reused));
        }
        Opnd::Mem(mem) => out.extend(mem.regs().map(Operand::reg_use)),
        Opnd::Imm(_) | Opnd::Pointer(_) => {}
    }
}

/// One edge out of a block and what it passes to the parameters of the other end.
#[derive(Debug, Clone)]
pub struct Edge {
    pub to: BlockId,
    pub args: Vec<VReg>,
}

/// A basic block.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub params: Vec<VReg>,
    pub insts: Vec<Inst>,
    pub succs: SmallVec<[Edge; 2]>,
    /// Whether it is placed behind all others.
    pub cold: bool,
}

/// A whole function on virtual registers.
#[derive(Debug, Clone)]
pub struct VCode {
    pub blocks: Vec<Block>,
    pub vregs: usize,
    /// Bytes of stack arguments and results of the calls it makes.
    pub outgoing_args: u32,
    /// Whether it calls anything.
    pub calls: bool,
    /// Bytes of the widest vector registers in use: 16, 32 or 64.
    pub vector_bytes: u32,
    /// How many vector registers there are.
    pub vector_registers: usize,
}

impl Default for VCode {
    fn default() -> VCode {
        VCode {
            blocks: Vec::new(),
            vregs: 0,
            outgoing_args: 0,
            calls: false,
            vector_bytes: WASM_VECTOR,
            vector_registers: AVX_VECTORS,
        }
    }
}

impl VCode {
    /// How many loops are around each block.
    pub fn loop_levels(&self) -> Vec<u32> {
        let mut levels = vec![0; self.blocks.len()];
        for (block, code) in self.blocks.iter().enumerate() {
            for edge in &code.succs {
                // Blocks are in reverse postorder, so an edge backwards closes a loop.
                if edge.to.index() <= block {
                    levels[edge.to.index()..=block].iter_mut().for_each(|level| *level += 1);
                }
            }
        }
        levels
    }
}
