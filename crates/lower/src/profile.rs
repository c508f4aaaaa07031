//! What a function is made of: blocks, loops, vector code. Counts only.

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use rustc_hash::FxHashSet;

/// A function's control flow.
pub(crate) struct Flow {
    pub(crate) domtree: DominatorTree,
    pub(crate) loops: LoopAnalysis,
}

impl Flow {
    pub(crate) fn new(func: &Function) -> Flow {
        let cfg = ControlFlowGraph::with_function(func);
        let domtree = DominatorTree::with_function(func, &cfg);
        let mut loops = LoopAnalysis::new();
        loops.compute(func, &cfg, &domtree);
        Flow { domtree, loops }
    }

    /// How many loops a block is in.
    pub(crate) fn level(&self, block: Block) -> u8 {
        u8::try_from(self.loops.loop_level(block).level()).unwrap_or(u8::MAX)
    }
}

/// Counts of a function.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    pub(crate) insts: usize,
    pub(crate) blocks: usize,
    pub(crate) loops: usize,
    /// Innermost loops with vector instructions.
    pub(crate) vector_loops: usize,
    pub(crate) vector_insts: usize,
}

impl Profile {
    pub(crate) fn new(func: &Function, flow: &Flow) -> Profile {
        let mut profile = Profile { loops: flow.loops.loops().count(), ..Profile::default() };
        let mut with_vectors = FxHashSet::default();
        for block in func.layout.blocks() {
            profile.blocks += 1;
            for inst in func.layout.block_insts(block) {
                profile.insts += 1;
                if touches_vectors(func, inst) {
                    profile.vector_insts += 1;
                    with_vectors.extend(flow.loops.innermost_loop(block));
                }
            }
        }
        let parents: FxHashSet<_> =
            with_vectors.iter().filter_map(|lp| flow.loops.loop_parent(*lp)).collect();
        profile.vector_loops = with_vectors.iter().filter(|lp| !parents.contains(lp)).count();
        profile
    }
}

fn touches_vectors(func: &Function, inst: Inst) -> bool {
    let dfg = &func.dfg;
    dfg.inst_results(inst)
        .iter()
        .chain(dfg.inst_args(inst))
        .any(|value| dfg.value_type(*value).is_vector())
}
