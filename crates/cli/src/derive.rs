//! `egraft rules derive`: how many goals a set of rules derives, and which it does not.

use crate::args::DeriveArgs;
use crate::output::{self, Table, line};
use anyhow::{Result, bail};
use egraft_infer::{DeriveOptions, GoalResult, derive_all, shares};
use egraft_rules::{FILE_LIMIT, RuleSet, Source};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) fn derive(args: &DeriveArgs) -> Result<ExitCode> {
    let rules = load(&args.rules)?;
    let mut goals = load(std::slice::from_ref(&args.goals))?;
    let filter = args.filter.as_deref().unwrap_or("");
    goals.rules.retain(|goal| goal.name.contains(filter));
    if goals.rules.is_empty() {
        bail!("{}: no goals of that name in it", args.goals.display());
    }
    let mut options = DeriveOptions::default();
    options.limits.nodes = args.nodes;
    options.limits.iterations = args.iterations;
    options.time = Duration::from_secs(args.seconds);
    options.exhaustive = args.all;
    let bar = output::progress(goals.rules.len() as u64, "deriving");
    let start = Instant::now();
    let results = derive_all(&rules, &goals, options, |_| bar.inc(1));
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    if let Some(path) = &args.table {
        output::write_file(path, table(&goals, &results, rules.rules.len()).as_bytes())?;
    }
    if args.json {
        output::json(&json!({
            "rules": rules.rules.len(), "seconds": seconds,
            "files": shares(&results), "goals": results,
        }))?;
    } else {
        print(&results, rules.rules.len(), seconds)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(results: &[GoalResult], rules: usize, seconds: f64) -> Result<()> {
    let missing: Vec<&GoalResult> = results.iter().filter(|goal| !goal.found.derived).collect();
    if !missing.is_empty() {
        let mut table = Table::new(&["not derived", "where", "why", "at"]);
        for goal in &missing {
            let (why, at) = reason(goal);
            let place = format!("{}:{}", goal.file, goal.line);
            table.row(vec![goal.name.clone(), place, why, at]);
        }
        line(table)?;
        line("")?;
    }
    let mut table = Table::new(&["goals", ">derived", ">of", ">share", ">at a limit"]);
    for share in shares(results) {
        table.row(vec![
            share.file.clone(),
            share.derived.to_string(),
            share.goals.to_string(),
            format!("{:.1} %", share.percent()),
            share.limited.to_string(),
        ]);
    }
    line(table)?;
    line(format_args!("\nfrom {rules} rules in {seconds:.1} s"))
}

/// A section for each file of goals, with a row for each goal.
fn table(goals: &RuleSet, results: &[GoalResult], rules: usize) -> String {
    let mut text = format!(
        "# Which goals follow from the rules\n\n\
         Written by `egraft rules derive --table`, from {rules} rules; not edited by hand.\n\
         What the goals are: [isle-rules/README.md](../isle-rules/README.md).\n"
    );
    let shares = shares(results);
    let mut file = "";
    for (goal, result) in goals.rules.iter().zip(results) {
        if file != result.file {
            file = &result.file;
            let share = shares.iter().find(|share| share.file == file);
            let (derived, of) = share.map_or((0, 0), |share| (share.derived, share.goals));
            let stem =
                Path::new(file).file_stem().map_or(file.into(), |stem| stem.to_string_lossy());
            let _ = write!(
                text,
                "\n## {stem}: {derived} of {of}\n\n| goal | spelled out | is | derived |\n|---|---|---|---|\n"
            );
        }
        let derived = if result.found.derived { "yes" } else { "**no**" };
        let (lhs, rhs) = (goal.lhs_text(), goal.rhs_text());
        let _ = writeln!(text, "| {} | `{lhs}` | `{rhs}` | {derived} |", goal.name);
    }
    text
}

/// Why a goal is not derived, and on which values.
fn reason(goal: &GoalResult) -> (String, String) {
    let Some(not) = goal.found.not.first() else {
        return ("no values satisfy its conditions".to_owned(), String::new());
    };
    let vars: Vec<String> =
        not.vars.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let why = format!("{} after {} batches, {} nodes", not.stop.text(), not.iterations, not.nodes);
    (why, vars.join(", "))
}

/// Loads files and folders as one set.
fn load(paths: &[PathBuf]) -> Result<RuleSet> {
    let mut sources = Vec::new();
    for path in paths {
        sources.extend(read(path)?);
    }
    if crate::rules::are_empty(&sources) {
        bail!("{}: no rules in it", paths[0].display());
    }
    RuleSet::parse(&sources).map_err(anyhow::Error::new)
}

fn read(path: &Path) -> Result<Vec<Source>> {
    let named = |mut source: Source| {
        source.name = path.join(source.name).display().to_string();
        source
    };
    if path.is_dir() {
        return Ok(Source::in_folder(path)?.into_iter().map(named).collect());
    }
    let bytes = egraft_kernels::read_limited(path, "a rule file", FILE_LIMIT as u64)?;
    Ok(vec![Source { name: path.display().to_string(), bytes }])
}
