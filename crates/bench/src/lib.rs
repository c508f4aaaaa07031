//! Measures kernels under several engines, compares results, and reports them.
//!
//! Every engine is a process that speaks one protocol ([`protocol`]), Egraft and stock Wasmtime too
//! ([`serve`]). [`measure::measure`] lets them take turns, [`results`] is what is kept. This crate reads
//! no command line and prints nothing.
//!
//! Invariant: an engine that fails, hangs or lies takes nothing with it but its own column.

pub mod compare;
mod count;
pub mod engine;
pub mod history;
pub mod machine;
pub mod measure;
pub mod ops;
pub mod peaks;
pub mod peer;
pub mod protocol;
pub mod report;
pub mod results;
pub mod serve;
pub mod stats;

pub use engine::{Engine, Entrant, Programs, Startable, UnknownPeer};
pub use history::{HistoryEntry, HistoryError};
pub use peer::{Launch, Peer, PeerError};
pub use results::{ResultError, Results};
