//! Egraft's own engine.

use crate::{Bounds, End, Outcome, Workload};
use egraft_egraph::bulk::{Analysis, BulkGraph, BulkRun, saturate_flattened, without_rearranging};
use egraft_ir::{ClassId, Node};
use std::convert::Infallible;
use std::time::Instant;

/// How often chains are flattened and the rest saturated, at most.
const ROUNDS: usize = 16;

/// The terms of a workload as a graph of which nothing is known.
pub fn load(workload: &Workload) -> BulkGraph {
    let mut graph = BulkGraph::new(Analysis::None);
    add_terms(&mut graph, &workload.nodes, &mut Vec::with_capacity(workload.nodes.len()));
    graph
}

/// Adds terms of a workload; `classes` has the class of each that came before them, which their operands are places of.
pub fn add_terms(graph: &mut BulkGraph, terms: &[Node], classes: &mut Vec<ClassId>) {
    for term in terms {
        let mut node = *term;
        node.args_mut().iter_mut().for_each(|arg| *arg = classes[arg.index()]);
        classes.push(graph.add(node));
    }
}

/// Runs a workload; gives the graph and what took how long besides.
pub fn run_own(workload: &Workload, bounds: Bounds) -> (Outcome, BulkGraph, BulkRun) {
    let mut graph = load(workload);
    let start = Instant::now();
    let run = graph.saturate(&[&workload.rules], bounds.limits());
    let seconds = start.elapsed().as_secs_f64();
    let (nodes, classes) = (graph.node_count(), graph.class_count());
    (
        Outcome { end: run.end.into(), nodes, classes, iterations: run.iterations, seconds },
        graph,
        run,
    )
}

/// Runs a workload with canonical forms of chains in place of the rules that only rearrange them.
pub fn run_flat(workload: &Workload, bounds: Bounds) -> (Outcome, BulkGraph) {
    let rules = without_rearranging(&workload.rules);
    let (outcome, graph) = flattened::<Infallible>(workload, bounds, |graph, bounds| {
        let run = graph.saturate(&[&rules], bounds.limits());
        Ok((run.end.into(), run.iterations))
    })
    .unwrap_or_else(|never| match never {});
    (outcome, graph)
}

/// Runs a workload with canonical forms of chains, rewritten by `engine`, which gives its end and number of iterations and
/// needs no rules that only rearrange chains.
///
/// # Errors
/// The engine's.
pub fn flattened<E>(
    workload: &Workload,
    bounds: Bounds,
    mut engine: impl FnMut(&mut BulkGraph, Bounds) -> Result<(End, usize), E>,
) -> Result<(Outcome, BulkGraph), E> {
    let mut graph = load(workload);
    let start = Instant::now();
    let (runs, _) = saturate_flattened(&mut graph, ROUNDS, |graph| {
        engine(graph, Bounds { time: bounds.time.saturating_sub(start.elapsed()), ..bounds })
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let (end, _) = *runs.last().expect("there is a first round");
    let iterations = runs.iter().map(|(_, iterations)| iterations).sum();
    let (nodes, classes) = (graph.node_count(), graph.class_count());
    Ok((Outcome { end, nodes, classes, iterations, seconds }, graph))
}
