//! Every rule of isle-rules/rewrite: loads, and holds on every legal type.

use egraft_rules::{RuleSet, compile_to_rust};
use std::path::Path;

fn corpus() -> RuleSet {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/rewrite");
    RuleSet::from_folder(&folder).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_corpus_loads_and_compiles() {
    let set = corpus();
    for rule in &set.rules {
        println!("{rule}");
        println!("   {} {:?}", rule.types().len(), rule.types().first());
    }
    assert!(compile_to_rust(&set).contains("fn match_node"));
}
