//! What validation found.

use crate::solve::Counterexample;
use serde::Serialize;
use std::collections::BTreeMap;

/// What was found of one step of compiling one function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Effects with the same operands before and after, as both sides make them alike.
    pub alike: usize,
    /// Effects with the same operands, as the solver or its simplifier proved.
    pub solved: usize,
    /// Effects of which it is not known.
    pub unknown: Vec<Unproven>,
    /// Effects with other operands than before, and what is missing or added.
    pub failed: Vec<Failed>,
    /// What was taken for granted, and how often.
    pub assumptions: BTreeMap<&'static str, usize>,
    /// Questions put to the solver.
    pub queries: usize,
}

/// An effect of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unproven {
    /// The block and the instruction.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// An effect that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The block and the instruction.
    pub place: String,
    /// What is different.
    pub what: String,
    /// Values for which it shows.
    pub example: Option<Counterexample>,
}

impl Checked {
    /// Effects looked at.
    pub fn effects(&self) -> usize {
        self.proven() + self.unknown.len() + self.failed.len()
    }

    /// Effects proven.
    pub fn proven(&self) -> usize {
        self.alike + self.solved
    }

    /// Adds the counts and findings of `other`.
    pub fn add(&mut self, other: Checked) {
        self.alike += other.alike;
        self.solved += other.solved;
        self.queries += other.queries;
        self.unknown.extend(other.unknown);
        self.failed.extend(other.failed);
        for (what, count) in other.assumptions {
            *self.assumptions.entry(what).or_default() += count;
        }
    }

    pub(crate) fn assume(&mut self, what: &'static str) {
        *self.assumptions.entry(what).or_default() += 1;
    }

    pub(crate) fn fail(&mut self, place: impl Into<String>, what: impl Into<String>) {
        self.failed.push(Failed { place: place.into(), what: what.into(), example: None });
    }
}
