//! How much work machine code does: instructions, weighted by loops, in halves of one.

use crate::marks::Version;
use crate::pack;
use crate::regalloc::{Allocated, Step};
use crate::vcode::{Inst, Kind, Opnd, VCode};

/// An instruction.
pub(crate) const INST: u64 = 2;
/// One of 512 bits: processors have fewer units for these, or take two steps.
const WIDEST_INST: u64 = 3;
/// A move to or from the stack.
const STACK_MOVE: u64 = 2 * INST;
/// What part of the work is much for the stack, in percent.
const MUCH_STACK: u64 = 30;
/// How many times more often than others loops run whose fast versions run for long.
const LONGER: u64 = 4;
/// In percent of other work.
const CLEARLY_LESS: u64 = 97;

/// The instructions of a function, weighted by how deep in loops they are.
pub(crate) struct Work {
    all: u64,
    /// What of it moves values to and from the stack.
    stack: u64,
    /// What there would be at least without packing.
    unpacked: u64,
    /// What of it is in fast versions of loops.
    fast: u64,
}

impl Work {
    /// Of a loop with a fast version only the loop of that one counts.
    pub(crate) fn of(vcode: &VCode, allocated: &Allocated, versions: &[Version]) -> Work {
        let levels = vcode.loop_levels();
        let mut work = Work { all: 0, stack: 0, unpacked: 0, fast: 0 };
        for (index, level) in levels.into_iter().enumerate() {
            let skipped = |version: &Version| {
                version.plain.index() == index
                    || version.rest.is_some_and(|rest| rest.index() == index)
            };
            if versions.iter().any(skipped) {
                continue;
            }
            let BlockWork { compute, stack, unpacked } = BlockWork::of(vcode, allocated, index);
            let fast = versions.iter().find(|version| version.fast.index() == index);
            let turns = fast.map_or(1, |version| u64::from(version.turns));
            let weighted = |work: u64| work * loop_weight(level) / turns;
            let all = weighted(compute + stack);
            work.all += all;
            work.stack += weighted(stack);
            work.unpacked += weighted(unpacked);
            work.fast += if fast.is_some() { all } else { 0 };
        }
        work
    }

    /// Whether so much goes to and from the stack that code without packs may do with less work.
    pub(crate) fn spills_much(&self) -> bool {
        self.stack * 100 > self.all * MUCH_STACK && self.unpacked * 100 < self.all * CLEARLY_LESS
    }

    /// Whether this is clearly less than `other`; what is nearly the same is decided by what is not
    /// counted here.
    pub(crate) fn is_less_than(&self, other: &Work) -> bool {
        self.all * 100 < other.all * CLEARLY_LESS
    }

    /// The same if fast versions of loops run for long.
    pub(crate) fn is_less_in_long_loops_than(&self, other: &Work) -> bool {
        let all = |work: &Work| work.all + (LONGER - 1) * work.fast;
        all(self) * 100 < all(other) * CLEARLY_LESS
    }
}

/// What running a block once takes.
#[derive(Default)]
pub(crate) struct BlockWork {
    compute: u64,
    stack: u64,
    unpacked: u64,
}

impl BlockWork {
    pub(crate) fn of(vcode: &VCode, allocated: &Allocated, index: usize) -> BlockWork {
        let mut work = BlockWork::default();
        for step in allocated.steps(index) {
            match step {
                Step::Inst(at, allocations) => {
                    let inst = &vcode.blocks[index].insts[at];
                    let count = instructions(inst);
                    work.compute += count;
                    work.unpacked += match (inst.tile == pack::TILE, count) {
                        (true, INST) => 2 * INST,
                        (true, WIDEST_INST) => 4 * INST,
                        (true, _) => 0,
                        (false, count) => count,
                    };
                    let slots = allocations.iter().filter(|one| one.is_stack()).count();
                    work.stack += INST * slots as u64;
                }
                Step::Move { from, to } if from.is_stack() || to.is_stack() => {
                    work.stack += STACK_MOVE;
                }
                Step::Move { .. } => work.compute += INST,
            }
        }
        work
    }

    pub(crate) fn all(&self) -> u64 {
        self.compute + self.stack
    }

    pub(crate) fn moves_on_stack(&self) -> bool {
        self.stack > 0
    }
}

/// How much more often a block in so many loops runs than one outside.
pub(crate) fn loop_weight(level: u32) -> u64 {
    16_u64.pow(level.min(6))
}

/// What an instruction counts; twice if it moves data between the halves of a register.
pub(crate) fn instructions(inst: &Inst) -> u64 {
    let Kind::X86 { code, ops, .. } = &inst.kind else { return INST };
    let from_memory = ops.iter().any(|op| matches!(op, Opnd::Mem(_)));
    let is_widest = code.op_code().l() == 2;
    let one = if is_widest { WIDEST_INST } else { INST };
    if pack::crosses(*code) && !from_memory { 2 * one } else { one }
}
