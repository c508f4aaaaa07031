//! Which concrete types a rule applies to.
//!
//! Invariant: for every assignment listed, both sides are well typed and have the same value
//! type; and every match of the rule in a well-typed e-graph has its types in the list.

use crate::lower::{LoweringRule, MachineTemplate};
use crate::rule::{Condition, Pattern, Ref, Rule, Slot, Template, Var, forgets_lanes};
use crate::{FactSource, Sort, VarId, slot};
use egraft_ir::machine::Kind;
use egraft_ir::{ClassId, Facts, Op, Ty};

/// One legal choice of types for a rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Types {
    /// By variable: the type that a `Type` variable stands for; the value type of a `Value`
    /// variable; `None` for others.
    pub of: Vec<Option<Ty>>,
    /// The value type of both sides.
    pub root: Ty,
}

/// Types that an operand may have: 1 bit for each of [`Ty::ALL`].
type TySet = u16;

const fn only(ty: Ty) -> TySet {
    1 << ty as u8
}

fn set(all: impl Iterator<Item = Ty>) -> TySet {
    all.fold(0, |set, ty| set | only(ty))
}

fn int_scalars() -> TySet {
    set([Ty::I8, Ty::I16, Ty::I32, Ty::I64].into_iter())
}

fn value_types() -> TySet {
    set(Ty::ALL.into_iter().map(Ty::value)) & !only(Ty::I128)
}

fn members(set: TySet) -> impl Iterator<Item = Ty> {
    Ty::ALL.into_iter().filter(move |ty| set & only(*ty) != 0)
}

/// Facts that know nothing but the types of variables: a condition that needs more is left open.
struct TypesOnly<'a>(&'a [Option<Ty>]);

impl FactSource for TypesOnly<'_> {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, _: ClassId) -> Facts {
        Facts::unknown()
    }

    /// Classes stand for variables here.
    fn class_type(&self, class: ClassId) -> Ty {
        self.0[class.index()].unwrap_or(Ty::I8)
    }
}

impl Rule {
    /// All legal choices of types, in a fixed order. Never empty for a rule that was loaded.
    pub fn types(&self) -> Vec<Types> {
        let (vars, lhs, conditions) = (&self.vars, &self.lhs, &self.conditions);
        Search { vars, lhs, conditions, rhs: Right::Ops(&self.rhs), found: Vec::new() }.run()
    }

    /// By variable of sort `Type`: the types it may stand for, 1 bit for each of [`Ty::ALL`].
    pub fn type_sets(&self) -> Vec<u16> {
        let mut sets = vec![0; self.vars.len()];
        for types in self.types() {
            for (set, ty) in sets.iter_mut().zip(&types.of) {
                *set |= ty.map_or(0, only);
            }
        }
        sets
    }

    /// Whether the lanes of a type variable matter on the left side.
    pub fn has_lanes(&self, var: VarId) -> bool {
        has_lanes(&self.lhs, var)
    }
}

impl LoweringRule {
    /// All legal choices of types, in a fixed order. Never empty for a rule that was loaded.
    pub fn types(&self) -> Vec<Types> {
        let (vars, lhs, conditions) = (&self.vars, &self.lhs, &self.conditions);
        Search { vars, lhs, conditions, rhs: Right::Machine(&self.rhs), found: Vec::new() }.run()
    }
}

/// Whether the lanes of a type variable matter on a left side: it stands at an op that looks at
/// lanes. Otherwise it stands for a value type.
fn has_lanes(lhs: &Pattern, var: VarId) -> bool {
    let mut found = false;
    lhs.walk(&mut |pattern| {
        if let Pattern::Op { op, ty, from, .. } = pattern {
            found |= ty.var == Some(var) && !forgets_lanes(*op);
            found |= from.is_some_and(|from| from.var == Some(var));
        }
    });
    found
}

/// What stands on the right.
enum Right<'a> {
    Ops(&'a Template),
    Machine(&'a MachineTemplate),
}

struct Search<'a> {
    vars: &'a [Var],
    lhs: &'a Pattern,
    conditions: &'a [Condition],
    rhs: Right<'a>,
    found: Vec<Types>,
}

impl Search<'_> {
    fn run(mut self) -> Vec<Types> {
        let mut sets = vec![None; self.vars.len()];
        self.narrow(self.lhs, &mut sets);
        let free: Vec<(VarId, TySet)> = sets
            .iter()
            .enumerate()
            .filter_map(|(at, set)| set.map(|set| (VarId(at as u16), set)))
            .collect();
        self.choose(&free, &mut vec![None; self.vars.len()]);
        self.found
    }

    /// The value type of the right side, if it is well typed.
    fn right(&self, of: &[Option<Ty>]) -> Option<Ty> {
        match self.rhs {
            Right::Ops(template) => self.template(template, of),
            Right::Machine(template) => machine_type(template, of),
        }
    }

    /// Collects for each type variable of the pattern the types that its places allow.
    fn narrow(&self, pattern: &Pattern, sets: &mut [Option<TySet>]) {
        pattern.walk(&mut |pattern| match pattern {
            Pattern::Op { op, ty, from, .. } => {
                let types = set(op.type_pairs().map(|(ty, _)| ty));
                let lanes = ty.var.is_some_and(|var| has_lanes(self.lhs, var));
                match forgets_lanes(*op) {
                    // The lanes come from elsewhere.
                    true if lanes => meet(sets, *ty, set(members(types).flat_map(same_value))),
                    true => meet(sets, *ty, set(members(types).map(Ty::value))),
                    false => meet(sets, *ty, types),
                }
                if let Some(from) = from {
                    meet(sets, *from, set(op.type_pairs().map(|(_, from)| from)));
                }
            }
            Pattern::Splat { ty, .. } => {
                let lanes = ty.var.is_some_and(|var| has_lanes(self.lhs, var));
                let all = set(members(value_types()).flat_map(same_value));
                meet(sets, *ty, if lanes { all } else { value_types() });
            }
            _ => {}
        });
    }

    fn choose(&mut self, free: &[(VarId, TySet)], of: &mut Vec<Option<Ty>>) {
        let Some(((var, set), rest)) = free.split_first() else {
            let mut of = of.clone();
            if let Some(root) = self.check_lhs(&mut of) {
                self.choose_scalars(&mut of, root);
            }
            return;
        };
        for ty in members(*set) {
            of[var.index()] = Some(ty);
            self.choose(rest, of);
        }
        of[var.index()] = None;
    }

    /// Classes that only stand where any integer scalar will do may be of each such type.
    fn choose_scalars(&mut self, of: &mut Vec<Option<Ty>>, root: Ty) {
        let open = self
            .vars
            .iter()
            .zip(of.iter())
            .position(|(var, ty)| var.sort == Sort::Value && ty.is_none());
        let Some(open) = open else {
            let mut of = of.clone();
            if self.conditions_hold(&mut of) && self.right(&of) == Some(root) {
                self.found.push(Types { of, root });
            }
            return;
        };
        for ty in members(int_scalars()) {
            of[open] = Some(ty);
            self.choose_scalars(of, root);
        }
        of[open] = None;
    }

    fn check_lhs(&self, of: &mut [Option<Ty>]) -> Option<Ty> {
        let before = of.to_vec();
        members(value_types()).find(|root| {
            of.copy_from_slice(&before);
            // The second time the types of all variables are known wherever they stand.
            self.pattern(self.lhs, only(*root), of) && self.pattern(self.lhs, only(*root), of)
        })
    }

    /// Whether the pattern may have a type of `want`; learns the types of value variables.
    fn pattern(&self, pattern: &Pattern, want: TySet, of: &mut [Option<Ty>]) -> bool {
        match pattern {
            Pattern::Var(var) => {
                match of[var.index()] {
                    Some(ty) => return want & only(ty) != 0,
                    None if want.count_ones() == 1 => of[var.index()] = members(want).next(),
                    None => {}
                }
                true
            }
            Pattern::Bind(var, inner) => {
                let Some(ty) = self.type_of(inner, of) else { return false };
                let agrees = want & only(ty) != 0 && of[var.index()].is_none_or(|old| old == ty);
                of[var.index()] = Some(ty);
                agrees && self.pattern(inner, want, of)
            }
            Pattern::And(all) => all.iter().all(|one| self.pattern(one, want, of)),
            Pattern::Bits { .. } => want & only(Ty::I8X16) != 0,
            Pattern::Splat { ty, .. } => {
                read(*ty, of).is_some_and(|ty| want & only(ty.value()) != 0)
            }
            Pattern::Op { op, ty, from, args, .. } => {
                let Some((ty, from)) =
                    node_types(*op, read(*ty, of), from.map(|from| read(from, of)))
                else {
                    return false;
                };
                let fits = op.result_type(ty).is_some_and(|ty| want & only(ty.value()) != 0);
                fits && args
                    .iter()
                    .enumerate()
                    .all(|(at, arg)| self.pattern(arg, operand_set(*op, ty, from, at), of))
            }
        }
    }

    /// The value type of a pattern that has one of its own.
    fn type_of(&self, pattern: &Pattern, of: &[Option<Ty>]) -> Option<Ty> {
        match pattern {
            Pattern::Var(var) => of[var.index()],
            Pattern::Bind(_, inner) => self.type_of(inner, of),
            Pattern::And(all) => all.iter().find_map(|one| self.type_of(one, of)),
            Pattern::Bits { .. } => Some(Ty::I8X16),
            Pattern::Splat { ty, .. } => read(*ty, of).map(Ty::value),
            Pattern::Op { op, ty, .. } => op.result_type(read(*ty, of)?).map(Ty::value),
        }
    }

    /// Whether the conditions that depend on types alone hold; computes the types they give.
    fn conditions_hold(&self, of: &mut [Option<Ty>]) -> bool {
        // Numbers that follow from types alone, such as `lane_bits`.
        let mut numbers: Vec<Option<u128>> = vec![None; of.len()];
        for condition in self.conditions {
            if condition.cond.reads_facts() {
                continue;
            }
            let identity = matches!(condition.cond, crate::Cond::same | crate::Cond::distinct);
            let args: Option<Vec<u128>> = condition
                .args
                .iter()
                .zip(condition.cond.params())
                .map(|(arg, (_, sort))| match (arg, sort) {
                    (Ref::Const(value), _) => Some(*value),
                    (Ref::Var(var), Sort::Type) => of[var.index()].map(slot::of_ty),
                    (Ref::Var(_), Sort::Value) if identity => None,
                    (Ref::Var(var), Sort::Value) => Some(u128::from(var.0)),
                    (Ref::Var(var), _) => numbers[var.index()],
                })
                .collect();
            let Some(args) = args else { continue };
            let Some(result) = condition.cond.eval(&TypesOnly(of), &args) else { return false };
            if condition.result.is.is_some_and(|is| is != result) {
                return false;
            }
            let Some(var) = condition.result.var else { continue };
            if condition.cond.result() == Some(Sort::Type) {
                let ty = slot::ty(result);
                if of[var.index()].replace(ty).is_some_and(|old| old != ty) {
                    return false;
                }
            } else if numbers[var.index()].is_none() {
                // A variable that a constant binds too is compared when matching.
                numbers[var.index()] = Some(result);
            }
        }
        true
    }

    /// The value type of a template, if it is well typed.
    fn template(&self, template: &Template, of: &[Option<Ty>]) -> Option<Ty> {
        match template {
            Template::Var(var) => of[var.index()],
            Template::Bits { .. } => Some(Ty::I8X16),
            Template::Splat { ty, .. } => {
                Some(resolve(*ty, of)?).filter(|ty| *ty != Ty::I128).map(Ty::value)
            }
            Template::Op { op, ty, from, args, .. } => {
                let from = from.map(|from| resolve(from, of));
                let (ty, from) = node_types(*op, resolve(*ty, of), from)?;
                let fit = args.iter().enumerate().all(|(at, arg)| {
                    self.template(arg, of)
                        .is_some_and(|arg| operand_set(*op, ty, from, at) & only(arg) != 0)
                });
                op.result_type(ty).filter(|_| fit).map(Ty::value)
            }
        }
    }
}

/// The value type of a template of machine ops, if its operands are what the ops take.
fn machine_type(template: &MachineTemplate, of: &[Option<Ty>]) -> Option<Ty> {
    let kind = |kind: Kind| match kind {
        Kind::Vector => Ty::I8X16,
        Kind::Gpr32 => Ty::I32,
        Kind::Gpr64 => Ty::I64,
    };
    match template {
        MachineTemplate::Var(var) => of[var.index()],
        MachineTemplate::Bits { .. } => Some(Ty::I8X16),
        MachineTemplate::Splat { ty, .. } => resolve(*ty, of).map(Ty::value),
        MachineTemplate::Op { op, args, .. } => {
            let fit = op.args().len() == args.len()
                && args
                    .iter()
                    .zip(op.args())
                    .all(|(arg, takes)| machine_type(arg, of) == Some(kind(*takes)));
            fit.then(|| kind(op.result()))
        }
    }
}

/// Both types of a node, if the op allows them.
fn node_types(op: Op, ty: Option<Ty>, from: Option<Option<Ty>>) -> Option<(Ty, Ty)> {
    let ty = if forgets_lanes(op) { ty?.value() } else { ty? };
    let from = match from {
        Some(from) => from?,
        None => ty,
    };
    let allowed = match forgets_lanes(op) {
        true => op.types().contains(ty),
        false => op.allows(ty, from),
    };
    // Types of 128-bit scalars occur in no rule: nothing in wasm gives them.
    (allowed && ty != Ty::I128 && from != Ty::I128).then_some((ty, from))
}

/// The value types that operand `at` may have.
pub(crate) fn operand_set(op: Op, ty: Ty, from: Ty, at: usize) -> u16 {
    op.operand_type(ty, from, at).map_or_else(int_scalars, |ty| only(ty.value()))
}

fn same_value(ty: Ty) -> impl Iterator<Item = Ty> {
    Ty::ALL.into_iter().filter(move |other| other.value() == ty.value())
}

/// Cuts down the set of the variable of `slot`, and to the type asked for if there is one.
fn meet(sets: &mut [Option<TySet>], slot: Slot<Ty>, set: TySet) {
    let set = set & !only(Ty::I128) & slot.is.map_or(TySet::MAX, only);
    if let Some(var) = slot.var {
        let old = sets[var.index()].get_or_insert(TySet::MAX);
        *old &= set;
    }
}

fn read(slot: Slot<Ty>, of: &[Option<Ty>]) -> Option<Ty> {
    slot.is.or_else(|| slot.var.and_then(|var| of[var.index()]))
}

fn resolve(reference: Ref, of: &[Option<Ty>]) -> Option<Ty> {
    match reference {
        Ref::Const(value) => Some(slot::ty(value)),
        Ref::Var(var) => of[var.index()],
    }
}
