//! Chooses lowering rules for a function, and puts stand-ins where they apply.
//!
//! The function's values are classes of an e-graph, and left sides match modulo equality. Bottom up each vector value
//! gets the cheapest way to be computed: as stock Cranelift does, priced by its own lowering, or by the machine ops of a
//! rule; operands that others read too count in part. Invariant: a rule is used only where all values
//! it reads are defined before.

use crate::constants::Constants;
use crate::cores::Core;
use crate::encode::word;
use crate::rules::{LOWERING, MATCHER};
use crate::shuffles;
use crate::standin::StandIns;
use crate::weight::Prices;
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::dominator_tree::DominatorTree;
use cranelift_codegen::entity::SecondaryMap;
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::{Block, Function, Inst, RelSourceLoc, Value};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::loop_analysis::LoopAnalysis;
use egraft_egraph::{Limits, StandardRules};
use egraft_ir::ClassId;
use egraft_ir::machine::{Feature, MachineOp};
use egraft_lower::{CostModel, Seeded, is_vector_bitcast, retype, seed, uses};
use egraft_rules::{
    FactSource, LoweringRule, MachineTemplate, Match, MatchGraph, Ref, VarId, slot,
};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What an instruction costs besides its pipe, in 1/16 cycle, where no core says: it is decoded and retired.
const PER_INSTRUCTION: u32 = 2;
/// A constant that is made anew, or kept in a register.
const CONSTANT: u32 = 4;

/// Machine ops that the target has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Features {
    dotprod: bool,
    i8mm: bool,
}

impl Features {
    pub(crate) fn new(isa: &dyn TargetIsa) -> Features {
        let flags = isa.isa_flags();
        let has =
            |name: &str| flags.iter().any(|flag| flag.name == name && flag.as_bool() == Some(true));
        Features { dotprod: has("has_dotprod"), i8mm: has("has_i8mm") }
    }

    const fn has(self, op_feature: Feature) -> bool {
        match op_feature {
            Feature::Neon => true,
            Feature::Dotprod => self.dotprod,
            Feature::I8mm => self.i8mm,
            _ => false,
        }
    }
}

/// A rule, and the values that its variables are at one instruction.
struct Chosen {
    rule: &'static LoweringRule,
    found: Match,
    leaves: SmallVec<[(VarId, Leaf); 4]>,
}

/// What a variable of a right side is.
#[derive(Clone, Copy)]
enum Leaf {
    Value(Value),
    Constant(u128),
}

/// Covers `func` with lowering rules; gives the stand-ins that it holds then, and what its instructions cost.
pub(crate) fn cover(
    func: &mut Function,
    isa: &dyn TargetIsa,
    core: Option<Core>,
) -> (StandIns, Prices) {
    func.dfg.resolve_all_aliases();
    let cfg = ControlFlowGraph::with_function(func);
    let domtree = DominatorTree::with_function(func, &cfg);
    let seeded = seed(func, &domtree, &StandardRules, Limits::default());
    let mut cover = Cover {
        domtree: &domtree,
        seeded: &seeded,
        model: CostModel::tuned(isa, core.map(Core::costs).unwrap_or_default()),
        core,
        features: Features::new(isa),
        uses: uses(func),
        homes: FxHashMap::default(),
        cost: SecondaryMap::new(),
        prices: Prices::new(),
        matches: Vec::new(),
    };
    let blocks: Vec<Block> = domtree.cfg_rpo().copied().collect();
    let mut chosen: Vec<(Block, Inst, Chosen)> = Vec::new();
    for block in &blocks {
        for param in func.dfg.block_params(*block) {
            cover.define(*block, *param);
        }
        for inst in func.layout.block_insts(*block) {
            if let Some(choice) = cover.price(func, *block, inst) {
                chosen.push((*block, inst, choice));
            }
            for value in func.dfg.inst_results(inst) {
                cover.define(*block, *value);
            }
        }
    }
    let mut loops = LoopAnalysis::new();
    loops.compute(func, &cfg, &domtree);
    let constants = Constants::new(&domtree, &loops);
    let mut writer = Writer { constants, stand_ins: StandIns::default() };
    for (block, inst, choice) in chosen {
        writer.write(func, block, inst, &choice);
    }
    let Writer { mut constants, mut stand_ins } = writer;
    shuffles::replace(func, &mut constants, &mut stand_ins);
    let mut prices = cover.prices;
    for (inst, op, _) in stand_ins.insts() {
        prices[inst] = Some(op_cost(core, op));
    }
    (stand_ins, prices)
}

type Homes = FxHashMap<ClassId, SmallVec<[(Block, Value); 2]>>;

/// A value of `class` that is defined before what comes next in `block`; those of `homes` were met before.
fn home(homes: &Homes, domtree: &DominatorTree, block: Block, class: ClassId) -> Option<Value> {
    let known = homes.get(&class)?.iter().rev();
    known.copied().find(|(home, _)| domtree.block_dominates(*home, block)).map(|(_, value)| value)
}

struct Cover<'a> {
    domtree: &'a DominatorTree,
    seeded: &'a Seeded<'static, StandardRules>,
    model: CostModel<'a>,
    core: Option<Core>,
    features: Features,
    uses: SecondaryMap<Value, u32>,
    homes: Homes,
    /// What it takes to compute a value from what is not pure.
    cost: SecondaryMap<Value, u32>,
    /// What each instruction costs alone.
    prices: Prices,
    matches: Vec<Match>,
}

impl Cover<'_> {
    fn define(&mut self, block: Block, value: Value) {
        if let Some(class) = self.seeded.class_of[value] {
            let class = self.seeded.rewriter.graph().find(class);
            self.homes.entry(class).or_default().push((block, value));
        }
    }

    /// What reading `value` costs one of its readers.
    fn share(&self, value: Value) -> u32 {
        self.cost[value] / self.uses[value].max(1)
    }

    /// Settles the cost of an instruction's value; gives the rule that is cheaper than stock's code.
    fn price(&mut self, func: &Function, block: Block, inst: Inst) -> Option<Chosen> {
        let &[value] = func.dfg.inst_results(inst) else { return None };
        let class = self.seeded.class_of[value]?;
        let args = func.dfg.inst_args(inst).iter();
        let operands = args.map(|arg| self.share(*arg)).fold(0, u32::saturating_add);
        let graph = self.seeded.rewriter.graph();
        let Some(node) = self.seeded.node_of[inst] else {
            // A bitcast has its operand's cost; other instructions are no part of trees.
            let is_bitcast = is_vector_bitcast(&func.dfg, inst);
            self.cost[value] = if is_bitcast { operands } else { 0 };
            return None;
        };
        let own = self.model.price_of_node(graph, &node);
        let own = if self.core.is_none() && own > 0 { own + PER_INSTRUCTION } else { own };
        self.prices[inst] = Some(own);
        let mut best = operands.saturating_add(own);
        self.cost[value] = best;
        if !func.dfg.value_type(value).is_vector() || own == 0 {
            return None;
        }
        let class = graph.find(class);
        let mut matches = std::mem::take(&mut self.matches);
        matches.clear();
        for node in graph.nodes(class) {
            MATCHER.match_node(graph, node, class, &mut matches);
        }
        let mut chosen = None;
        for found in matches.drain(..) {
            let rule = &LOWERING.rules[found.rule.index()];
            let mut leaves = SmallVec::new();
            match self.cost_of(&rule.rhs, &found, block, &mut leaves) {
                Some(cost) if cost < best => {
                    best = cost;
                    chosen = Some(Chosen { rule, found, leaves });
                }
                _ => {}
            }
        }
        self.matches = matches;
        self.cost[value] = best;
        chosen
    }

    /// What a part of a right side costs with its operands; `None` if it cannot be had here.
    fn cost_of(
        &self,
        part: &MachineTemplate,
        found: &Match,
        block: Block,
        leaves: &mut SmallVec<[(VarId, Leaf); 4]>,
    ) -> Option<u32> {
        match part {
            MachineTemplate::Var(var) => {
                let graph = self.seeded.rewriter.graph();
                let class = graph.find(slot::class(found.binds[var.index()]));
                if let Some(value) = home(&self.homes, self.domtree, block, class) {
                    leaves.push((*var, Leaf::Value(value)));
                    return Some(self.share(value));
                }
                leaves.push((*var, Leaf::Constant(graph.constant(class)?)));
                Some(CONSTANT)
            }
            MachineTemplate::Splat { .. } | MachineTemplate::Bits { .. } => Some(CONSTANT),
            MachineTemplate::Op { op, imm, args } => {
                let imm = immediate(*imm, found)?;
                if word(*op, imm).is_none() || !self.features.has(op.feature()) {
                    return None;
                }
                let mut cost = op_cost(self.core, *op);
                for arg in args {
                    cost = cost.saturating_add(self.cost_of(arg, found, block, leaves)?);
                }
                Some(cost)
            }
        }
    }
}

fn op_cost(core: Option<Core>, op: MachineOp) -> u32 {
    core.map_or(u32::from(op.cost()) + PER_INSTRUCTION, |core| core.op_cost(op))
}

fn number(of: Ref, found: &Match) -> u128 {
    match of {
        Ref::Var(var) => found.binds[var.index()],
        Ref::Const(value) => value,
    }
}

fn immediate(imm: Option<Ref>, found: &Match) -> Option<u32> {
    imm.map_or(Some(0), |imm| u32::try_from(number(imm, found)).ok())
}

/// Puts stand-ins into a function.
struct Writer<'a> {
    constants: Constants<'a>,
    stand_ins: StandIns,
}

impl Writer<'_> {
    /// Replaces `inst` of `block` by stand-ins.
    fn write(&mut self, func: &mut Function, block: Block, inst: Inst, choice: &Chosen) {
        let place = func.stencil.srclocs[inst];
        let result = func.dfg.first_result(inst);
        let ty = func.dfg.value_type(result);
        let mut cursor = FuncCursor::new(func).at_inst(inst);
        let made = self.part(&mut cursor, block, place, &choice.rule.rhs, choice);
        let Some(made) = made else { return };
        let value = retype(&mut cursor, made, ty);
        func.layout.remove_inst(inst);
        func.dfg.clear_results(inst);
        func.dfg.change_to_alias(result, value);
    }

    fn part(
        &mut self,
        cursor: &mut FuncCursor<'_>,
        block: Block,
        place: RelSourceLoc,
        part: &MachineTemplate,
        choice: &Chosen,
    ) -> Option<Value> {
        let found = &choice.found;
        Some(match part {
            MachineTemplate::Var(var) => {
                let (_, leaf) = choice.leaves.iter().find(|(leaf, _)| leaf == var)?;
                match *leaf {
                    Leaf::Value(value) => value,
                    Leaf::Constant(bits) => self.constants.get(cursor, block, bits),
                }
            }
            MachineTemplate::Splat { ty, value } => {
                let bits = slot::ty(number(*ty, found)).splat_bits(number(*value, found));
                self.constants.get(cursor, block, bits)
            }
            MachineTemplate::Bits { value } => {
                self.constants.get(cursor, block, number(*value, found))
            }
            MachineTemplate::Op { op, imm, args } => {
                let mut values: SmallVec<[Value; 3]> = SmallVec::new();
                for arg in args {
                    values.push(self.part(cursor, block, place, arg, choice)?);
                }
                let op = (*op, immediate(*imm, found)?);
                self.stand_ins.insert(cursor, place, op, &values)?
            }
        })
    }
}
