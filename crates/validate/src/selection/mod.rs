//! Selection: the CLIF that instructions are selected for against machine code on virtual registers.
//!
//! Machine code is executed symbolically, block by block, each register a value of the graph that the
//! CLIF's values are in. The n-th effect of a block is the n-th of its machine block: addresses are
//! proven equal and what is loaded is the same symbol. Registers of block parameters hold the CLIF
//! parameter in their low bits and anything above, unless selection says zeros, which every edge then
//! has to prove.
//!
//! Does not look at packing, register allocation and emission.

mod flags;
mod memory;
mod x86;

use crate::clif::{Clif, Known};
use crate::machine::{self, low};
use crate::report::{Checked, Unproven};
use crate::solve::{Equality, Prover};
use crate::values::{Id, Values};
use cranelift_codegen::ir::{
    Block, BlockArg, BlockCall, ExternalName, Inst, InstructionData, Opcode, TrapCode, Value,
};
use egraft_ir::effects::{Effect, effect_of};
use egraft_ir::{EvalError, IntCc, Op, Ty};
use egraft_verify::smt::SolverError;
use egraft_x64::observe::{
    Call, Callee, Cond, Edge, Inst as Machine, Kind, Place, Selection, places,
};
use flags::Flags;
use iced_x86::Mnemonic;
use memory::Floating;
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
        self.float_loads();
        self.read_only_loads(block);
        for inst in &code.insts {
            self.inst(inst, &code.succs)?;
        }
        self.finish();
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
    fn finish(&mut self) {
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
