//! Which rules follow from others: by saturation, within limits.
//!
//! Judges no rule. Invariant: a pair is said to follow only if both sides came into one class at
//! every type and in every model of its premise that was tried.

use crate::engine::Engine;
use crate::premise::Premise;
use crate::sample::Model;
use crate::space::{Expr, Kind, Space, View, has_from, retyped};
use egraft_egraph::{EGraph, Limits, Matcher, Root, StopReason, saturate_with};
use egraft_ir::{ClassId, Facts, KnownBits, Node, Ty};
use egraft_rules::{BuildGraph, Interpreter, Match, MatchGraph, Rule, RuleId, RuleSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far a pair is rewritten before it is said not to follow.
const LIMITS: Limits = Limits { nodes: 6000, class_nodes: 48, depth: 0, iterations: 6 };

/// How many models of a premise are tried, and of constants alone.
const MODELS: usize = 3;

/// Two terms, and the types and premise under which they are equal.
pub(crate) struct Question<'a> {
    pub(crate) space: &'a Space,
    pub(crate) premise: &'a Premise,
    pub(crate) lhs: &'a Expr,
    pub(crate) rhs: &'a Expr,
    /// The type that the others follow from.
    pub(crate) anchor: Ty,
}

/// Rules that are kept.
#[derive(Clone, Default)]
pub(crate) struct Known {
    set: RuleSet,
    /// Sets of other rules have another.
    edition: u64,
    engine: Option<Arc<dyn Engine>>,
}

/// The last edition of any set.
static EDITIONS: AtomicU64 = AtomicU64::new(0);

impl Known {
    /// None yet; an engine may match them.
    pub(crate) fn new(engine: Option<Arc<dyn Engine>>) -> Known {
        Known { engine, ..Known::default() }
    }

    pub(crate) fn extend(&mut self, rules: impl Iterator<Item = Rule>) {
        self.edition = 1 + EDITIONS.fetch_add(1, Ordering::Relaxed);
        for mut rule in rules {
            rule.id = RuleId(self.set.rules.len() as u16);
            self.set.rules.push(rule);
        }
    }

    /// The rules, ready to be matched.
    pub(crate) fn planned(&self) -> Planned<'_> {
        let without = vec![false; self.set.rules.len()];
        let engine = self.engine.as_deref();
        Planned { interpreter: self.set.interpreter(), without, edition: self.edition, engine }
    }
}

/// Rules that can be matched.
#[derive(Clone)]
pub(crate) struct Planned<'a> {
    interpreter: Interpreter<'a>,
    /// By rule: whether it is left out.
    without: Vec<bool>,
    edition: u64,
    engine: Option<&'a dyn Engine>,
}

impl Planned<'_> {
    /// Leaves out some of the rules, by their places.
    pub(crate) fn leave_out(&mut self, rules: Range<usize>) {
        self.without[rules].fill(true);
    }
}

impl Planned<'_> {
    /// Whether the pair follows from the rules where the anchor is any of `anchors`.
    pub(crate) fn derive(&self, question: &Question<'_>, anchors: &[Ty]) -> bool {
        !anchors.is_empty() && anchors.iter().all(|anchor| self.derive_at(question, *anchor))
    }

    fn derive_at(&self, question: &Question<'_>, anchor: Ty) -> bool {
        let Question { space, premise, .. } = question;
        let Some(base) = retyped(question.anchor, anchor, space.base) else { return false };
        let lhs = question.lhs.retyped(question.anchor, anchor);
        let rhs = question.rhs.retyped(question.anchor, anchor);
        let (Some(lhs), Some(rhs)) = (lhs, rhs) else { return false };
        let atoms = question.lhs.atoms() | question.rhs.atoms();
        let constants = (0..space.atoms.len())
            .any(|at| atoms & 1 << at != 0 && space.atoms[at].kind == Kind::Const);
        let count = match (premise.is_empty(), constants) {
            (true, false) => 1,
            (true, true) => 2,
            _ => MODELS,
        };
        let models = Model::all(space, base, premise, count);
        !models.is_empty()
            && models.iter().all(|model| {
                let typed = Typed { space, anchor: question.anchor, other: anchor, model, premise };
                self.meet(&typed, &lhs, &rhs).unwrap_or(false)
            })
    }

    fn meet(&self, typed: &Typed<'_>, lhs: &Expr, rhs: &Expr) -> Option<bool> {
        let mut graph = EGraph::new();
        let a = typed.insert(&mut graph, lhs)?;
        let b = typed.insert(&mut graph, rhs)?;
        for _ in 0..LIMITS.iterations {
            let limits = Limits { iterations: 1, ..LIMITS };
            let run =
                saturate_with(&mut graph, self, limits, |graph, roots| self.find(graph, roots));
            if graph.find(a) == graph.find(b) {
                return Some(true);
            }
            if !matches!(run.stop, StopReason::IterationLimit { .. }) {
                break;
            }
        }
        Some(graph.find(a) == graph.find(b))
    }
}

impl Planned<'_> {
    /// All matches at the roots.
    fn find(&self, graph: &EGraph, roots: &[Root]) -> Vec<Match> {
        let by_engine =
            |engine: &dyn Engine| engine.matches(self.edition, &self.interpreter, graph, roots);
        if let Some(mut found) =
            self.engine.filter(|_| !self.without.is_empty()).and_then(by_engine)
        {
            found.retain(|found| !self.without[found.rule.index()]);
            return found;
        }
        let mut found = Vec::new();
        for (class, node) in roots {
            self.match_node(graph, *class, node, &mut found);
        }
        found
    }
}

/// Terms at certain types, in a model.
struct Typed<'a> {
    space: &'a Space,
    anchor: Ty,
    other: Ty,
    model: &'a Model,
    premise: &'a Premise,
}

impl Typed<'_> {
    /// Adds the term; `None` where it is ill typed.
    fn insert(&self, graph: &mut EGraph, term: &Expr) -> Option<ClassId> {
        match term {
            Expr::Atom(at) => self.atom(graph, *at as usize),
            Expr::Op(head, args) => {
                let args: Option<Vec<ClassId>> =
                    args.iter().map(|arg| self.insert(graph, arg)).collect();
                let args = args?;
                let node = match has_from(head.op) {
                    true => Node::convert(head.op, head.ty, head.from, args[0]),
                    false => Node::with_imm(head.op, head.ty, head.imm, &args),
                };
                let fits = node.is_well_typed()
                    && args.iter().enumerate().all(|(at, arg)| {
                        let found = egraft_rules::FactSource::class_type(graph, *arg);
                        match head.op.operand_type(head.ty, head.from, at) {
                            Some(ty) => ty.value() == found,
                            None => found.is_int() && !found.is_vector(),
                        }
                    });
                fits.then(|| graph.insert(node).0)
            }
        }
    }

    fn atom(&self, graph: &mut EGraph, at: usize) -> Option<ClassId> {
        let atom = &self.space.atoms[at];
        let ty = match atom.view {
            View::Amount => Ty::I32,
            View::Of(ty) => retyped(self.anchor, self.other, ty)?,
        };
        let base = retyped(self.anchor, self.other, self.space.base)?;
        let number = match atom.kind {
            Kind::Var => {
                let node = Node::with_imm(egraft_ir::Op::Leaf, ty, at as u128, &[]);
                let class = graph.insert(node).0;
                if atom.view == View::Of(self.space.base) && !self.premise.is_empty() {
                    let lane = self.model.lanes[at].bits;
                    let bits = KnownBits {
                        zeros: ty.splat_bits(lane.zeros),
                        ones: ty.splat_bits(lane.ones),
                    };
                    graph.assume(class, Facts { bits, ..Facts::unknown() });
                }
                return Some(class);
            }
            Kind::Literal(literal) => literal.value(base, ty),
            Kind::Const | Kind::Derived => self.model.numbers[at],
        };
        Some(graph.insert(Node::constant(ty, ty.splat_bits(number))).0)
    }
}

impl Matcher for Planned<'_> {
    fn rule_count(&self) -> usize {
        self.without.len()
    }

    fn match_node(&self, graph: &EGraph, class: ClassId, node: &Node, out: &mut Vec<Match>) {
        let before = out.len();
        self.interpreter.match_node(graph, node, class, out);
        let mut at = before;
        while at < out.len() {
            if self.without[out[at].rule.index()] {
                out.remove(at);
            } else {
                at += 1;
            }
        }
    }

    fn instantiate<B: BuildGraph>(&self, builder: &mut B, found: &Match) -> Option<ClassId> {
        self.interpreter.instantiate(builder, found)
    }
}
