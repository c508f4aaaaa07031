//! The e-graph of Egraft: hash-consing, union-find, facts on classes, rewriting, explanations.
//!
//! One arena serves two modes: eager rewriting as nodes are added ([`Rewriter`], the default when
//! compiling) and saturation in batches ([`saturate`]). Knows no functions and no targets.

pub mod bulk;
mod diff;
mod dump;
mod explain;
pub mod file;
mod graph;
mod rules;
mod run;
mod standard;

pub use diff::{Diff, diff};
pub use dump::{to_dot, to_json};
pub use explain::{Proof, Reason, Step};
pub use graph::EGraph;
pub use rules::{Rules, Saturator};
pub use run::{
    Limits, Matcher, Rewriter, Root, RuleCount, Saturation, StopReason, saturate, saturate_with,
};
pub use standard::{RULES, STANDARD_SET, StandardRules};
