//! Random graphs under the standard rules: whatever rewriting joins must be equal by evaluation,
//! and the generated matcher must find what the interpreter of the same rules finds.

use egraft_egraph::{EGraph, Limits, Matcher, Rewriter, StandardRules, saturate};
use egraft_ir::{ClassId, ImmKind, Node, Op, Ty, TypeRule, eval};
use egraft_rules::{FactSource, MatchGraph, RuleSet};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::path::Path;

const GRAPHS: u64 = 4_000;
const NODES: usize = 40;

/// Interesting lane values, splatted over lanes of a random width.
fn constant(rng: &mut SmallRng, ty: Ty) -> u128 {
    let lane_ty = if ty.is_vector() {
        *[Ty::I8X16, Ty::I16X8, Ty::I32X4, Ty::I64X2].choose(rng).unwrap()
    } else {
        ty
    };
    let width = lane_ty.lane_bits();
    let lane = match rng.random_range(0..6) {
        0 => 0,
        1 => u128::MAX,
        2 => 1 << rng.random_range(0..width),
        3 => (1 << rng.random_range(0..width)) - 1,
        4 => rng.random_range(0..16),
        _ => rng.random(),
    };
    if ty.is_vector() { lane_ty.splat_bits(lane) } else { lane & ty.mask() }
}

/// Adds `NODES` random nodes over a few leaves; gives the leaves' values by immediate.
fn grow(rng: &mut SmallRng, add: &mut dyn FnMut(Node) -> ClassId) -> Vec<u128> {
    let mut values = Vec::new();
    let mut pool: Vec<(Ty, ClassId)> = Vec::new();
    for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I8X16, Ty::I8X16, Ty::I8X16] {
        let leaf = add(Node::with_imm(Op::Leaf, ty, values.len() as u128, &[]));
        values.push(constant(rng, ty));
        pool.push((ty.value(), leaf));
        pool.push((ty.value(), add(Node::constant(ty, constant(rng, ty)))));
    }
    while pool.len() < NODES {
        let op = *Op::ALL.choose(rng).unwrap();
        let pairs: Vec<(Ty, Ty)> = op.type_pairs().collect();
        let Some((ty, from)) = pairs.choose(rng).copied() else { continue };
        if op.is_leaf() || ty.is_float() || from.is_float() {
            continue;
        }
        let imm = match op.imm_kind() {
            ImmKind::IntCc => rng.random_range(0..10),
            ImmKind::Lane => rng.random_range(0..u128::from(ty.lanes())),
            ImmKind::Mask => (0..16).fold(0, |mask, at| mask | rng.random_range(0..32) << (8 * at)),
            _ => 0,
        };
        let mut args = Vec::new();
        for at in 0..op.arity() {
            let fits: Vec<ClassId> = pool
                .iter()
                .filter(|(of, _)| match op.operand_type(ty, from, at) {
                    Some(wanted) => wanted.value() == *of,
                    None => of.is_int() && !of.is_vector(),
                })
                .map(|(_, class)| *class)
                .collect();
            // Late classes are preferred, so that the graph gets deep.
            args.extend(fits.get(rng.random_range(fits.len() / 2..fits.len().max(1))).copied());
        }
        if args.len() != op.arity() {
            continue;
        }
        let mut node = Node::with_imm(op, ty, imm, &args);
        if matches!(op.type_rule(), TypeRule::Convert | TypeRule::Gather) {
            node.from = from;
        }
        let divides = matches!(op, Op::Udiv | Op::Urem | Op::Sdiv | Op::Srem);
        if node.is_well_typed() && !divides {
            pool.push((node.result_type().value(), add(node)));
        }
    }
    values
}

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
            if let (Some(value), facts) = (known[class.index()], graph.known_bits(class)) {
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
