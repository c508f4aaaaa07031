//! Every goal under isle-rules/goals loads and holds on random values of every legal type.

use egraft_rules::{RuleSet, check_rule};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Tuples for each goal, spread over its types.
const TUPLES: usize = 2_000;

#[test]
fn every_goal_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isle-rules/goals");
    let set = RuleSet::from_folder(&folder).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(set.rules.len() > 1_000, "the goals are not where the test looks");
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(goal) = set.rules.get(next.fetch_add(1, Ordering::Relaxed)) {
            let check = check_rule(goal, TUPLES, 0x90a1);
            if let Some(counterexample) = check.counterexample {
                failed.push(format!("{goal}\n    is wrong: {counterexample}"));
            } else if check.fired == 0 {
                failed.push(format!("{goal}\n    never fired in {} tuples", check.tuples_run));
            }
        }
        failed
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{} goals", set.rules.len());
}
