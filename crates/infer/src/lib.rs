//! Finds rules: from the semantics of ops alone, offline.
//!
//! Terms over a workload's ops are enumerated by size and told apart by their values; terms that
//! agree are candidates, which are stated as generally as they hold, proven, and kept unless the
//! rules kept before give them. Knows no rule beforehand and compiles nothing. Invariant: what is
//! kept was proven for every choice of types that it applies to.

mod emit;
mod enumerate;
mod error;
mod general;
mod judge;
mod phase;
mod premise;
mod run;
mod sample;
mod select;
mod space;
mod state;
mod workload;

pub use error::InferError;
pub use phase::{Phase, Schedule, Takes};
pub use run::{Options, Progress, Report, WorkloadReport, infer, merge};
pub use workload::Workload;
