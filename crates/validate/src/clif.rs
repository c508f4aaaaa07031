//! CLIF as values and effects.
//!
//! What may be shared, moved and dropped is a value; everything else is an effect, which stays where
//! it is. Which is which, and what an instruction means, `egraft_lower` and `egraft_ir` say.
//! Invariant: a value is only looked at once what effects give before it is known.

use crate::values::{Id, Values};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst, InstructionData, Opcode, Value, ValueDef};
use egraft_ir::clif::from_type;
use egraft_ir::machine::MachineOp;
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_lower::{is_division, is_pure, is_vector_bitcast, node_of};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What is known of a CLIF value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// It is this value.
    Is(Id),
    /// Nothing, and why.
    Nothing(String),
}

/// A function, block by block.
pub(crate) struct Clif<'f> {
    pub(crate) func: &'f Function,
    /// Blocks that can be reached, each behind those that dominate it.
    pub(crate) order: Vec<Block>,
    known: SecondaryMap<Value, Option<Known>>,
    /// Where each explicit stack slot starts in the frame, once that is fixed.
    pub(crate) stack_slots: Option<Vec<u32>>,
    /// Instructions that stand for machine ops with an immediate.
    pub(crate) stand_ins: FxHashMap<Inst, (MachineOp, u32)>,
}

impl<'f> Clif<'f> {
    /// Nothing is known of `func` yet.
    pub(crate) fn new(func: &'f Function) -> Clif<'f> {
        let cfg = ControlFlowGraph::with_function(func);
        let domtree = DominatorTree::with_function(func, &cfg);
        let order = domtree.cfg_rpo().copied().collect();
        Clif {
            func,
            order,
            known: SecondaryMap::new(),
            stack_slots: None,
            stand_ins: FxHashMap::default(),
        }
    }

    /// Says what a parameter or the result of an effect is.
    pub(crate) fn define(&mut self, value: Value, known: Known) {
        let value = self.func.dfg.resolve_aliases(value);
        self.known[value] = Some(known);
    }

    /// Bits of `value`; `None` for types that no op works on.
    pub(crate) fn width(&self, value: Value) -> Option<u32> {
        from_type(self.func.dfg.value_type(value)).map(Ty::bits)
    }

    /// What `value` is.
    pub(crate) fn value(&mut self, values: &mut Values, value: Value) -> Known {
        let value = self.func.dfg.resolve_aliases(value);
        let mut todo = vec![value];
        while let Some(&at) = todo.last() {
            if self.known[at].is_some() {
                todo.pop();
                continue;
            }
            let ValueDef::Result(inst, _) = self.func.dfg.value_def(at) else {
                self.known[at] = Some(Known::Nothing(format!("{at} is not defined before")));
                continue;
            };
            let mut missing = false;
            for arg in self.func.dfg.inst_args(inst) {
                let arg = self.func.dfg.resolve_aliases(*arg);
                if self.known[arg].is_none() {
                    todo.push(arg);
                    missing = true;
                }
            }
            // A value that is made of itself has no place in SSA form.
            if todo.len() > self.func.dfg.num_values() + 1 {
                return Known::Nothing(format!("{at} depends on itself"));
            }
            if !missing {
                self.known[at] = Some(self.computed(values, inst));
            }
        }
        self.known[value].clone().expect("just found")
    }

    /// What `inst`, whose operands are known, computes.
    fn computed(&mut self, values: &mut Values, inst: Inst) -> Known {
        let dfg = &self.func.dfg;
        if self.is_effect(inst) {
            return Known::Nothing(format!("`{}` is not done before", dfg.display_inst(inst)));
        }
        let mut args: SmallVec<[Id; 3]> = SmallVec::new();
        for arg in dfg.inst_args(inst) {
            match &self.known[dfg.resolve_aliases(*arg)] {
                Some(Known::Is(id)) => args.push(*id),
                Some(Known::Nothing(why)) => return Known::Nothing(why.clone()),
                None => return Known::Nothing(format!("{arg} is not known")),
            }
        }
        if is_vector_bitcast(dfg, inst) {
            return Known::Is(args[0]);
        }
        if let Some((op, imm)) = self.stand_ins.get(&inst) {
            // Some have an operand twice, so as to be of the right form.
            args.truncate(op.args().len());
            return match values.machine(*op, *imm, &args) {
                Ok(id) => Known::Is(id),
                Err(error) => Known::Nothing(error.to_string()),
            };
        }
        if let Some(node) = node_of(dfg, inst) {
            return match values.op(node, &args) {
                Ok(id) => Known::Is(id),
                // A division that may trap, though it was taken for one that does not.
                Err(error) => Known::Nothing(error.to_string()),
            };
        }
        if let (Some(slots), InstructionData::StackAddr { stack_slot, offset, .. }) =
            (&self.stack_slots, dfg.insts[inst])
        {
            let start = slots.get(stack_slot.as_u32() as usize).copied().unwrap_or_default();
            let at = i64::from(start) + i64::from(i32::from(offset));
            return Known::Is(values.function(&format!("stack+{at}"), &[], 64));
        }
        match self.width(dfg.first_result(inst)) {
            Some(width) => Known::Is(values.function(&blanked(self.func, inst), &args, width)),
            None => Known::Nothing(format!("type {}", dfg.value_type(dfg.first_result(inst)))),
        }
    }

    /// Whether `inst` does more than compute, as far as can be said without its operands.
    fn is_effect(&self, inst: Inst) -> bool {
        let dfg = &self.func.dfg;
        match node_of(dfg, inst) {
            Some(node) if is_division(node.op) => false,
            Some(_) => false,
            None => !is_pure(dfg, inst) && !is_vector_bitcast(dfg, inst),
        }
    }

    /// The effects of `block`, in order. What comes before the block must be known.
    pub(crate) fn effects(&mut self, block: Block) -> Vec<Inst> {
        self.func.layout.block_insts(block).filter(|inst| self.acts(*inst)).collect()
    }

    /// Whether `inst` does more than compute. A division does unless its divisor is a constant that
    /// it cannot trap with.
    fn acts(&self, inst: Inst) -> bool {
        let dfg = &self.func.dfg;
        match node_of(dfg, inst) {
            Some(node) if is_division(node.op) => !self.divisor_is_harmless(&node, inst),
            _ => self.is_effect(inst),
        }
    }

    fn divisor_is_harmless(&self, node: &Node, inst: Inst) -> bool {
        let dfg = &self.func.dfg;
        let divisor = dfg.resolve_aliases(dfg.inst_args(inst)[1]);
        let ValueDef::Result(def, 0) = dfg.value_def(divisor) else { return false };
        let InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } = dfg.insts[def] else {
            return false;
        };
        let bits = imm.bits() as u64 as u128 & node.ty.mask();
        bits != 0 && (matches!(node.op, Op::Udiv | Op::Urem) || bits != node.ty.mask())
    }

    /// A new value for a result of the effect `inst`, and for the bits that a load reads.
    pub(crate) fn fresh(
        &self,
        values: &mut Values,
        inst: Inst,
        result: Value,
    ) -> (Option<Id>, Known) {
        self.given(values, inst, result, None)
    }

    /// As [`Clif::fresh`], but where `raw` says what a load reads, that is read: what an extending load
    /// gives is an extension of it.
    pub(crate) fn given(
        &self,
        values: &mut Values,
        inst: Inst,
        result: Value,
        raw: Option<Id>,
    ) -> (Option<Id>, Known) {
        let dfg = &self.func.dfg;
        let Some(ty) = from_type(dfg.value_type(result)) else {
            return (None, Known::Nothing(format!("type {}", dfg.value_type(result))));
        };
        let name = format!("{result} = {}", dfg.insts[inst].opcode());
        let extended = |op: Op, from: Ty| (Node::convert(op, ty, from, ClassId(0)), from.bits());
        let widened = |op: Op, from: Ty| (Node::new(op, from, &[ClassId(0)]), 64);
        let (node, bits) = match dfg.insts[inst].opcode() {
            Opcode::Uload8 => extended(Op::Uextend, Ty::I8),
            Opcode::Uload16 => extended(Op::Uextend, Ty::I16),
            Opcode::Uload32 => extended(Op::Uextend, Ty::I32),
            Opcode::Sload8 => extended(Op::Sextend, Ty::I8),
            Opcode::Sload16 => extended(Op::Sextend, Ty::I16),
            Opcode::Sload32 => extended(Op::Sextend, Ty::I32),
            Opcode::Uload8x8 => widened(Op::UwidenLow, Ty::I8X16),
            Opcode::Uload16x4 => widened(Op::UwidenLow, Ty::I16X8),
            Opcode::Uload32x2 => widened(Op::UwidenLow, Ty::I32X4),
            Opcode::Sload8x8 => widened(Op::SwidenLow, Ty::I8X16),
            Opcode::Sload16x4 => widened(Op::SwidenLow, Ty::I16X8),
            Opcode::Sload32x2 => widened(Op::SwidenLow, Ty::I32X4),
            _ => {
                let id = raw.unwrap_or_else(|| values.symbol(&name, ty.bits()));
                return (Some(id), Known::Is(id));
            }
        };
        let raw = raw.unwrap_or_else(|| values.symbol(&name, bits));
        let mut loaded = raw;
        if bits == 64 && ty.is_vector() {
            let lane = Node::new(Op::ScalarToVector, Ty::I64X2, &[ClassId(0)]);
            loaded = values.op(lane, &[loaded]).expect("a lane of a vector");
        }
        let known = match values.op(node, &[loaded]) {
            Ok(id) => Known::Is(id),
            Err(error) => Known::Nothing(error.to_string()),
        };
        (Some(raw), known)
    }
}

/// The text of `inst` without the names of values: what it does, whatever it does it to.
pub(crate) fn blanked(func: &Function, inst: Inst) -> String {
    let text = func.dfg.display_inst(inst).to_string();
    // Behind it stand the constants among its operands.
    let text = text.split("  ;").next().unwrap_or_default();
    let mut blank = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let digits = word.strip_prefix('v').unwrap_or_default();
        let is_value = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        blank.push_str(if is_value { "_" } else { &word });
        word.clear();
        blank.push(c);
    }
    blank.trim_end().to_owned()
}
