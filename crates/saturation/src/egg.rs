//! egg 0.11.

use crate::{Bounds, End, Outcome, PeerError, PlainRule, Symbols, Term, Workload, plain_rules};
use egg::{
    AstSize, EGraph, ENodeOrVar, Extractor, Id, Language, Pattern, PatternAst, RecExpr, Rewrite,
    Runner, SimpleScheduler, StopReason, Var,
};
use egraft_ir::{ClassId, Node};
use rustc_hash::FxHashMap;
use std::time::Instant;

/// A node of egg: a symbol and operands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Term3 {
    symbol: u32,
    arity: u8,
    args: [Id; 3],
}

impl Term3 {
    fn new(symbol: u32, args: &[Id]) -> Term3 {
        let mut slots = [Id::from(0); 3];
        slots[..args.len()].copy_from_slice(args);
        Term3 { symbol, arity: args.len() as u8, args: slots }
    }
}

impl Language for Term3 {
    type Discriminant = u32;

    fn discriminant(&self) -> u32 {
        self.symbol
    }

    fn matches(&self, other: &Term3) -> bool {
        self.symbol == other.symbol
    }

    fn children(&self) -> &[Id] {
        &self.args[..self.arity as usize]
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.args[..self.arity as usize]
    }
}

/// egg's graph after a run.
#[derive(Debug)]
pub struct EggGraph {
    graph: EGraph<Term3, ()>,
    symbols: Symbols,
}

impl EggGraph {
    /// The classes with their nodes; operands are places among the classes.
    pub fn classes(&self) -> Vec<Vec<Node>> {
        let place: FxHashMap<Id, u32> =
            self.graph.classes().map(|class| class.id).zip(0..).collect();
        let node = |term: &Term3| {
            let mut node = self.symbols.heads()[term.symbol as usize];
            for (slot, arg) in node.args.iter_mut().zip(term.children()) {
                *slot = ClassId(place[&self.graph.find(*arg)]);
            }
            node
        };
        self.graph.classes().map(|class| class.nodes.iter().map(node).collect()).collect()
    }

    /// How many nodes the smallest term of each class has, in the order of [`EggGraph::classes`].
    pub fn smallest(&self) -> Vec<usize> {
        let extractor = Extractor::new(&self.graph, AstSize);
        self.graph.classes().map(|class| extractor.find_best_cost(class.id)).collect()
    }
}

fn pattern(term: &Term) -> Pattern<Term3> {
    fn add(ast: &mut PatternAst<Term3>, term: &Term) -> Id {
        match term {
            Term::Var(var) => ast.add(ENodeOrVar::Var(Var::from_u32(u32::from(*var)))),
            Term::Node(symbol, args) => {
                let args: Vec<Id> = args.iter().map(|arg| add(ast, arg)).collect();
                ast.add(ENodeOrVar::ENode(Term3::new(*symbol, &args)))
            }
        }
    }
    let mut ast = RecExpr::default();
    add(&mut ast, term);
    Pattern::new(ast)
}

/// The rules that make commutative symbols so.
pub(crate) fn commuting(symbols: &Symbols) -> impl Iterator<Item = PlainRule> {
    let commutative = |(symbol, head): (u32, &Node)| head.op.is_commutative().then_some(symbol);
    (0..).zip(symbols.heads()).filter_map(commutative).map(|symbol| {
        let of = |x, y| Term::Node(symbol, vec![Term::Var(x), Term::Var(y)]);
        PlainRule { lhs: of(0, 1), rhs: of(1, 0) }
    })
}

/// Runs a workload.
///
/// # Errors
/// [`PeerError::NotPlain`].
pub fn run_egg(workload: &Workload, bounds: Bounds) -> Result<(Outcome, EggGraph), PeerError> {
    let mut symbols = Symbols::default();
    let mut rules = plain_rules(&workload.rules, &mut symbols).map_err(PeerError::NotPlain)?;
    let mut graph: EGraph<Term3, ()> = EGraph::default();
    let mut ids: Vec<Id> = Vec::with_capacity(workload.nodes.len());
    for node in &workload.nodes {
        let args: Vec<Id> = node.args().iter().map(|arg| ids[arg.index()]).collect();
        ids.push(graph.add(Term3::new(symbols.number(node), &args)));
    }
    rules.extend(commuting(&symbols));
    let rewrite = |(at, rule): (usize, &PlainRule)| {
        Rewrite::new(format!("rule {at}"), pattern(&rule.lhs), pattern(&rule.rhs))
            .expect("right sides have the variables of left sides")
    };
    let rules: Vec<Rewrite<Term3, ()>> = rules.iter().enumerate().map(rewrite).collect();
    graph.rebuild();
    let runner = Runner::default()
        .with_egraph(graph)
        .with_scheduler(SimpleScheduler)
        .with_iter_limit(bounds.iterations)
        .with_node_limit(bounds.nodes)
        .with_time_limit(bounds.time);
    let start = Instant::now();
    let runner = runner.run(&rules);
    let seconds = start.elapsed().as_secs_f64();
    let end = match runner.stop_reason {
        Some(StopReason::Saturated) => End::Saturated,
        Some(StopReason::TimeLimit(_)) => End::Time,
        _ => End::Limit,
    };
    let graph = runner.egraph;
    let outcome = Outcome {
        end,
        nodes: graph.total_number_of_nodes(),
        classes: graph.number_of_classes(),
        iterations: runner.iterations.len(),
        seconds,
    };
    Ok((outcome, EggGraph { graph, symbols }))
}
