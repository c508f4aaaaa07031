//! Counterexamples: the values a solver found, tried in the evaluator.

use super::encode::{self, Instance, Leaves};
use egraft_ir::{Concrete, Ty};
use egraft_rules::{Rule, Sort, VarId};
use std::collections::BTreeMap;
use std::fmt;

/// Values of the variables of a rule.
pub(super) type Values = BTreeMap<VarId, u128>;

/// Values for which a rule is wrong, by the evaluator's word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// Name and value of each variable: types by name, numbers in hexadecimal.
    pub vars: Vec<(String, String)>,
    /// The bits of the left side.
    pub lhs: u128,
    /// The bits of the right side; `None` where it traps.
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
            None => f.write_str("traps"),
        }
    }
}

struct Known<'a>(&'a Values);

impl Leaves<Concrete> for Known<'_> {
    fn value(&mut self, _: &mut Concrete, var: VarId, width: u32) -> u128 {
        self.0.get(&var).copied().unwrap_or(0) & (u128::MAX >> (128 - width))
    }

    fn number(&mut self, d: &mut Concrete, var: VarId, width: u32) -> u128 {
        self.value(d, var, width)
    }

    fn open(&mut self, _: &mut Concrete, least: u128) -> u128 {
        least
    }

    fn number_of(&self, _: &Concrete, x: &u128) -> Option<u128> {
        Some(*x)
    }
}

/// Whether the evaluator, too, finds that the rule is wrong for these values.
///
/// Conditions on numbers are computed as the matcher computes them; facts are looked up in the values.
pub(super) fn replay(rule: &Rule, instance: &Instance, values: &Values) -> Option<Counterexample> {
    let encoded = encode::encode(&mut Concrete, &mut Known(values), rule, instance)?;
    if !encoded.facts.iter().all(|holds| *holds) {
        return None;
    }
    let traps = encoded.demands.iter().any(|holds| !holds);
    if encoded.lhs == encoded.rhs && !traps {
        return None;
    }
    let vars = rule
        .vars
        .iter()
        .enumerate()
        .filter_map(|(at, var)| {
            let id = VarId(at as u16);
            let fixed = instance.fixed.iter().find(|(fixed, _)| *fixed == id);
            let value = match (var.sort, fixed) {
                (Sort::Type, _) => instance.types.of[at].map(Ty::name)?.to_owned(),
                (_, Some((_, number))) => format!("{number:#x}"),
                _ => format!("{:#x}", values.get(&id)?),
            };
            Some((var.name.clone(), value))
        })
        .collect();
    Some(Counterexample { vars, lhs: encoded.lhs, rhs: (!traps).then_some(encoded.rhs) })
}
