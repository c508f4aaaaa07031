//! `egraft rules measure`: what rules beside the standard ones change in compiled kernels.

use crate::args::{Each, RuleMeasureArgs};
use crate::input;
use crate::output::{self, Table, line};
use anyhow::{Context, Result, bail};
use egraft::{ConfigExt, Options, Rules};
use egraft_kernels::{Kernel, MAX_WASM_BYTES, read_limited};
use egraft_rules::RuleSet;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use wasmtime::Engine;

/// What compiling kernels came to.
#[derive(Debug, Default, Clone, Serialize)]
struct Compiled {
    /// By kernel: predicted cost of the code, in the cost model's units, summed over functions.
    cost: BTreeMap<String, u64>,
    /// By kernel: bytes of Egraft's code.
    bytes: BTreeMap<String, usize>,
    /// Seconds for all.
    seconds: f64,
    /// By rule: places where it told an e-graph something new, and in how many kernels.
    fired: BTreeMap<String, (usize, usize)>,
}

/// A set of rules, or one rule, against the standard rules alone.
#[derive(Debug, Serialize)]
struct Effect {
    name: String,
    rules: usize,
    /// Rules that fired.
    fired: usize,
    /// Kernels whose predicted cost changed: lower, higher.
    lower: usize,
    higher: usize,
    /// Geometric mean over kernels of predicted cost, code size: with the rules over without.
    cost: f64,
    bytes: f64,
    /// Compile time with the rules over without, in all.
    seconds: f64,
}

pub(crate) fn measure(args: &RuleMeasureArgs) -> Result<ExitCode> {
    let set = RuleSet::from_folder(&args.folder)
        .with_context(|| format!("{}: cannot be read as rules", args.folder.display()))?;
    if set.rules.is_empty() {
        bail!("{}: no rules in it", args.folder.display());
    }
    let kernels = kernels(&args.kernels)?;
    let options = input::options(&args.code)?;
    let compile = |rules: Rules| compile(&kernels, args, &options, rules);
    // Prices of shapes are remembered by the process: who comes first would pay for all.
    compile(Rules::default())?;
    let bare = compile(Rules::default())?;
    let all = compile(Rules::with(set.clone()))?;
    let mut effects = vec![effect("all", set.rules.len(), &bare, &all)];

    let mut files: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, rule) in set.rules.iter().enumerate() {
        files.entry(rule.file.clone()).or_default().push(at);
    }
    let fired: Vec<usize> =
        (0..set.rules.len()).filter(|at| all.fired.contains_key(&set.rules[*at].name)).collect();
    if args.each != Some(Each::File) {
        files.clear();
    }
    let each = if args.each == Some(Each::Rule) { fired.len() } else { 0 };
    let bar = output::progress((files.len() + each) as u64, "measuring");
    for (file, members) in &files {
        bar.set_message(file.clone());
        let compiled = compile(Rules::with(part(&set, members)))?;
        effects.push(effect(file, members.len(), &bare, &compiled));
        bar.inc(1);
    }
    let mut single = Vec::new();
    for at in fired.iter().take(each) {
        let name = &set.rules[*at].name;
        bar.set_message(name.clone());
        let compiled = compile(Rules::with(part(&set, &[*at])))?;
        single.push(effect(name, 1, &bare, &compiled));
        bar.inc(1);
    }
    bar.finish_and_clear();
    if args.json {
        output::json(&serde_json::json!({
            "kernels": kernels.len(), "rules": set.rules.len(), "sets": effects, "each": single,
            "fired": all.fired, "bare": bare, "all": all,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&effects, "set")?;
    if !single.is_empty() {
        line("")?;
        single.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        print(&single, "rule")?;
    }
    line(format_args!(
        "\n{} kernels; of {} rules {} fired, {} in more than one kernel. Cost, size and compile time are \
         ratios to the standard rules alone.",
        kernels.len(),
        set.rules.len(),
        all.fired.len(),
        all.fired.values().filter(|(_, kernels)| *kernels > 1).count(),
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn print(effects: &[Effect], what: &str) -> Result<()> {
    let mut table =
        Table::new(&[what, "rules", "fired", "lower", "higher", "cost", "size", "compile time"]);
    for effect in effects {
        table.row(vec![
            effect.name.clone(),
            effect.rules.to_string(),
            effect.fired.to_string(),
            effect.lower.to_string(),
            effect.higher.to_string(),
            format!("{:.4}", effect.cost),
            format!("{:.4}", effect.bytes),
            format!("{:.2}", effect.seconds),
        ]);
    }
    line(table)
}

/// Names and modules of the kernels of a folder.
fn kernels(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut kernels = Vec::new();
    for path in descriptors(folder)? {
        let kernel = Kernel::read(&path)?;
        let wasm = read_limited(&kernel.wasm, "a wasm module", MAX_WASM_BYTES)?;
        kernels.push((kernel.name, wasm));
    }
    if kernels.is_empty() {
        bail!("{}: no kernel descriptors in it", folder.display());
    }
    Ok(kernels)
}

fn descriptors(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The rules at some places of a set, as a set.
fn part(set: &RuleSet, members: &[usize]) -> RuleSet {
    let rules = members.iter().enumerate().map(|(id, at)| {
        let mut rule = set.rules[*at].clone();
        rule.id = egraft_rules::RuleId(id as u16);
        rule
    });
    RuleSet { rules: rules.collect() }
}

fn compile(
    kernels: &[(String, Vec<u8>)],
    args: &RuleMeasureArgs,
    options: &Options,
    rules: Rules,
) -> Result<Compiled> {
    let mut config = input::config(None, &args.code)?;
    let handle = config.egraft(options.clone().rules(rules))?;
    let engine = Engine::new(&config).map_err(egraft::Error::from)?;
    let mut compiled = Compiled::default();
    for (name, wasm) in kernels {
        let start = Instant::now();
        let (_, report) = handle.module(&engine, wasm).with_context(|| name.clone())?;
        compiled.seconds += start.elapsed().as_secs_f64();
        let mut here: BTreeMap<&str, usize> = BTreeMap::new();
        for function in report.functions.iter() {
            if let Some(cost) = &function.cost {
                *compiled.cost.entry(name.clone()).or_default() += cost.after;
            }
            *compiled.bytes.entry(name.clone()).or_default() += function.code_bytes.unwrap_or(0);
            for rule in function.rules.iter().filter(|rule| rule.joined > 0) {
                *here.entry(&rule.name).or_default() += rule.joined;
            }
        }
        for (rule, joined) in here {
            let fired = compiled.fired.entry(rule.to_owned()).or_default();
            fired.0 += joined;
            fired.1 += 1;
        }
    }
    Ok(compiled)
}

fn effect(name: &str, rules: usize, bare: &Compiled, with: &Compiled) -> Effect {
    let costs =
        || bare.cost.iter().filter_map(|(kernel, cost)| Some((*cost, *with.cost.get(kernel)?)));
    let bytes =
        bare.bytes.iter().filter_map(|(kernel, bytes)| Some((*bytes, *with.bytes.get(kernel)?)));
    let fired = with.fired.keys().filter(|rule| !bare.fired.contains_key(*rule)).count();
    Effect {
        name: name.to_owned(),
        rules,
        fired,
        lower: costs().filter(|(before, after)| after < before).count(),
        higher: costs().filter(|(before, after)| after > before).count(),
        cost: geometric_mean(costs().map(|(before, after)| after as f64 / before.max(1) as f64)),
        bytes: geometric_mean(
            bytes.map(|(before, after)| after.max(1) as f64 / before.max(1) as f64),
        ),
        seconds: with.seconds / bare.seconds,
    }
}

fn geometric_mean(ratios: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) =
        ratios.fold((0.0, 0_u32), |(sum, count), ratio| (sum + ratio.ln(), count + 1));
    if count == 0 { 1.0 } else { (sum / f64::from(count)).exp() }
}
