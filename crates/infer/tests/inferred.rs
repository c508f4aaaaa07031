//! The rules in `isle-rules/inferred/rewrite`: they load, hold on random values, and say their phase.

use egraft_infer::Schedule;
use egraft_rules::{RuleSet, Source, check_rule};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/inferred/rewrite")
}

#[test]
fn inferred_rules_hold() {
    let set = RuleSet::from_folder(&folder()).unwrap();
    assert!(set.rules.len() >= 400, "{} rules", set.rules.len());
    for rule in &set.rules {
        let check = check_rule(rule, 200, 3);
        assert!(check.counterexample.is_none(), "{rule}: {:?}", check.counterexample);
        assert!(check.fired > 0, "{rule} never fired");
        assert!(check.unmatched.is_empty(), "{rule} is not found by its own left side");
    }
}

#[test]
fn files_name_a_phase_of_the_schedule() {
    let phases: Vec<String> =
        Schedule::built_in().phases.into_iter().map(|phase| phase.name).collect();
    for source in Source::in_folder(&folder()).unwrap() {
        let text = String::from_utf8(source.bytes).unwrap();
        let phase = text.lines().find_map(|line| line.strip_prefix(";;;; Phase: "));
        assert!(phase.is_some_and(|name| phases.iter().any(|one| one == name)), "{}", source.name);
        assert!(text.lines().count() <= 800, "{} is long", source.name);
    }
}
