//! Instructions that compiling takes, stock and Egraft, counted by Callgrind: repeatable to some thousandths
//! where times are not.
//!
//! Run by `cargo bench -p egraft --bench instructions`, with valgrind and `cargo install gungraun-runner
//! --version 0.20.0`. Gungraun shows the difference to the run before.

#![allow(missing_docs, reason = "of what gungraun's macros make")]

use egraft::ConfigExt;
use gungraun::prelude::*;
use std::hint::black_box;
use wasmtime::{Config, Engine, Module};

egraft::tap_writes!();

/// A bundled kernel's module.
fn kernel(name: &str) -> Vec<u8> {
    let path = format!("{}/../../bench/kernels/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a bundled kernel")
}

/// One thread, so that counts do not depend on who took which function.
fn config() -> Config {
    let mut config = Config::new();
    config.parallel_compilation(false);
    config
}

#[library_benchmark]
#[bench::small(kernel("satmix_u8"))]
#[bench::stencil(kernel("blur3x3_u8"))]
#[bench::large_loops(kernel("avgpool3x3_u8"))]
fn compile_stock(wasm: Vec<u8>) -> Module {
    let engine = Engine::new(&config()).expect("the host's target");
    black_box(Module::new(&engine, &wasm).expect("a kernel's module"))
}

#[library_benchmark]
#[bench::small(kernel("satmix_u8"))]
#[bench::stencil(kernel("blur3x3_u8"))]
#[bench::large_loops(kernel("avgpool3x3_u8"))]
fn compile_egraft(wasm: Vec<u8>) -> Module {
    let mut config = config();
    let handle = config.egraft(egraft::Options::default()).expect("the host's target");
    let engine = Engine::new(&config).expect("the host's target");
    black_box(handle.module(&engine, &wasm).expect("a kernel's module").0)
}

library_benchmark_group!(name = compile, benchmarks = [compile_stock, compile_egraft]);
main!(library_benchmark_groups = compile);
