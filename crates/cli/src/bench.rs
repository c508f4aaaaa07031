//! `egraft bench`: every kernel of a folder, engines interleaved round by round.

use crate::args::{BenchArgs, EngineName};
use crate::kernel::{self, engine_json};
use crate::output::{self, Coded, EXIT_DIFFERENT, Table, line};
use crate::stats::{geomean, ratio_interval};
use anyhow::{Context, Result, bail};
use egraft_kernels::Kernel;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compilations measured per engine and kernel; the shortest counts.
const COMPILATIONS: usize = 5;

pub(crate) fn bench(args: &BenchArgs) -> Result<ExitCode> {
    let engines = &args.engines;
    if (1..engines.len()).any(|at| engines[..at].contains(&engines[at])) {
        bail!("--engines names an engine twice");
    }
    let kernels = kernels(&args.directory, args.filter.as_deref())?;
    check_natives(&kernels, engines)?;
    if let Some(path) = &args.json {
        output::check_writable(path)?;
    }
    let Some((base, others)) = engines.split_first() else { bail!("--engines names none") };
    let mut headings = vec!["kernel".to_owned()];
    for engine in engines {
        headings.push(format!(">{engine} us"));
    }
    for engine in others {
        headings.push(format!(">{base}/{engine}"));
        headings.push("95%".to_owned());
        headings.push(">compile".to_owned());
    }
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    let mut measured = Vec::new();
    let bar = output::progress(kernels.len() as u64, "kernels");
    for kernel in &kernels {
        bar.set_message(kernel.name.clone());
        let one = measure(kernel, args)?;
        table.row(one.cells.clone());
        measured.push(one);
        bar.inc(1);
    }
    bar.finish_and_clear();

    line(table)?;
    let mut geomeans = Map::new();
    for (at, engine) in engines.iter().enumerate() {
        let ratios: Vec<f64> =
            measured.iter().filter_map(|one| one.ratios.get(at).copied()).collect();
        let mean = geomean(&ratios);
        geomeans.insert(engine.to_string(), json!(mean));
        if at > 0 {
            line(format_args!(
                "geometric mean of {} kernels, speed of {engine} over {base}: {mean:.3}",
                ratios.len(),
            ))?;
        }
    }
    for (engine, at) in engines.iter().zip(0..).skip(1) {
        let named = |one: &Measured, value: f64| format!("{} {value:.3}", one.cells[0]);
        let slowest = measured
            .iter()
            .filter_map(|one| Some((*one.ratios.get(at)?, one)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let longest = measured
            .iter()
            .filter_map(|one| Some(((*one.compile_ratios.get(at)?)?, one)))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let slowest = slowest.map(|(ratio, one)| named(one, ratio)).unwrap_or_default();
        let longest = longest.map_or(String::new(), |(ratio, one)| {
            format!("; longest compilation over {base}'s {}", named(one, ratio))
        });
        line(format_args!("{engine}: lowest speed {slowest}{longest}"))?;
    }
    if let Some(path) = &args.json {
        let document = json!({
            "schema": "egraft-bench/1",
            "machine": machine(),
            "versions": { "egraft": env!("CARGO_PKG_VERSION"), "wasmtime": WASMTIME_VERSION,
                          "cranelift": cranelift_codegen::VERSION },
            "settings": { "rounds": args.rounds, "size": args.size, "effort": args.code.effort,
                          "cpu": args.code.cpu.as_deref().unwrap_or("native") },
            "kernels": measured.iter().map(|one| &one.json).collect::<Vec<_>>(),
            "geomean": geomeans,
        });
        output::write_file(path, &serde_json::to_vec_pretty(&document)?)?;
    }
    let differing: Vec<String> = measured
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.cells[0], one.difference.as_ref()?)))
        .collect();
    match differing.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Coded {
            code: EXIT_DIFFERENT,
            text: format!("outputs differ: {}", differing.join("; ")),
        }
        .into()),
    }
}

/// The descriptors of a folder, checked before anything is measured.
fn kernels(directory: &Path, filter: Option<&str>) -> Result<Vec<Kernel>> {
    let shown = directory.display();
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {shown}"))?;
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {shown}"))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut kernels = Vec::new();
    for path in paths {
        let kernel = Kernel::read(&path)?;
        if filter.is_none_or(|text| kernel.name.contains(text)) {
            kernels.push(kernel);
        }
    }
    match (kernels.is_empty(), filter) {
        (false, _) => Ok(kernels),
        (true, Some(text)) => bail!("{shown}: no kernel whose name has {text:?} in it"),
        (true, None) => bail!("{shown}: no kernel descriptors (*.json)"),
    }
}

/// Natives are built apart from the kernels; what is missing should not stop a long run.
fn check_natives(kernels: &[Kernel], engines: &[EngineName]) -> Result<()> {
    for engine in engines {
        let EngineName::Native(target) = engine else { continue };
        let built = |kernel: &&Kernel| kernel.native.get(target).is_some_and(|path| path.exists());
        let missing: Vec<&str> =
            kernels.iter().filter(|kernel| !built(kernel)).map(|kernel| &*kernel.name).collect();
        if let [first, ..] = missing[..] {
            let count = missing.len();
            bail!(
                "{engine}: {count} kernels have no such build, {first} the first; \
                 bench/kernels/build --native {target} makes those of the bundled kernels"
            );
        }
    }
    Ok(())
}

struct Measured {
    json: Value,
    cells: Vec<String>,
    /// Time of the first engine over time of each engine; empty if outputs differ.
    ratios: Vec<f64>,
    /// Compile time of each engine over that of the first, where both compile; empty if outputs
    /// differ.
    compile_ratios: Vec<Option<f64>>,
    difference: Option<String>,
}

fn measure(kernel: &Kernel, args: &BenchArgs) -> Result<Measured> {
    let mut candidates =
        kernel::candidates(kernel, args.size, &args.engines, &args.code, COMPILATIONS)?;
    let difference = kernel::first_calls(kernel, &mut candidates)?;
    let mut cells = vec![kernel.name.clone()];
    if difference.is_some() {
        cells.push("outputs differ".to_owned());
        let json = json!({ "name": kernel.name, "outputs_equal": false, "difference": difference });
        let (ratios, compile_ratios) = (Vec::new(), Vec::new());
        return Ok(Measured { json, cells, ratios, compile_ratios, difference });
    }
    kernel::measure(&mut candidates, args.rounds, || {})?;

    let mut of_engines = Map::new();
    let (mut ratios, mut compile_ratios) = (Vec::new(), Vec::new());
    for candidate in &candidates {
        cells.push(format!("{:.1}", candidate.time().value / 1e3));
        of_engines.insert(candidate.engine.to_string(), engine_json(candidate));
    }
    let base = &candidates[0];
    for (at, candidate) in candidates.iter().enumerate() {
        let ratio = ratio_interval(&base.samples, &candidate.samples);
        ratios.push(ratio.value);
        let compiled = candidate.compiled.as_ref().zip(base.compiled.as_ref());
        let compile_ratio = compiled.map(|(candidate, base)| candidate.ms / base.ms);
        compile_ratios.push(compile_ratio);
        if at == 0 {
            continue;
        }
        if let Some(Value::Object(engine)) = of_engines.get_mut(&candidate.engine.to_string()) {
            engine.insert(
                "speed".into(),
                json!({ "over": base.engine.to_string(), "ratio": ratio.value,
                        "ci95": [ratio.low, ratio.high] }),
            );
        }
        cells.push(format!("{:.3}", ratio.value));
        cells.push(format!("{:.3} to {:.3}", ratio.low, ratio.high));
        cells.push(compile_ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}x")));
    }
    // One engine has nothing to be equal to.
    let equal = (candidates.len() > 1).then_some(true);
    let json = json!({ "name": kernel.name, "outputs_equal": equal, "engines": of_engines });
    Ok(Measured { json, cells, ratios, compile_ratios, difference: None })
}

fn machine() -> Value {
    json!({
        "arch": std::env::consts::ARCH,
        "os": std::env::consts::OS,
        "cpu": cpu_model(),
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

/// The processor's name where Linux tells it.
fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The version of Wasmtime that this command is built with; the workspace pins it.
const WASMTIME_VERSION: &str = "48.0.8";

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_wasmtime_is_the_pinned_one() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{}\"", super::WASMTIME_VERSION);
        assert!(lock.contains(&entry));
    }
}
