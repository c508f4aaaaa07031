//! What a function looks like: counts for reports, from its CLIF as Wasmtime made it.

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::Function;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use serde::Serialize;

/// Counts of a function's parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Shape {
    /// CLIF instructions.
    pub ops: usize,
    /// Instructions with a 128-bit vector among results or arguments.
    pub vector_ops: usize,
    /// Basic blocks.
    pub blocks: usize,
    /// Natural loops.
    pub loops: usize,
    /// Loops with a vector instruction in them, not counting loops inside.
    pub vector_loops: usize,
}

impl Shape {
    /// Counts the parts of `func`.
    pub fn of(func: &Function) -> Shape {
        let cfg = ControlFlowGraph::with_function(func);
        let domtree = DominatorTree::with_function(func, &cfg);
        let mut loops = LoopAnalysis::new();
        loops.compute(func, &cfg, &domtree);
        let mut shape = Shape { loops: loops.loops().count(), ..Shape::default() };
        let mut vector_loops = std::collections::HashSet::new();
        for block in func.layout.blocks() {
            shape.blocks += 1;
            for inst in func.layout.block_insts(block) {
                shape.ops += 1;
                let mut values =
                    func.dfg.inst_results(inst).iter().copied().chain(func.dfg.inst_values(inst));
                if values.any(|value| func.dfg.value_type(value).is_vector()) {
                    shape.vector_ops += 1;
                    vector_loops.extend(loops.innermost_loop(block));
                }
            }
        }
        shape.vector_loops = vector_loops.len();
        shape
    }

    /// The share of vector instructions, 0 to 1.
    pub fn vector_share(&self) -> f64 {
        if self.ops == 0 { 0.0 } else { self.vector_ops as f64 / self.ops as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loops_and_vectors_are_counted() {
        let wat = r#"(module (memory 1) (func (param $at i32)
            (loop $outer
                (loop $inner
                    (v128.store (local.get $at)
                        (i8x16.add (v128.load (local.get $at)) (v128.const i64x2 1 1)))
                    (br_if $inner (local.tee $at (i32.sub (local.get $at) (i32.const 16)))))
                (br_if $outer (i32.load (i32.const 0))))))"#;
        let captured = crate::capture(&wasmtime::Config::new(), wat.as_bytes()).unwrap();
        let shape = Shape::of(&captured.functions[0].func);
        assert_eq!((shape.loops, shape.vector_loops), (2, 1), "{shape:?}");
        assert!(shape.vector_ops >= 3 && shape.vector_ops < shape.ops, "{shape:?}");
        assert!(shape.vector_share() > 0.0 && shape.vector_share() < 1.0);
    }
}
