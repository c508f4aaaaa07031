//! Compilers and comparisons that the seam's tests share.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the part of this it needs")]

use cranelift_codegen::isa::TargetIsa;
use egraft_seam::{
    BodySummary, CapturedFunction, Decision, Fingerprint, FunctionCompiler, Outcome, SeamReport,
    StockReason, precompile_module,
};
use std::collections::BTreeMap;
use wasmtime::{Config, Engine};

/// Gives every function back to stock Cranelift unchanged.
pub struct Identity;

impl FunctionCompiler for Identity {
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([b"identity".as_slice()])
    }

    fn compile(&self, function: &CapturedFunction, _isa: &dyn TargetIsa) -> Decision {
        Decision::Replace(Box::new(function.func.clone()))
    }
}

/// [`Identity`] for the functions that a closure picks by their bodies.
pub struct Wanting<F>(pub F);

impl<F: Fn(&BodySummary) -> bool + Send + Sync> FunctionCompiler for Wanting<F> {
    fn fingerprint(&self) -> Fingerprint {
        Identity.fingerprint()
    }

    fn wants(&self, body: &BodySummary) -> Result<(), StockReason> {
        if (self.0)(body) { Ok(()) } else { Err(unwanted()) }
    }

    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision {
        Identity.compile(function, isa)
    }
}

/// Why [`Wanting`] leaves a function alone.
pub fn unwanted() -> StockReason {
    StockReason::Declined("not wanted".to_owned())
}

/// A compiler made from a closure.
pub struct With<F>(F);

/// Makes a compiler from a closure.
pub fn with<F>(compile: F) -> With<F>
where
    F: Fn(&CapturedFunction, &dyn TargetIsa) -> Decision + Send + Sync,
{
    With(compile)
}

impl<F> FunctionCompiler for With<F>
where
    F: Fn(&CapturedFunction, &dyn TargetIsa) -> Decision + Send + Sync,
{
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of([b"closure".as_slice()])
    }

    fn compile(&self, function: &CapturedFunction, isa: &dyn TargetIsa) -> Decision {
        (self.0)(function, isa)
    }
}

/// What an identity run found.
#[derive(Default, Debug)]
pub struct Tally {
    pub modules: usize,
    pub replaced: usize,
    pub stock: BTreeMap<String, usize>,
}

impl Tally {
    pub fn add(&mut self, report: &SeamReport) {
        self.modules += 1;
        self.replaced += report.replaced();
        for function in report.wasm_functions() {
            if let Outcome::Stock(reason) = &function.outcome {
                *self.stock.entry(reason.to_string()).or_default() += 1;
            }
        }
        if let Some(reason) = &report.stock_module {
            *self.stock.entry(format!("module: {reason}")).or_default() += 1;
        }
    }
}

/// Compiles `wasm` by stock Wasmtime and through the seam with [`Identity`]; the artefacts must be
/// equal to the byte.
pub fn assert_identity(what: &str, config: &Config, wasm: &[u8]) -> SeamReport {
    assert_identity_of(what, config, wasm, &Identity)
}

/// The same with another compiler that changes nothing.
pub fn assert_identity_of(
    what: &str,
    config: &Config,
    wasm: &[u8],
    compiler: &dyn FunctionCompiler,
) -> SeamReport {
    let stock = Engine::new(config)
        .and_then(|engine| engine.precompile_module(wasm))
        .unwrap_or_else(|error| panic!("{what}: stock Wasmtime: {error:?}"));
    let (cwasm, report) = precompile_module(config, wasm, compiler, None)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(cwasm == stock, "{what}: the .cwasm differs from stock's");
    report
}

/// The reasons of all wasm functions that stayed stock.
pub fn stock_reasons(report: &SeamReport) -> Vec<&StockReason> {
    report.wasm_functions().filter_map(|function| function.stock_reason()).collect()
}
