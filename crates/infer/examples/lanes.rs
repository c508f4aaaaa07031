//! Finds rules by enumeration of terms over single lanes and writes them: `lanes RULES OUT [SECONDS] [DRAFTS]`.

use egraft_infer::lanes::{LaneOptions, run};
use egraft_rules::RuleSet;
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
    let start = Instant::now();
    let mut failed = None;
    let report = run(RuleSet::from_folder(Path::new(rules))?, options, |line, files| {
        println!("{line}");
        for file in files {
            let written = std::fs::write(Path::new(out).join(&file.name), &file.text);
            failed = failed.take().or(written.err());
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} terms, {} drafts, {} rules in {} files, {seconds:.1} s",
        report.terms,
        report.counts.drafts,
        report.counts.kept,
        report.files.len()
    );
    Ok(())
}
