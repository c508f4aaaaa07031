//! What became of each function: handed back, or left to stock Cranelift and why.

use serde::Serialize;

/// Why a function kept the code of stock Cranelift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "detail", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StockReason {
    /// Glue between wasm and host, made by Wasmtime, with no wasm body.
    #[error("a trampoline, not a wasm function")]
    Trampoline,
    /// `Config::debug_info`: value labels are not part of CLIF text.
    #[error("native debug info needs value labels, which CLIF text does not hold")]
    DebugInfo,
    /// `Config::guest_debug`: every frame is described to a debugger.
    #[error("guest debugging describes every frame of Wasmtime's own code")]
    GuestDebug,
    /// The CLIF text does not parse back.
    #[error("the captured CLIF does not parse: {0}")]
    Unparsable(String),
    /// The parsed CLIF prints to another text, so the reader or the printer loses something.
    #[error("the captured CLIF does not print back to the same text")]
    TextMismatch,
    /// The printer leaves out the flags of `atomic_rmw` and `atomic_cas`, byte order included.
    #[error("CLIF text leaves out the memory flags of atomic operations")]
    AtomicFlags,
    /// No probe function's key could be recomputed, or this build lacks the target.
    #[error("Wasmtime's target or flags could not be rebuilt: {0}")]
    UnknownIsa(String),
    /// `Strategy::Winch` and others do not use the incremental cache.
    #[error("the compilation strategy is not Cranelift")]
    NotCranelift,
    /// The flag `enable_incremental_compilation_cache_checks` recompiles each cached function and
    /// aborts on a difference.
    #[error("the flag enable_incremental_compilation_cache_checks forbids code of our own")]
    CacheChecks,
    /// The capture of the whole module failed though stock Wasmtime compiles it.
    #[error("the module could not be captured: {0}")]
    CaptureFailed(String),
    /// The compiler chose stock code.
    #[error("{0}")]
    Declined(String),
    /// The compiler panicked.
    #[error("the compiler panicked: {0}")]
    Panicked(String),
    /// The replacement is not valid CLIF.
    #[error("the replacement is not valid CLIF: {0}")]
    Invalid(String),
    /// Stock Cranelift could not compile the replacement.
    #[error("the replacement does not compile: {0}")]
    CompileFailed(String),
    /// The replacement has another signature.
    #[error("the replacement has another signature")]
    SignatureChanged,
    /// The code refers to something that Wasmtime would not link for this function.
    #[error("the code refers to what Wasmtime does not link here: {0}")]
    ForeignReference(String),
    /// The code holds a trap code Wasmtime does not know.
    #[error("the code has trap code {0}, which Wasmtime does not know")]
    ForeignTrap(u8),
    /// Two functions with one key, told apart only by their callees' names, got different code.
    #[error("another function has the same cache key and got different code")]
    SharedKey,
    /// Code was ready, but Wasmtime did not ask for it.
    #[error("Wasmtime did not ask for the code")]
    NotAsked,
}

/// What became of one function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Wasmtime uses the code that was handed back.
    #[default]
    Replaced,
    /// Wasmtime uses its own code.
    Stock(StockReason),
}

/// One function of a module that went through the seam.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FunctionReport {
    /// Its name in the name section.
    pub name: Option<String>,
    /// Wasmtime's symbol without the name: `wasm[0]::function[3]`.
    pub symbol: String,
    /// Its index in the wasm module's function index space; `None` for trampolines.
    pub index: Option<u32>,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the code, or the decision for stock, came from the [`CodeStore`](crate::CodeStore).
    pub from_store: bool,
    /// Bytes of its CLIF text.
    pub clif_bytes: usize,
    /// Microseconds spent on deciding and compiling.
    pub micros: u64,
    /// Bytes of its machine code, constants included, whether replaced or stock; 0 if only Wasmtime
    /// knows.
    pub code_bytes: usize,
}

impl FunctionReport {
    /// Why the function is stock; `None` if it was replaced.
    pub fn stock_reason(&self) -> Option<&StockReason> {
        match &self.outcome {
            Outcome::Replaced => None,
            Outcome::Stock(reason) => Some(reason),
        }
    }
}

impl FunctionReport {
    /// Corrects the report on a function whose code was ready.
    pub(crate) fn was_not_taken(&mut self, contested: bool) {
        let reason = if contested { StockReason::SharedKey } else { StockReason::NotAsked };
        self.outcome = Outcome::Stock(reason);
        self.code_bytes = 0;
    }
}

/// A module that went through the seam.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SeamReport {
    /// Functions with a wasm body by index, then trampolines by symbol if the module was captured
    /// whole.
    pub functions: Vec<FunctionReport>,
    /// Set when the whole module is stock; `functions` is then empty.
    pub stock_module: Option<StockReason>,
    /// Why new code could not be put into the [`CodeStore`](crate::CodeStore); the code is used
    /// all the same.
    pub store_error: Option<String>,
    /// Microseconds of the capture.
    pub capture_micros: u64,
    /// Microseconds of deciding and compiling: wall time of a module captured whole, else the sum
    /// over the functions, as these overlap with one another and with the last run.
    pub compile_micros: u64,
    /// Microseconds of the last run of Wasmtime, which took the code, and may have waited for it.
    pub handback_micros: u64,
}

impl SeamReport {
    /// How many functions run the code that was handed back.
    pub fn replaced(&self) -> usize {
        self.functions.iter().filter(|function| function.outcome == Outcome::Replaced).count()
    }

    /// The functions with a wasm body.
    pub fn wasm_functions(&self) -> impl Iterator<Item = &FunctionReport> {
        self.functions.iter().filter(|function| function.index.is_some())
    }
}
