//! Terms of a solver, and the solver.
//!
//! [`Terms`] is a domain of `egraft_ir::semantics`: what an op computes becomes a term there, much
//! simplified on the way. [`Query`] is what is left to a solver, written so that equal questions are
//! equal texts. [`Solver`] is a Z3 or cvc5 process that answers.

mod domain;
mod evaluate;
mod float;
mod known;
mod narrow;
mod query;
mod ring;
mod solver;
mod term;

pub use float::FloatMode;
pub use query::{Query, Symbol};
pub use solver::{Answer, Solver, SolverError, SolverKind};
pub use term::{BinOp, Kind, Term, Terms, VarId};
