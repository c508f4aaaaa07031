//! Matches rules by walking their plans.
//!
//! The slow, obvious twin of the generated code, for rules that are not compiled in and as its
//! reference. Invariant: finds the same matches in the same order as the code that
//! [`crate::compile_to_rust`] makes of the same set.

use crate::plan::{Plan, Source, Step};
use crate::rule::{Condition, Ref, Rule, RuleSet};
use crate::{Binds, MATCHES_PER_RULE, Match, MatchGraph, NODES_PER_RULE, RuleId, slot};
use egraft_ir::{ClassId, Node, Op};
use std::collections::HashMap;

/// A rule set made ready for matching without generated code.
#[derive(Clone, Debug)]
pub struct Interpreter<'a> {
    rules: &'a [Rule],
    plans: Vec<Plan>,
    by_root: HashMap<Op, Vec<RuleId>>,
}

impl RuleSet {
    /// Plans every rule, so that it can be matched.
    pub fn interpreter(&self) -> Interpreter<'_> {
        let mut by_root: HashMap<Op, Vec<RuleId>> = HashMap::new();
        for rule in &self.rules {
            by_root.entry(rule.root_op()).or_default().push(rule.id);
        }
        let plans = self.rules.iter().map(Rule::plan).collect();
        Interpreter { rules: &self.rules, plans, by_root }
    }
}

impl Interpreter<'_> {
    /// The rules, by their ids.
    pub fn rules(&self) -> &[Rule] {
        self.rules
    }

    /// Appends every match of every rule at `node` of `class`, in order of rules.
    ///
    /// Each rule gives at most [`MATCHES_PER_RULE`] matches and looks at no more than
    /// [`NODES_PER_RULE`] nodes.
    pub fn match_node<G: MatchGraph>(
        &self,
        graph: &G,
        node: &Node,
        class: ClassId,
        out: &mut Vec<Match>,
    ) {
        for id in self.by_root.get(&node.op).map_or(&[][..], Vec::as_slice) {
            self.match_rule(graph, *id, node, class, out);
        }
    }

    /// Appends every match of one rule at `node` of `class`, within the same limits.
    pub fn match_rule<G: MatchGraph>(
        &self,
        graph: &G,
        rule: RuleId,
        node: &Node,
        class: ClassId,
        out: &mut Vec<Match>,
    ) {
        let mut run = self.run(graph, rule, node, class, out);
        // Whether it ran out of matches or nodes is no concern of the other rules.
        let _ = run.step(0);
    }

    /// The match of `rule` at `node` of `class` that takes these choices in its loops, outermost first: 1 for swapped
    /// operands, the place among the candidates for a node. Appends nothing where there is none.
    pub fn replay<G: MatchGraph>(
        &self,
        graph: &G,
        rule: RuleId,
        node: &Node,
        class: ClassId,
        choices: impl IntoIterator<Item = usize>,
        out: &mut Vec<Match>,
    ) {
        let mut run = self.run(graph, rule, node, class, out);
        let _ = run.replay(choices.into_iter());
    }

    /// The rules whose outermost op is `op`, in order.
    pub fn rules_at(&self, op: Op) -> &[RuleId] {
        self.by_root.get(&op).map_or(&[], Vec::as_slice)
    }

    /// How a rule is matched.
    pub fn plan(&self, rule: RuleId) -> &Plan {
        &self.plans[rule.index()]
    }

    fn run<'r, G: MatchGraph>(
        &'r self,
        graph: &'r G,
        rule: RuleId,
        node: &Node,
        class: ClassId,
        out: &'r mut Vec<Match>,
    ) -> Run<'r, G> {
        let (rule, plan) = (&self.rules[rule.index()], &self.plans[rule.index()]);
        Run {
            graph,
            rule,
            plan,
            class,
            nodes: vec![*node; plan.nodes],
            temps: vec![0; plan.temps],
            binds: Binds::from_elem(0, rule.vars.len()),
            fuel: NODES_PER_RULE,
            end: out.len() + MATCHES_PER_RULE,
            out,
        }
    }

    /// Builds the right side of a match and gives its class; see [`Rule::instantiate`].
    pub fn instantiate<B: crate::BuildGraph>(
        &self,
        graph: &mut B,
        found: &Match,
    ) -> Option<ClassId> {
        self.rules[found.rule.index()].instantiate(graph, found)
    }
}

struct Run<'a, G> {
    graph: &'a G,
    rule: &'a Rule,
    plan: &'a Plan,
    class: ClassId,
    nodes: Vec<Node>,
    temps: Vec<u128>,
    binds: Binds,
    fuel: u32,
    end: usize,
    out: &'a mut Vec<Match>,
}

/// A limit was reached.
struct Stop;

impl<G: MatchGraph> Run<'_, G> {
    fn step(&mut self, at: usize) -> Result<(), Stop> {
        let Some(step) = self.plan.steps.get(at) else {
            self.found();
            return if self.out.len() >= self.end { Err(Stop) } else { Ok(()) };
        };
        match *step {
            Step::Swap { node } => {
                self.step(at + 1)?;
                let args = &mut self.nodes[node].args;
                if args[0] != args[1] {
                    args.swap(0, 1);
                    self.step(at + 1)?;
                    self.nodes[node].args.swap(0, 1);
                }
                return Ok(());
            }
            Step::Nodes { node, of, arg, op } => {
                return self.each_node(at, node, self.nodes[of].args[arg], op);
            }
            Step::RootNodes { node, op } => return self.each_node(at, node, self.class, op),
            _ => {}
        }
        if self.test(step) { self.step(at + 1) } else { Ok(()) }
    }

    fn found(&mut self) {
        let binds = self.binds.clone();
        self.out.push(Match { rule: self.rule.id, class: self.class, binds });
    }

    /// Takes all steps with these choices; `None` where one fails or there is no such choice.
    fn replay(&mut self, mut choices: impl Iterator<Item = usize>) -> Option<()> {
        let plan = self.plan;
        for step in &plan.steps {
            match *step {
                Step::Swap { node } => {
                    let args = &mut self.nodes[node].args;
                    match choices.next()? {
                        0 => {}
                        1 if args[0] != args[1] => args.swap(0, 1),
                        _ => return None,
                    }
                }
                Step::Nodes { node, of, arg, op } => {
                    let class = self.nodes[of].args[arg];
                    self.nodes[node] = self.candidate(class, op, choices.next()?)?;
                }
                Step::RootNodes { node, op } => {
                    self.nodes[node] = self.candidate(self.class, op, choices.next()?)?;
                }
                _ => self.test(step).then_some(())?,
            }
        }
        self.found();
        Some(())
    }

    fn candidate(&self, class: ClassId, op: Op, at: usize) -> Option<Node> {
        self.graph.candidates(class).get(at).copied().filter(|node| node.op == op)
    }

    fn each_node(&mut self, at: usize, node: usize, class: ClassId, op: Op) -> Result<(), Stop> {
        let graph = self.graph;
        for candidate in graph.candidates(class) {
            if candidate.op != op {
                continue;
            }
            self.fuel -= 1;
            if self.fuel == 0 {
                return Err(Stop);
            }
            self.nodes[node] = *candidate;
            self.step(at + 1)?;
        }
        Ok(())
    }

    /// A step that is no loop.
    fn test(&mut self, step: &Step) -> bool {
        match step {
            Step::Bind(var, source) => self.binds[var.index()] = self.read(*source),
            Step::Equal(left, right) => return self.read(*left) == self.read(*right),
            Step::ValueOf(value, ty) => {
                return slot::ty(self.read(*value)) == slot::ty(self.read(*ty)).value();
            }
            Step::TypeIn(ty, set) => return set >> self.read(*ty) & 1 != 0,
            Step::Constant { temp, class } => {
                match self.graph.constant(slot::class(self.read(*class))) {
                    Some(bits) => self.temps[*temp] = bits,
                    None => return false,
                }
            }
            Step::Lane { temp, bits, ty } => {
                match slot::ty(self.read(*ty)).splatted(self.read(*bits)) {
                    Some(lane) => self.temps[*temp] = lane,
                    None => return false,
                }
            }
            Step::LaneIs { lane, ty, is } => {
                let ty = slot::ty(self.read(*ty));
                return self.read(*lane) == is & ty.lane_mask();
            }
            Step::Cond { at, bind } => return self.condition(*at, *bind),
            Step::Swap { .. } | Step::Nodes { .. } | Step::RootNodes { .. } => {}
        }
        true
    }

    fn condition(&mut self, at: usize, bind: bool) -> bool {
        let condition = &self.rule.conditions[at];
        let Condition { args, result, .. } = condition;
        let args: Binds = args
            .iter()
            .map(|arg| match arg {
                Ref::Var(var) => self.binds[var.index()],
                Ref::Const(value) => *value,
            })
            .collect();
        let Some(got) = condition.eval(self.graph, &args) else { return false };
        if result.is.is_some_and(|is| is != got) {
            return false;
        }
        match result.var {
            Some(var) if bind => {
                self.binds[var.index()] = got;
                true
            }
            Some(var) => self.binds[var.index()] == got,
            None => true,
        }
    }

    fn read(&self, source: Source) -> u128 {
        match source {
            Source::RootClass => slot::of_class(self.class),
            Source::NodeTy(node) => slot::of_ty(self.nodes[node].ty),
            Source::NodeFrom(node) => slot::of_ty(self.nodes[node].from),
            Source::NodeImm(node) => self.nodes[node].imm,
            Source::Arg(node, arg) => slot::of_class(self.nodes[node].args[arg]),
            Source::ArgTy(node, arg) => {
                slot::of_ty(self.graph.class_type(self.nodes[node].args[arg]))
            }
            Source::Temp(temp) => self.temps[temp],
            Source::Var(var) => self.binds[var.index()],
            Source::Const(value) => value,
        }
    }
}
