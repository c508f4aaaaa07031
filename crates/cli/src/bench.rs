//! `egraft bench`: every kernel of a folder under several engines, and what to do with the result.

use crate::args::{AmountArgs, BenchArgs, BenchCommand, CodeArgs, MeasureArgs, Pin};
use crate::engine::WASMTIME_VERSION;
use crate::output::{self, Coded, EXIT_DIFFERENT, EXIT_ERROR, EXIT_TRAP, Table, line};
use anyhow::{Context, Result, bail};
use egraft_bench::measure::{Amount, Measured, Run, measure};
use egraft_bench::results::{EngineInfo, Geomean, KernelResult, Results, SCHEMA, Settings};
use egraft_bench::stats::{Estimate, geomean, geomean_of};
use egraft_bench::{
    Engine, Entrant, HistoryEntry, Programs, Startable, engine, history, machine, ops, peaks,
};
use egraft_kernels::Kernel;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

/// Compilations measured in each process; the shortest counts.
const COMPILATIONS: u32 = 2;
/// The folder with peers where none is named.
const PEERS: &str = "bench/peers";

pub(crate) fn bench(args: &BenchArgs) -> Result<ExitCode> {
    match &args.command {
        Some(BenchCommand::Compare(args)) => crate::compare::compare(args),
        Some(BenchCommand::Report(args)) => crate::report::report(args),
        Some(BenchCommand::Calibrate(args)) => crate::calibrate::calibrate(args),
        Some(BenchCommand::Saturation(args)) => crate::saturation::saturation(args),
        None => run(&args.measure),
    }
}

fn run(args: &MeasureArgs) -> Result<ExitCode> {
    let Some(directory) = &args.directory else { bail!("no folder with kernel descriptors") };
    let kernels = kernels(directory, args.filter.as_deref())?;
    let base_kernels = match &args.base_kernels {
        Some(directory) => self::kernels(directory, args.filter.as_deref())?,
        None => kernels.clone(),
    };
    let programs = programs(args)?;
    let engines = engines(args, &programs, &kernels)?;
    check_natives(&kernels, &engines)?;
    for path in [&args.json, &args.history].into_iter().flatten() {
        output::check_writable(path)?;
    }
    let clock = machine::Clock::now();
    let mut machine = machine::machine(programs.cpu);
    let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let amount = amount(&args.amount);

    let mut measured = Vec::new();
    let bar = output::progress(kernels.len() as u64 * u64::from(amount.processes), "measuring");
    for kernel in &kernels {
        bar.set_message(kernel.name.clone());
        let base = base_kernels.iter().find(|base| base.name == kernel.name);
        let runs: Vec<Run<'_>> = engines
            .iter()
            .map(|engine| {
                let kernel = if engine.entrant.base { base } else { Some(kernel) };
                Run { engine, kernel }
            })
            .collect();
        let mut one = measure(&kernel.name, &runs, args.size, amount, || bar.inc(1));
        if args.json.is_some() {
            one.result.lane_ops = ops::lane_ops(kernel, args.size);
        }
        measured.push(one);
    }
    bar.finish_and_clear();

    let stolen = clock.and_then(machine::Clock::stolen_since).filter(|share| *share > 0.005);
    machine.notes.extend(stolen.map(|share| {
        format!("the hypervisor gave {:.1} % of the time to others during the run", share * 100.0)
    }));
    machine.peaks = args.json.is_some().then(peaks::peaks);
    let counted = |one: &Measured| one.result.engines.values().any(|of| of.instructions.is_some());
    if !measured.iter().any(counted) {
        machine.notes.push("the system offers no counter of instructions".to_owned());
    }
    let infos = infos(&engines, &measured);
    let warnings: Vec<String> = measured.iter().flat_map(|one| one.warnings.clone()).collect();
    let kernel_failed = measured.iter().any(|one| one.kernel_failed);
    let kernels: Vec<KernelResult> = measured.into_iter().map(|one| one.result).collect();
    let results = Results {
        schema: SCHEMA.to_owned(),
        created,
        machine,
        versions: versions(),
        settings: Settings {
            processes: amount.processes,
            rounds: amount.rounds,
            size: args.size,
            effort: args.code.effort,
            cpu: args.code.cpu.clone().unwrap_or_else(|| "native".to_owned()),
            directory: directory.clone(),
            base_directory: args.base_kernels.clone(),
        },
        geomean: geomeans(&engines, &kernels),
        engines: infos,
        kernels,
    };
    print(&results)?;
    warnings.iter().for_each(output::warn);
    if let Some(path) = &args.json {
        output::write_file(path, &serde_json::to_vec(&results)?)?;
    }
    if let Some(path) = &args.history {
        history::append(path, &HistoryEntry::of(&results, &args.label))?;
    }
    verdict(&results, &engines, kernel_failed)
}

pub(crate) fn amount(args: &AmountArgs) -> Amount {
    Amount { processes: args.processes, rounds: args.rounds, compilations: COMPILATIONS }
}

fn programs(args: &MeasureArgs) -> Result<Programs> {
    let own = own_programs(code(&args.code), args.amount.pin)?;
    let peers = args.peers.clone().or_else(|| {
        let here = PathBuf::from(PEERS);
        here.is_dir().then_some(here)
    });
    let base_egraft = args.base_egraft.clone().unwrap_or_else(|| own.egraft.clone());
    Ok(Programs { base_egraft, peers, ..own })
}

/// This program with these options of `egraft engine`, and no peers.
pub(crate) fn own_programs(code: Vec<OsString>, pin: Option<Pin>) -> Result<Programs> {
    let egraft =
        std::env::current_exe().context("cannot tell where this program is, to start engines")?;
    let cpu = match pin {
        Some(Pin::Nowhere) => None,
        Some(Pin::To(cpu)) => Some(cpu),
        None => machine::quiet_cpu(),
    };
    Ok(Programs { base_egraft: egraft.clone(), egraft, code, peers: None, cpu })
}

/// The options of `egraft engine` that choose code.
pub(crate) fn code(args: &CodeArgs) -> Vec<OsString> {
    let mut code: Vec<OsString> = vec![
        format!("--effort={}", args.effort).into(),
        format!("--backend={}", args.backend).into(),
        format!("--matcher={}", args.matcher).into(),
    ];
    code.extend(args.cpu.as_ref().map(|cpu| format!("--cpu={cpu}").into()));
    if let Some(directory) = &args.cache_dir {
        code.extend(["--cache-dir".into(), directory.into()]);
    }
    code
}

/// The engines asked for, with those of the state before and without `all`.
fn engines(args: &MeasureArgs, programs: &Programs, kernels: &[Kernel]) -> Result<Vec<Startable>> {
    let mut entrants: Vec<Entrant> = Vec::new();
    let mut all = false;
    for name in &args.engines {
        match name.as_str() {
            "all" => {
                all = true;
                entrants.extend([Engine::Stock, Engine::EGRAFT].map(here));
            }
            name => {
                let entrant =
                    name.parse().map_err(|text| anyhow::anyhow!("--engines: {name:?}: {text}"))?;
                if !all && entrants.contains(&entrant) {
                    bail!("--engines names {name} twice");
                }
                entrants.push(entrant);
            }
        }
    }
    if args.base_kernels.is_some() || args.base_egraft.is_some() {
        let now = entrants.clone();
        let has_base = |engine: &Engine| match engine {
            Engine::Egraft(_) | Engine::EgraftWith(_) => true,
            Engine::Stock => args.base_kernels.is_some(),
            _ => false,
        };
        let bases = now.into_iter().filter(|entrant| has_base(&entrant.engine));
        entrants.extend(bases.map(|entrant| Entrant { base: true, ..entrant }));
    }
    let mut seen: Vec<Entrant> = Vec::new();
    entrants.retain(|entrant| {
        let new = !seen.contains(entrant);
        seen.push(entrant.clone());
        new
    });
    let mut found = Vec::new();
    for entrant in &entrants {
        found.push(programs.find(entrant)?);
    }
    if all {
        found.extend(others(programs, kernels, &found));
    }
    match found.is_empty() {
        true => bail!("--engines names none"),
        false => Ok(found),
    }
}

fn here(engine: Engine) -> Entrant {
    Entrant { engine, base: false }
}

/// The natives and peers that run the first kernel; of the others, standard error says why not.
fn others(programs: &Programs, kernels: &[Kernel], known: &[Startable]) -> Vec<Startable> {
    let Some(first) = kernels.first() else { return Vec::new() };
    let natives = first.native.keys().map(|target| Engine::Native(target.clone()));
    let peers = programs.peers.as_deref().map(engine::peers).unwrap_or_default();
    let mut found = Vec::new();
    for entrant in natives.chain(peers.into_iter().map(Engine::Peer)).map(here) {
        if known.iter().any(|engine| engine.entrant == entrant) {
            continue;
        }
        let engine = match programs.find(&entrant) {
            Ok(engine) => engine,
            Err(error) => {
                output::warn(format_args!("{entrant} is left out: {error}"));
                continue;
            }
        };
        let amount = Amount { processes: 1, rounds: 0, compilations: 1 };
        let run = Run { engine: &engine, kernel: Some(first) };
        let tried = measure(&first.name, &[run], 0, amount, || {});
        match tried.result.engines.into_values().find_map(|result| result.failure) {
            Some(why) => {
                let how = engine.peer.map(|peer| format!(" ({})", peer.setup)).unwrap_or_default();
                output::warn(format_args!("{entrant} is left out: {why}{how}"));
            }
            None => found.push(engine),
        }
    }
    found
}

/// The descriptors of a folder, checked before anything is measured.
pub(crate) fn kernels(directory: &Path, filter: Option<&str>) -> Result<Vec<Kernel>> {
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
fn check_natives(kernels: &[Kernel], engines: &[Startable]) -> Result<()> {
    for engine in engines.iter().filter(|engine| engine.is_native()) {
        let built = |kernel: &&Kernel| engine.module(kernel).is_some_and(Path::exists);
        let missing: Vec<&str> =
            kernels.iter().filter(|kernel| !built(kernel)).map(|kernel| &*kernel.name).collect();
        if let [first, ..] = missing[..] {
            let (count, engine) = (missing.len(), &engine.entrant);
            bail!(
                "{engine}: {count} kernels have no such build, {first} the first; \
                 bench/kernels/build --native makes those of the bundled kernels"
            );
        }
    }
    Ok(())
}

/// What the engines say of themselves.
fn infos(engines: &[Startable], measured: &[Measured]) -> Vec<EngineInfo> {
    let said = |at: usize| measured.iter().find_map(|one| one.hellos.get(at)?.clone());
    engines
        .iter()
        .enumerate()
        .map(|(at, engine)| {
            let unheard = || {
                let about = engine.peer.as_ref().map(|peer| peer.about.clone());
                (about.unwrap_or_default(), String::new())
            };
            let (about, settings) = said(at).unwrap_or_else(unheard);
            EngineInfo { name: engine.entrant.to_string(), about, settings }
        })
        .collect()
}

fn versions() -> BTreeMap<String, String> {
    [
        ("egraft", env!("CARGO_PKG_VERSION")),
        ("wasmtime", WASMTIME_VERSION),
        ("cranelift", cranelift_codegen::VERSION),
    ]
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .into()
}

fn geomeans(engines: &[Startable], kernels: &[KernelResult]) -> BTreeMap<String, Geomean> {
    let Some((base, others)) = engines.split_first() else { return BTreeMap::new() };
    let base = base.entrant.to_string();
    let mut geomeans = BTreeMap::new();
    for engine in others {
        let name = engine.entrant.to_string();
        let pairs = || {
            kernels
                .iter()
                .filter_map(|kernel| Some((kernel.engines.get(&base)?, kernel.engines.get(&name)?)))
        };
        let speeds: Vec<Estimate> = pairs().filter_map(|(_, engine)| engine.speed).collect();
        let compile: Vec<f64> = pairs()
            .filter_map(|(base, engine)| Some(engine.compile_min_ns()? / base.compile_min_ns()?))
            .collect();
        let code: Vec<f64> = pairs()
            .filter_map(|(base, engine)| Some(engine.code_bytes? as f64 / base.code_bytes? as f64))
            .collect();
        if let Some(speed) = geomean_of(&speeds) {
            let (compile, code) = (geomean(&compile), geomean(&code));
            geomeans.insert(name, Geomean { kernels: speeds.len(), speed, compile, code });
        }
    }
    geomeans
}

/// The table of kernels, and one of engines.
fn print(results: &Results) -> Result<()> {
    let Some((base, others)) = results.engines.split_first() else { return Ok(()) };
    let mut headings = vec!["kernel".to_owned(), format!(">{} us", base.name)];
    for engine in others {
        headings.extend([format!(">{}", engine.name), String::new()]);
    }
    let mut table = Table::new(&headings.iter().map(String::as_str).collect::<Vec<_>>());
    for kernel in &results.kernels {
        let time = kernel.engines.get(&base.name).and_then(|base| base.time_ns);
        let mut cells = vec![kernel.name.clone()];
        cells.push(time.map_or("-".to_owned(), |time| format!("{:.1}", time.value / 1e3)));
        for engine in others {
            let speed = kernel.engines.get(&engine.name).and_then(|result| result.speed);
            cells.push(speed.map_or("-".to_owned(), |speed| format!("{:.3}", speed.value)));
            cells.push(speed.map(margin).unwrap_or_default());
        }
        table.row(cells);
    }
    line(table)?;
    if others.is_empty() {
        return Ok(());
    }
    line(format_args!("\nspeed over {}, with half the width of the 95 % interval\n", base.name))?;
    let mut table =
        Table::new(&["engine", ">speed", "", ">compile", ">code", ">kernels", ">lowest", "kernel"]);
    for engine in others {
        let Some(mean) = results.geomean.get(&engine.name) else { continue };
        let lowest = results
            .kernels
            .iter()
            .filter_map(|kernel| Some((kernel.engines.get(&engine.name)?.speed?.value, kernel)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let times =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}x"));
        table.row(vec![
            engine.name.clone(),
            format!("{:.3}", mean.speed.value),
            margin(mean.speed),
            times(mean.compile),
            times(mean.code),
            mean.kernels.to_string(),
            lowest.map(|(speed, _)| format!("{speed:.3}")).unwrap_or_default(),
            lowest.map(|(_, kernel)| kernel.name.clone()).unwrap_or_default(),
        ]);
    }
    line(table)?;
    line("geometric means over the kernels that both engines ran; compile: the shortest of each")
}

/// Half the width of an interval, in percent.
fn margin(speed: Estimate) -> String {
    format!("±{:.1}%", (speed.high / speed.low).ln() / 2.0 * 100.0)
}

/// What failed, with an exit code; what is wrong with peers is a warning only.
fn verdict(results: &Results, engines: &[Startable], kernel_failed: bool) -> Result<ExitCode> {
    let mut failures = Vec::new();
    let mut differ = false;
    for kernel in &results.kernels {
        for engine in engines {
            let name = engine.entrant.to_string();
            let Some(why) = kernel.engines.get(&name).and_then(|result| result.failure.as_ref())
            else {
                continue;
            };
            let text = format!("{}: {name}: {why}", kernel.name);
            match engine.peer.is_some() && kernel.difference.is_none() {
                true => output::warn(text),
                false => failures.push(text),
            }
        }
        differ |= kernel.difference.is_some();
    }
    let code = match (differ, kernel_failed) {
        (true, _) => EXIT_DIFFERENT,
        (false, true) => EXIT_TRAP,
        (false, false) => EXIT_ERROR,
    };
    match failures.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Coded { code, text: failures.join("\n       ") }.into()),
    }
}
