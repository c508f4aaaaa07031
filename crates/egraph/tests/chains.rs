//! Canonical forms of chains.

use egraft_egraph::bulk::{
    Analysis, BulkGraph, BulkLimits, CHAIN_WIDTH, Flattened, saturate_flattened,
    without_rearranging,
};
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{RuleSet, Source};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

const CHAINS: [Op; 9] =
    [Op::Iadd, Op::Imul, Op::Band, Op::Bor, Op::Bxor, Op::Smin, Op::Smax, Op::Umin, Op::Umax];

fn leaves(graph: &mut BulkGraph, count: u128) -> Vec<ClassId> {
    (0..count).map(|leaf| graph.add(Node::with_imm(Op::Leaf, Ty::I32, leaf, &[]))).collect()
}

/// A chain over all of these operands in some order, with parentheses anywhere.
fn chain(graph: &mut BulkGraph, op: Op, operands: &[ClassId], rng: &mut SmallRng) -> ClassId {
    let mut parts = operands.to_vec();
    parts.shuffle(rng);
    while parts.len() > 1 {
        let one = parts.swap_remove(rng.random_range(0..parts.len()));
        let other = parts.swap_remove(rng.random_range(0..parts.len()));
        parts.push(graph.add(Node::new(op, Ty::I32, &[one, other])));
    }
    parts[0]
}

fn associativity(op: Op) -> RuleSet {
    let text = format!(
        ";;;; One rule.\n;; Parentheses do not count.\n(rule associate (simplify ({op} $I32 ({op} $I32 x y) z)) \
         ({op} $I32 x ({op} $I32 y z)))\n"
    );
    RuleSet::parse(&[Source::new("chains.isle", text)]).expect("parses")
}

#[test]
fn exactly_what_associativity_makes_equal_is_equal() {
    let mut pairs = [0, 0];
    for seed in 0..300 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let op = CHAINS[seed as usize % CHAINS.len()];
        let mut graph = BulkGraph::new(Analysis::None);
        let leaves = leaves(&mut graph, 4);
        let mut roots = Vec::new();
        for _ in 0..6 {
            let operands: Vec<ClassId> =
                (0..rng.random_range(2..=5)).map(|_| leaves[rng.random_range(0..4)]).collect();
            roots.push(chain(&mut graph, op, &operands, &mut rng));
            roots.push(chain(&mut graph, op, &operands[1..], &mut rng));
        }
        let rules = associativity(op);
        assert_eq!(without_rearranging(&rules).rules.len(), 0, "{op}");
        let mut ruled = graph.clone();
        ruled.saturate(&[&rules], BulkLimits::default());
        graph.flatten();
        for a in &roots {
            for b in &roots {
                let is_equal = ruled.find(*a) == ruled.find(*b);
                assert_eq!(graph.find(*a) == graph.find(*b), is_equal, "seed {seed}: {a:?}, {b:?}");
                pairs[usize::from(is_equal)] += 1;
            }
        }
        assert!(graph.node_count() <= ruled.node_count(), "seed {seed}");
        assert_eq!(graph.flatten(), Flattened::default(), "seed {seed}: flat already");
    }
    assert!(pairs.iter().all(|count| *count > 3000), "{pairs:?}");
}

#[test]
fn rules_see_what_stands_side_by_side() {
    // (x + 3) + (y + 4) has the constants together, which fold.
    let mut graph = BulkGraph::new(Analysis::Constants);
    let leaves = leaves(&mut graph, 2);
    let mut number = |value| graph.add(Node::with_imm(Op::Const, Ty::I32, value, &[]));
    let (three, four, seven) = (number(3), number(4), number(7));
    let mut sum = |a, b| graph.add(Node::new(Op::Iadd, Ty::I32, &[a, b]));
    let (a, b) = (sum(leaves[0], three), sum(leaves[1], four));
    let whole = sum(a, b);
    let xy = sum(leaves[0], leaves[1]);
    let other = sum(xy, seven);
    let none = RuleSet::default();
    let done = saturate_flattened(&mut graph, 8, |graph| -> Result<_, ()> {
        Ok(graph.saturate(&[&none], BulkLimits::default()).end)
    });
    assert!(done.is_ok());
    assert_eq!(graph.find(whole), graph.find(other));
}

#[test]
fn a_class_that_contains_itself_ends() {
    // x + y = x, as the sum of x and 0 would be, and a second chain over it.
    let mut graph = BulkGraph::new(Analysis::None);
    let leaves = leaves(&mut graph, 3);
    let collapse = RuleSet::parse(&[Source::new(
        "chains.isle",
        ";;;; One rule.\n;; The smaller of both.\n(rule absorb (simplify (umin $I32 x (umax $I32 x y))) x)\n",
    )])
    .expect("parses");
    let top = graph.add(Node::new(Op::Umax, Ty::I32, &[leaves[0], leaves[1]]));
    let low = graph.add(Node::new(Op::Umin, Ty::I32, &[leaves[0], top]));
    let more = graph.add(Node::new(Op::Umin, Ty::I32, &[low, leaves[2]]));
    graph.saturate(&[&collapse], BulkLimits::default());
    graph.flatten();
    assert_eq!(graph.find(low), graph.find(leaves[0]));
    let plain = graph.add(Node::new(Op::Umin, Ty::I32, &[leaves[2], leaves[0]]));
    assert_eq!(graph.find(plain), graph.find(more));
}

#[test]
fn long_chains_need_little_space() {
    let mut graph = BulkGraph::new(Analysis::None);
    let leaves = leaves(&mut graph, 5000);
    let sum = |graph: &mut BulkGraph, a, b| graph.add(Node::new(Op::Iadd, Ty::I32, &[a, b]));
    let mut whole = leaves[0];
    for leaf in &leaves[1..] {
        whole = sum(&mut graph, whole, *leaf);
    }
    let before = graph.node_count();
    let done = graph.flatten();
    assert!(done.added <= CHAIN_WIDTH, "{done:?}");
    assert_eq!(graph.node_count(), before + done.added);
}
