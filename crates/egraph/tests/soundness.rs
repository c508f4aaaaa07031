//! Random graphs under the standard rules: whatever rewriting joins must be equal by evaluation,
//! and the generated matcher must find what the interpreter of the same rules finds.

use egraft_egraph::{EGraph, Limits, Matcher, Rewriter, StandardRules, saturate};
use egraft_ir::{Op, eval};
use egraft_rules::{MatchGraph, RuleSet};
use egraft_testkit::generate::egraph::grow;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::path::Path;

const GRAPHS: u64 = 4_000;

/// Evaluates every node of every class and fails where two nodes of a class differ.
fn check_equal(graph: &EGraph, leaves: &[u128], seed: u64) -> usize {
    let mut known: Vec<Option<u128>> = vec![None; graph.ids()];
    let mut checked = 0;
    let mut changed = true;
    while changed {
        changed = false;
        checked = 0;
        for class in graph.classes() {
            for node in graph.nodes(class) {
                let value = match node.op {
                    Op::Leaf => Some(leaves[node.imm as usize]),
                    _ => {
                        let args: Option<Vec<u128>> =
                            node.args().iter().map(|arg| known[graph.find(*arg).index()]).collect();
                        args.map(|args| eval(node, &args).expect("a seeded node can be evaluated"))
                    }
                };
                let Some(value) = value else { continue };
                checked += 1;
                match known[class.index()] {
                    None => {
                        known[class.index()] = Some(value);
                        changed = true;
                    }
                    Some(other) => assert_eq!(
                        value,
                        other,
                        "seed {seed}: {node} in {class} differs from its class\n{:#?}",
                        graph.nodes(class)
                    ),
                }
            }
            if let (Some(value), facts) = (known[class.index()], graph.facts(class)) {
                assert!(facts.holds_of(value), "seed {seed}: facts of {class} do not hold");
            }
        }
    }
    checked
}

#[test]
fn joined_classes_are_equal() {
    let (mut checked, mut joined) = (0, 0);
    for seed in 0..GRAPHS {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut rewriter = Rewriter::new(&StandardRules, Limits::default());
        let leaves = grow(&mut rng, &mut |node| rewriter.add(node));
        checked += check_equal(rewriter.graph(), &leaves, seed);
        joined += rewriter.counts().iter().map(|count| count.joined).sum::<usize>();
        let (mut graph, _) = rewriter.into_graph();
        let limits = Limits { nodes: 5_000, iterations: 3, ..Limits::default() };
        saturate(&mut graph, &StandardRules, limits);
        checked += check_equal(&graph, &leaves, seed);
    }
    println!("{checked} nodes evaluated, {joined} rewrites joined classes");
    assert!(checked > 10_000 && joined > 500);
}

#[test]
fn the_generated_matcher_finds_what_the_interpreter_finds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/rewrite");
    let rules = RuleSet::from_folder(&folder).expect("the standard rules load");
    let interpreter = rules.interpreter();
    let (mut nodes, mut matches) = (0, 0);
    for seed in 0..GRAPHS / 4 {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut rewriter = Rewriter::new(&StandardRules, Limits::default());
        grow(&mut rng, &mut |node| rewriter.add(node));
        let (mut graph, _) = rewriter.into_graph();
        graph.rebuild();
        graph.canonicalize();
        for class in graph.classes().collect::<Vec<_>>() {
            for node in graph.nodes(class) {
                let (mut ours, mut theirs) = (Vec::new(), Vec::new());
                StandardRules.match_node(&graph, class, node, &mut ours);
                interpreter.match_node(&graph, node, class, &mut theirs);
                let sort = |found: &egraft_rules::Match| (found.rule, found.binds.clone());
                ours.sort_by_key(sort);
                theirs.sort_by_key(sort);
                assert_eq!(ours, theirs, "seed {seed}, {node} in {class}");
                nodes += 1;
                matches += ours.len();
            }
        }
    }
    println!("{nodes} nodes, {matches} matches");
    assert!(nodes > 1_000 && matches > 200);
}
