//! Addresses, loads and stores of CLIF and of machine code.

use super::{APART, Held, MEMORY, Pair, same, text};
use crate::clif::Known;
use crate::machine::{self, low};
use crate::solve::Equality;
use crate::values::Id;
use cranelift_codegen::ir::{Block, InstructionData, Opcode, Value};
use egraft_ir::effects::{Effect, effect_of};
use egraft_ir::{Op, Ty};
use egraft_loops::Access;
use egraft_verify::smt::SolverError;
use egraft_x64::observe::{Inst as Machine, Mem};

/// A load of the CLIF that has no place in the order of effects.
#[derive(Clone, Copy)]
pub(super) struct Floating {
    pub(super) address: Id,
    pub(super) raw: Id,
    pub(super) access: Access,
    /// Stores of the block before it.
    pub(super) stores: usize,
}

impl Pair<'_> {
    /// Loads of fast loops are symbols by address from the start: one for all loads of a place that no
    /// store between may meet.
    pub(super) fn float_loads(&mut self) {
        let mut stores: Vec<Option<Access>> = Vec::new();
        let mut queue = Vec::new();
        for inst in std::mem::take(&mut self.queue) {
            let data = self.clif.func.dfg.insts[inst];
            let (Some(access), InstructionData::Load { arg, offset, .. }) =
                (self.selection.accesses[inst], data)
            else {
                if data.opcode().can_store() {
                    stores.push(self.selection.accesses[inst]);
                }
                queue.push(inst);
                continue;
            };
            let result = self.clif.func.dfg.first_result(inst);
            let address = match self.address_of(arg, offset.into()) {
                Ok(address) => address,
                Err(why) => {
                    self.clif.define(result, Known::Nothing(why));
                    continue;
                }
            };
            let met = |store: &Option<Access>| store.is_none_or(|store| store.may_meet(&access));
            let same = self.floating.iter().find(|load| {
                load.address == address
                    && load.access == access
                    && !stores[load.stores..].iter().any(met)
            });
            let (raw, known) =
                self.clif.given(&mut self.values, inst, result, same.map(|load| load.raw));
            if let Some(raw) = raw {
                self.floating.push(Floating { address, raw, access, stores: stores.len() });
            }
            self.clif.define(result, known);
        }
        self.queue = queue;
    }

    /// Notes the read-only loads of a block whose addresses are known.
    pub(super) fn read_only_loads(&mut self, block: Block) {
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
    pub(super) fn address_of(&mut self, base: Value, offset: i32) -> Held {
        match self.clif.value(&mut self.values, base) {
            Known::Is(id) => self.values.sum(&[id], i64::from(offset)).map_err(text),
            Known::Nothing(why) => Err(why),
        }
    }

    /// The address of a memory operand.
    pub(super) fn machine_address(&mut self, mem: Mem) -> Held {
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

    /// A constant behind the code, from its lowest byte.
    pub(super) fn constant(&mut self, mem: Mem, bits: u32) -> Held {
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
    pub(super) fn loaded(
        &mut self,
        mem: Mem,
        bits: u32,
        inst: &Machine,
    ) -> Result<Held, SolverError> {
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
    pub(super) fn floated(
        &mut self,
        address: Held,
        bits: u32,
        access: Access,
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
    pub(super) fn moved(&mut self, load: Floating, access: Access) -> Held {
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
    pub(super) fn clif_store(&self, at: usize) -> Option<Access> {
        let dfg = &self.clif.func.dfg;
        let mut stores = self.queue.iter().filter(|inst| dfg.insts[**inst].opcode().can_store());
        self.selection.accesses[*stores.nth(at)?]
    }

    /// A store of the low `bits` of `held`.
    pub(super) fn stored(
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
}
