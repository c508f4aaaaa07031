//! `egraft bench calibrate`: how far the verdicts of `egraft bench compare` can be trusted here.
//!
//! One engine takes turns with itself, and with itself slowed down by a known part. What `compare` says
//! of the first pair is a false alarm, what it does not say of the second a miss.

use crate::args::CalibrateArgs;
use crate::bench::{amount, kernels, own_programs};
use crate::output::{self, line};
use anyhow::{Result, bail};
use egraft_bench::compare::{Comparison, Verdict, of_engines};
use egraft_bench::measure::{Amount, Run, measure};
use egraft_bench::{Engine, Entrant, Startable};
use egraft_kernels::Kernel;
use std::process::ExitCode;

/// The least change that counts: the default of `compare`.
const LEAST: f64 = 0.01;

/// What was found in all repetitions.
#[derive(Default)]
struct Tally {
    runs: u32,
    /// Runs in which anything was called changed.
    alarms: u32,
    /// Kernels that were called changed, and all there were.
    kernel_alarms: [usize; 2],
    /// Runs in which the mean was found slower.
    found: u32,
    /// Slowed kernels that were found slower, and all there were.
    kernels_found: [usize; 2],
}

pub(crate) fn calibrate(args: &CalibrateArgs) -> Result<ExitCode> {
    if !(args.slowdown > 0.0 && args.slowdown <= 100.0) {
        bail!("--slowdown {}: must be more than 0 and at most 100", args.slowdown);
    }
    if args.amount.processes < 3 {
        bail!("--processes {}: fewer than 3 tell nothing", args.amount.processes);
    }
    let kernels = kernels(&args.directory, args.filter.as_deref())?;
    let engines = engines(args)?;
    // Compile times are not compared.
    let amount = Amount { compilations: 1, ..amount(&args.amount) };
    let total = u64::from(args.repeat) * kernels.len() as u64 * u64::from(amount.processes);
    let bar = output::progress(total, "measuring");
    let mut tally = Tally::default();
    for _ in 0..args.repeat {
        let mut measured = Vec::new();
        for kernel in &kernels {
            bar.set_message(kernel.name.clone());
            let runs: Vec<Run<'_>> =
                engines.iter().map(|engine| Run { engine, kernel: Some(kernel) }).collect();
            measured.push(measure(&kernel.name, &runs, 0, amount, || bar.inc(1)).result);
        }
        let [first, again, slowed] = engines.each_ref().map(|engine| engine.entrant.to_string());
        let compare = |to: &str| of_engines(&measured, &first, to, LEAST);
        tally.add(&compare(&again), &compare(&slowed));
        let text = tally.line(args.slowdown);
        bar.suspend(|| line(format_args!("{:>3} of {}: {text}", tally.runs, args.repeat)))?;
    }
    bar.finish_and_clear();
    tally.print(args, &kernels)?;
    Ok(ExitCode::SUCCESS)
}

/// Egraft, Egraft again, and Egraft slowed down.
fn engines(args: &CalibrateArgs) -> Result<[Startable; 3]> {
    let engine = |delay: f64| -> Result<Startable> {
        let programs = own_programs(vec![format!("--delay={delay}").into()], args.amount.pin)?;
        Ok(programs.find(&Entrant { engine: Engine::EGRAFT, base: false })?)
    };
    let named = |engine: Startable, name: &str| Startable {
        entrant: Entrant { engine: Engine::Peer(name.to_owned()), base: false },
        ..engine
    };
    Ok([
        engine(0.0)?,
        named(engine(0.0)?, "again"),
        named(engine(args.slowdown / 100.0)?, "slowed"),
    ])
}

impl Tally {
    fn add(&mut self, same: &Comparison, slowed: &Comparison) {
        let changed = |verdict| verdict == Verdict::Regressed || verdict == Verdict::Improved;
        let slower = |verdict| verdict == Verdict::Regressed;
        let alarms = same.kernels.iter().filter(|change| changed(change.verdict)).count();
        let mean = same.mean.as_ref().is_some_and(|mean| changed(mean.verdict));
        self.runs += 1;
        self.alarms += u32::from(alarms > 0 || mean);
        self.kernel_alarms[0] += alarms;
        self.kernel_alarms[1] += same.kernels.len();
        self.found += u32::from(slowed.mean.as_ref().is_some_and(|mean| slower(mean.verdict)));
        self.kernels_found[0] += slowed.with(Verdict::Regressed).len();
        self.kernels_found[1] += slowed.kernels.len();
    }

    fn line(&self, slowdown: f64) -> String {
        let [alarms, all] = self.kernel_alarms;
        let [found, slowed] = self.kernels_found;
        format!(
            "false alarms in {} runs ({alarms} of {all} kernels); {slowdown} % found in {} runs \
             ({found} of {slowed} kernels)",
            self.alarms, self.found
        )
    }

    fn print(&self, args: &CalibrateArgs, kernels: &[Kernel]) -> Result<()> {
        let share = |part: u32| f64::from(part) / f64::from(self.runs) * 100.0;
        let of = |[part, all]: [usize; 2]| part as f64 / all.max(1) as f64 * 100.0;
        line(format_args!(
            "\n{} runs of {} kernels, {} processes of {} rounds each\n\
             same program twice:      false alarm in {:.1} % of runs, {:.2} % of kernels\n\
             planted slowdown {:.1} %:   mean found in {:.1} % of runs, {:.1} % of kernels found",
            self.runs,
            kernels.len(),
            args.amount.processes,
            args.amount.rounds,
            share(self.alarms),
            of(self.kernel_alarms),
            args.slowdown,
            share(self.found),
            of(self.kernels_found),
        ))
    }
}
