//! Modules compiled by this backend where it can, by stock Cranelift where it cannot.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

pub mod state;

use cranelift_codegen::isa::TargetIsa;
use egraft_seam::{CapturedFunction, Decision, Fingerprint, FunctionCompiler, StockReason};
use egraft_x64::Options;
use std::sync::Mutex;
use wasmtime::{Config, Engine, Module};

/// Compiles with this backend and notes what it refuses.
#[derive(Default)]
pub struct Backend {
    pub options: Options,
    /// Function and reason.
    pub refused: Mutex<Vec<(String, egraft_x64::Unsupported)>>,
    /// Functions compiled.
    pub taken: Mutex<usize>,
    /// Loops that have two versions.
    pub versions: Mutex<usize>,
}

impl FunctionCompiler for Backend {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([b"egraft-x64 tests".as_slice()])
    }

    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision {
        match egraft_x64::compile(&function.func, isa, &self.options) {
            Ok(compiled) => {
                *self.taken.lock().unwrap() += 1;
                *self.versions.lock().unwrap() += compiled.versions;
                Decision::Code(compiled.blob)
            }
            Err(error) => {
                self.refused.lock().unwrap().push((function.symbol.clone(), error.clone()));
                Decision::Stock(StockReason::Declined(error.to_string()))
            }
        }
    }
}

/// A configuration for this test: what the host has, fixed choices where NaNs or memory matter.
pub fn config() -> Config {
    let mut config = Config::new();
    config.wasm_relaxed_simd(true);
    config
}

/// The same without AVX-512, where that changes anything.
pub fn config_of_avx2() -> Option<Config> {
    let differs = cfg!(target_os = "linux") && has_avx512();
    differs.then(|| {
        let mut config = config();
        config.target("x86_64-unknown-linux-gnu").unwrap();
        // SAFETY: every processor with AVX-512 has what this level has.
        unsafe { config.cranelift_flag_enable("x86-64-v3") };
        config
    })
}

fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::is_x86_feature_detected!("avx512dq") && std::is_x86_feature_detected!("avx512vl")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Compiles `wasm` with this backend, none of whose code may be refused by the seam.
pub fn compile(config: &Config, engine: &Engine, wasm: &[u8]) -> (Module, Backend) {
    compile_with(config, engine, wasm, Options::default())
}

/// As [`compile`], with options.
pub fn compile_with(
    config: &Config,
    engine: &Engine,
    wasm: &[u8],
    options: Options,
) -> (Module, Backend) {
    let backend = Backend { options, ..Backend::default() };
    let (cwasm, report) = egraft_seam::precompile_module(config, wasm, &backend, None).unwrap();
    for function in &report.functions {
        if let egraft_seam::Outcome::Stock(reason) = &function.outcome
            && matches!(
                reason,
                StockReason::Panicked(_)
                    | StockReason::Invalid(_)
                    | StockReason::ForeignReference(_)
                    | StockReason::ForeignTrap(_)
            )
        {
            panic!("{}: {reason}", function.symbol);
        }
    }
    // SAFETY: the bytes were made by the same version of Wasmtime a moment ago.
    let module = unsafe { Module::deserialize(engine, cwasm) }.unwrap();
    (module, backend)
}

/// Whether this machine has what the backend needs.
pub fn supported() -> bool {
    cfg!(target_arch = "x86_64") && {
        #[cfg(target_arch = "x86_64")]
        {
            std::is_x86_feature_detected!("avx2")
                && std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}
