//! Proofs that rules hold, by SMT.
//!
//! What an op means stands in `egraft_ir::semantics` alone; here is a domain of it whose values are
//! terms of a solver.
