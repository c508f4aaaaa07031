//! A graph just big enough to match rules in: hash-consed nodes with known values, no unions.
//!
//! For tests of rules and matchers. Invariant: every class has a value that all its nodes
//! compute.

use super::Tuple;
use crate::rule::{Pattern, Rule, VarId};
use crate::{Binds, BuildGraph, FactSource, Match, MatchGraph, Sort, slot};
use egraft_ir::{ClassId, Facts, KnownBits, Node, Op, Ty, eval};

/// A graph of classes with values.
#[derive(Clone, Debug, Default)]
pub struct ToyGraph {
    classes: Vec<Class>,
}

#[derive(Clone, Debug)]
struct Class {
    nodes: Vec<Node>,
    ty: Ty,
    value: u128,
    facts: Facts,
}

impl ToyGraph {
    /// A class of unknown making with a value of value type `ty`, of which `known` is known.
    pub fn leaf(&mut self, ty: Ty, value: u128, known: KnownBits) -> ClassId {
        let node = Node::with_imm(Op::Leaf, ty, self.classes.len() as u128, &[]);
        let facts = Facts { bits: known, ..Facts::unknown() };
        self.classes.push(Class { nodes: vec![node], ty: ty.value(), value, facts });
        ClassId(self.classes.len() as u32 - 1)
    }

    /// Lets a class have one more node, which must compute the same value.
    ///
    /// Gives `false` and does nothing if it does not.
    pub fn add_to(&mut self, class: ClassId, node: Node) -> bool {
        let agrees = self.value_of(&node) == Some(self.classes[class.index()].value);
        if agrees && !self.classes[class.index()].nodes.contains(&node) {
            self.classes[class.index()].nodes.push(node);
        }
        agrees
    }

    /// Lets this be known of a class.
    pub fn know(&mut self, class: ClassId, facts: Facts) {
        self.classes[class.index()].facts = facts;
    }

    /// The value of a class.
    pub fn value(&self, class: ClassId) -> u128 {
        self.classes[class.index()].value
    }

    /// All classes.
    pub fn ids(&self) -> impl Iterator<Item = ClassId> + use<> {
        (0..self.classes.len() as u32).map(ClassId)
    }

    fn value_of(&self, node: &Node) -> Option<u128> {
        let args: Vec<u128> = node.args().iter().map(|arg| self.value(*arg)).collect();
        match node.op {
            Op::Const => Some(node.imm),
            _ => eval(node, &args).ok(),
        }
    }
}

impl FactSource for ToyGraph {
    fn constant(&self, class: ClassId) -> Option<u128> {
        let class = &self.classes[class.index()];
        class.nodes.iter().any(|node| node.op == Op::Const).then_some(class.value)
    }

    fn facts(&self, class: ClassId) -> Facts {
        self.classes[class.index()].facts
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.classes[class.index()].ty
    }
}

impl MatchGraph for ToyGraph {
    fn nodes(&self, class: ClassId) -> &[Node] {
        &self.classes[class.index()].nodes
    }

    fn find(&self, class: ClassId) -> ClassId {
        class
    }
}

impl BuildGraph for ToyGraph {
    fn add(&mut self, node: Node) -> ClassId {
        let found = self.ids().find(|id| self.classes[id.index()].nodes.contains(&node));
        found.unwrap_or_else(|| {
            let value = self.value_of(&node).unwrap_or(0);
            let facts = match node.op {
                Op::Const => Facts::constant(value),
                _ => Facts::unknown(),
            };
            let ty = node.result_type().value();
            self.classes.push(Class { nodes: vec![node], ty, value, facts });
            ClassId(self.classes.len() as u32 - 1)
        })
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.classes[class.index()].ty
    }
}

/// Whether the rule's matcher finds the left side of the tuple in a graph that has it, and builds
/// a right side of the same value.
pub(super) fn matches(rule: &Rule, tuple: &Tuple<'_>, lhs: u128) -> bool {
    let mut graph = ToyGraph::default();
    let mut leaves: Vec<Option<ClassId>> = vec![None; rule.vars.len()];
    // One class stands for variables that must be the same.
    for (at, var) in rule.vars.iter().enumerate() {
        let class = tuple.classes[at] as usize;
        if var.sort == Sort::Value && !is_bound(&rule.lhs, VarId(at as u16)) {
            leaves[at] = match leaves[class] {
                Some(same) => Some(same),
                None => match (tuple.types.of[at], tuple.values[at]) {
                    (Some(ty), Some(value)) => {
                        let class = graph.leaf(ty, value, tuple.known[at]);
                        graph.know(class, tuple.facts_at(at));
                        Some(class)
                    }
                    _ => None,
                },
            };
        }
    }
    let Some(root) = plant(&mut graph, &rule.lhs, tuple, &mut leaves) else { return false };
    let mut found: Vec<Match> = Vec::new();
    let single = crate::RuleSet { rules: vec![Rule { id: crate::RuleId(0), ..rule.clone() }] };
    let interpreter = single.interpreter();
    for node in graph.nodes(root) {
        interpreter.match_node(&graph, node, root, &mut found);
    }
    let mut wanted: Binds = Binds::new();
    for (at, var) in rule.vars.iter().enumerate() {
        wanted.push(match var.sort {
            Sort::Value => leaves[at].map_or(u128::MAX, slot::of_class),
            _ => tuple.values[at].unwrap_or(u128::MAX),
        });
    }
    // Other matches are right too, if only their right sides have the value of the left.
    let right = found.iter().all(|found| {
        interpreter.instantiate(&mut graph, found).is_none_or(|class| graph.value(class) == lhs)
    });
    right && found.iter().any(|found| found.binds == wanted)
}

fn is_bound(pattern: &Pattern, var: VarId) -> bool {
    let mut bound = false;
    pattern.walk(&mut |pattern| {
        bound |= matches!(pattern, Pattern::Bind(name, _) if *name == var);
    });
    bound
}

/// Adds the nodes of a pattern.
fn plant(
    graph: &mut ToyGraph,
    pattern: &Pattern,
    tuple: &Tuple<'_>,
    leaves: &mut [Option<ClassId>],
) -> Option<ClassId> {
    match pattern {
        Pattern::Var(var) => match leaves[var.index()] {
            Some(class) => Some(class),
            None => {
                // Bound to a pattern that is planted later, or elsewhere.
                let mut inner = None;
                tuple.rule.lhs.walk(&mut |pattern| match pattern {
                    Pattern::Bind(name, bound) if name == var => inner = Some(&**bound),
                    _ => {}
                });
                let class = plant(graph, inner?, tuple, leaves)?;
                graph.know(class, tuple.facts_at(var.index()));
                leaves[var.index()] = Some(class);
                Some(class)
            }
        },
        Pattern::Bind(var, inner) => {
            let class = plant(graph, inner, tuple, leaves)?;
            graph.know(class, tuple.facts_at(var.index()));
            leaves[var.index()] = Some(class);
            Some(class)
        }
        Pattern::And(all) => {
            let mut classes = all.iter().map(|one| plant(graph, one, tuple, leaves));
            let first = classes.next()??;
            classes.all(|class| class == Some(first)).then_some(first)
        }
        Pattern::Splat { ty, value } => {
            let ty = tuple.ty(*ty)?;
            Some(crate::build::splat(graph, ty, tuple.number(*value)?))
        }
        Pattern::Bits { value } => Some(crate::build::bits(graph, tuple.number(*value)?)),
        Pattern::Op { op, ty, from, imm, args } => {
            let ty = tuple.ty(*ty)?;
            let from = match from {
                Some(from) => tuple.ty(*from)?,
                None => ty,
            };
            let imm = match imm {
                Some(imm) => tuple.number(*imm)?,
                None => 0,
            };
            let args: Option<Vec<ClassId>> =
                args.iter().map(|arg| plant(graph, arg, tuple, leaves)).collect();
            crate::build::op(graph, *op, ty, from, imm, &args?)
        }
    }
}
