//! Finds rules: from the semantics of ops alone, offline.
//!
//! Terms over a workload's ops are enumerated by size and told apart by their values; terms that
//! agree are candidates, which are stated as generally as they hold, proven, and kept unless the
//! rules kept before give them. Beside that: which of other people's rules follow from a set
//! ([`Deriver`]). Knows no rule beforehand and compiles nothing. Invariant: what is kept was proven
//! for every choice of types that it applies to.

mod derive;
mod emit;
mod engine;
mod enumerate;
mod error;
mod general;
mod goals;
mod judge;
pub mod lanes;
pub mod lowering;
mod phase;
mod premise;
mod run;
mod sample;
mod select;
mod space;
mod state;
pub mod upstream;
mod workload;

pub use derive::{Derivability, DeriveOptions, Deriver, Stop, Underived};
pub use engine::Engine;
pub use error::InferError;
pub use goals::{GoalResult, Share, derive_all, shares};
pub use phase::{Phase, Schedule, Takes};
pub use run::{Options, Progress, Report, WorkloadReport, infer, merge};
pub use workload::Workload;
