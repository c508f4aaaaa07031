//! Measures kernels under several engines, compares results, and reports them.

pub mod results;
pub mod stats;

pub use results::{ResultError, Results};
