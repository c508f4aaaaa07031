//! Every rewrite rule in git is proven by what the proof file keeps, or has evidence.
//!
//! Asks no solver: a rule or a semantics that changed without `egraft verify rules --update` fails here.

use egraft_rules::RuleSet;
use egraft_verify::{Options, ProofCache, Standing, prove_set, read_evidence};
use std::path::Path;

#[test]
fn every_rule_is_proven() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules");
    let mut set = RuleSet::default();
    for folder in ["rewrite", "library", "inferred/rewrite"] {
        let folder = root.join(folder);
        let more = RuleSet::from_folder(&folder).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!more.rules.is_empty(), "no rules in {}", folder.display());
        set.rules.extend(more.rules);
    }
    let cache = ProofCache::read(&root.join("proofs.txt")).unwrap_or_else(|e| panic!("{e}"));
    let evidence = read_evidence(&root.join("evidence.json")).unwrap_or_else(|e| panic!("{e}"));
    let options = Options { ask: false, ..Options::default() };
    let jobs = std::thread::available_parallelism().map_or(1, |jobs| jobs.get());
    let (report, used) = prove_set(&set, &options, jobs, &cache, &evidence, |_, _| {})
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
    // Of lowering rules, which are named by their target, `crates/infer/tests/lowering.rs` asks the same.
    let lowers = |rule: &&String| rule.starts_with("a64_") || rule.starts_with("x64_");
    for rule in evidence.keys().filter(|rule| !lowers(rule)) {
        let known = report.rules.iter().find(|known| known.name == *rule);
        let standing = known.map(|known| known.standing);
        assert_eq!(standing, Some(Standing::Evidence), "evidence for `{rule}` is of no use");
    }
}
