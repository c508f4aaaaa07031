//! Wasm modules from byte strings: the same bytes give the same module. Runs nothing.
//!
//! Invariant: every call of a module made here ends by itself.

pub mod egraph;
mod halide;
mod loops;
mod smith;

use crate::choices::Choices;
use std::fmt;
use std::str::FromStr;

/// Which generator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Loops of vector code with the idioms of Halide.
    Halide,
    /// Loops that count and walk over memory, at its ends and over one another.
    Loops,
    /// Anything valid.
    Smith,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 3] = [Kind::Halide, Kind::Loops, Kind::Smith];

    /// Bytes that make modules of a good size.
    pub fn good_len(self) -> usize {
        match self {
            Kind::Halide => 3000,
            Kind::Loops => 600,
            Kind::Smith => 2500,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Halide => "halide",
            Kind::Loops => "loops",
            Kind::Smith => "smith",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        Kind::ALL
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("no generator `{text}`; there are halide, loops and smith"))
    }
}

/// Makes one module, or `None` if these bytes make none.
pub fn generate(kind: Kind, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
    let relaxed = choices.one_in(4);
    match kind {
        Kind::Halide => Some(halide::module(choices, relaxed)),
        Kind::Loops => loops::module(choices),
        Kind::Smith => smith::module(choices, relaxed),
    }
}
