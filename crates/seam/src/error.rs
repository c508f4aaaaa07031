//! The errors of capture and hand-back. A function that merely stays stock is no error: see
//! [`StockReason`].

use crate::report::StockReason;
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
         takes its place)"
    )]
    CacheSlotTaken,

    /// The user's `Config` has its compiler disabled.
    #[error(
        "the wasmtime::Config has no compiler; remove the call to `enable_compiler(false)` or load \
         a precompiled `.cwasm`"
    )]
    NoCompiler,

    /// An engine was given to a handle that belongs to another `Config`.
    #[error(
        "the wasmtime::Engine was not made from the Config this handle was attached to; build the \
         engine from that Config after `attach`"
    )]
    ForeignEngine,

    /// Nothing can be captured under this configuration. `precompile_module` and `attach` then use
    /// stock Cranelift; only `capture` itself returns this.
    #[error("no function can be captured: {reason}")]
    Unsupported {
        /// What stands in the way.
        reason: StockReason,
    },

    /// Wasmtime panicked while the module was captured.
    #[error("wasmtime panicked while its CLIF was captured: {message}")]
    CapturePanicked {
        /// The panic's message.
        message: String,
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

impl From<wasmtime::Error> for SeamError {
    fn from(error: wasmtime::Error) -> Self {
        SeamError::Wasmtime { error }
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
