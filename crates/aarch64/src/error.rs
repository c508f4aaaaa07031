//! Why a function is left to stock Cranelift.

use std::fmt;

/// Something that this backend does not cover; the function keeps stock code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {detail}")]
pub struct Unsupported {
    what: &'static str,
    detail: String,
}

impl Unsupported {
    pub(crate) fn new(what: &'static str, detail: impl fmt::Display) -> Unsupported {
        Unsupported { what, detail: detail.to_string() }
    }
}
