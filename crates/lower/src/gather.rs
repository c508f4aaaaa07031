//! Addresses of gathered lanes: wasm has no gathers, so LLVM takes the lanes of a vector of indices out one by one, and what
//! makes each an address, a factor and the same base for all, is added to each alone. Here it is added to the vector.
//!
//! Sums are modulo 2³², so they may be taken in any order: a base joins what the loop adds anyway and does not change.

use crate::probe::retype;
use crate::seed::is_vector_bitcast;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{
    Block, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef, types,
};
use cranelift_codegen::loop_analysis::{Loop, LoopAnalysis};

/// Lanes of a vector of indices.
const LANES: usize = 4;
/// Sums that are looked through for what a loop does not change.
const MAX_DEPTH: usize = 4;

/// Adds to vectors what `func`, in loops, adds to each of their lanes. Tells whether there was any.
///
/// Aliases of values are resolved; what a loop does not change is not moved out of it.
pub fn add_before_extracting(func: &mut Function) -> bool {
    func.dfg.resolve_all_aliases();
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &domtree);
    let mut any = false;
    let blocks: Vec<Block> = func.layout.blocks().collect();
    let mut counted = None;
    for block in blocks {
        let Some(around) = loops.innermost_loop(block) else { continue };
        let sums: Vec<(Inst, Sum)> = func
            .layout
            .block_insts(block)
            .filter_map(|inst| Some((inst, Sum::of(func, inst)?)))
            .collect();
        if sums.len() < LANES {
            continue;
        }
        let uses: &SecondaryMap<Value, u32> = counted.get_or_insert_with(|| uses(func));
        let mut left = sums;
        while let Some((_, first)) = left.first().copied() {
            let (like, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, sum)| sum.is_like(&first));
            left = others;
            let mut lanes: Vec<u8> = like.iter().map(|(_, sum)| sum.lane).collect();
            lanes.sort_unstable();
            lanes.dedup();
            let is_read_here = |value: &Value| uses[*value] == 1;
            let alone = like.iter().all(|(_, sum)| sum.read.iter().flatten().all(is_read_here));
            if !alone || lanes.len() < LANES || like.len() != lanes.len() {
                continue;
            }
            let rewrite = Rewrite { block, around, loops: &loops, uses };
            rewrite.carry_out(func, &like);
            any = true;
        }
    }
    any
}

/// How often each value of `func` is read, aliases resolved.
pub fn uses(func: &Function) -> SecondaryMap<Value, u32> {
    let mut uses: SecondaryMap<Value, u32> = SecondaryMap::new();
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            for value in func.dfg.inst_values(inst) {
                uses[func.dfg.resolve_aliases(value)] += 1;
            }
        }
    }
    uses
}

/// A lane of a vector, shifted to the left, plus a scalar.
#[derive(Clone, Copy)]
struct Sum {
    vector: Value,
    lane: u8,
    shift: i64,
    addend: Value,
    /// The values between the vector and the sum.
    read: [Option<Value>; 2],
}

impl Sum {
    fn of(func: &Function, inst: Inst) -> Option<Sum> {
        let InstructionData::Binary { opcode: Opcode::Iadd, args } = func.dfg.insts[inst] else {
            return None;
        };
        let [one, other] = args;
        Sum::plus(func, one, other).or_else(|| Sum::plus(func, other, one))
    }

    fn plus(func: &Function, value: Value, addend: Value) -> Option<Sum> {
        let mut read = [Some(value), None];
        let (mut lane_of, mut shift) = (value, 0);
        if let ValueDef::Result(inst, _) = func.dfg.value_def(value)
            && let InstructionData::Binary { opcode: Opcode::Ishl, args } = func.dfg.insts[inst]
        {
            shift = number(func, args[1])?;
            lane_of = args[0];
            read[1] = Some(lane_of);
        }
        let ValueDef::Result(inst, _) = func.dfg.value_def(lane_of) else { return None };
        let InstructionData::BinaryImm8 { opcode: Opcode::Extractlane, arg, imm: lane } =
            func.dfg.insts[inst]
        else {
            return None;
        };
        let fits = func.dfg.value_type(arg) == types::I32X4 && (0..32).contains(&shift);
        fits.then_some(Sum { vector: bits(func, arg), lane, shift, addend, read })
    }

    fn is_like(&self, other: &Sum) -> bool {
        (self.vector, self.shift, self.addend) == (other.vector, other.shift, other.addend)
    }
}

/// The vector whose bits `value` has under another type.
fn bits(func: &Function, value: Value) -> Value {
    match func.dfg.value_def(value).inst() {
        Some(inst) if is_vector_bitcast(&func.dfg, inst) => bits(func, func.dfg.inst_args(inst)[0]),
        _ => value,
    }
}

/// The constant that a scalar is.
fn number(func: &Function, value: Value) -> Option<i64> {
    let inst = func.dfg.value_def(value).inst()?;
    match func.dfg.insts[inst] {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits()),
        _ => None,
    }
}

struct Rewrite<'a> {
    block: Block,
    around: Loop,
    loops: &'a LoopAnalysis,
    uses: &'a SecondaryMap<Value, u32>,
}

impl Rewrite<'_> {
    /// Takes the lanes of `sums`, in the order of the block, out of a vector of sums.
    fn carry_out(&self, func: &mut Function, sums: &[(Inst, Sum)]) {
        let (first, sum) = sums[0];
        let place = func.srcloc(first);
        let mut cursor = FuncCursor::new(func).at_inst(first).with_srcloc(place);
        let addend = cursor.ins().splat(types::I32X4, sum.addend);
        let made = self.shifted_plus(&mut cursor, sum.vector, sum.shift, addend);
        for (inst, sum) in sums {
            let result = func.dfg.first_result(*inst);
            let place = func.srcloc(*inst);
            let mut cursor = FuncCursor::new(func).at_inst(*inst).with_srcloc(place);
            let lane = cursor.ins().extractlane(made, sum.lane);
            cursor.func.layout.remove_inst(*inst);
            cursor.func.dfg.clear_results(*inst);
            cursor.func.dfg.change_to_alias(result, lane);
        }
    }

    /// `vector << shift` plus `addend`.
    fn shifted_plus(
        &self,
        cursor: &mut FuncCursor<'_>,
        vector: Value,
        shift: i64,
        addend: Value,
    ) -> Value {
        if shift == 0 {
            let joined = self.joined(cursor, vector, addend, 0);
            return joined.unwrap_or_else(|| {
                let vector = lanes(cursor, vector);
                cursor.ins().iadd(vector, addend)
            });
        }
        let fixed = sum_of(cursor.func, vector).and_then(|[one, other]| {
            match (self.is_fixed(cursor.func, one), self.is_fixed(cursor.func, other)) {
                (_, true) => Some((one, other)),
                (true, false) => Some((other, one)),
                _ => None,
            }
        });
        let (moving, addend) = match fixed {
            Some((moving, fixed)) => {
                let fixed = lanes(cursor, fixed);
                let fixed = cursor.ins().ishl_imm_u(fixed, shift);
                (moving, cursor.ins().iadd(fixed, addend))
            }
            None => (vector, addend),
        };
        let moving = lanes(cursor, moving);
        let moving = cursor.ins().ishl_imm_u(moving, shift);
        cursor.ins().iadd(moving, addend)
    }

    /// The sum `vector` with `addend` joined to a part that the loop does not change; what is between is read only
    /// here.
    fn joined(
        &self,
        cursor: &mut FuncCursor<'_>,
        vector: Value,
        addend: Value,
        depth: usize,
    ) -> Option<Value> {
        let [one, other] = sum_of(cursor.func, vector)?;
        for (part, rest) in [(one, other), (other, one)] {
            if self.is_fixed(cursor.func, part) {
                let [part, rest] = [part, rest].map(|value| lanes(cursor, value));
                let part = cursor.ins().iadd(part, addend);
                return Some(cursor.ins().iadd(rest, part));
            }
        }
        for (part, rest) in [(one, other), (other, one)] {
            if depth < MAX_DEPTH
                && self.is_only_here(cursor.func, part)
                && let Some(part) = self.joined(cursor, part, addend, depth + 1)
            {
                let rest = lanes(cursor, rest);
                return Some(cursor.ins().iadd(rest, part));
            }
        }
        None
    }

    /// Whether `value` is the same in each turn of the loop.
    fn is_fixed(&self, func: &Function, value: Value) -> bool {
        let home = match func.dfg.value_def(bits(func, value)) {
            ValueDef::Result(inst, _) => {
                if func.dfg.insts[inst].opcode() == Opcode::Vconst {
                    return true;
                }
                func.layout.inst_block(inst)
            }
            ValueDef::Param(home, _) => Some(home),
            ValueDef::Union(..) => None,
        };
        home.is_some_and(|home| !self.loops.is_in_loop(home, self.around))
    }

    /// Whether `value` is made in this block and read once.
    fn is_only_here(&self, func: &Function, value: Value) -> bool {
        let Some(inst) = func.dfg.value_def(value).inst() else { return false };
        let is_here = func.layout.inst_block(inst) == Some(self.block) && self.uses[value] == 1;
        let is_bitcast = is_vector_bitcast(&func.dfg, inst);
        is_here && (!is_bitcast || self.is_only_here(func, func.dfg.inst_args(inst)[0]))
    }
}

/// `value` as four lanes.
fn lanes(cursor: &mut FuncCursor<'_>, value: Value) -> Value {
    retype(cursor, value, types::I32X4)
}

/// The operands of the sum of vectors of four lanes that `value` is.
fn sum_of(func: &Function, value: Value) -> Option<[Value; 2]> {
    let value = bits(func, value);
    let inst = func.dfg.value_def(value).inst()?;
    match func.dfg.insts[inst] {
        InstructionData::Binary { opcode: Opcode::Iadd, args }
            if func.dfg.value_type(value) == types::I32X4 =>
        {
            Some(args)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop that loads four lanes of a vector of indices, which `index` makes of `v5`; `v1` is the base.
    fn gathering(index: &str, last: &str) -> Function {
        let lanes: String = (0..4)
            .map(|lane| {
                let base = if lane == 3 { last } else { "v1" };
                format!(
                    "v{}0 = extractlane v6, {lane}\nv{}1 = iadd {base}, v{}0\nv{}2 = uextend.i64 v{}1\n\
                     v{}3 = load.i32 v{}2\n",
                    lane + 1, lane + 1, lane + 1, lane + 1, lane + 1, lane + 1, lane + 1
                )
            })
            .collect();
        let text = format!(
            "function %gathering(i32, i32, i32x4) {{
             block0(v0: i32, v1: i32, v2: i32x4):
                jump block1(v0)
             block1(v4: i32):
                v5 = splat.i32x4 v4
                {index}
                {lanes}
                v7 = isub v4, v1
                brif v7, block1(v7), block2
             block2:
                return
             }}"
        );
        cranelift_reader::parse_functions(&text).expect("it is CLIF").remove(0)
    }

    /// The vector instructions of the loop.
    fn vectors(func: &Function) -> Vec<String> {
        let loops = func.layout.blocks().nth(1).expect("a loop");
        let is_vector = |inst: &Inst| {
            func.dfg.inst_results(*inst).iter().any(|value| func.dfg.value_type(*value).is_vector())
        };
        let insts = func.layout.block_insts(loops).filter(is_vector);
        insts.map(|inst| func.dfg.display_inst(inst).to_string()).collect()
    }

    #[test]
    fn a_base_joins_what_the_loop_does_not_change() {
        let mut func = gathering("v3 = imul v5, v5\nv6 = iadd v3, v2", "v1");
        assert!(add_before_extracting(&mut func));
        assert_eq!(
            vectors(&func),
            [
                "v5 = splat.i32x4 v4",
                "v3 = imul.i32x4 v5, v5",
                "v6 = iadd.i32x4 v3, v2",
                "v44 = splat.i32x4 v1",
                "v45 = iadd.i32x4 v2, v44",
                "v46 = iadd.i32x4 v3, v45",
            ]
        );
        let text = func.to_string();
        assert!(!text.contains("iadd.i32 v1"), "no lane is added to:\n{text}");
        assert_eq!(text.matches("extractlane v46").count(), 4, "{text}");
    }

    #[test]
    fn all_lanes_have_one_base_or_none_is_added() {
        let mut func = gathering("v6 = iadd v5, v2", "v0");
        assert!(!add_before_extracting(&mut func));
    }
}
