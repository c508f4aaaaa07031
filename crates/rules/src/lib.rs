//! ISLE rewrite rules: parsed, type-checked, named, and compiled to matchers.
//!
//! Holds no e-graph and proves nothing. Invariant: a [`Rule`] that left this crate's loader is
//! well typed, named and reasoned, and its interpreter and its generated code agree.

pub mod build;
mod check;
mod codegen;
mod cond;
mod error;
mod graph;
mod interp;
mod load;
mod lower;
mod plan;
mod prelude;
mod rule;
mod source;
mod types;

pub use check::{Counterexample, RuleCheck, Sample, ToyGraph, check_rule};
pub use codegen::compile_to_rust;
pub use cond::{Cond, Sort, call};
pub use error::{Place, RuleError, RuleErrors};
pub use graph::{
    Binds, BuildGraph, FactSource, MATCHES_PER_RULE, Match, MatchGraph, NODES_PER_RULE, RuleId,
    RuleMeta, slot,
};
pub use interp::Interpreter;
pub use load::{NODES_LIMIT, VARS_LIMIT};
pub use lower::{LoweringRule, LoweringSet, MachineTemplate};
pub use plan::{Plan, Source as StepSource, Step};
pub use prelude::{PRELUDE_FILE, lowering_prelude, prelude};
pub use rule::{Condition, Pattern, Ref, Rule, RuleSet, Slot, Template, Var, VarId};
pub use source::{DEPTH_LIMIT, FILE_LIMIT, Source};
pub use types::Types;
