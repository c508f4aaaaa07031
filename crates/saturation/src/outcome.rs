//! What a run is bounded by and what it gives.

use egraft_egraph::bulk::{BulkEnd, BulkLimits};
use std::time::Duration;
use thiserror::Error;

/// Bounds on a run; asked between iterations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Nodes from which no further iteration is begun.
    pub nodes: usize,
    /// Iterations.
    pub iterations: usize,
    /// The time after which no further iteration is begun.
    pub time: Duration,
    /// Threads, where an engine uses more than one.
    pub threads: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { nodes: 50_000_000, iterations: 100, time: Duration::from_secs(120), threads: 1 }
    }
}

impl Bounds {
    /// As limits of Egraft's engines.
    pub fn limits(self) -> BulkLimits {
        let Bounds { nodes, iterations, time, threads } = self;
        BulkLimits { nodes, iterations, time, threads }
    }
}

/// Why a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// No rule adds anything.
    Saturated,
    /// [`Bounds::nodes`] or [`Bounds::iterations`] were reached.
    Limit,
    /// [`Bounds::time`] was over.
    Time,
}

impl From<BulkEnd> for End {
    fn from(end: BulkEnd) -> End {
        match end {
            BulkEnd::Saturated => End::Saturated,
            BulkEnd::Nodes | BulkEnd::Iterations => End::Limit,
            BulkEnd::Time => End::Time,
        }
    }
}

/// What a run gave. Terms are loaded before the time begins.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// Nodes in the end; both orders of commutative ops count where the engine keeps both.
    pub nodes: usize,
    /// Classes in the end.
    pub classes: usize,
    /// Iterations, as the engine counts them.
    pub iterations: usize,
    /// Seconds.
    pub seconds: f64,
}

/// Why another engine cannot run a workload.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The rules are not all plain.
    #[error("rule `{0}` has conditions or computes numbers, which only Egraft's engines know")]
    NotPlain(String),
    /// The engine refused the rules or failed.
    #[error("egglog: {0}")]
    Egglog(#[from] Box<egglog::Error>),
}
