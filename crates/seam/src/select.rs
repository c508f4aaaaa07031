//! A few functions of a module through the seam, with Wasmtime at work all the while.
//!
//! Capture, compilation and hand-back go on side by side: one thread reads the CLIF of the wanted
//! functions (see `texts`) and others compile it, while this one finds the keys (see `histories`)
//! and then lets Wasmtime compile the module as the user's `Config` says, in parallel by default.
//! Wasmtime compiles the functions that are not wanted itself, and waits for the others (see
//! `exchange`). Under a `Config` without parallel compilation it is one after the other.
//!
//! Invariant: the module differs from what stock Wasmtime makes of it in nothing but the code of
//! wanted functions, and a wanted function whose capture fails is stock.

use crate::capture::{Emitted, Prepared, prepare, prints_back, read, symbol};
use crate::compile::{Compiled, FunctionCompiler, Job, uncaptured};
use crate::error::{SeamError, panic_message, precompile};
use crate::exchange::{Exchange, Fate};
use crate::handback::HandBack;
use crate::key::CacheKey;
use crate::report::{FunctionReport, Outcome, SeamReport, StockReason};
use crate::scan::{BodySummary, Scan};
use crate::store::CodeStore;
use crate::thin::thin;
use crate::{histories, texts};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine};

/// Which functions of a module are wanted, and reports on those that are not.
pub(crate) struct Selection {
    scan: Scan,
    /// The module without names.
    hidden: Vec<u8>,
    wanted: BTreeSet<u32>,
    unwanted: Vec<FunctionReport>,
}

impl Selection {
    /// Asks `compiler` about each body of the module; `None` if the module has to be captured whole.
    pub(crate) fn new(
        (hidden, names): (Vec<u8>, HashMap<u32, String>),
        compiler: &dyn FunctionCompiler,
    ) -> Option<Selection> {
        let scan = Scan::new(&hidden, &names).filter(|scan| !scan.whole)?;
        let mut wanted = BTreeSet::new();
        let mut unwanted = Vec::new();
        for body in &scan.summaries {
            let answer = catch_unwind(AssertUnwindSafe(|| compiler.wants(body)))
                .unwrap_or_else(|payload| Err(StockReason::Panicked(panic_message(&*payload))));
            match answer {
                Ok(()) => {
                    wanted.insert(body.index);
                }
                Err(reason) => unwanted.push(stock(body, reason)),
            }
        }
        let reducible = wanted.iter().all(|index| !scan.summary(*index).needs_whole);
        let selects = !unwanted.is_empty() && reducible;
        selects.then_some(Selection { scan, hidden, wanted, unwanted })
    }

    /// Whether nothing is wanted, so that the module is stock.
    pub(crate) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// The report on a module of which nothing is wanted.
    pub(crate) fn into_report(self) -> SeamReport {
        SeamReport { functions: self.unwanted, ..SeamReport::default() }
    }

    /// Compiles `wasm`, the module itself. What was taken is offered to `taken` as well.
    pub(crate) fn precompile(
        mut self,
        config: &Config,
        wasm: &[u8],
        compiler: &dyn FunctionCompiler,
        store: Option<&CodeStore>,
        taken: &HandBack,
    ) -> Result<(Vec<u8>, SeamReport), SeamError> {
        let prepared = match prepare(config) {
            Ok(prepared) => prepared,
            Err(error) => {
                let stock_module = Some(error.into_reason());
                return precompile_stock(
                    config,
                    wasm,
                    SeamReport { stock_module, ..SeamReport::default() },
                );
            }
        };
        let run = Run {
            selection: &self,
            prepared: &prepared,
            job: Job::new(compiler, store, &*prepared.isa),
            exchange: Arc::default(),
        };
        let mut done = if prepared.parallel {
            run.side_by_side(config, wasm)
        } else {
            run.one_by_one(config, wasm)
        };
        let cwasm = done.cwasm?;

        let mut report = done.report;
        report.store_error = run.job.keep(&mut done.compiled);
        for one in done.compiled {
            let mut function = one.report;
            let index = function.index.unwrap_or_default();
            report.compile_micros += function.micros;
            if function.outcome == Outcome::Replaced {
                let fate = run.exchange.fate(index);
                if let (Some(Fate::Taken), Some((_, code))) = (fate, one.answer) {
                    let code: Arc<[u8]> = code.into();
                    for key in done.keys.get(&index).into_iter().flatten() {
                        taken.offer(*key, code.clone());
                    }
                } else {
                    function.was_not_taken(fate == Some(Fate::Contested));
                }
            }
            report.functions.push(function);
        }
        if let Some(error) = done.error {
            let seen: BTreeSet<_> = report.functions.iter().map(|one| one.index).collect();
            for index in self.wanted.iter().filter(|index| !seen.contains(&Some(**index))) {
                let reason = StockReason::CaptureFailed(error.to_string());
                report.functions.push(stock(self.scan.summary(*index), reason));
            }
        }
        report.functions.append(&mut self.unwanted);
        report.functions.sort_by_key(|function| function.index);
        Ok((cwasm, report))
    }
}

/// Leaves all of `wasm` to Wasmtime; its time goes into `report`.
pub(crate) fn precompile_stock(
    config: &Config,
    wasm: &[u8],
    report: SeamReport,
) -> Result<(Vec<u8>, SeamReport), SeamError> {
    let start = Instant::now();
    let cwasm = precompile(&Engine::new(config)?, wasm)?;
    let handback_micros = start.elapsed().as_micros() as u64;
    Ok((cwasm, SeamReport { handback_micros, ..report }))
}

/// The report on a function that nobody works on.
fn stock(body: &BodySummary, reason: StockReason) -> FunctionReport {
    FunctionReport {
        name: body.name.clone(),
        symbol: symbol(body.index),
        index: Some(body.index),
        outcome: Outcome::Stock(reason),
        ..FunctionReport::default()
    }
}

/// Bytes of CLIF from where on a thread of its own is worth its while.
const LONG_TEXT: usize = 100_000;

/// Bytes of CLIF from where on stock code is compiled before it is known whether it is needed.
const LONGER_TEXT: usize = 300_000;

type Keys = BTreeMap<u32, Vec<CacheKey>>;

/// One module on its way.
struct Run<'a> {
    selection: &'a Selection,
    prepared: &'a Prepared,
    job: Job<'a>,
    exchange: Arc<Exchange>,
}

/// What came of it.
struct Done {
    cwasm: Result<Vec<u8>, SeamError>,
    compiled: Vec<Compiled>,
    keys: Keys,
    /// The times of capture and hand-back.
    report: SeamReport,
    /// Why functions were not captured.
    error: Option<SeamError>,
}

impl Run<'_> {
    fn side_by_side(&self, config: &Config, wasm: &[u8]) -> Done {
        let (send, receive) = channel();
        let receive = Mutex::new(receive);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let texts = scope.spawn(|| {
                let start = Instant::now();
                let emitted = self.texts(send);
                (emitted, start.elapsed())
            });
            let workers: Vec<_> = (0..threads.min(self.selection.wanted.len()))
                .map(|_| scope.spawn(|| self.work(&receive)))
                .collect();
            // Nobody waits for functions whose keys are not known.
            let keys = self.keys();
            if let Ok(keys) = &keys {
                self.exchange.expect(keys);
            }
            let start = Instant::now();
            let cwasm = self.hand_back(config, wasm);
            let mut report = SeamReport {
                handback_micros: start.elapsed().as_micros() as u64,
                ..SeamReport::default()
            };
            let (emitted, elapsed) = texts.join().unwrap_or_else(|payload| {
                let message = panic_message(&*payload);
                (Err(SeamError::Panicked { message }), Duration::ZERO)
            });
            report.capture_micros = elapsed.as_micros() as u64;
            let compiled = workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default());
            let compiled = compiled.collect();
            self.done(cwasm, compiled, keys, emitted, report)
        })
    }

    fn one_by_one(&self, config: &Config, wasm: &[u8]) -> Done {
        let mut report = SeamReport::default();
        let (send, receive) = channel();
        let start = Instant::now();
        let emitted = self.texts(send);
        let keys = self.keys();
        report.capture_micros = start.elapsed().as_micros() as u64;
        let compiled = self.work(&Mutex::new(receive));
        if let Ok(keys) = &keys {
            self.exchange.expect(keys);
        }
        let start = Instant::now();
        let cwasm = self.hand_back(config, wasm);
        report.handback_micros = start.elapsed().as_micros() as u64;
        self.done(cwasm, compiled, keys, emitted, report)
    }

    fn done(
        &self,
        cwasm: Result<Vec<u8>, SeamError>,
        compiled: Vec<Compiled>,
        keys: Result<Keys, SeamError>,
        emitted: Result<(), SeamError>,
        report: SeamReport,
    ) -> Done {
        let (keys, unknown) = match keys {
            Ok(keys) => (keys, None),
            Err(error) => (Keys::new(), Some(error)),
        };
        Done { cwasm, compiled, keys, report, error: emitted.err().or(unknown) }
    }

    fn texts(&self, send: Sender<Emitted>) -> Result<(), SeamError> {
        let Selection { scan, hidden, wanted, .. } = self.selection;
        /// Whatever happens, nobody waits for a text that does not come.
        struct Guard<'a>(&'a Exchange, bool);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if !self.1 {
                    self.0.close();
                }
            }
        }
        let mut guard = Guard(&self.exchange, false);
        texts::emit(self.prepared, hidden, scan, wanted, send)?;
        guard.1 = true;
        Ok(())
    }

    fn keys(&self) -> Result<Keys, SeamError> {
        let Selection { scan, hidden, wanted, .. } = self.selection;
        histories::keys(self.prepared, hidden, scan, wanted)
    }

    /// Compiles functions as they come.
    fn work(&self, receive: &Mutex<Receiver<Emitted>>) -> Vec<Compiled> {
        let next = || receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let mut all = Vec::new();
        while let Ok(emitted) = next() {
            let index = emitted.index().unwrap_or_default();
            let key = emitted.key;
            let compiled = self.compile(index, emitted);
            let code = compiled.answer.as_ref().map(|(_, code)| Arc::from(code.as_slice()));
            self.exchange.decide(index, key, code);
            all.push(compiled);
        }
        all
    }

    /// Compiles a function, and meanwhile checks that its text was read without loss.
    fn compile(&self, index: u32, emitted: Emitted) -> Compiled {
        let text = thin(&emitted.clif).into_owned();
        let parsed = read(&text);
        let name = self.selection.scan.summary(index).name.clone();
        let function = match emitted.into_function(index, name, parsed) {
            Ok(function) => function,
            Err(function) => return uncaptured(function),
        };
        let whole = || prints_back(&function.func, &text);
        let length = if self.prepared.parallel { text.len() } else { 0 };
        let (whole, compiled) = if length > LONG_TEXT {
            std::thread::scope(|scope| {
                // Stock code is what most long functions end with; they would wait for it.
                let early = length > LONGER_TEXT && self.job.is_stock_likely();
                let stock = early.then(|| scope.spawn(|| self.job.stock(&function.func)));
                let whole = scope.spawn(whole);
                let compiled = self.job.function_beside(&function, || match stock {
                    Some(stock) => stock.join().unwrap_or_else(|payload| {
                        Err(StockReason::Panicked(panic_message(&*payload)))
                    }),
                    None => self.job.stock(&function.func),
                });
                (whole.join().unwrap_or(false), compiled)
            })
        } else {
            (whole(), self.job.function(&function))
        };
        if whole { compiled } else { uncaptured(function.lost(StockReason::TextMismatch)) }
    }

    fn hand_back(&self, config: &Config, wasm: &[u8]) -> Result<Vec<u8>, SeamError> {
        let mut config = config.clone();
        config.enable_incremental_compilation(self.exchange.clone())?;
        precompile(&Engine::new(&config)?, wasm)
    }
}
