//! Capture: the CLIF of every wasm function as Wasmtime would compile it under a given `Config`.
//!
//! A copy of the `Config` gets one compiling thread, a private `emit_clif` directory and a cache
//! that answers every question with one small dummy. A hit skips the optimiser, so the CLIF that
//! Wasmtime writes after it is the untouched translation. The artefact full of dummies is thrown
//! away.
//!
//! Two things are proven rather than assumed. The file between two questions belongs to the first:
//! the directory is emptied at each question, and a capture that ever finds another number of files
//! than one fails. The ISA is Wasmtime's: for a probe module of trivial functions a cache key is
//! recomputed from parsed CLIF, and the key covers the target and every flag. (Keys of larger
//! functions cannot be recomputed, as they cover the order in which instructions were made, which
//! text does not keep.)
//!
//! This is the capture of whole modules; `select` captures a few functions much faster.
//!
//! Invariant: a [`CapturedFunction`] has the very key under which Wasmtime asks for its code, and
//! its CLIF prints back to the captured text, but for names that no instruction uses.

use crate::error::{SeamError, panic_message, precompile};
use crate::key::CacheKey;
use crate::names::hide_names;
use crate::report::StockReason;
use crate::sink::text;
use crate::tap::Tap;
use crate::thin::thin;
use crate::{compile, isa};
use cranelift_codegen::ir::{Function, InstructionData};
use cranelift_codegen::isa::OwnedTargetIsa;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// The CLIF, parsed, without names for values that no instruction uses.
    pub func: Function,
}

impl CapturedFunction {
    /// The same function, which stays stock.
    pub(crate) fn lost(self, reason: StockReason) -> Uncaptured {
        let CapturedFunction { name, index, symbol, clif, .. } = self;
        Uncaptured { name, index: Some(index), symbol, clif_bytes: clif.len(), reason }
    }
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

/// A function without a wasm body.
pub(crate) struct Trampoline {
    pub(crate) symbol: String,
    pub(crate) key: CacheKey,
    pub(crate) clif_bytes: usize,
    pub(crate) func: Function,
}

/// A function that Wasmtime compiles but whose CLIF could not be read.
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
    /// Wasmtime's own glue between host and wasm, by symbol.
    pub(crate) trampolines: Vec<Trampoline>,
    /// The very ISA, flags included, that Wasmtime compiles with.
    pub isa: OwnedTargetIsa,
    pub(crate) uncaptured: Vec<Uncaptured>,
    pub(crate) parallel: bool,
    pub(crate) elapsed: Duration,
}

impl Captured {
    fn new(isa: OwnedTargetIsa, parallel: bool) -> Self {
        Captured {
            functions: Vec::new(),
            trampolines: Vec::new(),
            isa,
            uncaptured: Vec::new(),
            parallel,
            elapsed: Duration::ZERO,
        }
    }

    /// Functions whose CLIF could not be read: symbol and reason.
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
/// `config` is not changed; an incremental cache or `emit_clif` directory of its own is not used.
/// Nothing is left on disk; the CLIF text lies in a private temporary directory, one function at a
/// time.
///
/// # Errors
/// [`SeamError::Wasmtime`] if Wasmtime refuses the module or the configuration, with its own error.
/// [`SeamError::Unsupported`] if nothing can be captured under this configuration.
pub fn capture(config: &Config, wasm: &[u8]) -> Result<Captured, SeamError> {
    let start = Instant::now();
    let Prepared { mut config, isa, dummy, parallel, .. } = prepare(config)?;
    let directory = private_directory()?;
    let store = Arc::new(DummyStore::new(directory.path(), dummy));
    config.emit_clif(directory.path());
    config.enable_incremental_compilation(store.clone())?;
    let engine = Engine::new(&config)?;

    // Text that does not parse goes to Wasmtime as it is, for Wasmtime's own error.
    let binary = wat::parse_bytes(wasm).unwrap_or(Cow::Borrowed(wasm));
    let (hidden, mut names) = hide_names(&binary);
    let emitted = store.run(&engine, &hidden)?;

    let mut captured = Captured::new(isa, parallel);
    for (file, parsed) in map(parallel, emitted, parse) {
        captured.push(file, parsed, &mut names);
    }
    captured.functions.sort_by_key(|function| function.index);
    captured.trampolines.sort_by(|a, b| a.symbol.cmp(&b.symbol));
    captured.elapsed = start.elapsed();
    Ok(captured)
}

/// What every capture under one `Config` needs.
pub(crate) struct Prepared {
    /// The user's `Config` with one compiling thread; no cache or `emit_clif` directory of the
    /// user's is used once those of the capture are set.
    pub(crate) config: Config,
    /// The very ISA, flags included, that Wasmtime compiles with.
    pub(crate) isa: OwnedTargetIsa,
    /// Code for the smallest function.
    pub(crate) dummy: Vec<u8>,
    /// Whether the user's `Config` compiles in parallel.
    pub(crate) parallel: bool,
}

/// Makes sure that functions can be captured under `config`, and finds the ISA.
pub(crate) fn prepare(config: &Config) -> Result<Prepared, SeamError> {
    let parallel = settings_text(config)?.contains("parallel_compilation: true");
    let mut config = config.clone();
    config.parallel_compilation(false);
    // Neither changes compiled code; a pool would reserve address space, a profiler write files.
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config.profiler(ProfilingStrategy::None);
    let engine = Engine::new(&config)?;
    supported(&engine).map_err(|reason| SeamError::Unsupported { reason })?;
    let Proven { isa, dummy } = prove(&config, &engine)?;
    Ok(Prepared { config, isa, dummy, parallel })
}

pub(crate) fn private_directory() -> Result<tempfile::TempDir, SeamError> {
    tempfile::Builder::new()
        .prefix("egraft-clif-")
        .tempdir()
        .map_err(|source| SeamError::Io { path: std::env::temp_dir(), source })
}

/// An ISA that was proven to be Wasmtime's, and code for it.
#[derive(Clone)]
struct Proven {
    isa: OwnedTargetIsa,
    dummy: Vec<u8>,
}

/// How many ISAs a process remembers.
const PROVEN_LIMIT: usize = 64;

/// The ISA of `engine`. One probe module per process proves it for all engines alike: Wasmtime's
/// compatibility hash, the key here, covers the target, every flag and every CPU feature.
fn prove(config: &Config, engine: &Engine) -> Result<Proven, SeamError> {
    static KNOWN: Mutex<Option<HashMap<[u8; 32], Proven>>> = Mutex::new(None);
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let key: [u8; 32] = hasher.0.finalize().into();
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(proven) = known().as_ref().and_then(|known| known.get(&key)) {
        return Ok(proven.clone());
    }
    let unknown = |text| SeamError::Unsupported { reason: StockReason::UnknownIsa(text) };
    let candidates = isa::candidates(engine).map_err(unknown)?;
    let dummy = compile::dummy_code(&*candidates[0]).map_err(unknown)?;
    let probe =
        wat::parse_str(PROBE).map_err(|error| unknown(format!("the probe module: {error}")))?;
    let directory = private_directory()?;
    let store = Arc::new(DummyStore::new(directory.path(), dummy.clone()));
    let mut config = config.clone();
    config.emit_clif(directory.path());
    config.enable_incremental_compilation(store.clone())?;
    let probes = store.run(&Engine::new(&config)?, &probe)?;
    let isa = find_isa(candidates, probes).map_err(|reason| SeamError::Unsupported { reason })?;
    let proven = Proven { isa, dummy };
    let mut known = known();
    let known = known.get_or_insert_default();
    if known.len() >= PROVEN_LIMIT {
        known.clear();
    }
    known.insert(key, proven.clone());
    Ok(proven)
}

/// Hashes what is hashed, so that two that differ collide never, not seldom.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        0
    }
}

/// The `Debug` text of a `Config`, which alone tells some settings before there is an engine.
///
/// # Errors
/// [`SeamError::NoCompiler`] if there is none to configure.
pub(crate) fn settings_text(config: &Config) -> Result<String, SeamError> {
    let text = format!("{config:?}");
    if text.contains("compiler_config: None") { Err(SeamError::NoCompiler) } else { Ok(text) }
}

/// Why nothing can be captured under this engine, if so.
fn supported(engine: &Engine) -> Result<(), StockReason> {
    if engine.get_strategy() != Some(Strategy::Cranelift) {
        return Err(StockReason::NotCranelift);
    }
    if engine.get_debug_info() {
        return Err(StockReason::DebugInfo);
    }
    if engine.get_guest_debug() {
        return Err(StockReason::GuestDebug);
    }
    const CHECKS: &str = "enable_incremental_compilation_cache_checks";
    if engine.get_cranelift_flags_enabled().any(|flag| flag == CHECKS)
        || engine.get_cranelift_flags_set().any(|(flag, value)| flag == CHECKS && value == "true")
    {
        return Err(StockReason::CacheChecks);
    }
    Ok(())
}

/// Functions so small that text keeps everything of some of them, whatever a `Config` adds to wasm
/// functions: trampolines, for exports and imports, get no fuel, epoch or stack checks.
const PROBE: &str = r#"(module
    (import "" "" (func))
    (import "" "" (func (param i32) (result i64)))
    (func (export ""))
    (func (param i64 i32) (result i32) local.get 1))"#;

/// The candidate under which a probe function has the key that Wasmtime asked for.
fn find_isa(
    candidates: Vec<OwnedTargetIsa>,
    probes: Vec<Emitted>,
) -> Result<OwnedTargetIsa, StockReason> {
    let probes: Vec<_> = probes.into_iter().map(parse).collect();
    candidates
        .into_iter()
        .find(|isa| {
            probes.iter().any(|(file, func)| {
                func.as_ref().is_ok_and(|func| CacheKey::compute(&**isa, func) == file.key)
            })
        })
        .ok_or_else(|| StockReason::UnknownIsa("no recomputed key is Wasmtime's".to_owned()))
}

/// Wasmtime's symbol of a wasm function without a name.
pub(crate) fn symbol(index: u32) -> String {
    format!("wasm[0]::function[{index}]")
}

/// One file of the `emit_clif` directory and the key it belongs to.
pub(crate) struct Emitted {
    pub(crate) key: CacheKey,
    /// The file's name without its ending.
    pub(crate) stem: String,
    pub(crate) clif: String,
}

impl Emitted {
    /// Wasmtime's symbol, whose colons the file name has as dashes.
    fn symbol(&self) -> String {
        self.stem.replace("--", "::")
    }

    /// The wasm function's index; `None` for a trampoline.
    pub(crate) fn index(&self) -> Option<u32> {
        self.stem
            .strip_prefix("wasm[0]--function[")
            .and_then(|rest| rest.strip_suffix(']'))
            .and_then(|index| index.parse().ok())
    }
}

/// Parses CLIF and checks that nothing was lost on the way.
fn parse(file: Emitted) -> (Emitted, Result<Function, StockReason>) {
    let text = thin(&file.clif);
    let parsed = read(&text).and_then(|func| match prints_back(&func, &text) {
        true => Ok(func),
        false => Err(StockReason::TextMismatch),
    });
    drop(text);
    (file, parsed)
}

/// Parses [thin](thin) CLIF that is to be [checked](prints_back).
pub(crate) fn read(clif: &str) -> Result<Function, StockReason> {
    let parsed = catch_unwind(|| cranelift_reader::parse_functions(clif))
        .map_err(|payload| StockReason::Unparsable(panic_message(&*payload)))?;
    let functions = parsed.map_err(|error| StockReason::Unparsable(error.to_string()))?;
    let [function] = <[Function; 1]>::try_from(functions).map_err(|functions| {
        StockReason::Unparsable(format!("{} functions in one file", functions.len()))
    })?;
    if has_atomic_flags(&function) { Err(StockReason::AtomicFlags) } else { Ok(function) }
}

/// Whether a parsed function prints to the text it was parsed from.
pub(crate) fn prints_back(func: &Function, clif: &str) -> bool {
    /// What is left to be printed.
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    // The first line is Wasmtime's comment.
    let mut rest = Rest(clif.split_once('\n').map_or("", |(_, body)| body));
    let printed = catch_unwind(AssertUnwindSafe(|| write!(rest, "{}", func.display())));
    matches!(printed, Ok(Ok(()))) && rest.0.is_empty()
}

/// Whether `func` has an instruction whose memory flags, byte order included, are not printed.
fn has_atomic_flags(func: &Function) -> bool {
    let mut instructions = func.layout.blocks().flat_map(|block| func.layout.block_insts(block));
    instructions.any(|inst| {
        let data = &func.dfg.insts[inst];
        matches!(data, InstructionData::AtomicRmw { .. } | InstructionData::AtomicCas { .. })
    })
}

impl Emitted {
    /// The wasm function with this index, or why it stays stock.
    pub(crate) fn into_function(
        self,
        index: u32,
        name: Option<String>,
        parsed: Result<Function, StockReason>,
    ) -> Result<CapturedFunction, Uncaptured> {
        let symbol = self.symbol();
        match parsed {
            Ok(func) => {
                Ok(CapturedFunction { name, index, symbol, key: self.key, clif: self.clif, func })
            }
            Err(reason) => {
                let clif_bytes = self.clif.len();
                Err(Uncaptured { name, index: Some(index), symbol, clif_bytes, reason })
            }
        }
    }
}

impl Captured {
    fn push(
        &mut self,
        file: Emitted,
        parsed: Result<Function, StockReason>,
        names: &mut HashMap<u32, String>,
    ) {
        let symbol = file.symbol();
        let clif_bytes = file.clif.len();
        match (file.index(), parsed) {
            (Some(index), parsed) => {
                match file.into_function(index, names.remove(&index), parsed) {
                    Ok(function) => self.functions.push(function),
                    Err(uncaptured) => self.uncaptured.push(uncaptured),
                }
            }
            (None, Ok(func)) => {
                self.trampolines.push(Trampoline { symbol, key: file.key, clif_bytes, func });
            }
            (None, Err(reason)) => {
                let (name, index) = (None, None);
                self.uncaptured.push(Uncaptured { name, index, symbol, clif_bytes, reason });
            }
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

/// Answers every question with one dummy and takes the file that Wasmtime writes after it.
struct DummyStore {
    directory: PathBuf,
    dummy: Vec<u8>,
    /// Of the thread that makes the store, which has to compile too.
    tap: Option<Tap>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last question, whose file is not yet taken.
    pending: Option<CacheKey>,
    emitted: Vec<Emitted>,
    error: Option<SeamError>,
}

impl DummyStore {
    fn new(directory: &Path, dummy: Vec<u8>) -> Self {
        let directory = directory.to_owned();
        DummyStore { directory, dummy, tap: Tap::open(), state: Mutex::default() }
    }

    /// Compiles `wasm` and returns what was emitted for it.
    fn run(&self, engine: &Engine, wasm: &[u8]) -> Result<Vec<Emitted>, SeamError> {
        let compiled = precompile(engine, wasm);
        self.proceed(None);
        let state = std::mem::take(&mut *self.lock());
        compiled?;
        if let Some(error) = state.error {
            return Err(error);
        }
        Ok(state.emitted)
    }

    /// Takes the file of the last question and goes on to `next`.
    fn proceed(&self, next: Option<CacheKey>) {
        let mut state = self.lock();
        let pending = std::mem::replace(&mut state.pending, next);
        if state.error.is_some() {
            return;
        }
        match self.take_files(pending) {
            Ok(emitted) => state.emitted.extend(emitted),
            Err(error) => state.error = Some(error),
        }
    }

    /// Empties the directory, which must hold one file if a question is pending, none otherwise.
    fn take_files(&self, pending: Option<CacheKey>) -> Result<Option<Emitted>, SeamError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| SeamError::Io { path, source }
        };
        let mut tapped = self.tap.as_ref().map(Tap::take);
        let mut taken = None;
        let mut count = 0;
        for entry in std::fs::read_dir(&self.directory).map_err(fail(&self.directory))? {
            let path = entry.map_err(fail(&self.directory))?.path();
            let clif = match tapped.take() {
                Some(bytes) => text(bytes).map_err(fail(&path))?,
                None => std::fs::read_to_string(&path).map_err(fail(&path))?,
            };
            std::fs::remove_file(&path).map_err(fail(&path))?;
            count += 1;
            taken = pending.map(|key| Emitted {
                key,
                stem: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                clif,
            });
        }
        if count != usize::from(pending.is_some()) {
            return Err(SeamError::Unpaired { files: count });
        }
        Ok(taken)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DummyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DummyStore")
    }
}

impl CacheStore for DummyStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        self.proceed(CacheKey::from_bytes(key));
        Some(Cow::Borrowed(self.dummy.as_slice()))
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        false
    }
}
