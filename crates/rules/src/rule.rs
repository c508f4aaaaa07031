//! Rules as data: typed trees over the op vocabulary.
//!
//! Knows nothing of ISLE's syntax trees and runs nothing. Invariant: a pattern's meaning is
//! declarative: the rule holds for every assignment of its variables under which all occurrences
//! agree, in whatever order they are met.

use crate::{Cond, FactSource, RuleId, Sort};
use egraft_ir::{FloatCc, ImmKind, IntCc, Op, Ty, TypeRule};
use std::fmt;

/// The term around a condition that must not be known to hold.
pub(crate) const NOT_KNOWN: &str = "not_known";

/// A variable of a rule, by its place in [`Rule::vars`]; also its slot in a match.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VarId(pub u16);

impl VarId {
    /// The id as an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A variable of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Var {
    /// Its name; those made for wildcards and nested conditions start with `_`.
    pub name: String,
    /// What it stands for.
    pub sort: Sort,
}

/// A place for a type or a number on a left side: may bind a variable, ask for a value, or both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Slot<T> {
    /// The variable that the value must agree with.
    pub var: Option<VarId>,
    /// The value that is asked for. Numbers in [`Pattern::Splat`] count modulo the lane width.
    pub is: Option<T>,
}

/// The left side of a rule, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pattern {
    /// Any class; all occurrences of the variable are the same class.
    Var(VarId),
    /// A class that the pattern matches, bound to the variable.
    Bind(VarId, Box<Pattern>),
    /// A class with a node of this op.
    Op {
        /// The op.
        op: Op,
        /// The node's type. For ops of [`TypeRule::Bits`] and [`TypeRule::Select`] only its value
        /// type counts.
        ty: Slot<Ty>,
        /// The node's operand type; that of `ty` where the op is no conversion.
        from: Option<Slot<Ty>>,
        /// The node's immediate, where the op has one.
        imm: Option<Slot<u128>>,
        /// The operands; of commutative ops in either order.
        args: Vec<Pattern>,
    },
    /// A constant that has the same number in every lane of a type.
    Splat {
        /// The lane type.
        ty: Slot<Ty>,
        /// The number, zero-extended.
        value: Slot<u128>,
    },
    /// A 128-bit vector constant.
    Bits {
        /// Its bits.
        value: Slot<u128>,
    },
    /// A class that all of the patterns match.
    And(Vec<Pattern>),
}

/// An argument of a condition, or a type or number on a right side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Ref {
    /// The value of a variable.
    Var(VarId),
    /// This value, written as in a slot.
    Const(u128),
}

/// A condition of a rule, in an order in which every variable is bound before it is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// Whether it is met where `cond` does not hold: `(not_known (cond ...))`. It says nothing of values then; it only
    /// keeps a rule from matching. Such conditions read facts and have no result.
    pub negative: bool,
    /// What is asked or computed.
    pub cond: Cond,
    /// Its arguments.
    pub args: Vec<Ref>,
    /// What the result binds or must agree with.
    pub result: Slot<u128>,
}

impl Condition {
    /// Evaluates the condition: its result, 0 where it is only met, `None` where it is not.
    ///
    /// `args` are slots, as many and of such sorts as [`Cond::params`] says.
    pub fn eval<F: FactSource>(&self, facts: &F, args: &[u128]) -> Option<u128> {
        let answer = self.cond.eval(facts, args);
        match self.negative {
            false => answer,
            true => answer.is_none().then_some(0),
        }
    }
}

/// The right side of a rule, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Template {
    /// The class of a variable.
    Var(VarId),
    /// A node.
    Op {
        /// The op.
        op: Op,
        /// The node's type.
        ty: Ref,
        /// The node's operand type, where the op is a conversion.
        from: Option<Ref>,
        /// The node's immediate, where the op has one.
        imm: Option<Ref>,
        /// The operands.
        args: Vec<Template>,
    },
    /// A constant with a number in every lane of a type.
    Splat {
        /// The lane type.
        ty: Ref,
        /// The number, taken modulo the lane width.
        value: Ref,
    },
    /// A 128-bit vector constant.
    Bits {
        /// Its bits.
        value: Ref,
    },
}

/// A rewrite rule: wherever the left side matches and the conditions hold, the right side equals it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its place in the set.
    pub id: RuleId,
    /// Its name, unique in the set.
    pub name: String,
    /// Why it holds, from the comment above it.
    pub reason: String,
    /// The file it stands in, as named to the loader.
    pub file: String,
    /// The line it starts on, from 1.
    pub line: u32,
    /// Its variables.
    pub vars: Vec<Var>,
    /// The left side; an op at its root.
    pub lhs: Pattern,
    /// What must hold besides.
    pub conditions: Vec<Condition>,
    /// The right side.
    pub rhs: Template,
}

/// Rules in file order; ids are positions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RuleSet {
    /// The rules.
    pub rules: Vec<Rule>,
}

impl RuleSet {
    /// The rule with this name.
    pub fn by_name(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

/// Whether the type that rules write after the op is only a value type: its lanes do not matter.
pub(crate) fn forgets_lanes(op: Op) -> bool {
    matches!(op.type_rule(), TypeRule::Bits | TypeRule::Select)
}

impl Pattern {
    /// The pattern without names bound to it, and the innermost op if there is one.
    pub fn root_op(&self) -> Option<Op> {
        match self {
            Pattern::Op { op, .. } => Some(*op),
            Pattern::Bind(_, inner) => inner.root_op(),
            Pattern::And(all) => all.iter().find_map(Pattern::root_op),
            _ => None,
        }
    }

    /// Whether the variable occurs in the pattern.
    pub fn has_var(&self, var: VarId) -> bool {
        let mut found = false;
        self.walk(&mut |pattern| {
            found |= match pattern {
                Pattern::Var(is) | Pattern::Bind(is, _) => *is == var,
                Pattern::Op { ty, from, imm, .. } => {
                    ty.var == Some(var)
                        || from.is_some_and(|from| from.var == Some(var))
                        || imm.is_some_and(|imm| imm.var == Some(var))
                }
                Pattern::Splat { ty, value } => ty.var == Some(var) || value.var == Some(var),
                Pattern::Bits { value } => value.var == Some(var),
                Pattern::And(_) => false,
            };
        });
        found
    }

    /// Calls `visit` for this pattern and all below it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Pattern)) {
        visit(self);
        match self {
            Pattern::Bind(_, inner) => inner.walk(visit),
            Pattern::Op { args, .. } | Pattern::And(args) => {
                args.iter().for_each(|arg| arg.walk(visit));
            }
            Pattern::Var(_) | Pattern::Splat { .. } | Pattern::Bits { .. } => {}
        }
    }
}

impl Template {
    /// Number of nodes.
    pub fn size(&self) -> usize {
        match self {
            Template::Op { args, .. } => 1 + args.iter().map(Template::size).sum::<usize>(),
            _ => 1,
        }
    }
}

impl Rule {
    /// The variable's name.
    pub fn var_name(&self, var: VarId) -> &str {
        &self.vars[var.index()].name
    }

    /// The root op of the left side.
    ///
    /// # Panics
    /// Never for a rule that was loaded.
    pub fn root_op(&self) -> Op {
        self.lhs.root_op().expect("a loaded rule has an op at its root")
    }

    /// The left side with its conditions, as ISLE text.
    pub fn lhs_text(&self) -> String {
        Show(&self.vars).left(&self.lhs, &self.conditions)
    }

    /// The right side as ISLE text.
    pub fn rhs_text(&self) -> String {
        Show(&self.vars).template(&self.rhs)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} => {}", self.name, self.lhs_text(), self.rhs_text())
    }
}

/// Prints parts of a rule as ISLE.
pub(crate) struct Show<'a>(pub(crate) &'a [Var]);

impl Show<'_> {
    fn name(&self, var: VarId) -> &str {
        &self.0[var.index()].name
    }

    /// A left side with its conditions.
    pub(crate) fn left(&self, lhs: &Pattern, conditions: &[Condition]) -> String {
        let mut text = self.pattern(lhs);
        for condition in conditions {
            text.push(' ');
            text.push_str(&self.condition(condition));
        }
        text
    }

    fn slot<T: Copy>(&self, slot: Slot<T>, show: impl Fn(T) -> String) -> String {
        match (slot.var, slot.is) {
            (Some(var), Some(is)) => format!("{} @ {}", self.name(var), show(is)),
            (Some(var), None) => self.name(var).to_owned(),
            (None, Some(is)) => show(is),
            (None, None) => "_".to_owned(),
        }
    }

    pub(crate) fn reference(&self, reference: Ref, show: impl Fn(u128) -> String) -> String {
        match reference {
            Ref::Var(var) => self.name(var).to_owned(),
            Ref::Const(value) => show(value),
        }
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Var(var) => self.name(*var).to_owned(),
            Pattern::Bind(var, inner) => {
                format!("{} @ {}", self.name(*var), self.pattern(inner))
            }
            Pattern::Op { op, ty, from, imm, args } => {
                let mut text = format!("({op}");
                if crate::prelude::writes_type(*op) {
                    text += &format!(" {}", self.slot(*ty, show_ty));
                }
                if let Some(from) = from.filter(|_| crate::prelude::writes_from(*op)) {
                    text += &format!(" {}", self.slot(from, show_ty));
                }
                if let Some(imm) = imm {
                    text += &format!(" {}", self.slot(*imm, |imm| show_imm(*op, imm)));
                }
                args.iter().for_each(|arg| text += &format!(" {}", self.pattern(arg)));
                text + ")"
            }
            Pattern::Splat { ty, value } => {
                format!("(k {} {})", self.slot(*ty, show_ty), self.slot(*value, show_number))
            }
            Pattern::Bits { value } => format!("(kvec {})", self.slot(*value, show_number)),
            Pattern::And(all) => {
                let all: String = all.iter().map(|one| format!(" {}", self.pattern(one))).collect();
                format!("(and{all})")
            }
        }
    }

    fn condition(&self, condition: &Condition) -> String {
        let mut call = format!("({}", condition.cond.name());
        for (arg, (_, sort)) in condition.args.iter().zip(condition.cond.params()) {
            call += &format!(" {}", self.reference(*arg, |value| show_as(*sort, value)));
        }
        match condition.cond.result() {
            None if condition.negative => format!("(if ({NOT_KNOWN} {call})))"),
            None => format!("(if {call}))"),
            Some(sort) => {
                format!("(if-let {} {call}))", self.slot(condition.result, |is| show_as(sort, is)))
            }
        }
    }

    fn template(&self, template: &Template) -> String {
        let ty = |ty: Ref| self.reference(ty, |value| show_as(Sort::Type, value));
        match template {
            Template::Var(var) => self.name(*var).to_owned(),
            Template::Op { op, ty: of, from, imm, args } => {
                let mut text = format!("({op}");
                if crate::prelude::writes_type(*op) {
                    text += &format!(" {}", ty(*of));
                }
                if let Some(from) = from.filter(|_| crate::prelude::writes_from(*op)) {
                    text += &format!(" {}", ty(from));
                }
                if let Some(imm) = imm {
                    text += &format!(" {}", self.reference(*imm, |imm| show_imm(*op, imm)));
                }
                args.iter().for_each(|arg| text += &format!(" {}", self.template(arg)));
                text + ")"
            }
            Template::Splat { ty: of, value } => {
                format!("(k {} {})", ty(*of), self.reference(*value, show_number))
            }
            Template::Bits { value } => format!("(kvec {})", self.reference(*value, show_number)),
        }
    }
}

fn show_ty(ty: Ty) -> String {
    format!("${}", ty.name().to_uppercase())
}

/// Small numbers in decimal, also just below zero; masks in hexadecimal.
pub(crate) fn show_number(number: u128) -> String {
    match number as i128 {
        small @ -4096..=4096 => small.to_string(),
        _ => format!("{number:#x}"),
    }
}

pub(crate) fn show_as(sort: Sort, value: u128) -> String {
    match sort {
        Sort::Type => show_ty(crate::slot::ty(value)),
        Sort::IntCc => format!("(IntCc.{:?})", crate::slot::int_cc(value)),
        Sort::FloatCc => format!("(FloatCc.{:?})", crate::slot::float_cc(value)),
        Sort::Int | Sort::Value => show_number(value),
    }
}

fn show_imm(op: Op, imm: u128) -> String {
    match op.imm_kind() {
        ImmKind::IntCc if IntCc::from_imm(imm).is_some() => show_as(Sort::IntCc, imm),
        ImmKind::FloatCc if FloatCc::from_imm(imm).is_some() => show_as(Sort::FloatCc, imm),
        _ => show_number(imm),
    }
}
