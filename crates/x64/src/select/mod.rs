//! Instruction selection: covers the instructions of a CLIF function with tiles.
//!
//! Blocks are walked backwards, so that a value is made only where a tile before it asked for it:
//! what all users folded into themselves is never emitted. Tiles are tried cheapest first; the
//! first that fits is taken. Order of effects is that of the CLIF; a load moves only to its one
//! user, over instructions that neither write memory nor can trap, or that moved further still.
//!
//! Allocates no registers and emits no bytes.

mod address;
mod calls;
mod compare;
mod control;
mod convert;
mod dots;
mod extension;
mod float;
mod float_minmax;
mod integer;
mod memory;
mod multiply;
mod shuffle;
mod tiles;
mod vector;

use crate::abi::{Abi, class};
use crate::error::Unsupported;
use crate::faults::FaultPlaces;
use crate::features::Features;
use crate::frame::StackSlots;
use crate::vcode::{self, BlockId, Inst, Kind, Mem, Opnd, Opnds, VCode};
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::ir::{
    Block, ConstantData, Function, Inst as ClifInst, InstructionData, Opcode, RelSourceLoc,
    TrapCode, Type, Value, ValueDef, types,
};
use cranelift_codegen::{VCodeConstant, VCodeConstantData, VCodeConstants};
use egraft_loops::{Access, Accesses};
use float_minmax::Readers;
use iced_x86::Code;
use regalloc2::{RegClass, VReg};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub(crate) use control::{Selected, select};

/// A tile's answer: whether it fits.
type Fits = Result<bool, Unsupported>;
/// A step that always fits.
type Done = Result<(), Unsupported>;

/// The answer of a tile whose last instruction makes the result.
fn done(select: &mut Select<'_>) -> Fits {
    select.last_is_result().map(|()| true)
}

/// A memory operand with what its fault means.
#[derive(Debug, Clone, Copy)]
struct MemRef {
    mem: Mem,
    trap: Option<TrapCode>,
    access: Option<Access>,
    srcloc: RelSourceLoc,
}

/// The last operand of many instructions: a register or memory.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A register that may be read from its slot when it is spilled.
    Reg(VReg),
    /// A register whose value is so young that a slot would only add the time to store it.
    Young(VReg),
    Mem(MemRef),
}

/// The instruction that tiles are tried on.
#[derive(Debug, Clone)]
struct Root {
    inst: ClifInst,
    data: InstructionData,
    op: Opcode,
    /// The controlling type.
    ty: Type,
    args: SmallVec<[Value; 4]>,
}

struct Select<'a> {
    func: &'a Function,
    accesses: &'a Accesses,
    fault_places: &'a FaultPlaces,
    features: Features,
    abi: &'a Abi,
    stack_slots: &'a StackSlots,
    vcode: VCode,
    constants: VCodeConstants,
    constant_ids: FxHashMap<Vec<u8>, VCodeConstant>,
    /// Registers of values that something asked for.
    regs: SecondaryMap<Value, Option<VReg>>,
    /// Users of each value, identities seen through, and the last one found.
    uses: SecondaryMap<Value, u32>,
    user: SecondaryMap<Value, Option<ClifInst>>,
    /// Which of them are minima and maxima.
    readers: SecondaryMap<Value, Readers>,
    /// Number of effects in the block before each instruction.
    effects: SecondaryMap<ClifInst, u32>,
    /// Place of each instruction in its block.
    places: SecondaryMap<ClifInst, u32>,
    /// Effects before the point that the backward walk has reached, sunk loads included.
    reached: u32,
    /// Loads that became operands of other instructions.
    sunk: EntitySet<ClifInst>,
    /// Loads that do their one user's work at their own place: the instruction, and its result.
    raised: FxHashMap<ClifInst, (Code, VReg)>,
    /// Block parameters of 32 bits whose registers have zeros above, on every edge.
    zero_extended: EntitySet<Value>,
    /// The block in which each CLIF block's code goes.
    blocks: SecondaryMap<Block, Option<BlockId>>,
    /// Pointer to the area for results on the stack.
    ret_area: Option<VReg>,
    root: ClifInst,
    srcloc: RelSourceLoc,
    tile: &'static str,
    /// Code of the current root, in order.
    code: Vec<Inst>,
}

impl<'a> Select<'a> {
    fn new_reg(&mut self, class: RegClass) -> VReg {
        let reg = VReg::new(self.vcode.vregs, class);
        self.vcode.vregs += 1;
        reg
    }

    fn gpr(&mut self) -> VReg {
        self.new_reg(RegClass::Int)
    }

    fn xmm(&mut self) -> VReg {
        self.new_reg(RegClass::Float)
    }

    fn type_of(&self, value: Value) -> Type {
        self.func.dfg.value_type(value)
    }

    fn class_of(&self, value: Value) -> Result<RegClass, Unsupported> {
        let ty = self.type_of(value);
        class(ty).ok_or_else(|| Unsupported::new(self.place(), format!("type {ty}")))
    }

    /// The current instruction, for errors.
    fn place(&self) -> String {
        self.func.dfg.display_inst(self.root).to_string()
    }

    fn unsupported<T>(&self, what: impl std::fmt::Display) -> Result<T, Unsupported> {
        Err(Unsupported::new(self.place(), what))
    }

    /// The instruction that makes `value`, identities seen through.
    fn def(&self, value: Value) -> Option<ClifInst> {
        match self.func.dfg.value_def(self.canonical(value)) {
            ValueDef::Result(inst, 0) => Some(inst),
            _ => None,
        }
    }

    /// The instruction that makes `value` if its opcode is `op`.
    fn def_of(&self, value: Value, op: Opcode) -> Option<ClifInst> {
        self.def(value).filter(|&inst| self.func.dfg.insts[inst].opcode() == op)
    }

    /// The arguments of the `op` that makes `value`, whose own type is `ty`.
    fn match_op(&self, value: Value, op: Opcode, ty: Type) -> Option<&'a [Value]> {
        let inst = self.def_of(value, op)?;
        let result = self.func.dfg.first_result(inst);
        (self.type_of(result) == ty).then(|| self.func.dfg.inst_args(inst))
    }

    /// `x` and `y` of a root that is `x & ~y`, if nothing else uses the negation; `negation` gives
    /// what a value is the negation of.
    fn and_not_operands(
        &self,
        root: &Root,
        negation: impl Fn(Value) -> Option<Value>,
    ) -> Option<(Value, Value)> {
        let once = |value| negation(value).filter(|_| self.uses[self.canonical(value)] == 1);
        match (once(root.args[0]), once(root.args[1])) {
            (_, Some(inner)) => Some((root.args[0], inner)),
            (Some(inner), None) => Some((root.args[1], inner)),
            (None, None) => None,
        }
    }

    /// The value that holds the same bits in the same register as `value`.
    fn canonical(&self, value: Value) -> Value {
        let dfg = &self.func.dfg;
        let mut value = dfg.resolve_aliases(value);
        while let ValueDef::Result(inst, 0) = dfg.value_def(value) {
            let Some(source) = self.identity(inst) else { break };
            value = dfg.resolve_aliases(source);
        }
        value
    }

    /// The operand of `inst` if `inst` changes nothing in its register.
    fn identity(&self, inst: ClifInst) -> Option<Value> {
        let dfg = &self.func.dfg;
        let data = &dfg.insts[inst];
        match data.opcode() {
            Opcode::Bitcast => {
                let arg = dfg.inst_args(inst)[0];
                let (from, to) = (dfg.value_type(arg), dfg.value_type(dfg.first_result(inst)));
                let same = from == to || (is_vector(from) && is_vector(to));
                same.then_some(arg)
            }
            Opcode::Ireduce => {
                let arg = dfg.inst_args(inst)[0];
                (dfg.value_type(arg) != types::I128).then_some(arg)
            }
            Opcode::Uextend => {
                let arg = dfg.inst_args(inst)[0];
                let to = dfg.value_type(dfg.first_result(inst));
                (to != types::I128 && self.zero_extended(arg)).then_some(arg)
            }
            Opcode::Extractlane => {
                let arg = dfg.inst_args(inst)[0];
                let InstructionData::BinaryImm8 { imm, .. } = data else { return None };
                let lane = dfg.value_type(dfg.first_result(inst));
                (*imm == 0 && lane.is_float() && is_vector(dfg.value_type(arg))).then_some(arg)
            }
            _ => None,
        }
    }

    /// Whether the register of `value` has zeros above the bits of its type.
    fn zero_extended(&self, value: Value) -> bool {
        let dfg = &self.func.dfg;
        let value = dfg.resolve_aliases(value);
        let ValueDef::Result(inst, 0) = dfg.value_def(value) else {
            return self.zero_extended.contains(value);
        };
        use Opcode as O;
        matches!(
            (dfg.insts[inst].opcode(), dfg.value_type(value)),
            (O::Icmp | O::Fcmp | O::VanyTrue | O::VallTrue, types::I8)
                | (O::Load | O::Extractlane, types::I8 | types::I16 | types::I32)
                | (
                    O::Iadd
                        | O::Isub
                        | O::Imul
                        | O::Band
                        | O::Bor
                        | O::Bxor
                        | O::Bnot
                        | O::Ineg
                        | O::Ishl
                        | O::Ushr
                        | O::Sshr
                        | O::Rotl
                        | O::Rotr
                        | O::Smin
                        | O::Smax
                        | O::Umin
                        | O::Umax
                        | O::Select
                        | O::Uload8
                        | O::Uload16
                        | O::Sload8
                        | O::Sload16
                        | O::Clz
                        | O::Ctz
                        | O::Popcnt
                        | O::VhighBits,
                    types::I32,
                )
        )
    }

    /// The constant bits of `value`, sign-extended from its type.
    fn constant(&self, value: Value) -> Option<i64> {
        let inst = self.def_of(value, Opcode::Iconst)?;
        let InstructionData::UnaryImm { imm, .. } = self.func.dfg.insts[inst] else { return None };
        // Identities between may have narrowed it.
        let ty = self.type_of(value);
        let bits = ty.bits().min(64);
        Some((imm.bits() << (64 - bits)) >> (64 - bits))
    }

    /// The constant bits of `value` if an instruction takes them as an immediate.
    fn imm32(&self, value: Value) -> Option<i32> {
        self.constant(value).and_then(|bits| i32::try_from(bits).ok())
    }

    /// The bytes of a vector constant.
    fn vector_constant(&self, value: Value) -> Option<&'a ConstantData> {
        let inst = self.def_of(value, Opcode::Vconst)?;
        let InstructionData::UnaryConst { constant_handle, .. } = self.func.dfg.insts[inst] else {
            return None;
        };
        Some(self.func.dfg.constants.get(constant_handle))
    }

    /// Whether every byte of `value` is known to be `byte`.
    fn all_bytes(&self, value: Value, byte: u8) -> bool {
        self.vector_constant(value).is_some_and(|data| data.iter().all(|&b| b == byte))
    }

    /// A constant behind the code.
    fn pool(&mut self, bytes: &[u8]) -> Mem {
        let id = match self.constant_ids.get(bytes) {
            Some(&id) => id,
            None => {
                let data = VCodeConstantData::Generated(ConstantData::from(bytes));
                let id = self.constants.insert(data);
                self.constant_ids.insert(bytes.to_vec(), id);
                id
            }
        };
        Mem::Constant(id)
    }

    /// A pool constant as an operand.
    fn pool_source(&mut self, bytes: &[u8]) -> Source {
        let mem = self.pool(bytes);
        Source::Mem(MemRef { mem, trap: None, access: None, srcloc: self.srcloc })
    }

    /// A 16-byte pool constant of four equal 32-bit lanes.
    fn pool_u32x4(&mut self, lane: u32) -> Source {
        let bytes = lane.to_le_bytes().repeat(4);
        self.pool_source(&bytes)
    }

    /// A 16-byte pool constant of two equal 64-bit lanes.
    fn pool_u64x2(&mut self, lane: u64) -> Source {
        let bytes = lane.to_le_bytes().repeat(2);
        self.pool_source(&bytes)
    }

    /// The register of `value`; constants are made anew for each use.
    fn reg(&mut self, value: Value) -> Result<VReg, Unsupported> {
        if let Some(bits) = self.constant(value) {
            let to = self.gpr();
            self.integer_constant(to, bits, self.type_of(value));
            return Ok(to);
        }
        let value = self.canonical(value);
        if let Some(inst) = self.def(value) {
            match self.func.dfg.insts[inst] {
                InstructionData::UnaryIeee32 { imm, .. } => {
                    return Ok(self.float_constant(&imm.bits().to_le_bytes()));
                }
                InstructionData::UnaryIeee64 { imm, .. } => {
                    return Ok(self.float_constant(&imm.bits().to_le_bytes()));
                }
                _ => {}
            }
        }
        // Zeros are made anew, but for those that were moved out of a loop.
        if self.all_bytes(value, 0)
            && let layout = &self.func.layout
            && self.def(value).and_then(|inst| layout.inst_block(inst))
                == layout.inst_block(self.root)
        {
            return Ok(self.zero());
        }
        self.value_reg(value)
    }

    /// The register that canonical `value` is made in.
    fn value_reg(&mut self, value: Value) -> Result<VReg, Unsupported> {
        if let Some(reg) = self.regs[value] {
            return Ok(reg);
        }
        let class = self.class_of(value)?;
        let reg = self.new_reg(class);
        self.regs[value] = Some(reg);
        Ok(reg)
    }

    /// The register that the root's first result goes to.
    fn result(&mut self) -> Result<VReg, Unsupported> {
        let value = self.func.dfg.first_result(self.root);
        self.value_reg(value)
    }

    fn push(&mut self, kind: Kind) {
        let (srcloc, tile) = (self.srcloc, self.tile);
        self.code.push(Inst { kind, srcloc, trap: None, access: None, tile });
    }

    /// Emits an instruction.
    fn x86(&mut self, code: Code, ops: &[Opnd]) {
        self.push(Kind::X86 { code, ops: Opnds::from_slice(ops), implicit: SmallVec::new() });
    }

    /// Emits an instruction with constrained operands that it does not spell out.
    fn x86_implicit(&mut self, code: Code, ops: &[Opnd], implicit: &[Opnd]) {
        let ops = Opnds::from_slice(ops);
        self.push(Kind::X86 { code, ops, implicit: SmallVec::from_slice(implicit) });
    }

    /// Emits an instruction whose memory operand is among `ops` and may fault.
    fn x86_mem(&mut self, code: Code, ops: &[Opnd], at: MemRef) {
        self.x86(code, ops);
        let inst = self.code.last_mut().expect("just pushed");
        inst.trap = at.trap;
        inst.access = at.access;
        inst.srcloc = at.srcloc;
    }

    /// Emits an instruction that reads `source` between `before` and `after`.
    fn x86_source(&mut self, code: Code, before: &[Opnd], source: Source, after: &[Opnd]) {
        let mut ops = Opnds::from_slice(before);
        match source {
            Source::Reg(reg) => {
                ops.push(Opnd::Use(reg));
                ops.extend_from_slice(after);
                self.x86(code, &ops);
            }
            Source::Young(reg) => {
                ops.push(Opnd::UseReg(reg));
                ops.extend_from_slice(after);
                self.x86(code, &ops);
            }
            Source::Mem(at) => {
                ops.push(Opnd::Mem(at.mem));
                ops.extend_from_slice(after);
                self.x86_mem(code, &ops, at);
            }
        }
    }

    /// Emits `code to, source [, imm]` into a new vector register.
    fn unary(&mut self, code: Code, source: Source, imm: Option<i64>) -> VReg {
        let to = self.xmm();
        let after: SmallVec<[Opnd; 1]> = imm.map(Opnd::Imm).into_iter().collect();
        self.x86_source(code, &[Opnd::Def(to)], source, &after);
        to
    }

    /// Emits `code to, left, source [, imm]` into a new vector register.
    fn binary(&mut self, code: Code, left: VReg, source: Source, imm: Option<i64>) -> VReg {
        let to = self.xmm();
        let after: SmallVec<[Opnd; 1]> = imm.map(Opnd::Imm).into_iter().collect();
        self.x86_source(code, &[Opnd::Def(to), Opnd::UseReg(left)], source, &after);
        to
    }

    /// Emits `code to, left, right` into a new vector register.
    fn binary_regs(&mut self, code: Code, left: VReg, right: VReg) -> VReg {
        self.binary(code, left, Source::Young(right), None)
    }

    /// Emits `code to, from, count` into a new vector register.
    fn shift_imm(&mut self, code: Code, from: VReg, count: i64) -> VReg {
        let to = self.xmm();
        self.x86(code, &[Opnd::Def(to), Opnd::UseReg(from), Opnd::Imm(count)]);
        to
    }

    /// Makes the root's result a copy of `from`.
    fn copy_result(&mut self, from: VReg) -> Done {
        let to = self.result()?;
        self.push(Kind::Move { from, to });
        Ok(())
    }

    /// Renames the destination of the last instruction to the root's result.
    fn last_is_result(&mut self) -> Done {
        let to = self.result()?;
        let inst = self.code.last_mut().expect("an instruction that makes the result");
        if let Kind::X86 { ops, .. } = &mut inst.kind {
            match &mut ops[0] {
                Opnd::Def(reg) | Opnd::Mod { to: reg, .. } => {
                    *reg = to;
                    return Ok(());
                }
                _ => {}
            }
        }
        unreachable!("the last instruction of a tile writes its first operand");
    }

    /// An integer constant of type `ty` in `to`; the flags are lost if it is zero.
    fn integer_constant(&mut self, to: VReg, bits: i64, ty: Type) {
        let tile = std::mem::replace(&mut self.tile, "constant");
        let low = bits as u64 & mask(ty);
        if low == 0 {
            self.push(Kind::Idiom { code: Code::Xor_r32_rm32, to });
        } else if let Ok(small) = u32::try_from(low) {
            self.x86(Code::Mov_r32_imm32, &[Opnd::Def(to), Opnd::Imm(i64::from(small))]);
        } else if i32::try_from(bits).is_ok() {
            self.x86(Code::Mov_rm64_imm32, &[Opnd::Def(to), Opnd::Imm(bits)]);
        } else {
            self.x86(Code::Mov_r64_imm64, &[Opnd::Def(to), Opnd::Imm(bits)]);
        }
        self.tile = tile;
    }

    /// A zeroed vector register.
    fn zero(&mut self) -> VReg {
        let to = self.xmm();
        let tile = std::mem::replace(&mut self.tile, "constant");
        self.push(Kind::Idiom { code: Code::VEX_Vpxor_xmm_xmm_xmmm128, to });
        self.tile = tile;
        to
    }

    /// A vector register of ones.
    fn ones(&mut self) -> VReg {
        let to = self.xmm();
        let tile = std::mem::replace(&mut self.tile, "constant");
        self.push(Kind::Idiom { code: Code::VEX_Vpcmpeqd_xmm_xmm_xmmm128, to });
        self.tile = tile;
        to
    }

    fn float_constant(&mut self, bytes: &[u8]) -> VReg {
        if bytes.iter().all(|&byte| byte == 0) {
            return self.zero();
        }
        let to = self.xmm();
        let mem = self.pool(bytes);
        let code =
            if bytes.len() == 4 { Code::VEX_Vmovss_xmm_m32 } else { Code::VEX_Vmovsd_xmm_m64 };
        let tile = std::mem::replace(&mut self.tile, "constant");
        self.x86(code, &[Opnd::Def(to), Opnd::Mem(mem)]);
        self.tile = tile;
        to
    }
}

/// Whether `ty` is a 128-bit vector.
fn is_vector(ty: Type) -> bool {
    ty.is_vector() && ty.bits() == 128
}

/// Ones in the bits of `ty`.
fn mask(ty: Type) -> u64 {
    match ty.bits() {
        bits @ 0..64 => (1 << bits) - 1,
        _ => u64::MAX,
    }
}

/// The block at the other end of an edge, and what it is passed.
type Edge = vcode::Edge;
