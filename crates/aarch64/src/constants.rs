//! Constants that what is chosen brings in, made before the innermost loop around their reader.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::{Block, Value};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use egraft_ir::Ty;
use egraft_lower::emit_const;
use rustc_hash::FxHashMap;

pub(crate) struct Constants<'a> {
    domtree: &'a DominatorTree,
    loops: &'a LoopAnalysis,
    /// By the block at whose end they are made.
    made: FxHashMap<(Block, u128), Value>,
}

impl<'a> Constants<'a> {
    pub(crate) fn new(domtree: &'a DominatorTree, loops: &'a LoopAnalysis) -> Constants<'a> {
        Constants { domtree, loops, made: FxHashMap::default() }
    }

    /// The constant for a reader in `block`, where the cursor is; an `i8x16`.
    pub(crate) fn get(&mut self, cursor: &mut FuncCursor<'_>, block: Block, bits: u128) -> Value {
        let header = self.loops.innermost_loop(block).map(|lp| self.loops.loop_header(lp));
        let before = header.and_then(|header| self.domtree.idom(header));
        let last = before.and_then(|before| cursor.func.layout.last_inst(before));
        let (Some(before), Some(last)) = (before, last) else {
            return emit_const(cursor, Ty::I8X16, bits);
        };
        *self.made.entry((before, bits)).or_insert_with(|| {
            emit_const(&mut FuncCursor::new(cursor.func).at_inst(last), Ty::I8X16, bits)
        })
    }
}
