//! The op vocabulary of Egraft's e-graphs, its types, and the one definition of what ops compute.
//!
//! Beside it stands what follows from one node alone: its value, its facts, its effect. Nothing
//! here knows of functions, blocks or rewriting. Invariant: an op's meaning is defined once, in
//! `semantics`, over an abstract domain; the evaluator, known bits and provers are domains.

#[cfg(feature = "clif")]
pub mod clif;
#[cfg(feature = "clif")]
pub mod effects;
pub mod eval;
mod facts;
mod fingerprint;
pub mod machine;
mod node;
mod op;
pub mod semantics;
mod ty;

pub use eval::{Concrete, EvalError, eval, fold};
pub use facts::{
    Annotation, Annotations, Facts, KnownBits, OfFloat, POWERS, SignCopies, known_bits,
    sign_copies, signed_range,
};
pub use fingerprint::{Fingerprint, Term, fingerprint};
pub use node::{ClassId, Node};
pub use op::{FloatCc, ImmKind, IntCc, Op, TypeRule, TypeSet};
pub use ty::{Ty, UnknownType};
