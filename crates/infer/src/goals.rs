//! Lists of goals: how many of them a rule set derives.
//!
//! Decides nothing about single goals (see `derive`). A goal that needs several rules in our syntax
//! is written as parts: rules whose names agree up to `__`. Invariant: a goal counts as derived
//! only if all of its parts are.

use crate::{Derivability, DeriveOptions, Deriver};
use egraft_rules::{Rule, RuleSet};
use rayon::prelude::*;

/// What separates the name of a goal from that of its part.
const PART: &str = "__";

/// What was found of one rule of a goal list.
#[derive(Clone, Debug, serde::Serialize)]
pub struct GoalResult {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// The line it starts on, from 1.
    pub line: u32,
    /// The comment above it.
    pub reason: String,
    /// What was found.
    #[serde(flatten)]
    pub found: Derivability,
}

impl GoalResult {
    /// The name without that of the part.
    pub fn goal(&self) -> &str {
        self.name.split(PART).next().unwrap_or(&self.name)
    }
}

/// How much of one file of goals is derived.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Share {
    /// The file.
    pub file: String,
    /// Its goals.
    pub goals: usize,
    /// Those derived.
    pub derived: usize,
    /// Those not derived where a limit ended the search.
    pub limited: usize,
}

impl Share {
    /// The part of the goals that is derived, in percent; 0 if there are none.
    pub fn percent(&self) -> f64 {
        100.0 * self.derived as f64 / self.goals.max(1) as f64
    }
}

/// Tries to derive every rule of `goals` from `rules`, on all threads of the current pool.
///
/// Calls `done` after each one. Results are in the order of `goals`.
pub fn derive_all(
    rules: &RuleSet,
    goals: &RuleSet,
    options: DeriveOptions,
    done: impl Fn(&Rule) + Sync,
) -> Vec<GoalResult> {
    let deriver = Deriver::new(rules, options);
    let one = |goal: &Rule| {
        let found = deriver.derive(goal);
        done(goal);
        GoalResult {
            name: goal.name.clone(),
            file: goal.file.clone(),
            line: goal.line,
            reason: goal.reason.clone(),
            found,
        }
    };
    goals.rules.par_iter().map(one).collect()
}

/// The shares of all files, in the order in which the files come; parts of a goal stand together.
pub fn shares(results: &[GoalResult]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for parts in results.chunk_by(|a, b| a.file == b.file && a.goal() == b.goal()) {
        let file = &parts[0].file;
        if shares.last().is_none_or(|share| share.file != *file) {
            shares.push(Share { file: file.clone(), goals: 0, derived: 0, limited: 0 });
        }
        let Some(share) = shares.last_mut() else { continue };
        share.goals += 1;
        let limited = |result: &GoalResult| {
            result.found.not.iter().any(|not| not.stop != crate::Stop::Saturated)
        };
        match parts.iter().all(|part| part.found.derived) {
            true => share.derived += 1,
            false => share.limited += usize::from(parts.iter().any(limited)),
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_rules::Source;

    #[test]
    fn goals_count_once_however_many_parts_they_have() {
        let parse = |text: &str| RuleSet::parse(&[Source::new("list.isle", text)]).unwrap();
        let rules = parse(";; 0 is neutral.\n(rule r (simplify (iadd ty x (k ty 0))) x)");
        let goals = parse(
            ";; Both parts follow.\n(rule a__1 (simplify (iadd $I8 x (k $I8 0))) x)\n\
             ;; As above.\n(rule a__2 (simplify (iadd $I32X4 (k $I32X4 0) x)) x)\n\
             ;; One follows.\n(rule b__1 (simplify (iadd $I8 x (k $I8 0))) x)\n\
             ;; One does not.\n(rule b__2 (simplify (isub $I8 x (k $I8 0))) x)\n\
             ;; Does not follow.\n(rule c (simplify (isub $I8 x x)) (k $I8 0))\n",
        );
        let results = derive_all(&rules, &goals, DeriveOptions::default(), |_| {});
        let file = "list.isle".to_owned();
        assert_eq!(shares(&results), [Share { file, goals: 3, derived: 1, limited: 0 }]);
    }
}
