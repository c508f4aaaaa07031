//! Whether a rule set derives a rule: both sides go into an e-graph, and saturation decides.
//!
//! Finds no rules and proves none. A goal is taken at each of its legal types, with numbers and
//! facts under which its conditions hold. Invariant: two sides are called equal only if rules,
//! congruence and evaluation joined their classes; each limit that ended the search is named.

use egraft_egraph::{EGraph, Limits, Matcher, Reason, StopReason, saturate};
use egraft_ir::{ClassId, Facts, KnownBits, Node, Op, Ty};
use egraft_rules::{
    Binds, BuildGraph, FactSource, Interpreter, Match, MatchGraph, Pattern, Rule, RuleSet, Sample,
    Slot, Sort, VarId, build, slot,
};
use std::time::{Duration, Instant};

/// How many tuples are drawn for one on which a goal's conditions hold.
const DRAWS: usize = 4000;

/// How many samples are drawn for each one with numbers that were not seen yet.
const REPEATS: usize = 8;

/// Bounds on one derivation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeriveOptions {
    /// Bounds of the e-graph: nodes, nodes per class, batches.
    pub limits: Limits,
    /// The time after which no further batch is begun.
    pub time: Duration,
    /// Choices of numbers and facts for each choice of types, where a goal has any.
    pub samples: usize,
    /// Whether to go on after the first instance that is not derived.
    pub exhaustive: bool,
}

impl Default for DeriveOptions {
    fn default() -> DeriveOptions {
        let limits = Limits { nodes: 4_000, class_nodes: 24, depth: 0, iterations: 8 };
        DeriveOptions { limits, time: Duration::from_secs(5), samples: 3, exhaustive: false }
    }
}

/// Why a derivation ended without joining the sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// No rule adds anything more: the set does not derive the goal.
    Saturated,
    /// The e-graph reached its nodes.
    NodeLimit,
    /// The batches were used up.
    IterationLimit,
    /// The time was used up.
    TimeLimit,
}

impl Stop {
    /// The stop in words.
    pub const fn text(self) -> &'static str {
        match self {
            Stop::Saturated => "saturated",
            Stop::NodeLimit => "node limit",
            Stop::IterationLimit => "iteration limit",
            Stop::TimeLimit => "time limit",
        }
    }
}

/// An instance of a goal that was not derived.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Underived {
    /// Name and value of each variable; types by name, numbers in hexadecimal.
    pub vars: Vec<(String, String)>,
    /// Why the search ended.
    pub stop: Stop,
    /// Batches run.
    pub iterations: usize,
    /// Nodes in the e-graph at the end.
    pub nodes: usize,
}

/// What was found of one goal.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Derivability {
    /// Whether every instance was derived, and there was one.
    pub derived: bool,
    /// Instances tried: choices of types, times choices of numbers and facts.
    pub instances: usize,
    /// Choices of types at which no values satisfy the conditions.
    pub vacuous: usize,
    /// The instances that were not derived; the first only, unless asked for all.
    pub not: Vec<Underived>,
}

/// Derives goals from one rule set.
#[derive(Debug)]
pub struct Deriver<'a> {
    rules: Runtime<'a>,
    options: DeriveOptions,
}

impl<'a> Deriver<'a> {
    /// A deriver from `rules`.
    pub fn new(rules: &'a RuleSet, options: DeriveOptions) -> Deriver<'a> {
        let rules = Runtime { interpreter: rules.interpreter(), count: rules.rules.len() };
        Deriver { rules, options }
    }

    /// Tries to derive `goal` at each of its types.
    pub fn derive(&self, goal: &Rule) -> Derivability {
        let mut found = Derivability::default();
        for (at, types) in goal.types().iter().enumerate() {
            let mut none = true;
            for sample in self.samples(goal, types, at as u64) {
                let Some(side) = Sides::plant(goal, &sample) else { continue };
                none = false;
                found.instances += 1;
                if let Err(stop) = self.join(side) {
                    found.not.push(Underived { vars: goal.show_values(&sample), ..stop });
                    if !self.options.exhaustive {
                        break;
                    }
                }
            }
            found.vacuous += usize::from(none);
            if !found.not.is_empty() && !self.options.exhaustive {
                break;
            }
        }
        found.derived = found.not.is_empty() && found.instances > 0;
        found
    }

    /// Samples with different numbers; one if the goal has neither numbers nor facts.
    fn samples(&self, goal: &Rule, types: &egraft_rules::Types, at: u64) -> Vec<Sample> {
        let numbers = |sample: &Sample| -> Vec<Option<u128>> {
            let of = goal.vars.iter().zip(&sample.values);
            of.filter(|(var, _)| !matches!(var.sort, Sort::Value | Sort::Type))
                .map(|(_, value)| *value)
                .collect()
        };
        let reads_facts = goal.conditions.iter().any(|condition| condition.cond.reads_facts());
        let mut found: Vec<Sample> = Vec::new();
        for draw in 0..self.options.samples * REPEATS {
            let Some(sample) = goal.sample(types, at << 32 | draw as u64, DRAWS) else { break };
            let simple = numbers(&sample).is_empty() && !reads_facts;
            let seen =
                |other: &Sample| numbers(other) == numbers(&sample) && other.facts == sample.facts;
            if !found.iter().any(seen) {
                found.push(sample);
            }
            if simple || found.len() >= self.options.samples {
                break;
            }
        }
        found
    }

    /// Saturates until the sides are one class.
    fn join(&self, mut sides: Sides) -> Result<(), Underived> {
        let start = Instant::now();
        let batch = Limits { iterations: 1, ..self.options.limits };
        let graph = &mut sides.graph;
        graph.rebuild();
        let mut iterations = 0;
        let stop = loop {
            if graph.find(sides.left) == graph.find(sides.right) {
                return Ok(());
            }
            if iterations >= self.options.limits.iterations {
                break Stop::IterationLimit;
            }
            if start.elapsed() >= self.options.time {
                break Stop::TimeLimit;
            }
            let run = saturate(graph, &self.rules, batch);
            iterations += 1;
            let joined = graph.find(sides.left) == graph.find(sides.right);
            match run.stop {
                _ if joined => {}
                StopReason::Saturated => break Stop::Saturated,
                StopReason::NodeLimit { .. } => break Stop::NodeLimit,
                StopReason::IterationLimit { .. } => {}
            }
        };
        Err(Underived { vars: Vec::new(), stop, iterations, nodes: graph.node_count() })
    }
}

/// The rules as saturation wants them.
#[derive(Debug)]
struct Runtime<'a> {
    interpreter: Interpreter<'a>,
    count: usize,
}

impl Matcher for Runtime<'_> {
    fn rule_count(&self) -> usize {
        self.count
    }

    fn match_node(&self, graph: &EGraph, class: ClassId, node: &Node, out: &mut Vec<Match>) {
        self.interpreter.match_node(graph, node, class, out);
    }

    fn instantiate<B: BuildGraph>(&self, builder: &mut B, found: &Match) -> Option<ClassId> {
        self.interpreter.instantiate(builder, found)
    }
}

/// Both sides of a goal in a graph that has nothing else.
struct Sides {
    graph: EGraph,
    left: ClassId,
    right: ClassId,
}

impl Sides {
    /// `None` if the right side cannot be built on these values.
    fn plant(goal: &Rule, sample: &Sample) -> Option<Sides> {
        let mut planter =
            Planter { goal, sample, graph: EGraph::new(), classes: vec![None; goal.vars.len()] };
        let left = planter.pattern(&goal.lhs)?;
        let mut binds = Binds::new();
        for (at, var) in goal.vars.iter().enumerate() {
            binds.push(match var.sort {
                Sort::Value => planter.classes[at].map_or(u128::MAX, slot::of_class),
                _ => sample.values[at].unwrap_or(u128::MAX),
            });
        }
        let found = Match { rule: goal.id, class: left, binds };
        let right = goal.instantiate(&mut Plain(&mut planter.graph), &found)?;
        Some(Sides { graph: planter.graph, left, right })
    }
}

struct Planter<'a> {
    goal: &'a Rule,
    sample: &'a Sample,
    graph: EGraph,
    /// By variable of sort `Value`.
    classes: Vec<Option<ClassId>>,
}

impl Planter<'_> {
    fn pattern(&mut self, pattern: &Pattern) -> Option<ClassId> {
        match pattern {
            Pattern::Var(var) => self.variable(*var),
            Pattern::Bind(var, inner) => {
                let class = self.pattern(inner)?;
                self.bind(*var, class);
                Some(class)
            }
            Pattern::And(all) => {
                let first = self.pattern(all.first()?)?;
                for one in &all[1..] {
                    let class = self.pattern(one)?;
                    self.graph.union(first, class, Reason::Congruence);
                }
                self.graph.rebuild();
                Some(first)
            }
            Pattern::Splat { ty, value } => {
                let (ty, value) = (self.ty(*ty)?, self.number(*value)?);
                Some(build::splat(&mut Plain(&mut self.graph), ty, value))
            }
            Pattern::Bits { value } => {
                let value = self.number(*value)?;
                Some(build::bits(&mut Plain(&mut self.graph), value))
            }
            Pattern::Op { op, ty, from, imm, args } => {
                let ty = self.ty(*ty)?;
                let from = from.map_or(Some(ty), |from| self.ty(from))?;
                let imm = imm.map_or(Some(0), |imm| self.number(imm))?;
                let args: Option<Vec<ClassId>> = args.iter().map(|arg| self.pattern(arg)).collect();
                build::op(&mut Plain(&mut self.graph), *op, ty, from, imm, &args?)
            }
        }
    }

    /// The class of a variable: a leaf, unless a pattern is bound to it.
    fn variable(&mut self, var: VarId) -> Option<ClassId> {
        let shared = VarId(self.sample.shares[var.index()] as u16);
        if let Some(class) = self.classes[var.index()].or(self.classes[shared.index()]) {
            self.classes[var.index()] = Some(class);
            return Some(class);
        }
        let mut inner = None;
        self.goal.lhs.walk(&mut |pattern| match pattern {
            Pattern::Bind(name, bound) if *name == var => inner = Some(&**bound),
            _ => {}
        });
        let class = match inner {
            Some(inner) => self.pattern(inner)?,
            None => {
                let ty = self.sample.types.of[var.index()]?;
                self.graph.insert(Node::with_imm(Op::Leaf, ty, u128::from(shared.0), &[])).0
            }
        };
        self.bind(var, class);
        self.classes[shared.index()].get_or_insert(class);
        Some(class)
    }

    fn bind(&mut self, var: VarId, class: ClassId) {
        self.classes[var.index()] = Some(class);
        let facts = self.sample.facts[var.index()];
        let ty = BuildGraph::class_type(&Plain(&mut self.graph), class);
        // What is above the type is zero in every value.
        let zeros = facts.bits.zeros & ty.mask();
        let facts = Facts { bits: KnownBits { zeros, ..facts.bits }, ..facts };
        if facts != Facts::unknown() {
            self.graph.assume(class, facts);
            self.graph.rebuild();
        }
    }

    fn ty(&self, slot: Slot<Ty>) -> Option<Ty> {
        slot.is.or_else(|| slot.var.and_then(|var| self.sample.types.of[var.index()]))
    }

    fn number(&self, slot: Slot<u128>) -> Option<u128> {
        slot.var.map_or(slot.is, |var| self.sample.values[var.index()])
    }
}

/// A graph that adds nodes without rewriting them.
struct Plain<'g>(&'g mut EGraph);

impl BuildGraph for Plain<'_> {
    fn add(&mut self, node: Node) -> ClassId {
        self.0.insert(node).0
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.0.class_type(class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_rules::Source;

    const RULES: &str = "
;; x + 0 = x.
(rule add_zero (simplify (iadd ty x (k ty 0))) x)
;; (x + y) - y = x.
(rule sub_add (simplify (isub ty (iadd ty x y) y)) x)
;; Products of powers of two are shifts.
(rule mul_pow2 (simplify (imul ty x (k ty c))) (if-let n (log2 c)) (ishl ty x (k $I32 n)))
;; A mask that keeps every bit that can be 1.
(rule mask (simplify (band ty x (k ty c))) (if-let n (low_mask_bits c))
  (if (fits_unsigned ty x n)) x)
";

    fn set(text: &str) -> RuleSet {
        RuleSet::parse(&[Source::new("test.isle", text)])
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn derive(goal: &str) -> Derivability {
        let (rules, goals) = (set(RULES), set(&format!(";; Reason.\n(rule goal {goal})")));
        Deriver::new(&rules, DeriveOptions::default()).derive(&goals.rules[0])
    }

    #[test]
    fn what_follows_is_derived() {
        for goal in [
            "(simplify (isub ty (iadd ty (iadd ty x y) (k ty 0)) y)) x",
            "(simplify (iadd ty (k ty 0) x)) x",
            "(simplify (imul ty x (k ty 8))) (ishl ty x (k $I32 3))",
            "(simplify (imul ty x (k ty c))) (if (is_pow2 c)) (if-let n (log2 c)) \
             (ishl ty x (k $I32 n))",
            "(simplify (iadd ty (k ty a) (k ty b))) (k ty (imm_add ty a b))",
            "(simplify (band ty (iadd ty x y) (k ty 15))) (if (ty_scalar ty)) (if (fits_unsigned ty x 2)) \
             (if (fits_unsigned ty y 3)) (iadd ty x y)",
        ] {
            let found = derive(goal);
            assert!(found.derived && found.instances > 0, "{goal}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_follow_is_not() {
        for goal in [
            // True, but not of these rules.
            "(simplify (isub ty x x)) (k ty 0)",
            "(simplify (iadd ty (iadd ty x y) z)) (iadd ty x (iadd ty y z))",
        ] {
            let found = derive(goal);
            assert!(!found.derived, "{goal}");
            assert_eq!(found.not[0].stop, Stop::Saturated, "{goal}");
        }
        // The facts of the goal do not suffice for the rule.
        let found = derive(
            "(simplify (band ty x (k ty 15))) (if (fits_unsigned ty x 5)) \
             (band ty (iadd ty x (k ty 0)) (k ty 7))",
        );
        assert!(!found.derived);
    }

    #[test]
    fn limits_are_named() {
        let rules = set(
            ";; Grows.\n(rule grow (simplify (iadd ty x y)) (isub ty (iadd ty (iadd ty x y) y) y))",
        );
        let goals =
            set(";; Reason.\n(rule goal (simplify (iadd $I32 x y)) (isub $I32 x (ineg $I32 y)))");
        let mut options = DeriveOptions::default();
        options.limits.nodes = 50;
        let found = Deriver::new(&rules, options).derive(&goals.rules[0]);
        assert_eq!(found.not[0].stop, Stop::NodeLimit);
        options.limits.nodes = 1_000_000;
        options.limits.iterations = 2;
        let found = Deriver::new(&rules, options).derive(&goals.rules[0]);
        assert_eq!(found.not[0].stop, Stop::IterationLimit);
        options.time = Duration::ZERO;
        let found = Deriver::new(&rules, options).derive(&goals.rules[0]);
        assert_eq!(found.not[0].stop, Stop::TimeLimit);
    }
}
