//! The e-graph: hash-consed nodes, classes by union-find, facts on classes.
//!
//! Applies no rules (see `run`) and picks nothing (see the extractor). Invariants: every class has
//! at least one node; facts only ever grow; after [`EGraph::rebuild`] congruent nodes are in one
//! class. Between unions and the next rebuild congruence may lag behind, which the acyclic mode
//! accepts, as Cranelift's mid-end does.

use crate::explain::{Proof, Reason};
use egraft_ir::{ClassId, Facts, Node, Op, Ty, fold};
use egraft_rules::{FactSource, MatchGraph};
use rustc_hash::{FxHashMap, FxHashSet};

/// What the graph keeps of one class. Only the canonical id's entry is live.
#[derive(Debug)]
struct Class {
    nodes: Vec<Node>,
    /// Nodes that have this class as an operand, by the id under which each was added.
    parents: Vec<ClassId>,
    facts: Facts,
    ty: Ty,
}

/// A class of a graph that comes from elsewhere; operands are places in a list of classes.
pub(crate) struct ClassParts {
    pub(crate) nodes: Vec<Node>,
    pub(crate) facts: Facts,
    pub(crate) ty: Ty,
}

/// An e-graph.
#[derive(Debug, Default)]
pub struct EGraph {
    /// Union-find parents; a canonical id is its own parent. The smallest id of a class is
    /// canonical, so that ids never depend on the order of unions.
    parent: Vec<ClassId>,
    classes: Vec<Class>,
    /// Nodes as they were added, by id.
    added: Vec<Node>,
    memo: FxHashMap<Node, ClassId>,
    proof: Proof,
    /// Ids whose classes were merged or whose facts grew since the last rebuild.
    dirty: Vec<ClassId>,
    unions: usize,
}

impl EGraph {
    /// An empty graph.
    pub fn new() -> EGraph {
        EGraph::default()
    }

    /// The graph of these classes, which are congruence-closed, and the id of each. Every node has an id, the first of a
    /// class that of the class.
    pub(crate) fn from_parts(parts: Vec<ClassParts>) -> (EGraph, Vec<ClassId>) {
        let mut ids = Vec::with_capacity(parts.len());
        let mut next = 0;
        for part in &parts {
            ids.push(ClassId(next));
            next += part.nodes.len() as u32;
        }
        let mut graph = EGraph::new();
        for (part, class) in parts.into_iter().zip(&ids) {
            let mut nodes = part.nodes;
            for node in &mut nodes {
                node.args_mut().iter_mut().for_each(|arg| *arg = ids[arg.index()]);
            }
            for (node, id) in nodes.iter().zip(class.0..) {
                graph.parent.push(*class);
                graph.added.push(*node);
                graph.memo.insert(*node, ClassId(id));
                if id != class.0 {
                    graph.proof.record(*class, ClassId(id), Reason::Given);
                }
            }
            let gone = || Class {
                nodes: Vec::new(),
                parents: Vec::new(),
                facts: Facts::unknown(),
                ty: Ty::I8,
            };
            let count = nodes.len();
            graph.classes.push(Class { nodes, facts: part.facts, ty: part.ty, ..gone() });
            graph.classes.extend(std::iter::repeat_with(gone).take(count - 1));
        }
        for at in 0..graph.added.len() {
            let node = graph.added[at];
            for arg in node.args() {
                graph.classes[arg.index()].parents.push(ClassId(at as u32));
            }
        }
        (graph, ids)
    }

    /// Number of ids ever given out: live classes and those merged away.
    pub fn ids(&self) -> usize {
        self.parent.len()
    }

    /// Number of live classes.
    pub fn class_count(&self) -> usize {
        self.classes().count()
    }

    /// Number of nodes in live classes.
    pub fn node_count(&self) -> usize {
        self.classes().map(|class| self.nodes(class).len()).sum()
    }

    /// Number of unions of distinct classes so far.
    pub fn union_count(&self) -> usize {
        self.unions
    }

    /// The live classes in ascending order.
    pub fn classes(&self) -> impl Iterator<Item = ClassId> + '_ {
        (0..self.parent.len() as u32).map(ClassId).filter(|id| self.parent[id.index()] == *id)
    }

    /// The node as it was when `id` was given out.
    pub fn added_node(&self, id: ClassId) -> &Node {
        &self.added[id.index()]
    }

    /// What is known of a class.
    pub fn facts(&self, class: ClassId) -> Facts {
        self.classes[self.find(class).index()].facts
    }

    /// Unions made so far, with their reasons.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// `node` with canonical operands, those of commutative ops in ascending order.
    pub fn canonical(&self, mut node: Node) -> Node {
        for arg in node.args_mut() {
            *arg = self.find(*arg);
        }
        node.sorted()
    }

    /// The class of `node` if the graph has it.
    pub fn lookup(&self, node: Node) -> Option<ClassId> {
        self.memo.get(&self.canonical(node)).map(|id| self.find(*id))
    }

    /// Adds a node; gives its class and whether the node is new. A node whose operands are all
    /// constants, or whose facts leave one value, brings that constant into its class.
    ///
    /// Operands of commutative ops are stored in ascending order of class.
    pub fn insert(&mut self, node: Node) -> (ClassId, bool) {
        debug_assert!(node.is_well_typed(), "ill-typed node {node}");
        let node = self.canonical(node);
        if let Some(id) = self.memo.get(&node) {
            return (self.find(*id), false);
        }
        let id = self.add_new(node);
        if node.op != Op::Const
            && let Some(bits) = self.folded(&node, id)
        {
            let (constant, _) = self.insert(Node::constant(node.result_type(), bits));
            self.union(id, constant, Reason::Fold);
        }
        (self.find(id), true)
    }

    fn add_new(&mut self, node: Node) -> ClassId {
        let id = ClassId(u32::try_from(self.parent.len()).expect("node limits are far below 2^32"));
        for arg in node.args() {
            self.classes[arg.index()].parents.push(id);
        }
        let facts = self.facts_of(&node);
        self.parent.push(id);
        self.added.push(node);
        self.classes.push(Class {
            nodes: vec![node],
            parents: Vec::new(),
            facts,
            ty: node.result_type().value(),
        });
        self.memo.insert(node, id);
        id
    }

    /// What the facts of its operands tell about `node`.
    fn facts_of(&self, node: &Node) -> Facts {
        let args = node.args();
        let mut facts = [Facts::unknown(); 3];
        for (fact, arg) in facts.iter_mut().zip(args) {
            *fact = self.facts(*arg);
        }
        Facts::of_node(node, &facts[..args.len()])
    }

    /// The one value `node` can have, if evaluation or facts tell.
    fn folded(&self, node: &Node, id: ClassId) -> Option<u128> {
        let args = node.args();
        let mut values = [0; 3];
        let all_constant = !args.is_empty()
            && values.iter_mut().zip(args).all(|(value, arg)| {
                self.constant(*arg).is_some_and(|bits| {
                    *value = bits;
                    true
                })
            });
        if all_constant {
            return fold(node, &values[..args.len()]);
        }
        self.constant(id)
    }

    /// Adds facts about a class that come from outside the graph, such as a load's width.
    pub fn assume(&mut self, class: ClassId, facts: Facts) {
        let class = self.find(class);
        let both = self.classes[class.index()].facts.intersect(facts);
        if both != self.classes[class.index()].facts {
            self.classes[class.index()].facts = both;
            self.dirty.push(class);
        }
    }

    /// Merges two classes and says whether they were distinct.
    ///
    /// # Panics
    /// If the classes have different value types: a rule that does so is broken.
    pub fn union(&mut self, a: ClassId, b: ClassId, reason: Reason) -> bool {
        let (root_a, root_b) = (self.find(a), self.find(b));
        if root_a == root_b {
            return false;
        }
        let (keep, gone) = (root_a.min(root_b), root_a.max(root_b));
        assert_eq!(
            self.classes[keep.index()].ty,
            self.classes[gone.index()].ty,
            "union of {keep} and {gone}, which have different types, by {reason:?}"
        );
        self.proof.record(a, b, reason);
        self.unions += 1;
        self.parent[gone.index()] = keep;
        let gone = std::mem::replace(
            &mut self.classes[gone.index()],
            Class { nodes: Vec::new(), parents: Vec::new(), facts: Facts::unknown(), ty: Ty::I8 },
        );
        let kept = &mut self.classes[keep.index()];
        for node in gone.nodes {
            if !kept.nodes.contains(&node) {
                kept.nodes.push(node);
            }
        }
        kept.parents.extend(gone.parents);
        kept.facts = kept.facts.intersect(gone.facts);
        self.dirty.push(keep);
        true
    }

    /// Restores congruence: nodes that became equal through unions are merged, and facts are
    /// carried to the nodes above. Gives the number of unions made.
    pub fn rebuild(&mut self) -> usize {
        let before = self.unions;
        while !self.dirty.is_empty() {
            let mut batch: Vec<ClassId> = std::mem::take(&mut self.dirty);
            for class in &mut batch {
                *class = self.find(*class);
            }
            batch.sort_unstable();
            batch.dedup();
            for class in batch {
                self.repair(class);
            }
        }
        self.unions - before
    }

    /// Brings the nodes that read `class` up to date.
    fn repair(&mut self, class: ClassId) {
        let class = self.find(class);
        let parents = std::mem::take(&mut self.classes[class.index()].parents);
        let mut kept: Vec<ClassId> = Vec::with_capacity(parents.len());
        for id in parents {
            let old = self.added[id.index()];
            let node = self.canonical(old);
            if node != old && self.memo.get(&old) == Some(&id) {
                self.memo.remove(&old);
            }
            self.added[id.index()] = node;
            self.merge_congruent(&node, id);
            self.refresh_facts(&node, id);
            kept.push(id);
        }
        kept.sort_unstable();
        kept.dedup();
        let class = self.find(class);
        self.classes[class.index()].parents.extend(kept);
        self.canonicalize_class(class);
    }

    fn merge_congruent(&mut self, node: &Node, id: ClassId) {
        match self.memo.get(node) {
            Some(other) => {
                let other = *other;
                self.union(id, other, Reason::Congruence);
            }
            None => {
                self.memo.insert(*node, id);
            }
        }
    }

    fn refresh_facts(&mut self, node: &Node, id: ClassId) {
        let facts = self.facts_of(node);
        self.assume(id, facts);
        let class = self.find(id);
        if !self.nodes(class).iter().any(|node| node.op == Op::Const)
            && let Some(bits) = self.folded(node, id)
        {
            let (constant, _) = self.insert(Node::constant(node.result_type(), bits));
            self.union(id, constant, Reason::Fold);
        }
    }

    /// Rewrites the nodes of every class to canonical operands; call once after the last rebuild.
    pub fn canonicalize(&mut self) {
        let classes: Vec<ClassId> = self.classes().collect();
        for class in classes {
            self.canonicalize_class(class);
        }
    }

    fn canonicalize_class(&mut self, class: ClassId) {
        let nodes = std::mem::take(&mut self.classes[class.index()].nodes);
        let mut fresh: Vec<Node> = Vec::with_capacity(nodes.len());
        let mut seen = FxHashSet::default();
        for node in nodes {
            let node = self.canonical(node);
            if seen.insert(node) {
                fresh.push(node);
            }
        }
        self.classes[class.index()].nodes = fresh;
    }
}

impl MatchGraph for EGraph {
    fn nodes(&self, class: ClassId) -> &[Node] {
        &self.classes[self.find(class).index()].nodes
    }

    fn find(&self, class: ClassId) -> ClassId {
        let mut id = class;
        while self.parent[id.index()] != id {
            id = self.parent[id.index()];
        }
        id
    }
}

impl FactSource for EGraph {
    fn constant(&self, class: ClassId) -> Option<u128> {
        let class = &self.classes[self.find(class).index()];
        let mask = class.ty.mask();
        let bits = class.facts.bits;
        (bits.known() & mask == mask).then_some(bits.ones & mask)
    }

    fn facts(&self, class: ClassId) -> Facts {
        EGraph::facts(self, class)
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.classes[self.find(class).index()].ty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_ir::{KnownBits, SignCopies};
    use egraft_rules::{Cond, slot};

    fn fits_signed(graph: &EGraph, ty: Ty, class: ClassId, bits: u128) -> bool {
        let args = [slot::of_ty(ty), slot::of_class(class), bits];
        Cond::fits_signed.eval(graph, &args).is_some()
    }

    fn leaf(graph: &mut EGraph, ty: Ty, index: u128) -> ClassId {
        graph.insert(Node::with_imm(Op::Leaf, ty, index, &[])).0
    }

    #[test]
    fn sign_extensions_are_known_to_be_small() {
        let mut graph = EGraph::new();
        let short = leaf(&mut graph, Ty::I16, 0);
        let (wide, _) = graph.insert(Node::convert(Op::Sextend, Ty::I32, Ty::I16, short));
        let (splat, _) = graph.insert(Node::new(Op::Splat, Ty::I32X4, &[wide]));
        assert!(fits_signed(&graph, Ty::I32X4, splat, 16));
        assert!(!fits_signed(&graph, Ty::I32X4, splat, 15));
        assert!(!fits_signed(&graph, Ty::I16X8, splat, 15));
        assert_eq!(graph.facts(splat).bits, KnownBits::of_type(Ty::I32X4));
    }

    #[test]
    fn what_is_assumed_of_a_load_reaches_the_nodes_above() {
        let mut graph = EGraph::new();
        let (load, other) = (leaf(&mut graph, Ty::I32, 0), leaf(&mut graph, Ty::I32, 1));
        let (splat, _) = graph.insert(Node::new(Op::Splat, Ty::I32X4, &[load]));
        let (sum, _) = graph.insert(Node::new(Op::Iadd, Ty::I32X4, &[splat, splat]));
        let copies = SignCopies::extended(Ty::I32, 16);
        graph.assume(other, Facts { copies, ..Facts::unknown() });
        graph.rebuild();
        assert!(!fits_signed(&graph, Ty::I32X4, splat, 16));
        graph.union(load, other, Reason::Congruence);
        graph.rebuild();
        assert!(fits_signed(&graph, Ty::I32X4, splat, 16));
        assert!(
            fits_signed(&graph, Ty::I32X4, sum, 17) && !fits_signed(&graph, Ty::I32X4, sum, 16)
        );
    }
}
