//! Finds rules: from the semantics of ops alone, offline.

mod derive;

pub use derive::{Derivability, DeriveOptions, Deriver, Stop, Underived};
