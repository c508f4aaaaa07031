//! Proofs that rules hold, by SMT.
//!
//! What an op means stands in `egraft_ir::semantics` alone; here is a domain of it whose values are
//! terms of a solver ([`smt::Terms`]), and a prover of rules over it ([`Prover`]). Knows no machine
//! code and no functions.

mod rules;
pub mod smt;

pub use rules::{
    CacheError, Counterexample, Equality, Evidence, EvidenceKind, EvidenceList, Instance,
    InstanceProof, Options, ProofCache, Prover, RuleProof, RuleReport, SetReport, Standing,
    Verdict, prove_each, prove_set, read_evidence,
};
