//! The engines agree: Egraft's breadth-first saturation and egg's end at the same classes, after as many iterations.

use egraft_egraph::bulk::{Analysis, BulkGraph, BulkLimits, Prices, Shape};
use egraft_egraph::{EGraph, Limits, Rules, STANDARD_SET, Saturation, Saturator, saturate};
use egraft_ir::{ClassId, Node};
use egraft_rules::MatchGraph;
use egraft_saturation::{Bounds, End, Workload, judge, run_egg, run_egglog, run_own};
use egraft_testkit::filetest;
use egraft_testkit::generate::egraph::random;
use std::path::Path;
use std::sync::Mutex;

#[test]
fn plain_workloads_end_alike() {
    let workloads = [
        Workload::sums(3, 6),
        Workload::forest(60, 1),
        Workload::forest(60, 2),
        Workload::terms(3, &[&STANDARD_SET]),
    ];
    for workload in workloads {
        let (own, graph, _) = run_own(&workload, Bounds::default());
        let (egg, peer) = run_egg(&workload, Bounds::default()).unwrap();
        let egglog = run_egglog(&workload, Bounds::default()).unwrap();
        assert_eq!([own.end, egg.end, egglog.end], [End::Saturated; 3], "{}", workload.name);
        assert_eq!(graph.shape(), Shape::new(&peer.classes()), "{}", workload.name);
        assert_eq!([own.classes, egglog.classes], [egg.classes; 2], "{}", workload.name);
        assert_eq!(egglog.nodes, egg.nodes, "{}", workload.name);
    }
}

#[test]
fn sums_have_as_many_nodes_as_there_are_ways_to_split() {
    let (own, _, _) = run_own(&Workload::sums(1, 7), Bounds::default());
    assert_eq!(own.nodes, (3usize.pow(7) - 2usize.pow(8)).div_ceil(2) + 7);
    assert_eq!(own.classes, 2usize.pow(7) - 1);
}

#[test]
fn smallest_terms_are_as_small_as_eggs() {
    let prices = Prices::new(|_, _| 1);
    for workload in [Workload::sums(2, 6), Workload::forest(120, 3)] {
        let (_, graph, _) = run_own(&workload, Bounds::default());
        let (_, peer) = run_egg(&workload, Bounds::default()).unwrap();
        let costs = graph.costs(&prices);
        let classes = (0..costs.len() as u32).map(ClassId).filter(|id| graph.find(*id) == *id);
        let mut own: Vec<u32> = classes.map(|id| costs[id.index()]).collect();
        let mut eggs: Vec<u32> = peer.smallest().iter().map(|size| *size as u32).collect();
        own.sort_unstable();
        eggs.sort_unstable();
        assert_eq!(own, eggs, "{}", workload.name);
    }
}

#[test]
fn extracted_terms_cost_what_their_classes_do() {
    let prices = Prices::new(|op, ty| 1 + (op as u32 * 7 + ty as u32 * 3) % 13);
    let workload = Workload::forest(120, 3);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    let costs = graph.costs(&prices);
    let roots: Vec<ClassId> = (0..workload.nodes.len() as u32).map(ClassId).collect();
    let (nodes, places) = graph.extract(&roots, &prices, &costs);
    let mut cost: Vec<u32> = Vec::new();
    for node in &nodes {
        let (op, ty) = (node.op as u32, node.ty as u32);
        let args: u32 = node.args().iter().map(|arg| cost[arg.index()]).sum();
        cost.push(1 + (op * 7 + ty * 3) % 13 + args);
    }
    for (root, place) in roots.iter().zip(places) {
        let place = place.expect("terms that were added have a term");
        assert_eq!(cost[place.index()], costs[graph.find(*root).index()]);
    }
    // The terms are of those classes: with them added, no class is new.
    let mut with = graph.clone();
    let mut classes: Vec<ClassId> = Vec::new();
    for node in &nodes {
        let mut node = *node;
        node.args_mut().iter_mut().for_each(|arg| *arg = classes[arg.index()]);
        classes.push(with.add(node));
    }
    assert_eq!(with.node_count(), graph.node_count());
}

#[test]
fn threads_change_nothing() {
    let workload = Workload::forest(400, 3);
    let (one, graph, _) = run_own(&workload, Bounds::default());
    let (two, other, _) = run_own(&workload, Bounds { threads: 2, ..Bounds::default() });
    assert_eq!((one.nodes, one.classes, one.iterations), (two.nodes, two.classes, two.iterations));
    assert_eq!(graph.shape(), other.shape());
}

#[test]
fn terms_added_later_end_alike_without_starting_over() {
    let (first, more) = (Workload::forest(200, 1), Workload::forest(20, 2));
    let add = |graph: &mut BulkGraph, workload: &Workload| {
        let mut classes: Vec<ClassId> = Vec::new();
        for node in &workload.nodes {
            let mut node = *node;
            node.args_mut().iter_mut().for_each(|arg| *arg = classes[arg.index()]);
            classes.push(graph.add(node));
        }
    };
    let rules = [&first.rules];
    let mut later = BulkGraph::new(Analysis::None);
    add(&mut later, &first);
    let whole = later.saturate(&rules, BulkLimits::default());
    add(&mut later, &more);
    let rest = later.saturate(&rules, BulkLimits::default());
    let mut once = BulkGraph::new(Analysis::None);
    add(&mut once, &first);
    add(&mut once, &more);
    once.saturate(&rules, BulkLimits::default());
    assert_eq!(later.shape(), once.shape());
    assert!(rest.matches * 3 < whole.matches, "{rest:?} after {whole:?}");
}

/// Both engines over `graph`, with all rules, conditions and facts.
fn compare(graph: &EGraph, iterations: usize) -> (Shape, Shape) {
    let (mut own, _) = BulkGraph::of(graph, Analysis::Facts);
    own.saturate(&[&STANDARD_SET], BulkLimits { iterations, ..BulkLimits::default() });
    let ids = || (0..graph.ids() as u32).map(ClassId);
    let nodes: Vec<Node> = ids().map(|id| *graph.added_node(id)).collect();
    let classes: Vec<usize> = ids().map(|id| graph.find(id).index()).collect();
    let facts: Vec<_> = ids().map(|id| graph.facts(id)).collect();
    let judged = judge(&STANDARD_SET, &nodes, &classes, &facts, iterations);
    (own.shape(), Shape::new(&judged))
}

#[test]
fn random_graphs_end_alike() {
    let (mut nodes, mut before) = (0, 0);
    for seed in 0..200 {
        let graph = random(seed);
        let (own, judged) = compare(&graph, 3);
        before += graph.node_count();
        nodes += own.node_count();
        assert!(
            own == judged,
            "seed {seed}: {} and {} nodes",
            own.node_count(),
            judged.node_count()
        );
    }
    println!("{before} nodes became {nodes}");
    assert!(nodes > before + 400);
}

/// Functions whose graphs were compared, and those that differ.
static SEEN: Mutex<(usize, usize, Vec<String>)> = Mutex::new((0, 0, Vec::new()));

/// Compares the engines on the graph that it is given; then goes on as the CPU does.
fn judged(graph: &mut EGraph, rules: &Rules, limits: Limits) -> Saturation {
    let (own, judged) = compare(graph, 2);
    let mut seen = SEEN.lock().unwrap();
    seen.0 += 1;
    seen.1 += own.node_count();
    if own != judged {
        let counts = (own.node_count(), judged.node_count());
        seen.2.push(format!("{} nodes: {counts:?}", graph.node_count()));
    }
    saturate(graph, rules, limits)
}

#[test]
fn filetests_end_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filetests");
    for file in filetest::files(&folder).unwrap() {
        filetest::saturated(&file, Saturator::new("judged", judged)).unwrap();
        let seen = SEEN.lock().unwrap();
        assert!(seen.2.is_empty(), "{}: {:?}", file.display(), seen.2);
    }
    let seen = SEEN.lock().unwrap();
    println!("{} graphs, {} nodes in the end", seen.0, seen.1);
    assert!(seen.0 > 500);
}
