//! The rules of `isle-rules/rewrite`, compiled into this crate by its build script.

use crate::graph::EGraph;
use crate::run::Matcher;
use egraft_ir::{ClassId, Node};
use egraft_rules::{BuildGraph, Match, RuleSet, Source};
use std::sync::LazyLock;

#[allow(clippy::all, unused, missing_docs, unreachable_pub, reason = "generated code")]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/rewrite_rules.rs"));
}

pub use generated::RULES;

/// The files of the standard rules: names and texts.
const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rewrite_sources.rs"));

/// The standard rules as data, for matchers that are not this crate's; ids are as in [`RULES`].
pub static STANDARD_SET: LazyLock<RuleSet> = LazyLock::new(|| {
    let sources: Vec<Source> =
        SOURCES.iter().map(|(name, text)| Source::new(*name, *text)).collect();
    RuleSet::parse(&sources).expect("the build script has parsed them")
});

/// The matcher of the standard rules.
#[derive(Clone, Copy, Default, Debug)]
pub struct StandardRules;

impl Matcher for StandardRules {
    fn rule_count(&self) -> usize {
        RULES.len()
    }

    fn match_node(&self, graph: &EGraph, class: ClassId, node: &Node, out: &mut Vec<Match>) {
        generated::match_node(graph, node, class, out);
    }

    fn instantiate<B: BuildGraph>(&self, builder: &mut B, found: &Match) -> Option<ClassId> {
        generated::instantiate(builder, found)
    }
}
