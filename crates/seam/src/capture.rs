//! Capture: the CLIF of every wasm function as Wasmtime would compile it under a given `Config`.
//!
//! A copy of the `Config` gets a private `emit_clif` directory and a cache that answers every
//! question with one small dummy. A hit skips the optimiser, so the CLIF that Wasmtime writes after
//! it is the untouched translation. The artefact full of dummies is thrown away.
//!
//! Files and keys are paired by recomputing the key from the parsed file, so neither the order nor
//! the number of compiling threads matters.
//! Invariant: a [`CapturedFunction`] without a fault has a key that Wasmtime asked for.

use crate::error::{SeamError, panic_message};
use crate::key::CacheKey;
use crate::names::hide_names;
use crate::report::StockReason;
use crate::{compile, isa};
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::OwnedTargetIsa;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::{
    CacheStore, Config, Engine, InstanceAllocationStrategy, ProfilingStrategy, Strategy,
};

/// A wasm function as Wasmtime translated it, before any optimisation.
#[derive(Clone)]
pub struct CapturedFunction {
    /// Its name in the wasm module's name section.
    pub name: Option<String>,
    /// Its index in the wasm module's function index space.
    pub index: u32,
    /// Wasmtime's symbol without the name: `wasm[0]::function[3]`.
    pub symbol: String,
    /// The key under which Wasmtime asks for its code.
    pub key: CacheKey,
    /// The CLIF as Wasmtime printed it.
    pub clif: String,
    /// The CLIF, parsed.
    pub func: Function,
}

impl fmt::Debug for CapturedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedFunction")
            .field("symbol", &self.symbol)
            .field("name", &self.name)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A function that Wasmtime compiles but that cannot be replaced.
#[derive(Debug, Clone)]
pub(crate) struct Uncaptured {
    pub(crate) name: Option<String>,
    pub(crate) index: Option<u32>,
    pub(crate) symbol: String,
    pub(crate) clif_bytes: usize,
    pub(crate) reason: StockReason,
}

/// The functions of one module under one `Config`, and the ISA they are compiled for.
pub struct Captured {
    /// Functions that can be replaced, by wasm index.
    pub functions: Vec<CapturedFunction>,
    /// The very ISA, flags included, that Wasmtime compiles with. `None` only if `functions` is
    /// empty, since nothing then proves it.
    pub isa: Option<OwnedTargetIsa>,
    pub(crate) uncaptured: Vec<Uncaptured>,
    pub(crate) parallel: bool,
    pub(crate) elapsed: Duration,
}

impl Captured {
    /// Functions that Wasmtime compiles but that cannot be replaced: symbol and reason.
    pub fn uncaptured(&self) -> impl Iterator<Item = (&str, &StockReason)> {
        self.uncaptured.iter().map(|function| (function.symbol.as_str(), &function.reason))
    }

    /// The captured function with this wasm function index.
    pub fn by_index(&self, index: u32) -> Option<&CapturedFunction> {
        self.functions
            .binary_search_by_key(&index, |function| function.index)
            .ok()
            .map(|at| &self.functions[at])
    }
}

/// Captures every wasm function of `wasm`, which may be binary or text.
///
/// `config` is not changed. Nothing is left on disk; the CLIF text lies in a private temporary
/// directory meanwhile.
///
/// # Errors
/// [`SeamError::Wasmtime`] if Wasmtime refuses the module or the configuration, with its own error.
/// [`SeamError::Unsupported`] if nothing can be captured under this configuration.
pub fn capture(config: &Config, wasm: &[u8]) -> Result<Captured, SeamError> {
    check_config(config)?;
    capture_with(config.clone(), wasm)
}

/// Finds what only the `Debug` text of a `Config` shows.
pub(crate) fn check_config(config: &Config) -> Result<(), SeamError> {
    let text = format!("{config:?}");
    if text.contains("cache_store: Some(") {
        Err(SeamError::CacheSlotTaken)
    } else if text.contains("compiler_config: None") {
        Err(SeamError::NoCompiler)
    } else {
        Ok(())
    }
}

/// As [`capture`], but the cache in `config`, if any, is replaced.
pub(crate) fn capture_with(mut config: Config, wasm: &[u8]) -> Result<Captured, SeamError> {
    let start = Instant::now();
    let directory = tempfile::Builder::new()
        .prefix("egraft-clif-")
        .tempdir()
        .map_err(|source| SeamError::Io { path: std::env::temp_dir(), source })?;
    let store = std::sync::Arc::new(DummyStore::default());
    config.emit_clif(directory.path());
    config.enable_incremental_compilation(store.clone())?;
    // Neither changes compiled code; a pool would reserve address space, a profiler write files.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config.profiler(ProfilingStrategy::None);

    let engine = Engine::new(&config)?;
    let candidates = supported(&engine).map_err(|reason| SeamError::Unsupported { reason })?;
    let dummy = compile::dummy_code(&*candidates[0])
        .map_err(|text| SeamError::Unsupported { reason: StockReason::UnknownIsa(text) })?;
    store.dummy.get_or_init(|| dummy);

    // Text that does not parse goes to Wasmtime as it is, for Wasmtime's own error.
    let binary = wat::parse_bytes(wasm).unwrap_or(Cow::Borrowed(wasm));
    let (hidden, names) = hide_names(&binary);
    catch_unwind(AssertUnwindSafe(|| engine.precompile_module(&hidden)))
        .map_err(|payload| SeamError::CapturePanicked { message: panic_message(&*payload) })??;

    let keys = std::mem::take(&mut *store.keys.lock().unwrap_or_else(PoisonError::into_inner));
    let mut captured = Captured {
        functions: Vec::new(),
        isa: None,
        uncaptured: Vec::new(),
        parallel: engine.get_parallel_compilation(),
        elapsed: Duration::ZERO,
    };
    let emitted = read_directory(directory.path(), &mut captured.uncaptured)?;
    let parsed = map(captured.parallel, emitted, parse);
    let mut pairing = Pairing { keys, names, debug_info: engine.get_debug_info() };
    pairing.pair(parsed, &candidates, &mut captured);
    captured.elapsed = start.elapsed();
    Ok(captured)
}

/// The ISA candidates, or why nothing can be captured under this engine.
fn supported(engine: &Engine) -> Result<Vec<OwnedTargetIsa>, StockReason> {
    if engine.get_strategy() != Some(Strategy::Cranelift) {
        return Err(StockReason::NotCranelift);
    }
    const CHECKS: &str = "enable_incremental_compilation_cache_checks";
    if engine.get_cranelift_flags_enabled().any(|flag| flag == CHECKS)
        || engine.get_cranelift_flags_set().any(|(flag, value)| flag == CHECKS && value == "true")
    {
        return Err(StockReason::CacheChecks);
    }
    isa::candidates(engine).map_err(StockReason::UnknownIsa)
}

/// One file of the `emit_clif` directory that belongs to a wasm function.
struct Emitted {
    index: u32,
    clif: String,
}

impl Emitted {
    fn symbol(&self) -> String {
        format!("wasm[0]::function[{}]", self.index)
    }
}

/// Reads the wasm functions' files by index; the other files are trampolines.
fn read_directory(path: &Path, others: &mut Vec<Uncaptured>) -> Result<Vec<Emitted>, SeamError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| SeamError::Io { path, source }
    };
    let mut emitted = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail(path))? {
        let entry = entry.map_err(fail(path))?;
        let file = entry.path();
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let index = stem
            .strip_prefix("wasm[0]--function[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|index| index.parse().ok());
        match index {
            Some(index) => emitted.push(Emitted {
                index,
                clif: std::fs::read_to_string(&file).map_err(fail(&file))?,
            }),
            None => others.push(Uncaptured {
                name: None,
                index: None,
                symbol: stem.replace("--", "::"),
                clif_bytes: entry.metadata().map_or(0, |data| data.len() as usize),
                reason: StockReason::Trampoline,
            }),
        }
    }
    emitted.sort_by_key(|file| file.index);
    others.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    Ok(emitted)
}

fn parse(file: Emitted) -> (Emitted, Result<Function, String>) {
    let functions = catch_unwind(|| cranelift_reader::parse_functions(&file.clif));
    let parsed = match functions {
        Ok(Ok(functions)) => match <[Function; 1]>::try_from(functions) {
            Ok([function]) => Ok(function),
            Err(functions) => Err(format!("{} functions in one file", functions.len())),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(payload) => Err(panic_message(&*payload)),
    };
    (file, parsed)
}

/// Pairs parsed functions with the keys that Wasmtime asked for.
struct Pairing {
    keys: HashSet<CacheKey>,
    names: HashMap<u32, String>,
    debug_info: bool,
}

impl Pairing {
    fn pair(
        &mut self,
        parsed: Vec<(Emitted, Result<Function, String>)>,
        candidates: &[OwnedTargetIsa],
        captured: &mut Captured,
    ) {
        // The first match decides between the candidates: flags are the same for all functions.
        captured.isa = candidates
            .iter()
            .find(|isa| {
                parsed.iter().any(|(_, func)| {
                    func.as_ref()
                        .is_ok_and(|func| self.keys.contains(&CacheKey::compute(&***isa, func)))
                })
            })
            .cloned();
        let isa = captured.isa.clone();
        let keyed = map(captured.parallel, parsed, |(file, func)| {
            let func = func.map(|func| {
                let key = isa.as_ref().map(|isa| CacheKey::compute(&**isa, &func));
                (func, key)
            });
            (file, func)
        });
        for (file, func) in keyed {
            let (index, symbol) = (file.index, file.symbol());
            let name = self.names.remove(&index);
            let reason = match func {
                Ok((func, Some(key))) if self.keys.contains(&key) => {
                    captured.functions.push(CapturedFunction {
                        name,
                        index,
                        symbol,
                        key,
                        clif: file.clif,
                        func,
                    });
                    continue;
                }
                Ok(_) if self.debug_info => StockReason::DebugInfo,
                Ok((_, Some(_))) => StockReason::KeyMismatch,
                Ok((_, None)) => {
                    StockReason::UnknownIsa("no recomputed key matches Wasmtime's".to_owned())
                }
                Err(text) => StockReason::Unparsable(text),
            };
            captured.uncaptured.push(Uncaptured {
                name,
                index: Some(index),
                symbol,
                clif_bytes: file.clif.len(),
                reason,
            });
        }
    }
}

/// Maps in parallel if Wasmtime itself may compile in parallel; keeps the order.
pub(crate) fn map<A: Send, B: Send>(
    parallel: bool,
    items: Vec<A>,
    f: impl Fn(A) -> B + Send + Sync,
) -> Vec<B> {
    if parallel {
        items.into_par_iter().map(f).collect()
    } else {
        items.into_iter().map(f).collect()
    }
}

/// Answers every question with one dummy and remembers what was asked.
#[derive(Default)]
struct DummyStore {
    dummy: OnceLock<Vec<u8>>,
    keys: Mutex<HashSet<CacheKey>>,
}

impl fmt::Debug for DummyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DummyStore")
    }
}

impl CacheStore for DummyStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if let Some(key) = CacheKey::from_bytes(key) {
            self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        }
        self.dummy.get().map(|dummy| Cow::Borrowed(dummy.as_slice()))
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        false
    }
}
