//! Every wrong rule is refuted, with values for which the evaluator, too, finds it wrong.

use egraft_rules::RuleSet;
use egraft_verify::{Options, Prover, Verdict};
use std::path::Path;

/// Fewest wrong rules that the test must have.
const LEAST: usize = 60;

#[test]
fn wrong_rules_are_refuted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let set = RuleSet::from_folder(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(set.rules.len() >= LEAST, "only {} wrong rules were found", set.rules.len());
    let options = Options { timeout_ms: 60_000, ..Options::default() };
    let mut prover = Prover::start(options).unwrap_or_else(|error| panic!("{error}"));
    let mut accepted = Vec::new();
    for rule in &set.rules {
        let proof = prover.prove(rule).unwrap_or_else(|error| panic!("{error}"));
        match proof.verdict() {
            Verdict::Refuted(counterexample) => println!("{}: {counterexample}", rule.name),
            other => accepted.push(format!("{}: {other:?}", rule.name)),
        }
    }
    assert!(accepted.is_empty(), "not refuted:\n{}", accepted.join("\n"));
}
