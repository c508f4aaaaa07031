//! Loops with vector code that always run the same few turns become straight code, and loops around
//! them loops of one block.
//!
//! Invariant: the function does what it did, in the same order.

use crate::counted::{Counted, values};
use crate::scope::Scope;
use crate::{Shape, has_vectors, is_renaming, rename};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstBuilder, InstructionData, Opcode, Value,
};
use rustc_hash::FxHashMap;

/// Turns that a loop may have, and instructions of all its turns together.
const MAX_TURNS: i64 = 16;
const MAX_INSTS: usize = 256;

/// What instructions were copied from.
pub type Copies = FxHashMap<Inst, Inst>;

/// `func` with those loops of one block unrolled that have a constant number of turns, innermost
/// first, while they are small; `None` if there is no such loop.
///
/// Aliases of values are resolved; new instructions are not optimised.
pub fn unrolled(func: &Function) -> Option<(Function, Copies)> {
    let shape = Shape::new(func);
    let mut found = find(func, &shape)?;
    let mut func = func.clone();
    func.dfg.resolve_all_aliases();
    let mut copies = Copies::default();
    loop {
        let (block, turns) = found;
        straighten(&mut func, block, turns, &mut copies);
        merge(&mut func);
        match find(&func, &Shape::new(&func)) {
            Some(next) => found = next,
            None => return Some((func, copies)),
        }
    }
}

/// A loop that is to be unrolled, and how often it runs.
fn find(func: &Function, shape: &Shape) -> Option<(Block, i64)> {
    shape.loops.iter().find_map(|block| Some((*block, turns(func, *block, shape)?)))
}

/// How often a loop runs, if it is to be unrolled.
fn turns(func: &Function, block: Block, shape: &Shape) -> Option<i64> {
    let is_more_than_computing = |inst: Inst| {
        let op = func.dfg.insts[inst].opcode();
        op.is_call() || op.other_side_effects()
    };
    if !has_vectors(func, block) || func.layout.block_insts(block).any(is_more_than_computing) {
        return None;
    }
    let counted = Counted::counting(func, block).ok()?;
    let work = |inst: &&Inst| !is_renaming(func.dfg.insts[**inst].opcode());
    let work = counted.insts.iter().filter(work).count();
    let turns = counted.constant_turns(func, shape.preds.get(&block)?, MAX_TURNS)?;
    (work * turns as usize <= MAX_INSTS).then_some(turns)
}

/// Writes all turns of a loop one after the other.
fn straighten(func: &mut Function, block: Block, turns: i64, copies: &mut Copies) {
    let last = func.layout.last_inst(block).expect("a loop ends in a branch");
    let InstructionData::Brif { blocks, .. } = func.dfg.insts[last] else {
        unreachable!("the loop ends in a conditional branch");
    };
    let [back, out] = match blocks[0].block(&func.dfg.value_lists) == block {
        true => blocks,
        false => [blocks[1], blocks[0]],
    };
    let exit = out.block(&func.dfg.value_lists);
    let back = values(func, &back).expect("a counted loop passes values");
    let out: Vec<BlockArg> = out.args(&func.dfg.value_lists).collect();
    let params = func.dfg.block_params(block).to_vec();
    let insts: Vec<Inst> = func.layout.block_insts(block).filter(|inst| *inst != last).collect();
    func.layout.remove_inst(last);

    let mut scope = Scope::default();
    for _ in 1..turns {
        let mut turn = Scope::default();
        let next = back.iter().map(|value| scope.name(*value));
        turn.map.extend(params.iter().copied().zip(next));
        for inst in &insts {
            let copy = turn.copy(func, block, *inst);
            let first = copies.get(inst).copied().unwrap_or(*inst);
            copies.insert(copy, first);
        }
        scope = turn;
    }
    let name = |arg: BlockArg| match arg {
        BlockArg::Value(value) => BlockArg::Value(scope.name(value)),
        other => other,
    };
    let out: Vec<BlockArg> = out.into_iter().map(name).collect();
    FuncCursor::new(func).at_bottom(block).ins().jump(exit, &out);
    let names = scope.map.into_iter().map(|(value, name)| (value, (block, name)));
    rename(func, &names.collect());
}

/// Appends each block that follows only one other, which goes nowhere else, to that.
fn merge(func: &mut Function) {
    let entry = func.layout.entry_block();
    let mut shape = Shape::new(func);
    let mut next = entry;
    while let Some(block) = next {
        next = func.layout.next_block(block);
        while let Some((jump, to, args)) = sole_successor(func, block, &shape) {
            if Some(to) == entry || to == block {
                break;
            }
            func.layout.remove_inst(jump);
            let params = func.dfg.detach_block_params(to);
            let params = params.as_slice(&func.dfg.value_lists).to_vec();
            for (param, arg) in params.into_iter().zip(args) {
                func.dfg.change_to_alias(param, arg);
            }
            while let Some(inst) = func.layout.first_inst(to) {
                func.layout.remove_inst(inst);
                func.layout.append_inst(inst, block);
            }
            if next == Some(to) {
                next = func.layout.next_block(to);
            }
            func.layout.remove_block(to);
            shape.preds.remove(&to);
        }
    }
    func.dfg.resolve_all_aliases();
}

/// The jump at the end of `block`, where it goes, and the values that it passes, if nothing else goes
/// there.
fn sole_successor(
    func: &Function,
    block: Block,
    shape: &Shape,
) -> Option<(Inst, Block, Vec<Value>)> {
    let last = func.layout.last_inst(block)?;
    let InstructionData::Jump { opcode: Opcode::Jump, destination } = func.dfg.insts[last] else {
        return None;
    };
    let to = destination.block(&func.dfg.value_lists);
    let sole = shape.preds.get(&to).is_some_and(|preds| *preds == [last]);
    sole.then_some((last, to, values(func, &destination)?))
}
