//! `egraft run --kernel`: one kernel, under one engine or compared.

use crate::args::RunArgs;
use crate::bench::{amount, code, own_programs};
use crate::output::{self, Coded, EXIT_DIFFERENT, EXIT_ERROR, EXIT_TRAP, line};
use anyhow::Result;
use egraft_bench::measure::{Measured, Run, measure};
use egraft_bench::results::EngineResult;
use egraft_bench::{Engine, Entrant, Startable};
use egraft_kernels::Kernel;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn run(args: &RunArgs, descriptor: &Path) -> Result<ExitCode> {
    let kernel = Kernel::read(descriptor)?;
    kernel.size(args.size)?;
    let both = [Engine::Stock, Engine::EGRAFT];
    let engines = if args.compare { &both[..] } else { std::slice::from_ref(&args.engine) };
    let programs = own_programs(code(&args.code), args.amount.pin)?;
    let mut found = Vec::new();
    for engine in engines {
        found.push(programs.find(&Entrant { engine: engine.clone(), base: false })?);
    }
    let runs: Vec<Run<'_>> =
        found.iter().map(|engine| Run { engine, kernel: Some(&kernel) }).collect();
    let amount = amount(&args.amount);
    let bar = output::progress(amount.processes.into(), "processes");
    let measured = measure(&kernel.name, &runs, args.size, amount, || bar.inc(1));
    bar.finish_and_clear();
    measured.warnings.iter().for_each(output::warn);

    print(args, &found, &measured)?;
    let failure = measured.result.engines.values().find_map(|result| result.failure.as_ref());
    let (code, text) = match (&measured.result.difference, failure) {
        (Some(difference), _) => (EXIT_DIFFERENT, format!("outputs differ: {difference}")),
        (None, Some(failure)) if measured.kernel_failed => (EXIT_TRAP, failure.clone()),
        (None, Some(failure)) => (EXIT_ERROR, failure.clone()),
        (None, None) => return Ok(ExitCode::SUCCESS),
    };
    let text = format!("{}: {text}", descriptor.display());
    Err(Coded { code, text }.into())
}

fn print(args: &RunArgs, engines: &[Startable], measured: &Measured) -> Result<()> {
    let result = &measured.result;
    if args.json {
        return output::json(&json!({
            "name": result.name,
            "size": args.size,
            "outputs_equal": result.outputs_equal,
            "difference": result.difference,
            "engines": result.engines,
        }));
    }
    if result.engines.values().all(|result| result.failure.is_some()) {
        return Ok(());
    }
    line(format_args!("kernel {}, size {}", result.name, args.size))?;
    for (engine, functions) in engines.iter().zip(&measured.functions) {
        let name = engine.entrant.to_string();
        let Some(result) = result.engines.get(&name) else { continue };
        let taken = functions.map(|functions| {
            let egraft_bench::protocol::Functions { all, taken, vector, vector_taken } = functions;
            format!(
                ", {taken} of {all} functions taken, {vector_taken} of {vector} with vector loops"
            )
        });
        line(format_args!("{name:>7}: {}{}", about(result), taken.unwrap_or_default()))?;
    }
    if result.outputs_equal == Some(true) {
        let green = anstyle::AnsiColor::Green.on_default().bold();
        line(format_args!("{green}outputs identical{green:#}"))?;
    }
    if let [stock, egraft] = engines
        && let Some(speed) =
            result.engines.get(&egraft.entrant.to_string()).and_then(|result| result.speed)
    {
        line(format_args!(
            "speed of {} over {}: {:.3} [{:.3} to {:.3}], {} processes of {} rounds, 95 % interval",
            egraft.entrant,
            stock.entrant,
            speed.value,
            speed.low,
            speed.high,
            args.amount.processes,
            args.amount.rounds
        ))?;
    }
    Ok(())
}

/// Time, compile time and size.
fn about(result: &EngineResult) -> String {
    let Some(time) = result.time_ns else { return "not measured".to_owned() };
    let [value, low, high] = [time.value, time.low, time.high].map(show_ns);
    let mut text = format!("{value} [{low} to {high}]");
    if let Some(ns) = result.compile_min_ns() {
        text += &format!(", compiled in {}", show_ns(ns));
    }
    if let Some(bytes) = result.code_bytes {
        text += &format!(", {bytes} bytes of code");
    }
    text
}

fn show_ns(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.3} ms", ns / 1e6),
        ns => format!("{:.3} s", ns / 1e9),
    }
}
