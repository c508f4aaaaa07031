//! The rules found over single lanes hold on random and edge values.

use egraft_rules::{RuleSet, check_rule};
use std::path::Path;

#[test]
fn rules_of_lanes_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/inferred/rewrite");
    let mut set = RuleSet::from_folder(&folder).unwrap_or_else(|error| panic!("{error}"));
    set.rules.retain(|rule| rule.name.starts_with("lanes"));
    assert!(!set.rules.is_empty());
    for rule in &set.rules {
        let check = check_rule(rule, 200, 11);
        assert!(check.holds(), "{rule}: {:?}", check.counterexample);
    }
    println!("{} rules", set.rules.len());
}
