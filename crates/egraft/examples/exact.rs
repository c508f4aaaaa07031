//! Writes extraction in the functions of wasm modules as problems for an exact solver, one line of
//! JSON each. `bench/extraction/optimum` solves them.
//!
//! `cargo run --release -p egraft --example exact -- bench/kernels/*.wasm`

use egraft_lower::{LowerOptions, extraction_problem};
use std::io::Write;
use std::path::Path;

fn main() {
    let mut config = wasmtime::Config::new();
    config.wasm_relaxed_simd(true);
    let mut output = std::io::stdout().lock();
    for path in std::env::args().skip(1) {
        let wasm = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let captured =
            egraft_seam::capture(&config, &wasm).unwrap_or_else(|error| panic!("{path}: {error}"));
        let module = Path::new(&path).file_stem().unwrap_or_default().to_string_lossy();
        for function in &captured.functions {
            let name = function.name.as_deref().unwrap_or(&function.symbol);
            let problem =
                extraction_problem(&function.func, &*captured.isa, &LowerOptions::default())
                    .unwrap_or_else(|error| panic!("{path}: {name}: {error}"));
            let Some(mut problem) = problem else { continue };
            problem["module"] = module.as_ref().into();
            problem["function"] = name.into();
            writeln!(output, "{problem}")
                .unwrap_or_else(|error| panic!("standard output: {error}"));
        }
    }
}
