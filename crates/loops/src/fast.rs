//! Writes the loop anew, several turns at a time, with pointers instead of indices: say, a loop of four
//! turns at once, and straight code for two of those that remain.

use crate::addressing::{Addressing, Advance, Spot};
use crate::affine::{Affine, affine, is_outside, is_param, made_in};
use crate::counted::Counted;
use crate::guard::{Start, Turns};
use crate::reduction::Reduction;
use crate::scope::Scope;
use crate::streams::{Place, Streams, Stride};
use crate::{Access, Accesses};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Value, types,
};
use rustc_hash::{FxHashMap, FxHashSet};

/// Instructions of a loop from where on registers may be short.
const LONG: usize = 80;
/// Instructions behind which a load is repeated rather than a register kept.
const FAR: usize = 30;

/// What of a loop must be computed: nothing that only makes addresses.
pub(crate) struct Needed {
    pub(crate) insts: FxHashSet<Inst>,
    /// Parameters that the copies carry, by position; of these, some only count.
    pub(crate) params: Vec<usize>,
}

impl Needed {
    /// `outs` are values of the loop that are read behind it.
    pub(crate) fn new(func: &Function, counted: &Counted, outs: &[Value]) -> Needed {
        let block = counted.block;
        let params = func.dfg.block_params(block);
        let mut stack: Vec<Value> = Vec::new();
        let mut insts = FxHashSet::default();
        let mut carried = FxHashSet::default();
        for inst in &counted.insts {
            if func.dfg.insts[*inst].opcode().can_store() {
                insts.insert(*inst);
                stack.push(func.dfg.inst_args(*inst)[0]);
            }
        }
        for (param, next) in params.iter().zip(&counted.back) {
            if !counted.steps.contains_key(param) {
                stack.extend([*param, *next]);
            }
        }
        stack.extend(outs.iter().filter(|out| counted.counts(func, **out).is_none()));
        while let Some(value) = stack.pop() {
            if is_param(func, block, value) {
                if carried.insert(value) && !counted.steps.contains_key(&value) {
                    let at = params.iter().position(|param| *param == value);
                    stack.extend(at.map(|at| counted.back[at]));
                }
            } else if let Some(inst) = made_in(func, block, value)
                && insts.insert(inst)
                && !func.dfg.insts[inst].opcode().can_load()
            {
                stack.extend(func.dfg.inst_values(inst));
            }
        }
        let carried = (0..params.len()).filter(|at| carried.contains(&params[*at])).collect();
        Needed { insts, params: carried }
    }
}

impl Counted {
    /// `value` as a sum of what is known for each turn: counting parameters and values from outside.
    pub(crate) fn counts(&self, func: &Function, value: Value) -> Option<Affine> {
        let sum = affine(func, self.block, value)?;
        self.stride(func, &sum)?;
        Some(sum)
    }
}

/// Turns of the loop that are made several at once.
pub(crate) struct Stage {
    /// How many at once.
    pub(crate) copies: i64,
    /// How many, a multiple of that, and how many there were when it ends, in 64 bits.
    pub(crate) turns: Value,
    pub(crate) done: Value,
    /// What parameters are in the first of them.
    pub(crate) entry: Vec<Value>,
    /// Where it is made ready, where the turns are, and what follows; straight code is all in one block.
    pub(crate) before: Block,
    pub(crate) body: Block,
    pub(crate) after: Block,
}

/// What a stage leaves.
struct Left {
    /// What parameters are in the next turn.
    next: Vec<Value>,
    /// What is read behind the loop, should there be no next turn.
    outs: Vec<BlockArg>,
}

pub(crate) struct Fast<'a> {
    pub(crate) func: &'a mut Function,
    pub(crate) counted: &'a Counted,
    pub(crate) streams: &'a Streams,
    pub(crate) needed: &'a Needed,
    pub(crate) outs: &'a [Value],
    pub(crate) reductions: &'a FxHashMap<usize, Reduction>,
    /// What is written now.
    pub(crate) stage: Stage,
    /// How many turns straight code behind the fast loop makes, if there is any.
    pub(crate) rest: Option<i64>,
    pub(crate) turns: Turns,
    pub(crate) starts: Vec<Start>,
    /// Where all ways out meet.
    pub(crate) join: Block,
    /// The number of the first stream among all of the function.
    pub(crate) first_group: u32,
    /// Whether loads move to their readers.
    pub(crate) near_loads: bool,
    /// Whether each stream has a pointer of its own.
    pub(crate) pointers: bool,
}

impl Fast<'_> {
    pub(crate) fn at(&mut self, block: Block) -> FuncCursor<'_> {
        FuncCursor::new(self.func).at_bottom(block)
    }

    /// Writes all of it; `holds` is the condition for entering. Gives the straight code behind the loop.
    pub(crate) fn write(mut self, holds: Option<Value>, accesses: &mut Accesses) -> Option<Block> {
        let carried = &self.needed.params;
        let params = self.func.dfg.block_params(self.counted.block).to_vec();
        let Stage { copies, before, body, after, .. } = self.stage;
        let looped = self.counted.block;
        let steps = self.steps_of(carried, &params);
        // Parameters are made in the order in which they are passed.
        let now: Vec<Value> = carried.iter().map(|at| self.param(params[*at])).collect();
        let Advance { moves, places: mut addressing, end, more } = self.advance();
        let mut scopes = self.scopes(&params, &steps, &now, |this, at, _| this.param(params[at]));
        self.copies_of(&mut scopes, &params, &addressing, accesses);

        // Round again, or out.
        let mut back = Vec::new();
        let mut start: Vec<Value> = carried.iter().map(|at| self.stage.entry[*at]).collect();
        for (at, now) in carried.iter().zip(&now) {
            back.push(match steps.get(at) {
                Some(step) => self.moved_by(*now, *step, copies),
                None => {
                    let next = self.counted.back[*at];
                    let own = self.reductions.contains_key(at);
                    let scope = if own { scopes.first() } else { scopes.last() };
                    scope.and_then(|scope| scope.map.get(&next)).copied().unwrap_or(next)
                }
            });
        }
        for one in &moves {
            let next = self.at(body).ins().iadd(one.now, one.step);
            back.push(next);
            start.push(one.start);
        }
        for at in carried {
            let Some(reduction) = self.reductions.get(at) else { continue };
            for scope in &scopes[1..] {
                back.push(scope.map[&self.counted.back[*at]]);
                start.push(reduction.start(self.func, before, self.stage.entry[*at]));
            }
        }
        let counters = &back[carried.len()..][..moves.len()];
        let more = self.at(body).ins().icmp(more, counters[0], end);
        let counters = if self.rest.is_some() { block_args(counters) } else { Vec::new() };
        self.at(body).ins().brif(more, body, &block_args(&back), after, &counters);
        let start = block_args(&start);
        match holds {
            Some(holds) => {
                let entry = block_args(&self.stage.entry);
                self.at(before).ins().brif(holds, body, &start, looped, &entry)
            }
            None => self.at(before).ins().jump(body, &start),
        };
        let left = self.left(&scopes, &params);
        let Some(rest) = self.rest else {
            self.leave(after, &left);
            return None;
        };

        // It goes on where the counters of the loop are then. It has them under names of its own, so that no
        // address there is made of what they were before, which would need a register.
        for one in &moves {
            let then = self.func.dfg.append_block_param(after, types::I64);
            addressing.iter_mut().for_each(|place| place.rename(one.now, then));
        }
        let [straight, without] = [(); 2].map(|()| self.cold_block());
        let even = self.turns.even;
        let bit = self.at(after).ins().iconst(types::I64, rest);
        let some = self.at(after).ins().band(even, bit);
        self.at(after).ins().brif(some, straight, &[], without, &[]);
        self.leave(without, &left);
        let turns = self.at(straight).ins().iconst(types::I64, rest);
        let done = self.stage.done;
        let done = self.at(straight).ins().iadd(done, turns);
        let [before, body, after] = [straight; 3];
        let entry = left.next.clone();
        self.stage = Stage { copies: rest, turns, done, entry, before, body, after };
        let now: Vec<Value> = carried.iter().map(|at| left.next[*at]).collect();
        let mut scopes = self.scopes(&params, &steps, &now, |this, at, reduction| {
            reduction.start(this.func, straight, this.stage.entry[at])
        });
        self.copies_of(&mut scopes, &params, &addressing, accesses);
        let left = self.left(&scopes, &params);
        self.leave(straight, &left);
        Some(straight)
    }

    /// A block out of the way of other code.
    fn cold_block(&mut self) -> Block {
        let block = self.func.dfg.make_block();
        self.func.layout.insert_block(block, self.counted.block);
        self.func.layout.set_cold(block);
        block
    }

    /// A parameter of the fast loop like `param` of the loop.
    fn param(&mut self, param: Value) -> Value {
        let ty = self.func.dfg.value_type(param);
        self.func.dfg.append_block_param(self.stage.body, ty)
    }

    /// A scope for each copy, of which the first finds carried parameters to be `now`, and others what is
    /// counted, and accumulators that `own` gives.
    fn scopes(
        &mut self,
        params: &[Value],
        steps: &FxHashMap<usize, Step>,
        now: &[Value],
        own: impl Fn(&mut Self, usize, &Reduction) -> Value,
    ) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = (0..self.stage.copies).map(|_| Scope::default()).collect();
        let (first, others) = scopes.split_first_mut().expect("at least one copy");
        for (at, now) in self.needed.params.iter().zip(now) {
            first.map.insert(params[*at], *now);
            for (copy, scope) in (1..).zip(&mut *others) {
                let value = match (self.reductions.get(at), steps.get(at)) {
                    (Some(reduction), _) => own(self, *at, reduction),
                    (None, Some(step)) => self.moved_by(*now, *step, copy),
                    (None, None) => continue,
                };
                scope.map.insert(params[*at], value);
            }
        }
        scopes
    }

    /// By how much counting parameters that are carried change with each turn, as values.
    fn steps_of(&mut self, carried: &[usize], params: &[Value]) -> FxHashMap<usize, Step> {
        let mut steps = FxHashMap::default();
        for at in carried {
            if let Some(step) = self.counted.steps.get(&params[*at]) {
                let step = step.clone();
                let step = match step.terms.is_empty() {
                    true => Step::Known(step.constant),
                    false => Step::Fixed(step.value(self.func, self.stage.before)),
                };
                steps.insert(*at, step);
            }
        }
        steps
    }

    /// `value` after `turns` turns.
    fn moved_by(&mut self, value: Value, step: Step, turns: i64) -> Value {
        let Stage { before, body, .. } = self.stage;
        let by = match step {
            Step::Known(step) => {
                let by = i64::from(step).wrapping_mul(turns) as u32;
                self.at(body).ins().iconst(types::I32, i64::from(by))
            }
            Step::Fixed(step) if turns == 1 => step,
            Step::Fixed(step) => {
                let turns = self.at(before).ins().iconst(types::I32, turns);
                self.at(before).ins().imul(step, turns)
            }
        };
        self.at(body).ins().iadd(value, by)
    }

    /// The copies of the loop's instructions, side by side where nothing is in the way.
    fn copies_of(
        &mut self,
        scopes: &mut [Scope],
        params: &[Value],
        addressing: &[Addressing],
        accesses: &mut Accesses,
    ) {
        let needed = || {
            let all = self.counted.insts.iter();
            all.filter(|inst| self.needed.insts.contains(inst)).copied()
        };
        let mut insts: Vec<Inst> = match self.near_loads {
            true => self.order(needed()),
            false => needed().collect(),
        };
        self.gather_stores(&mut insts);
        if self.stage.copies == 1 || self.side_by_side(&insts) {
            let mut waiting: Vec<usize> = vec![0; scopes.len()];
            // A copy that reads what the one before it carries waits for it.
            while waiting[0] < insts.len() || waiting.iter().any(|at| *at < insts.len()) {
                for copy in 0..scopes.len() {
                    if waiting[copy] == insts.len() {
                        continue;
                    }
                    let inst = insts[waiting[copy]];
                    if copy > 0 && !self.take_over(scopes, params, copy, inst) {
                        continue;
                    }
                    self.copy(scopes, copy, inst, addressing, accesses);
                    waiting[copy] += 1;
                }
            }
        } else {
            for copy in 0..scopes.len() {
                for inst in &insts {
                    let taken = copy == 0 || self.take_over(scopes, params, copy, *inst);
                    debug_assert!(taken, "the copy before is complete");
                    self.copy(scopes, copy, *inst, addressing, accesses);
                }
            }
        }
        // What is carried round without being read by any instruction.
        for copy in 1..scopes.len() {
            for (at, param) in params.iter().enumerate() {
                if !scopes[copy].map.contains_key(param) {
                    let next = self.counted.back[at];
                    let known = scopes[copy - 1].map.get(&next).copied();
                    let outside = is_outside(self.func, self.counted.block, next);
                    let value = known.or(outside.then_some(next));
                    scopes[copy].map.extend(value.map(|value| (*param, value)));
                }
            }
        }
    }

    /// `needed` in order, but each load shortly before what reads it, and in long loops once more
    /// before a reader far behind: nothing stands between but stores that do not meet it.
    fn order(&self, needed: impl Iterator<Item = Inst>) -> Vec<Inst> {
        let dfg = &self.func.dfg;
        let mut order: Vec<Inst> = Vec::new();
        let long = self.needed.insts.len() > LONG;
        let mut loaded: FxHashMap<Value, (Inst, usize)> = FxHashMap::default();
        let mut loads: Vec<Inst> = Vec::new();
        for inst in needed {
            if self.streams.of.get(&inst).is_some_and(|place| !place.store) {
                loads.push(inst);
                continue;
            }
            let fresh = order.len();
            let is_due = |load: &Inst| {
                let made = dfg.inst_results(*load);
                dfg.inst_values(inst).any(|value| made.contains(&value))
                    || self.may_meet(inst, *load)
            };
            order.extend(loads.extract_if(.., |load| is_due(load)));
            if long {
                for value in dfg.inst_values(inst) {
                    let Some((load, at)) = loaded.get(&value).copied() else { continue };
                    let stored = |other: &Inst| {
                        self.streams.of.get(other).is_some_and(|place| place.store)
                            && self.may_meet(*other, load)
                    };
                    if order.len() - at > FAR && !order[at..].iter().any(stored) {
                        order.push(load);
                    }
                }
                for at in (fresh..order.len()).rev() {
                    let values = dfg.inst_results(order[at]).iter();
                    loaded.extend(values.map(|value| (*value, (order[at], at))));
                }
            }
            order.push(inst);
        }
        order.extend(loads);
        order
    }

    /// Moves each store down to the next one of adjacent memory, which may become one with it, where no
    /// access between them meets it: what is loaded between then comes before both.
    fn gather_stores(&self, insts: &mut [Inst]) {
        let stores = |inst: &Inst| self.streams.of.get(inst).filter(|place| place.store);
        for at in (0..insts.len()).rev() {
            let Some(place) = stores(&insts[at]) else { continue };
            let mut later = at + 1..insts.len();
            let next =
                later.find(|&later| stores(&insts[later]).is_some_and(|it| it.adjoins(place)));
            if let Some(next) = next
                && !insts[at + 1..next].iter().any(|other| self.may_meet(insts[at], *other))
            {
                insts[at..next].rotate_left(1);
            }
        }
    }

    /// Whether two accesses of one turn may touch the same byte; never for other instructions.
    fn may_meet(&self, one: Inst, other: Inst) -> bool {
        match (self.streams.of.get(&one), self.streams.of.get(&other)) {
            (Some(one), Some(other)) => one.meets(other, 0),
            _ => false,
        }
    }

    /// Gives `copy` the parameters that `inst` reads, if the copy before has made them.
    fn take_over(&self, scopes: &mut [Scope], params: &[Value], copy: usize, inst: Inst) -> bool {
        let dfg = &self.func.dfg;
        let skipped = match dfg.insts[inst] {
            InstructionData::Load { arg, .. } => Some(arg),
            InstructionData::Store { args, .. } => Some(args[1]),
            _ => None,
        };
        for value in dfg.inst_values(inst) {
            if Some(value) == skipped || scopes[copy].map.contains_key(&value) {
                continue;
            }
            if let Some(at) = params.iter().position(|param| *param == value) {
                let next = self.counted.back[at];
                let known = match scopes[copy - 1].map.get(&next) {
                    Some(known) => *known,
                    None if is_outside(self.func, self.counted.block, next) => next,
                    None => return false,
                };
                scopes[copy].map.insert(value, known);
            }
        }
        true
    }

    /// Whether no store of one copy meets an access of another.
    fn side_by_side(&self, insts: &[Inst]) -> bool {
        let all = || insts.iter().filter_map(|inst| self.streams.of.get(inst));
        all().filter(|place| place.store).all(|store| {
            let Stride::Known(stride) = self.streams.all[store.stream].stride else { return false };
            let copies = self.stage.copies;
            let mut others = (1 - copies..copies).filter(|copy| *copy != 0);
            others.all(|copy| !all().any(|place| store.meets(place, copy * i64::from(stride))))
        })
    }

    fn copy(
        &mut self,
        scopes: &mut [Scope],
        copy: usize,
        inst: Inst,
        addressing: &[Addressing],
        accesses: &mut Accesses,
    ) {
        let Some(&Place { stream, start, bytes, .. }) = self.streams.of.get(&inst) else {
            scopes[copy].copy(self.func, self.stage.body, inst);
            return;
        };
        let place = &addressing[stream];
        let Spot { base, apart, index, scale } = place.spots[copy];
        let body = self.stage.body;
        let address = match index {
            None => base,
            Some(index) => {
                let mut cursor = self.at(body);
                let index = match scale {
                    0 => index,
                    scale => {
                        let scale = cursor.ins().iconst(types::I64, i64::from(scale));
                        cursor.ins().ishl(index, scale)
                    }
                };
                cursor.ins().iadd(base, index)
            }
        };
        let offset = start + apart;
        let (address, offset) = match i32::try_from(offset) {
            Ok(offset) => (address, offset),
            Err(_) => {
                let offset = self.at(body).ins().iconst(types::I64, offset);
                (self.at(body).ins().iadd(address, offset), 0)
            }
        };
        let new = scopes[copy].copy(self.func, body, inst);
        self.point(new, address, offset);
        accesses[new] = Some(Access {
            group: self.first_group + stream as u32,
            copy: if place.exact { 0 } else { copy as u32 },
            start: start + apart,
            bytes,
        });
    }

    /// Lets a load or store access `address + offset`, where it is known not to trap.
    fn point(&mut self, inst: Inst, to: Value, by: i32) {
        let dfg = &mut self.func.dfg;
        let (InstructionData::Load { flags, .. } | InstructionData::Store { flags, .. }) =
            dfg.insts[inst]
        else {
            unreachable!("an access to memory");
        };
        let mut data = dfg.mem_flags[flags];
        data.set_notrap();
        let safe = dfg.mem_flags.insert_unchecked(data);
        match &mut dfg.insts[inst] {
            InstructionData::Load { arg, offset, flags, .. } => {
                (*arg, *offset, *flags) = (to, by.into(), safe);
            }
            InstructionData::Store { args, offset, flags, .. } => {
                (args[1], *offset, *flags) = (to, by.into(), safe);
            }
            _ => {}
        }
    }

    /// What the stage leaves, made where it ends.
    fn left(&mut self, scopes: &[Scope], params: &[Value]) -> Left {
        let (after, looped) = (self.stage.after, self.counted.block);
        let last = scopes.last().expect("at least one copy");
        // Counting parameters as they are after all turns of the stage, and in the last one.
        let mut next = Vec::new();
        let mut final_turn = Scope::default();
        let mut totals = FxHashMap::default();
        for (at, reduction) in self.reductions {
            let made = self.counted.back[*at];
            let shares = scopes.iter().map(|scope| scope.map[&made]);
            let total = shares.reduce(|one, other| reduction.join(self.func, after, one, other));
            totals.extend(total.map(|total| (made, total)));
        }
        for (at, param) in params.iter().enumerate() {
            let value = match self.counted.steps.get(param).cloned() {
                Some(step) => {
                    let step = match step.terms.is_empty() {
                        true => {
                            let step = i64::from(step.constant as u32);
                            self.at(after).ins().iconst(types::I32, step)
                        }
                        false => step.value(self.func, after),
                    };
                    let turns = self.stage.turns;
                    let turns = self.at(after).ins().ireduce(types::I32, turns);
                    let moved = self.at(after).ins().imul(turns, step);
                    let entry = self.stage.entry[at];
                    let value = self.at(after).ins().iadd(entry, moved);
                    let before = self.at(after).ins().isub(value, step);
                    final_turn.map.insert(*param, before);
                    value
                }
                None => {
                    let next = self.counted.back[at];
                    let total = totals.get(&next).or_else(|| last.map.get(&next));
                    total.copied().unwrap_or(next)
                }
            };
            next.push(value);
        }
        let outs = self
            .outs
            .iter()
            .map(|out| match totals.get(out).or_else(|| last.map.get(out)) {
                Some(known) => BlockArg::Value(*known),
                None => BlockArg::Value(final_turn.value(self.func, looped, after, *out)),
            })
            .collect();
        Left { next, outs }
    }

    /// Ends `block`, which the stage leads to: the loop as it was makes the turns that are left.
    fn leave(&mut self, block: Block, left: &Left) {
        let (join, looped) = (self.join, self.counted.block);
        let (all, done) = (self.turns.all, self.stage.done);
        if all == done {
            self.at(block).ins().jump(join, &left.outs);
        } else {
            let some = self.at(block).ins().icmp(IntCC::NotEqual, all, done);
            let next = block_args(&left.next);
            self.at(block).ins().brif(some, looped, &next, join, &left.outs);
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Known(i32),
    Fixed(Value),
}

pub(crate) fn block_args(values: &[Value]) -> Vec<BlockArg> {
    values.iter().map(|value| BlockArg::Value(*value)).collect()
}
