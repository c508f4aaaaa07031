//! Fuzzes without libFuzzer: random modules on all cores for a while, or until something differs.
//!
//! `cargo run --release -p egraft-testkit --example soak -- --minutes 60 --kind halide --seed 1`

use clap::Parser;
use egraft_testkit::fuzz::{bytes_of, check, minimise_and_save};
use egraft_testkit::generate::Kind;
use egraft_testkit::oracle::{Oracle, Verdict};
use egraft_testkit::tally::Tally;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

egraft_testkit::tap_writes!();

/// Compares Egraft with stock Wasmtime on random modules.
#[derive(Parser)]
struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Where to start; the same seed makes the same modules.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of the first case.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Stop after so many cases.
    #[arg(long)]
    cases: Option<u64>,
    /// halide, loops or smith; by default all in turn.
    #[arg(long)]
    kind: Option<Kind>,
    /// Threads; all cores by default.
    #[arg(long)]
    threads: Option<usize>,
    /// Highest effort; cases of higher ones run with this.
    #[arg(long, default_value_t = 3)]
    max_effort: u8,
    /// Who makes Egraft's code.
    #[arg(long, default_value_t)]
    backend: egraft::Backend,
    /// Failures after which to stop; each is saved.
    #[arg(long, default_value_t = 1)]
    failures: u64,
    /// Only this case, saved before as `.bytes`; needs --kind.
    #[arg(long, requires = "kind")]
    replay: Option<PathBuf>,
    /// Runs that one failure may take to be made smaller.
    #[arg(long, default_value_t = 2000)]
    tries: usize,
}

impl Arguments {
    fn oracle(&self) -> Oracle {
        Oracle::with_max_effort(self.max_effort).backend(self.backend)
    }
}

struct Soak {
    arguments: Arguments,
    start: Instant,
    next: AtomicU64,
    stop: AtomicBool,
    tallies: Mutex<[Tally; Kind::ALL.len()]>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let (Some(path), Some(kind)) = (&arguments.replay, arguments.kind) {
        return replay(path, kind, &mut arguments.oracle());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores);
    let soak = Soak {
        next: AtomicU64::new(arguments.first),
        arguments,
        start: Instant::now(),
        stop: AtomicBool::new(false),
        tallies: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| soak.work());
        }
        scope.spawn(|| soak.watch());
    });
    soak.report();
    let tallies = soak.tallies.lock().expect("no worker panics while it holds the lock");
    let mut total = Tally::default();
    tallies.iter().for_each(|tally| total.merge(tally));
    if let Some(idle) = total.idle() {
        eprintln!("worthless run: {idle}");
        return ExitCode::FAILURE;
    }
    if total.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn replay(path: &Path, kind: Kind, oracle: &mut Oracle) -> ExitCode {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    };
    match check(oracle, kind, &bytes) {
        Verdict::Failed(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        verdict => {
            println!("{verdict:?}");
            ExitCode::SUCCESS
        }
    }
}

impl Soak {
    fn work(&self) {
        let mut oracle = self.arguments.oracle();
        while !self.stop.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if self.arguments.cases.is_some_and(|cases| index >= self.arguments.first + cases) {
                self.stop.store(true, Ordering::Relaxed);
                return;
            }
            let kind = self.arguments.kind.unwrap_or(Kind::ALL[index as usize % Kind::ALL.len()]);
            let bytes = bytes_of(kind, self.arguments.seed, index);
            let verdict = check(&mut oracle, kind, &bytes);
            let failed = {
                let mut tallies = self.tallies.lock().expect("no worker panics in here");
                tallies[kind as usize].add(&verdict);
                tallies.iter().map(|tally| tally.failed).sum::<u64>()
            };
            if let Verdict::Failed(failure) = verdict {
                if failed >= self.arguments.failures {
                    self.stop.store(true, Ordering::Relaxed);
                }
                println!("case {index} of {kind}: {failure}");
                let name = format!("{:x}-{index}", self.arguments.seed);
                let tries = self.arguments.tries;
                match minimise_and_save(&mut oracle, kind, &name, &bytes, tries) {
                    Ok(path) => println!("case {index} of {kind}: saved as {}.*", path.display()),
                    Err(error) => eprintln!("case {index} of {kind}: not saved: {error}"),
                }
            }
        }
    }

    /// Reports every ten seconds and ends the run in time.
    fn watch(&self) {
        let end = Duration::from_secs_f64(self.arguments.minutes * 60.0);
        let mut next_report = Duration::from_secs(10);
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(200));
            let elapsed = self.start.elapsed();
            if elapsed >= next_report {
                self.report();
                next_report = elapsed + Duration::from_secs(10);
            }
            if elapsed >= end {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }

    fn report(&self) {
        let tallies = self.tallies.lock().expect("no worker panics in here");
        for kind in Kind::ALL {
            if tallies[kind as usize].cases() > 0 {
                let seconds = self.start.elapsed().as_secs();
                println!("{seconds:>6} s {kind}: {}", tallies[kind as usize]);
            }
        }
    }
}
