//! Premises: conditions on atoms under which a workload is looked at once more.
//!
//! Reads their text, evaluates them on values and on facts. Invariant: a premise holds on facts
//! only if it holds of every value they allow, as conditions of rules do.

use crate::error::InferError;
use crate::space::{Kind, Space, View};
use egraft_ir::{ClassId, Facts, Ty};
use egraft_rules::{Cond, FactSource, Sort, slot};

/// An argument of a premise's condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Arg {
    /// An atom, by its place.
    Atom(u8),
    /// The base type.
    Ty,
    /// The base's lane width minus a number.
    WidthMinus(u32),
    /// Half the base's lane width.
    HalfWidth,
    Number(u128),
}

/// A condition, and the atom that its result defines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) cond: Cond,
    pub(crate) args: Vec<Arg>,
    pub(crate) result: Option<u8>,
}

/// Conditions that hold together; none for the workload as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Premise {
    pub(crate) text: String,
    pub(crate) steps: Vec<Step>,
}

impl Premise {
    /// Reads `[result =] condition argument…`, several joined by `;`.
    ///
    /// Arguments are atoms, numbers, `ty` (the base type), `w`, `w-1` or `w/2` of its lane width.
    ///
    /// # Errors
    /// [`InferError::Workload`] naming the part that has no meaning.
    pub(crate) fn parse(text: &str, workload: &str, space: &Space) -> Result<Premise, InferError> {
        let bad = |part: &str, why: &str| InferError::Workload {
            workload: workload.to_owned(),
            part: format!("premise `{text}`: `{part}`"),
            why: why.to_owned(),
        };
        let mut steps = Vec::new();
        for part in text.split(';') {
            let (result, call) = match part.split_once('=') {
                Some((name, call)) => (Some(name.trim()), call),
                None => (None, part),
            };
            let mut words = call.split_whitespace();
            let name = words.next().unwrap_or("");
            let cond = Cond::ALL.iter().copied().find(|cond| cond.name() == name);
            let cond =
                cond.ok_or_else(|| bad(name, "is no condition; isle-rules/README.md lists them"))?;
            let args: Result<Vec<Arg>, InferError> = words
                .map(|word| {
                    Ok(match word {
                        "ty" => Arg::Ty,
                        "w" => Arg::WidthMinus(0),
                        "w-1" => Arg::WidthMinus(1),
                        "w/2" => Arg::HalfWidth,
                        _ => match (word.parse(), space.atom(word)) {
                            (Ok(number), _) => Arg::Number(number),
                            (_, Some(at)) => Arg::Atom(at),
                            _ => return Err(bad(word, "is no atom, number, `ty`, `w` or `w/2`")),
                        },
                    })
                })
                .collect();
            let args = args?;
            if args.len() != cond.params().len() {
                return Err(bad(part, "has the wrong number of arguments"));
            }
            for (arg, (_, sort)) in args.iter().zip(cond.params()) {
                let fits = match (arg, sort) {
                    (Arg::Ty, Sort::Type) => true,
                    (Arg::Atom(at), Sort::Value) => {
                        let atom = &space.atoms[*at as usize];
                        atom.kind == Kind::Var && atom.view == View::Of(space.base)
                    }
                    (Arg::Atom(at), Sort::Int) => space.atoms[*at as usize].is_constant(),
                    (Arg::WidthMinus(_) | Arg::HalfWidth | Arg::Number(_), Sort::Int) => true,
                    _ => false,
                };
                if !fits {
                    return Err(bad(part, "has an argument of the wrong sort"));
                }
            }
            let result = match result {
                None => None,
                Some(name) => Some(
                    space
                        .atom(name)
                        .filter(|at| space.atoms[*at as usize].kind == Kind::Derived)
                        .ok_or_else(|| bad(name, "is no atom that is written with `=`"))?,
                ),
            };
            steps.push(Step { cond, args, result });
        }
        Ok(Premise { text: text.to_owned(), steps })
    }

    /// Whether the premise says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The atoms it speaks of, 1 bit each.
    pub(crate) fn atoms(&self) -> u64 {
        self.steps.iter().fold(0, |set, step| {
            let args = step.args.iter().fold(set, |set, arg| match arg {
                Arg::Atom(at) => set | 1 << at,
                _ => set,
            });
            step.result.map_or(args, |at| args | 1 << at)
        })
    }

    /// The atoms it defines, 1 bit each.
    pub(crate) fn defines(&self) -> u64 {
        self.steps.iter().filter_map(|step| step.result).fold(0, |set, at| set | 1 << at)
    }

    /// Evaluates the steps that read values, or those that do not, in lanes of type `ty`; defines
    /// what they define. `numbers` has the constants by atom, `facts` what is known of values.
    pub(crate) fn holds(
        &self,
        ty: Ty,
        of_values: bool,
        numbers: &mut [u128],
        facts: &AtomFacts<'_>,
    ) -> bool {
        self.steps.iter().all(|step| {
            let reads = step.cond.params().iter().any(|(_, sort)| *sort == Sort::Value);
            if reads != of_values {
                return true;
            }
            let args: Vec<u128> = step
                .args
                .iter()
                .zip(step.cond.params())
                .map(|(arg, (_, sort))| match arg {
                    Arg::Atom(at) if *sort == Sort::Value => u128::from(*at),
                    Arg::Atom(at) => numbers[*at as usize],
                    Arg::Ty => slot::of_ty(ty),
                    Arg::WidthMinus(less) => u128::from(ty.lane_bits() - less),
                    Arg::HalfWidth => u128::from(ty.lane_bits() / 2),
                    Arg::Number(number) => *number,
                })
                .collect();
            match (step.cond.eval(facts, &args), step.result) {
                (None, _) => false,
                (Some(value), Some(at)) => {
                    numbers[at as usize] = value;
                    true
                }
                (Some(_), None) => true,
            }
        })
    }
}

/// What is known of atoms, which stand for classes.
pub(crate) struct AtomFacts<'a> {
    pub(crate) ty: Ty,
    pub(crate) known: &'a [Facts],
}

impl FactSource for AtomFacts<'_> {
    fn constant(&self, _: ClassId) -> Option<u128> {
        None
    }

    fn facts(&self, class: ClassId) -> Facts {
        self.known[class.index()]
    }

    fn class_type(&self, _: ClassId) -> Ty {
        self.ty.value()
    }
}
