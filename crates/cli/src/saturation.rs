//! `egraft bench saturation`: engines of equality saturation on the same terms and rules.

use crate::args::CodeArgs;
use crate::input;
use crate::output::{self, EXIT_DIFFERENT, Table, line, write_file};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use egraft_egraph::STANDARD_SET;
use egraft_egraph::bulk::without_rearranging;
use egraft_gpu::{Gpu, GpuSaturation, Room, RulesAs, Shader};
use egraft_kernels::Kernel;
use egraft_saturation::{
    Bounds, End, Outcome, Point, Workload, flattened, load, plot, run_egg, run_egglog, run_flat,
    run_own,
};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  egraft bench saturation
  egraft bench saturation --sizes 10000,100000,1000000 --engines own,egg,gpu --plot speed.svg
  egraft bench saturation --workloads kernels --kernels bench/kernels --json saturation.json")]
pub(crate) struct SaturationArgs {
    /// What is rewritten. sums: sums of nine values under associativity; forest: random trees under
    /// Boolean algebra; terms: all small terms, as rule inference enumerates them; kernels: all
    /// functions of all kernels of a folder in one graph
    #[arg(long, value_delimiter = ',', value_enum, default_value = "sums,forest,terms")]
    pub(crate) workloads: Vec<SaturationWorkload>,
    /// Nodes that sums and forests are to have in the end, about
    #[arg(long, value_delimiter = ',', value_name = "NODES", default_value = "10000,100000")]
    pub(crate) sizes: Vec<usize>,
    /// The engines; the first is the one to compare with
    #[arg(long, value_delimiter = ',', value_enum, default_value = "own,own2,egg,egglog,gpu")]
    pub(crate) engines: Vec<SaturationEngine>,
    /// Runs of each engine, one after the other in turn; the middle one counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Seconds after which an engine begins no further iteration; larger workloads of the kind are
    /// not tried on it
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) time: u64,
    /// Folder with kernel descriptors, for kernels
    #[arg(long, value_name = "DIR", default_value = "bench/kernels")]
    pub(crate) kernels: PathBuf,
    /// The GPU: part of an adapter's name
    #[arg(long, value_name = "NAME")]
    pub(crate) adapter: Option<String>,
    /// Write all runs to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw nodes per second over nodes into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SaturationWorkload {
    Sums,
    Forest,
    Terms,
    Kernels,
}

/// own: Egraft on one thread; own2: on two; gpu: Egraft's on the GPU; gpu-data and gpu-code: with rules as
/// words that a shader interprets, or as shader code;
/// own-flat and gpu-flat: with canonical forms of sums and the like in place of associativity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SaturationEngine {
    Own,
    Own2,
    OwnFlat,
    Egg,
    Egglog,
    Gpu,
    GpuData,
    GpuCode,
    GpuFlat,
}

impl SaturationEngine {
    const fn is_gpu(self) -> bool {
        matches!(
            self,
            SaturationEngine::Gpu
                | SaturationEngine::GpuData
                | SaturationEngine::GpuCode
                | SaturationEngine::GpuFlat
        )
    }

    /// Whether it ends at fewer classes: those that associativity would make are not there.
    const fn is_flat(self) -> bool {
        matches!(self, SaturationEngine::OwnFlat | SaturationEngine::GpuFlat)
    }
}

/// Leaves of each sum, and the nodes that it ends with.
const SUM: (usize, usize) = (9, 9_339);
/// Nodes that a random tree ends with, about.
const TREE: usize = 75;
/// Operations in enumerated terms: from the first to the last.
const TERMS: std::ops::RangeInclusive<usize> = 3..=4;

/// One engine on one workload.
#[derive(Debug, Serialize)]
struct Measured {
    workload: &'static str,
    name: String,
    engine: &'static str,
    /// Whether sums and the like have canonical forms in place of associativity.
    is_flat: bool,
    rules: usize,
    terms: usize,
    /// The middle one of the rounds.
    outcome: Outcome,
    /// Times of all rounds in seconds.
    seconds: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Written<'a> {
    schema: &'static str,
    adapter: Option<&'a str>,
    threads: usize,
    measured: &'a [Measured],
}

const fn engine_name(engine: SaturationEngine) -> &'static str {
    match engine {
        SaturationEngine::Own => "own",
        SaturationEngine::Own2 => "own, 2 threads",
        SaturationEngine::Egg => "egg 0.11",
        SaturationEngine::Egglog => "egglog 3",
        SaturationEngine::Gpu => "gpu",
        SaturationEngine::GpuData => "gpu, rules as data",
        SaturationEngine::GpuCode => "gpu, rules as code",
        SaturationEngine::OwnFlat => "own, flat",
        SaturationEngine::GpuFlat => "gpu, flat",
    }
}

const fn workload_name(workload: SaturationWorkload) -> &'static str {
    match workload {
        SaturationWorkload::Sums => "sums",
        SaturationWorkload::Forest => "forest",
        SaturationWorkload::Terms => "terms",
        SaturationWorkload::Kernels => "kernels",
    }
}

pub(crate) fn saturation(args: &SaturationArgs) -> Result<ExitCode> {
    for path in [&args.json, &args.plot].into_iter().flatten() {
        output::check_writable(path)?;
    }
    let gpu = match args.engines.iter().any(|engine| engine.is_gpu()) {
        true => open(args.adapter.as_deref())?,
        false => None,
    };
    let engines: Vec<SaturationEngine> =
        args.engines.iter().copied().filter(|engine| !engine.is_gpu() || gpu.is_some()).collect();
    if engines.is_empty() {
        bail!("no engine is left to measure");
    }
    let mut measured: Vec<Measured> = Vec::new();
    let mut slow = HashSet::new();
    let mut differ = false;
    for kind in &args.workloads {
        for workload in workloads(*kind, args)? {
            let first = measured.len();
            measure(args, *kind, &workload, &engines, gpu.as_ref(), &mut slow, &mut measured)?;
            let ends_of = |flat: bool| -> HashSet<usize> {
                let ended = measured[first..].iter().filter(|one| one.outcome.end != End::Time);
                ended.filter(|one| one.is_flat == flat).map(|one| one.outcome.classes).collect()
            };
            if ends_of(false).len() > 1 || ends_of(true).len() > 1 {
                output::warn(format_args!("{}: engines end at other classes", workload.name));
                differ = true;
            }
        }
    }
    print(&measured)?;
    let adapter = gpu.as_ref().map(Gpu::name);
    if let Some(adapter) = adapter {
        line(format_args!("gpu: {adapter}"))?;
    }
    if let Some(path) = &args.json {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let schema = "egraft-saturation/1";
        let result = Written { schema, adapter, threads, measured: &measured };
        write_file(path, &serde_json::to_vec_pretty(&result)?)?;
    }
    if let Some(path) = &args.plot {
        draw(path, &measured)?;
    }
    Ok(if differ { ExitCode::from(EXIT_DIFFERENT) } else { ExitCode::SUCCESS })
}

/// The GPU; without one a warning.
fn open(name: Option<&str>) -> Result<Option<Gpu>> {
    match Gpu::open(name) {
        Ok(gpu) => Ok(Some(gpu)),
        Err(error) if name.is_some() => Err(error.into()),
        Err(error) => {
            output::warn(format_args!("the GPU is left out: {error}"));
            Ok(None)
        }
    }
}

fn workloads(kind: SaturationWorkload, args: &SaturationArgs) -> Result<Vec<Workload>> {
    let standard: &[&egraft_rules::RuleSet] = &[&STANDARD_SET];
    Ok(match kind {
        SaturationWorkload::Sums => {
            let sums = |size: &usize| Workload::sums((size / SUM.1).max(1), SUM.0);
            args.sizes.iter().map(sums).collect()
        }
        SaturationWorkload::Forest => {
            let forest = |size: &usize| Workload::forest((size / TREE).max(1), 1);
            args.sizes.iter().map(forest).collect()
        }
        SaturationWorkload::Terms => TERMS.map(|ops| Workload::terms(ops, standard)).collect(),
        SaturationWorkload::Kernels => {
            let kernels = crate::bench::kernels(&args.kernels, None)?;
            let bar = output::progress(kernels.len() as u64, "reading");
            let mut graphs = Vec::new();
            for kernel in &kernels {
                graphs.extend(functions(kernel, args)?);
                bar.inc(1);
            }
            bar.finish_and_clear();
            let name = format!("{} functions of {} kernels", graphs.len(), kernels.len());
            vec![Workload::graphs(&name, &graphs, standard)]
        }
    })
}

/// The e-graphs of a kernel's functions.
fn functions(kernel: &Kernel, args: &SaturationArgs) -> Result<Vec<egraft_egraph::EGraph>> {
    let config = input::config(None, &args.code)?;
    let options = input::options(&args.code)?;
    let wasm = input::read_module(&kernel.wasm)?;
    let captured = egraft::capture(&config, &wasm).with_context(|| kernel.name.clone())?;
    Ok(captured.functions.iter().map(|one| egraft::egraph(&one.func, &options).0).collect())
}

fn measure(
    args: &SaturationArgs,
    kind: SaturationWorkload,
    workload: &Workload,
    engines: &[SaturationEngine],
    gpu: Option<&Gpu>,
    slow: &mut HashSet<(&'static str, &'static str)>,
    measured: &mut Vec<Measured>,
) -> Result<()> {
    let kind = workload_name(kind);
    let bounds = Bounds { time: Duration::from_secs(args.time), ..Bounds::default() };
    let tried: Vec<SaturationEngine> = engines
        .iter()
        .copied()
        .filter(|engine| !slow.contains(&(kind, engine_name(*engine))))
        .collect();
    let bar = output::progress(u64::from(args.rounds) * tried.len() as u64, "saturating");
    let mut runs: Vec<Vec<Outcome>> = vec![Vec::new(); tried.len()];
    for _ in 0..args.rounds {
        for (engine, runs) in tried.iter().zip(&mut runs) {
            bar.set_message(format!("{}, {}", workload.name, engine_name(*engine)));
            // What takes too long is not asked again.
            let is_left_out = slow.contains(&(kind, engine_name(*engine)));
            if !is_left_out && runs.last().is_none_or(|run| run.end != End::Time) {
                match run(*engine, workload, bounds, gpu) {
                    Ok(outcome) => runs.push(outcome),
                    Err(error) if engine.is_gpu() => {
                        // What does not fit a device does not end the comparison of the others.
                        output::warn(format_args!(
                            "{}: the GPU is left out: {error:#}",
                            workload.name
                        ));
                        slow.insert((kind, engine_name(*engine)));
                    }
                    Err(error) => return Err(error),
                }
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    for (engine, mut runs) in tried.iter().zip(runs).filter(|(_, runs)| !runs.is_empty()) {
        let is_flat = engine.is_flat();
        let engine = engine_name(*engine);
        let seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
        runs.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
        let outcome = runs[runs.len() / 2];
        if outcome.end == End::Time || outcome.seconds > args.time as f64 / 2.0 {
            slow.insert((kind, engine));
        }
        measured.push(Measured {
            workload: kind,
            name: workload.name.clone(),
            engine,
            is_flat,
            rules: workload.rules.rules.len(),
            terms: workload.nodes.len(),
            outcome,
            seconds,
        });
    }
    Ok(())
}

fn run(
    engine: SaturationEngine,
    workload: &Workload,
    bounds: Bounds,
    gpu: Option<&Gpu>,
) -> Result<Outcome> {
    let gpu = || gpu.context("there is no GPU");
    Ok(match engine {
        SaturationEngine::Own => run_own(workload, bounds).0,
        SaturationEngine::Own2 => run_own(workload, Bounds { threads: 2, ..bounds }).0,
        SaturationEngine::Egg => run_egg(workload, bounds)?.0,
        SaturationEngine::Egglog => run_egglog(workload, bounds)?,
        SaturationEngine::Gpu => on_gpu(workload, bounds, gpu()?, None)?,
        SaturationEngine::GpuData => on_gpu(workload, bounds, gpu()?, Some(RulesAs::Data))?,
        SaturationEngine::GpuCode => on_gpu(workload, bounds, gpu()?, Some(RulesAs::Code))?,
        SaturationEngine::OwnFlat => run_flat(workload, bounds).0,
        SaturationEngine::GpuFlat => flat_on_gpu(workload, bounds, gpu()?)?,
    })
}

/// Shaders are made before the time begins; copies to the device and back are in it.
fn on_gpu(
    workload: &Workload,
    bounds: Bounds,
    gpu: &Gpu,
    rules: Option<RulesAs>,
) -> Result<Outcome> {
    let mut graph = load(workload);
    let (sets, shader) = ([&workload.rules], Shader { rules, ..Shader::default() });
    let saturation = GpuSaturation::with_shader(gpu, &mut graph, &sets, Room::default(), shader)?;
    let start = Instant::now();
    let run = saturation.saturate(bounds.limits())?;
    let seconds = start.elapsed().as_secs_f64();
    let end = run.end.map_or(End::Limit, End::from);
    let (nodes, classes) = (graph.node_count(), graph.class_count());
    Ok(Outcome { end, nodes, classes, iterations: run.iterations, seconds })
}

/// As [`on_gpu`], with canonical forms, which the CPU makes. Shaders are made anew each time, which counts.
fn flat_on_gpu(workload: &Workload, bounds: Bounds, gpu: &Gpu) -> Result<Outcome> {
    let rules = without_rearranging(&workload.rules);
    let (outcome, _) = flattened(workload, bounds, |graph, bounds| -> Result<(End, usize)> {
        let run = GpuSaturation::new(gpu, graph, &[&rules], Room::default())?;
        let run = run.saturate(bounds.limits())?;
        Ok((run.end.map_or(End::Limit, End::from), run.iterations))
    })?;
    Ok(outcome)
}

fn print(measured: &[Measured]) -> Result<()> {
    let headings = [
        "workload",
        "engine",
        ">nodes",
        ">classes",
        ">iterations",
        ">seconds",
        ">nodes/s",
        ">speed",
    ];
    let mut table = Table::new(&headings);
    for one in measured {
        let Outcome { end, nodes, classes, iterations, seconds } = one.outcome;
        let same = |other: &&Measured| other.name == one.name && other.workload == one.workload;
        let first = measured.iter().find(same).map_or(&one.outcome, |first| &first.outcome);
        let speed = match end {
            End::Time => "no end".to_owned(),
            _ if first.end == End::Time => "-".to_owned(),
            _ => format!("{:.3}", first.seconds / seconds),
        };
        table.row(vec![
            format!("{}: {}", one.workload, one.name),
            one.engine.to_owned(),
            nodes.to_string(),
            classes.to_string(),
            iterations.to_string(),
            format!("{seconds:.3}"),
            format!("{:.0}", nodes as f64 / seconds),
            speed,
        ]);
    }
    line(table)
}

fn draw(path: &std::path::Path, measured: &[Measured]) -> Result<()> {
    let ended = measured.iter().filter(|one| one.outcome.end != End::Time);
    let point = |one: &Measured| {
        // One measure for all engines: what the first of them counts.
        let first = measured
            .iter()
            .find(|first| first.name == one.name && first.workload == one.workload)
            .map_or(one.outcome.nodes, |first| first.outcome.nodes);
        Point {
            workload: one.workload.to_owned(),
            engine: one.engine.to_owned(),
            nodes: first,
            seconds: one.outcome.seconds,
        }
    };
    let points: Vec<Point> = ended.map(point).collect();
    match plot(&points).map_err(anyhow::Error::msg)? {
        Some(svg) => write_file(path, svg.as_bytes()),
        None => {
            output::warn("nothing to draw: no engine came to an end");
            Ok(())
        }
    }
}
