//! The seam between Egraft and an unmodified Wasmtime: captures the CLIF that Wasmtime is about
//! to compile, lets a [`FunctionCompiler`] work on it, and hands compiled code back.
//!
//! The crate uses Wasmtime's public API alone: the incremental-compilation cache carries the code,
//! `emit_clif` carries the CLIF. It knows nothing of e-graphs and decides nothing about code.
//!
//! Invariant: code is handed back only under a key that Wasmtime asked for with the very function
//! given to the compiler, and is compiled for an ISA whose flags were proven against such a key.
//! Whatever cannot be captured whole stays with stock Cranelift, with a [`StockReason`]. A key that
//! Wasmtime asks for and nobody prepared has no answer: stock code again.
//!
//! ```
//! use egraft_seam::{CapturedFunction, Decision, Fingerprint, FunctionCompiler};
//!
//! /// Gives every function to stock Cranelift unchanged.
//! struct Identity;
//!
//! impl FunctionCompiler for Identity {
//!     fn fingerprint(&self) -> Fingerprint {
//!         Fingerprint::of([b"identity".as_slice()])
//!     }
//!     fn compile(
//!         &self,
//!         function: &CapturedFunction,
//!         _isa: &dyn cranelift_codegen::isa::TargetIsa,
//!     ) -> Decision {
//!         Decision::Replace(Box::new(function.func.clone()))
//!     }
//! }
//!
//! let wat = "(module (func (export \"answer\") (result i32) i32.const 42))";
//! let config = wasmtime::Config::new();
//! let (cwasm, report) =
//!     egraft_seam::precompile_module(&config, wat.as_bytes(), &Identity, None)?;
//! assert_eq!(report.replaced(), 1);
//! let stock = wasmtime::Engine::new(&config)?.precompile_module(wat.as_bytes())?;
//! assert_eq!(cwasm, stock);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod capture;
mod compile;
mod engine;
mod error;
mod exchange;
mod handback;
mod histories;
mod isa;
mod key;
mod names;
mod report;
mod scan;
mod select;
mod sink;
mod store;
#[doc(hidden)]
pub mod tap;
mod texts;
mod thin;

pub use capture::{Captured, CapturedFunction, capture};
pub use compile::{Decision, FunctionCompiler, compile_stock};
pub use engine::{SeamHandle, SeamOptions, attach, precompile_module};
pub use error::SeamError;
pub use handback::HandBack;
pub use key::{CacheKey, Fingerprint};
pub use report::{FunctionReport, Outcome, SeamReport, StockReason};
pub use scan::BodySummary;
pub use store::{CodeStore, Lookup, Payload, Rejection, StoreError, StoreKey, StoreStats};
