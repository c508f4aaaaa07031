//! Faster Halide WebAssembly inside an unmodified Wasmtime.
//!
//! Egraft takes the Cranelift IR that Wasmtime is about to compile, rewrites it in an e-graph with
//! costs of the target, and hands the code back through Wasmtime's public API. Modules stay ordinary
//! [`wasmtime::Module`]s and `.cwasm` files. A function that Egraft cannot make better keeps the code
//! of stock Cranelift; the [`Report`] says which and why.
//!
//! This crate ties the parts together and decides nothing about code itself: capture and hand-back
//! are in `egraft-seam`, rewriting and extraction in `egraft-lower`.
//!
//! # In an engine
//!
//! [`ConfigExt::egraft`] is the flag. It returns a [`Handle`], and modules compiled with
//! [`Handle::module`] get the better code. `Module::new` on the same engine keeps working and gives
//! stock code, since Wasmtime asks for code by a key that is known only once the module was looked
//! at.
//!
//! ```
//! use egraft::ConfigExt;
//! use wasmtime::{Config, Engine, Instance, Store};
//!
//! let wat = r#"(module (func (export "twice") (param i32) (result i32)
//!     (i32.mul (local.get 0) (i32.const 2))))"#;
//!
//! let mut config = Config::new();
//! let egraft = config.egraft(egraft::Options::default())?;
//! let engine = Engine::new(&config)?;
//! let (module, report) = egraft.module(&engine, wat.as_bytes())?;
//!
//! let mut store = Store::new(&engine, ());
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let twice = instance.get_typed_func::<i32, i32>(&mut store, "twice")?;
//! assert_eq!(twice.call(&mut store, 21)?, 42);
//! for function in report.wasm_functions() {
//!     println!("{function}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Ahead of time
//!
//! [`compile`] makes a `.cwasm`, for another target too if [`ConfigExt::egraft_target`] says so:
//!
//! ```
//! use egraft::ConfigExt;
//!
//! let wat = b"(module (func (export \"f\") (result i32) i32.const 1))";
//! let mut config = wasmtime::Config::new();
//! config.egraft_target(Some("aarch64"), "baseline")?;
//! let compiled = egraft::compile(&config, &egraft::Options::default(), wat)?;
//! assert!(!compiled.cwasm.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In Cranelift without Wasmtime
//!
//! [`optimize_function`] rewrites one [`Function`](cranelift_codegen::ir::Function) for users of
//! cranelift-jit or cranelift-object.

mod engine;
mod error;
mod matcher;
mod optimizer;
mod options;
mod report;
mod shape;
mod target;

pub use egraft_aarch64::Core;
pub use egraft_egraph::Rules;
pub use egraft_listing::{ListedInst, ListedLoop, ListedVersion, Listing, Width};
pub use egraft_lower::{Format, Rewrite};
pub use egraft_seam::{Captured, CapturedFunction, StockReason, capture, tap_writes};
pub use engine::{Compiled, ConfigExt, Handle, compile};
pub use error::Error;
pub use matcher::Matcher;
pub use optimizer::{
    Listed, Observed, Optimized, dump_egraph, egraph, explain_function, listing, observe,
    optimize_function, stock_listing,
};
pub use options::{Backend, Effort, Options, Stage};
pub use report::{Cache, Cost, FunctionReport, Report, RuleReport, Times};
pub use shape::Shape;
