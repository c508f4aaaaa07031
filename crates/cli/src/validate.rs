//! `egraft verify FILE`: proves of each compiled function that it does what it did before.

use crate::args::VerifyArgs;
use crate::input::{self};
use crate::inspect::shorten;
use crate::output::{self, Table, line};
use anyhow::{Context, Result, bail};
use egraft::{Observed, Optimized};
use egraft_validate::{Checked, Failed, Options, Validator};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Failures, and reasons for not knowing, that are listed.
const LISTED: usize = 20;

/// Steps of Egraft's own backends that nothing looks at here: of both, of that for x86-64, of that for AArch64.
const MID_END: &str = "Cranelift's mid-end, unrolling, interleaving of columns, bases of gathers";
const OF_X64: [&str; 2] = ["packing to wider vectors", "register allocation and emission"];
const OF_AARCH64: [&str; 3] = [
    "joining of loaded lanes",
    "order of fast loops",
    "stock's register allocation and emission, words of machine ops, pairs of accesses",
];
const VERSIONS: &str = "second versions of loops";

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
    let options = Options { operand_ms: args.timeout, ..Options::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.jobs).build()?;
    let found: Vec<Vec<Validated>> = pool.install(|| {
        // One at a time: some modules take as long as all others together.
        let files = files.par_iter().with_max_len(1);
        let all = files.map_init(
            || Validator::new(options),
            |validator, file| {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                bar.set_message(name.into_owned());
                let functions = module(args, file, validator);
                bar.inc(1);
                functions
            },
        );
        all.collect::<Result<_>>()
    })?;
    let functions: Vec<Validated> = found.into_iter().flatten().collect();
    bar.finish_and_clear();
    let mut total = Checked::default();
    for step in functions.iter().flat_map(|function| &function.steps) {
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
fn module(args: &VerifyArgs, file: &Path, validator: &mut Validator) -> Result<Vec<Validated>> {
    let mut functions = Vec::new();
    let wasm = input::read_module(file)?;
    let config = input::config(args.target.as_deref(), &args.code)?;
    let options = input::options(&args.code)?;
    let captured = egraft::capture(&config, &wasm).with_context(|| file.display().to_string())?;
    for function in &captured.functions {
        let isa = &*captured.isa;
        let mut steps = Vec::new();
        let mut step = |name, check: &mut dyn FnMut() -> Result<Checked>| -> Result<()> {
            let start = Instant::now();
            let checked = check()?;
            steps.push(Step { name, seconds: start.elapsed().as_secs_f64(), checked });
            Ok(())
        };
        let better = match egraft::explain_function(&function.func, isa, &options) {
            (Optimized::Improved(better), _) => Some(better),
            _ => None,
        };
        if let Some(better) = &better {
            step("rewriting", &mut || Ok(validator.rewriting(&function.func, better)?))?;
        }
        let mut not_validated = Vec::new();
        let mut unseen = |others: &[&str], versions: usize| {
            not_validated.extend([MID_END].iter().chain(others).map(|what| (*what).to_owned()));
            if versions > 0 {
                not_validated.push(format!("{VERSIONS} ({versions})"));
            }
        };
        match egraft::observe(&function.func, better.as_deref(), isa, &options) {
            Some(Observed::Selection(selection)) => {
                step("selection", &mut || Ok(validator.selection(&selection)?))?;
                unseen(&OF_X64, selection.versions);
            }
            Some(Observed::Covering(covering)) => {
                step("covering", &mut || Ok(validator.covering(&covering)?))?;
                unseen(&OF_AARCH64, covering.versions);
            }
            _ => {}
        }
        if !steps.is_empty() {
            functions.push(Validated {
                file: file.display().to_string(),
                function: function.name.clone().unwrap_or_else(|| function.index.to_string()),
                index: function.index,
                steps,
                not_validated,
            });
        }
    }
    Ok(functions)
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
    line("")?;
    for name in ["rewriting", "selection", "covering"] {
        let mut checked = Checked::default();
        let mut seconds = 0.0;
        let steps = report.functions.iter().flat_map(|function| &function.steps);
        for step in steps.filter(|step| step.name == name) {
            checked.add(step.checked.clone());
            seconds += step.seconds;
        }
        if checked.effects() == 0 {
            continue;
        }
        line(format_args!("{name}: {}, {seconds:.1} s", summary(&checked)))?;
    }
    let functions = report.functions.len();
    line(format_args!("{functions} functions: {}, {:.1} s", summary(total), report.seconds))?;
    let with = |what: &str| {
        let unseen = report.functions.iter().flat_map(|function| &function.not_validated);
        unseen.filter(|text| text.starts_with(what)).count()
    };
    let others = OF_X64.into_iter().chain(OF_AARCH64).chain([VERSIONS]);
    for what in [MID_END].into_iter().chain(others) {
        if with(what) > 0 {
            line(format_args!("not validated: {what}, in {} functions", with(what)))?;
        }
    }
    if !total.assumptions.is_empty() {
        let list = total.assumptions.iter().map(|(what, count)| format!("{what} ({count})"));
        line(format_args!("assumed: {}", list.collect::<Vec<_>>().join("; ")))?;
    }
    Ok(())
}

/// Counts, with shares of all effects.
fn summary(checked: &Checked) -> String {
    let share = |count: usize| 100.0 * count as f64 / checked.effects().max(1) as f64;
    format!(
        "{} effects: {} proven ({:.2}%), {} of them by the solver; {} unknown ({:.2}%), {} failed",
        checked.effects(),
        checked.proven(),
        share(checked.proven()),
        checked.solved,
        checked.unknown.len(),
        share(checked.unknown.len()),
        checked.failed.len(),
    )
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
