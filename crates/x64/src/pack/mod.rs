//! Pairs of equal 128-bit instructions become one instruction of 256 bits; then, where there is
//! AVX-512, pairs of these one of 512.
//!
//! Works on selected machine code, where nearly all of AVX2 does to each half of a register what the
//! 128-bit form does to the whole: so two instructions of one kind in a block, that do not depend on
//! one another, are one instruction on pairs of operands. Pairs are grown from seeds (values that are
//! stored one after the other, both operands of one instruction, parameters of a loop) down to their
//! operands, and kept if they save more than it costs to put operands together and take halves out.
//! The order is that of superword-level parallelism (Larsen and Amarasinghe, PLDI 2000), one level
//! lower.
//!
//! Memory is accessed as before: every load and store keeps its width, place, trap and source
//! location. But in loops of which it is known that no access traps (`egraft-loops`), adjacent
//! accesses become one, at the place of the later.
//!
//! Invariant: the lower half of a wide register is the first value of a pair, and may be read as it
//! is by 128-bit instructions.

mod facts;
mod fold;
mod lanes;
mod masks;
mod narrow;
mod order;
mod rebuild;
mod seeds;
mod widen;

pub(crate) use lanes::crosses;
pub(crate) use rebuild::TILE;

use crate::vcode::{Block, Kind, Mem, Opnd, VCode};
use cranelift_codegen::{VCodeConstant, VCodeConstants};
use facts::{Def, Facts, Place, Use, WayOut, x86};
use iced_x86::Code;
use lanes::Widening;
use regalloc2::{RegClass, VReg};
use rustc_hash::FxHashMap;
use std::cell::RefCell;

/// How many pairs may hang on one another.
const DEPTH: usize = 200;
/// Instructions looked at to see whether one depends on another.
const SEARCH: usize = 300;
/// The same in all searches together, for each instruction of the function.
const SEARCH_PER_INST: usize = 64;
/// How far apart in a list of stores two may be.
const STORE_REACH: usize = 4;

/// How many parameters of a loop one is tried with.
const PARAM_REACH: usize = 12;

/// How deep trials may nest.
const MAX_TRIALS: usize = 2;

/// Costs in quarters of an instruction, before loops weigh in. What a pack saves where it is of 256
/// bits, and where it is of 512, for which processors have fewer units.
const INST: i64 = 4;
const WIDEST_INST: i64 = 2;
/// To put two registers together.
const JOIN: i64 = 5;
/// To load the upper half where it was loaded anyway.
const JOIN_LOAD: i64 = 2;
/// To load halves that both were operands of what used them.
const UNFOLD: i64 = 8;
/// To take the upper half out, and to store it instead of a register.
const SPLIT: i64 = 5;
const SPLIT_STORE: i64 = 2;

/// Bytes that caches move together.
const LINE: i64 = 64;
/// From how many instructions of 256 bits on, for two lines that come or go, a loop may gain by more than
/// 256 bits. Measured on an Ice Lake server, on data in its second cache and beyond.
const INSTS_PER_TWO_LINES: i64 = 10;

/// What becomes of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// Two of 128 bits become one of 256.
    Bits256,
    /// Two of 256 bits become one of 512.
    Bits512,
}

/// Packs what pays.
pub(crate) fn pack(vcode: &mut VCode, constants: &mut VCodeConstants, level: Level) {
    let facts = Facts::new(vcode);
    let insts = vcode.blocks.iter().map(|block| block.insts.len()).sum::<usize>();
    let streaming = match level {
        Level::Bits256 => vec![false; vcode.blocks.len()],
        Level::Bits512 => vcode.blocks.iter().map(streams).collect(),
    };
    let mut packer = Packer {
        level,
        streaming,
        vregs: vcode.vregs,
        vcode,
        facts,
        packs: Vec::new(),
        member: FxHashMap::default(),
        joins: Vec::new(),
        join_of: FxHashMap::default(),
        joined: FxHashMap::default(),
        unfolded: FxHashMap::default(),
        unfolds: FxHashMap::default(),
        stores: FxHashMap::default(),
        merges: FxHashMap::default(),
        absorbed: FxHashMap::default(),
        sunk: FxHashMap::default(),
        journal: Vec::new(),
        trials: 0,
        search: RefCell::new(Search {
            left: SEARCH + SEARCH_PER_INST * insts,
            ..Search::default()
        }),
    };
    packer.seed_params();
    packer.seed_stores();
    packer.seed_operands();
    packer.seed_terms();
    packer.seed_widened();
    if !packer.packs.is_empty() {
        *vcode = rebuild::rebuild(packer, constants);
        fold::fold_loads(vcode);
    }
}

/// Whether `block` is of a fast loop that rather waits for memory than for arithmetic. Wider registers do not
/// help it, and accesses of 64 bytes cross into another line whenever they are not aligned.
fn streams(block: &Block) -> bool {
    let mut places: Vec<(u32, u32, i64, i64)> = Vec::new();
    let mut bytes = 0;
    for inst in &block.insts {
        let Some(access) = inst.access else { continue };
        let length = i64::from(access.bytes);
        places.push((access.group, access.copy, access.start, access.start + length));
        // What is written comes as well, before it goes.
        bytes += if inst.stores() { length } else { 0 };
    }
    places.sort_unstable();
    let mut reached = None;
    for (group, copy, start, end) in places {
        let from = match reached {
            Some((of, to)) if of == (group, copy) => start.max(to),
            _ => start,
        };
        bytes += (end - from).max(0);
        reached = Some(((group, copy), end.max(from)));
    }
    (block.insts.len() as i64) * 2 * LINE < INSTS_PER_TWO_LINES * bytes
}

/// A search for what an instruction depends on.
#[derive(Default)]
struct Search {
    /// By place in the block, the number of the search that last came there.
    seen: Vec<u32>,
    number: u32,
    stack: Vec<u32>,
    /// Instructions that may still be looked at in all searches; then everything depends.
    left: usize,
}

/// Where a wide operand comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    /// Made wide: by index in [`Packer::packs`].
    Pack(usize),
    /// Put together: by index in [`Packer::joins`].
    Join(usize),
}

/// An operand of a packed instruction.
#[derive(Clone, Copy, Debug)]
enum Wide {
    Def,
    Use(Source),
    /// Read and written.
    Mod(Source),
    /// The same for both halves: a count, or what a widening reads.
    Scalar(VReg),
    Imm(i64),
    Constants(VCodeConstant, VCodeConstant),
    /// The memory that the instruction there accesses, or what begins with it.
    Memory(Place),
}

#[derive(Debug)]
enum How {
    Insts {
        lo: Place,
        hi: Place,
        code: Code,
        ops: Vec<Wide>,
    },
    /// Widens the low halves of both halves of a register.
    Lows {
        lo: Place,
        hi: Place,
        widening: &'static Widening,
        from: Source,
    },
    /// Narrows both halves of the first register into the lower half, those of the second into the
    /// upper one; `code` does so within 128 bits.
    Narrow {
        lo: Place,
        hi: Place,
        code: Code,
        from: [Source; 2],
    },
    /// All zeros or all ones.
    Idiom {
        lo: Place,
        hi: Place,
        code: Code,
    },
    /// The sources by edge into the block.
    Params {
        block: usize,
        edges: Vec<Source>,
    },
}

/// Two registers that become one.
#[derive(Debug)]
struct Pack {
    lo: VReg,
    hi: VReg,
    to: VReg,
    how: How,
}

/// Two registers that are put together.
#[derive(Debug, Clone, Copy)]
struct Join {
    lo: VReg,
    hi: VReg,
    to: VReg,
}

enum Step {
    Pack,
    Join,
    Unfolded(Place),
    Store(Place),
    Merge([Place; 2]),
    Absorbed([Place; 2]),
    /// An instruction, and where it stood by then.
    Sunk(Place, Option<Place>),
}

/// Two stores that become one.
#[derive(Debug, Clone, Copy)]
struct Merge {
    pack: usize,
    /// The store of the lower half.
    lo: Place,
    /// Where the one store is.
    at: Place,
}

struct Packer<'a> {
    level: Level,
    /// Blocks that are left as they are.
    streaming: Vec<bool>,
    vcode: &'a VCode,
    facts: Facts,
    vregs: usize,
    packs: Vec<Pack>,
    /// The pack of each register that is a half of one.
    member: FxHashMap<VReg, usize>,
    joins: Vec<Join>,
    join_of: FxHashMap<(VReg, VReg), usize>,
    /// How many joins read a register.
    joined: FxHashMap<VReg, usize>,
    /// Registers for memory operands that become loads of their own.
    unfolded: FxHashMap<Place, VReg>,
    /// The same, the other way round.
    unfolds: FxHashMap<VReg, Place>,
    /// Stores of the upper half of a pack.
    stores: FxHashMap<Place, usize>,
    /// Stores of both halves of a pack at once, by either place.
    merges: FxHashMap<Place, Merge>,
    /// Instructions whose work a pack of others does, by index in [`Packer::packs`].
    absorbed: FxHashMap<Place, usize>,
    /// Instructions that are no halves, and behind which other one they are now.
    sunk: FxHashMap<Place, Place>,
    /// What was done, to be undone.
    journal: Vec<Step>,
    /// How many trials are under way, one within another.
    trials: usize,
    search: RefCell<Search>,
}

impl<'a> Packer<'a> {
    fn new_reg(&mut self) -> VReg {
        self.new_of(RegClass::Float)
    }

    fn new_mask(&mut self) -> VReg {
        self.new_of(RegClass::Vector)
    }

    fn new_of(&mut self, class: RegClass) -> VReg {
        let reg = VReg::new(self.vregs, class);
        self.vregs += 1;
        reg
    }

    fn inst(&self, place: Place) -> &'a crate::vcode::Inst {
        &self.vcode.blocks[place.0].insts[place.1]
    }

    fn is_member(&self, reg: VReg) -> bool {
        self.member.contains_key(&reg)
    }

    /// Whether two accesses can be one, at the place of the later.
    fn can_merge(&self, lo: Place, hi: Place) -> bool {
        let access = |place| self.inst(place).access;
        let (Some(low), Some(high)) = (access(lo), access(hi)) else { return false };
        lo.0 == hi.0 && low.precedes(&high) && self.can_move(lo.min(hi), lo.max(hi))
    }

    /// Whether an access can be made later in its block.
    fn can_move(&self, from: Place, to: Place) -> bool {
        let moved = self.inst(from);
        (from.1 + 1..=to.1).all(|at| {
            let inst = self.inst((from.0, at));
            match (moved.access, inst.access) {
                (Some(one), Some(other)) => {
                    !(moved.stores() || inst.stores()) || !one.may_meet(&other)
                }
                _ => !inst.has_effect(),
            }
        })
    }

    /// Undoes all but the first `steps` of the journal.
    fn undo(&mut self, steps: usize) {
        for step in self.journal.split_off(steps).into_iter().rev() {
            match step {
                Step::Pack => {
                    let pack = self.packs.pop().expect("one for each step");
                    self.member.remove(&pack.lo);
                    self.member.remove(&pack.hi);
                }
                Step::Join => {
                    let join = self.joins.pop().expect("one for each step");
                    self.join_of.remove(&(join.lo, join.hi));
                    for reg in [join.lo, join.hi] {
                        *self.joined.entry(reg).or_default() -= 1;
                    }
                }
                Step::Unfolded(place) => {
                    if let Some(reg) = self.unfolded.remove(&place) {
                        self.unfolds.remove(&reg);
                    }
                }
                Step::Store(place) => {
                    self.stores.remove(&place);
                }
                Step::Merge(places) => {
                    for place in places {
                        self.merges.remove(&place);
                    }
                }
                Step::Absorbed(places) => {
                    for place in places {
                        self.absorbed.remove(&place);
                    }
                }
                Step::Sunk(place, before) => {
                    match before {
                        Some(before) => self.sunk.insert(place, before),
                        None => self.sunk.remove(&place),
                    };
                }
            }
        }
    }

    /// The register whose halves are `lo` and `hi`.
    fn source(&mut self, lo: VReg, hi: VReg, depth: usize) -> Source {
        match (self.member.get(&lo), self.member.get(&hi)) {
            (Some(&one), Some(&other))
                if one == other && self.packs[one].lo == lo && self.packs[one].hi == hi =>
            {
                return Source::Pack(one);
            }
            (None, None) if lo == hi => {
                if let Some(pack) = self.splat(lo) {
                    return Source::Pack(pack);
                }
            }
            (None, None) if lo != hi && depth < DEPTH => {
                let pack = match (self.facts.def(lo), self.facts.def(hi)) {
                    (Def::Inst(one), Def::Inst(other))
                        if one.0 == other.0 && one != other && !self.streaming[one.0] =>
                    {
                        self.pair(lo, hi, one, other, depth)
                    }
                    (Def::Param(one, lo_at), Def::Param(other, hi_at))
                        if one == other && !self.streaming[one] =>
                    {
                        self.pair_params(lo, hi, one, (lo_at, hi_at), depth)
                    }
                    _ => None,
                };
                if let Some(pack) = pack {
                    return Source::Pack(pack);
                }
            }
            _ => {}
        }
        self.join(lo, hi)
    }

    fn join(&mut self, lo: VReg, hi: VReg) -> Source {
        if let Some(&join) = self.join_of.get(&(lo, hi)) {
            return Source::Join(join);
        }
        let to = self.new_reg();
        let join = self.joins.len();
        self.joins.push(Join { lo, hi, to });
        self.join_of.insert((lo, hi), join);
        for reg in [lo, hi] {
            *self.joined.entry(reg).or_default() += 1;
        }
        self.journal.push(Step::Join);
        Source::Join(join)
    }

    fn push(&mut self, lo: VReg, hi: VReg, how: How) -> usize {
        let to = self.new_reg();
        let pack = self.packs.len();
        self.packs.push(Pack { lo, hi, to, how });
        self.member.insert(lo, pack);
        self.member.insert(hi, pack);
        self.journal.push(Step::Pack);
        pack
    }

    /// Fills both halves with what fills the lower one now.
    fn splat(&mut self, reg: VReg) -> Option<usize> {
        let Def::Inst(place) = self.facts.def(reg) else { return None };
        let (narrow, ops) = x86(self.inst(place))?;
        let (code, from) = match (narrow, ops) {
            (code, &[_, Opnd::Mem(Mem::Constant(constant))])
                if self.level.is_load_of_half(code) =>
            {
                (self.level.load(), Wide::Constants(constant, constant))
            }
            (code, &[_, Opnd::Use(from) | Opnd::UseReg(from)]) => {
                (self.level.broadcast(code)?, Wide::Scalar(from))
            }
            (code, &[_, Opnd::Mem(_)]) => (self.level.broadcast(code)?, Wide::Memory(place)),
            _ => return None,
        };
        let ops = vec![Wide::Def, from];
        Some(self.push(reg, reg, How::Insts { lo: place, hi: place, code, ops }))
    }

    /// Packs the instructions that make `lo` and `hi`, if they are alike and independent.
    fn pair(
        &mut self,
        lo: VReg,
        hi: VReg,
        one: Place,
        other: Place,
        depth: usize,
    ) -> Option<usize> {
        // The pack will be at the later of both places, which must not have moved.
        let moved = |place| self.sunk.get(&place).is_some_and(|to| *to >= one.max(other));
        if moved(one) || moved(other) {
            return None;
        }
        if let (Kind::Idiom { code, .. }, Kind::Idiom { code: same, .. }) =
            (&self.inst(one).kind, &self.inst(other).kind)
        {
            let code = self.level.idiom(*code).filter(|_| code == same)?;
            return Some(self.push(lo, hi, How::Idiom { lo: one, hi: other, code }));
        }
        if let Some((code, from)) = self.widening(one, other) {
            let ops = vec![Wide::Def, Wide::Scalar(from)];
            return Some(self.push(lo, hi, How::Insts { lo: one, hi: other, code, ops }));
        }
        let (narrow, one_ops) = x86(self.inst(one))?;
        let (same, other_ops) = x86(self.inst(other))?;
        if self.level == Level::Bits256
            && let Some(widening) =
                self.level.widenings().iter().find(|widening| widening.low == narrow)
            && narrow == same
            && let (Opnd::Use(from) | Opnd::UseReg(from), Opnd::Use(too) | Opnd::UseReg(too)) =
                (one_ops[1], other_ops[1])
            && from != too
            && self.are_independent(one, other)
        {
            let how = How::Lows { lo: one, hi: other, widening, from: Source::Pack(usize::MAX) };
            let pack = self.push(lo, hi, how);
            let source = self.source(from, too, depth + 1);
            if let How::Lows { from, .. } = &mut self.packs[pack].how {
                *from = source;
            }
            return Some(pack);
        }
        if let Some(code) = self.level.load_of_both(narrow)
            && narrow == same
            && self.can_merge(one, other)
        {
            let ops = vec![Wide::Def, Wide::Memory(one)];
            return Some(self.push(lo, hi, How::Insts { lo: one, hi: other, code, ops }));
        }
        if let Some(pack) = self.narrow(lo, hi, [one, other], depth) {
            return Some(pack);
        }
        let alike = narrow == same && one_ops.len() == other_ops.len();
        let code = self.level.wide(narrow).filter(|_| alike)?;
        let fits = |at: usize| {
            let both = self.is_wide_operand(code, at);
            match (one_ops[at], other_ops[at]) {
                (Opnd::Def(_), Opnd::Def(_)) => at == 0,
                (Opnd::Mod { .. }, Opnd::Mod { .. }) => at == 0,
                (Opnd::Imm(one), Opnd::Imm(other)) => {
                    self.level.immediate(narrow, one, other).is_some()
                }
                (Opnd::Use(one) | Opnd::UseReg(one), Opnd::Use(other) | Opnd::UseReg(other)) => {
                    both || one == other
                }
                (Opnd::Mem(Mem::Constant(_)), Opnd::Mem(Mem::Constant(_))) => both,
                (Opnd::Mem(Mem::Address { .. }), Opnd::Mem(Mem::Address { .. })) => {
                    both && one_ops.len() > 2
                }
                _ => false,
            }
        };
        if !(0..one_ops.len()).all(fits) || !self.are_independent(one, other) {
            return None;
        }
        let pack = self.push(lo, hi, How::Insts { lo: one, hi: other, code, ops: Vec::new() });
        let mut all = Vec::with_capacity(one_ops.len());
        for at in 0..one_ops.len() {
            let op = match (one_ops[at], other_ops[at]) {
                (Opnd::Mod { from, .. }, Opnd::Mod { from: other, .. }) => {
                    Wide::Mod(self.source(from, other, depth + 1))
                }
                (Opnd::Imm(one), Opnd::Imm(other)) => {
                    Wide::Imm(self.level.immediate(narrow, one, other).unwrap_or(one))
                }
                (Opnd::Use(from) | Opnd::UseReg(from), Opnd::Use(other) | Opnd::UseReg(other)) => {
                    if self.is_wide_operand(code, at) {
                        Wide::Use(self.source(from, other, depth + 1))
                    } else {
                        Wide::Scalar(from)
                    }
                }
                (Opnd::Mem(Mem::Constant(one)), Opnd::Mem(Mem::Constant(other))) => {
                    Wide::Constants(one, other)
                }
                (Opnd::Mem(_), Opnd::Mem(_)) if self.can_merge(one, other) => Wide::Memory(one),
                (Opnd::Mem(_), Opnd::Mem(_)) => {
                    let (from, other) = (self.unfold(one), self.unfold(other));
                    Wide::Use(self.join(from, other))
                }
                _ => Wide::Def,
            };
            all.push(op);
        }
        if let How::Insts { ops, .. } = &mut self.packs[pack].how {
            *ops = all;
        }
        Some(pack)
    }

    /// What packing these pairs would save.
    fn trial(&mut self, pairs: [(VReg, VReg); 2], depth: usize) -> i64 {
        let (packs, joins, steps) = (self.packs.len(), self.joins.len(), self.journal.len());
        self.trials += 1;
        for (lo, hi) in pairs {
            self.source(lo, hi, depth + 1);
        }
        self.trials -= 1;
        let gain = self.gain(packs, joins);
        self.undo(steps);
        gain
    }

    fn is_wide_operand(&self, code: Code, at: usize) -> bool {
        let info = code.op_code();
        // What a blend chooses by is no operand of its form with a mask.
        at >= info.op_count() as usize || self.level.is_wide(info.op_kind(at as u32))
    }

    fn unfold(&mut self, place: Place) -> VReg {
        let reg = self.new_reg();
        self.unfolded.insert(place, reg);
        self.unfolds.insert(reg, place);
        self.journal.push(Step::Unfolded(place));
        reg
    }

    /// Packs two parameters of a block and what edges pass for them.
    fn pair_params(
        &mut self,
        lo: VReg,
        hi: VReg,
        block: usize,
        (lo_at, hi_at): (usize, usize),
        depth: usize,
    ) -> Option<usize> {
        if lo.class() != RegClass::Float || hi.class() != RegClass::Float {
            return None;
        }
        let how = How::Params { block, edges: Vec::new() };
        let pack = self.push(lo, hi, how);
        let mut sources = Vec::new();
        for (pred, succ) in self.facts.preds[block].clone() {
            let args = &self.vcode.blocks[pred].succs[succ].args;
            sources.push(self.source(args[lo_at], args[hi_at], depth + 1));
        }
        if let How::Params { edges, .. } = &mut self.packs[pack].how {
            *edges = sources;
        }
        Some(pack)
    }

    /// Whether neither instruction reads what the other makes.
    fn are_independent(&self, one: Place, other: Place) -> bool {
        !self.depends(one, other) && !self.depends(other, one)
    }

    /// Whether `later` reads what `earlier` makes, in the same block, or might.
    fn depends(&self, later: Place, earlier: Place) -> bool {
        if later.1 < earlier.1 {
            return false;
        }
        let mut search = self.search.borrow_mut();
        let Search { seen, number, stack, left } = &mut *search;
        *number += 1;
        stack.clear();
        stack.push(later.1 as u32);
        let mut visited = 0;
        while let Some(at) = stack.pop() {
            if at as usize == earlier.1 || visited > SEARCH.min(*left) {
                return true;
            }
            if seen.len() <= at as usize {
                seen.resize(at as usize + 1, 0);
            }
            if std::mem::replace(&mut seen[at as usize], *number) == *number {
                continue;
            }
            visited += 1;
            let makers = self.facts.makers((later.0, at as usize));
            stack.extend(makers.iter().filter(|maker| **maker as usize >= earlier.1));
        }
        *left -= visited.min(*left);
        false
    }

    /// The block in which two registers are first both known.
    fn join_block(&self, join: &Join) -> usize {
        self.place_of(join.lo).max(self.place_of(join.hi)).0
    }

    /// Where a register is made once packs are; parameters come before all instructions.
    fn place_of(&self, reg: VReg) -> (usize, usize) {
        if let Some(&pack) = self.member.get(&reg) {
            return match self.packs[pack].how {
                How::Insts { lo, hi, .. }
                | How::Lows { lo, hi, .. }
                | How::Narrow { lo, hi, .. }
                | How::Idiom { lo, hi, .. } => after(lo.max(hi)),
                How::Params { block, .. } => (block, 0),
            };
        }
        match self.facts.def(reg) {
            Def::Inst(place) => after(self.sunk.get(&place).copied().unwrap_or(place)),
            Def::Param(block, _) => (block, 0),
            Def::Unknown => self.unfolds.get(&reg).map_or((0, 0), |place| after(*place)),
        }
    }

    /// What the packs and joins from these on save, in weighted quarters of an instruction.
    fn gain(&self, packs: usize, joins: usize) -> i64 {
        let mut gain = 0;
        let inst = match self.level {
            Level::Bits256 => INST,
            Level::Bits512 => WIDEST_INST,
        };
        for (at, pack) in self.packs.iter().enumerate().skip(packs) {
            match &pack.how {
                How::Insts { lo, hi, .. } if lo == hi => {}
                How::Insts { lo, .. } => gain += inst * self.facts.weight(lo.0),
                // Signed, it takes as many instructions as before.
                How::Lows { widening, .. } if widening.high.is_none() => {}
                How::Lows { lo, .. } => gain += inst * self.facts.weight(lo.0),
                How::Idiom { lo, .. } => gain += self.facts.weight(lo.0),
                // Of 128 bits, a narrowing and a permutation take the place of two narrowings.
                How::Narrow { .. } if self.level == Level::Bits256 => {}
                How::Narrow { lo, .. } => gain += 2 * inst * self.facts.weight(lo.0),
                How::Params { .. } => {}
            }
            let block = self.place_of(pack.lo).0;
            if let Some(block) = self.half_block(at) {
                gain -= SPLIT * self.facts.weight(block);
            }
            let stored = self.stores.values().filter(|stored| **stored == at).count();
            gain -= SPLIT_STORE * self.facts.weight(block) * stored as i64;
        }
        for step in &self.journal {
            if let Step::Merge([place, _]) = step {
                gain += inst * self.facts.weight(place.0);
            }
        }
        for join in &self.joins[joins..] {
            let weight = self.facts.weight(self.join_block(join));
            let unfolded = self.unfolds.contains_key(&join.hi);
            gain -= weight * if unfolded { UNFOLD } else { self.join_cost(join) };
        }
        gain
    }

    fn join_cost(&self, join: &Join) -> i64 {
        let loaded = |reg: VReg| match self.facts.def(reg) {
            Def::Inst(place) => matches!(
                x86(self.inst(place)),
                Some((code, [_, Opnd::Mem(_)])) if self.level.is_load_of_half(code)
            ),
            _ => false,
        };
        let once = self.facts.uses(join.hi).len() == 1;
        if loaded(join.lo) && loaded(join.hi) && once { JOIN_LOAD } else { JOIN }
    }

    /// Where the upper half of a pack is taken out, if anything but packs and stores reads it: where
    /// the pack is made, or behind the loop if it is read only there.
    fn half_block(&self, pack: usize) -> Option<usize> {
        let Pack { lo, hi, .. } = self.packs[pack];
        if lo == hi {
            return None;
        }
        let home = self.place_of(lo).0;
        let readers = self.facts.uses(hi).iter().filter(|reader| !self.reads_whole(pack, **reader));
        let blocks = readers.map(|reader| match reader {
            Use::Inst((block, _)) | Use::Edge(block, ..) => *block,
        });
        let joins = match self.joined.get(&hi) {
            Some(1..) => &self.joins[..],
            _ => &[],
        };
        let joins = joins.iter().filter(|join| join.lo == hi || join.hi == hi);
        let mut blocks = blocks.chain(joins.map(|join| self.join_block(join))).peekable();
        blocks.peek()?;
        let Some(WayOut { back, out }) = self.facts.way_out(self.vcode, home) else {
            return Some(home);
        };
        let is_outside = blocks.all(|block| block != home && block != back);
        Some(if is_outside { out } else { home })
    }

    /// Whether a reader of the upper half reads the whole of a pack now.
    fn reads_whole(&self, pack: usize, reader: Use) -> bool {
        let takes = |source: &Source| *source == Source::Pack(pack);
        match reader {
            Use::Inst(place) => {
                let user = self.pack_at(place).or_else(|| self.absorbed.get(&place).copied());
                let user = user.map(|user| &self.packs[user].how);
                let merge = self.merges.get(&place).map(|merge| merge.pack);
                let stored = self.stores.get(&place).copied();
                merge == Some(pack) || stored == Some(pack) || match user {
                    Some(How::Insts { hi, ops, .. }) if *hi == place => ops.iter().any(
                        |op| matches!(op, Wide::Use(source) | Wide::Mod(source) if takes(source)),
                    ),
                    Some(How::Lows { hi, from, .. }) if *hi == place => takes(from),
                    Some(How::Narrow { from, .. }) => from.iter().any(takes),
                    _ => false,
                }
            }
            Use::Edge(from, succ, at) => {
                let to = self.vcode.blocks[from].succs[succ].to.index();
                let param = self.vcode.blocks[to].params[at];
                let user = self.member.get(&param).map(|user| &self.packs[*user]);
                match user {
                    Some(Pack { hi, how: How::Params { edges, .. }, .. }) if *hi == param => {
                        let edge =
                            self.facts.preds[to].iter().position(|pred| *pred == (from, succ));
                        edge.is_some_and(|edge| edges.get(edge).is_some_and(takes))
                    }
                    _ => false,
                }
            }
        }
    }
}

/// The point behind an instruction, in an order in which parameters have 0.
fn after(place: Place) -> (usize, usize) {
    (place.0, place.1 + 1)
}
