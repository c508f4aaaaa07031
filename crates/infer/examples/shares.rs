//! Prints how many goals each of some files' rules derive: `shares GOALS.isle RULES...`.

use egraft_infer::{DeriveOptions, derive_all, shares};
use egraft_rules::{RuleSet, Source};
use std::path::Path;

fn load(paths: &[String]) -> RuleSet {
    let mut sources = Vec::new();
    for path in paths {
        let path = Path::new(path);
        if path.is_dir() {
            sources.extend(Source::in_folder(path).unwrap());
        } else {
            sources.push(Source {
                name: path.display().to_string(),
                bytes: std::fs::read(path).unwrap(),
            });
        }
    }
    RuleSet::parse(&sources).unwrap_or_else(|error| panic!("{error}"))
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let goals = load(&args[..1]);
    let rules = load(&args[1..]);
    let mut options = DeriveOptions::default();
    options.time = std::time::Duration::from_secs(20);
    let results = derive_all(&rules, &goals, options, |_| {});
    for goal in &results {
        if let Some(not) = goal.found.not.first() {
            let types: Vec<_> = not.vars.iter().map(|(n, v)| format!("{n}={v}")).collect();
            println!(
                "{:40} {:12} {:3} {:5} {}",
                goal.name,
                not.stop.text(),
                not.iterations,
                not.nodes,
                types.join(" ")
            );
        } else if !goal.found.derived {
            println!("{:40} vacuous", goal.name);
        }
    }
    for share in shares(&results) {
        println!(
            "{}: {} of {} ({} limited)",
            share.file, share.derived, share.goals, share.limited
        );
    }
}
