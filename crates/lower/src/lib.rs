//! The portable path: CLIF to e-graph, rewritten, extracted by what the target's own lowering
//! costs, and back to CLIF for the stock backend of any Cranelift target.
//!
//! Compiles no machine code for keeps (lowering is only probed) and knows nothing of wasm.
//! Invariant: the function that comes back computes what the one that went in did, with the same
//! loads, stores, calls and traps in the same order.

mod columns;
mod cost;
mod elaborate;
mod exact;
mod extract;
mod gather;
mod optimize;
mod pressure;
mod price;
mod probe;
mod profile;
mod seed;
mod shape;

pub use columns::interleave_columns;
pub use cost::{CostModel, Costs};
pub use gather::{add_before_extracting, uses};
pub use optimize::{
    Fired, Format, Improved, LowerOptions, Outcome, Reason, Rewrite, Stats, Unchanged, dump_egraph,
    egraph, optimize,
};
pub use price::price;
pub use probe::{emit_const, emit_op, retype};
pub use seed::{Seeded, is_division, is_pure, is_vector_bitcast, node_of, seed};
#[doc(hidden)]
pub use {exact::extraction_problem, extract::problem::TooLarge};
