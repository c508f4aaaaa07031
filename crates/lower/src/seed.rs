//! Seeds an e-graph from CLIF: pure instructions become e-nodes, everything else a skeleton of
//! leaves. Changes nothing in the function.
//!
//! Invariant: a value's class has the value's type, lanes forgotten; every e-node of an
//! instruction computes exactly what the instruction does.

use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::ir::{
    Block, DataFlowGraph, Function, Inst, InstructionData, Opcode, Type, Value,
};
use egraft_egraph::{Limits, Matcher, Rewriter};
use egraft_ir::clif::{from_float_cc, from_int_cc, from_opcode, from_type};
use egraft_ir::{ClassId, Facts, KnownBits, Node, Op, SignCopies, Ty, TypeRule};
use rustc_hash::FxHashMap;

/// A function's values as classes of an e-graph.
pub struct Seeded<'m, M: Matcher> {
    /// The graph, with what rewriting has found.
    pub rewriter: Rewriter<'m, M>,
    /// The class of each value that has one; by resolved value.
    pub class_of: SecondaryMap<Value, Option<ClassId>>,
    /// The e-node of each pure instruction, as it was seeded.
    pub node_of: SecondaryMap<Inst, Option<Node>>,
    /// The value behind each `leaf`, by its immediate.
    pub leaves: Vec<Value>,
    /// An instruction of the kind behind each `opaque`, by its immediate.
    pub opaques: Vec<Inst>,
    /// Pure instructions in an order in which definitions come before uses.
    pub pure: Vec<Inst>,
}

/// Seeds an e-graph under `matcher` with the reachable blocks of `func`.
pub fn seed<'m, M: Matcher>(
    func: &Function,
    domtree: &DominatorTree,
    matcher: &'m M,
    limits: Limits,
) -> Seeded<'m, M> {
    let mut seeder = Seeder {
        dfg: &func.dfg,
        out: Seeded {
            rewriter: Rewriter::new(matcher, limits),
            class_of: SecondaryMap::new(),
            node_of: SecondaryMap::new(),
            leaves: Vec::new(),
            opaques: Vec::new(),
            pure: Vec::new(),
        },
        opaque_kinds: FxHashMap::default(),
    };
    for block in domtree.cfg_rpo() {
        seeder.block(func, *block);
    }
    seeder.out
}

struct Seeder<'f, 'm, M: Matcher> {
    dfg: &'f DataFlowGraph,
    out: Seeded<'m, M>,
    opaque_kinds: FxHashMap<(InstructionData, Type), u128>,
}

impl<M: Matcher> Seeder<'_, '_, M> {
    fn block(&mut self, func: &Function, block: Block) {
        for param in self.dfg.block_params(block) {
            self.leaf(*param, Facts::unknown());
        }
        for inst in func.layout.block_insts(block) {
            self.inst(inst);
        }
    }

    fn leaf(&mut self, value: Value, facts: Facts) {
        let Some(ty) = from_type(self.dfg.value_type(value)) else { return };
        let index = self.out.leaves.len() as u128;
        self.out.leaves.push(value);
        let class = self.out.rewriter.add(Node::with_imm(Op::Leaf, ty, index, &[]));
        if facts != Facts::unknown() {
            self.out.rewriter.graph_mut().assume(class, facts);
        }
        self.out.class_of[value] = Some(class);
    }

    fn inst(&mut self, inst: Inst) {
        if let Some((node, class)) = self.pure(inst) {
            let value = self.dfg.first_result(inst);
            self.out.node_of[inst] = node;
            self.out.class_of[value] = Some(class);
            self.out.pure.push(inst);
            return;
        }
        let facts = load_facts(self.dfg, inst);
        for value in self.dfg.inst_results(inst) {
            self.leaf(*value, facts);
        }
    }

    /// The class of a pure instruction, with its node unless it only renames its operand.
    fn pure(&mut self, inst: Inst) -> Option<(Option<Node>, ClassId)> {
        let data = &self.dfg.insts[inst];
        let &[result] = self.dfg.inst_results(inst) else { return None };
        let clif_ty = self.dfg.value_type(result);
        let ty = from_type(clif_ty)?;
        let mut classes = [ClassId::NONE; 3];
        let args = data.arguments(&self.dfg.value_lists);
        if args.len() > classes.len() {
            return None;
        }
        for (slot, arg) in classes.iter_mut().zip(args) {
            *slot = self.out.class_of[self.dfg.resolve_aliases(*arg)]?;
        }
        let args = &classes[..args.len()];
        if is_vector_bitcast(self.dfg, inst) {
            return Some((None, args[0]));
        }
        let node = match self.vocabulary_node(inst, args) {
            Some(node) => node,
            None => self.opaque_node(inst, clif_ty, ty, args)?,
        };
        debug_assert!(node.is_well_typed(), "{node} from {}", self.dfg.display_inst(inst));
        let class = self.out.rewriter.add(node);
        Some((Some(node), class))
    }

    fn vocabulary_node(&self, inst: Inst, args: &[ClassId]) -> Option<Node> {
        let mut node = node_of(self.dfg, inst)?;
        if is_division(node.op) && !self.cannot_trap(node.op, args) {
            return None;
        }
        node.args_mut().copy_from_slice(args);
        Some(node)
    }

    /// Whether a division by this divisor can neither divide by zero nor overflow.
    fn cannot_trap(&self, op: Op, args: &[ClassId]) -> bool {
        use egraft_rules::{FactSource, MatchGraph};
        let graph = self.out.rewriter.graph();
        let divisor = graph.find(args[1]);
        let ones = graph.class_type(divisor).mask();
        graph
            .constant(divisor)
            .is_some_and(|bits| bits != 0 && (matches!(op, Op::Udiv | Op::Urem) || bits != ones))
    }

    fn opaque_node(&mut self, inst: Inst, clif_ty: Type, ty: Ty, args: &[ClassId]) -> Option<Node> {
        if !is_pure(self.dfg, inst) {
            return None;
        }
        let mut kind = self.dfg.insts[inst];
        for value in kind.arguments_mut(&mut Default::default()) {
            *value = Value::from_u32(0);
        }
        let next = self.out.opaques.len() as u128;
        let index = *self.opaque_kinds.entry((kind, clif_ty)).or_insert(next);
        if index == next {
            self.out.opaques.push(inst);
        }
        Some(Node::with_imm(Op::Opaque, ty, index, args))
    }
}

/// Whether `op` traps for some divisors.
pub fn is_division(op: Op) -> bool {
    matches!(op, Op::Udiv | Op::Urem | Op::Sdiv | Op::Srem)
}

/// The e-node that computes what `inst` does, its operand slots filled with class 0; `None` outside
/// the vocabulary.
///
/// Divisions have a node whatever the divisor: the caller sees to it that they cannot trap.
pub fn node_of(dfg: &DataFlowGraph, inst: Inst) -> Option<Node> {
    let data = &dfg.insts[inst];
    let &[result] = dfg.inst_results(inst) else { return None };
    let result = from_type(dfg.value_type(result))?;
    match *data {
        InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } if result != Ty::I128 => {
            return Some(Node::constant(result, imm.bits() as u64 as u128));
        }
        InstructionData::UnaryIeee32 { imm, .. } => {
            return Some(Node::constant(result, u128::from(imm.bits())));
        }
        InstructionData::UnaryIeee64 { imm, .. } => {
            return Some(Node::constant(result, u128::from(imm.bits())));
        }
        InstructionData::UnaryConst { opcode: Opcode::Vconst, constant_handle } => {
            let bytes = dfg.constants.get(constant_handle).as_slice();
            let bytes: [u8; 16] = bytes.try_into().ok()?;
            return Some(Node::constant(result, u128::from_le_bytes(bytes)));
        }
        _ => {}
    }
    let op = from_opcode(data.opcode())?;
    let operand = |at: usize| from_type(dfg.value_type(dfg.inst_args(inst)[at]));
    let imm = match *data {
        InstructionData::IntCompare { cond, .. } => from_int_cc(cond) as u128,
        InstructionData::FloatCompare { cond, .. } => from_float_cc(cond) as u128,
        InstructionData::BinaryImm8 { imm, .. } | InstructionData::TernaryImm8 { imm, .. } => {
            u128::from(imm)
        }
        InstructionData::Shuffle { imm, .. } => {
            let bytes: [u8; 16] = dfg.immediates.get(imm)?.as_slice().try_into().ok()?;
            u128::from_le_bytes(bytes)
        }
        _ => 0,
    };
    let ty = match op.type_rule() {
        TypeRule::Same | TypeRule::Bits | TypeRule::Shift | TypeRule::Select => result,
        TypeRule::Splat | TypeRule::Insert | TypeRule::Convert | TypeRule::Gather => result,
        TypeRule::Compare
        | TypeRule::Widen
        | TypeRule::Narrow
        | TypeRule::Extract
        | TypeRule::Test
        | TypeRule::MulAddBytes => operand(0)?,
        TypeRule::Leaf => return None,
    };
    if !op.types().contains(ty) {
        return None;
    }
    let mut node = Node::with_imm(op, ty, imm, &[ClassId(0); 3][..op.arity()]);
    if matches!(op.type_rule(), TypeRule::Convert | TypeRule::Gather) {
        node.from = operand(0)?;
    }
    Some(node)
}

/// Whether `inst` only renames the bits of a 128-bit vector: lane 0 stays lowest.
pub fn is_vector_bitcast(dfg: &DataFlowGraph, inst: Inst) -> bool {
    match dfg.insts[inst] {
        InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, flags } => {
            let (from, to) = (dfg.value_type(arg), dfg.value_type(dfg.first_result(inst)));
            let flags = dfg.mem_flags[flags];
            let little =
                flags.explicit_endianness() == Some(cranelift_codegen::ir::Endianness::Little);
            from.is_vector()
                && to.is_vector()
                && (from == to || little || from.lane_count() == to.lane_count())
        }
        _ => false,
    }
}

/// Whether an instruction may be repeated, moved or dropped as long as its operands are there.
pub fn is_pure(dfg: &DataFlowGraph, inst: Inst) -> bool {
    let opcode = dfg.insts[inst].opcode();
    let fixed_load = match dfg.insts[inst] {
        InstructionData::Load { opcode: Opcode::Load, flags, .. } => {
            let flags = dfg.mem_flags[flags];
            flags.readonly() && flags.notrap() && flags.can_move()
        }
        _ => false,
    };
    let effect = opcode.is_call()
        || opcode.is_branch()
        || opcode.is_terminator()
        || opcode.is_return()
        || opcode.can_store()
        || opcode.other_side_effects();
    dfg.inst_results(inst).len() == 1
        && !effect
        && (fixed_load || (!opcode.can_load() && !opcode.can_trap()))
        && dfg.insts[inst].arguments(&dfg.value_lists).len() <= 3
}

/// What an extending load tells about its result.
fn load_facts(dfg: &DataFlowGraph, inst: Inst) -> Facts {
    let zeros = |zeros: u128| Facts { bits: KnownBits { zeros, ones: 0 }, ..Facts::unknown() };
    let high = |bits: u32| zeros(u128::MAX << bits);
    let lanes = |ty: Ty, bits: u32| zeros(ty.splat_bits(ty.lane_mask() & !((1 << bits) - 1)));
    let signed =
        |ty: Ty, bits: u32| Facts { copies: SignCopies::extended(ty, bits), ..Facts::unknown() };
    let scalar = |bits: u32| {
        let ty = dfg.inst_results(inst).first().and_then(|value| from_type(dfg.value_type(*value)));
        ty.map_or(Facts::unknown(), |ty| signed(ty, bits))
    };
    match dfg.insts[inst].opcode() {
        Opcode::Uload8 => high(8),
        Opcode::Uload16 => high(16),
        Opcode::Uload32 => high(32),
        Opcode::Uload8x8 => lanes(Ty::I16X8, 8),
        Opcode::Uload16x4 => lanes(Ty::I32X4, 16),
        Opcode::Uload32x2 => lanes(Ty::I64X2, 32),
        Opcode::Sload8 => scalar(8),
        Opcode::Sload16 => scalar(16),
        Opcode::Sload32 => scalar(32),
        Opcode::Sload8x8 => signed(Ty::I16X8, 8),
        Opcode::Sload16x4 => signed(Ty::I32X4, 16),
        Opcode::Sload32x2 => signed(Ty::I64X2, 32),
        _ => Facts::unknown(),
    }
}
