//! Loops of decoded code: edges to a block that dominates them, and what lies between.

use crate::ListedLoop;
use crate::walk::{Flow, Walked};
use std::collections::{BTreeMap, BTreeSet};

/// A stretch of instructions with one way in and one way out.
struct Block {
    /// Positions of its instructions.
    insts: std::ops::Range<usize>,
    succs: Vec<usize>,
    preds: Vec<usize>,
}

/// The loops of `walked`, by the offset of their headers.
pub(crate) fn find(walked: &Walked) -> Vec<ListedLoop> {
    let blocks = blocks(walked);
    let order = reverse_postorder(&blocks);
    let dominators = dominators(&blocks, &order);
    let mut bodies: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut latches: BTreeMap<usize, usize> = BTreeMap::new();
    for &from in &order {
        for &to in &blocks[from].succs {
            if dominates(&dominators, to, from) {
                reach_back(&blocks, to, from, bodies.entry(to).or_default());
                let latch = latches.entry(to).or_default();
                *latch = blocks[from].insts.end.saturating_sub(1).max(*latch);
            }
        }
    }
    bodies
        .iter()
        .map(|(&header, body)| {
            let mut others = bodies.keys().filter(|other| **other != header);
            let within = bodies.values().filter(|other| other.contains(&header)).count();
            ListedLoop {
                insts: body.iter().flat_map(|block| blocks[*block].insts.clone()).collect(),
                header: blocks[header].insts.start,
                latch: latches[&header],
                depth: within as u32,
                innermost: others.all(|other| !body.contains(other)),
                version: None,
            }
        })
        .collect()
}

fn blocks(walked: &Walked) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut of_offset = BTreeMap::new();
    let mut ended = true;
    for (at, (offset, step)) in walked.steps.iter().enumerate() {
        if ended || walked.starts.contains(offset) {
            of_offset.insert(*offset, blocks.len());
            blocks.push(Block { insts: at..at, succs: Vec::new(), preds: Vec::new() });
        }
        if let Some(block) = blocks.last_mut() {
            block.insts.end = at + 1;
        }
        ended = step.flow != Flow::Next;
    }
    let offsets: Vec<u32> = walked.steps.keys().copied().collect();
    for at in 0..blocks.len() {
        let to = walked.successors(offsets[blocks[at].insts.end - 1]);
        let succs: BTreeSet<usize> =
            to.iter().filter_map(|offset| of_offset.get(offset).copied()).collect();
        for &succ in &succs {
            blocks[succ].preds.push(at);
        }
        blocks[at].succs = succs.into_iter().collect();
    }
    blocks
}

fn reverse_postorder(blocks: &[Block]) -> Vec<usize> {
    let mut order = Vec::new();
    if blocks.is_empty() {
        return order;
    }
    let mut seen = vec![false; blocks.len()];
    let mut stack = vec![(0, 0)];
    seen[0] = true;
    while let Some((block, next)) = stack.pop() {
        match blocks[block].succs.get(next) {
            Some(&succ) => {
                stack.push((block, next + 1));
                if !std::mem::replace(&mut seen[succ], true) {
                    stack.push((succ, 0));
                }
            }
            None => order.push(block),
        }
    }
    order.reverse();
    order
}

/// The nearest dominator of each block, itself for the first, `None` for what is not reached.
///
/// Source: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).
fn dominators(blocks: &[Block], order: &[usize]) -> Vec<Option<usize>> {
    let mut number = vec![usize::MAX; blocks.len()];
    for (at, &block) in order.iter().enumerate() {
        number[block] = at;
    }
    let mut nearest: Vec<Option<usize>> = vec![None; blocks.len()];
    let Some(&first) = order.first() else { return nearest };
    nearest[first] = Some(first);
    let mut changed = true;
    while changed {
        changed = false;
        for &block in &order[1..] {
            let known = blocks[block].preds.iter().copied().filter(|pred| nearest[*pred].is_some());
            let common = known.reduce(|mut one, mut other| {
                while one != other {
                    let later = if number[one] > number[other] { &mut one } else { &mut other };
                    *later = nearest[*later].unwrap_or(first);
                }
                one
            });
            if common.is_some() && nearest[block] != common {
                nearest[block] = common;
                changed = true;
            }
        }
    }
    nearest
}

fn dominates(nearest: &[Option<usize>], block: usize, mut of: usize) -> bool {
    loop {
        if of == block {
            return true;
        }
        match nearest[of] {
            Some(up) if up != of => of = up,
            _ => return false,
        }
    }
}

/// Adds to `body` the blocks from which `from` is reached without passing `header`.
fn reach_back(blocks: &[Block], header: usize, from: usize, body: &mut BTreeSet<usize>) {
    body.insert(header);
    let mut open = vec![from];
    while let Some(block) = open.pop() {
        if body.insert(block) {
            open.extend(&blocks[block].preds);
        }
    }
}
