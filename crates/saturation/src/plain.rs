//! Rules as plain rewrites of terms over symbols, as other engines know them.
//!
//! A symbol is an op with its types and immediate. Rules that hold for several types become one rule for each.

use egraft_ir::{ClassId, Node, Op, Ty};
use egraft_rules::{Pattern, Ref, Rule, RuleSet, Slot, Template, Types, build};
use rustc_hash::{FxHashMap, FxHashSet};

/// Ops with types and immediates, by number.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    heads: Vec<Node>,
    numbers: FxHashMap<Node, u32>,
}

impl Symbols {
    /// The number of a node's op, types and immediate.
    pub fn number(&mut self, node: &Node) -> u32 {
        let head = Node { args: [ClassId::NONE; 3], ..*node };
        *self.numbers.entry(head).or_insert_with(|| {
            self.heads.push(head);
            self.heads.len() as u32 - 1
        })
    }

    /// The symbols, as nodes without operands.
    pub fn heads(&self) -> &[Node] {
        &self.heads
    }
}

/// A pattern or a right side.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Term {
    /// A variable.
    Var(u16),
    /// A symbol and its operands.
    Node(u32, Vec<Term>),
}

/// A rewrite without conditions.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct PlainRule {
    /// What is matched.
    pub lhs: Term,
    /// What it equals.
    pub rhs: Term,
}

/// Whether a rule only moves terms and fixed numbers about, so that engines without facts can run it.
pub fn is_plain(rule: &Rule) -> bool {
    let mut plain = rule.conditions.is_empty();
    rule.lhs.walk(&mut |pattern| {
        plain &= match pattern {
            Pattern::Var(_) => true,
            Pattern::Op { imm, .. } => imm.is_none_or(|imm| imm.is.is_some() && imm.var.is_none()),
            Pattern::Splat { value, .. } | Pattern::Bits { value } => {
                value.is.is_some() && value.var.is_none()
            }
            Pattern::Bind(..) | Pattern::And(_) => false,
        };
    });
    plain
}

/// The rules of a set that [`is_plain`] at each of their types, without repetitions; the name of the first that is not.
///
/// # Errors
/// That name.
pub fn plain_rules(set: &RuleSet, symbols: &mut Symbols) -> Result<Vec<PlainRule>, String> {
    let mut rules = Vec::new();
    let mut seen = FxHashSet::default();
    for rule in &set.rules {
        if !is_plain(rule) {
            return Err(rule.name.clone());
        }
        for types in rule.types() {
            let mut at = Concrete { types: &types, symbols };
            let lhs = at.pattern(&rule.lhs).ok_or_else(|| rule.name.clone())?;
            let rhs = at.template(&rule.rhs).ok_or_else(|| rule.name.clone())?;
            let plain = PlainRule { lhs, rhs };
            if seen.insert(plain.clone()) {
                rules.push(plain);
            }
        }
    }
    Ok(rules)
}

/// A rule at one choice of types.
struct Concrete<'a> {
    types: &'a Types,
    symbols: &'a mut Symbols,
}

impl Concrete<'_> {
    fn slot(&self, slot: Slot<Ty>) -> Option<Ty> {
        slot.is.or_else(|| self.types.of[slot.var?.index()])
    }

    fn reference(&self, reference: Ref) -> Option<Ty> {
        match reference {
            Ref::Var(var) => self.types.of[var.index()],
            Ref::Const(value) => Some(egraft_rules::slot::ty(value)),
        }
    }

    fn node(&mut self, op: Op, ty: Ty, from: Option<Ty>, imm: u128, args: Vec<Term>) -> Term {
        let (ty, from) = build::node_types(op, ty, from);
        let node = Node { op, ty, from, imm, args: [ClassId::NONE; 3] };
        Term::Node(self.symbols.number(&node), args)
    }

    fn constant(&mut self, ty: Ty, bits: u128) -> Term {
        Term::Node(self.symbols.number(&Node::constant(ty, bits)), Vec::new())
    }

    fn pattern(&mut self, pattern: &Pattern) -> Option<Term> {
        Some(match pattern {
            Pattern::Var(var) => Term::Var(var.0),
            Pattern::Op { op, ty, from, imm, args } => {
                let args = args.iter().map(|arg| self.pattern(arg)).collect::<Option<_>>()?;
                let from = match from {
                    Some(from) => Some(self.slot(*from)?),
                    None => None,
                };
                let imm = imm.map_or(Some(0), |imm| imm.is)?;
                let ty = self.slot(*ty)?;
                self.node(*op, ty, from, imm, args)
            }
            Pattern::Splat { ty, value } => {
                let ty = self.slot(*ty)?;
                self.constant(ty, ty.splat_bits(value.is?))
            }
            Pattern::Bits { value } => self.constant(Ty::I8X16, value.is?),
            Pattern::Bind(..) | Pattern::And(_) => return None,
        })
    }

    fn template(&mut self, template: &Template) -> Option<Term> {
        let number = |reference: Ref| match reference {
            Ref::Const(value) => Some(value),
            Ref::Var(_) => None,
        };
        Some(match template {
            Template::Var(var) => Term::Var(var.0),
            Template::Op { op, ty, from, imm, args } => {
                let args = args.iter().map(|arg| self.template(arg)).collect::<Option<_>>()?;
                let from = match from {
                    Some(from) => Some(self.reference(*from)?),
                    None => None,
                };
                let imm = imm.map_or(Some(0), number)?;
                let ty = self.reference(*ty)?;
                self.node(*op, ty, from, imm, args)
            }
            Template::Splat { ty, value } => {
                let ty = self.reference(*ty)?;
                self.constant(ty, ty.splat_bits(number(*value)?))
            }
            Template::Bits { value } => self.constant(Ty::I8X16, number(*value)?),
        })
    }
}
