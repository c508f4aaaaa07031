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
    let mut engines = args.engines.clone();
    engines.dedup();
    if engines.len() != args.engines.len() || engines.is_empty() {
        bail!("--engines names an engine twice");
    }
    let kernels = kernels(&args.directory, args.filter.as_deref())?;
    if let Some(path) = &args.json {
        output::check_writable(path)?;
    }
    let base = engines[0];
    let mut headings = vec!["kernel".to_owned()];
    for engine in &engines {
        headings.push(format!(">{} us", engine.name()));
    }
    for engine in &engines[1..] {
        headings.push(format!(">{}/{}", base.name(), engine.name()));
        headings.push("95%".to_owned());
        headings.push(">compile".to_owned());
    }
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    let mut measured = Vec::new();
    let bar = output::progress(kernels.len() as u64, "kernels");
    for kernel in &kernels {
        bar.set_message(kernel.name.clone());
        let one = measure(kernel, args, &engines)?;
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
        geomeans.insert(engine.name().to_owned(), json!(mean));
        if at > 0 {
            line(format_args!(
                "geometric mean of {} kernels, speed of {} over {}: {mean:.3}",
                ratios.len(),
                engine.name(),
                base.name()
            ))?;
        }
    }
    for (engine, at) in engines.iter().zip(0..).skip(1) {
        let worst = |pick: fn(&Measured, usize) -> f64, sign: f64| {
            let worst = measured
                .iter()
                .filter(|one| one.difference.is_none())
                .max_by(|a, b| (sign * pick(a, at)).total_cmp(&(sign * pick(b, at))));
            worst.map(|one| format!("{} {:.3}", one.cells[0], pick(one, at))).unwrap_or_default()
        };
        line(format_args!(
            "{}: lowest speed {}; longest compilation over {}'s {}",
            engine.name(),
            worst(|one, at| one.ratios[at], -1.0),
            base.name(),
            worst(|one, at| one.compile_ratios[at], 1.0),
        ))?;
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

struct Measured {
    json: Value,
    cells: Vec<String>,
    /// Time of the first engine over time of each engine; empty if outputs differ.
    ratios: Vec<f64>,
    /// Compile time of each engine over that of the first; empty if outputs differ.
    compile_ratios: Vec<f64>,
    difference: Option<String>,
}

fn measure(kernel: &Kernel, args: &BenchArgs, engines: &[EngineName]) -> Result<Measured> {
    let mut candidates = kernel::candidates(kernel, args.size, engines, &args.code, COMPILATIONS)?;
    let difference = kernel::first_calls(&mut candidates)?;
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
        of_engines.insert(candidate.engine.name().to_owned(), engine_json(candidate));
    }
    let base = &candidates[0];
    for (at, candidate) in candidates.iter().enumerate() {
        let ratio = ratio_interval(&base.samples, &candidate.samples);
        ratios.push(ratio.value);
        compile_ratios.push(candidate.compile_ms / base.compile_ms);
        if at == 0 {
            continue;
        }
        if let Some(Value::Object(engine)) = of_engines.get_mut(candidate.engine.name()) {
            engine.insert(
                "speed".into(),
                json!({ "over": base.engine.name(), "ratio": ratio.value,
                        "ci95": [ratio.low, ratio.high] }),
            );
        }
        cells.push(format!("{:.3}", ratio.value));
        cells.push(format!("{:.3} to {:.3}", ratio.low, ratio.high));
        cells.push(format!("{:.2}x", compile_ratios[at]));
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
