//! Why two classes are one: the unions that joined them.
//!
//! A record of unions, not a minimal proof. Invariant: the recorded edges connect two ids exactly
//! when the union-find does.

use egraft_ir::ClassId;
use egraft_rules::RuleId;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Why a union was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reason {
    /// A rewrite rule.
    Rule(RuleId),
    /// Equal ops on equal operands.
    Congruence,
    /// The graph was read from a file, where they were one.
    Given,
    /// Evaluation of constant operands, or facts that leave one value.
    Fold,
}

/// One step of an explanation: `from` and `to` were joined for `reason`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// The id the step starts at.
    pub from: ClassId,
    /// The id it leads to.
    pub to: ClassId,
    /// Why the two are equal.
    pub reason: Reason,
}

/// All unions of a graph.
#[derive(Debug, Default)]
pub struct Proof {
    edges: FxHashMap<ClassId, Vec<(ClassId, Reason)>>,
}

impl Proof {
    pub(crate) fn record(&mut self, a: ClassId, b: ClassId, reason: Reason) {
        self.edges.entry(a).or_default().push((b, reason));
        self.edges.entry(b).or_default().push((a, reason));
    }

    /// The shortest chain of unions from `a` to `b`; empty if they are the same id, `None` if
    /// nothing joined them.
    pub fn explain(&self, a: ClassId, b: ClassId) -> Option<Vec<Step>> {
        let mut came_from: FxHashMap<ClassId, Step> = FxHashMap::default();
        let mut queue = VecDeque::from([a]);
        while let Some(id) = queue.pop_front() {
            if id == b {
                let mut steps = Vec::new();
                let mut at = b;
                while at != a {
                    let step = came_from[&at];
                    steps.push(step);
                    at = step.from;
                }
                steps.reverse();
                return Some(steps);
            }
            for (next, reason) in self.edges.get(&id).into_iter().flatten() {
                if *next != a && !came_from.contains_key(next) {
                    came_from.insert(*next, Step { from: id, to: *next, reason: *reason });
                    queue.push_back(*next);
                }
            }
        }
        None
    }
}
