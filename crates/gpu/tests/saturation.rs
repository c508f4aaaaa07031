//! Saturation on the GPU ends at the classes at which the CPU ends; also where buffers overflow. And these tests notice
//! what is wrong: shaders with a planted mistake fail them.
//!
//! Without any adapter they are skipped, and say so.

mod common;

use common::open;
use egraft_egraph::STANDARD_SET;
use egraft_egraph::bulk::{Analysis, BulkEnd, BulkGraph, BulkLimits, Shape, without_rearranging};
use egraft_gpu::{Gpu, GpuError, GpuRun, GpuSaturation, Room, RulesAs, Shader};
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{RuleSet, Source};
use egraft_saturation::{
    Bounds, End, Workload, add_terms, flattened, load, plain_subset, run_flat, run_own,
};
use egraft_testkit::generate::egraph::grow;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Iterations by which all workloads here are saturated.
const MOST: usize = 40;
/// More nodes than any of them ends with: with planted mistakes graphs may grow without end.
const NODES: usize = 100_000;

fn on_gpu(
    gpu: &Gpu,
    workload: &Workload,
    room: Room,
    shader: Shader,
    iterations: usize,
) -> Result<(GpuRun, Shape), GpuError> {
    let mut graph = load(workload);
    let sets = [&workload.rules];
    let limits = BulkLimits { iterations, nodes: NODES, ..BulkLimits::default() };
    let saturation = GpuSaturation::with_shader(gpu, &mut graph, &sets, room, shader)?;
    let run = saturation.checked().saturate(limits)?;
    Ok((run, graph.shape()))
}

fn workloads() -> Vec<Workload> {
    let plain = [Workload::sums(2, 6), Workload::forest(40, 1), Workload::forest(60, 2)];
    // One class has thousands of nodes, so that matching goes over users.
    plain.into_iter().chain([Workload::terms(3, &[&STANDARD_SET])]).collect()
}

#[test]
fn the_gpu_ends_where_the_cpu_ends() {
    let Some(gpu) = open() else { return };
    for workload in workloads() {
        let (own, graph, cpu) = run_own(&workload, Bounds::default());
        assert!(cpu.matches >= 1);
        for rules in [RulesAs::Data, RulesAs::Code] {
            let name = format!("{}, rules as {rules:?}", workload.name);
            let shader = Shader { rules: Some(rules), ..Shader::default() };
            let (run, shape) = on_gpu(&gpu, &workload, Room::default(), shader, MOST).unwrap();
            assert_eq!(run.end, Some(BulkEnd::Saturated), "{name}");
            assert_eq!(run.breaches, 0, "{name}");
            assert_eq!(run.iterations, own.iterations, "{name}");
            assert!(run.matches >= 1, "{name}");
            assert!(
                shape == graph.shape(),
                "{name}: {} nodes of {}",
                shape.node_count(),
                own.nodes
            );
            println!("{name}: {run:?}");
        }
    }
}

#[test]
fn canonical_forms_are_the_same_on_both() {
    let Some(gpu) = open() else { return };
    for workload in [Workload::sums(3, 9), Workload::forest(40, 1)] {
        let rules = without_rearranging(&workload.rules);
        assert!(rules.rules.len() < workload.rules.rules.len(), "{}", workload.name);
        let (own, graph) = run_flat(&workload, Bounds::default());
        let (_, on_gpu) = flattened(&workload, Bounds::default(), |graph, bounds| {
            let saturation = GpuSaturation::new(&gpu, graph, &[&rules], Room::default())?;
            let run = saturation.checked().saturate(bounds.limits())?;
            Ok::<_, GpuError>((run.end.expect("it ends").into(), run.iterations))
        })
        .unwrap();
        assert_eq!(own.end, End::Saturated, "{}", workload.name);
        assert!(on_gpu.shape() == graph.shape(), "{}: {} nodes", workload.name, own.nodes);
    }
}

/// Random graphs side by side as one: compiling shaders takes longer than running them.
fn random_graphs(seeds: std::ops::Range<u64>) -> BulkGraph {
    let mut graphs = BulkGraph::new(Analysis::None);
    for seed in seeds {
        grow(&mut SmallRng::seed_from_u64(seed), &mut |mut node| {
            if node.op == Op::Leaf {
                node.imm += u128::from(seed) << 32;
            }
            graphs.add(node)
        });
    }
    graphs.close();
    graphs
}

#[test]
fn random_graphs_end_where_the_cpu_ends() {
    let Some(gpu) = open() else { return };
    let plain = plain_subset(&[&STANDARD_SET]);
    let limits = BulkLimits { iterations: 3, ..BulkLimits::default() };
    let (mut before, mut nodes) = (0, 0);
    for first in [0, 50, 100, 150] {
        let mut by_cpu = random_graphs(first..first + 50);
        before += by_cpu.node_count();
        let mut by_gpu = by_cpu.clone();
        let run = GpuSaturation::new(&gpu, &mut by_gpu, &[&plain], Room::default())
            .unwrap()
            .checked()
            .saturate(limits)
            .unwrap();
        by_cpu.saturate(&[&plain], limits);
        assert_eq!(run.breaches, 0);
        assert!(by_cpu.shape() == by_gpu.shape(), "seeds from {first}: {run:?}");
        nodes += by_gpu.node_count();
    }
    println!("{} rules, {before} nodes became {nodes}", plain.rules.len());
    assert!(nodes > before + 200);
}

/// More rules than one switch has cases, of many ops and with tests of all kinds.
#[test]
fn rules_as_code_find_what_rules_as_data_find() {
    let Some(gpu) = open() else { return };
    let mut plain = plain_subset(&[&STANDARD_SET]);
    let every_fifth = plain.rules.drain(..).step_by(5).collect();
    plain.rules = every_fifth;
    let limits = BulkLimits { iterations: 3, ..BulkLimits::default() };
    let graph = random_graphs(0..200);
    let found = [RulesAs::Data, RulesAs::Code].map(|rules| {
        let mut graph = graph.clone();
        let (sets, rules) = ([&plain], Some(rules));
        let shader = Shader { rules, ..Shader::default() };
        let run = GpuSaturation::with_shader(&gpu, &mut graph, &sets, Room::default(), shader)
            .unwrap()
            .checked()
            .saturate(limits)
            .unwrap();
        assert!(run.matches > 100 && run.breaches == 0, "{rules:?}: {run:?}");
        graph.shape()
    });
    assert!(found[0] == found[1]);
}

#[test]
fn what_does_not_fit_is_done_again_with_more_room() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(40, 1);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    let room = Room { nodes: 1, items: 1, matches: 1, batch: 7, ..Room::default() };
    let (run, shape) = on_gpu(&gpu, &workload, room, Shader::default(), MOST).unwrap();
    assert!(run.overflows > 10, "{run:?}");
    assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)));
    assert!(shape == graph.shape());
}

#[test]
fn searches_that_fit_no_buffer_are_split() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(40, 1);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    let room = Room { items: 1, items_at_most: 2000, ..Room::default() };
    let (run, shape) = on_gpu(&gpu, &workload, room, Shader::default(), MOST).unwrap();
    assert!(run.splits > 3, "{run:?}");
    assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)));
    assert!(shape == graph.shape());
    // Of matches some are applied before all are found.
    let room = Room { matches: 1, matches_at_most: 700, ..Room::default() };
    let (run, shape) = on_gpu(&gpu, &workload, room, Shader::default(), MOST).unwrap();
    assert!(run.splits > 3, "{run:?}");
    assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)));
    assert!(shape == graph.shape());
    let room = Room { items: 1, items_at_most: 10, ..Room::default() };
    let error = on_gpu(&gpu, &workload, room, Shader::default(), MOST).unwrap_err();
    assert!(matches!(error, GpuError::TooLarge { .. }), "{error}");
}

#[test]
fn small_tables_suffice_or_are_an_error() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(40, 1);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    let mut sufficed = 0;
    for slots_at_most in [1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15] {
        let room = Room { slots_at_most, batch: 512, ..Room::default() };
        match on_gpu(&gpu, &workload, room, Shader::default(), MOST) {
            Ok((run, shape)) => {
                assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)));
                assert!(shape == graph.shape(), "{slots_at_most}: {run:?}");
                sufficed += 1;
            }
            Err(error) => {
                assert!(matches!(error, GpuError::TooLarge { .. }), "{slots_at_most}: {error}");
                assert_eq!(sufficed, 0, "{slots_at_most}: {error}");
            }
        }
    }
    assert!((2..6).contains(&sufficed), "{sufficed}");
}

/// Whether a planted mistake is seen, in the classes after so many iterations or in a breach.
fn is_noticed(gpu: &Gpu, workload: &Workload, edit: fn(&str) -> String, iterations: usize) -> bool {
    let (_, graph, _) = run_own(workload, Bounds { iterations, ..Bounds::default() });
    let shader = Shader { edit, ..Shader::default() };
    // Invocations meet by chance.
    (0..5).any(|_| match on_gpu(gpu, workload, Room::default(), shader, iterations) {
        Ok((run, shape)) => run.breaches > 0 || shape != graph.shape(),
        Err(_) => true,
    })
}

/// Classes that are merged with two others at once.
fn crowded() -> Workload {
    const RULE: &str = ";;;; For tests.\n;; Untrue.\n(rule either (simplify (band $I32 x y)) x)";
    let leaf = |imm| Node::with_imm(Op::Leaf, Ty::I32, imm, &[]);
    let mut nodes = Vec::new();
    for at in 0..500 {
        nodes.extend([leaf(2 * at), leaf(2 * at + 1)]);
        let args = [ClassId(3 * at as u32), ClassId(3 * at as u32 + 1)];
        nodes.push(Node::new(Op::Band, Ty::I32, &args));
    }
    let rules = RuleSet::parse(&[Source::new("either.isle", RULE)]).unwrap();
    Workload { name: "either".to_owned(), rules, nodes }
}

/// A hash by which many nodes want the same slots.
fn crowd(text: &str) -> String {
    swap(text, "words.c), words.imm);", "words.c), words.imm) & 0x1ffu;")
}

/// Replaces a text that must be there.
fn swap(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the shader has no `{from}`");
    text.replace(from, to)
}

#[test]
fn a_union_that_is_not_atomic_is_noticed() {
    let Some(gpu) = open() else { return };
    let workload = crowded();
    assert!(!is_noticed(&gpu, &workload, str::to_owned, 1));
    let edit = |text: &str| {
        swap(
            text,
            "if atomicCompareExchangeWeak(&parent[high], high, low).exchanged {",
            "atomicStore(&parent[high], low);\n        if true {",
        )
    };
    assert!(is_noticed(&gpu, &workload, edit, 1));
}

#[test]
fn an_insertion_that_is_not_atomic_is_noticed() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(30, 5);
    let (_, graph, _) = run_own(&workload, Bounds::default());
    let (run, shape) =
        on_gpu(&gpu, &workload, Room::default(), Shader { edit: crowd, ..Shader::default() }, MOST)
            .unwrap();
    assert!(run.breaches == 0 && shape == graph.shape());
    let edit = |text: &str| {
        swap(
            &crowd(text),
            "let taken = atomicCompareExchangeWeak(&slots[at], 0u, CANDIDATE | place);\n            if taken.exchanged {",
            "atomicStore(&slots[at], CANDIDATE | place);\n            if true {",
        )
    };
    assert!(is_noticed(&gpu, &workload, edit, MOST));
}

#[test]
fn a_missing_tombstone_is_noticed() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(150, 5);
    let edit = |text: &str| swap(text, "atomicStore(&slots[states[4u * id + 2u]], TOMBSTONE);", "");
    assert!(is_noticed(&gpu, &workload, edit, MOST));
}

#[test]
fn a_stale_worklist_is_noticed() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(150, 5);
    // Every eighth changed node is not put into the table anew; changed nodes are not searched again.
    let edit = |text: &str| {
        swap(text, "if at < count(PENDING) {", "if at < count(PENDING) && at % 8u != 7u {")
    };
    assert!(is_noticed(&gpu, &workload, edit, MOST));
    let edit = |text: &str| {
        swap(
            text,
            "let fresh = select(0u, 1u, news || seen != root);",
            "let fresh = select(0u, 1u, news || seen == NONE);",
        )
    };
    assert!(is_noticed(&gpu, &workload, edit, MOST));
}

#[test]
fn a_lost_device_leaves_the_graph_as_it_was() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(10, 1);
    let mut graph = load(&workload);
    let before = graph.shape();
    let sets = [&workload.rules];
    let saturation = GpuSaturation::new(&gpu, &mut graph, &sets, Room::default()).unwrap();
    gpu.lose();
    let lost = saturation.saturate(BulkLimits::default());
    assert!(matches!(lost, Err(GpuError::Failed(_))), "{lost:?}");
    assert!(graph.shape() == before);
}

#[test]
fn saturation_goes_on_with_terms_that_were_added() {
    let Some(gpu) = open() else { return };
    let workload = Workload::forest(60, 2);
    let (_, whole, run) = run_own(&workload, Bounds::default());
    let sets = [&workload.rules];
    let limits = BulkLimits::default();
    // Where each of two halves is saturated.
    for on_gpu in [[true, true], [true, false], [false, true]] {
        let (mut graph, mut classes) = (BulkGraph::new(Analysis::None), Vec::new());
        let halves = workload.nodes.split_at(workload.nodes.len() / 2);
        let mut matches = 0;
        for (terms, on_gpu) in [halves.0, halves.1].into_iter().zip(on_gpu) {
            add_terms(&mut graph, terms, &mut classes);
            matches = if on_gpu {
                let saturation =
                    GpuSaturation::new(&gpu, &mut graph, &sets, Room::default()).unwrap();
                let run = saturation.checked().saturate(limits).unwrap();
                assert_eq!((run.breaches, run.end), (0, Some(BulkEnd::Saturated)));
                run.matches
            } else {
                graph.saturate(&sets, limits).matches
            };
        }
        assert!(graph.shape() == whole.shape(), "on the GPU: {on_gpu:?}");
        // The second time only what is new was matched.
        let all = run.matches;
        assert!(matches > all / 10 && matches < all * 9 / 10, "{on_gpu:?}: {matches} of {all}");
        // And then nothing is left.
        let saturation = GpuSaturation::new(&gpu, &mut graph, &sets, Room::default()).unwrap();
        assert_eq!(saturation.saturate(limits).unwrap().matches, 0, "{on_gpu:?}");
    }
}
