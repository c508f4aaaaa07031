//! Tests a rule on concrete values: both sides evaluated, compared to the bit.
//!
//! Proves nothing; it refutes. Invariant: a tuple is counted as fired only if the left side has
//! values, every condition holds of them, and the right side was compared.

mod random;
mod sample;
mod toy;

use crate::rule::{Pattern, Ref, Rule, Slot, Template, VarId, forgets_lanes};
use crate::types::Types;
use crate::{Cond, FactSource, Sort, build, slot};
use egraft_ir::{
    Annotation, Annotations, ClassId, Facts, ImmKind, KnownBits, Node, Op, SignCopies, Ty, eval,
};
use random::Random;
use std::fmt;

pub use sample::Sample;
pub use toy::ToyGraph;

/// Fewest tuples that are tried for each choice of types.
const TUPLES_PER_TYPES: usize = 24;

/// How many tuples are drawn for each one that must satisfy the conditions.
const DRAWS_PER_TUPLE: usize = 40;

/// How many tuples are drawn for a choice of types before it is given up as never firing.
const DRAWS_UNTIL_UNFIRED: usize = 4000;

/// What checking a rule found.
#[derive(Clone, Debug, Default)]
pub struct RuleCheck {
    /// Choices of types that were tried: all legal ones.
    pub types_checked: usize,
    /// Tuples of operand values drawn.
    pub tuples_run: usize,
    /// Tuples that the conditions allowed and on which both sides were compared.
    pub fired: usize,
    /// Choices of types for which no tuple satisfied the conditions.
    pub unfired: Vec<Types>,
    /// The choices of types for which both sides agree but the matcher did not find the left
    /// side in a graph that has it.
    pub unmatched: Vec<Types>,
    /// The first tuple on which the sides differ.
    pub counterexample: Option<Counterexample>,
}

impl RuleCheck {
    /// Whether the rule held wherever it was tried, and was tried at all.
    pub fn holds(&self) -> bool {
        self.counterexample.is_none() && self.fired > 0 && self.unmatched.is_empty()
    }
}

/// A tuple of values on which a rule is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// The types.
    pub types: Types,
    /// Name and value of each variable; types by name, numbers in hexadecimal.
    pub vars: Vec<(String, String)>,
    /// The bits of the left side.
    pub lhs: u128,
    /// The bits of the right side; `None` where it has no value.
    pub rhs: Option<u128>,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.vars {
            write!(f, "{name} = {value}, ")?;
        }
        write!(f, "left {:#x}, right ", self.lhs)?;
        match self.rhs {
            Some(rhs) => write!(f, "{rhs:#x}"),
            None => f.write_str("has no value"),
        }
    }
}

/// Evaluates both sides of a rule on about `tuples` tuples of random and edge values, spread over
/// all its legal types, and compares them to the bit.
///
/// The same seed gives the same tuples.
pub fn check_rule(rule: &Rule, tuples: usize, seed: u64) -> RuleCheck {
    let all = rule.types();
    let each = (tuples / all.len().max(1)).max(TUPLES_PER_TYPES);
    let mut check = RuleCheck { types_checked: all.len(), ..RuleCheck::default() };
    let mut random = Random::new(seed ^ u64::from(rule.id.0) << 32);
    for types in all {
        let mut fired = 0;
        let mut draws = 0;
        let most = (each * DRAWS_PER_TUPLE).max(DRAWS_UNTIL_UNFIRED);
        while fired < each && draws < most {
            draws += 1;
            let mut tuple = Tuple::new(rule, &types, &mut random);
            let Some(lhs) = tuple.draw() else { continue };
            let rhs = match tuple.template(&rule.rhs) {
                Built::Refused => continue,
                Built::Trap => None,
                Built::Value(value) => Some(value),
            };
            if rhs != Some(lhs) {
                check.counterexample = Some(tuple.counterexample(lhs, rhs));
                check.fired += fired + 1;
                check.tuples_run += draws;
                return check;
            }
            if fired == 0 && !toy::matches(rule, &tuple, lhs) {
                check.unmatched.push(types.clone());
            }
            fired += 1;
        }
        check.fired += fired;
        check.tuples_run += draws;
        if fired == 0 {
            check.unfired.push(types);
        }
    }
    check
}

/// What became of a right side.
enum Built {
    Value(u128),
    /// The builder would give nothing: the rule does not apply.
    Refused,
    /// An op of it has no value.
    Trap,
}

/// One choice of values for all variables of a rule.
struct Tuple<'a> {
    rule: &'a Rule,
    types: &'a Types,
    random: &'a mut Random,
    /// By variable: for values their bits, for others what their slot holds.
    values: Vec<Option<u128>>,
    known: Vec<KnownBits>,
    copies: Vec<SignCopies>,
    annotations: Vec<Annotations>,
    /// By variable: the class that stands for it in conditions.
    classes: Vec<u32>,
}

impl FactSource for Tuple<'_> {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, class: ClassId) -> Facts {
        self.facts_at(class.index())
    }

    fn class_type(&self, class: ClassId) -> Ty {
        self.types.of[class.index()].unwrap_or(Ty::I8)
    }
}

impl<'a> Tuple<'a> {
    fn new(rule: &'a Rule, types: &'a Types, random: &'a mut Random) -> Tuple<'a> {
        let count = rule.vars.len();
        let mut values = vec![None; count];
        for (at, var) in rule.vars.iter().enumerate() {
            if var.sort == Sort::Type {
                values[at] = types.of[at].map(slot::of_ty);
            }
        }
        Tuple {
            rule,
            types,
            random,
            values,
            known: vec![KnownBits { zeros: 0, ones: 0 }; count],
            copies: vec![SignCopies::unknown(); count],
            annotations: vec![Annotations::unknown(); count],
            classes: (0..count as u32).collect(),
        }
    }

    /// What is known of a variable's value.
    fn facts_at(&self, at: usize) -> Facts {
        let (bits, copies) = (self.known[at], self.copies[at]);
        Facts { bits, copies, annotations: self.annotations[at] }
    }

    /// Draws values and gives the left side's, if all conditions hold.
    fn draw(&mut self) -> Option<u128> {
        for condition in &self.rule.conditions {
            if let (Cond::same, [Ref::Var(x), Ref::Var(y)]) = (condition.cond, &condition.args[..])
            {
                self.classes[y.index()] = self.classes[x.index()];
            }
        }
        self.draw_numbers()?;
        let rule = self.rule;
        let lhs = self.pattern(&rule.lhs)?;
        self.reveal();
        self.conditions_hold().then_some(lhs)
    }

    /// Draws all numbers on the left side, those that conditions give last.
    fn draw_numbers(&mut self) -> Option<()> {
        let rule = self.rule;
        self.deduce()?;
        for last in [false, true] {
            let mut drawn = Some(());
            rule.lhs.walk(&mut |pattern| {
                if drawn.is_some() {
                    drawn = self.draw_numbers_of(pattern, last);
                }
            });
            drawn?;
        }
        Some(())
    }

    fn draw_numbers_of(&mut self, pattern: &Pattern, last: bool) -> Option<()> {
        match pattern {
            Pattern::Splat { ty, value } => {
                let ty = self.ty(*ty)?;
                self.draw_number(*value, last, |random| random.constant(ty))
            }
            Pattern::Bits { value } => self.draw_number(*value, last, Random::vector_constant),
            Pattern::Op { op, ty, imm: Some(imm), .. } => {
                let lanes = self.ty(*ty)?.lanes();
                self.draw_number(*imm, last, |random| random.imm(op.imm_kind(), lanes))
            }
            _ => Some(()),
        }
    }

    fn draw_number(
        &mut self,
        slot: Slot<u128>,
        last: bool,
        draw: impl FnOnce(&mut Random) -> u128,
    ) -> Option<()> {
        let Some(var) = slot.var.filter(|var| self.values[var.index()].is_none()) else {
            return Some(());
        };
        let given = self.rule.conditions.iter().any(|one| one.result.var == Some(var));
        if given && !last {
            return Some(());
        }
        self.values[var.index()] = Some(slot.is.unwrap_or_else(|| draw(self.random)));
        self.deduce()
    }

    /// Computes what conditions give from numbers and types that are known.
    fn deduce(&mut self) -> Option<()> {
        for condition in &self.rule.conditions {
            let Some(var) = condition.result.var else { continue };
            let of_values = condition.cond.params().iter().any(|(_, sort)| *sort == Sort::Value);
            if self.values[var.index()].is_some() || of_values {
                continue;
            }
            let args: Option<Vec<u128>> =
                condition.args.iter().map(|arg| self.reference(*arg)).collect();
            let Some(args) = args else { continue };
            self.values[var.index()] = Some(condition.cond.eval(self, &args)?);
        }
        Some(())
    }

    fn pattern(&mut self, pattern: &Pattern) -> Option<u128> {
        match pattern {
            Pattern::Var(var) => self.value(*var),
            Pattern::Bind(var, inner) => {
                let value = match self.values[var.index()] {
                    Some(value) => value,
                    None => self.pattern(inner)?,
                };
                self.values[var.index()] = Some(value);
                Some(value)
            }
            Pattern::And(all) => {
                let mut values = all.iter().map(|one| self.pattern(one));
                let first = values.next()??;
                values.all(|value| value == Some(first)).then_some(first)
            }
            Pattern::Splat { ty, value } => {
                let ty = self.ty(*ty)?;
                let lane = self.number(*value)?;
                let literal = value.var.is_none();
                (literal || lane <= ty.lane_mask()).then(|| ty.splat_bits(lane))
            }
            Pattern::Bits { value } => self.number(*value),
            Pattern::Op { op, ty, from, imm, args } => {
                let ty = self.ty(*ty)?;
                let from = match from {
                    Some(from) => self.ty(*from)?,
                    None => ty,
                };
                let imm = match imm {
                    Some(imm) => self.number(*imm)?,
                    None => 0,
                };
                let mut operands = [0; 3];
                for (operand, arg) in operands.iter_mut().zip(args) {
                    *operand = self.pattern(arg)?;
                }
                eval(&node(*op, ty, from, imm), &operands[..args.len()]).ok()
            }
        }
    }

    /// The value of a class variable: drawn, unless a pattern is bound to it.
    fn value(&mut self, var: VarId) -> Option<u128> {
        if let Some(value) = self.values[var.index()] {
            return Some(value);
        }
        let rule = self.rule;
        let mut bound = None;
        rule.lhs.walk(&mut |pattern| match pattern {
            Pattern::Bind(name, inner) if *name == var => bound = Some(&**inner),
            _ => {}
        });
        let class = self.classes[var.index()] as usize;
        let value = match bound {
            Some(inner) => self.pattern(inner)?,
            None if class != var.index() && self.values[class].is_some() => self.values[class]?,
            None => {
                let ty = self.types.of[var.index()]?;
                // Equal operands are an edge case of their own.
                let twin = self.random.one_in(12).then(|| {
                    let twins: Vec<u128> = (0..self.values.len())
                        .filter(|at| rule.vars[*at].sort == Sort::Value)
                        .filter(|at| self.types.of[*at] == Some(ty))
                        .filter_map(|at| self.values[at])
                        .collect();
                    (!twins.is_empty()).then(|| twins[self.random.below(twins.len())])
                });
                match twin.flatten() {
                    Some(twin) => twin,
                    None => {
                        let views: Vec<Ty> = self.types.of.iter().flatten().copied().collect();
                        self.random.value(ty, &views)
                    }
                }
            }
        };
        self.values[var.index()] = Some(value);
        Some(value)
    }

    /// Lets conditions know some bits of each value, some of its repeated bits and some annotations.
    fn reveal(&mut self) {
        if !self.rule.conditions.iter().any(|condition| condition.cond.reads_facts()) {
            return;
        }
        let views: Vec<Ty> = self.types.of.iter().flatten().copied().collect();
        for at in 0..self.values.len() {
            let (Some(value), Some(ty), Sort::Value) =
                (self.values[at], self.types.of[at], self.rule.vars[at].sort)
            else {
                continue;
            };
            // What is above the type is zero in every value.
            let seen = self.random.revealed(ty, &views) | !ty.mask();
            self.known[at] = KnownBits { zeros: !value & seen, ones: value & seen };
            // Copies matter where bits are hidden.
            let seen = self.random.revealed(ty, &views) & ty.mask();
            self.copies[at] = SignCopies(SignCopies::of_value(value).0 & seen);
            // And so do annotations.
            let annotations = Annotations::of_value(value);
            self.annotations[at] = match self.random.below(3) {
                0 => Annotations::unknown(),
                1 => annotations,
                _ => {
                    let hidden = self.random.below(Annotation::COUNT as usize);
                    Annotation::all()
                        .nth(hidden)
                        .map_or(annotations, |one| annotations.without(one))
                }
            };
        }
    }

    fn conditions_hold(&mut self) -> bool {
        for condition in &self.rule.conditions {
            let args: Option<Vec<u128>> = condition
                .args
                .iter()
                .zip(condition.cond.params())
                .map(|(arg, (_, sort))| match (arg, sort) {
                    (Ref::Var(var), Sort::Value) => Some(u128::from(self.classes[var.index()])),
                    (arg, _) => self.reference(*arg),
                })
                .collect();
            let Some(args) = args else { return false };
            let Some(result) = condition.eval(self, &args) else { return false };
            if condition.result.is.is_some_and(|is| is != result) {
                return false;
            }
            if let Some(var) = condition.result.var
                && self.values[var.index()].replace(result).is_some_and(|old| old != result)
            {
                return false;
            }
        }
        true
    }

    fn template(&self, template: &Template) -> Built {
        let value = match template {
            Template::Var(var) => self.values[var.index()],
            Template::Splat { ty, value } => self
                .reference(*ty)
                .zip(self.reference(*value))
                .map(|(ty, lane)| slot::ty(ty).splat_bits(lane)),
            Template::Bits { value } => self.reference(*value),
            Template::Op { op, ty, from, imm, args } => {
                return self.op_template(*op, *ty, *from, *imm, args);
            }
        };
        value.map_or(Built::Refused, Built::Value)
    }

    fn op_template(
        &self,
        op: Op,
        ty: Ref,
        from: Option<Ref>,
        imm: Option<Ref>,
        args: &[Template],
    ) -> Built {
        let read = |reference: Ref| self.reference(reference);
        let (Some(ty), Some(imm)) = (read(ty), imm.map_or(Some(0), read)) else {
            return Built::Refused;
        };
        let ty = slot::ty(ty);
        let from = from.and_then(read).map_or(ty, slot::ty);
        if !build::imm_fits(op, ty, imm) {
            return Built::Refused;
        }
        let mut operands = [0; 3];
        for (operand, arg) in operands.iter_mut().zip(args) {
            match self.template(arg) {
                Built::Value(value) => *operand = value,
                other => return other,
            }
        }
        match eval(&node(op, ty, from, imm), &operands[..args.len()]) {
            Ok(value) => Built::Value(value),
            Err(_) => Built::Trap,
        }
    }

    fn ty(&self, slot: Slot<Ty>) -> Option<Ty> {
        slot.is.or_else(|| slot.var.and_then(|var| self.types.of[var.index()]))
    }

    fn number(&self, slot: Slot<u128>) -> Option<u128> {
        slot.var.map_or(slot.is, |var| self.values[var.index()])
    }

    fn reference(&self, reference: Ref) -> Option<u128> {
        match reference {
            Ref::Var(var) => self.values[var.index()],
            Ref::Const(value) => Some(value),
        }
    }

    fn counterexample(&self, lhs: u128, rhs: Option<u128>) -> Counterexample {
        let vars = self.rule.vars.iter().zip(&self.values).filter_map(|(var, value)| {
            let value = (*value)?;
            let text = match var.sort {
                Sort::Type => slot::ty(value).name().to_owned(),
                Sort::IntCc => slot::int_cc(value).name().to_owned(),
                Sort::FloatCc => slot::float_cc(value).name().to_owned(),
                Sort::Int | Sort::Value => format!("{value:#x}"),
            };
            Some((var.name.clone(), text))
        });
        Counterexample { types: self.types.clone(), vars: vars.collect(), lhs, rhs }
    }
}

/// A node for the evaluator.
fn node(op: Op, ty: Ty, from: Ty, imm: u128) -> Node {
    let ty = if forgets_lanes(op) { ty.value() } else { ty };
    let from = if crate::prelude::has_from(op) { from } else { ty };
    Node::detached(op, ty, from, imm)
}

impl Random {
    /// An immediate of this kind, for an op of so many lanes.
    fn imm(&mut self, kind: ImmKind, lanes: u32) -> u128 {
        match kind {
            ImmKind::IntCc => self.below(egraft_ir::IntCc::ALL.len()) as u128,
            ImmKind::FloatCc => self.below(egraft_ir::FloatCc::ALL.len()) as u128,
            ImmKind::Lane => self.below(lanes as usize) as u128,
            ImmKind::Mask => self.mask(),
            ImmKind::None | ImmKind::Bits | ImmKind::Index => self.bits(),
        }
    }
}
