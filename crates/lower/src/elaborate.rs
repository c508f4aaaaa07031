//! Writes a choice of nodes back into a function.
//!
//! Touches only instructions whose class chose another node; all others keep their place. Moves
//! nothing into a loop and nothing that can trap. Invariant: every value that is used stays
//! defined by something that dominates its uses; where that cannot be had, the old instruction
//! stays.

use crate::cost::{Choice, has_constant_first};
use crate::extract::Extraction;
use crate::probe::{emit_const, emit_op, insert, retype};
use crate::seed::Seeded;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::ir::{Block, Function, Inst, Opcode, Value, ValueDef, types};
use cranelift_codegen::loop_analysis::LoopAnalysis;
use egraft_egraph::{EGraph, Matcher};
use egraft_ir::{ClassId, Node, Op};
use egraft_rules::MatchGraph;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// How deep a replaced expression may nest before its instruction is left alone.
const MAX_DEPTH: usize = 200;

/// Where a class's value is to be had.
#[derive(Clone, Copy)]
struct Home {
    block: Block,
    value: Value,
}

/// Rewrites `func` to compute what `extraction` chose; gives the instructions replaced.
pub(crate) fn elaborate<M: Matcher>(
    func: &mut Function,
    domtree: &DominatorTree,
    loops: &LoopAnalysis,
    seeded: &Seeded<'_, M>,
    extraction: &Extraction<'_>,
) -> Vec<Inst> {
    let mut this = Elaborator {
        graph: seeded.rewriter.graph(),
        domtree,
        loops,
        leaves: &seeded.leaves,
        opaques: &seeded.opaques,
        extraction,
        homes: FxHashMap::default(),
        replaced: Vec::new(),
    };
    let rpo: Vec<Block> = domtree.cfg_rpo().copied().collect();
    for block in rpo {
        for at in 0..func.dfg.block_params(block).len() {
            let param = func.dfg.block_params(block)[at];
            this.note(seeded, block, param);
        }
        let mut next = func.layout.first_inst(block);
        while let Some(inst) = next {
            next = func.layout.next_inst(inst);
            if let Some(node) = seeded.node_of[inst] {
                this.visit(func, seeded, block, inst, &node);
            } else {
                for at in 0..func.dfg.inst_results(inst).len() {
                    let value = func.dfg.inst_results(inst)[at];
                    this.note(seeded, block, value);
                }
            }
        }
    }
    this.replaced
}

/// Whether `inst` is the first of the two instructions that wasm's `trunc_sat` of `f64x2` becomes. No
/// target has it alone: it stays as it is, and nothing else may read it.
fn is_half(func: &Function, inst: Inst) -> bool {
    let opcode = func.dfg.insts[inst].opcode();
    let converts = matches!(opcode, Opcode::FcvtToUintSat | Opcode::FcvtToSintSat);
    converts && func.dfg.value_type(func.dfg.first_result(inst)) == types::I64X2
}

struct Elaborator<'a> {
    graph: &'a EGraph,
    domtree: &'a DominatorTree,
    loops: &'a LoopAnalysis,
    leaves: &'a [Value],
    opaques: &'a [Inst],
    extraction: &'a Extraction<'a>,
    homes: FxHashMap<ClassId, SmallVec<[Home; 2]>>,
    replaced: Vec<Inst>,
}

impl Elaborator<'_> {
    /// Remembers that `value` is defined in `block`.
    fn note<M: Matcher>(&mut self, seeded: &Seeded<'_, M>, block: Block, value: Value) {
        if let Some(class) = seeded.class_of[value] {
            let class = self.graph.find(class);
            self.homes.entry(class).or_default().push(Home { block, value });
        }
    }

    fn visit<M: Matcher>(
        &mut self,
        func: &mut Function,
        seeded: &Seeded<'_, M>,
        block: Block,
        inst: Inst,
        node: &Node,
    ) {
        let result = func.dfg.first_result(inst);
        let Some(class) = seeded.class_of[result].map(|class| self.graph.find(class)) else {
            return;
        };
        let same = !self.extraction.is_computed(class)
            || self.extraction.chosen(class) == self.graph.canonical(*node);
        if is_half(func, inst) {
            return;
        }
        if same || !self.available(func, block, class, 0) {
            self.note(seeded, block, result);
            return;
        }
        let value = match self.home(block, class) {
            Some(value) => value,
            None => {
                let mut cursor = FuncCursor::new(func).at_inst(inst);
                let location = cursor.func.srcloc(inst);
                cursor.set_srcloc(location);
                match self.build(&mut cursor, block, class) {
                    Some(value) => value,
                    None => {
                        self.note(seeded, block, result);
                        return;
                    }
                }
            }
        };
        let ty = func.dfg.value_type(result);
        let location = func.srcloc(inst);
        let mut cursor = FuncCursor::new(func).at_inst(inst).with_srcloc(location);
        let value = retype(&mut cursor, value, ty);
        func.layout.remove_inst(inst);
        func.dfg.clear_results(inst);
        func.dfg.change_to_alias(result, value);
        self.replaced.push(inst);
    }

    /// A value of `class` that is defined wherever `block` is reached.
    fn home(&self, block: Block, class: ClassId) -> Option<Value> {
        let homes = self.homes.get(&class)?;
        homes
            .iter()
            .rev()
            .find(|home| self.domtree.block_dominates(home.block, block))
            .map(|home| home.value)
    }

    /// Whether all that the chosen expression of `class` reads is defined at `block`.
    fn available(&self, func: &Function, block: Block, class: ClassId, depth: usize) -> bool {
        let class = self.graph.find(class);
        if self.home(block, class).is_some() {
            return true;
        }
        let node = self.extraction.chosen(class);
        match node.op {
            Op::Const => true,
            Op::Leaf => {
                let home = definition(func, self.leaves[node.imm as usize]);
                home.is_some_and(|home| self.domtree.block_dominates(home, block))
            }
            _ => {
                depth < MAX_DEPTH
                    && node.args().iter().all(|arg| self.available(func, block, *arg, depth + 1))
            }
        }
    }

    /// Emits the chosen expression of `class` at the cursor in `block`, or before the loops in
    /// which it does not change.
    fn build(
        &mut self,
        cursor: &mut FuncCursor<'_>,
        block: Block,
        class: ClassId,
    ) -> Option<Value> {
        let class = self.graph.find(class);
        if let Some(value) = self.home(block, class) {
            return Some(value);
        }
        let node = self.extraction.chosen(class);
        match node.op {
            Op::Leaf => return Some(self.leaves[node.imm as usize]),
            // Constants are cheap to make anew and dear to keep in registers.
            Op::Const => return Some(emit_const(cursor, node.ty, node.imm)),
            _ => {}
        }
        let mut args: SmallVec<[Value; 3]> = SmallVec::new();
        for arg in node.args() {
            args.push(self.build(cursor, block, *arg)?);
        }
        if has_constant_first(self.graph, &node) {
            args.swap(0, 1);
        }
        let home = self.outermost(cursor.func, block, &args);
        let value = if home == block {
            self.emit(cursor, &node, &args)?
        } else {
            let before = cursor.func.layout.last_inst(home)?;
            let location = cursor.srcloc();
            let mut outside = FuncCursor::new(cursor.func).at_inst(before).with_srcloc(location);
            self.emit(&mut outside, &node, &args)?
        };
        self.homes.entry(class).or_default().push(Home { block: home, value });
        Some(value)
    }

    fn emit(&self, cursor: &mut FuncCursor<'_>, node: &Node, args: &[Value]) -> Option<Value> {
        if node.op != Op::Opaque {
            return emit_op(cursor, node, args);
        }
        let pattern = self.opaques[node.imm as usize];
        let kind = cursor.func.dfg.ctrl_typevar(pattern);
        let mut data = cursor.func.dfg.insts[pattern];
        let operands = data.arguments_mut(&mut cursor.func.dfg.value_lists);
        for (slot, value) in operands.iter_mut().zip(args) {
            *slot = *value;
        }
        let inst = cursor.func.dfg.make_inst(data);
        cursor.func.dfg.make_inst_results(inst, kind);
        Some(insert(cursor, inst))
    }

    /// The block furthest out of loops, on the way from `block` to where `args` are defined.
    fn outermost(&self, func: &Function, block: Block, args: &[Value]) -> Block {
        let mut best = block;
        let mut at = block;
        while let Some(lp) = self.loops.innermost_loop(at) {
            let header = self.loops.loop_header(lp);
            let Some(outside) = self.domtree.idom(header) else { break };
            let defined = args.iter().all(|arg| {
                definition(func, *arg)
                    .is_some_and(|home| self.domtree.block_dominates(home, outside))
            });
            if !defined {
                break;
            }
            best = outside;
            at = outside;
        }
        best
    }
}

/// The block that defines `value`.
fn definition(func: &Function, value: Value) -> Option<Block> {
    match func.dfg.value_def(func.dfg.resolve_aliases(value)) {
        ValueDef::Result(inst, _) => func.layout.inst_block(inst),
        ValueDef::Param(block, _) => Some(block),
        ValueDef::Union(..) => None,
    }
}
