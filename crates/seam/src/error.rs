//! The errors of capture and hand-back. A function that merely stays stock is no error: see
//! [`StockReason`].

use crate::report::StockReason;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Why a module could not be captured or compiled through the seam.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeamError {
    /// Wasmtime refused the module or the configuration; the error is Wasmtime's own.
    #[error("{error:#}")]
    Wasmtime {
        /// Wasmtime's error with its whole context.
        error: wasmtime::Error,
    },

    /// The user's `Config` already has an incremental cache, and Wasmtime has room for one only.
    #[error(
        "the wasmtime::Config already has an incremental compilation cache, the slot that hands \
         compiled code back; remove the call to `enable_incremental_compilation` (a `CodeStore` \
         takes its place) or use a `SeamHandle` that is not attached"
    )]
    CacheSlotTaken,

    /// The user's `Config` has its compiler disabled.
    #[error(
        "the wasmtime::Config has no compiler; remove the call to `enable_compiler(false)` or load \
         a precompiled `.cwasm`"
    )]
    NoCompiler,

    /// Nothing can be captured under this configuration. `precompile_module` and `attach` then use
    /// stock Cranelift; only `capture` itself returns this.
    #[error("no function can be captured: {reason}")]
    Unsupported {
        /// What stands in the way.
        reason: StockReason,
    },

    /// Wasmtime panicked on the module, as it does for example on SIMD for a target without it.
    #[error("wasmtime panicked while it compiled the module: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },

    /// CLIF files and questions to the cache did not come in turn.
    #[error(
        "wasmtime wrote {files} CLIF files where one was due, so functions and keys cannot be \
         paired; please report this with the module"
    )]
    Unpaired {
        /// How many files there were.
        files: usize,
    },

    /// The private temporary directory of a capture failed.
    #[error("{path}: {source}; captures need a writable temporary directory (set TMPDIR)")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl SeamError {
    /// Why a module that stock Wasmtime compiles is stock.
    pub(crate) fn into_reason(self) -> StockReason {
        match self {
            SeamError::Unsupported { reason } => reason,
            error => StockReason::CaptureFailed(error.to_string()),
        }
    }
}

impl From<wasmtime::Error> for SeamError {
    fn from(error: wasmtime::Error) -> Self {
        SeamError::Wasmtime { error }
    }
}

/// `Engine::precompile_module` with a panic turned into an error.
pub(crate) fn precompile(engine: &wasmtime::Engine, wasm: &[u8]) -> Result<Vec<u8>, SeamError> {
    let compiled = catch_unwind(AssertUnwindSafe(|| engine.precompile_module(wasm)));
    let compiled =
        compiled.map_err(|payload| SeamError::Panicked { message: panic_message(&*payload) })?;
    Ok(compiled?)
}

/// The text of a caught panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
