//! Every rule that is compiled in, of isle-rules/rewrite, is proven by what the proof file keeps, or has evidence.
//!
//! Asks no solver: a rule or a semantics that changed without `egraft verify rules --update` fails here.

use egraft_rules::RuleSet;
use egraft_verify::{Options, ProofCache, Standing, prove_set, read_evidence};
use std::path::Path;

#[test]
fn every_rule_is_proven() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules");
    let set = RuleSet::from_folder(&root.join("rewrite")).unwrap_or_else(|e| panic!("{e}"));
    assert!(set.rules.len() > 700, "the rules are not where the test looks");
    let cache = ProofCache::read(&root.join("proofs.txt")).unwrap_or_else(|e| panic!("{e}"));
    let evidence = read_evidence(&root.join("evidence.json")).unwrap_or_else(|e| panic!("{e}"));
    let options = Options { ask: false, ..Options::default() };
    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    let (report, used) = prove_set(&set, &options, jobs, &cache, &evidence, |_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    let open: Vec<String> = report
        .rules
        .iter()
        .filter(|rule| rule.standing > Standing::Evidence)
        .map(|rule| format!("{} ({}:{}): {:?}", rule.name, rule.file, rule.line, rule.note))
        .collect();
    println!(
        "{} rules, {} instances, {} proofs used of {}",
        report.rules.len(),
        report.rules.iter().map(|rule| rule.instances).sum::<usize>(),
        used.len(),
        cache.len(),
    );
    assert!(open.is_empty(), "run `egraft verify rules --update`:\n{}", open.join("\n"));
    assert_eq!(used.len(), cache.len(), "the file keeps proofs that nothing needs; update it");
    for rule in evidence.keys() {
        let known = report.rules.iter().find(|known| known.name == *rule);
        let standing = known.map(|known| known.standing);
        assert_eq!(standing, Some(Standing::Evidence), "evidence for `{rule}` is of no use");
    }
}
