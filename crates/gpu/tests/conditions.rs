//! With all rules of the standard set, their conditions, constant folding and facts, saturation on the GPU ends at the
//! classes at which the CPU ends, and so egg (`crates/saturation/tests`).
//!
//! Without any adapter these tests are skipped, and say so.

mod common;

use common::open;
use egraft_egraph::bulk::{Analysis, BulkGraph, BulkLimits};
use egraft_egraph::{EGraph, Limits, Rules, STANDARD_SET, Saturation, Saturator, saturate};
use egraft_gpu::{Gpu, GpuRun, GpuSaturation, Room};
use egraft_ir::{Node, Op, Ty};
use egraft_testkit::filetest;
use egraft_testkit::generate::egraph::random;
use std::path::Path;
use std::sync::Mutex;

/// Both engines over `graph`; gives the nodes in the end.
fn compare(gpu: &Gpu, mut graph: BulkGraph, iterations: usize, what: &str) -> (usize, GpuRun) {
    let limits = BulkLimits { iterations, threads: 2, ..BulkLimits::default() };
    let mut by_gpu = graph.clone();
    // Ids of copies are taken back after each iteration, so that facts get new names.
    let room = Room { copies_one_in: usize::MAX, ..Room::default() };
    let run = GpuSaturation::new(gpu, &mut by_gpu, &[&STANDARD_SET], room)
        .unwrap()
        .checked()
        .saturate(limits)
        .unwrap();
    graph.saturate(&[&STANDARD_SET], limits);
    let counts = (by_gpu.node_count(), by_gpu.class_count());
    println!("{what}: {counts:?}, {run:?}");
    assert_eq!(run.breaches, 0, "{what}");
    assert_eq!(counts, (graph.node_count(), graph.class_count()), "{what}");
    assert!(by_gpu.shape() == graph.shape(), "{what}: {run:?}");
    (counts.0, run)
}

/// Conditions on annotations are the host's to answer, those that something is not known too.
#[test]
fn annotations_are_asked_for() {
    let Some(gpu) = open() else { return };
    let mut graph = BulkGraph::new(Analysis::Facts);
    let open = graph.add(Node::with_imm(Op::Leaf, Ty::I8X16, 0, &[]));
    let bytes = graph.add(Node::with_imm(Op::Leaf, Ty::I8X16, 1, &[]));
    let shorts = graph.add(Node::new(Op::UwidenLow, Ty::I8X16, &[bytes]));
    let words = graph.add(Node::new(Op::UwidenLow, Ty::I16X8, &[shorts]));
    let small = graph.add(Node::convert(Op::FcvtFromSint, Ty::F32X4, Ty::I32X4, words));
    for class in [open, small] {
        graph.add(Node::convert(Op::FcvtToSintSat, Ty::I32X4, Ty::F32X4, class));
        graph.add(Node::new(Op::Fabs, Ty::F32X4, &[class]));
    }
    let (_, run) = compare(&gpu, graph.clone(), 4, "annotations");
    assert!(run.asked > 0, "{run:?}");
    // The CPU, and so the GPU: a cheap conversion of what is small, a mask where the sign is open.
    graph.saturate(&[&STANDARD_SET], BulkLimits { iterations: 4, ..BulkLimits::default() });
    let mask = graph.add(Node::constant(Ty::I8X16, Ty::I32X4.splat_bits(0x7fff_ffff)));
    let nodes = graph.node_count();
    let mut has = |node: Node| {
        graph.add(node);
        graph.node_count() == nodes
    };
    assert!(has(Node::new(Op::Band, Ty::I8X16, &[open, mask])));
    assert!(has(Node::convert(Op::X86Cvtt2dq, Ty::I32X4, Ty::F32X4, small)));
    assert!(!has(Node::new(Op::Band, Ty::I8X16, &[small, mask])));
}

#[test]
fn random_graphs_end_where_the_cpu_ends() {
    let Some(gpu) = open() else { return };
    let mut graph = BulkGraph::new(Analysis::Facts);
    for seed in 0..200 {
        graph.add_graph(&random(seed));
    }
    let before = graph.node_count();
    let (nodes, run) = compare(&gpu, graph, 3, "200 random graphs");
    assert!(run.compactions > 0, "{run:?}");
    assert!(nodes > before + 400 && run.asked > 1000, "{before} nodes became {nodes}: {run:?}");
}

/// Functions that come later, over facts, and numbers of an earlier call.
#[test]
fn saturation_goes_on_with_functions_that_were_added() {
    let Some(gpu) = open() else { return };
    let limits = BulkLimits { iterations: 2, ..BulkLimits::default() };
    let mut by_cpu = BulkGraph::new(Analysis::Facts);
    let mut by_gpu = by_cpu.clone();
    for seeds in [0..100, 100..200] {
        for seed in seeds {
            by_cpu.add_graph(&random(seed));
            by_gpu.add_graph(&random(seed));
        }
        by_cpu.saturate(&[&STANDARD_SET], limits);
        let run = GpuSaturation::new(&gpu, &mut by_gpu, &[&STANDARD_SET], Room::default())
            .unwrap()
            .checked()
            .saturate(limits)
            .unwrap();
        assert_eq!(run.breaches, 0);
        assert!(by_gpu.shape() == by_cpu.shape(), "{run:?}");
    }
}

/// The graphs of all functions, side by side.
static ALL: Mutex<Option<BulkGraph>> = Mutex::new(None);

/// Takes the graph that it is given; then goes on as the CPU does.
fn taken(graph: &mut EGraph, rules: &Rules, limits: Limits) -> Saturation {
    let mut all = ALL.lock().unwrap();
    all.get_or_insert_with(|| BulkGraph::new(Analysis::Facts)).add_graph(graph);
    saturate(graph, rules, limits)
}

#[test]
fn filetests_end_where_the_cpu_ends() {
    let Some(gpu) = open() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filetests");
    for file in filetest::files(&folder).unwrap() {
        filetest::saturated(&file, Saturator::new("taken", taken)).unwrap();
    }
    let graph = ALL.lock().unwrap().take().unwrap();
    assert!(graph.node_count() > 10_000);
    let (_, run) = compare(&gpu, graph, 2, "filetests");
    assert!(run.compactions > 0, "{run:?}");
}
