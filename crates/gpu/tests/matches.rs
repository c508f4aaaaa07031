//! Random graphs: the GPU finds what the CPU finds, in the same order, and saturation ends at the same graph; also
//! where buffers overflow, where rules are given up, and where there is no GPU or it is lost.
//!
//! Without any adapter these tests are skipped, and say so.

mod common;

use common::open;
use egraft_egraph::{
    EGraph, Limits, Matcher, Rewriter, Root, Rules, STANDARD_SET, saturate, saturate_with,
};
use egraft_gpu::{Gpu, GpuError, GpuMatcher};
use egraft_rules::{FactSource, MatchGraph};
use egraft_testkit::generate::egraph::grow;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const GRAPHS: u64 = 200;

/// A random graph that was rewritten once as it grew, so that classes have several nodes.
fn graph(seed: u64) -> EGraph {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut rewriter = Rewriter::new(&Rules::STANDARD, Limits::default());
    grow(&mut rng, &mut |node| rewriter.add(node));
    let (mut graph, _) = rewriter.into_graph();
    graph.rebuild();
    graph.canonicalize();
    graph
}

fn roots(graph: &EGraph) -> Vec<Root> {
    let classes = graph.classes().filter(|class| graph.constant(*class).is_none());
    classes.flat_map(|class| graph.nodes(class).iter().map(move |node| (class, *node))).collect()
}

fn on_cpu(graph: &EGraph, roots: &[Root]) -> Vec<egraft_rules::Match> {
    let mut matches = Vec::new();
    for (class, node) in roots {
        Rules::STANDARD.match_node(graph, *class, node, &mut matches);
    }
    matches
}

#[test]
fn the_gpu_finds_what_the_cpu_finds() {
    let Some(gpu) = open() else { return };
    let rules = STANDARD_SET.interpreter();
    let mut matcher = GpuMatcher::new(gpu, &[(0, &rules)], 4096).unwrap();
    let (mut matches, mut candidates, mut given_up) = (0, 0, 0);
    for seed in 0..GRAPHS {
        let graph = graph(seed);
        let roots = roots(&graph);
        let found = matcher.matches(&[(0, &rules)], &graph, &roots).unwrap();
        assert_eq!(found.matches, on_cpu(&graph, &roots), "seed {seed}");
        matches += found.matches.len();
        candidates += found.candidates;
        given_up += found.given_up;
    }
    println!("{matches} matches of {candidates} candidates, {given_up} rules given up at a node");
    assert!(matches > 1000 && candidates >= matches);
}

/// Live classes with their nodes.
fn classes(graph: &EGraph) -> Vec<Vec<egraft_ir::Node>> {
    graph.classes().map(|class| graph.nodes(class).to_vec()).collect()
}

#[test]
fn saturation_ends_at_the_same_graph() {
    let Some(gpu) = open() else { return };
    let rules = STANDARD_SET.interpreter();
    let mut matcher = GpuMatcher::new(gpu, &[(0, &rules)], 4096).unwrap();
    let limits = Limits { nodes: 3_000, iterations: 3, ..Limits::default() };
    for seed in 0..GRAPHS / 4 {
        let [mut by_cpu, mut by_gpu] = [graph(seed), graph(seed)];
        let cpu = saturate(&mut by_cpu, &Rules::STANDARD, limits);
        let gpu = saturate_with(&mut by_gpu, &Rules::STANDARD, limits, |graph, roots| {
            matcher.matches(&[(0, &rules)], graph, roots).unwrap().matches
        });
        assert_eq!(cpu.counts, gpu.counts, "seed {seed}");
        assert_eq!((cpu.stop, cpu.iterations), (gpu.stop, gpu.iterations), "seed {seed}");
        assert_eq!(classes(&by_cpu), classes(&by_gpu), "seed {seed}");
    }
}

fn graph_with_matches() -> EGraph {
    (0..).map(graph).find(|graph| on_cpu(graph, &roots(graph)).len() > 5).unwrap()
}

#[test]
fn records_that_do_not_fit_are_made_again() {
    let Some(gpu) = open() else { return };
    let rules = STANDARD_SET.interpreter();
    let mut matcher = GpuMatcher::new(gpu, &[(0, &rules)], 1).unwrap();
    let graph = graph_with_matches();
    let roots = roots(&graph);
    let found = matcher.matches(&[(0, &rules)], &graph, &roots).unwrap();
    assert_eq!(found.overflows, 1);
    assert_eq!(found.matches, on_cpu(&graph, &roots));
    let again = matcher.matches(&[(0, &rules)], &graph, &roots).unwrap();
    assert_eq!((again.overflows, again.matches), (0, found.matches));
}

#[test]
fn a_lost_device_is_an_error() {
    let Some(gpu) = open() else { return };
    let rules = STANDARD_SET.interpreter();
    let mut matcher = GpuMatcher::new(gpu, &[(0, &rules)], 4096).unwrap();
    let graph = graph_with_matches();
    matcher.gpu().lose();
    let error = matcher.matches(&[(0, &rules)], &graph, &roots(&graph)).unwrap_err();
    assert!(matches!(error, GpuError::Failed(_)), "{error}");
}

#[test]
fn adapters_are_named() {
    let error = Gpu::open(Some("no such adapter")).unwrap_err().to_string();
    assert!(error.starts_with("no GPU adapter with `no such adapter` in its name"), "{error}");
}
