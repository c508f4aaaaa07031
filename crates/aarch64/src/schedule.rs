//! The order of instructions in fast loops.
//!
//! Cranelift's mid-end leaves each pure instruction where it is first needed, so a loop that makes several turns at once
//! loads everything for all of them before it computes the first, and registers run out. Here instructions get the
//! order of their source locations again, all turns side by side; loads stand before their first readers, and accesses of
//! adjacent memory together, so that they can become pairs. Invariant: instructions that may touch the same memory
//! keep their order.

use crate::standin::StandIns;
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, SourceLoc, Value};
use egraft_loops::{Access, Accesses};
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Vector registers that a loop can count on.
const REGISTERS: usize = 30;

/// Where an instruction would stand: by source location, loads before what reads them.
type Key = (u32, bool);

const LAST: Key = (u32::MAX, true);

/// Gives `block`, of which all accesses are among `accesses`, a better order, if it has one.
pub(crate) fn schedule(
    func: &mut Function,
    block: Block,
    accesses: &Accesses,
    stand_ins: &StandIns,
) {
    let mut insts: Vec<Inst> = func.layout.block_insts(block).collect();
    let Some(last) = insts.pop() else { return };
    let Some(body) = Body::new(func, &insts, last, accesses, stand_ins) else { return };
    let order = body.order();
    if order.len() != insts.len() || body.excess(func, &order) > body.excess(func, &insts) {
        return;
    }
    for inst in &insts {
        func.layout.remove_inst(*inst);
    }
    for inst in order {
        func.layout.insert_inst(inst, last);
    }
}

/// The instructions of a block but the last.
struct Body<'a> {
    insts: &'a [Inst],
    last: Inst,
    /// By number, what must come before, and what after.
    waits: Vec<usize>,
    after: Vec<Vec<usize>>,
    keys: Vec<Key>,
}

impl<'a> Body<'a> {
    /// `None` if one has an effect that is not known here.
    fn new(
        func: &Function,
        insts: &'a [Inst],
        last: Inst,
        accesses: &Accesses,
        stand_ins: &StandIns,
    ) -> Option<Body<'a>> {
        let count = insts.len();
        let mut made: FxHashMap<Value, usize> = FxHashMap::default();
        for (at, inst) in insts.iter().enumerate() {
            made.extend(func.dfg.inst_results(*inst).iter().map(|value| (*value, at)));
        }
        let mut body = Body {
            insts,
            last,
            waits: vec![0; count],
            after: vec![Vec::new(); count],
            keys: vec![(0, true); count],
        };
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (at, inst) in insts.iter().enumerate() {
            for value in func.dfg.inst_values(*inst) {
                if let Some(&from) = made.get(&func.dfg.resolve_aliases(value)) {
                    body.depends(from, at);
                    readers[from].push(at);
                }
            }
        }
        let mut known: Vec<(usize, Access, bool)> = Vec::new();
        for (at, inst) in insts.iter().enumerate() {
            let opcode = func.dfg.insts[*inst].opcode();
            if let Some(access) = accesses[*inst] {
                let stores = opcode.can_store();
                for (earlier, other, stored) in &known {
                    if (stores || *stored) && access.may_meet(other) {
                        body.depends(*earlier, at);
                    }
                }
                known.push((at, access, stores));
            } else if opcode.can_load()
                || opcode.can_store()
                || opcode.can_trap()
                || opcode.other_side_effects()
            {
                return None;
            }
        }

        for (at, inst) in insts.iter().enumerate() {
            let place = func.stencil.srclocs[*inst].expand(SourceLoc::new(0));
            let own = (!place.is_default()).then(|| stand_ins.place(place.bits()));
            let operands = func.dfg.inst_values(*inst);
            let operands = operands.filter_map(|value| made.get(&func.dfg.resolve_aliases(value)));
            let latest = operands.map(|from| body.keys[*from].0).max().unwrap_or(0);
            body.keys[at] = (own.unwrap_or(0).max(latest), true);
        }
        // Loads, constants and scalars come when they are needed, and what counts turns at the end.
        let stores: FxHashSet<usize> =
            known.iter().filter(|(.., stores)| *stores).map(|(at, ..)| *at).collect();
        for at in (0..count).rev() {
            let results = func.dfg.inst_results(insts[at]);
            let is_scalar = !results.iter().any(|value| func.dfg.value_type(*value).is_vector());
            let is_load = accesses[insts[at]].is_some();
            if !stores.contains(&at) && (is_scalar || is_load || body.waits[at] == 0) {
                let first = readers[at].iter().map(|reader| body.keys[*reader]).min();
                body.keys[at] = first.map_or(LAST, |(key, _)| (key, false));
            }
        }
        body.pair(func, &mut known);
        Some(body)
    }

    fn depends(&mut self, first: usize, then: usize) {
        self.after[first].push(then);
        self.waits[then] += 1;
    }

    /// Lets accesses of adjacent memory stand together: loads when the first is needed, stores when both can be done.
    fn pair(&mut self, func: &Function, known: &mut [(usize, Access, bool)]) {
        known.sort_by_key(|(_, access, stores)| (*stores, access.group, access.copy, access.start));
        let mut at = 0;
        while at + 1 < known.len() {
            let [(one, low, stores), (other, high, also)] = [known[at], known[at + 1]];
            let aligned = offset(func, self.insts[one]) % i64::from(low.bytes.max(1)) == 0;
            if stores == also && low.bytes == high.bytes && low.precedes(&high) && aligned {
                let [first, then] = [self.keys[one], self.keys[other]];
                let both = if stores { first.max(then) } else { first.min(then) };
                self.keys[one] = both;
                self.keys[other] = both;
                at += 1;
            }
            at += 1;
        }
    }

    /// The instructions by their keys, as far as nothing has to wait.
    fn order(&self) -> Vec<Inst> {
        let mut waits = self.waits.clone();
        let ready = (0..waits.len()).filter(|at| waits[*at] == 0);
        let mut ready: BinaryHeap<Reverse<(Key, usize)>> =
            ready.map(|at| Reverse((self.keys[at], at))).collect();
        let mut order = Vec::with_capacity(self.insts.len());
        while let Some(Reverse((_, at))) = ready.pop() {
            order.push(self.insts[at]);
            for &next in &self.after[at] {
                waits[next] -= 1;
                if waits[next] == 0 {
                    ready.push(Reverse((self.keys[next], next)));
                }
            }
        }
        order
    }

    /// How many vectors do not fit into registers where most are live, in some order.
    fn excess(&self, func: &Function, order: &[Inst]) -> usize {
        let is_vector = |value: &Value| func.dfg.value_type(*value).is_vector();
        let values = |inst: Inst| {
            let values = func.dfg.inst_values(inst).map(|value| func.dfg.resolve_aliases(value));
            values.filter(is_vector).collect::<Vec<Value>>()
        };
        let made: FxHashSet<Value> = order
            .iter()
            .flat_map(|inst| func.dfg.inst_results(*inst))
            .copied()
            .filter(is_vector)
            .collect();
        // What comes from outside and is no parameter stays.
        let mut live: FxHashSet<Value> = FxHashSet::default();
        for inst in order.iter().chain([&self.last]) {
            let outside = values(*inst).into_iter().filter(|value| {
                !made.contains(value) && func.dfg.value_def(*value).inst().is_some()
            });
            live.extend(outside);
        }
        live.extend(values(self.last));
        let mut most = live.len();
        for inst in order.iter().rev() {
            for value in func.dfg.inst_results(*inst) {
                live.remove(value);
            }
            live.extend(values(*inst));
            most = most.max(live.len());
        }
        most.saturating_sub(REGISTERS)
    }
}

/// What an access adds to its address.
fn offset(func: &Function, inst: Inst) -> i64 {
    match func.dfg.insts[inst] {
        InstructionData::Load { offset, .. } | InstructionData::Store { offset, .. } => {
            offset.into()
        }
        _ => 0,
    }
}
