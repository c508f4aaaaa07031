//! Judges candidates: random values first, then the prover, from the general form to the special.
//!
//! Invariant: what is proven was proven at every type that the form applies to.

use crate::enumerate::Candidate;
use crate::error::InferError;
use crate::general::{Built, Form, Imms, Types, build};
use crate::premise::Premise;
use crate::space::Space;
use egraft_ir::Ty;
use egraft_rules::{Rule, check_rule};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// Tuples of values on which a form is tried before it goes to the prover.
const TUPLES: usize = 400;

/// What became of a candidate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// Proven in this form.
    Proven {
        form: Form,
        /// Choices of types proven.
        instances: usize,
        /// Whether the other direction was proven too.
        both_ways: bool,
    },
    Refuted,
    Unknown(String),
}

/// A rule of a candidate in one form, and the same from right to left.
pub(crate) struct Stated {
    pub(crate) forth: Built,
    pub(crate) back: Option<Built>,
}

pub(crate) fn state(
    space: &Space,
    premise: &Premise,
    candidate: &Candidate,
    form: Form,
) -> Option<Stated> {
    let Candidate { lhs, rhs, both_ways, .. } = candidate;
    let forth = build(space, premise, lhs, rhs, form)?;
    let back = both_ways.then(|| build(space, premise, rhs, lhs, form)).flatten();
    Some(Stated { forth, back })
}

/// The types that the others of a rule follow from, where it applies.
pub(crate) fn anchors(built: &Built) -> Vec<Ty> {
    let Some(var) = built.anchor_var else { return vec![built.anchor] };
    let mut all: Vec<Ty> = built.rule.types().iter().filter_map(|t| t.of[var.index()]).collect();
    all.sort();
    all.dedup();
    // The type the pair was found at comes first.
    all.sort_by_key(|ty| *ty != built.anchor);
    all
}

/// Forms that need not be tried again.
#[derive(Default)]
pub(crate) struct Tried {
    forms: FxHashSet<(Imms, Vec<egraft_rules::Types>)>,
    hard: Vec<Types>,
}

/// The most general form that no values refute, if there is one.
pub(crate) fn tested(
    space: &Space,
    premise: &Premise,
    candidate: &Candidate,
    tried: &mut Tried,
) -> Option<(Form, Stated)> {
    Form::all(&candidate.lhs).into_iter().find_map(|form| {
        let stated = state(space, premise, candidate, form)?;
        // Forms that apply to the same types with the same conditions need one test.
        let rule = &stated.forth.rule;
        let types = rule.types();
        if types.is_empty()
            || tried.hard.contains(&form.types)
            || !tried.forms.insert((form.imms, types))
        {
            return None;
        }
        holds(rule).then_some((form, stated))
    })
}

fn holds(rule: &Rule) -> bool {
    check_rule(rule, TUPLES, 1).holds()
}

/// Provers, one for each thread that asks.
pub(crate) struct Provers {
    free: Mutex<Vec<egraft_verify::Prover>>,
    timeout_ms: u32,
}

/// What a prover says of a rule.
enum Answer {
    Proven(usize),
    Refuted,
    Unknown(String),
}

impl Provers {
    pub(crate) fn new(timeout_ms: u32) -> Provers {
        Provers { free: Mutex::new(Vec::new()), timeout_ms }
    }

    fn prove(&self, rule: &Rule) -> Result<Answer, InferError> {
        let failed = |error: &dyn std::fmt::Display| InferError::Prover(error.to_string());
        let free = self.free.lock().map_err(|error| failed(&error))?.pop();
        let mut prover = match free {
            Some(prover) => prover,
            None => egraft_verify::Prover::start(egraft_verify::Options {
                timeout_ms: self.timeout_ms,
                ..Default::default()
            })
            .map_err(|error| failed(&error))?,
        };
        // A prover that failed is not used again.
        let proof = prover.prove(rule).map_err(|error| failed(&error))?;
        self.free.lock().map_err(|error| failed(&error))?.push(prover);
        Ok(match proof.verdict() {
            egraft_verify::Verdict::Proven => Answer::Proven(proof.instances.len()),
            egraft_verify::Verdict::ProvenButNans => Answer::Unknown("NaNs may differ".to_owned()),
            egraft_verify::Verdict::Refuted(_) => Answer::Refuted,
            egraft_verify::Verdict::Unknown(why) => Answer::Unknown(why),
        })
    }

    /// Judges a candidate.
    ///
    /// # Errors
    /// [`InferError::Prover`] if the prover cannot be run; not where it has no answer.
    pub(crate) fn judge(
        &self,
        space: &Space,
        premise: &Premise,
        candidate: &Candidate,
    ) -> Result<Verdict, InferError> {
        let mut tried = Tried::default();
        let mut open = None;
        while let Some((form, stated)) = tested(space, premise, candidate, &mut tried) {
            match self.prove(&stated.forth.rule)? {
                Answer::Proven(instances) => {
                    let back = match &stated.back {
                        Some(back) if holds(&back.rule) => self.prove(&back.rule)?,
                        _ => Answer::Refuted,
                    };
                    let both_ways = matches!(back, Answer::Proven(_));
                    return Ok(Verdict::Proven { form, instances, both_ways });
                }
                Answer::Refuted => {}
                Answer::Unknown(why) => {
                    open = Some(why);
                    // What is too hard for all types is so for most of them.
                    tried.hard.push(Types::Vector);
                    tried.hard.push(Types::Scalar);
                }
            }
        }
        Ok(open.map_or(Verdict::Refuted, Verdict::Unknown))
    }
}
