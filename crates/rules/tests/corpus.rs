//! Every rule of isle-rules/rewrite loads, compiles, and holds on every legal type.

use egraft_rules::{RuleSet, check_rule, compile_to_rust};
use std::path::Path;

/// Tuples for each rule, spread over its types.
const TUPLES: usize = 20_000;

fn corpus() -> RuleSet {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/rewrite");
    RuleSet::from_folder(&folder).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_corpus_loads_and_compiles() {
    let set = corpus();
    assert!(set.rules.len() >= 20, "the corpus is not where the test looks");
    let code = compile_to_rust(&set);
    for rule in &set.rules {
        assert!(code.contains(&format!("name: {:?}", rule.name)), "{rule}");
    }
}

#[test]
fn every_rule_holds_on_every_legal_type() {
    let set = corpus();
    let (mut fired, mut failed) = (0, Vec::new());
    for rule in &set.rules {
        let check = check_rule(rule, TUPLES, 0x5eed);
        fired += check.fired;
        if let Some(counterexample) = &check.counterexample {
            failed.push(format!("{rule}\n    is wrong: {counterexample}"));
        } else if check.fired == 0 {
            failed.push(format!("{rule}\n    never fired in {} tuples", check.tuples_run));
        } else if let Some(types) = check.unmatched.first() {
            failed.push(format!("{rule}\n    is not found by its matcher for {types:?}"));
        }
        if !check.unfired.is_empty() {
            println!(
                "{}: {} of {} types never fired",
                rule.name,
                check.unfired.len(),
                check.types_checked
            );
        }
    }
    println!("{} rules held on {fired} tuples", set.rules.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
