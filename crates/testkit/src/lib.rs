//! What Egraft's tests share: generators of wasm modules, an oracle that compares Egraft with stock
//! Wasmtime, and the runner of filetests.
//!
//! Nothing here is part of the product. Invariant: a run that compared nothing fails, and every
//! case that is not compared is counted with its reason.

pub mod choices;
pub mod filetest;
pub mod fuzz;
pub mod generate;
pub mod hostile;
pub mod oracle;
pub mod settings;
pub mod tally;

pub use egraft::tap_writes;
