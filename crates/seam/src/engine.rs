//! Whole modules through the seam: to a `.cwasm`, or to a `Module` of a user's engine.
//!
//! There are two ways. A compiler that wants some functions of a module gets these alone, and all
//! else stays with Wasmtime (see `select`). One that wants all, or a module that cannot be reduced
//! (exception handling, inlining), is captured whole on a fresh engine with one compiling thread and
//! handed back on another. Wasmtime's keys depend on what a compiling context did before (see
//! `histories`), so only a run with the same history asks for the same keys; little time is lost, as
//! nearly everything is a hit, compiled in parallel before.
//!
//! A key that is never asked for is a stock function, and reported as such.

use crate::capture::{Captured, capture, settings_text};
use crate::compile::{FunctionCompiler, compile_all};
use crate::error::{SeamError, precompile};
use crate::handback::HandBack;
use crate::key::CacheKey;
use crate::names::hide_names;
use crate::report::{Outcome, SeamReport};
use crate::select::{Selection, precompile_stock};
use crate::store::CodeStore;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::{Config, Engine, Inlining, Module};

/// Compiles `wasm`, binary or text, to a `.cwasm` with `compiler` deciding on each wasm function.
///
/// `config` is not changed; an incremental cache of its own is not used. With a `store`, functions
/// compiled before are taken from it.
///
/// # Errors
/// Wasmtime's own error for a bad module or configuration; [`SeamError::NoCompiler`] for a `Config`
/// without one.
pub fn precompile_module(
    config: &Config,
    wasm: &[u8],
    compiler: &dyn FunctionCompiler,
    store: Option<&CodeStore>,
) -> Result<(Vec<u8>, SeamReport), SeamError> {
    let handback = Arc::new(HandBack::new(usize::MAX));
    precompile_with(config, wasm, compiler, store, &handback)
}

fn precompile_with(
    config: &Config,
    wasm: &[u8],
    compiler: &dyn FunctionCompiler,
    store: Option<&CodeStore>,
    handback: &Arc<HandBack>,
) -> Result<(Vec<u8>, SeamReport), SeamError> {
    settings_text(config)?;
    // Text that does not parse goes to Wasmtime as it is, for Wasmtime's own error.
    let binary = wat::parse_bytes(wasm).unwrap_or(Cow::Borrowed(wasm));
    let selection = Selection::new(hide_names(&binary), compiler);
    if let Some(selection) = selection.filter(|_| no_inlining(config)) {
        if !selection.is_empty() {
            return selection.precompile(config, wasm, compiler, store, handback);
        }
        return precompile_stock(config, wasm, selection.into_report());
    }
    let prepared = Prepared::new(config, wasm, compiler, store, handback);
    let mut config = config.clone();
    if prepared.report.stock_module.is_none() {
        config.enable_incremental_compilation(handback.clone())?;
        config.parallel_compilation(false);
    }
    let start = Instant::now();
    let cwasm = precompile(&Engine::new(&config)?, wasm)?;
    Ok((cwasm, prepared.settle(handback, start)))
}

/// Whether each function is compiled without others in it, so that it can be captured alone.
fn no_inlining(config: &Config) -> bool {
    Engine::new(config).is_ok_and(|engine| engine.get_compiler_inlining() == Inlining::No)
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

/// Makes a handle, and lets engines built from `config` take its code in a plain `Module::new` too.
///
/// [`SeamHandle::module`] is the sure way. A plain `Module::new` takes code only for functions of a
/// module that went through the handle before, and only where it asks for the same keys: always
/// with `parallel_compilation(false)` on an engine that compiled nothing yet, mostly otherwise. What
/// it does not find is stock code.
///
/// # Errors
/// [`SeamError::CacheSlotTaken`] if `config` has an incremental cache already,
/// [`SeamError::NoCompiler`] if it has no compiler.
pub fn attach(
    config: &mut Config,
    compiler: Arc<dyn FunctionCompiler>,
    options: SeamOptions,
) -> Result<SeamHandle, SeamError> {
    if settings_text(config)?.contains("cache_store: Some(") {
        return Err(SeamError::CacheSlotTaken);
    }
    let handle = SeamHandle::new(compiler, options);
    config.enable_incremental_compilation(handle.attached.clone())?;
    Ok(handle)
}

/// Compiles modules for engines of any `Config`. Clones share their code.
#[derive(Clone)]
pub struct SeamHandle {
    compiler: Arc<dyn FunctionCompiler>,
    options: SeamOptions,
    /// What engines of an attached `Config` ask.
    attached: Arc<HandBack>,
}

impl SeamHandle {
    /// A handle that changes no `Config`.
    pub fn new(compiler: Arc<dyn FunctionCompiler>, options: SeamOptions) -> Self {
        SeamHandle { compiler, attached: Arc::new(HandBack::new(options.memory_limit)), options }
    }

    /// `Module::new` with the code of this handle's compiler, under `engine`'s configuration.
    ///
    /// # Errors
    /// Wasmtime's own error for the module, as `Module::new` would give.
    pub fn module(&self, engine: &Engine, wasm: &[u8]) -> Result<(Module, SeamReport), SeamError> {
        let (cwasm, report) = self.precompile(engine, wasm)?;
        // SAFETY: Wasmtime made these bytes just now, and nothing else has touched them.
        let module = unsafe { Module::deserialize(engine, &cwasm)? };
        Ok((module, report))
    }

    /// `Engine::precompile_module` with the code of this handle's compiler.
    ///
    /// # Errors
    /// Wasmtime's own error for the module.
    pub fn precompile(
        &self,
        engine: &Engine,
        wasm: &[u8],
    ) -> Result<(Vec<u8>, SeamReport), SeamError> {
        let handback = Arc::new(HandBack::new(usize::MAX));
        let result = precompile_with(
            engine.config(),
            wasm,
            &*self.compiler,
            self.options.store.as_deref(),
            &handback,
        )?;
        self.attached.adopt(&handback);
        Ok(result)
    }
}

/// A module whose code is ready in a [`HandBack`].
struct Prepared {
    report: SeamReport,
    /// Per function with code: its place in the report, and its key.
    offered: Vec<(usize, CacheKey)>,
}

impl Prepared {
    /// Captures, compiles and offers the code. Whatever goes wrong with the module as a whole
    /// becomes the reason for a stock module; if Wasmtime fails on it too, its error counts.
    fn new(
        config: &Config,
        wasm: &[u8],
        compiler: &dyn FunctionCompiler,
        store: Option<&CodeStore>,
        handback: &HandBack,
    ) -> Self {
        let mut prepared = Prepared { report: SeamReport::default(), offered: Vec::new() };
        match capture(config, wasm) {
            Ok(captured) => prepared.compile(captured, compiler, store, handback),
            Err(error) => prepared.report.stock_module = Some(error.into_reason()),
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
            if let Some((key, code)) = function.answer {
                handback.offer(key, code);
                self.offered.push((self.report.functions.len(), key));
            }
            self.report.functions.push(function.report);
        }
        self.report.compile_micros = start.elapsed().as_micros() as u64;
    }

    /// Corrects the report by what Wasmtime took since `start`.
    fn settle(mut self, handback: &HandBack, start: Instant) -> SeamReport {
        self.report.handback_micros = start.elapsed().as_micros() as u64;
        for (at, key) in &self.offered {
            let function = &mut self.report.functions[*at];
            let contested = handback.is_contested(key);
            let taken = !contested && handback.times_taken(key) > 0;
            if function.outcome == Outcome::Replaced && !taken {
                function.was_not_taken(contested);
            }
        }
        self.report
    }
}
