//! Rules whose conditions read annotations find the same, eagerly, in batches and over arrays; so do those that ask that
//! something is not known.

use egraft_egraph::bulk::{Analysis, BulkGraph, BulkLimits};
use egraft_egraph::{EGraph, Limits, Rewriter, STANDARD_SET, StandardRules, saturate};
use egraft_ir::{ClassId, Facts, KnownBits, Node, Op, Ty};
use egraft_rules::MatchGraph;

/// Something that nodes can be added to.
trait Grow {
    fn put(&mut self, node: Node) -> ClassId;
}

impl Grow for EGraph {
    fn put(&mut self, node: Node) -> ClassId {
        self.insert(node).0
    }
}

impl Grow for BulkGraph {
    fn put(&mut self, node: Node) -> ClassId {
        self.add(node)
    }
}

impl Grow for Rewriter<'_, StandardRules> {
    fn put(&mut self, node: Node) -> ClassId {
        self.add(node)
    }
}

const CONVERT: (Op, Ty, Ty) = (Op::FcvtToSintSat, Ty::I32X4, Ty::F32X4);

fn convert((op, ty, from): (Op, Ty, Ty), arg: ClassId) -> Node {
    Node::convert(op, ty, from, arg)
}

/// Classes of which rules must find something, and of which they must not.
struct Classes {
    /// Anything, and bytes as floats.
    floats: [ClassId; 2],
    /// Their conversions to integers.
    converted: [ClassId; 2],
    /// Their magnitudes.
    magnitudes: [ClassId; 2],
    /// A vector of equal lanes, and its halves widened.
    splat: ClassId,
    halves: [ClassId; 2],
}

fn grow(graph: &mut impl Grow) -> Classes {
    let open = graph.put(Node::with_imm(Op::Leaf, Ty::I8X16, 0, &[]));
    let bytes = graph.put(Node::with_imm(Op::Leaf, Ty::I8X16, 1, &[]));
    let shorts = graph.put(Node::new(Op::UwidenLow, Ty::I8X16, &[bytes]));
    let words = graph.put(Node::new(Op::UwidenLow, Ty::I16X8, &[shorts]));
    let small = graph.put(convert((Op::FcvtFromSint, Ty::F32X4, Ty::I32X4), words));
    let scalar = graph.put(Node::with_imm(Op::Leaf, Ty::I16, 2, &[]));
    let splat = graph.put(Node::new(Op::Splat, Ty::I16X8, &[scalar]));
    let floats = [open, small];
    Classes {
        floats,
        converted: floats.map(|class| graph.put(convert(CONVERT, class))),
        magnitudes: floats.map(|class| graph.put(Node::new(Op::Fabs, Ty::F32X4, &[class]))),
        splat,
        halves: [Op::UwidenLow, Op::UwidenHigh]
            .map(|op| graph.put(Node::new(op, Ty::I16X8, &[splat]))),
    }
}

/// What the rules must and must not have found; `class` finds a node, canonical, if the graph has it.
fn check(
    classes: &Classes,
    find: impl Fn(ClassId) -> ClassId,
    class: impl Fn(Node) -> Option<ClassId>,
) {
    let cheap = |class: ClassId| convert((Op::X86Cvtt2dq, Ty::I32X4, Ty::F32X4), find(class));
    let [open, small] = classes.floats;
    assert_eq!(class(cheap(open)), None, "anything may be out of range");
    assert_eq!(class(cheap(small)), Some(find(classes.converted[1])));
    assert_eq!(find(classes.magnitudes[1]), find(small), "bytes are not negative");
    let [low, high] = classes.halves;
    assert_eq!(find(low), find(high));
    assert_ne!(find(classes.splat), find(low));
}

/// Whether a class has the mask that stands for clearing signs.
fn has_mask(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| node.op == Op::Band)
}

#[test]
fn eager_rewriting_and_batches() {
    let mut rewriter = Rewriter::new(&StandardRules, Limits::default());
    let eager = grow(&mut rewriter);
    let (eager_graph, _) = rewriter.into_graph();
    let mut batched_graph = EGraph::new();
    let batched = grow(&mut batched_graph);
    saturate(&mut batched_graph, &StandardRules, Limits::default());
    for (graph, classes) in [(eager_graph, eager), (batched_graph, batched)] {
        check(&classes, |class| graph.find(class), |node| graph.lookup(node));
        let nodes = |class: ClassId| graph.nodes(graph.find(class));
        assert!(has_mask(nodes(classes.magnitudes[0])), "a sign that is open is masked");
        assert!(!has_mask(nodes(classes.magnitudes[1])), "one that is known is not");
    }
}

#[test]
fn arrays() {
    let mut shapes = Vec::new();
    for threads in [1, 2] {
        let mut graph = BulkGraph::new(Analysis::Facts);
        let classes = grow(&mut graph);
        let limits = BulkLimits { threads, ..BulkLimits::default() };
        graph.saturate(&[&STANDARD_SET], limits);
        shapes.push(graph.shape());
        // What the graph has already is its own class; what it has not is a class of its own.
        let found = |node: Node| {
            let mut grown = graph.clone();
            let class = grown.add(node);
            (grown.node_count() == graph.node_count()).then(|| graph.find(class))
        };
        check(&classes, |class| graph.find(class), found);
        let mask = Node::constant(Ty::I8X16, Ty::I32X4.splat_bits(0x7fff_ffff));
        let masked = |class: ClassId| {
            let mut grown = graph.clone();
            let mask = grown.add(mask);
            let mask = Node::new(Op::Band, Ty::I8X16, &[grown.find(class), grown.find(mask)]);
            let before = grown.node_count();
            grown.add(mask);
            grown.node_count() == before
        };
        assert!(masked(classes.floats[0]) && !masked(classes.floats[1]));
    }
    assert!(shapes[0] == shapes[1], "one thread and two differ");
}

/// A match that was made stays when more becomes known; one that is made later asks what is known then.
#[test]
fn facts_that_come_later() {
    let magnitude = |graph: &mut EGraph, leaf: u128| {
        let leaf = graph.insert(Node::with_imm(Op::Leaf, Ty::I8X16, leaf, &[])).0;
        (leaf, graph.insert(Node::new(Op::Fabs, Ty::F32X4, &[leaf])).0)
    };
    let positive = KnownBits { zeros: Ty::I32X4.splat_bits(1 << 31), ones: 0 };
    let mut graph = EGraph::new();
    let (early, of_early) = magnitude(&mut graph, 0);
    saturate(&mut graph, &StandardRules, Limits::default());
    assert!(has_mask(graph.nodes(graph.find(of_early))));
    let (late, of_late) = magnitude(&mut graph, 1);
    for leaf in [early, late] {
        graph.assume(leaf, Facts { bits: positive, ..Facts::unknown() });
    }
    graph.rebuild();
    saturate(&mut graph, &StandardRules, Limits::default());
    assert_eq!(graph.find(early), graph.find(of_early));
    assert_eq!(graph.find(late), graph.find(of_late));
    assert!(has_mask(graph.nodes(graph.find(early))));
    assert!(!has_mask(graph.nodes(graph.find(late))));
}
