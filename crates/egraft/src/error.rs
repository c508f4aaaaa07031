//! The errors of the library. A function that merely stays stock is none: see
//! [`FunctionReport::reason`](crate::FunctionReport::reason).

use egraft_seam::{SeamError, StoreError};

/// Why a configuration was refused or a module did not compile.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Wasmtime refused the module or the configuration, or the configuration has no room for Egraft.
    #[error(transparent)]
    Seam(#[from] SeamError),

    /// The directory of `Options::cache_dir` cannot be used.
    #[error("cache directory: {0}")]
    Cache(#[from] StoreError),

    /// No such backend.
    #[error("no backend `{name}`; there are auto, cranelift and x64")]
    Backend {
        /// The name given.
        name: String,
    },

    /// No such stage.
    #[error(
        "no stage `{name}`; there are rules, selection, addressing, registers, unrolling and wide"
    )]
    Stage {
        /// The name given.
        name: String,
    },

    /// No such matcher.
    #[error("no matcher `{name}`; there are cpu and gpu")]
    Matcher {
        /// The name given.
        name: String,
    },

    /// No such effort.
    #[error("effort {level} does not exist; levels are 0 to {}", crate::Effort::MAX_LEVEL)]
    Effort {
        /// The level asked for.
        level: u8,
    },

    /// The target triple does not exist, or this build of Cranelift has no backend for it.
    #[error("target `{target}`: {problem}")]
    Target {
        /// The target asked for.
        target: String,
        /// What is wrong with it.
        problem: String,
    },

    /// The target has no such CPU.
    #[error("cpu `{cpu}` is not known for {target}; known are baseline, {native}{known}")]
    Cpu {
        /// The CPU asked for.
        cpu: String,
        /// The target.
        target: String,
        /// `native, ` if the target is the host.
        native: &'static str,
        /// The target's own CPUs and features.
        known: String,
    },
}

impl From<wasmtime::Error> for Error {
    fn from(error: wasmtime::Error) -> Self {
        Error::Seam(error.into())
    }
}
