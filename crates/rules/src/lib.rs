//! ISLE rewrite rules: parsed, type-checked, named, and compiled to matchers.
//!
//! Holds no e-graph and proves nothing. Invariant: a [`Rule`] that left this crate's loader is
//! well typed, named and reasoned, and its interpreter and its generated code agree.

mod graph;

pub use graph::{
    Binds, BuildGraph, FactSource, KnownBits, MATCHES_PER_RULE, Match, MatchGraph, NODES_PER_RULE,
    RuleId, RuleMeta, slot,
};
