//! `egraft run --kernel`, and the measuring that it shares with `egraft bench`.
//!
//! Engines are interleaved: one sample of each per round, so that a disturbance hits them all.

use crate::args::{CodeArgs, EngineName, RunArgs};
use crate::input::{self, InFile};
use crate::output::{self, Coded, EXIT_DIFFERENT, EXIT_TRAP, line};
use crate::stats::{Estimate, median_interval, ratio_interval};
use anyhow::Result;
use egraft::ConfigExt;
use egraft_kernels::{Instance, InstanceError, Kernel, Native, Output, first_difference};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, Module};

/// A sample repeats the call until it took this long, so that the clock does not matter.
const SAMPLE: Duration = Duration::from_millis(4);
/// Limit for calls per sample.
const MAX_CALLS: u32 = 1000;
/// Compilations measured per engine; the shortest counts.
const COMPILATIONS: usize = 3;

/// A kernel ready to be called under one engine.
enum Runner {
    Module(Box<Instance>),
    Native(Native),
}

impl Runner {
    fn prepare(&mut self) {
        match self {
            Runner::Module(instance) => instance.prepare(),
            Runner::Native(native) => native.prepare(),
        }
    }

    fn call(&mut self) -> Result<Duration> {
        match self {
            Runner::Module(instance) => instance.call().map_err(coded),
            Runner::Native(native) => Ok(native.call()?),
        }
    }

    fn outputs(&self) -> Vec<Output> {
        match self {
            Runner::Module(instance) => instance.outputs(),
            Runner::Native(native) => native.outputs(),
        }
    }
}

/// One engine's code, its costs, and what it runs in.
pub(crate) struct Candidate {
    pub(crate) engine: EngineName,
    /// What compiling took and gave; `None` for natives.
    pub(crate) compiled: Option<Compilation>,
    runner: Runner,
    /// Nanoseconds per call, one sample per round.
    pub(crate) samples: Vec<f64>,
    /// The shortest call of all, what is left of the time when nothing disturbs it.
    pub(crate) shortest: Option<Duration>,
}

/// What compiling a module took and gave.
pub(crate) struct Compilation {
    /// Milliseconds of the shortest compilation.
    pub(crate) ms: f64,
    /// Bytes of machine code of the module's functions, without padding and trampolines.
    pub(crate) code_bytes: usize,
    /// What Egraft did; `None` for stock.
    pub(crate) report: Option<egraft::Report>,
}

impl Candidate {
    fn new(engine: &EngineName, compiled: Option<Compilation>, runner: Runner) -> Candidate {
        Candidate { engine: engine.clone(), compiled, runner, samples: Vec::new(), shortest: None }
    }

    pub(crate) fn time(&self) -> Estimate {
        median_interval(&self.samples)
    }

    fn native(kernel: &Kernel, engine: &EngineName, target: &str, size: usize) -> Result<Self> {
        // SAFETY: whoever names a native engine trusts the library as a program; the help says so.
        let native = unsafe { Native::new(kernel, target, size) }?;
        let runner = Runner::Native(native);
        Ok(Candidate::new(engine, None, runner))
    }
}

impl Compilation {
    /// How many functions have a loop with vector instructions, and how many of those run Egraft's
    /// code.
    fn vector_functions(&self) -> Option<(usize, usize)> {
        let vector = |function: &&egraft::FunctionReport| {
            function.shape.is_some_and(|shape| shape.vector_loops > 0)
        };
        let functions = || self.report.iter().flat_map(|report| &report.functions).filter(vector);
        self.report.as_ref()?;
        Some((functions().count(), functions().filter(|function| function.taken).count()))
    }
}

/// Compiles a kernel under each engine, interleaved, and sets up an instance of each.
pub(crate) fn candidates(
    kernel: &Kernel,
    size: usize,
    engines: &[EngineName],
    code: &CodeArgs,
    compilations: usize,
) -> Result<Vec<Candidate>> {
    let wasm = kernel.read_wasm()?;
    input::check_module(&kernel.wasm, &wasm)?;
    let config = input::config(None, code)?;
    let options = input::options(code)?;
    let mut best: Vec<Option<(Duration, Compiled)>> = engines.iter().map(|_| None).collect();
    for _ in 0..compilations {
        for (engine, best) in engines.iter().zip(&mut best) {
            let Some(compiled) = compile(engine, &config, &options, &wasm) else { continue };
            let (time, compiled) = compiled.in_file(&kernel.wasm)?;
            if best.as_ref().is_none_or(|(shortest, _)| time < *shortest) {
                *best = Some((time, compiled));
            }
        }
    }
    let mut candidates = Vec::new();
    for (engine, best) in engines.iter().zip(best) {
        candidates.push(match (engine, best) {
            (EngineName::Native(target), _) => Candidate::native(kernel, engine, target, size)?,
            (_, None) => continue,
            (_, Some((time, Compiled { module, report }))) => {
                if let Some(report) = &report {
                    input::warn_about(report);
                }
                let instance = Instance::new(&module, kernel, size).map_err(coded)?;
                let compilation = Compilation {
                    ms: time.as_secs_f64() * 1000.0,
                    code_bytes: module.functions().map(|function| function.len).sum(),
                    report,
                };
                Candidate::new(engine, Some(compilation), Runner::Module(Box::new(instance)))
            }
        });
    }
    Ok(candidates)
}

struct Compiled {
    module: Module,
    report: Option<egraft::Report>,
}

/// Compiles once; the time is of everything between wasm and a module that can be instantiated.
/// `None` for natives.
fn compile(
    engine: &EngineName,
    config: &Config,
    options: &egraft::Options,
    wasm: &[u8],
) -> Option<Result<(Duration, Compiled), egraft::Error>> {
    let stock = || {
        let engine = Engine::new(config)?;
        let start = Instant::now();
        let module = Module::new(&engine, wasm)?;
        Ok((start.elapsed(), Compiled { module, report: None }))
    };
    let egraft = |stage| {
        let mut config = config.clone();
        let handle = config.egraft(options.clone().stage(stage))?;
        let engine = Engine::new(&config)?;
        let start = Instant::now();
        let (module, report) = handle.module(&engine, wasm)?;
        Ok((start.elapsed(), Compiled { module, report: Some(report) }))
    };
    match engine {
        EngineName::Stock => Some(stock()),
        EngineName::Egraft(stage) => Some(egraft(*stage)),
        EngineName::Native(_) => None,
    }
}

/// Calls each candidate once; the first difference to the first candidate's outputs is returned.
/// Natives may contract floating point, and are compared within the kernel's tolerance.
pub(crate) fn first_calls(kernel: &Kernel, candidates: &mut [Candidate]) -> Result<Option<String>> {
    for candidate in &mut *candidates {
        candidate.runner.prepare();
        candidate.runner.call()?;
    }
    let Some((first, others)) = candidates.split_first() else { return Ok(None) };
    let expected = first.runner.outputs();
    let is_native = |candidate: &Candidate| matches!(candidate.runner, Runner::Native(_));
    Ok(others.iter().find_map(|other| {
        let tolerance = kernel.tolerance.filter(|_| is_native(first) || is_native(other));
        let difference = first_difference(&other.runner.outputs(), &expected, tolerance)?;
        Some(format!("{} and {}: {difference}", other.engine, first.engine))
    }))
}

/// Takes `rounds` samples of each candidate. All repeat the call equally often.
pub(crate) fn measure(
    candidates: &mut [Candidate],
    rounds: u32,
    mut tick: impl FnMut(),
) -> Result<()> {
    let mut slowest = Duration::from_nanos(1);
    for candidate in &mut *candidates {
        candidate.runner.call()?;
        slowest = slowest.max(candidate.runner.call()?);
    }
    let calls = (SAMPLE.as_nanos() / slowest.as_nanos()).clamp(1, u128::from(MAX_CALLS)) as u32;
    for round in 0..rounds as usize {
        let count = candidates.len();
        for at in 0..count {
            // Each engine comes first equally often.
            let candidate = &mut candidates[(at + round) % count];
            let mut total = Duration::ZERO;
            for _ in 0..calls {
                let time = candidate.runner.call()?;
                total += time;
                candidate.shortest = Some(candidate.shortest.map_or(time, |known| known.min(time)));
            }
            candidate.samples.push(total.as_nanos() as f64 / f64::from(calls));
        }
        tick();
    }
    Ok(())
}

/// Traps and errors of kernels have an exit code of their own.
fn coded(error: InstanceError) -> anyhow::Error {
    match error {
        InstanceError::Trap { .. } | InstanceError::Failed { .. } => {
            Coded { code: EXIT_TRAP, text: error.to_string() }.into()
        }
        _ => error.into(),
    }
}

pub(crate) fn run(args: &RunArgs, descriptor: &Path) -> Result<ExitCode> {
    let kernel = Kernel::read(descriptor)?;
    let both = [EngineName::Stock, EngineName::EGRAFT];
    let engines = if args.compare { &both[..] } else { std::slice::from_ref(&args.engine) };
    let compilations = if args.compare { COMPILATIONS } else { 1 };
    let mut candidates = candidates(&kernel, args.size, engines, &args.code, compilations)?;
    let difference = first_calls(&kernel, &mut candidates)?;
    if difference.is_none() {
        let bar = output::progress(args.rounds.into(), "rounds");
        measure(&mut candidates, args.rounds, || bar.inc(1))?;
        bar.finish_and_clear();
    }
    print(&kernel, args, &candidates, difference.as_deref())?;
    match difference {
        Some(difference) => Err(Coded {
            code: EXIT_DIFFERENT,
            text: format!("{}: outputs differ: {difference}", descriptor.display()),
        }
        .into()),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn print(
    kernel: &Kernel,
    args: &RunArgs,
    candidates: &[Candidate],
    difference: Option<&str>,
) -> Result<()> {
    let ratio = match candidates {
        [stock, egraft] if difference.is_none() => {
            Some(ratio_interval(&stock.samples, &egraft.samples))
        }
        _ => None,
    };
    if args.json {
        let mut engines = serde_json::Map::new();
        for candidate in candidates {
            engines.insert(candidate.engine.to_string(), engine_json(candidate));
        }
        return output::json(&json!({
            "name": kernel.name,
            "size": args.size,
            "outputs_equal": (candidates.len() > 1).then_some(difference.is_none()),
            "difference": difference,
            "engines": engines,
            "speedup": ratio.map(|ratio| json!({ "value": ratio.value, "ci95": [ratio.low, ratio.high] })),
        }));
    }
    line(format_args!("kernel {}, size {}", kernel.name, args.size))?;
    for candidate in candidates {
        let name = &candidate.engine;
        let compiled = candidate.compiled.as_ref().map(|compiled| {
            let taken = match (&compiled.report, compiled.vector_functions()) {
                (Some(report), Some((vector, taken))) => format!(
                    ", {} of {} functions taken, {taken} of {vector} with vector loops",
                    report.taken(),
                    report.wasm_functions().count()
                ),
                _ => String::new(),
            };
            let Compilation { ms, code_bytes, .. } = compiled;
            format!(", compiled in {ms:.1} ms, {code_bytes} bytes of code{taken}")
        });
        let time = candidate.time();
        let time = match candidate.samples.is_empty() {
            true => "not measured".to_owned(),
            false => {
                let [value, low, high] = [time.value, time.low, time.high].map(show_ns);
                format!("{value} [{low} to {high}]")
            }
        };
        line(format_args!("{name:>7}: {time}{}", compiled.unwrap_or_default()))?;
    }
    if let Some(ratio) = ratio {
        let green = anstyle::AnsiColor::Green.on_default().bold();
        line(format_args!("{green}outputs identical{green:#}"))?;
        line(format_args!(
            "speed of egraft over stock: {:.3} [{:.3} to {:.3}], medians of {} rounds, 95% intervals",
            ratio.value, ratio.low, ratio.high, args.rounds
        ))?;
    }
    Ok(())
}

/// One engine's part of the result, in the format egraft-bench/1.
pub(crate) fn engine_json(candidate: &Candidate) -> serde_json::Value {
    let time = candidate.time();
    let number = |value: f64| value.is_finite().then_some(value);
    let mut value = json!({
        "median_ns": number(time.value),
        "ci95": [number(time.low), number(time.high)],
        "min_ns": candidate.shortest.map(|time| time.as_nanos() as u64),
    });
    let (Some(compiled), Some(object)) = (&candidate.compiled, value.as_object_mut()) else {
        return value;
    };
    object.insert("compile_ms".into(), compiled.ms.into());
    object.insert("code_bytes".into(), compiled.code_bytes.into());
    if let Some((vector, taken)) = compiled.vector_functions() {
        object.insert("functions".into(), json!({ "vector_loops": vector, "taken": taken }));
    }
    value
}

fn show_ns(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.3} ms", ns / 1e6),
        ns => format!("{:.3} s", ns / 1e9),
    }
}
