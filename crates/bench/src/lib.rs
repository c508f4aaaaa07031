//! Measures kernels under several engines, compares results, and reports them.

pub mod history;
pub mod report;
pub mod results;
pub mod stats;

pub use history::{HistoryEntry, HistoryError};
pub use results::{ResultError, Results};
