//! Egraft's own engine.

use crate::{Bounds, Outcome, Workload};
use egraft_egraph::bulk::{Analysis, BulkGraph, BulkRun};
use egraft_ir::ClassId;
use std::time::Instant;

/// The terms of a workload as a graph of which nothing is known.
pub fn load(workload: &Workload) -> BulkGraph {
    let mut graph = BulkGraph::new(Analysis::None);
    let mut classes: Vec<ClassId> = Vec::with_capacity(workload.nodes.len());
    for node in &workload.nodes {
        let mut node = *node;
        node.args_mut().iter_mut().for_each(|arg| *arg = classes[arg.index()]);
        classes.push(graph.add(node));
    }
    graph
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
