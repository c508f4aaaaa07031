//! Phases: which rules run when, as data.

use crate::error::InferError;
use crate::space::{Expr, Space};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A step of the schedule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name, which rule files carry in their headers.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// Batches of saturation.
    pub iterations: usize,
    /// Nodes that the graph may grow to.
    pub nodes: usize,
    /// Which rules belong to it; a rule belongs to the first phase of `order` that takes it.
    pub takes: Takes,
}

/// Which rules belong to a phase. What is not said is not asked.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Takes {
    /// Whether the right side costs less.
    #[serde(default)]
    pub cheaper: Option<bool>,
    /// The right side has one of these ops, and the left side has none of them.
    #[serde(default)]
    pub brings: Vec<String>,
    /// One side has one of these ops.
    #[serde(default)]
    pub has: Vec<String>,
}

/// The phases in the order in which they run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The phases as they run.
    pub phases: Vec<Phase>,
    /// The order in which phases are asked whether they take a rule; the last takes all.
    pub order: Vec<String>,
}

impl Schedule {
    /// The schedule that comes with Egraft.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn built_in() -> Schedule {
        serde_json::from_str(include_str!("../../../isle-rules/inferred/phases.json"))
            .expect("the schedule is checked by a test")
    }

    /// Reads a schedule.
    ///
    /// # Errors
    /// [`InferError::File`] if it cannot be read, [`InferError::Format`] if it says nothing that is
    /// understood or names a phase that it does not define.
    pub fn read(path: &Path) -> Result<Schedule, InferError> {
        let text = std::fs::read_to_string(path).map_err(InferError::file(path))?;
        let bad = |line, why| InferError::Format { path: path.to_owned(), line, why };
        let schedule: Schedule =
            serde_json::from_str(&text).map_err(|error| bad(error.line(), error.to_string()))?;
        let unknown =
            schedule.order.iter().find(|name| !schedule.phases.iter().any(|p| p.name == **name));
        match unknown {
            Some(name) => Err(bad(1, format!("`order` names `{name}`, which is no phase in it"))),
            None if schedule.order.is_empty() => Err(bad(1, "`order` names no phase".to_owned())),
            None => Ok(schedule),
        }
    }

    /// The phase that a rule belongs to.
    pub(crate) fn phase_of(&self, space: &Space, lhs: &Expr, rhs: &Expr) -> &str {
        let has = |side: &Expr, ops: &[String]| {
            side.heads().iter().any(|head| ops.iter().any(|op| op == head.op.name()))
        };
        let takes = |name: &&String| {
            let Some(phase) = self.phases.iter().find(|phase| phase.name == **name) else {
                return false;
            };
            let takes = &phase.takes;
            let cheaper = space.cost(rhs) < space.cost(lhs);
            takes.cheaper.is_none_or(|is| is == cheaper)
                && (takes.brings.is_empty() || has(rhs, &takes.brings) && !has(lhs, &takes.brings))
                && (takes.has.is_empty() || has(lhs, &takes.has) || has(rhs, &takes.has))
        };
        let taken = self.order.iter().find(takes).or(self.order.last());
        taken.map_or("optimise", String::as_str)
    }
}
