//! One function through the whole pass, and what came of it.

use crate::cost::{Choice, CostModel, Costs};
use crate::elaborate::elaborate;
use crate::extract::{Extraction, Root};
use crate::pressure::{spill_cost, vector_registers};
use crate::profile::{Flow, Profile};
use crate::seed::{Seeded, seed};
use crate::shape::Context;
use cranelift_codegen::ir::{Block, Function, Inst, Opcode, SourceLoc, ValueDef};
use cranelift_codegen::isa::TargetIsa;
use egraft_egraph::{
    EGraph, Limits, Matcher, Reason as Why, RuleCount, Rules, Saturator, StopReason, to_dot,
    to_json,
};
use egraft_ir::{ClassId, Node};
use egraft_rules::{MatchGraph, RuleId};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use std::fmt;

/// See [`is_worth_it`].
const GAIN_SHARE: u64 = 33;

/// How many times its seeded size a graph may grow while it is saturated, and in how many batches.
const SATURATION_GROWTH: usize = 3;
const SATURATION_ROUNDS: usize = 4;

/// Knobs of the pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LowerOptions {
    /// 0: leave everything to stock Cranelift. 1: functions with vector code in loops, rewritten
    /// eagerly. 2: all functions with loops, with deeper chains of rewrites. 3: saturate.
    pub effort: u8,
    /// CLIF instructions above which a function is left alone.
    pub max_insts: usize,
    /// E-nodes above which rewriting stops.
    pub max_nodes: usize,
    /// Whether to find out for [`Improved::rewrites`] which rules led to what was chosen.
    pub explain: bool,
    /// The rules.
    pub rules: Rules,
    /// Who applies them in batches, where that is done.
    pub saturator: Saturator,
    /// What instructions cost.
    pub costs: Costs,
}

impl Default for LowerOptions {
    fn default() -> LowerOptions {
        LowerOptions {
            effort: 1,
            max_insts: 100_000,
            max_nodes: 400_000,
            explain: false,
            rules: Rules::default(),
            saturator: Saturator::CPU,
            costs: Costs::default(),
        }
    }
}

impl LowerOptions {
    fn limits(&self) -> Limits {
        let base = Limits { nodes: self.max_nodes, ..Limits::default() };
        match self.effort {
            0 | 1 => base,
            _ => Limits { depth: 8, class_nodes: 24, ..base },
        }
    }
}

/// What came of a function.
#[derive(Debug)]
pub enum Outcome {
    /// A better function.
    Improved(Box<Improved>),
    /// The function stays as it was.
    Unchanged(Box<Unchanged>),
}

/// A function that got better.
#[derive(Debug)]
pub struct Improved {
    /// The new function; same signature, same effects.
    pub func: Function,
    /// The instructions replaced, in the order of their blocks, if [`LowerOptions::explain`] asked
    /// for them.
    pub rewrites: Vec<Rewrite>,
    /// How it came about.
    pub stats: Stats,
}

/// An instruction that rewriting replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rewrite {
    /// Where it comes from, as what took its place does.
    pub location: SourceLoc,
    /// The rules that lead from it to what was chosen. Empty where folding of constants did, or
    /// where only what it reads had become another class.
    pub rules: Vec<&'static str>,
}

/// A function that stays as it was.
#[derive(Debug)]
pub struct Unchanged {
    /// Why.
    pub reason: Reason,
    /// What was tried.
    pub stats: Stats,
}

/// Why a function stays with stock Cranelift's code.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The effort is 0.
    EffortZero,
    /// Nothing in it runs more than once a call.
    NoLoop,
    /// Its loops hold no vector code, and the effort is 1.
    NoVectorLoop,
    /// More instructions than [`LowerOptions::max_insts`].
    TooLarge {
        /// Its CLIF instructions.
        insts: usize,
        /// The limit.
        limit: usize,
    },
    /// It uses something that rewriting could break.
    Unsupported(&'static str),
    /// No choice of nodes is cheaper than what is there by at least 3 %.
    CostDoesNotDrop,
    /// What the rewritten function gains would be lost to spilling vector registers.
    Spills {
        /// Predicted cost of spills before, as [`Stats::cost_before`].
        before: u64,
        /// The same after rewriting.
        after: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::EffortZero => f.write_str("effort is 0"),
            Reason::NoLoop => f.write_str("no loop"),
            Reason::NoVectorLoop => f.write_str("no vector code in a loop (effort 2 takes it)"),
            Reason::TooLarge { insts, limit } => {
                write!(f, "{insts} instructions, over the limit of {limit}")
            }
            Reason::Unsupported(what) => write!(f, "uses {what}"),
            Reason::CostDoesNotDrop => f.write_str("predicted cost does not drop"),
            Reason::Spills { before, after } => {
                write!(f, "register pressure: spills would cost {after}, {before} before")
            }
        }
    }
}

/// How often a rule fired in one function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fired {
    /// The rule's name.
    pub rule: &'static str,
    /// Matches found.
    pub matched: usize,
    /// Matches that told the e-graph something new.
    pub joined: usize,
}

/// Counts of one function's way through the pass.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// CLIF instructions before.
    pub insts_before: usize,
    /// CLIF instructions after, dead ones included.
    pub insts_after: usize,
    /// Basic blocks.
    pub blocks: usize,
    /// Loops.
    pub loops: usize,
    /// Innermost loops with vector instructions.
    pub vector_loops: usize,
    /// CLIF instructions that read or make vectors.
    pub vector_insts: usize,
    /// E-nodes at the end.
    pub enodes: usize,
    /// E-classes at the end.
    pub eclasses: usize,
    /// Predicted cost before in 1/16 cycle, a loop level weighing 16 times its surroundings.
    pub cost_before: u64,
    /// Predicted cost after.
    pub cost_after: u64,
    /// Instructions replaced.
    pub replaced: usize,
    /// Rules that fired, most effective first.
    pub rules: Vec<Fired>,
    /// Why rewriting ended.
    pub stop: Option<StopReason>,
    /// Whether extraction stopped before it had tried everything.
    pub extraction_cut: bool,
}

impl Outcome {
    /// The predicted cost of what the function is now, spills aside.
    fn cost(&self) -> u64 {
        match self {
            Outcome::Improved(improved) => improved.stats.cost_after,
            Outcome::Unchanged(unchanged) => unchanged.stats.cost_before,
        }
    }
}

/// Looks for a cheaper form of `func` under the flags of `isa`.
///
/// Loaded rules are used where they find a cheaper one than the standard rules do alone: with more
/// choices, the search for the cheapest may end at a dearer one.
pub fn optimize(func: &Function, isa: &dyn TargetIsa, options: &LowerOptions) -> Outcome {
    let outcome = optimize_with(func, isa, options);
    if !options.rules.has_more() {
        return outcome;
    }
    let standard = LowerOptions { rules: Rules::STANDARD, ..*options };
    let without = optimize_with(func, isa, &standard);
    if outcome.cost() < without.cost() { outcome } else { without }
}

fn optimize_with(func: &Function, isa: &dyn TargetIsa, options: &LowerOptions) -> Outcome {
    let flow = Flow::new(func);
    let mut stats = initial_stats(func, &flow);
    let unchanged = |reason, stats| Outcome::Unchanged(Box::new(Unchanged { reason, stats }));
    if let Some(reason) = refuse(func, options, &stats) {
        return unchanged(reason, stats);
    }
    let (seeded, stop, counts) = rewritten(func, &flow, options);
    stats.stop = Some(stop);
    stats.rules = fired(&counts, options.rules);
    let graph = seeded.rewriter.graph();
    stats.enodes = graph.node_count();
    stats.eclasses = graph.class_count();

    let model = CostModel::tuned(isa, options.costs);
    let mut extraction = extraction(func, &flow, &seeded, graph, &model);
    (stats.cost_before, stats.cost_after) = extraction.improve();
    stats.extraction_cut = extraction.is_exhausted();
    if !is_worth_it(stats.cost_before, stats.cost_after) {
        return unchanged(Reason::CostDoesNotDrop, stats);
    }
    let mut better = func.clone();
    let replaced = elaborate(&mut better, &flow.domtree, &flow.loops, &seeded, &extraction);
    stats.replaced = replaced.len();
    if stats.replaced == 0 {
        stats.cost_after = stats.cost_before;
        return unchanged(Reason::CostDoesNotDrop, stats);
    }
    let registers = vector_registers(isa.triple().architecture);
    let spills = [func, &better].map(|func| spill_cost(func, &flow, registers));
    if !is_worth_it(stats.cost_before + spills[0], stats.cost_after + spills[1]) {
        return unchanged(Reason::Spills { before: spills[0], after: spills[1] }, stats);
    }
    stats.insts_after =
        better.layout.blocks().map(|block| better.layout.block_insts(block).count()).sum();
    let rewrites = match options.explain {
        true => rewrites(func, &seeded, options.rules, &extraction, &replaced),
        false => Vec::new(),
    };
    Outcome::Improved(Box::new(Improved { func: better, rewrites, stats }))
}

/// What led from each of the instructions `replaced` to what was chosen for it.
fn rewrites(
    func: &Function,
    seeded: &Seeded<'_, Rules>,
    active: Rules,
    extraction: &Extraction<'_>,
    replaced: &[Inst],
) -> Vec<Rewrite> {
    let graph = seeded.rewriter.graph();
    let mut ids: FxHashMap<Node, ClassId> = FxHashMap::default();
    for id in (0..graph.ids() as u32).map(ClassId) {
        ids.entry(graph.canonical(*graph.added_node(id))).or_insert(id);
    }
    let rules = |inst: Inst| {
        let class = graph.find(seeded.class_of[func.dfg.first_result(inst)]?);
        let before = *ids.get(&graph.canonical(seeded.node_of[inst]?))?;
        let after = *ids.get(&graph.canonical(extraction.chosen(class)))?;
        let mut rules: Vec<&'static str> = Vec::new();
        for step in graph.proof().explain(before, after)? {
            let Why::Rule(rule) = step.reason else { continue };
            let name = active.name(rule);
            if !rules.contains(&name) {
                rules.push(name);
            }
        }
        Some(rules)
    };
    let rewrite = |inst: &Inst| Rewrite {
        location: func.srcloc(*inst),
        rules: rules(*inst).unwrap_or_default(),
    };
    replaced.iter().map(rewrite).collect()
}

/// The e-graph of `func` after rewriting, why that ended, and how often each rule fired.
///
/// While nodes are added, the standard rules rewrite them; loaded ones have their turn when these are
/// done, so that what they bring takes no room from what the standard ones do. Saturation stays within
/// a few times the graph's size: rules that build sums of sums would otherwise fill any limit.
pub(crate) fn rewritten(
    func: &Function,
    flow: &Flow,
    options: &LowerOptions,
) -> (Seeded<'static, Rules>, StopReason, Vec<RuleCount>) {
    let limits = options.limits();
    let mut seeded = seed(func, &flow.domtree, &Rules::STANDARD, limits);
    let mut stop = seeded.rewriter.stop_reason();
    let mut counts = seeded.rewriter.counts().to_vec();
    if options.effort >= 3 || options.rules.has_more() {
        let graph = seeded.rewriter.graph_mut();
        let nodes = limits.nodes.min(graph.ids() * SATURATION_GROWTH + 1_000);
        let limits = Limits { nodes, iterations: SATURATION_ROUNDS, ..limits };
        let saturation = options.saturator.saturate(graph, &options.rules, limits);
        stop = saturation.stop;
        counts.resize(saturation.counts.len(), RuleCount::default());
        for (count, more) in counts.iter_mut().zip(saturation.counts) {
            count.matched += more.matched;
            count.joined += more.joined;
        }
    }
    (seeded, stop, counts)
}

/// What a dump of the e-graph is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Graphviz.
    Dot,
    /// The JSON of egraph-serialize.
    Json,
}

/// The e-graph of `func` after rewriting, and the classes that its effects read.
pub fn egraph(func: &Function, options: &LowerOptions) -> (EGraph, Vec<ClassId>) {
    let flow = Flow::new(func);
    let (seeded, ..) = rewritten(func, &flow, options);
    let all = roots(func, &flow, &seeded, seeded.rewriter.graph());
    let (mut graph, _) = seeded.rewriter.into_graph();
    graph.rebuild();
    graph.canonicalize();
    let roots = all.into_iter().map(|(_, root)| graph.find(root.class)).collect();
    (graph, roots)
}

/// The e-graph of `func` after rewriting, as text.
pub fn dump_egraph(
    func: &Function,
    isa: &dyn TargetIsa,
    options: &LowerOptions,
    format: Format,
) -> String {
    let (graph, roots) = egraph(func, options);
    match format {
        Format::Dot => to_dot(&graph, &roots),
        Format::Json => {
            let model = CostModel::tuned(isa, options.costs);
            let json: Json =
                to_json(&graph, &roots, |node| f64::from(model.price_of_node(&graph, node)) / 16.0);
            format!("{json:#}\n")
        }
    }
}

/// Whether a function gains enough to be compiled anew: at least 1 in [`GAIN_SHARE`]. Less is
/// within what the cost model can tell, and stock code is known to be good.
fn is_worth_it(before: u64, after: u64) -> bool {
    before.saturating_sub(after) > before / GAIN_SHARE
}

pub(crate) fn initial_stats(func: &Function, flow: &Flow) -> Stats {
    let profile = Profile::new(func, flow);
    Stats {
        insts_before: profile.insts,
        insts_after: profile.insts,
        blocks: profile.blocks,
        loops: profile.loops,
        vector_loops: profile.vector_loops,
        vector_insts: profile.vector_insts,
        ..Stats::default()
    }
}

pub(crate) fn refuse(func: &Function, options: &LowerOptions, stats: &Stats) -> Option<Reason> {
    if options.effort == 0 {
        return Some(Reason::EffortZero);
    }
    if stats.insts_before > options.max_insts {
        return Some(Reason::TooLarge { insts: stats.insts_before, limit: options.max_insts });
    }
    if func.dfg.values_labels.is_some() {
        return Some(Reason::Unsupported("debug information for values"));
    }
    for block in func.layout.blocks() {
        for inst in func.layout.block_insts(block) {
            let what = match func.dfg.insts[inst].opcode() {
                Opcode::TryCall | Opcode::TryCallIndirect => "exceptions",
                Opcode::StackSwitch => "stack switching",
                _ if func.dfg.user_stack_map_entries(inst).is_some() => "garbage-collected values",
                _ => continue,
            };
            return Some(Reason::Unsupported(what));
        }
    }
    match (options.effort, stats.loops, stats.vector_loops) {
        (_, 0, _) => Some(Reason::NoLoop),
        (1, _, 0) => Some(Reason::NoVectorLoop),
        _ => None,
    }
}

fn fired(counts: &[RuleCount], active: Rules) -> Vec<Fired> {
    let mut rules: Vec<Fired> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| count.matched > 0)
        .map(|(at, count)| Fired {
            rule: active.name(RuleId(at as u16)),
            matched: count.matched,
            joined: count.joined,
        })
        .collect();
    rules.sort_by_key(|rule| (std::cmp::Reverse(rule.joined), rule.rule));
    rules
}

pub(crate) fn extraction<'a, M: Matcher>(
    func: &Function,
    flow: &Flow,
    seeded: &Seeded<'_, M>,
    graph: &'a EGraph,
    model: &'a CostModel<'a>,
) -> Extraction<'a> {
    let initial: Vec<(ClassId, Node)> = seeded
        .pure
        .iter()
        .filter_map(|inst| {
            let class = seeded.class_of[func.dfg.first_result(*inst)]?;
            Some((class, seeded.node_of[*inst]?))
        })
        .collect();
    let leaf_level = |leaf: u128| match func.dfg.value_def(seeded.leaves[leaf as usize]) {
        ValueDef::Param(block, _) => flow.level(block),
        ValueDef::Result(inst, _) => {
            func.layout.inst_block(inst).map_or(0, |block| flow.level(block))
        }
        ValueDef::Union(..) => 0,
    };
    let roots = roots(func, flow, seeded, graph).into_iter().map(|(_, root)| root).collect();
    Extraction::new(graph, model, &initial, roots, &leaf_level)
}

/// The classes that instructions outside the e-graph read, with the blocks of these.
pub(crate) fn roots<M: Matcher>(
    func: &Function,
    flow: &Flow,
    seeded: &Seeded<'_, M>,
    graph: &EGraph,
) -> Vec<(Block, Root)> {
    let mut roots = Vec::new();
    for block in flow.domtree.cfg_rpo() {
        let level = flow.level(*block);
        for inst in func.layout.block_insts(*block) {
            if seeded.node_of[inst].is_some() || crate::seed::is_vector_bitcast(&func.dfg, inst) {
                continue;
            }
            for (value, context) in reads(func, inst) {
                if let Some(class) = seeded.class_of[func.dfg.resolve_aliases(value)] {
                    let class = graph.find(class);
                    roots.push((*block, Root { class, context, level }));
                }
            }
        }
    }
    roots
}

/// The values that a skeleton instruction reads, and how.
fn reads(func: &Function, inst: Inst) -> Vec<(cranelift_codegen::ir::Value, Context)> {
    use cranelift_codegen::ir::InstructionData as Data;
    let context = |at: usize| match (&func.dfg.insts[inst], at) {
        (Data::Load { .. }, 0) | (Data::Store { .. }, 1) => Context::Address,
        (Data::Brif { .. }, 0) => Context::Branch,
        _ => Context::Value,
    };
    func.dfg.inst_values(inst).enumerate().map(|(at, value)| (value, context(at))).collect()
}
