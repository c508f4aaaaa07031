//! Lowering rules of rule files as terms, so that what stands in git is what was proven.

use super::term::{Clif, Machine};
use egraft_ir::{ClassId, Facts, Op, Ty};
use egraft_rules::{
    Cond, FactSource, LoweringRule, MachineTemplate, Pattern, Ref, Slot, Sort, VarId, slot,
};
use std::collections::BTreeMap;

/// A rule with all numbers given.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The left side.
    pub clif: Clif,
    /// The right side.
    pub machine: Machine,
    /// What conditions say of values.
    pub facts: Vec<Fact>,
}

/// What a condition says of every lane of some values.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The condition.
    pub cond: Cond,
    /// The lanes.
    pub ty: Ty,
    /// The values.
    pub values: Vec<Clif>,
    /// The number that it is about.
    pub number: u128,
}

/// Both sides of a rule whose types and numbers are all given; `None` for other rules.
pub fn terms(rule: &LoweringRule) -> Option<(Clif, Machine)> {
    let [only] = &instances(rule)?[..] else { return None };
    only.facts.is_empty().then(|| (only.clif.clone(), only.machine.clone()))
}

/// All instances of a rule whose types are given: each number that its conditions allow. A constant of which is said only that
/// its lanes fit a narrower type is any vector of that type, widened. `None` where a rule has types or constants
/// left open, or says of values what [`Fact`] cannot.
pub fn instances(rule: &LoweringRule) -> Option<Vec<Instance>> {
    let mut numbers: Vec<(VarId, Ty)> = Vec::new();
    collect(&rule.lhs, &mut numbers);
    let widened: BTreeMap<VarId, Op> = rule.conditions.iter().filter_map(widening).collect();
    numbers.retain(|(var, _)| !widened.contains_key(var));
    let mut found = Vec::new();
    let mut choices = vec![BTreeMap::new()];
    for (var, ty) in numbers {
        // Amounts of shifts; otherwise halves of what is shifted out, which are powers of two.
        let values: Vec<u128> = match ty {
            Ty::I32 => (0..64).collect(),
            _ => (0..ty.lane_bits()).map(|bit| 1 << bit).collect(),
        };
        choices = choices
            .iter()
            .flat_map(|choice: &BTreeMap<VarId, u128>| {
                values.iter().map(|value| {
                    let mut choice = choice.clone();
                    choice.insert(var, *value);
                    choice
                })
            })
            .collect();
    }
    for numbers in choices {
        let mut reader = Reader { numbers, ..Reader::new(rule, &widened) };
        let Some(facts) = reader.conditions()? else { continue };
        let clif = reader.clif(&rule.lhs)?;
        let machine = reader.machine(&rule.rhs)?;
        let facts: Option<Vec<Fact>> = facts.into_iter().map(|fact| reader.fact(fact)).collect();
        found.push(Instance { clif, machine, facts: facts? });
    }
    Some(found)
}

/// Number variables of a left side and the types of the constants they stand in, each once.
fn collect(pattern: &Pattern, numbers: &mut Vec<(VarId, Ty)>) {
    pattern.walk(&mut |part| {
        if let Pattern::Splat { ty, value } = part
            && let (Some(ty), Some(var)) = (ty.is, value.var)
            && numbers.iter().all(|(known, _)| *known != var)
        {
            numbers.push((var, ty));
        }
    });
}

/// The variable of which a condition says that it fits a narrower lane, and the op that widens it.
fn widening(condition: &egraft_rules::Condition) -> Option<(VarId, Op)> {
    let (op, value) = match condition.cond.name() {
        "imm_fits_unsigned" => (Op::UwidenLow, condition.args[0]),
        "imm_fits_signed" => (Op::SwidenLow, condition.args[1]),
        _ => return None,
    };
    match value {
        Ref::Var(var) => Some((var, op)),
        Ref::Const(_) => None,
    }
}

/// Nothing is known of any class.
struct Nothing;

impl FactSource for Nothing {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, _: ClassId) -> Facts {
        Facts::unknown()
    }

    fn class_type(&self, _: ClassId) -> Ty {
        Ty::I8X16
    }
}

struct Reader<'a> {
    rule: &'a LoweringRule,
    /// Variables in the order in which they occur; their places are leaves.
    leaves: Vec<VarId>,
    numbers: BTreeMap<VarId, u128>,
    /// Numbers that are any vector, widened.
    widened: &'a BTreeMap<VarId, Op>,
    /// Parts of the left side with names.
    bound: BTreeMap<VarId, Clif>,
}

impl<'a> Reader<'a> {
    fn new(rule: &'a LoweringRule, widened: &'a BTreeMap<VarId, Op>) -> Reader<'a> {
        Reader {
            rule,
            leaves: Vec::new(),
            numbers: BTreeMap::new(),
            widened,
            bound: BTreeMap::new(),
        }
    }

    /// The conditions about values; `None` within if one about numbers fails, `None` if one cannot be read.
    #[allow(clippy::option_option, reason = "not read and not met are two things")]
    fn conditions(&mut self) -> Option<Option<Vec<&'a egraft_rules::Condition>>> {
        let mut facts = Vec::new();
        for condition in &self.rule.conditions {
            if condition.cond.reads_facts() {
                // What is not known says nothing of values.
                facts.extend((!condition.negative).then_some(condition));
                continue;
            }
            if widening(condition).is_some_and(|(var, _)| self.widened.contains_key(&var)) {
                continue;
            }
            let args: Option<Vec<u128>> =
                condition.args.iter().map(|arg| self.number(*arg)).collect();
            let Some(got) = condition.cond.eval(&Nothing, &args?) else { return Some(None) };
            if condition.result.is.is_some_and(|is| is != got) {
                return Some(None);
            }
            if let Some(var) = condition.result.var
                && *self.numbers.entry(var).or_insert(got) != got
            {
                return Some(None);
            }
        }
        Some(Some(facts))
    }

    fn number(&self, of: Ref) -> Option<u128> {
        match of {
            Ref::Const(value) => Some(value),
            Ref::Var(var) => self.numbers.get(&var).copied(),
        }
    }

    fn fact(&self, condition: &egraft_rules::Condition) -> Option<Fact> {
        let mut fact = Fact { cond: condition.cond, ty: Ty::I8X16, values: Vec::new(), number: 0 };
        for (arg, (_, sort)) in condition.args.iter().zip(condition.cond.params()) {
            match (sort, *arg) {
                (Sort::Type, Ref::Const(ty)) => fact.ty = slot::ty(ty),
                (Sort::Int, arg) => fact.number = self.number(arg)?,
                (_, Ref::Var(var)) => {
                    let leaf = self.leaves.iter().position(|leaf| *leaf == var);
                    let leaf = leaf.map(|at| Clif::Leaf(at as u8));
                    fact.values.push(leaf.or_else(|| self.bound.get(&var).cloned())?);
                }
                _ => return None,
            }
        }
        let known =
            ["no_uadd_wrap", "no_sadd_wrap", "no_ssub_wrap", "fits_unsigned", "fits_signed"];
        known.contains(&fact.cond.name()).then_some(fact)
    }

    fn leaf(&mut self, var: VarId) -> u8 {
        let known = self.leaves.iter().position(|leaf| *leaf == var);
        known.unwrap_or_else(|| {
            self.leaves.push(var);
            self.leaves.len() - 1
        }) as u8
    }

    /// Whether the rule is about the upper halves of vectors.
    fn is_high(&self) -> bool {
        let mut is_high = false;
        self.rule.lhs.walk(&mut |part| {
            is_high |= matches!(part, Pattern::Op { op: Op::UwidenHigh | Op::SwidenHigh, .. });
        });
        is_high
    }

    fn clif(&mut self, pattern: &Pattern) -> Option<Clif> {
        Some(match pattern {
            Pattern::Var(var) => Clif::Leaf(self.leaf(*var)),
            Pattern::Bind(var, inner) => {
                let clif = self.clif(inner)?;
                self.bound.insert(*var, clif.clone());
                clif
            }
            Pattern::Splat { ty, value }
                if value.var.is_some_and(|var| self.widened.contains_key(&var)) =>
            {
                let var = value.var?;
                let op = match (self.widened[&var], self.is_high()) {
                    (Op::UwidenLow, true) => Op::UwidenHigh,
                    (Op::SwidenLow, true) => Op::SwidenHigh,
                    (op, _) => op,
                };
                let narrow = match fixed(*ty)? {
                    Ty::I16X8 => Ty::I8X16,
                    Ty::I32X4 => Ty::I16X8,
                    Ty::I64X2 => Ty::I32X4,
                    _ => return None,
                };
                let leaf = Clif::Leaf(self.leaf(var));
                Clif::Op { op, ty: narrow, imm: 0, args: vec![leaf] }
            }
            Pattern::Splat { ty, value } if fixed(*ty)?.is_vector() => {
                let (ty, value) = (fixed(*ty)?, self.slot(*value)?);
                Clif::Splat(ty, (value & ty.lane_mask()) as u64)
            }
            Pattern::Splat { value, .. } => Clif::Amount(self.slot(*value)? as u32),
            Pattern::Op { op, ty, imm, args, .. } => {
                let args: Option<Vec<Clif>> = args.iter().map(|arg| self.clif(arg)).collect();
                let imm = imm.map_or(Some(0), fixed)?;
                Clif::Op { op: *op, ty: fixed(*ty)?, imm, args: args? }
            }
            Pattern::Bits { .. } | Pattern::And(_) => return None,
        })
    }

    fn slot(&self, slot: Slot<u128>) -> Option<u128> {
        slot.is.or_else(|| self.numbers.get(&slot.var?).copied())
    }

    fn machine(&mut self, template: &MachineTemplate) -> Option<Machine> {
        Some(match template {
            MachineTemplate::Var(var) => Machine::Leaf(self.leaf(*var)),
            MachineTemplate::Splat { value: Ref::Var(var), .. } => {
                self.widened.get(var)?;
                Machine::Leaf(self.leaf(*var))
            }
            MachineTemplate::Splat { ty: Ref::Const(ty), value: Ref::Const(value) } => {
                let ty: Ty = slot::ty(*ty);
                Machine::Splat(ty, (value & ty.lane_mask()) as u64)
            }
            MachineTemplate::Op { op, imm, args } => {
                let args: Option<Vec<Machine>> = args.iter().map(|arg| self.machine(arg)).collect();
                let imm = imm.map_or(Some(0), |imm| self.number(imm))?;
                Machine::Op { op: *op, imm: u32::try_from(imm).ok()?, args: args? }
            }
            MachineTemplate::Splat { .. } | MachineTemplate::Bits { .. } => return None,
        })
    }
}

/// The value that a slot asks for.
fn fixed<T: Copy>(slot: Slot<T>) -> Option<T> {
    slot.is
}
