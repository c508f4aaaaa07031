//! Costs that the GPU relaxes are the CPU's, and the terms extracted by them are the same.
//!
//! Without any adapter this is skipped, and says so.

mod common;

use common::open;
use egraft_egraph::bulk::{Analysis, BulkGraph, BulkLimits, MOST_COSTLY, Prices};
use egraft_gpu::{GpuSaturation, Room};
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::RuleSet;
use egraft_saturation::{Workload, load};
use egraft_testkit::generate::egraph::grow;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Prices that differ from op to op and from type to type.
fn prices() -> Prices {
    Prices::new(|op, ty| 1 + (op as u32 * 7 + ty as u32 * 3) % 13)
}

/// Saturates `graph` on both; the terms of all that was added must be the same.
fn compare(mut graph: BulkGraph, rules: &RuleSet, name: &str) {
    let Some(gpu) = open() else { return };
    let limits = BulkLimits { iterations: 4, ..BulkLimits::default() };
    let roots: Vec<ClassId> = (0..graph.node_count() as u32).map(ClassId).collect();
    let mut by_gpu = graph.clone();
    graph.saturate(&[rules], limits);
    let sets = [rules];
    let saturation = GpuSaturation::new(&gpu, &mut by_gpu, &sets, Room::default()).unwrap();
    let (run, costs) = saturation.checked().saturate_and_price(limits, &prices()).unwrap();
    assert_eq!(run.breaches, 0, "{name}");
    assert!(costs == by_gpu.costs(&prices()), "{name}: other costs");
    assert!(costs.iter().any(|cost| *cost != MOST_COSTLY));
    let on_cpu = graph.extract(&roots, &prices(), &graph.costs(&prices()));
    let on_gpu = by_gpu.extract(&roots, &prices(), &costs);
    assert!(on_cpu == on_gpu, "{name}: other terms");
    assert!(on_cpu.1.iter().all(Option::is_some), "{name}: a class without a term");
}

#[test]
fn workloads_have_the_same_cheapest_terms() {
    for workload in [Workload::sums(3, 6), Workload::forest(60, 2)] {
        compare(load(&workload), &workload.rules, &workload.name);
    }
}

#[test]
fn random_graphs_have_the_same_cheapest_terms() {
    let mut graph = BulkGraph::new(Analysis::None);
    for seed in 0..100 {
        grow(&mut SmallRng::seed_from_u64(seed), &mut |mut node| {
            if node.op == Op::Leaf {
                node.imm += u128::from(seed) << 32;
            }
            graph.add(node)
        });
    }
    graph.close();
    let plain = egraft_saturation::plain_subset(&[&egraft_egraph::STANDARD_SET]);
    compare(graph, &plain, "random graphs");
}

#[test]
fn long_chains_take_many_steps() {
    // Each node is the operand of the next, and no rule is about any.
    let mut graph = BulkGraph::new(Analysis::None);
    let mut last = graph.add(Node::with_imm(Op::Leaf, Ty::I32, 0, &[]));
    for _ in 0..300 {
        last = graph.add(Node::new(Op::Popcnt, Ty::I32, &[last]));
    }
    compare(graph, &Workload::sums(1, 2).rules, "a chain");
}
