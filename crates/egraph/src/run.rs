//! Rewriting: eagerly while nodes are added, or in batches until nothing changes.
//!
//! Both modes take their matches from a [`Matcher`] and build right sides through the same
//! instantiation; neither knows a rule by name. Limits are outcomes, never panics.

use crate::explain::Reason;
use crate::graph::EGraph;
use egraft_ir::{ClassId, Node, Ty};
use egraft_rules::{BuildGraph, FactSource, Match, MatchGraph, RuleId};

/// Finds matches and builds right sides.
pub trait Matcher {
    /// Number of rules; every [`RuleId`] is below it.
    fn rule_count(&self) -> usize;

    /// Appends the matches of all rules at `node`, which belongs to `class`.
    fn match_node(&self, graph: &EGraph, class: ClassId, node: &Node, out: &mut Vec<Match>);

    /// Builds a match's right side, or `None` where it would be ill-typed.
    fn instantiate<B: BuildGraph>(&self, builder: &mut B, found: &Match) -> Option<ClassId>;
}

/// Bounds on rewriting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Ids a graph may give out.
    pub nodes: usize,
    /// Nodes a class may hold before rules leave it alone.
    pub class_nodes: usize,
    /// How many rewrites may stack up on one another (acyclic mode).
    pub depth: usize,
    /// Batches (saturating mode).
    pub iterations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { nodes: 400_000, class_nodes: 12, depth: 5, iterations: 12 }
    }
}

/// Why rewriting ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub enum StopReason {
    /// No rule adds anything.
    Saturated,
    /// The graph reached [`Limits::nodes`].
    NodeLimit {
        /// The limit.
        limit: usize,
        /// Ids given out.
        reached: usize,
    },
    /// [`Limits::iterations`] batches were run.
    IterationLimit {
        /// The limit.
        limit: usize,
    },
}

/// How often a rule fired.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RuleCount {
    /// Matches found.
    pub matched: usize,
    /// Matches that merged two classes or added to one.
    pub joined: usize,
}

/// A graph under eager rewriting: each new node is rewritten as it is added, its right sides with
/// it, and nothing is looked at twice.
pub struct Rewriter<'m, M: Matcher> {
    graph: EGraph,
    matcher: &'m M,
    limits: Limits,
    counts: Vec<RuleCount>,
    depth: usize,
    hit_limit: bool,
    spare: Vec<Vec<Match>>,
}

impl<'m, M: Matcher> Rewriter<'m, M> {
    /// An empty graph under `matcher`.
    pub fn new(matcher: &'m M, limits: Limits) -> Self {
        Rewriter {
            graph: EGraph::new(),
            matcher,
            limits,
            counts: vec![RuleCount::default(); matcher.rule_count()],
            depth: 0,
            hit_limit: false,
            spare: Vec::new(),
        }
    }

    /// Goes on with a graph, of which nothing is rewritten again: only what is added is.
    pub fn resume(graph: EGraph, matcher: &'m M, limits: Limits) -> Self {
        Rewriter { graph, ..Rewriter::new(matcher, limits) }
    }

    /// The graph so far.
    pub fn graph(&self) -> &EGraph {
        &self.graph
    }

    /// The graph, for facts that come from outside.
    pub fn graph_mut(&mut self) -> &mut EGraph {
        &mut self.graph
    }

    /// How often each rule fired, by rule.
    pub fn counts(&self) -> &[RuleCount] {
        &self.counts
    }

    /// Whether the node limit kept rules from firing.
    pub fn stop_reason(&self) -> StopReason {
        if self.hit_limit {
            StopReason::NodeLimit { limit: self.limits.nodes, reached: self.graph.ids() }
        } else {
            StopReason::Saturated
        }
    }

    /// Ends rewriting.
    pub fn into_graph(self) -> (EGraph, Vec<RuleCount>) {
        (self.graph, self.counts)
    }

    /// Adds a node and everything that rules make of it.
    pub fn add(&mut self, node: Node) -> ClassId {
        let (class, fresh) = self.graph.insert(node);
        if fresh {
            self.rewrite(class, self.graph.canonical(node));
        }
        self.graph.find(class)
    }

    fn rewrite(&mut self, class: ClassId, node: Node) {
        if self.graph.constant(class).is_some()
            || self.depth >= self.limits.depth
            || self.graph.nodes(class).len() > self.limits.class_nodes
        {
            return;
        }
        if self.graph.ids() >= self.limits.nodes {
            self.hit_limit = true;
            return;
        }
        let mut matches = self.spare.pop().unwrap_or_default();
        self.matcher.match_node(&self.graph, class, &node, &mut matches);
        self.depth += 1;
        for found in matches.drain(..) {
            let count = &mut self.counts[found.rule.index()];
            count.matched += 1;
            if let Some(built) = self.matcher.instantiate(self, &found)
                && self.graph.union(class, built, Reason::Rule(found.rule))
            {
                self.counts[found.rule.index()].joined += 1;
            }
        }
        self.depth -= 1;
        self.spare.push(matches);
    }
}

impl<M: Matcher> BuildGraph for Rewriter<'_, M> {
    fn add(&mut self, node: Node) -> ClassId {
        Rewriter::add(self, node)
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.graph.class_type(class)
    }
}

/// What saturation did.
#[derive(Clone, Debug)]
pub struct Saturation {
    /// Why it ended.
    pub stop: StopReason,
    /// Batches run.
    pub iterations: usize,
    /// How often each rule fired, by rule.
    pub counts: Vec<RuleCount>,
}

/// A node that rules are tried at, and its class.
pub type Root = (ClassId, Node);

/// Rewrites `graph` in batches: all matches are found, then applied, then congruence is restored;
/// until a batch changes nothing or a limit is met.
pub fn saturate<M: Matcher>(graph: &mut EGraph, matcher: &M, limits: Limits) -> Saturation {
    saturate_with(graph, matcher, limits, |graph, roots| {
        let mut matches = Vec::new();
        for (class, node) in roots {
            matcher.match_node(graph, *class, node, &mut matches);
        }
        matches
    })
}

/// As [`saturate`], with `find` to find all matches of the rules of `matcher` at the roots: in the order in which
/// [`Matcher::match_node`] finds them, root by root.
pub fn saturate_with<M: Matcher>(
    graph: &mut EGraph,
    matcher: &M,
    limits: Limits,
    mut find: impl FnMut(&EGraph, &[Root]) -> Vec<Match>,
) -> Saturation {
    let mut counts = vec![RuleCount::default(); matcher.rule_count()];
    graph.rebuild();
    graph.canonicalize();
    for iteration in 0..limits.iterations {
        let tried = |class: &ClassId| {
            graph.constant(*class).is_none() && graph.nodes(*class).len() <= limits.class_nodes
        };
        let roots: Vec<Root> = graph
            .classes()
            .filter(tried)
            .flat_map(|class| graph.nodes(class).iter().map(move |node| (class, *node)))
            .collect();
        let matches = find(graph, &roots);
        let (ids, unions) = (graph.ids(), graph.union_count());
        for found in &matches {
            if graph.ids() >= limits.nodes {
                let stop = StopReason::NodeLimit { limit: limits.nodes, reached: graph.ids() };
                graph.rebuild();
                graph.canonicalize();
                return Saturation { stop, iterations: iteration + 1, counts };
            }
            let count = &mut counts[RuleId::index(found.rule)];
            count.matched += 1;
            if let Some(built) = matcher.instantiate(&mut Plain(graph), found)
                && graph.union(found.class, built, Reason::Rule(found.rule))
            {
                count.joined += 1;
            }
        }
        graph.rebuild();
        graph.canonicalize();
        if graph.ids() == ids && graph.union_count() == unions {
            return Saturation { stop: StopReason::Saturated, iterations: iteration + 1, counts };
        }
    }
    let stop = StopReason::IterationLimit { limit: limits.iterations };
    Saturation { stop, iterations: limits.iterations, counts }
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
