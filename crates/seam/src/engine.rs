//! Whole modules through the seam: ahead of time, and by an engine that keeps a handle.
//!
//! Wasmtime's cache is asked by key alone, before the CLIF exists outside Wasmtime. So a module has
//! to be prepared (captured and compiled) before `Module::new` sees it; on an engine where it was
//! not, `Module::new` works and gives stock code.

use crate::capture::{Captured, capture_with, check_config};
use crate::compile::{FunctionCompiler, compile_all};
use crate::error::SeamError;
use crate::handback::HandBack;
use crate::key::CacheKey;
use crate::report::{Outcome, SeamReport, StockReason};
use crate::store::CodeStore;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{Config, Engine, Module};

/// Compiles `wasm`, binary or text, to a `.cwasm` with `compiler` deciding on each wasm function.
///
/// `config` is not changed. With a `store`, functions compiled before are taken from it.
///
/// # Errors
/// Wasmtime's own error for a bad module or configuration; [`SeamError::CacheSlotTaken`] and
/// [`SeamError::NoCompiler`] for a `Config` that leaves the seam no room.
pub fn precompile_module(
    config: &Config,
    wasm: &[u8],
    compiler: &dyn FunctionCompiler,
    store: Option<&CodeStore>,
) -> Result<(Vec<u8>, SeamReport), SeamError> {
    check_config(config)?;
    let handback = Arc::new(HandBack::new(usize::MAX));
    let prepared = Prepared::new(config.clone(), wasm, compiler, store, &handback);
    let mut config = config.clone();
    if prepared.report.stock_module.is_none() {
        config.enable_incremental_compilation(handback.clone())?;
    }
    let start = Instant::now();
    let cwasm = Engine::new(&config)?.precompile_module(wasm)?;
    Ok((cwasm, prepared.settle(&handback, start)))
}

/// How an engine uses the seam.
#[derive(Clone)]
#[non_exhaustive]
pub struct SeamOptions {
    /// Where code outlives the process.
    pub store: Option<Arc<CodeStore>>,
    /// Bytes of code kept in memory for later `Module::new` calls; the oldest goes first.
    pub memory_limit: usize,
}

impl Default for SeamOptions {
    fn default() -> Self {
        SeamOptions { store: None, memory_limit: 256 << 20 }
    }
}

impl SeamOptions {
    /// Keeps code in `store`.
    pub fn with_store(mut self, store: Arc<CodeStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Keeps at most `bytes` of code in memory.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }
}

/// Makes engines built from `config` take code from the returned handle.
///
/// Other settings of `config` may still change afterwards: the handle reads them from the engine.
/// A user's own `emit_clif` directory stays in use, with unoptimised CLIF for replaced functions.
///
/// # Errors
/// [`SeamError::CacheSlotTaken`] and [`SeamError::NoCompiler`].
pub fn attach(
    config: &mut Config,
    compiler: Arc<dyn FunctionCompiler>,
    options: SeamOptions,
) -> Result<SeamHandle, SeamError> {
    check_config(config)?;
    let handback = Arc::new(HandBack::new(options.memory_limit));
    config.enable_incremental_compilation(handback.clone())?;
    Ok(SeamHandle { compiler, options, handback })
}

/// Prepares modules for the engines of one `Config`. Clones share their code.
#[derive(Clone)]
pub struct SeamHandle {
    compiler: Arc<dyn FunctionCompiler>,
    options: SeamOptions,
    handback: Arc<HandBack>,
}

impl SeamHandle {
    /// Captures and compiles `wasm`, so that a later `Module::new` with `engine` takes the code.
    ///
    /// The report calls functions replaced whose code is ready. A module that Wasmtime would refuse
    /// is no error here: `Module::new` is about to say so.
    ///
    /// # Errors
    /// [`SeamError::ForeignEngine`] if `engine` does not belong to this handle.
    pub fn prepare(&self, engine: &Engine, wasm: &[u8]) -> Result<SeamReport, SeamError> {
        Ok(self.prepared(engine, wasm)?.report)
    }

    /// `Module::new` with the code of this handle's compiler.
    ///
    /// # Errors
    /// [`SeamError::ForeignEngine`], or Wasmtime's own error.
    pub fn module(&self, engine: &Engine, wasm: &[u8]) -> Result<(Module, SeamReport), SeamError> {
        let prepared = self.prepared(engine, wasm)?;
        let start = Instant::now();
        let module = Module::new(engine, wasm)?;
        Ok((module, prepared.settle(&self.handback, start)))
    }

    /// `Engine::precompile_module` with the code of this handle's compiler.
    ///
    /// # Errors
    /// [`SeamError::ForeignEngine`], or Wasmtime's own error.
    pub fn precompile(
        &self,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<(Vec<u8>, SeamReport), SeamError> {
        let prepared = self.prepared(engine, wasm)?;
        let start = Instant::now();
        let cwasm = engine.precompile_module(wasm)?;
        Ok((cwasm, prepared.settle(&self.handback, start)))
    }

    fn prepared(&self, engine: &Engine, wasm: &[u8]) -> Result<Prepared, SeamError> {
        let config = engine.config();
        if !format!("{config:?}").contains(&self.handback.tag()) {
            return Err(SeamError::ForeignEngine);
        }
        Ok(Prepared::new(
            config.clone(),
            wasm,
            &*self.compiler,
            self.options.store.as_deref(),
            &self.handback,
        ))
    }
}

/// A module whose code is ready in a [`HandBack`].
struct Prepared {
    report: SeamReport,
    /// Per function with code: its place in the report, its key, how often it was taken before.
    offered: Vec<(usize, CacheKey, u64)>,
}

impl Prepared {
    /// Captures, compiles and offers the code. Whatever goes wrong with the module as a whole
    /// becomes the reason for a stock module; if Wasmtime fails on it too, its error counts.
    fn new(
        config: Config,
        wasm: &[u8],
        compiler: &dyn FunctionCompiler,
        store: Option<&CodeStore>,
        handback: &HandBack,
    ) -> Self {
        let mut prepared = Prepared { report: SeamReport::default(), offered: Vec::new() };
        match capture_with(config, wasm) {
            Ok(captured) => prepared.compile(captured, compiler, store, handback),
            Err(SeamError::Unsupported { reason }) => {
                prepared.report.stock_module = Some(reason);
            }
            Err(error) => {
                prepared.report.stock_module = Some(StockReason::CaptureFailed(error.to_string()));
            }
        }
        prepared
    }

    fn compile(
        &mut self,
        captured: Captured,
        compiler: &dyn FunctionCompiler,
        store: Option<&CodeStore>,
        handback: &HandBack,
    ) {
        self.report.capture_micros = captured.elapsed.as_micros() as u64;
        let start = Instant::now();
        let (compiled, store_error) = compile_all(captured, compiler, store);
        self.report.store_error = store_error;
        for function in compiled {
            if let (Some(key), Some(code)) = (function.key, function.code) {
                let taken = handback.times_taken(&key);
                handback.offer(key, code);
                self.offered.push((self.report.functions.len(), key, taken));
            }
            self.report.functions.push(function.report);
        }
        for (at, key, _) in &self.offered {
            if handback.is_contested(key) {
                set_stock(&mut self.report, *at, StockReason::SharedKey);
            }
        }
        self.report.compile_micros = start.elapsed().as_micros() as u64;
    }

    /// Corrects the report by what Wasmtime took since `start`.
    fn settle(mut self, handback: &HandBack, start: Instant) -> SeamReport {
        self.report.handback_micros = start.elapsed().as_micros() as u64;
        for (at, key, before) in &self.offered {
            if handback.is_contested(key) {
                set_stock(&mut self.report, *at, StockReason::SharedKey);
            } else if handback.times_taken(key) <= *before {
                set_stock(&mut self.report, *at, StockReason::NotAsked);
            }
        }
        self.report
    }
}

fn set_stock(report: &mut SeamReport, at: usize, reason: StockReason) {
    let function = &mut report.functions[at];
    function.outcome = Outcome::Stock(reason);
    function.code_bytes = 0;
}
