//! Building right sides: the checks that the interpreter and generated code share.
//!
//! Invariant: a node given to [`BuildGraph::add`] is well typed and so are its operands.

use crate::rule::{Ref, Rule, Template, forgets_lanes};
use crate::types::operand_set;
use crate::{BuildGraph, Match, MatchGraph, slot};
use egraft_ir::{ClassId, FloatCc, ImmKind, IntCc, Node, Op, Ty};

/// A set of ops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct OpSet(pub u128);

const _: () = assert!(Op::ALL.len() <= 128, "OpSet has a bit for each op");

impl OpSet {
    /// The set of one op.
    pub const fn of(op: Op) -> OpSet {
        OpSet(1 << op as u8)
    }

    /// The ops of the nodes of each operand class of `node`.
    pub fn operands<G: MatchGraph>(graph: &G, node: &Node) -> [OpSet; 3] {
        let mut sets = [OpSet(0); 3];
        for (set, arg) in sets.iter_mut().zip(node.args()) {
            for node in graph.candidates(*arg) {
                set.0 |= OpSet::of(node.op).0;
            }
            if graph.constant(*arg).is_some() {
                set.0 |= OpSet::of(Op::Const).0;
            }
        }
        sets
    }

    /// Whether the set has every op of `needed`.
    pub const fn has(self, needed: OpSet) -> bool {
        self.0 & needed.0 == needed.0
    }
}

/// Adds a node if it is well typed.
pub fn op<B: BuildGraph>(
    graph: &mut B,
    op: Op,
    ty: Ty,
    from: Ty,
    imm: u128,
    args: &[ClassId],
) -> Option<ClassId> {
    let (ty, from) = node_types(op, ty, Some(from));
    let mut node = Node::with_imm(op, ty, imm, args);
    node.from = from;
    let operands_fit = operand_types(op, ty, from).is_some_and(|sets| {
        let fits = |(set, arg): (&u16, &ClassId)| set & (1 << graph.class_type(*arg) as u8) != 0;
        sets.iter().zip(args).all(fits)
    });
    let fits = operands_fit && node.is_well_typed() && imm_fits(op, ty, imm);
    fits.then(|| graph.add(node))
}

/// The types of a node that is written with these: lanes are dropped where the op does not look at them, and so is the
/// operand type of ops that have none of their own.
pub fn node_types(op: Op, ty: Ty, from: Option<Ty>) -> (Ty, Ty) {
    let ty = if forgets_lanes(op) { ty.value() } else { ty };
    (ty, from.filter(|_| crate::prelude::has_from(op)).unwrap_or(ty))
}

/// The value types that each operand of a node may have, a bit for each of [`Ty::ALL`]; `None` if its own types do not
/// fit its op.
pub fn operand_types(op: Op, ty: Ty, from: Ty) -> Option<[u16; 3]> {
    let lanes_fit = if forgets_lanes(op) { ty.value() == ty } else { op.allows(ty, from) };
    let fits = lanes_fit && (crate::prelude::has_from(op) || from == ty);
    fits.then(|| {
        let mut sets = [0; 3];
        for (at, set) in sets.iter_mut().enumerate().take(op.arity()) {
            *set = operand_set(op, ty, from, at);
        }
        sets
    })
}

/// Whether types, immediate and operands of a node fit its op; `operand` gives the value type of each operand.
pub fn is_well_formed(node: &Node, operand: impl Fn(usize) -> Ty) -> bool {
    let Node { op, ty, from, imm, .. } = *node;
    if op.is_leaf() {
        let operands_fit = op == Op::Opaque || node.args().is_empty();
        return operands_fit && ty.value() == ty && from == ty;
    }
    let fits =
        |sets: [u16; 3]| (0..node.args().len()).all(|at| sets[at] & (1 << operand(at) as u8) != 0);
    operand_types(op, ty, from).is_some_and(fits) && node.is_well_typed() && imm_fits(op, ty, imm)
}

/// Whether an op of this type may have the immediate.
pub fn imm_fits(op: Op, ty: Ty, imm: u128) -> bool {
    match op.imm_kind() {
        ImmKind::None => imm == 0,
        ImmKind::IntCc => IntCc::from_imm(imm).is_some(),
        ImmKind::FloatCc => FloatCc::from_imm(imm).is_some(),
        ImmKind::Lane => imm < u128::from(ty.lanes()),
        ImmKind::Mask => imm.to_le_bytes().iter().all(|selector| *selector < 32),
        ImmKind::Bits | ImmKind::Index => true,
    }
}

/// Adds a constant with `value` in every lane of `ty`.
pub fn splat<B: BuildGraph>(graph: &mut B, ty: Ty, value: u128) -> ClassId {
    graph.add(Node::constant(ty, ty.splat_bits(value)))
}

/// Adds a 128-bit vector constant.
pub fn bits<B: BuildGraph>(graph: &mut B, bits: u128) -> ClassId {
    graph.add(Node::constant(Ty::I8X16, bits))
}

/// The class, if it has the value type of the class that it is to equal.
pub fn result<B: BuildGraph>(graph: &B, class: ClassId, root: ClassId) -> Option<ClassId> {
    (graph.class_type(class) == graph.class_type(root)).then_some(class)
}

impl Rule {
    /// Builds the right side for a match and gives its class, which equals [`Match::class`].
    /// Gives nothing if a type does not fit.
    pub fn instantiate<B: BuildGraph>(&self, graph: &mut B, found: &Match) -> Option<ClassId> {
        let class = build(graph, &self.rhs, &found.binds)?;
        result(graph, class, found.class)
    }
}

fn build<B: BuildGraph>(graph: &mut B, template: &Template, binds: &[u128]) -> Option<ClassId> {
    let read = |reference: Ref| match reference {
        Ref::Const(value) => value,
        Ref::Var(var) => binds[var.index()],
    };
    Some(match template {
        Template::Var(var) => slot::class(binds[var.index()]),
        Template::Splat { ty, value } => splat(graph, slot::ty(read(*ty)), read(*value)),
        Template::Bits { value } => bits(graph, read(*value)),
        Template::Op { op: of, ty, from, imm, args } => {
            let ty = slot::ty(read(*ty));
            let from = from.map_or(ty, |from| slot::ty(read(from)));
            let imm = imm.map_or(0, read);
            let mut classes = [ClassId::NONE; 3];
            for (class, arg) in classes.iter_mut().zip(args) {
                *class = build(graph, arg, binds)?;
            }
            op(graph, *of, ty, from, imm, &classes[..args.len()])?
        }
    })
}
