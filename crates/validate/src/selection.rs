//! Selection: the CLIF that instructions are selected for against machine code on virtual registers.
//!
//! Machine code is executed symbolically, block by block, each register a value of the graph that the
//! CLIF's values are in. The n-th effect of a block is the n-th of its machine block: addresses are
//! proven equal and what is loaded is the same symbol. Registers of block parameters hold the CLIF
//! parameter in their low bits and anything above, unless selection says zeros, which every edge then
//! has to prove.
//!
//! Does not look at packing to 256 bits, register allocation and emission.

use crate::clif::{Clif, Known};
use crate::machine::{self, low};
use crate::report::{Checked, Unproven};
use crate::solve::{Equality, Prover};
use crate::values::{Id, Values};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExternalName, Inst, InstructionData, Opcode, TrapCode, Value,
};
use egraft_ir::effects::{Effect, effect_of};
use egraft_ir::{EvalError, FloatCc, IntCc, Op, Ty};
use egraft_verify::smt::SolverError;
use egraft_x64::observe::{
    Call, Callee, Cc, Cond, Edge, Inst as Machine, Kind, Mem, Opnd, Opnds, Place, Selection, places,
};
use iced_x86::{Code, Mnemonic, OpCodeOperandKind as K};
use regalloc2::{RegClass, VReg};
use rustc_hash::{FxHashMap, FxHashSet};

/// What loops proved of their accesses before they entered their fast versions.
const APART: &str = "accesses of fast loops that are said not to meet do not meet";
const MEMORY: &str = "a load gives what the one in its place gave";
const CALLS: &str = "a call gives what the one in its place gave";

/// What stands in a register: a value, or why nothing is known.
type Held = Result<Id, String>;

/// Checks that the machine code of `selection` does what its CLIF does.
pub(crate) fn check(selection: &Selection, prover: &mut Prover) -> Result<Checked, SolverError> {
    let mut pair = Pair {
        selection,
        clif: Clif::new(&selection.func),
        values: Values::default(),
        prover,
        checked: Checked::default(),
        regs: FxHashMap::default(),
        flags: Err("flags that nothing set".to_owned()),
        outgoing: FxHashMap::default(),
        incoming: FxHashMap::default(),
        read_only: FxHashMap::default(),
        floating: Vec::new(),
        stores: Vec::new(),
        queue: Vec::new(),
        next: 0,
        lost: None,
        block: selection.func.layout.entry_block().expect("a body"),
        unproven_params: FxHashSet::default(),
    };
    pair.clif.stack_slots = Some(selection.stack_slots.clone());
    for block in pair.clif.order.clone() {
        pair.block(block)?;
    }
    Ok(pair.checked)
}

/// What the flags say of.
#[derive(Clone, Copy)]
enum Flags {
    /// Of `a - b`.
    Difference(Id, Id, u32),
    /// Of a result, without carry or overflow.
    Result(Id, u32),
    /// Of a sum `a + b`, with its result.
    Sum(Id, Id, u32),
    /// Of two floats compared.
    Floats(Id, Id, Ty),
    /// Of `a & b` and `!a & b`, whole vectors.
    Test(Id, Id),
}

/// A load of the CLIF that has no place in the order of effects.
#[derive(Clone, Copy)]
struct Floating {
    address: Id,
    raw: Id,
    access: egraft_loops::Access,
    /// Stores of the block before it.
    stores: usize,
}

struct Pair<'a> {
    selection: &'a Selection,
    clif: Clif<'a>,
    values: Values,
    prover: &'a mut Prover,
    checked: Checked,
    regs: FxHashMap<VReg, Held>,
    flags: Result<Flags, String>,
    /// What was stored for the next call.
    outgoing: FxHashMap<i32, Held>,
    /// Arguments on the stack.
    incoming: FxHashMap<i32, Id>,
    /// Read-only loads by address and bits.
    read_only: FxHashMap<(Id, u32), Id>,
    floating: Vec<Floating>,
    /// What the stores of the block that were done access.
    stores: Vec<Option<egraft_loops::Access>>,
    /// Effects of the block's CLIF, and how many were found in the machine code.
    queue: Vec<Inst>,
    next: usize,
    /// Why the rest of the block has no counterpart.
    lost: Option<String>,
    block: Block,
    unproven_params: FxHashSet<Block>,
}

fn text(error: EvalError) -> String {
    error.to_string()
}

impl Pair<'_> {
    fn block(&mut self, block: Block) -> Result<(), SolverError> {
        self.block = block;
        let Some(id) = self.selection.blocks.get(&block) else {
            self.checked.fail(block.to_string(), "has no machine code");
            return Ok(());
        };
        let code = &self.selection.vcode.blocks[id.index()];
        self.params(block, &code.params);
        self.flags = Err("flags that another block set".to_owned());
        self.outgoing.clear();
        self.floating.clear();
        self.stores.clear();
        self.lost = None;
        self.queue = self.clif.effects(block);
        self.next = 0;
        self.float_loads(block);
        self.read_only_loads(block);
        for inst in &code.insts {
            self.inst(inst, &code.succs)?;
        }
        self.finish(block);
        Ok(())
    }

    /// Relates the parameters of a block and their registers.
    fn params(&mut self, block: Block, regs: &[VReg]) {
        let params = self.clif.func.dfg.block_params(block).to_vec();
        let entry = self.clif.func.layout.entry_block() == Some(block);
        let unproven = self.unproven_params.contains(&block);
        for (at, param) in params.iter().enumerate() {
            let Some(width) = self.clif.width(*param) else {
                self.clif.define(*param, Known::Nothing(format!("{param} has a type of no op")));
                continue;
            };
            let reg = match entry {
                true => self.selection.regs.get(param).copied(),
                false => regs.get(at).copied(),
            };
            if unproven {
                let why = format!("{block} is entered with what is not proven equal");
                self.clif.define(*param, Known::Nothing(why.clone()));
                if let Some(reg) = reg {
                    self.regs.insert(reg, Err(why));
                }
                continue;
            }
            let promised = self.selection.zero_extended.contains(param);
            let is_int = reg.is_none_or(|reg| reg.class() == RegClass::Int);
            let whole = if is_int { 64 } else { 128 };
            let (held, value) = if promised {
                let value = self.values.symbol(&param.to_string(), width);
                (self.values.convert(Op::Uextend, Ty::I64, value), Ok(value))
            } else {
                let held = self.values.symbol(&param.to_string(), whole);
                (Ok(held), low(&mut self.values, held, width))
            };
            match (held, value) {
                (Ok(held), Ok(value)) => {
                    self.clif.define(*param, Known::Is(value));
                    if let Some(reg) = reg.filter(|_| !entry) {
                        self.regs.insert(reg, Ok(held));
                    }
                    if entry {
                        self.argument(at, held);
                    }
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.clif.define(*param, Known::Nothing(error.to_string()));
                }
            }
        }
    }

    /// Notes where argument `at` comes in.
    fn argument(&mut self, at: usize, held: Id) {
        let Ok((args, ..)) = places(&self.clif.func.signature) else { return };
        match args.get(at).map(|slot| slot.place) {
            // Numbers of registers are below any offset of the stack that is marked so.
            Some(Place::Reg(preg)) => self.incoming.insert(-1 - preg.index() as i32, held),
            Some(Place::Stack(offset)) => self.incoming.insert(offset, held),
            None => None,
        };
    }

    /// Loads of fast loops are symbols by address from the start.
    fn float_loads(&mut self, block: Block) {
        let mut stores = 0;
        let mut queue = Vec::new();
        for inst in std::mem::take(&mut self.queue) {
            let data = self.clif.func.dfg.insts[inst];
            match (self.selection.accesses[inst], data) {
                (Some(access), InstructionData::Load { arg, offset, .. }) => {
                    let result = self.clif.func.dfg.first_result(inst);
                    let address = self.address_of(arg, offset.into());
                    let (raw, known) = self.clif.fresh(&mut self.values, inst, result);
                    if let (Ok(address), Some(raw)) = (address, raw) {
                        self.floating.push(Floating { address, raw, access, stores });
                    }
                    self.clif.define(result, known);
                }
                _ => {
                    stores += usize::from(data.opcode().can_store());
                    queue.push(inst);
                }
            }
        }
        self.queue = queue;
        let _ = block;
    }

    /// Notes the read-only loads of a block whose addresses are known.
    fn read_only_loads(&mut self, block: Block) {
        let func = self.clif.func;
        for inst in func.layout.block_insts(block) {
            let InstructionData::Load { opcode: Opcode::Load, arg, offset, .. } =
                func.dfg.insts[inst]
            else {
                continue;
            };
            if self.queue.contains(&inst) || self.selection.accesses[inst].is_some() {
                continue;
            }
            let result = func.dfg.first_result(inst);
            if let (Ok(address), Known::Is(id)) =
                (self.address_of(arg, offset.into()), self.clif.value(&mut self.values, result))
            {
                let width = self.values.width(id);
                self.read_only.insert((address, width), id);
            }
        }
    }

    /// The address `base + offset` of the CLIF.
    fn address_of(&mut self, base: Value, offset: i32) -> Held {
        match self.clif.value(&mut self.values, base) {
            Known::Is(id) => self.values.sum(&[id], i64::from(offset)).map_err(text),
            Known::Nothing(why) => Err(why),
        }
    }

    /// The address of a memory operand.
    fn machine_address(&mut self, mem: Mem) -> Held {
        match mem {
            Mem::Address { base, index, disp } => {
                let mut terms = vec![self.reg(base)?];
                if let Some((index, scale)) = index {
                    let index = self.reg(index)?;
                    let by = self.values.constant_of(32, u128::from(scale.ilog2()));
                    let ishl = machine::op(&mut self.values, Op::Ishl, Ty::I64, &[index, by]);
                    terms.push(ishl.map_err(text)?);
                }
                self.values.sum(&terms, i64::from(disp)).map_err(text)
            }
            Mem::StackSlot(offset) => Ok(self.values.function(&format!("stack+{offset}"), &[], 64)),
            Mem::OutgoingArg(offset) => {
                Ok(self.values.function(&format!("outgoing+{offset}"), &[], 64))
            }
            Mem::Constant(_) | Mem::IncomingArg(_) | Mem::Frame(_) => {
                Err("an address of the frame".to_owned())
            }
        }
    }

    fn reg(&self, reg: VReg) -> Held {
        match self.regs.get(&reg) {
            Some(held) => held.clone(),
            None => Err(format!("register {reg} is not written before")),
        }
    }

    fn set(&mut self, reg: VReg, held: Held) {
        self.regs.insert(reg, held);
    }

    /// One machine instruction.
    fn inst(&mut self, inst: &Machine, succs: &[Edge]) -> Result<(), SolverError> {
        match &inst.kind {
            Kind::X86 { code, ops, implicit } => {
                if implicit.is_empty() {
                    self.x86(*code, ops, inst)?;
                } else {
                    self.implicit(*code, ops, implicit);
                }
            }
            Kind::Idiom { code, to } => {
                let (int, ones) = (to.class() == RegClass::Int, code.mnemonic());
                let bits = if ones == Mnemonic::Vpcmpeqd { u128::MAX } else { 0 };
                let id = self.values.constant_of(if int { 64 } else { 128 }, bits);
                self.set(*to, Ok(id));
                if int {
                    self.flags = Err("flags that a constant lost".to_owned());
                }
            }
            Kind::Args(defs) => {
                for (reg, preg) in defs {
                    let held = self.incoming.get(&(-1 - preg.index() as i32)).copied();
                    self.set(*reg, held.ok_or_else(|| format!("no argument comes in {preg}")));
                }
            }
            Kind::Move { from, to } => {
                let held = self.reg(*from);
                self.set(*to, held);
            }
            Kind::SelectVector { cond, yes, no, to } => {
                let held = self.condition(Cond::One(*cond)).and_then(|cond| {
                    let (yes, no) = (self.reg(*yes)?, self.reg(*no)?);
                    machine::op(&mut self.values, Op::Select, Ty::I8X16, &[cond, yes, no])
                        .map_err(text)
                });
                self.set(*to, held);
            }
            Kind::TrapIf(cond, code) => self.trap_if(*cond, *code)?,
            Kind::Trap(code) => {
                if let Some(clif) = self.expect("a trap", |op| op == Opcode::Trap) {
                    let trap = self.clif.func.dfg.insts[clif].trap_code();
                    self.judge(clif, same(trap == Some(*code), "another trap code"), &[])?;
                }
            }
            Kind::Call(call) => self.call(call)?,
            Kind::Ret(uses) => self.ret(uses)?,
            Kind::Jump => {
                if let Some(clif) = self.expect("a jump", |op| op == Opcode::Jump) {
                    self.branch(clif, Vec::new(), succs)?;
                }
            }
            Kind::Branch(cond) => {
                if let Some(clif) = self.expect("a branch", |op| op == Opcode::Brif) {
                    let arg = self.clif.func.dfg.inst_args(clif)[0];
                    let mine = self.truth_of(arg);
                    let theirs = self.condition(*cond);
                    self.branch(clif, vec![(mine, theirs)], succs)?;
                }
            }
            Kind::JumpTable { index, .. } => {
                if let Some(clif) = self.expect("a jump table", |op| op == Opcode::BrTable) {
                    let mine = self.clif_value(self.clif.func.dfg.inst_args(clif)[0]);
                    let theirs =
                        self.reg(*index).and_then(|id| low(&mut self.values, id, 32).map_err(text));
                    self.branch(clif, vec![(mine, theirs)], succs)?;
                }
            }
        }
        Ok(())
    }

    fn clif_value(&mut self, value: Value) -> Held {
        match self.clif.value(&mut self.values, value) {
            Known::Is(id) => Ok(id),
            Known::Nothing(why) => Err(why),
        }
    }

    /// 1 where `value` is not zero, else 0.
    fn truth_of(&mut self, value: Value) -> Held {
        let id = self.clif_value(value)?;
        self.compare_to_zero(id, IntCc::Ne)
    }

    fn compare_to_zero(&mut self, id: Id, cc: IntCc) -> Held {
        let width = self.values.width(id);
        let zero = self.values.constant_of(width, 0);
        machine::imm(&mut self.values, Op::Icmp, machine::int(width), cc as u128, &[id, zero])
            .map_err(text)
    }

    /// The next effect of the CLIF, if it is of the kind that the machine code does; says what is wrong
    /// otherwise. Loads that neither trap nor give what is read may be left out.
    fn expect(&mut self, what: &str, is: impl Fn(Opcode) -> bool) -> Option<Inst> {
        if self.lost.is_some() {
            return None;
        }
        while let Some(&inst) = self.queue.get(self.next) {
            let opcode = self.clif.func.dfg.insts[inst].opcode();
            if is(opcode) {
                self.next += 1;
                return Some(inst);
            }
            if !self.may_be_left_out(inst) {
                break;
            }
            self.next += 1;
        }
        let place = format!("{}: {}", self.block, self.next_text());
        let ordinary = self.queue.get(self.next).is_none_or(|inst| {
            let effect = effect_of(self.clif.func.dfg.insts[*inst].opcode());
            !matches!(effect, Effect::MayTrap | Effect::Atomic | Effect::Register | Effect::Barrier)
        });
        if ordinary {
            self.checked.fail(place, format!("became {what}"));
        } else {
            let reason = format!("the code of `{}` is not understood", self.next_opcode());
            self.checked.unknown.push(Unproven { place, reason });
            self.next += 1;
        }
        self.lose("an effect before has no counterpart".to_owned());
        None
    }

    fn next_text(&self) -> String {
        match self.queue.get(self.next) {
            Some(inst) => self.clif.func.dfg.display_inst(*inst).to_string(),
            None => "the end".to_owned(),
        }
    }

    fn next_opcode(&self) -> String {
        let inst = self.queue.get(self.next);
        inst.map(|inst| self.clif.func.dfg.insts[*inst].opcode().to_string()).unwrap_or_default()
    }

    fn may_be_left_out(&self, inst: Inst) -> bool {
        match self.clif.func.dfg.insts[inst] {
            InstructionData::Load { flags, .. } => self.clif.func.dfg.mem_flags[flags].notrap(),
            _ => false,
        }
    }

    /// Gives up on the rest of the block.
    fn lose(&mut self, why: String) {
        self.lost = Some(why);
        self.poison_successors();
    }

    fn poison_successors(&mut self) {
        let func = self.clif.func;
        if let Some(last) = func.layout.last_inst(self.block) {
            let calls = func.dfg.insts[last]
                .branch_destination(&func.dfg.jump_tables, &func.dfg.exception_tables);
            let blocks = calls.iter().map(|call| call.block(&func.dfg.value_lists));
            self.unproven_params.extend(blocks);
        }
    }

    /// Counts effects that the machine code did not do.
    fn finish(&mut self, _block: Block) {
        let rest: Vec<Inst> = self.queue.drain(..).skip(self.next).collect();
        for inst in rest {
            for result in self.clif.func.dfg.inst_results(inst).to_vec() {
                let why = "made by an effect without counterpart".to_owned();
                self.clif.define(result, Known::Nothing(why));
            }
            if self.may_be_left_out(inst) {
                self.checked.alike += 1;
                continue;
            }
            let place = format!("{}: {}", self.block, self.clif.func.dfg.display_inst(inst));
            match &self.lost {
                Some(why) => {
                    self.checked.unknown.push(Unproven { place, reason: why.clone() });
                }
                None => {
                    self.checked.fail(place, "is not done by the machine code");
                    self.poison_successors();
                }
            }
        }
    }

    /// Settles one effect: `pairs` are its operands before and after.
    fn judge(
        &mut self,
        clif: Inst,
        given: Equality,
        pairs: &[(Held, Held)],
    ) -> Result<bool, SolverError> {
        let mut verdict = given;
        for (mine, theirs) in pairs {
            let found = match (mine, theirs) {
                (Ok(mine), Ok(theirs)) => self.prover.equal(&mut self.values, *mine, *theirs)?,
                (Err(why), _) | (_, Err(why)) => Equality::Unknown(why.clone()),
            };
            verdict = verdict.worse(found);
        }
        let place = format!("{}: {}", self.block, self.clif.func.dfg.display_inst(clif));
        let equal = self.checked.record(place, verdict);
        if !equal && self.clif.func.layout.last_inst(self.block) == Some(clif) {
            self.poison_successors();
        }
        Ok(equal)
    }

    /// A constant behind the code, from its lowest byte.
    fn constant(&mut self, mem: Mem, bits: u32) -> Held {
        let Mem::Constant(constant) = mem else { return Err("not a constant".to_owned()) };
        let bytes = &self.selection.constants[constant.as_u32() as usize];
        let wanted = (bits / 8) as usize;
        let Some(bytes) = bytes.get(..wanted.min(16)) else {
            return Err("a constant that is shorter than what is read".to_owned());
        };
        let number = bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        Ok(self.values.constant_of(bits, number))
    }

    /// What an instruction reads from memory: `bits`, at most 128.
    fn loaded(&mut self, mem: Mem, bits: u32, inst: &Machine) -> Result<Held, SolverError> {
        match mem {
            Mem::Constant(_) => return Ok(self.constant(mem, bits)),
            Mem::IncomingArg(offset) => {
                let held = self.incoming.get(&offset).copied();
                let held = held.ok_or_else(|| format!("no argument comes in at {offset}"));
                return Ok(held.and_then(|id| low(&mut self.values, id, bits).map_err(text)));
            }
            Mem::OutgoingArg(offset) => {
                let held = self.outgoing.get(&offset).cloned();
                let held = held.unwrap_or_else(|| Err("a result on the stack".to_owned()));
                return Ok(held.and_then(|id| low(&mut self.values, id, bits).map_err(text)));
            }
            Mem::Frame(_) => return Ok(Err("memory of the frame".to_owned())),
            Mem::Address { .. } | Mem::StackSlot(_) => {}
        }
        let address = self.machine_address(mem);
        if let Some(access) = inst.access {
            return self.floated(address, bits, access);
        }
        if inst.trap.is_none()
            && let Ok(address) = &address
            && let Some(id) = self.read_only.get(&(self.values.find(*address), bits))
        {
            return Ok(Ok(*id));
        }
        let Some(clif) = self.expect("a load", |op| effect_of(op) == Effect::Load) else {
            return Ok(Err("loaded where the CLIF loads nothing".to_owned()));
        };
        let InstructionData::Load { arg, offset, flags, .. } = self.clif.func.dfg.insts[clif]
        else {
            return Ok(Err("a load of another form".to_owned()));
        };
        let mine = self.address_of(arg, offset.into());
        let trap = self.clif.func.dfg.mem_flags[flags].trap_code();
        let result = self.clif.func.dfg.first_result(clif);
        let (raw, known) = self.clif.fresh(&mut self.values, clif, result);
        let width = raw.map(|raw| self.values.width(raw));
        let form = same(width == Some(bits), "another number of bytes")
            .worse(same(trap == inst.trap, "another trap code"));
        let equal = self.judge(clif, form, &[(mine, address)])?;
        let why = format!("{result} is made of what is not proven equal");
        match raw {
            Some(raw) if equal => {
                self.checked.assume(MEMORY);
                self.clif.define(result, known);
                Ok(Ok(raw))
            }
            _ => {
                self.clif.define(result, Known::Nothing(why.clone()));
                Ok(Err(why))
            }
        }
    }

    /// A load of a fast loop: the one of the CLIF at the same address, if no store that it may meet
    /// lies between.
    fn floated(
        &mut self,
        address: Held,
        bits: u32,
        access: egraft_loops::Access,
    ) -> Result<Held, SolverError> {
        let address = match address {
            Ok(address) => self.values.find(address),
            Err(why) => return Ok(Err(why)),
        };
        let fits = |load: &Floating| load.access == access && self.values.width(load.raw) == bits;
        let mut loads: Vec<Floating> =
            self.floating.iter().copied().filter(|load| fits(load)).collect();
        loads.sort_by_key(|load| self.values.find(load.address) != address);
        for load in loads {
            let equal = self.prover.equal(&mut self.values, load.address, address)?;
            if matches!(equal, Equality::Alike | Equality::Proven) {
                return Ok(self.moved(load, access));
            }
        }
        Ok(Err("a load of a fast loop at no address of the CLIF's".to_owned()))
    }

    /// What `load` gives where the machine code does it.
    fn moved(&mut self, load: Floating, access: egraft_loops::Access) -> Held {
        let (first, last) =
            (load.stores.min(self.stores.len()), load.stores.max(self.stores.len()));
        let meets = |at: usize| match self.stores.get(at).copied().flatten() {
            Some(store) => store.may_meet(&access),
            // Stores that the machine code has not done yet are looked up in the CLIF.
            None => self.clif_store(at).is_none_or(|store| store.may_meet(&access)),
        };
        if (first..last).any(meets) {
            return Err("a load that moved over a store that it may meet".to_owned());
        }
        self.checked.assume(APART);
        Ok(load.raw)
    }

    /// What the store number `at` of the block accesses.
    fn clif_store(&self, at: usize) -> Option<egraft_loops::Access> {
        let dfg = &self.clif.func.dfg;
        let mut stores = self.queue.iter().filter(|inst| dfg.insts[**inst].opcode().can_store());
        self.selection.accesses[*stores.nth(at)?]
    }

    /// A store of the low `bits` of `held`.
    fn stored(
        &mut self,
        mem: Mem,
        bits: u32,
        held: Held,
        inst: &Machine,
    ) -> Result<(), SolverError> {
        if let Mem::OutgoingArg(offset) = mem {
            self.outgoing.insert(offset, held);
            return Ok(());
        }
        let Some(clif) = self.expect("a store", |op| effect_of(op) == Effect::Store) else {
            return Ok(());
        };
        let InstructionData::Store { args: [value, base], offset, flags, opcode } =
            self.clif.func.dfg.insts[clif]
        else {
            return Ok(());
        };
        self.stores.push(self.selection.accesses[clif]);
        let ty = self.clif.func.dfg.value_type(value);
        let wanted = match opcode {
            Opcode::Istore8 => 8,
            Opcode::Istore16 => 16,
            Opcode::Istore32 => 32,
            _ => ty.bits(),
        };
        let trap = self.clif.func.dfg.mem_flags[flags].trap_code();
        let form = same(wanted == bits, "another number of bytes")
            .worse(same(trap == inst.trap, "another trap code"));
        let mine =
            self.clif_value(value).and_then(|id| low(&mut self.values, id, wanted).map_err(text));
        let theirs = held.and_then(|id| low(&mut self.values, id, bits).map_err(text));
        let addresses = (self.address_of(base, offset.into()), self.machine_address(mem));
        self.judge(clif, form, &[addresses, (mine, theirs)])?;
        Ok(())
    }

    /// An instruction with operands in fixed registers: of these only shifts are known.
    fn implicit(&mut self, code: Code, ops: &Opnds, implicit: &[Opnd]) {
        let why = || format!("no semantics for `{:?}`", code.mnemonic());
        for op in ops.iter().chain(implicit) {
            match op {
                Opnd::Def(to) | Opnd::DefFixed(to, _) | Opnd::Mod { to, .. } => {
                    self.set(*to, Err(why()));
                }
                _ => {}
            }
        }
        self.flags = Err(why());
        let divides =
            |op: Opcode| matches!(op, Opcode::Udiv | Opcode::Sdiv | Opcode::Urem | Opcode::Srem);
        let Some(&clif) = self.queue.get(self.next) else { return };
        if divides(self.clif.func.dfg.insts[clif].opcode())
            && matches!(code.mnemonic(), Mnemonic::Div | Mnemonic::Idiv)
        {
            self.next += 1;
            let place = format!("{}: {}", self.block, self.clif.func.dfg.display_inst(clif));
            self.checked.unknown.push(Unproven { place, reason: why() });
            let result = self.clif.func.dfg.first_result(clif);
            self.clif.define(result, Known::Nothing(why()));
        }
    }

    /// One x86 instruction.
    fn x86(&mut self, code: Code, ops: &Opnds, inst: &Machine) -> Result<(), SolverError> {
        let info = code.op_code();
        let mnemonic = code.mnemonic();
        let memory_bits = 8 * info.memory_size().size() as u32;
        let kind = |at: usize| info.op_kind(at as u32);
        let mut sources: Vec<Held> = Vec::new();
        let mut byte = None;
        let mut is_vector = false;
        for (at, op) in ops.iter().enumerate() {
            is_vector |= matches!(op, Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::Def(reg)
                if reg.class() == RegClass::Float);
            match *op {
                Opnd::Def(_) | Opnd::DefFixed(..) => {}
                Opnd::Use(reg) | Opnd::UseReg(reg) | Opnd::UseFixed(reg, _) => {
                    let held = self.reg(reg);
                    sources.push(self.part(held, kind(at)));
                }
                Opnd::Mod { from, .. } => {
                    let held = self.reg(from);
                    sources.push(self.part(held, kind(at)));
                }
                Opnd::Imm(bits) if is_byte(kind(at)) && (is_vector || memory_bits > 64) => {
                    byte = Some(bits & 0xff);
                }
                Opnd::Imm(bits) => {
                    // Amounts of shifts are bytes; everything else is as wide as the first operand.
                    let width = width(kind(0)).unwrap_or(memory_bits);
                    sources.push(Ok(self.values.constant_of(width, bits as u128)));
                }
                Opnd::Mem(mem) if mnemonic == Mnemonic::Lea => {
                    sources.push(self.machine_address(mem));
                }
                Opnd::Mem(mem) => {
                    if at == 0 && !reads_first(mnemonic) {
                        continue;
                    }
                    if memory_bits > 128 {
                        sources.push(Err("256 bits at once".to_owned()));
                        continue;
                    }
                    let held = self.loaded(mem, memory_bits, inst)?;
                    sources.push(held.and_then(|id| match vector_operand(kind(at), is_vector) {
                        true => machine::vector(&mut self.values, id).map_err(text),
                        false => Ok(id),
                    }));
                }
                Opnd::Pointer(preg) => {
                    sources.push(Ok(self.values.function(&format!("pointer {preg}"), &[], 64)));
                }
            }
        }
        let made = self.made(code, &sources, byte);
        match ops.first() {
            Some(Opnd::Def(to) | Opnd::DefFixed(to, _) | Opnd::Mod { to, .. }) => {
                let held = match to.class() {
                    RegClass::Int => self.widened(made, kind(0), ops.first()),
                    _ => made.and_then(|id| machine::vector(&mut self.values, id).map_err(text)),
                };
                self.set(*to, held);
            }
            Some(Opnd::Mem(mem)) if writes_first(mnemonic) => {
                self.stored(*mem, memory_bits, made, inst)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The part of a register that an operand of `kind` names.
    fn part(&mut self, held: Held, kind: K) -> Held {
        let id = held?;
        match width(kind) {
            Some(bits) if bits < self.values.width(id) => {
                low(&mut self.values, id, bits).map_err(text)
            }
            Some(256) => Err("256 bits at once".to_owned()),
            _ => Ok(id),
        }
    }

    /// A whole register, of what was written to a part of it.
    fn widened(&mut self, made: Held, kind: K, first: Option<&Opnd>) -> Held {
        let id = made?;
        let int = matches!(width(kind), Some(8..=64));
        if !int || self.values.width(id) == 64 {
            return Ok(id);
        }
        let wide = self.values.convert(Op::Uextend, Ty::I64, id).map_err(text)?;
        let bits = width(kind).unwrap_or(64);
        if bits >= 32 {
            return Ok(wide);
        }
        // What was above stays.
        let above = match first {
            Some(Opnd::Mod { from, .. }) => self.reg(*from)?,
            _ => self.values.symbol("what was in the register", 64),
        };
        let mask = self.values.constant_of(64, !((1 << bits) - 1));
        let above =
            machine::op(&mut self.values, Op::Band, Ty::I64, &[above, mask]).map_err(text)?;
        machine::op(&mut self.values, Op::Bor, Ty::I64, &[above, wide]).map_err(text)
    }

    /// What `code` computes of `sources`; sets the flags.
    fn made(&mut self, code: Code, sources: &[Held], byte: Option<i64>) -> Held {
        use Mnemonic as M;
        let mnemonic = code.mnemonic();
        let bits = width(code.op_code().op_kind(0))
            .unwrap_or(8 * code.op_code().memory_size().size() as u32);
        let known: Result<Vec<Id>, String> = sources.iter().cloned().collect();
        let x = match known {
            Ok(x) => x,
            Err(why) => {
                if sets_flags(mnemonic) {
                    self.flags = Err(why.clone());
                }
                return Err(why);
            }
        };
        let v = &mut self.values;
        let no_semantics = || format!("no semantics for `{mnemonic:?}`");
        match (mnemonic, x.as_slice()) {
            (M::Cmp, [a, b]) => {
                self.flags = Ok(Flags::Difference(*a, *b, bits));
                return Ok(*a);
            }
            (M::Test, [a, b]) => {
                let both = machine::op(v, Op::Band, machine::int(bits), &[*a, *b]).map_err(text)?;
                self.flags = Ok(Flags::Result(both, bits));
                return Ok(*a);
            }
            (M::Vptest, [a, b]) => {
                self.flags = Ok(Flags::Test(*a, *b));
                return Ok(*a);
            }
            (M::Vucomiss | M::Vucomisd, [a, b]) => {
                let ty = if mnemonic == M::Vucomiss { Ty::F32 } else { Ty::F64 };
                let a = low(v, *a, ty.bits()).map_err(text)?;
                let b = low(v, *b, ty.bits()).map_err(text)?;
                self.flags = Ok(Flags::Floats(a, b, ty));
                return Ok(a);
            }
            (M::Lea, [address]) => return low(v, *address, bits).map_err(text),
            (M::Movzx | M::Movsx | M::Movsxd, [a]) => {
                let op = if mnemonic == M::Movzx { Op::Uextend } else { Op::Sextend };
                return v.convert(op, machine::int(bits), *a).map_err(text);
            }
            _ => {}
        }
        if let (M::Sbb, [a, b]) = (mnemonic, x.as_slice()) {
            let borrow = self.condition(Cond::One(Cc::B));
            self.flags = Err("flags of `Sbb`".to_owned());
            let (v, ty) = (&mut self.values, machine::int(bits));
            let borrow = v.convert(Op::Uextend, ty, borrow?).map_err(text)?;
            let less = machine::op(v, Op::Isub, ty, &[*a, *b]).map_err(text)?;
            return machine::op(v, Op::Isub, ty, &[less, borrow]).map_err(text);
        }
        if let Some(cc) = condition_of(code) {
            let cond = self.condition(Cond::One(cc))?;
            let v = &mut self.values;
            return match x.as_slice() {
                // setcc, whose operand is written only.
                [] => Ok(cond),
                [_] if bits == 8 => Ok(cond),
                [no, yes] => {
                    machine::op(v, Op::Select, machine::int(bits), &[cond, *yes, *no]).map_err(text)
                }
                _ => Err(no_semantics()),
            };
        }
        if let Some(made) = lane_access(v, mnemonic, &x, byte) {
            return made.map_err(text);
        }
        let vector = x.iter().any(|id| v.width(*id) == 128);
        if vector {
            return match machine::vectors(v, mnemonic, &x, byte) {
                Some(made) => made.map_err(text),
                None => Err(no_semantics()),
            };
        }
        let made = match machine::integers(v, mnemonic, bits, &x) {
            Some(made) => made.map_err(text),
            None => Err(no_semantics()),
        };
        if sets_flags(mnemonic) {
            self.flags = match (&made, x.as_slice()) {
                (Ok(_), [a, b]) if mnemonic == M::Sub => Ok(Flags::Difference(*a, *b, bits)),
                (Ok(_), [a]) if mnemonic == M::Neg => {
                    let zero = self.values.constant_of(bits, 0);
                    Ok(Flags::Difference(zero, *a, bits))
                }
                (Ok(_), [a, b]) if mnemonic == M::Add => Ok(Flags::Sum(*a, *b, bits)),
                (Ok(id), _) if matches!(mnemonic, M::And | M::Or | M::Xor | M::Andn) => {
                    Ok(Flags::Result(*id, bits))
                }
                _ => Err(format!("flags of `{mnemonic:?}`")),
            };
        }
        made
    }

    /// 1 where `cond` holds of the flags, else 0.
    fn condition(&mut self, cond: Cond) -> Held {
        match cond {
            Cond::One(cc) => self.one_condition(cc),
            Cond::Or(one, other) | Cond::And(one, other) => {
                let (one, other) = (self.one_condition(one)?, self.one_condition(other)?);
                let op = if matches!(cond, Cond::Or(..)) { Op::Bor } else { Op::Band };
                machine::op(&mut self.values, op, Ty::I8, &[one, other]).map_err(text)
            }
        }
    }

    fn one_condition(&mut self, cc: Cc) -> Held {
        let flags = self.flags.clone()?;
        let v = &mut self.values;
        let int = |cc: Cc| {
            Some(match cc {
                Cc::B => IntCc::Ult,
                Cc::Ae => IntCc::Uge,
                Cc::E => IntCc::Eq,
                Cc::Ne => IntCc::Ne,
                Cc::Be => IntCc::Ule,
                Cc::A => IntCc::Ugt,
                Cc::L => IntCc::Slt,
                Cc::Ge => IntCc::Sge,
                Cc::Le => IntCc::Sle,
                Cc::G => IntCc::Sgt,
                Cc::P | Cc::Np => return None,
            })
        };
        match (flags, cc) {
            (Flags::Difference(a, b, bits), _) => {
                let code = int(cc).ok_or("the parity of a difference")?;
                machine::imm(v, Op::Icmp, machine::int(bits), code as u128, &[a, b]).map_err(text)
            }
            (Flags::Result(id, bits), _) => {
                let zero = v.constant_of(bits, 0);
                let code = int(cc).ok_or("the parity of a result")?;
                machine::imm(v, Op::Icmp, machine::int(bits), code as u128, &[id, zero])
                    .map_err(text)
            }
            (Flags::Sum(a, b, bits), Cc::E | Cc::Ne | Cc::B | Cc::Ae) => {
                let ty = machine::int(bits);
                let sum = machine::op(v, Op::Iadd, ty, &[a, b]).map_err(text)?;
                let zero = v.constant_of(bits, 0);
                let (code, with) = match cc {
                    Cc::E => (IntCc::Eq, zero),
                    Cc::Ne => (IntCc::Ne, zero),
                    Cc::B => (IntCc::Ult, a),
                    _ => (IntCc::Uge, a),
                };
                machine::imm(v, Op::Icmp, ty, code as u128, &[sum, with]).map_err(text)
            }
            (Flags::Floats(a, b, ty), _) => {
                let code = match cc {
                    Cc::A => FloatCc::Gt,
                    Cc::Ae => FloatCc::Ge,
                    Cc::B => FloatCc::Ult,
                    Cc::Be => FloatCc::Ule,
                    Cc::E => FloatCc::Ueq,
                    Cc::Ne => FloatCc::One,
                    Cc::P => FloatCc::Uno,
                    Cc::Np => FloatCc::Ord,
                    _ => return Err("a signed condition of floats".to_owned()),
                };
                machine::imm(v, Op::Fcmp, ty, code as u128, &[a, b]).map_err(text)
            }
            (Flags::Test(a, b), Cc::E | Cc::Ne | Cc::B | Cc::Ae) => {
                let a = match cc {
                    Cc::E | Cc::Ne => a,
                    _ => machine::op(v, Op::Bnot, Ty::I8X16, &[a]).map_err(text)?,
                };
                let both = machine::op(v, Op::Band, Ty::I8X16, &[a, b]).map_err(text)?;
                let any = machine::op(v, Op::VanyTrue, Ty::I8X16, &[both]).map_err(text)?;
                match cc {
                    Cc::Ne | Cc::Ae => Ok(any),
                    _ => self.compare_to_zero(any, IntCc::Eq),
                }
            }
            _ => Err(format!("the condition {cc:?} of such flags")),
        }
    }

    fn trap_if(&mut self, cond: Cond, code: TrapCode) -> Result<(), SolverError> {
        let dividing = self.queue.get(self.next).is_some_and(|inst| {
            let opcode = self.clif.func.dfg.insts[*inst].opcode();
            matches!(opcode, Opcode::Udiv | Opcode::Sdiv | Opcode::Urem | Opcode::Srem)
        });
        if dividing {
            return Ok(());
        }
        let traps = |op: Opcode| matches!(op, Opcode::Trapz | Opcode::Trapnz);
        let Some(clif) = self.expect("a conditional trap", traps) else { return Ok(()) };
        let InstructionData::CondTrap { arg, code: wanted, opcode } =
            self.clif.func.dfg.insts[clif]
        else {
            return Ok(());
        };
        let cc = if opcode == Opcode::Trapz { IntCc::Eq } else { IntCc::Ne };
        let mine = self.clif_value(arg).and_then(|id| self.compare_to_zero(id, cc));
        let theirs = self.condition(cond);
        self.judge(clif, same(wanted == code, "another trap code"), &[(mine, theirs)])?;
        Ok(())
    }

    fn call(&mut self, call: &Call) -> Result<(), SolverError> {
        let is_call = |op: Opcode| match call.tail {
            true => matches!(op, Opcode::ReturnCall | Opcode::ReturnCallIndirect),
            false => matches!(op, Opcode::Call | Opcode::CallIndirect),
        };
        let Some(clif) = self.expect("a call", is_call) else { return Ok(()) };
        let dfg = &self.clif.func.dfg;
        let (signature, named, args) = match dfg.insts[clif] {
            InstructionData::Call { func_ref, .. } => {
                let callee = &dfg.ext_funcs[func_ref];
                (callee.signature, Some(callee.name.clone()), dfg.inst_args(clif).to_vec())
            }
            InstructionData::CallIndirect { sig_ref, .. } => {
                (sig_ref, None, dfg.inst_args(clif)[1..].to_vec())
            }
            _ => return Ok(()),
        };
        let mut pairs = Vec::new();
        let callee = match (call.callee, named) {
            (Callee::Named(name), Some(ExternalName::User(wanted))) => {
                same(name == wanted, "another callee")
            }
            (Callee::Address(reg), None) => {
                pairs.push((self.clif_value(self.clif.func.dfg.inst_args(clif)[0]), self.reg(reg)));
                Equality::Alike
            }
            _ => same(false, "another kind of callee"),
        };
        let slots = places(&self.clif.func.dfg.signatures[signature]);
        let Ok((arg_slots, ret_slots, _)) = slots else {
            self.lose("a signature that has no places".to_owned());
            return Ok(());
        };
        for (slot, arg) in arg_slots.iter().zip(args) {
            let mine = self.clif_value(arg);
            let theirs = match slot.place {
                Place::Reg(preg) => match call.uses.iter().find(|(_, at)| *at == preg) {
                    Some((reg, _)) => self.reg(*reg),
                    None => Err(format!("nothing is passed in {preg}")),
                },
                Place::Stack(offset) => {
                    let stored = self.outgoing.get(&offset).cloned();
                    stored.unwrap_or_else(|| Err(format!("nothing is passed at {offset}")))
                }
            };
            let width = slot.ty.bits();
            let theirs = theirs.and_then(|id| low(&mut self.values, id, width).map_err(text));
            pairs.push((mine, theirs));
        }
        let equal = self.judge(clif, callee, &pairs)?;
        self.outgoing.clear();
        let results = self.clif.func.dfg.inst_results(clif).to_vec();
        if equal && !results.is_empty() {
            self.checked.assume(CALLS);
        }
        for (slot, result) in ret_slots.iter().zip(results) {
            let width = self.clif.width(result);
            let (Some(width), true) = (width, equal) else {
                let why = format!("{result} is made of what is not proven equal");
                self.clif.define(result, Known::Nothing(why));
                continue;
            };
            let whole = if slot.ty.is_int() { 64 } else { 128 };
            let held = self.values.symbol(&result.to_string(), whole);
            match low(&mut self.values, held, width) {
                Ok(value) => self.clif.define(result, Known::Is(value)),
                Err(error) => self.clif.define(result, Known::Nothing(error.to_string())),
            }
            if let Place::Reg(preg) = slot.place
                && let Some((reg, _)) = call.defs.iter().find(|(_, at)| *at == preg)
            {
                self.set(*reg, Ok(held));
            }
        }
        Ok(())
    }

    fn ret(&mut self, uses: &[(VReg, regalloc2::PReg)]) -> Result<(), SolverError> {
        let Some(clif) = self.expect("a return", |op| op == Opcode::Return) else { return Ok(()) };
        let values = self.clif.func.dfg.inst_args(clif).to_vec();
        let Ok((_, slots, _)) = places(&self.clif.func.signature) else { return Ok(()) };
        let mut pairs = Vec::new();
        for (slot, value) in slots.iter().zip(values) {
            let mine = self.clif_value(value);
            let theirs = match slot.place {
                Place::Reg(preg) => match uses.iter().find(|(_, at)| *at == preg) {
                    Some((reg, _)) => self.reg(*reg),
                    None => Err(format!("nothing is returned in {preg}")),
                },
                Place::Stack(_) => Err("a result on the stack".to_owned()),
            };
            let width = slot.ty.bits();
            pairs
                .push((mine, theirs.and_then(|id| low(&mut self.values, id, width).map_err(text))));
        }
        self.judge(clif, Equality::Alike, &pairs)?;
        Ok(())
    }

    /// A branch: `pairs` decide where it goes, the edges pass values.
    fn branch(
        &mut self,
        clif: Inst,
        mut pairs: Vec<(Held, Held)>,
        succs: &[Edge],
    ) -> Result<(), SolverError> {
        let dfg = &self.clif.func.dfg;
        let calls: Vec<BlockCall> = match &dfg.insts[clif] {
            InstructionData::BranchTable { table, .. } => {
                let table = &dfg.jump_tables[*table];
                table.as_slice().iter().copied().chain([table.default_block()]).collect()
            }
            data => data.branch_destination(&dfg.jump_tables, &dfg.exception_tables).to_vec(),
        };
        let mut form = same(calls.len() == succs.len(), "another number of targets");
        for (call, edge) in calls.iter().zip(succs) {
            let block = call.block(&self.clif.func.dfg.value_lists);
            let wanted = self.selection.blocks.get(&block).copied();
            let mut edge = edge.clone();
            let is_split = Some(edge.to) != wanted;
            if is_split {
                let split = &self.selection.vcode.blocks[edge.to.index()];
                let flags = self.flags.clone();
                for inst in &split.insts {
                    if inst.has_effect() {
                        form = form.worse(same(false, "an effect between blocks"));
                    } else if let Kind::X86 { code, ops, .. } = &inst.kind {
                        self.x86(*code, ops, inst)?;
                    } else if !matches!(inst.kind, Kind::Jump) {
                        self.inst(inst, &[])?;
                    }
                }
                self.flags = flags;
                match split.succs.first() {
                    Some(next) => edge = next.clone(),
                    None => form = form.worse(same(false, "an edge that leads nowhere")),
                }
            }
            form = form.worse(same(Some(edge.to) == wanted, "another target"));
            self.edge(*call, block, &edge.args, &mut pairs);
        }
        self.judge(clif, form, &pairs)?;
        Ok(())
    }

    /// What an edge passes, in CLIF and in registers.
    fn edge(
        &mut self,
        call: BlockCall,
        block: Block,
        regs: &[VReg],
        pairs: &mut Vec<(Held, Held)>,
    ) {
        let args: Vec<BlockArg> = call.args(&self.clif.func.dfg.value_lists).collect();
        let params = self.clif.func.dfg.block_params(block).to_vec();
        for ((arg, param), reg) in args.iter().zip(params).zip(regs) {
            let BlockArg::Value(value) = *arg else {
                pairs.push((Err("a value of a call that can throw".to_owned()), Ok(Id(0))));
                continue;
            };
            let mine = self.clif_value(value);
            let theirs = self.reg(*reg);
            let width = self.clif.width(param).unwrap_or(64);
            if self.selection.zero_extended.contains(&param) {
                let wide =
                    mine.and_then(|id| self.values.convert(Op::Uextend, Ty::I64, id).map_err(text));
                pairs.push((wide, theirs));
            } else {
                let theirs = theirs.and_then(|id| low(&mut self.values, id, width).map_err(text));
                pairs.push((mine, theirs));
            }
        }
        if args.len() != regs.len() {
            pairs.push((Err("another number of values is passed".to_owned()), Ok(Id(0))));
        }
    }
}

/// Equal in what is no value, or not, and what differs.
fn same(equal: bool, what: &str) -> Equality {
    if equal { Equality::Alike } else { Equality::Other(what.to_owned()) }
}

/// Bits of a register operand.
fn width(kind: K) -> Option<u32> {
    Some(match kind {
        K::r8_or_mem | K::r8_reg | K::r8_opcode | K::cl | K::al => 8,
        K::r16_or_mem | K::r16_reg | K::r16_rm | K::r16_opcode => 16,
        K::r32_or_mem | K::r32_reg | K::r32_rm | K::r32_opcode | K::r32_vvvv | K::r32_reg_mem => 32,
        K::r64_or_mem | K::r64_reg | K::r64_rm | K::r64_opcode | K::r64_vvvv | K::r64_reg_mem => 64,
        K::xmm_or_mem | K::xmm_reg | K::xmm_rm | K::xmm_vvvv | K::xmm_is4 => 128,
        K::ymm_or_mem | K::ymm_reg | K::ymm_rm | K::ymm_vvvv | K::ymm_is4 => 256,
        _ => return None,
    })
}

fn is_byte(kind: K) -> bool {
    kind == K::imm8
}

/// Whether a memory operand of `kind` stands for a vector register.
fn vector_operand(kind: K, is_vector: bool) -> bool {
    matches!(kind, K::xmm_or_mem) || (kind == K::mem && is_vector)
}

/// Whether an instruction with memory as its first operand reads it.
fn reads_first(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(mnemonic, M::Add | M::Sub | M::And | M::Or | M::Xor | M::Cmp | M::Test)
}

/// Whether an instruction with memory as its first operand writes it.
fn writes_first(mnemonic: Mnemonic) -> bool {
    !matches!(mnemonic, Mnemonic::Cmp | Mnemonic::Test)
}

fn sets_flags(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Add
            | M::Sub
            | M::And
            | M::Or
            | M::Xor
            | M::Cmp
            | M::Test
            | M::Neg
            | M::Imul
            | M::Andn
            | M::Shl
            | M::Shr
            | M::Sar
            | M::Rol
            | M::Ror
            | M::Lzcnt
            | M::Tzcnt
            | M::Popcnt
            | M::Sbb
            | M::Vptest
            | M::Vucomiss
            | M::Vucomisd
    )
}

/// The condition of a conditional move or set.
fn condition_of(code: Code) -> Option<Cc> {
    use Mnemonic as M;
    Some(match code.mnemonic() {
        M::Setb | M::Cmovb => Cc::B,
        M::Setae | M::Cmovae => Cc::Ae,
        M::Sete | M::Cmove => Cc::E,
        M::Setne | M::Cmovne => Cc::Ne,
        M::Setbe | M::Cmovbe => Cc::Be,
        M::Seta | M::Cmova => Cc::A,
        M::Setp | M::Cmovp => Cc::P,
        M::Setnp | M::Cmovnp => Cc::Np,
        M::Setl | M::Cmovl => Cc::L,
        M::Setge | M::Cmovge => Cc::Ge,
        M::Setle | M::Cmovle => Cc::Le,
        M::Setg | M::Cmovg => Cc::G,
        _ => return None,
    })
}

/// Moves between lanes of vectors and integer registers.
fn lane_access(
    v: &mut Values,
    mnemonic: Mnemonic,
    x: &[Id],
    byte: Option<i64>,
) -> Option<machine::Made> {
    use Mnemonic as M;
    let ty = match mnemonic {
        M::Vpextrb | M::Vpinsrb => Ty::I8X16,
        M::Vpextrw | M::Vpinsrw => Ty::I16X8,
        M::Vpextrd | M::Vpinsrd | M::Vmovd => Ty::I32X4,
        M::Vpextrq | M::Vpinsrq | M::Vmovq => Ty::I64X2,
        M::Vpmovmskb => Ty::I8X16,
        M::Vmovmskps => Ty::I32X4,
        M::Vmovmskpd => Ty::I64X2,
        _ => return None,
    };
    let lane = byte.unwrap_or(0) as u128 % u128::from(ty.lanes());
    Some(match (mnemonic, x) {
        (M::Vpinsrb | M::Vpinsrw | M::Vpinsrd | M::Vpinsrq, [a, b]) => low(v, *b, ty.lane_bits())
            .and_then(|b| machine::imm(v, Op::Insertlane, ty, lane, &[*a, b])),
        (M::Vpmovmskb | M::Vmovmskps | M::Vmovmskpd, [a]) => {
            let node = egraft_ir::Node {
                from: ty,
                ..egraft_ir::Node::new(Op::VhighBits, Ty::I32, &[egraft_ir::ClassId(0)])
            };
            v.op(node, &[*a])
        }
        // From an integer register.
        (M::Vmovd | M::Vmovq, [a]) if v.width(*a) < 128 => machine::vector(v, *a),
        (M::Vmovd | M::Vmovq | M::Vpextrb | M::Vpextrw | M::Vpextrd | M::Vpextrq, [a]) => {
            machine::imm(v, Op::Extractlane, ty, lane, &[*a])
        }
        _ => return None,
    })
}
