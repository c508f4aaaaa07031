//! What two graphs have in common, whatever their ids.

use crate::graph::EGraph;
use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{FactSource, MatchGraph};
use rustc_hash::{FxHashMap, FxHashSet};

/// Classes of two graphs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// How many classes of the first have one of the same nodes in the second.
    pub same: usize,
    /// Classes of each that the other lacks.
    pub only: [Vec<ClassId>; 2],
}

/// What a class is: its type, and its nodes with what their operands are.
type Shape = (Ty, Vec<(Op, Ty, Ty, u128, [u32; 3])>);

/// Compares the classes of two graphs: two are the same if they have the same nodes on the same operands, down to the
/// leaves. Where operands go round in a circle, what cannot be told apart is the same.
pub fn diff(one: &EGraph, other: &EGraph) -> Diff {
    let graphs = [one, other];
    let classes = graphs.map(|graph| graph.classes().collect::<Vec<_>>());
    // What is not yet told apart has the same number; the coarsest answer that tells apart what differs.
    let mut kinds = classes.each_ref().map(|classes| {
        classes.iter().map(|class| (*class, 0_u32)).collect::<FxHashMap<ClassId, u32>>()
    });
    let mut told_apart = 1;
    loop {
        let mut numbers: FxHashMap<Shape, u32> = FxHashMap::default();
        let mut next = [FxHashMap::default(), FxHashMap::default()];
        for (at, graph) in graphs.into_iter().enumerate() {
            for class in &classes[at] {
                let count = numbers.len() as u32;
                let number = *numbers.entry(shape(graph, *class, &kinds[at])).or_insert(count);
                next[at].insert(*class, number);
            }
        }
        kinds = next;
        if numbers.len() == told_apart {
            break;
        }
        told_apart = numbers.len();
    }
    let have = kinds.each_ref().map(|kinds| kinds.values().copied().collect::<FxHashSet<u32>>());
    let only = [0, 1].map(|at| {
        let lacks = |class: &&ClassId| !have[1 - at].contains(&kinds[at][class]);
        classes[at].iter().filter(lacks).copied().collect::<Vec<_>>()
    });
    Diff { same: classes[0].len() - only[0].len(), only }
}

fn shape(graph: &EGraph, class: ClassId, kinds: &FxHashMap<ClassId, u32>) -> Shape {
    let node = |node: &Node| {
        let mut operands = node.args.map(|arg| match arg {
            ClassId::NONE => u32::MAX,
            arg => kinds[&graph.find(arg)],
        });
        if node.op.is_commutative() {
            operands[..2].sort_unstable();
        }
        (node.op, node.ty, node.from, node.imm, operands)
    };
    let mut nodes: Vec<_> = graph.nodes(class).iter().map(node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    (graph.class_type(class), nodes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    /// `-x`, and `-x + y` if `more`; leaves in the order of `first`.
    fn graph(first: u128, more: bool) -> EGraph {
        let mut graph = EGraph::new();
        let leaves = [first, 1 - first].map(|index| {
            let (class, _) = graph.insert(Node::with_imm(Op::Leaf, Ty::I32, index, &[]));
            (index, class)
        });
        let leaf = |index: u128| leaves.iter().find(|leaf| leaf.0 == index).unwrap().1;
        let (negated, _) = graph.insert(Node::new(Op::Ineg, Ty::I32, &[leaf(0)]));
        if more {
            graph.insert(Node::new(Op::Iadd, Ty::I32, &[negated, leaf(1)]));
        }
        graph
    }

    #[test]
    fn ids_do_not_matter() {
        let (one, other) = (graph(0, true), graph(1, true));
        assert_eq!(diff(&one, &other), Diff { same: 4, only: [vec![], vec![]] });
    }

    #[test]
    fn what_one_lacks_is_named() {
        let (one, mut other) = (graph(0, false), graph(0, true));
        assert_eq!(diff(&one, &other), Diff { same: 3, only: [vec![], vec![ClassId(3)]] });
        // The two leaves are one now, so all that is above differs too.
        other.union(ClassId(0), ClassId(1), Reason::Given);
        other.rebuild();
        other.canonicalize();
        let found = diff(&one, &other);
        assert_eq!((found.same, found.only[0].len(), found.only[1].len()), (0, 3, 3));
    }
}
