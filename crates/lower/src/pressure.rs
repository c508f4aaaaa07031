//! What spilling would cost: the vector values that a function keeps alive at once inside its
//! loops, beyond the registers there are.
//!
//! An estimate on CLIF, for comparing two forms of one function: constants count nothing (they are
//! made anew where they are used), a bitcast counts as what it renames, and dead values count
//! nothing. Allocates no registers.

use crate::extract::level_weight;
use crate::profile::Flow;
use crate::seed::{is_pure, is_vector_bitcast};
use cranelift_codegen::ir::{Block, Function, Inst, Opcode, Value, ValueDef};
use rustc_hash::{FxHashMap, FxHashSet};

/// One store and one load.
const SPILL: u64 = 16;

/// The cost of keeping values in memory that exceed `registers`, in 1/16 cycle weighted by loop
/// level: each is stored and loaded once in every block where it is too many.
pub(crate) fn spill_cost(func: &Function, flow: &Flow, registers: usize) -> u64 {
    let live = Liveness::new(func, flow);
    let cost = |block: &Block| {
        let excess = live.peak(func, *block).saturating_sub(registers) as u64;
        excess * SPILL * level_weight(flow.level(*block))
    };
    let in_loops = flow.domtree.cfg_postorder().iter().filter(|block| flow.level(**block) > 0);
    in_loops.map(cost).sum()
}

struct Liveness {
    /// Vector values alive at the end of each block.
    out: FxHashMap<Block, FxHashSet<Value>>,
    /// Instructions whose results are used.
    needed: FxHashSet<Inst>,
}

impl Liveness {
    fn new(func: &Function, flow: &Flow) -> Liveness {
        let mut this = Liveness { out: FxHashMap::default(), needed: needed(func, flow) };
        let mut inputs: FxHashMap<Block, FxHashSet<Value>> = FxHashMap::default();
        let mut changed = true;
        while changed {
            changed = false;
            for block in flow.domtree.cfg_postorder() {
                let mut out = FxHashSet::default();
                if let Some(last) = func.layout.last_inst(*block) {
                    for call in func.dfg.insts[last]
                        .branch_destination(&func.dfg.jump_tables, &func.dfg.exception_tables)
                    {
                        let target = call.block(&func.dfg.value_lists);
                        out.extend(inputs.get(&target).into_iter().flatten());
                    }
                }
                let mut live = out.clone();
                for inst in func.layout.block_insts(*block).rev() {
                    this.step(func, inst, &mut live);
                }
                for param in func.dfg.block_params(*block) {
                    live.remove(param);
                }
                this.out.insert(*block, out);
                if inputs.get(block).is_none_or(|before| before.len() != live.len()) {
                    inputs.insert(*block, live);
                    changed = true;
                }
            }
        }
        this
    }

    /// Moves `live` from after `inst` to before it.
    fn step(&self, func: &Function, inst: Inst, live: &mut FxHashSet<Value>) {
        if !self.needed.contains(&inst) || is_vector_bitcast(&func.dfg, inst) {
            return;
        }
        for result in func.dfg.inst_results(inst) {
            live.remove(result);
        }
        for value in func.dfg.inst_values(inst) {
            live.extend(counted(func, value));
        }
    }

    fn peak(&self, func: &Function, block: Block) -> usize {
        let mut live = self.out[&block].clone();
        let mut peak = live.len();
        for inst in func.layout.block_insts(block).rev() {
            self.step(func, inst, &mut live);
            peak = peak.max(live.len());
        }
        peak
    }
}

/// The value that `value` keeps in a vector register, if it is one that counts.
fn counted(func: &Function, value: Value) -> Option<Value> {
    let mut value = func.dfg.resolve_aliases(value);
    while let ValueDef::Result(inst, _) = func.dfg.value_def(value) {
        match func.dfg.insts[inst].opcode() {
            Opcode::Vconst | Opcode::F32const | Opcode::F64const => return None,
            _ if is_vector_bitcast(&func.dfg, inst) => {
                value = func.dfg.resolve_aliases(func.dfg.inst_args(inst)[0]);
            }
            _ => break,
        }
    }
    let ty = func.dfg.value_type(value);
    (ty.is_vector() || ty.is_float()).then_some(value)
}

/// The instructions that effects depend on.
fn needed(func: &Function, flow: &Flow) -> FxHashSet<Inst> {
    let mut needed = FxHashSet::default();
    let mut open = Vec::new();
    for block in flow.domtree.cfg_postorder() {
        open.extend(func.layout.block_insts(*block).filter(|inst| !is_pure(&func.dfg, *inst)));
    }
    while let Some(inst) = open.pop() {
        if !needed.insert(inst) {
            continue;
        }
        for value in func.dfg.inst_values(inst) {
            let value = func.dfg.resolve_aliases(value);
            if let ValueDef::Result(def, _) = func.dfg.value_def(value) {
                open.push(def);
            }
        }
    }
    needed
}

/// Vector registers of an architecture that compiled code may use at once.
pub(crate) fn vector_registers(arch: target_lexicon::Architecture) -> usize {
    match arch {
        target_lexicon::Architecture::X86_64 => 15,
        _ => 31,
    }
}
