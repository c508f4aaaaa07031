//! Finds rules by enumeration of terms over single lanes and writes them:
//! `lanes RULES OUT [SECONDS [DRAFTS [STEP...]]]`.
//!
//! Rules under RULES and those that OUT has already are not found again. SECONDS bounds each step,
//! DRAFTS the drafts of a step. Without a STEP all steps are run; `pair` names all steps on pairs,
//! `pair_naive` one of them.

use egraft_infer::lanes::{LaneOptions, run};
use egraft_rules::{RuleSet, Source};
use std::path::Path;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rules, out, rest @ ..] = &args[..] else {
        return Err("write the folder of known rules and the folder to write to".into());
    };
    let mut options = LaneOptions::default();
    if let Some(seconds) = rest.first() {
        options.time = Duration::from_secs(seconds.parse()?);
    }
    if let Some(drafts) = rest.get(1) {
        options.drafts = drafts.parse()?;
    }
    let named = rest.get(2..).unwrap_or_default();
    let steps: Vec<&str> = named.iter().map(String::as_str).collect();
    let mut sources = Source::in_folder(Path::new(rules))?;
    sources.extend(Source::in_folder(Path::new(out))?);
    let start = Instant::now();
    let mut failed = None;
    let report = run(RuleSet::parse(&sources)?, &steps, options, |line, files| {
        println!("{line}");
        for file in files {
            let written = std::fs::write(Path::new(out).join(&file.name), &file.text);
            failed = failed.take().or(written.err());
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    println!(
        "{} terms, {} drafts, {} rules in {} files, {:.1} s",
        report.terms,
        report.counts.drafts,
        report.counts.kept,
        report.files.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
