//! Second versions of CLIF loops, in which no access to memory traps and none meets another.
//!
//! A wasm loop computes each address modulo 2³², may trap at any access, and must leave memory as it
//! was then; and nothing is known of where its arrays lie. So accesses can be neither widened nor
//! moved. For loops of one block that count, whose addresses are sums of counters and of values from
//! outside, all of that can be proven before the first turn: then a copy of the loop runs, two or
//! more turns at a time, with pointers that do not wrap; otherwise, and for the turns that remain,
//! the loop as it was. The idea is old (loop versioning; for bounds checks see Würthinger et al.,
//! "Array bounds check elimination for the Java HotSpot client compiler", PPPJ 2007). Loops of a few
//! constant turns are unrolled before, so that those around them are of one block.
//!
//! Chooses no instructions and packs nothing. Invariant: the function computes, stores and traps as
//! before, with the same memory at each trap.

mod addressing;
mod affine;
mod carry;
mod counted;
mod fast;
mod guard;
mod promote;
mod reduction;
mod scope;
mod streams;
mod unroll;

use carry::{Carried, carry};
use counted::{Counted, values};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Opcode, Type, Value, ValueDef,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenResult, Context};
use fast::{Fast, Needed, Stage, block_args};
use guard::Guard;
use promote::{Around, promote};
use reduction::{Reduction, reductions};
use rustc_hash::{FxHashMap, FxHashSet};
use scope::Scope;
use std::fmt;
use streams::{Streams, Stride};

/// Instructions of a loop beyond which it is left alone, without those that make addresses.
const MAX_LOOP: usize = 600;
/// Instructions that all versions of a function may add, in thousandths of what it has, and at least.
const MAX_GROWTH: usize = 1000;
const LEAST_GROWTH: usize = 1000;
/// Turns below which the proof is not worth its time, whatever it proves.
const LEAST_TURNS: i64 = 4;
/// A fast turn saves about one in so many of its instructions.
const SAVES_ONE_IN: usize = 2;
/// Instructions that a turn of a fast loop should have for its counting not to matter, and for each counter.
const ENOUGH: usize = 24;
const ENOUGH_EACH: usize = 8;
const MOST_FOR_COUNTERS: usize = 48;
/// Turns that a fast loop makes at once, at most.
const MAX_COPIES: i64 = 4;

pub use unroll::{Copies, unrolled};

/// An access of a fast loop. It cannot trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Accesses of different groups never meet.
    pub group: u32,
    /// Within a group, nothing is known about those of different copies.
    pub copy: u32,
    /// Where it begins, in bytes, relative to others of its group and copy in one turn of the loop.
    pub start: i64,
    /// How many bytes it accesses.
    pub bytes: u32,
}

impl Access {
    /// Whether two accesses in one turn may touch the same byte.
    pub fn may_meet(&self, other: &Access) -> bool {
        self.group == other.group
            && (self.copy != other.copy
                || (self.start < other.start + i64::from(other.bytes)
                    && other.start < self.start + i64::from(self.bytes)))
    }

    /// Whether `self` ends where `other` begins.
    pub fn precedes(&self, other: &Access) -> bool {
        self.group == other.group
            && self.copy == other.copy
            && self.start + i64::from(self.bytes) == other.start
    }
}

/// The accesses of fast loops, by instruction.
pub type Accesses = SecondaryMap<Inst, Option<Access>>;

/// What [`version`] did.
#[derive(Debug, Clone, Default)]
pub struct Versioned {
    /// The accesses of fast loops.
    pub accesses: Accesses,
    /// The loops that have a fast version now.
    pub loops: Vec<Pair>,
    /// Why other loops of one block have none.
    pub declined: Vec<Declined>,
}

/// A loop and its fast version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The loop as it was.
    pub plain: Block,
    /// The fast one.
    pub fast: Block,
    /// How many turns of the one the other makes at once.
    pub turns: u32,
    /// Straight code for a part of those that remain.
    pub rest: Option<Block>,
    /// Where the turns are counted, and where the rest is proven.
    pub proof: [Block; 2],
    /// From how many turns on the fast version is entered: the right operand of the comparison that ends
    /// the counting.
    pub least: i64,
}

/// Why a loop has no fast version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declined {
    /// It has no vector code.
    NoVectors,
    /// It only copies memory.
    Copy,
    /// It is too large.
    Large,
    /// It does not end in a plain conditional branch.
    Branch,
    /// How often it runs cannot be computed.
    Count,
    /// An address is no sum of counters and values from outside.
    Address,
    /// It does more than to compute and to access memory.
    Effect,
    /// It accesses nothing, or too many arrays.
    Streams,
    /// One turn stores no pairs of vectors, and several at once would walk down columns side by side,
    /// which meet in the cache.
    Columns,
    /// A turn reads what the one before stored.
    Recurrent,
    /// It runs too few times.
    Short,
    /// The function would grow too much.
    Growth,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Declined::NoVectors => "it has no vector code",
            Declined::Copy => "it only copies memory",
            Declined::Large => "it is too large",
            Declined::Branch => "it does not end in a plain conditional branch",
            Declined::Count => "how often it runs cannot be computed beforehand",
            Declined::Address => "an address is no sum of counters and values from outside",
            Declined::Effect => "it calls, may trap without an access, or has another effect",
            Declined::Streams => "it accesses nothing, or too many arrays",
            Declined::Columns => "one turn stores no pairs of vectors, and it walks down columns",
            Declined::Recurrent => "a turn reads what one shortly before stored",
            Declined::Short => "it runs too few times",
            Declined::Growth => "the function would grow too much",
        })
    }
}

/// Which loops get a second version.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those that are likely to gain by it, but for these.
    PayingBut(&'a [Block]),
    /// All that can have one, and it runs even if it makes few turns. For tests.
    All,
}

/// Which loops of a function a backend gives a second version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// None.
    Never,
    /// Those that are likely to gain by it.
    Paying,
    /// All that can have one, for tests.
    Always,
}

/// What fast loops gain besides pointers that do not wrap. Everything, unless the parts are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gains {
    /// Loads stand near their readers, and what is accumulated in memory is in registers.
    pub registers: bool,
    /// Several turns at once.
    pub copies: bool,
    /// How many vectors of wasm will be one: what a turn should have side by side.
    pub vectors: u32,
    /// Whether each stream has a pointer that moves, for targets where an address is one register and a constant.
    /// Otherwise streams share counters, which are added to where they begin.
    pub pointers: bool,
}

impl Default for Gains {
    fn default() -> Gains {
        Gains { registers: true, copies: true, vectors: 2, pointers: false }
    }
}

/// Unrolls loops of a few turns and optimises what comes of it by Cranelift's mid-end; gives the copies of instructions, or
/// `None` where nothing was unrolled.
///
/// # Errors
/// The mid-end's.
pub fn unroll(context: &mut Context, isa: &dyn TargetIsa) -> CodegenResult<Option<Copies>> {
    let Some((func, copies)) = unrolled(&context.func) else { return Ok(None) };
    debug_assert!(
        cranelift_codegen::verify_function(&func, isa).is_ok(),
        "unrolled loops are valid"
    );
    let stores_before = stores(&func);
    let mut unrolled = Context::for_function(func);
    unrolled.optimize(isa, &mut Default::default())?;
    // Where a store of one turn goes because the next overwrites it, a fault would have that one's place.
    if stores(&unrolled.func) != stores_before {
        return Ok(None);
    }
    *context = unrolled;
    Ok(Some(copies))
}

fn stores(func: &Function) -> usize {
    let insts = func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    insts.filter(|inst| func.dfg.insts[*inst].opcode().can_store()).count()
}

/// Gives loops with vector code a second version.
///
/// Aliases of values are resolved; new instructions are not optimised.
pub fn version(func: &mut Function, which: Which<'_>, gains: Gains) -> Versioned {
    func.dfg.resolve_all_aliases();
    let mut versioned = Versioned::default();
    let mut shape = Shape::new(func);
    let mut groups = 0;
    let mut left = LEAST_GROWTH.max(shape.insts * MAX_GROWTH / 1000);
    let mut moved = FxHashMap::default();
    for block in std::mem::take(&mut shape.loops) {
        if matches!(which, Which::PayingBut(but) if but.contains(&block)) {
            continue;
        }
        let any = matches!(which, Which::All);
        let plan = Plan::new(func, block, &shape, any, gains).and_then(|plan| plan.within(left));
        let plan = match plan {
            Ok(plan) => plan,
            Err(reason) => {
                versioned.declined.push(reason);
                continue;
            }
        };
        left -= plan.size();
        let streams = plan.streams.all.len() as u32;
        let (pair, names) = plan.carry_out(func, &mut shape, groups, &mut versioned.accesses);
        versioned.loops.push(pair);
        moved.extend(names.into_iter().map(|(value, name)| (value, (block, name))));
        groups += streams;
    }
    rename(func, &moved);
    versioned
}

/// Behind a loop its values are what either version made: by value, the loop and the name there.
fn rename(func: &mut Function, names: &FxHashMap<Value, (Block, Value)>) {
    let mut cursor = FuncCursor::new(func);
    while let Some(block) = cursor.next_block() {
        while let Some(inst) = cursor.next_inst() {
            cursor.func.dfg.map_inst_values(inst, |value| match names.get(&value) {
                Some((home, name)) if *home != block => *name,
                _ => value,
            });
        }
    }
}

/// Facts about a function that stay as loops get versions.
struct Shape {
    /// Blocks that jump to themselves.
    loops: Vec<Block>,
    /// The last instructions of the blocks that jump to a block.
    preds: FxHashMap<Block, Vec<Inst>>,
    /// Values that are read in other blocks than the one that makes them.
    shared: FxHashSet<Value>,
    insts: usize,
}

impl Shape {
    fn new(func: &Function) -> Shape {
        let mut shape = Shape {
            loops: Vec::new(),
            preds: FxHashMap::default(),
            shared: FxHashSet::default(),
            insts: 0,
        };
        let dfg = &func.dfg;
        for block in func.layout.blocks() {
            for inst in func.layout.block_insts(block) {
                shape.insts += 1;
                for value in dfg.inst_values(inst) {
                    let home = match dfg.value_def(value) {
                        ValueDef::Result(inst, _) => func.layout.inst_block(inst),
                        ValueDef::Param(home, _) => Some(home),
                        ValueDef::Union(..) => None,
                    };
                    if home != Some(block) {
                        shape.shared.insert(value);
                    }
                }
                let calls =
                    dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
                for call in calls {
                    let to = call.block(&dfg.value_lists);
                    let preds = shape.preds.entry(to).or_default();
                    if preds.last() != Some(&inst) {
                        preds.push(inst);
                    }
                    if to == block {
                        shape.loops.push(block);
                    }
                }
            }
        }
        shape
    }
}

/// A loop that can have a fast version.
struct Plan {
    counted: Counted,
    streams: Streams,
    needed: Needed,
    /// Values of the loop that are read behind it.
    outs: Vec<Value>,
    /// Parameters of which each copy has one of its own.
    reductions: FxHashMap<usize, Reduction>,
    copies: i64,
    /// How many of the turns that remain straight code makes, if that has pairs of vectors as well.
    rest: Option<i64>,
    exit: Block,
    /// From how many turns on the fast loop is worth its proof.
    least: i64,
    registers: bool,
    pointers: bool,
}

impl Plan {
    fn new(
        func: &Function,
        block: Block,
        shape: &Shape,
        any: bool,
        gains: Gains,
    ) -> Result<Plan, Declined> {
        if !has_vectors(func, block) {
            return Err(Declined::NoVectors);
        }
        let counted = Counted::new(func, block)?;
        let streams = Streams::new(func, &counted).ok_or(Declined::Streams)?;
        let last = func.layout.last_inst(block).ok_or(Declined::Branch)?;
        let mut outs: Vec<Value> = Vec::new();
        let mut exit = None;
        let own = |value: Value| !affine::is_outside(func, block, value);
        if let InstructionData::Brif { blocks, .. } = &func.dfg.insts[last] {
            let call = blocks.iter().find(|call| call.block(&func.dfg.value_lists) != block);
            exit = call.map(|call| call.block(&func.dfg.value_lists));
            let args = call.and_then(|call| values(func, call)).ok_or(Declined::Branch)?;
            outs.extend(args.into_iter().filter(|value| own(*value)));
        }
        let made = counted.insts.iter().flat_map(|inst| func.dfg.inst_results(*inst));
        let all = func.dfg.block_params(block).iter().chain(made);
        outs.extend(all.filter(|value| shape.shared.contains(value)));
        outs.sort();
        outs.dedup();
        let needed = Needed::new(func, &counted, &outs);
        if needed.insts.len() > MAX_LOOP {
            return Err(Declined::Large);
        }
        // Memory is the limit, and such loops often run once or twice amid other code.
        let computes = |inst: &Inst| {
            !streams.of.contains_key(inst) && !is_renaming(func.dfg.insts[*inst].opcode())
        };
        if !any && !needed.insts.iter().any(computes) {
            return Err(Declined::Copy);
        }
        let carried = match gains.registers {
            true => Carried::of_turn(func, &counted.insts, &streams),
            false => Carried::default(),
        };
        if !any && streams.recur(func, &carried) {
            return Err(Declined::Recurrent);
        }
        let reductions = reductions(func, &counted, &outs);
        let pairs = has_pairs(func, &counted, &streams, &reductions);
        let columns = streams.all.iter().any(|stream| matches!(stream.stride, Stride::Fixed(_)));
        let stores = (0..streams.all.len())
            .any(|stream| streams.all[stream].stores && !streams.stays(func, stream));
        if columns && stores && !pairs && !any {
            return Err(Declined::Columns);
        }
        let stays = !gains.copies || (columns && (stores || !gains.pointers));
        let copies = match stays {
            true => 1,
            false => {
                let least = match (columns, pairs) {
                    (true, _) => 1,
                    (false, true) => i64::from(gains.vectors) / 2,
                    (false, false) => i64::from(gains.vectors),
                };
                let counting = if gains.pointers { streams.all.len() } else { 1 };
                copies(func, &needed, counting, least)
            }
        };
        let rest = copies / 2;
        let rest = (rest > 1 || (rest == 1 && pairs)).then_some(rest);
        let proof = 16 + 8 * streams.all.len() + 4 * streams.pairs.len();
        let least = (proof * SAVES_ONE_IN / needed.insts.len().max(1)) as i64;
        let least = if any { copies } else { least.max(LEAST_TURNS).max(copies) };
        let entries = shape.preds.get(&block).map_or(&[][..], Vec::as_slice);
        if counted.constant_turns(func, entries, least - 1).is_some() {
            return Err(Declined::Short);
        }
        let exit = exit.ok_or(Declined::Branch)?;
        let Gains { registers, pointers, .. } = gains;
        Ok(Plan {
            counted,
            streams,
            needed,
            outs,
            reductions,
            copies,
            rest,
            exit,
            least,
            registers,
            pointers,
        })
    }

    /// About how many instructions it adds.
    fn size(&self) -> usize {
        self.needed.insts.len() * (self.copies + self.rest.unwrap_or(0)) as usize
            + 8 * self.streams.all.len()
            + 4 * self.streams.pairs.len()
    }

    /// The same, if need be without what is for the turns that remain, adding at most `most` instructions.
    fn within(mut self, most: usize) -> Result<Plan, Declined> {
        if self.size() > most {
            self.rest = None;
        }
        if self.size() <= most { Ok(self) } else { Err(Declined::Growth) }
    }

    /// Writes the fast version. Gives both, and by what names values of the loop are known behind them.
    fn carry_out(
        self,
        func: &mut Function,
        shape: &mut Shape,
        first_group: u32,
        accesses: &mut Accesses,
    ) -> (Pair, FxHashMap<Value, Value>) {
        let looped = self.counted.block;
        let [entry, before, body, after, join] = [(); 5].map(|()| func.dfg.make_block());
        for block in [entry, before, body, after] {
            func.layout.insert_block(block, looped);
        }
        // Out of the way: where other loops of a long function run, its code should not need more of
        // the instruction cache than before.
        for block in [before, body, after] {
            func.layout.set_cold(block);
        }
        func.layout.insert_block_after(join, looped);

        // All ways in lead to the proof.
        let params = func.dfg.block_params(looped).to_vec();
        let mut scope = Scope::default();
        let mut first = Vec::new();
        for param in &params {
            let ty = func.dfg.value_type(*param);
            let value = func.dfg.append_block_param(entry, ty);
            scope.map.insert(*param, value);
            first.push(value);
        }
        let last = func.layout.last_inst(looped).expect("a loop ends in a branch");
        for inst in shape.preds.remove(&looped).unwrap_or_default() {
            if inst != last {
                redirect(func, inst, looped, entry);
            }
        }
        let mut guard =
            Guard { func: &mut *func, counted: &self.counted, streams: &self.streams, scope };
        let (turns, enough) = guard.turns(entry, self.least);
        let done = guard.multiple(before, turns.even, self.copies);
        let proven = match self.rest {
            Some(rest) => guard.multiple(before, turns.even, rest),
            None => done,
        };
        let (starts, holds) = guard.streams(before, proven);
        let args = block_args(&first);
        FuncCursor::new(func).at_bottom(entry).ins().brif(enough, before, &[], looped, &args);

        let mut names = FxHashMap::default();
        for out in &self.outs {
            let ty = func.dfg.value_type(*out);
            names.insert(*out, func.dfg.append_block_param(join, ty));
        }
        let fast = Fast {
            func: &mut *func,
            counted: &self.counted,
            streams: &self.streams,
            needed: &self.needed,
            outs: &self.outs,
            reductions: &self.reductions,
            stage: Stage {
                copies: self.copies,
                turns: done,
                done,
                entry: first,
                before,
                body,
                after,
            },
            rest: self.rest,
            turns,
            starts,
            join,
            first_group,
            near_loads: self.registers,
            pointers: self.pointers,
        };
        let rest = fast.write(holds, accesses);
        if self.registers {
            let mut around = Around::new(before, body, after);
            carry(func, &self.streams, self.copies, first_group, accesses, &mut around);
            promote(func, &self.streams, first_group, accesses, &mut around);
            around.finish(func);
        }

        // The loop's own way out leads to the join as well.
        let InstructionData::Brif { mut blocks, arg, opcode } = func.dfg.insts[last] else {
            unreachable!("the loop ends in a conditional branch");
        };
        let outs = block_args(&self.outs);
        for call in &mut blocks {
            if call.block(&func.dfg.value_lists) == self.exit {
                let args: Vec<BlockArg> = call.args(&func.dfg.value_lists).collect();
                let jump = FuncCursor::new(func).at_bottom(join).ins().jump(self.exit, &args);
                for pred in shape.preds.entry(self.exit).or_default() {
                    if *pred == last {
                        *pred = jump;
                    }
                }
                *call = func.dfg.block_call(join, &outs);
            }
        }
        func.dfg.insts[last] = InstructionData::Brif { opcode, arg, blocks };
        let (turns, proof) = (self.copies as u32, [entry, before]);
        (Pair { plain: looped, fast: body, turns, rest, proof, least: self.least }, names)
    }
}

/// Lets branches of `inst` to one block go to another.
fn redirect(func: &mut Function, inst: Inst, from: Block, to: Block) {
    let dfg = &mut func.stencil.dfg;
    let calls =
        dfg.insts[inst].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    for call in calls {
        if call.block(&dfg.value_lists) == from {
            call.set_block(to, &mut dfg.value_lists);
        }
    }
}

/// How many turns the fast loop makes at once: as many as there are to be side by side, more if it is
/// short, having so many counters.
fn copies(func: &Function, needed: &Needed, counters: usize, least: i64) -> i64 {
    let renames = |inst: &Inst| is_renaming(func.dfg.insts[*inst].opcode());
    let work = needed.insts.iter().filter(|inst| !renames(inst)).count();
    let enough = ENOUGH.max((counters * ENOUGH_EACH).min(MOST_FOR_COUNTERS));
    let mut copies = least;
    while copies < MAX_COPIES && work * (copies as usize) < enough {
        copies *= 2;
    }
    copies
}

/// Whether one turn of a loop stores two adjacent vectors, or carries two round.
fn has_pairs(
    func: &Function,
    counted: &Counted,
    streams: &Streams,
    reductions: &FxHashMap<usize, Reduction>,
) -> bool {
    let params = func.dfg.block_params(counted.block).iter().enumerate();
    let carried = params
        .filter(|(at, param)| {
            is_vector(func.dfg.value_type(**param)) && !reductions.contains_key(at)
        })
        .count();
    let vectors = streams.of.values().filter(|place| place.store && place.bytes == 16);
    let stored: FxHashSet<(usize, i64)> =
        vectors.map(|place| (place.stream, place.start)).collect();
    carried > 1 || stored.iter().any(|(stream, at)| stored.contains(&(*stream, at + 16)))
}

/// Whether `block` has vector code.
fn has_vectors(func: &Function, block: Block) -> bool {
    let vectors = |inst: Inst| {
        let dfg = &func.dfg;
        let mut values = dfg.inst_results(inst).iter().chain(dfg.inst_args(inst));
        values.any(|value| is_vector(dfg.value_type(*value)))
    };
    func.layout.block_insts(block).any(vectors)
}

/// Whether a value of this type fills a vector register.
fn is_vector(ty: Type) -> bool {
    ty.is_vector() && ty.bits() == 128
}

/// Whether `op` only renames bits.
fn is_renaming(op: Opcode) -> bool {
    matches!(op, Opcode::Bitcast | Opcode::Iconst)
}
