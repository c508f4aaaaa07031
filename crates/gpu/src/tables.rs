//! An e-graph as words, as `shaders/match.wgsl` reads it.

use crate::programs::{Programs, words};
use egraft_egraph::{EGraph, Root};
use egraft_ir::{Node, Op};
use egraft_rules::{FactSource, MatchGraph};
use rustc_hash::FxHashMap;

/// The graph, and where rules are tried.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// Eight words for each node.
    pub(crate) nodes: Vec<u32>,
    /// Eight words for each class, by id.
    pub(crate) classes: Vec<u32>,
    /// Node and class of each root, by op.
    pub(crate) roots: Vec<u32>,
    /// The place of each of these among the roots given.
    pub(crate) places: Vec<u32>,
    /// Four words for each op: first pair, first root, how many roots, first rule.
    pub(crate) groups: Vec<u32>,
    /// Rules times roots.
    pub(crate) pairs: u64,
}

fn node_words(node: &Node) -> [u32; 8] {
    let head = node.op as u32 | (node.ty as u32) << 8 | (node.from as u32) << 16;
    let [a, b, c] = node.args.map(|arg| arg.0);
    let [i, j, k, l] = words(node.imm);
    [head, a, b, c, i, j, k, l]
}

impl Tables {
    /// The words of `graph`, whose nodes have canonical operands.
    pub(crate) fn new(graph: &EGraph, roots: &[Root], programs: &Programs) -> Tables {
        let mut tables = Tables { classes: vec![0; 8 * graph.ids()], ..Tables::default() };
        for class in graph.classes() {
            let start = tables.nodes.len() as u32 / 8;
            let candidates = graph.candidates(class);
            candidates.iter().for_each(|node| tables.nodes.extend(node_words(node)));
            let constant = graph.constant(class);
            let ty = graph.class_type(class) as u32 | u32::from(constant.is_some()) << 8;
            let at = 8 * class.index();
            tables.classes[at..at + 3].copy_from_slice(&[start, candidates.len() as u32, ty]);
            tables.classes[at + 4..at + 8].copy_from_slice(&words(constant.unwrap_or(0)));
        }
        let mut by_op: FxHashMap<Op, Vec<u32>> = FxHashMap::default();
        for (at, (_, node)) in roots.iter().enumerate() {
            by_op.entry(node.op).or_default().push(at as u32);
        }
        for op in Op::ALL {
            let (Some(places), Some(rules)) = (by_op.get(op), programs.by_op.get(op)) else {
                continue;
            };
            if rules.is_empty() {
                continue;
            }
            let first = tables.places.len() as u32;
            let count = places.len() as u32;
            tables.groups.extend([tables.pairs as u32, first, count, rules.start]);
            tables.pairs += u64::from(count) * rules.len() as u64;
            for place in places {
                // A root may be a node that no pattern looks at below another.
                let (class, node) = &roots[*place as usize];
                tables.roots.extend([tables.nodes.len() as u32 / 8, class.0]);
                tables.nodes.extend(node_words(node));
            }
            tables.places.extend(places);
        }
        tables
    }
}
