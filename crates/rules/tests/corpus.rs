//! Every rule of isle-rules/rewrite and isle-rules/library loads, compiles, and holds on every legal type.

use egraft_rules::{Rule, RuleCheck, RuleSet, Source, check_rule, compile_to_rust};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tuples for all rules together, each rule's spread over its types.
const TUPLES: usize = 3_000_000;

fn corpus() -> RuleSet {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules");
    let mut sources = Vec::new();
    for folder in ["rewrite", "library"] {
        let files =
            Source::in_folder(&root.join(folder)).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!files.is_empty(), "{folder} is not where the test looks");
        sources.extend(files);
    }
    RuleSet::parse(&sources).unwrap_or_else(|errors| panic!("{errors}"))
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
    let each = (TUPLES / set.rules.len().max(1)).clamp(1_000, 20_000);
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut fired, mut failed) = (0, Vec::new());
        while let Some(rule) = set.rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let check = check_rule(rule, each, 0x5eed);
            fired += check.fired;
            failed.extend(complaint(rule, &check));
        }
        (fired, failed)
    };
    let (fired, failed) = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().fold((0, Vec::new()), |(fired, mut failed), thread| {
            let (more, others) = thread.join().unwrap();
            failed.extend(others);
            (fired + more, failed)
        })
    });
    println!("{} rules were compared on {fired} tuples", set.rules.len());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(fired > 250_000, "only {fired} tuples were compared");
}

fn complaint(rule: &Rule, check: &RuleCheck) -> Option<String> {
    if let Some(counterexample) = &check.counterexample {
        return Some(format!("{rule}\n    is wrong: {counterexample}"));
    }
    if check.fired == 0 {
        return Some(format!("{rule}\n    never fired in {} tuples", check.tuples_run));
    }
    let types = check.unmatched.first()?;
    Some(format!("{rule}\n    is not found by its matcher for {types:?}"))
}
