//! The rules at work: the standard ones, and others that were loaded at run time.
//!
//! Loaded rules are matched by the interpreter, which is slower than generated code and finds the same.

use crate::graph::EGraph;
use crate::run::{Limits, Matcher, Saturation, saturate};
use crate::standard::{RULES, STANDARD_SET, StandardRules};
use egraft_ir::{ClassId, Node};
use egraft_rules::{BuildGraph, Interpreter, Match, RuleId, RuleSet};
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// The standard rules, and perhaps more.
#[derive(Clone, Copy, Default, Debug)]
pub struct Rules {
    more: Option<&'static Loaded>,
}

#[derive(Debug)]
struct Loaded {
    set: &'static RuleSet,
    interpreter: Interpreter<'static>,
    digest: u64,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Rules {}

impl Rules {
    /// The standard rules alone.
    pub const STANDARD: Rules = Rules { more: None };

    /// Whether there are more than the standard ones.
    pub fn has_more(self) -> bool {
        self.more.is_some()
    }

    /// The standard rules and those of `set`, which is kept until the process ends.
    ///
    /// # Panics
    /// If there are more rules than ids, 65,536.
    pub fn with(set: RuleSet) -> Rules {
        assert!(RULES.len() + set.rules.len() <= 1 << 16, "more rules than ids");
        let mut hasher = FxHasher::default();
        for rule in &set.rules {
            rule.to_string().hash(&mut hasher);
        }
        let set: &'static RuleSet = Box::leak(Box::new(set));
        // No set's digest is that of none.
        let digest = hasher.finish() | 1;
        let loaded = Loaded { set, interpreter: set.interpreter(), digest };
        Rules { more: Some(Box::leak(Box::new(loaded))) }
    }

    /// What tells these rules from others in keys of caches; 0 for the standard ones alone.
    pub fn digest(self) -> u64 {
        self.more.map_or(0, |more| more.digest)
    }

    /// What tells these rules from all others, the standard ones of other versions too.
    pub fn digest_of_all(self) -> u64 {
        let mut hasher = FxHasher::default();
        for rule in RULES {
            (rule.name, rule.lhs, rule.rhs).hash(&mut hasher);
        }
        self.digest().hash(&mut hasher);
        hasher.finish()
    }

    /// The rules as data, each set with the id of its first rule.
    pub fn sets(self) -> Vec<(usize, &'static RuleSet)> {
        let more = self.more.map(|more| (RULES.len(), more.set));
        std::iter::once((0, &*STANDARD_SET)).chain(more).collect()
    }

    /// The name of a rule.
    ///
    /// # Panics
    /// For a rule of other rules.
    pub fn name(self, rule: RuleId) -> &'static str {
        match (rule.index().checked_sub(RULES.len()), self.more) {
            (Some(at), Some(more)) => &more.set.rules[at].name,
            _ => RULES[rule.index()].name,
        }
    }
}

/// Who saturates, by name: two of one name do the same.
#[derive(Clone, Copy, Debug)]
pub struct Saturator {
    name: &'static str,
    run: fn(&mut EGraph, &Rules, Limits) -> Saturation,
}

impl Saturator {
    /// This crate, on the CPU.
    pub const CPU: Saturator = Saturator { name: "cpu", run: saturate };

    /// Another who does what [`saturate`] does, elsewhere.
    pub const fn new(
        name: &'static str,
        run: fn(&mut EGraph, &Rules, Limits) -> Saturation,
    ) -> Saturator {
        Saturator { name, run }
    }

    /// Rewrites `graph` in batches; see [`saturate`].
    pub fn saturate(self, graph: &mut EGraph, rules: &Rules, limits: Limits) -> Saturation {
        (self.run)(graph, rules, limits)
    }
}

impl PartialEq for Saturator {
    fn eq(&self, other: &Saturator) -> bool {
        self.name == other.name
    }
}

impl Eq for Saturator {}

impl Matcher for Rules {
    fn rule_count(&self) -> usize {
        RULES.len() + self.more.map_or(0, |more| more.set.rules.len())
    }

    fn match_node(&self, graph: &EGraph, class: ClassId, node: &Node, out: &mut Vec<Match>) {
        StandardRules.match_node(graph, class, node, out);
        if let Some(more) = self.more {
            let first = out.len();
            more.interpreter.match_node(graph, node, class, out);
            for found in &mut out[first..] {
                found.rule = RuleId(found.rule.0 + RULES.len() as u16);
            }
        }
    }

    fn instantiate<B: BuildGraph>(&self, builder: &mut B, found: &Match) -> Option<ClassId> {
        match (found.rule.index().checked_sub(RULES.len()), self.more) {
            (Some(at), Some(more)) => {
                let own = Match { rule: RuleId(at as u16), ..found.clone() };
                more.interpreter.instantiate(builder, &own)
            }
            _ => StandardRules.instantiate(builder, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Rewriter};
    use egraft_ir::{Op, Ty};
    use egraft_rules::Source;

    #[test]
    fn loaded_rules_rewrite_and_have_names() {
        let text = ";; Test.\n(rule twenty_seven (simplify (imul $I16X8 x (k $I16X8 27))) (imul $I16X8 (imul $I16X8 x (k $I16X8 9)) (k $I16X8 3)))";
        let set = RuleSet::parse(&[Source::new("test.isle", text)]).unwrap();
        let rules = Rules::with(set);
        assert_ne!(rules, Rules::default());
        let mut rewriter = Rewriter::new(&rules, Limits::default());
        let x = rewriter.add(Node::with_imm(Op::Leaf, Ty::I8X16, 0, &[]));
        let constant = |number| Node::constant(Ty::I8X16, Ty::I16X8.splat_bits(number));
        let all = rewriter.add(constant(27));
        rewriter.add(Node::new(Op::Imul, Ty::I16X8, &[x, all]));
        let last = RuleId(rules.rule_count() as u16 - 1);
        assert_eq!(rules.name(last), "twenty_seven");
        assert_eq!(rewriter.counts()[last.index()].matched, 1);
    }
}
