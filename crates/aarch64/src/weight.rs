//! What a covered function costs where it spends its time: how versions of one function are compared.
//!
//! Blocks count by how deep in loops they are; of a loop with a fast version only that counts, by the turns that it makes at
//! once. It ranks functions that compute the same; it predicts no time.

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::{EntitySet, SecondaryMap};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst, Opcode};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use egraft_loops::Versioned;

/// How often a loop is assumed to turn, as a power of two.
const TURNS: u32 = 3;
/// Loops are told apart up to this depth.
const DEEPEST: u32 = 8;
/// An access to memory, and a branch or whatever else has no price.
const ACCESS: u32 = 8;
const OTHER: u32 = 4;

/// Prices of instructions, in 1/16 cycle.
pub(crate) type Prices = SecondaryMap<Inst, Option<u32>>;

/// The cost of `func`.
pub(crate) fn weight(func: &Function, versioned: &Versioned, prices: &Prices) -> u64 {
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &domtree);
    let used = used(func);
    let mut total = 0u64;
    for block in func.layout.blocks() {
        if versioned.loops.iter().any(|pair| pair.plain == block) {
            continue;
        }
        let insts = func.layout.block_insts(block).filter(|inst| used.contains(*inst));
        let cost: u64 = insts.map(|inst| u64::from(price(func, inst, prices))).sum();
        let depth = (loops.loop_level(block).level() as u32).min(DEEPEST);
        total = total.saturating_add((cost << (depth * TURNS)) / turns(versioned, block));
    }
    total
}

/// How many turns of the loop as it was `block` makes at once.
fn turns(versioned: &Versioned, block: Block) -> u64 {
    let pair = versioned.loops.iter().find(|pair| pair.fast == block);
    pair.map_or(1, |pair| u64::from(pair.turns.max(1)))
}

fn price(func: &Function, inst: Inst, prices: &Prices) -> u32 {
    let opcode = func.dfg.insts[inst].opcode();
    match opcode {
        Opcode::Bitcast | Opcode::Iconst | Opcode::Vconst => 0,
        _ if opcode.can_load() || opcode.can_store() => ACCESS,
        _ => prices[inst].unwrap_or(OTHER),
    }
}

/// Instructions that become code: those with an effect, and what they read.
fn used(func: &Function) -> EntitySet<Inst> {
    let mut used = EntitySet::new();
    let mut todo: Vec<Inst> = Vec::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let opcode = func.dfg.insts[inst].opcode();
            let effect = opcode.can_store() || opcode.is_terminator() || opcode.is_call();
            if effect || opcode.can_trap() || opcode.other_side_effects() {
                used.insert(inst);
                todo.push(inst);
            }
        }
    }
    while let Some(inst) = todo.pop() {
        for value in func.dfg.inst_values(inst) {
            let made = func.dfg.value_def(func.dfg.resolve_aliases(value)).inst();
            if let Some(made) = made
                && used.insert(made)
            {
                todo.push(made);
            }
        }
    }
    used
}
