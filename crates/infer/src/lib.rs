//! Finds rules: from the semantics of ops alone, offline.

mod derive;
mod goals;
pub mod lowering;
pub mod upstream;

pub use derive::{Derivability, DeriveOptions, Deriver, Stop, Underived};
pub use goals::{GoalResult, Share, derive_all, shares};
