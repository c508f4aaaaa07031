//! Why a function is left to stock Cranelift.

use std::fmt;

/// What of a function this backend does not cover.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what} is not covered by Egraft's x86-64 backend")]
pub struct Unsupported {
    /// Where: an instruction, the signature, the target.
    pub place: String,
    /// The op, type or detail that is not covered.
    pub what: String,
}

impl Unsupported {
    /// `what`, met at `place`.
    pub(crate) fn new(place: impl fmt::Display, what: impl fmt::Display) -> Unsupported {
        Unsupported { place: place.to_string(), what: what.to_string() }
    }
}
