//! `egraft verify FILE`: proves of each compiled function that it does what it did before.

use crate::args::VerifyArgs;
use crate::input::{self};
use crate::inspect::shorten;
use crate::output::{self, Table, line};
use anyhow::{Context, Result, bail};
use egraft::{Effort, Optimized};
use egraft_validate::{Checked, Failed, Options, Validator};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Failures, and reasons for not knowing, that are listed.
const LISTED: usize = 20;

/// One step of compiling a function.
#[derive(Debug, Serialize)]
struct Step {
    name: &'static str,
    seconds: f64,
    #[serde(flatten)]
    checked: Checked,
}

/// One function.
#[derive(Debug, Serialize)]
struct Validated {
    file: String,
    function: String,
    index: u32,
    steps: Vec<Step>,
    /// Steps that were not looked at, and why.
    not_validated: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Report {
    functions: Vec<Validated>,
    total: Checked,
    seconds: f64,
}

pub(crate) fn validate(args: &VerifyArgs) -> Result<ExitCode> {
    let start = Instant::now();
    let files = modules(&args.files)?;
    let bar = output::progress(files.len() as u64, "verifying");
    let mut validator =
        Validator::new(Options { operand_ms: args.timeout, ..Options::default() });
    let mut functions = Vec::new();
    for file in &files {
        bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        module(args, file, &mut validator, &mut functions)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    let mut total = Checked::default();
    for step in functions.iter().flat_map(|function: &Validated| &function.steps) {
        total.add(step.checked.clone());
    }
    let report = Report { functions, total, seconds: start.elapsed().as_secs_f64() };
    match args.json {
        true => output::json(&report)?,
        false => print(&report)?,
    }
    Ok(if report.total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files given, and those of folders given, by name.
fn modules(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let read = || -> std::io::Result<Vec<PathBuf>> {
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect()
        };
        let mut found = read().with_context(|| format!("cannot read {}", path.display()))?;
        found.retain(|file| file.extension().is_some_and(|ending| ending == "wasm"));
        if found.is_empty() {
            bail!("{}: no .wasm file in it", path.display());
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Validates the functions of one module that Egraft takes.
fn module(
    args: &VerifyArgs,
    file: &Path,
    validator: &mut Validator,
    functions: &mut Vec<Validated>,
) -> Result<()> {
    let wasm = input::read_module(file)?;
    let config = input::config(None, &args.code)?;
    let effort = Effort::from_level(args.code.effort)?;
    let captured =
        egraft::capture(&config, &wasm).with_context(|| file.display().to_string())?;
    for function in &captured.functions {
        let isa = &*captured.isa;
        let mut steps = Vec::new();
        let mut step = |name, check: &mut dyn FnMut() -> Result<Checked>| -> Result<()> {
            let start = Instant::now();
            let checked = check()?;
            steps.push(Step { name, seconds: start.elapsed().as_secs_f64(), checked });
            Ok(())
        };
        if let Optimized::Improved(better) = egraft::optimize_function(&function.func, isa, effort)
        {
            step("rewriting", &mut || Ok(validator.rewriting(&function.func, &better)?))?;
        }
        if !steps.is_empty() {
            functions.push(Validated {
                file: file.display().to_string(),
                function: function.name.clone().unwrap_or_else(|| function.index.to_string()),
                index: function.index,
                steps,
                not_validated: Vec::new(),
            });
        }
    }
    Ok(())
}

fn print(report: &Report) -> Result<()> {
    let mut table = Table::new(&[
        "file", "function", "step", ">effects", ">alike", ">solved", ">unknown", ">failed", ">s",
    ]);
    let row = |names: [String; 3], checked: &Checked, seconds: f64| {
        let counts = [
            checked.effects(),
            checked.alike,
            checked.solved,
            checked.unknown.len(),
            checked.failed.len(),
        ];
        let mut cells = Vec::from(names);
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(format!("{seconds:.2}"));
        cells
    };
    for function in &report.functions {
        let path = Path::new(&function.file);
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for step in &function.steps {
            let names = [file.clone(), shorten(&function.function), step.name.to_owned()];
            table.row(row(names, &step.checked, step.seconds));
        }
    }
    line(table)?;
    findings(report)?;
    let total = &report.total;
    let share = |count: usize| 100.0 * count as f64 / total.effects().max(1) as f64;
    line(format_args!(
        "\n{} functions, {} effects: {} proven ({:.2}%), {} of them by the solver; {} unknown \
         ({:.2}%), {} failed; {:.1} s",
        report.functions.len(),
        total.effects(),
        total.proven(),
        share(total.proven()),
        total.solved,
        total.unknown.len(),
        share(total.unknown.len()),
        total.failed.len(),
        report.seconds,
    ))?;
    if !total.assumptions.is_empty() {
        let list = total.assumptions.iter().map(|(what, count)| format!("{what} ({count})"));
        line(format_args!("assumed: {}", list.collect::<Vec<_>>().join("; ")))?;
    }
    Ok(())
}

/// What failed, and why other effects are unknown, most frequent first.
fn findings(report: &Report) -> Result<()> {
    let mut reasons: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    let mut listed = 0;
    for function in &report.functions {
        for checked in function.steps.iter().map(|step| &step.checked) {
            for unproven in &checked.unknown {
                let example = || format!("{}: {}", function.function, unproven.place);
                reasons.entry(&unproven.reason).or_insert_with(|| (0, example())).0 += 1;
            }
            for failed in &checked.failed {
                listed += 1;
                if listed <= LISTED {
                    line(failure(function, failed))?;
                }
            }
        }
    }
    if listed > LISTED {
        line(format_args!("… and {} more failures; --json lists all", listed - LISTED))?;
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (reason, (count, example)) in reasons.iter().take(LISTED) {
        line(format_args!("unknown ×{count}: {reason}\n    {example}"))?;
    }
    Ok(())
}

fn failure(function: &Validated, failed: &Failed) -> String {
    let Failed { place, what, example } = failed;
    let mut text = format!("FAILED {} {}: {place}: {what}", function.file, function.function);
    if let Some(example) = example {
        let inputs: Vec<String> =
            example.inputs.iter().map(|(name, bits)| format!("{name} = {bits}")).collect();
        text.push_str(&format!(
            "\n    {} before, {} after, with {}",
            example.before,
            example.after,
            inputs.join(", ")
        ));
    }
    text
}
