//! Proofs of rewrite rules.
//!
//! A rule is proven type by type, and condition code by condition code: both sides become terms,
//! lane by lane, and a solver says that no values make them differ. Nothing is assumed but what the
//! rule's conditions say.

mod cache;
mod condition;
mod encode;
mod mask;
mod prove;
mod replay;
mod report;

pub use cache::{CacheError, ProofCache};
pub use encode::Instance;
pub use prove::{Equality, InstanceProof, Options, Prover, RuleProof, Verdict};
pub use replay::Counterexample;
pub use report::{
    Evidence, EvidenceKind, EvidenceList, RuleReport, SetReport, Standing, prove_each, prove_set,
    read_evidence,
};
