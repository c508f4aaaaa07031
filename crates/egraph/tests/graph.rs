//! The graph itself: hash-consing, congruence, folding, explanations, limits, dumps.

use egraft_egraph::{
    EGraph, Limits, RULES, Reason, Rewriter, StandardRules, StopReason, saturate, to_dot, to_json,
};
use egraft_ir::{ClassId, Facts, IntCc, KnownBits, Node, Op, Ty};
use egraft_rules::{FactSource, MatchGraph};

fn leaf(graph: &mut EGraph, ty: Ty, index: u128) -> ClassId {
    graph.insert(Node::with_imm(Op::Leaf, ty, index, &[])).0
}

fn add(graph: &mut EGraph, op: Op, ty: Ty, args: &[ClassId]) -> ClassId {
    graph.insert(Node::new(op, ty, args)).0
}

#[test]
fn equal_nodes_are_one() {
    let mut graph = EGraph::new();
    let (x, y) = (leaf(&mut graph, Ty::I32, 0), leaf(&mut graph, Ty::I32, 1));
    let sum = add(&mut graph, Op::Iadd, Ty::I32, &[x, y]);
    assert_eq!(add(&mut graph, Op::Iadd, Ty::I32, &[y, x]), sum, "iadd is commutative");
    let difference = add(&mut graph, Op::Isub, Ty::I32, &[x, y]);
    assert_ne!(add(&mut graph, Op::Isub, Ty::I32, &[y, x]), difference);
    assert_eq!(graph.lookup(Node::new(Op::Isub, Ty::I32, &[x, y])), Some(difference));
    assert_eq!(graph.class_count(), 5);
}

#[test]
fn rebuild_restores_congruence_upwards() {
    let mut graph = EGraph::new();
    let [x, y, z] = [0, 1, 2].map(|at| leaf(&mut graph, Ty::I16X8, at));
    let a = add(&mut graph, Op::Iadd, Ty::I16X8, &[x, z]);
    let b = add(&mut graph, Op::Iadd, Ty::I16X8, &[y, z]);
    let (na, nb) =
        (add(&mut graph, Op::Bnot, Ty::I16X8, &[a]), add(&mut graph, Op::Bnot, Ty::I16X8, &[b]));
    assert_ne!(graph.find(na), graph.find(nb));
    graph.union(x, y, Reason::Fold);
    assert_eq!(graph.rebuild(), 2);
    assert_eq!(graph.find(na), graph.find(nb));
    graph.canonicalize();
    assert_eq!(graph.nodes(na).len(), 1);
    let steps = graph.proof().explain(na, nb).expect("they are joined");
    assert!(steps.iter().all(|step| step.reason == Reason::Congruence), "{steps:?}");
}

#[test]
fn constants_fold_and_facts_become_constants() {
    let mut graph = EGraph::new();
    let two = graph.insert(Node::constant(Ty::I32, 2)).0;
    let three = graph.insert(Node::constant(Ty::I32, 3)).0;
    let product = add(&mut graph, Op::Imul, Ty::I32, &[two, three]);
    assert_eq!(graph.constant(product), Some(6));
    let x = leaf(&mut graph, Ty::I32, 0);
    let byte = KnownBits { zeros: !0xff, ones: 0 };
    graph.assume(x, Facts { bits: byte, ..Facts::unknown() });
    let limit = graph.insert(Node::constant(Ty::I32, 0x100)).0;
    let below = Node::with_imm(Op::Icmp, Ty::I32, IntCc::Ult as u128, &[x, limit]);
    let below = graph.insert(below).0;
    assert_eq!(graph.constant(below), Some(1));
}

#[test]
fn rules_are_explained_by_name() {
    let mut rewriter = Rewriter::new(&StandardRules, Limits::default());
    let x = rewriter.add(Node::with_imm(Op::Leaf, Ty::I16X8, 0, &[]));
    let zero = rewriter.add(Node::constant(Ty::I16X8, 0));
    let sum = rewriter.add(Node::new(Op::Iadd, Ty::I16X8, &[x, zero]));
    assert_eq!(sum, x);
    let graph = rewriter.graph();
    let id = (0..graph.ids() as u32)
        .map(ClassId)
        .find(|id| graph.added_node(*id).op == Op::Iadd)
        .expect("the sum was added");
    let steps = graph.proof().explain(id, x).expect("they are joined");
    let [step] = steps[..] else { panic!("one step is enough: {steps:?}") };
    let Reason::Rule(rule) = step.reason else { panic!("by a rule: {step:?}") };
    assert_eq!(RULES[rule.index()].name, "iadd_zero");
    assert_eq!(graph.proof().explain(zero, x), None);
}

#[test]
fn limits_are_outcomes() {
    let limits = Limits { nodes: 8, ..Limits::default() };
    let mut rewriter = Rewriter::new(&StandardRules, limits);
    let x = rewriter.add(Node::with_imm(Op::Leaf, Ty::I32, 0, &[]));
    let mut sum = x;
    for at in 1..20 {
        let k = rewriter.add(Node::constant(Ty::I32, at));
        sum = rewriter.add(Node::new(Op::Iadd, Ty::I32, &[sum, k]));
    }
    assert!(matches!(rewriter.stop_reason(), StopReason::NodeLimit { limit: 8, .. }));

    let mut graph = EGraph::new();
    let x = leaf(&mut graph, Ty::I32, 0);
    add(&mut graph, Op::Bnot, Ty::I32, &[x]);
    let done = saturate(&mut graph, &StandardRules, Limits::default());
    assert_eq!(done.stop, StopReason::Saturated);
}

#[test]
fn dumps_name_every_class() {
    let mut graph = EGraph::new();
    let x = leaf(&mut graph, Ty::I8X16, 0);
    let y = add(&mut graph, Op::Popcnt, Ty::I8X16, &[x]);
    let dot = to_dot(&graph, &[y]);
    assert!(dot.contains("popcnt.i8x16") && dot.contains("style=bold"), "{dot}");
    let json = to_json(&graph, &[y], |_| 1.0);
    assert_eq!(json["root_eclasses"][0], y.0.to_string());
    assert_eq!(json["nodes"].as_object().map(serde_json::Map::len), Some(2));
}
