//! Times every bundled kernel under stock Wasmtime and under this backend, interleaved.
//!
//! `cargo run --release -p egraft-x64 --example race -- bench/kernels/*.json`

use cranelift_codegen::isa::TargetIsa;
use egraft_kernels::{Instance, Kernel};
use egraft_seam::{CapturedFunction, Decision, Fingerprint, FunctionCompiler, StockReason};
use std::path::Path;
use wasmtime::{Config, Engine, Module};

struct Backend;

impl FunctionCompiler for Backend {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([b"egraft-x64 race".as_slice()])
    }

    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision {
        match egraft_x64::compile(&function.func, isa, &Default::default()) {
            Ok(compiled) => Decision::Code(compiled.blob),
            Err(error) => Decision::Stock(StockReason::Declined(error.to_string())),
        }
    }
}

/// Rounds of both engines per kernel.
const ROUNDS: usize = 25;

fn main() {
    let mut config = Config::new();
    config.wasm_relaxed_simd(true);
    let engine = Engine::new(&config).expect("an engine");
    let mut product = 0.0;
    let mut count = 0;
    // With `--noise` stock races against itself.
    let noise = std::env::args().any(|argument| argument == "--noise");
    for path in std::env::args().skip(1).filter(|argument| argument != "--noise") {
        let kernel = Kernel::read(Path::new(&path)).unwrap_or_else(|error| panic!("{error}"));
        let wasm = kernel.read_wasm().unwrap_or_else(|error| panic!("{error}"));
        let stock = Module::new(&engine, &wasm).expect("a module");
        let (cwasm, _) = egraft_seam::precompile_module(&config, &wasm, &Backend, None)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let cwasm = if noise { engine.precompile_module(&wasm).expect("a module") } else { cwasm };
        // SAFETY: made by this version of Wasmtime a moment ago.
        let ours = unsafe { Module::deserialize(&engine, cwasm) }.expect("a module");
        // The size that takes longest, so that little else than the kernel is timed.
        let mut longest = (0, Default::default());
        for size in 0..kernel.sizes.len() {
            let mut instance = Instance::new(&stock, &kernel, size).expect("an instance");
            instance.prepare();
            instance.call().expect("a call");
            instance.prepare();
            let time = instance.call().expect("a call");
            if time > longest.1 {
                longest = (size, time);
            }
        }
        let size = longest.0;
        let mut instances = [&stock, &ours].map(|module| {
            let mut instance = Instance::new(module, &kernel, size).expect("an instance");
            instance.prepare();
            instance.call().expect("a call");
            instance
        });
        let mut best = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            for (instance, best) in instances.iter_mut().zip(&mut best) {
                let mut time = f64::INFINITY;
                for _ in 0..3 {
                    instance.prepare();
                    time = time.min(instance.call().expect("a call").as_secs_f64());
                }
                *best = best.min(time);
            }
        }
        let gain = best[0] / best[1];
        product += gain.ln();
        count += 1;
        println!("{:24} {:10.1} {:10.1} us  {gain:.3}x", kernel.name, best[0] * 1e6, best[1] * 1e6);
    }
    println!("geometric mean {:.3}x over {count} kernels", (product / f64::from(count)).exp());
}
