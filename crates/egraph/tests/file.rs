//! E-graphs as bytes: what is written is read as it was, and no change to the bytes is taken for a graph.

use egraft_egraph::bulk::{Analysis, BulkGraph, Prices};
use egraft_egraph::file::{FileError, load, save};
use egraft_egraph::{EGraph, Limits, Rewriter, StandardRules, saturate};
use egraft_ir::{Annotation, ClassId, Node, Op, Ty};
use egraft_rules::{FactSource, MatchGraph};
use egraft_testkit::generate::egraph::grow;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const GRAPHS: u64 = 300;
const LIMITS: Limits = Limits { nodes: 2_000, class_nodes: 12, depth: 5, iterations: 2 };

fn graph(seed: u64) -> EGraph {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut rewriter = Rewriter::new(&StandardRules, Limits::default());
    grow(&mut rng, &mut |node| rewriter.add(node));
    let (mut graph, _) = rewriter.into_graph();
    saturate(&mut graph, &StandardRules, LIMITS);
    graph
}

fn every_third(graph: &EGraph) -> Vec<ClassId> {
    graph.classes().step_by(3).collect()
}

#[test]
fn what_is_read_is_what_was_written() {
    for seed in 0..GRAPHS {
        let graph = graph(seed);
        let roots = every_third(&graph);
        let bytes = save(&graph, &roots, seed);
        let read = load(&bytes).unwrap();
        assert_eq!(save(&read.graph, &read.roots, read.rules), bytes, "seed {seed}");
        assert_eq!(read.graph.class_count(), graph.class_count());
        assert_eq!(read.graph.node_count(), graph.node_count());
        assert_eq!((read.roots.len(), read.rules), (roots.len(), seed));
        let shape = |graph: &EGraph| BulkGraph::of(graph, Analysis::None).0.shape();
        assert!(shape(&read.graph) == shape(&graph), "seed {seed}");
        for (mine, other) in read.graph.classes().zip(graph.classes()) {
            assert_eq!(read.graph.class_type(mine), graph.class_type(other));
            assert_eq!(read.graph.facts(mine), graph.facts(other));
            assert_eq!(read.graph.nodes(mine).len(), graph.nodes(other).len());
        }
    }
}

#[test]
fn a_graph_that_was_read_goes_on() {
    let mut grown = 0;
    for seed in 0..GRAPHS / 10 {
        let graph = graph(seed);
        let read = load(&save(&graph, &[], 0)).unwrap().graph;
        let leaf = |graph: &EGraph, id: ClassId| {
            let of_vectors = |node: &&Node| node.op == Op::Leaf && node.ty == Ty::I8X16;
            graph.nodes(id).iter().find(of_vectors).copied()
        };
        // The same sum in both.
        let mut counts = Vec::new();
        for graph in [graph, read] {
            let leaves: Vec<ClassId> =
                graph.classes().filter(|class| leaf(&graph, *class).is_some()).collect();
            let [one, other] = leaves[..2] else { panic!("two leaves are vectors") };
            let mut rewriter = Rewriter::resume(graph, &StandardRules, Limits::default());
            let zero = rewriter.add(Node::constant(Ty::I8X16, 0));
            let sum = rewriter.add(Node::new(Op::Iadd, Ty::I16X8, &[one, other]));
            let same = rewriter.add(Node::new(Op::Iadd, Ty::I16X8, &[sum, zero]));
            let (mut graph, _) = rewriter.into_graph();
            saturate(&mut graph, &StandardRules, LIMITS);
            assert_eq!(graph.find(sum), graph.find(same));
            counts.push(graph.class_count());
        }
        grown += counts[0];
    }
    assert!(grown > 0);
}

#[test]
fn bytes_that_are_cut_or_changed_are_no_graph() {
    let bytes = save(&graph(1), &[], 0);
    for end in 0..bytes.len() {
        let error = load(&bytes[..end]).unwrap_err();
        let expected = if end < 8 { FileError::Magic } else { error.clone() };
        assert_eq!(error, expected);
        assert!(matches!(error, FileError::Magic | FileError::Length { .. }), "{end}: {error}");
    }
    let mut rng = SmallRng::seed_from_u64(7);
    for _ in 0..2_000 {
        let mut changed = bytes.clone();
        let at = rng.random_range(0..changed.len());
        changed[at] ^= 1 << rng.random_range(0..8);
        // What the header says of rules is the writer's word; what is reserved is not looked at.
        let free = (24..32).contains(&at) || (48..64).contains(&at);
        assert!(free || load(&changed).is_err(), "byte {at}");
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The checksum of what lies behind the header, put right.
fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = hash(&bytes[64..]);
    bytes[16..24].copy_from_slice(&hash.to_le_bytes());
    bytes
}

#[test]
fn ops_and_types_have_the_numbers_of_this_version() {
    let ops = Op::ALL.iter().map(|op| op.name());
    let names: Vec<&str> = ops.chain(Ty::ALL.iter().map(|ty| ty.name())).collect();
    let found = hash(names.join(",").as_bytes());
    assert_eq!(
        found, 0x1484_7775_0604_1ea3,
        "files would be misread: a new op, or another order, is a new VERSION"
    );
    let names: Vec<String> = Annotation::all().map(|one| format!("{one:?}")).collect();
    assert_eq!(
        hash(names.join(",").as_bytes()),
        0x79b2_7586_8df2_20f9,
        "files would be misread: a new annotation, or another order, is a new VERSION"
    );
}

/// Whatever the bytes say, reading ends with a graph or with an error, and a graph can be saved and saturated.
#[test]
fn changed_bytes_with_a_right_checksum_do_no_harm() {
    let mut rng = SmallRng::seed_from_u64(8);
    let (mut refused, mut taken) = (0, 0);
    for seed in 0..40 {
        let bytes = save(&graph(seed), &[], 0);
        for _ in 0..200 {
            let mut changed = bytes.clone();
            for _ in 0..rng.random_range(1..3) {
                let at = rng.random_range(32..changed.len());
                changed[at] = if rng.random() { rng.random() } else { changed[at] ^ 1 };
            }
            match load(&with_checksum(changed)) {
                Err(error) => {
                    refused += 1;
                    assert!(!error.to_string().is_empty());
                }
                Ok(mut read) => {
                    taken += 1;
                    let again = save(&read.graph, &read.roots, read.rules);
                    assert_eq!(save(&load(&again).unwrap().graph, &[], 0), again);
                    let (bulk, _) = BulkGraph::of(&read.graph, Analysis::None);
                    bulk.costs(&Prices::new(|_, _| 1));
                    saturate(&mut read.graph, &StandardRules, LIMITS);
                }
            }
        }
    }
    assert!(refused > 1000 && taken > 100, "{refused} {taken}");
}

#[test]
fn errors_name_the_place() {
    let mut graph = EGraph::new();
    let (leaf, _) = graph.insert(Node::with_imm(Op::Leaf, Ty::I32, 0, &[]));
    graph.insert(Node::new(Op::Ineg, Ty::I32, &[leaf]));
    let bytes = save(&graph, &[leaf], 0);
    let says = |bytes: Vec<u8>| load(&bytes).unwrap_err().to_string();
    let roots = bytes.len() - 4;
    let mut wrong = bytes.clone();
    wrong[roots] = 9;
    assert_eq!(says(with_checksum(wrong)), format!("root 0 (at byte {roots}): class 9 of 2"));
    let mut wrong = bytes.clone();
    wrong[8] = 1;
    assert_eq!(says(wrong), "it has version 1 of the format, this program reads 2; save it anew");
    // The first class says of annotations that there are none; constant 1 is not a set of them.
    let first_class = 64 + 16 * u32::from_le_bytes(bytes[32..36].try_into().unwrap()) as usize;
    let mut wrong = bytes.clone();
    let constants = bytes[64..first_class].chunks_exact(16);
    let odd = constants.clone().position(|constant| constant.iter().all(|byte| *byte == 0xff));
    let place = odd.or(constants.clone().position(|constant| constant[15] != 0)).unwrap();
    wrong[first_class + 24] = place as u8;
    assert_eq!(
        says(with_checksum(wrong)),
        format!(
            "class 0 (at byte {first_class}): its annotations are not closed under implication"
        )
    );
}
