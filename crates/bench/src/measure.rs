//! Measures a kernel under several engines, interleaved.
//!
//! Each repetition starts a process of every engine, and they take turns: one sample each in a round, so
//! that a disturbance hits them all. Outputs are compared before anything is timed.

use crate::count::Instructions;
use crate::engine::Startable;
use crate::peer::{Peer, PeerError};
use crate::protocol::{Functions, Loaded};
use crate::results::{EngineResult, KernelResult};
use crate::stats;
use egraft_kernels::{
    Argument, Kernel, Layout, MAX_WASM_BYTES, NoSuchSize, Output, Role, Space, first_difference,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A sample repeats the call until the slowest engine took this long, so that clocks do not matter.
const SAMPLE_NS: f64 = 4e6;
/// Limit for calls of a sample.
const MAX_CALLS: f64 = 1000.0;
/// Halide's messages are shorter.
const MESSAGE_BYTES: u64 = 512;

/// How much to measure.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Processes of each engine.
    pub processes: u32,
    /// Samples of each process.
    pub rounds: u32,
    /// Compilations in each process.
    pub compilations: u32,
}

/// A kernel under one engine.
pub struct Run<'a> {
    /// The engine.
    pub engine: &'a Startable,
    /// The kernel as this engine has it; `None` if it does not.
    pub kernel: Option<&'a Kernel>,
}

/// What was measured, and what does not go into the result's file.
pub struct Measured {
    /// For the result.
    pub result: KernelResult,
    /// What the engines said of themselves, in the order of the runs; `None` for those that failed.
    pub hellos: Vec<Option<(String, String)>>,
    /// What became of the functions, in the order of the runs.
    pub functions: Vec<Option<Functions>>,
    /// What the user should know though nothing failed.
    pub warnings: Vec<String>,
    /// Whether an engine failed for the kernel's own trap or error.
    pub kernel_failed: bool,
}

/// What comes of the engines during a measurement, in the order of the runs.
struct Columns<'a> {
    runs: &'a [Run<'a>],
    ready: Vec<Option<Ready>>,
    /// The engine that comes first in the present processes.
    first: usize,
    columns: Vec<Column>,
    warnings: Vec<String>,
    kernel_failed: bool,
}

/// What comes of one engine.
struct Column {
    /// What it said of itself.
    hello: Option<(String, String)>,
    functions: Option<Functions>,
    result: EngineResult,
}

/// A process with the kernel in it.
struct Ready {
    peer: Peer,
    module: PathBuf,
    function: String,
    layout: Layout,
    loaded: Loaded,
}

impl Ready {
    fn new(run: &Run<'_>, size: usize, compilations: u32) -> Result<Ready, PeerError> {
        let kernel = run.kernel.ok_or_else(|| refused("has no such kernel"))?;
        let module = run
            .engine
            .module(kernel)
            .ok_or_else(|| refused(&format!("{}: names no build for it", kernel.path.display())))?;
        let size = kernel.size(size).map_err(|error: NoSuchSize| refused(&error.to_string()))?;
        let function = format!("{}_argv", kernel.func);
        let constructors = match run.engine.is_native() {
            true => false,
            false => check_module(module, &function)
                .map_err(|error| refused(&format!("{}: {error}", module.display())))?,
        };
        let in_module = |error| match error {
            PeerError::Refused(text) => PeerError::Refused(format!("{}: {text}", module.display())),
            error => error,
        };
        let mut peer = Peer::start(&run.engine.launch)?;
        let loaded = peer.load(module, compilations).map_err(in_module)?;
        if constructors {
            peer.call("__wasm_call_ctors", &[]).map_err(in_module)?;
        }
        let layout = Layout::new(&mut peer, size).map_err(in_module)?;
        layout.prepare(&mut peer).map_err(in_module)?;
        Ok(Ready { peer, module: module.to_owned(), function, layout, loaded })
    }

    /// Nanoseconds of each of `calls` calls.
    fn time(&mut self, calls: u32) -> Result<Vec<f64>, PeerError> {
        let timed = self.peer.time(&self.function, &[self.layout.arguments()], calls);
        let timed = timed.map_err(|error| self.trapped(error))?;
        match timed.result as u32 as i32 {
            0 => Ok(timed.ns),
            code => {
                let said = self.last_message();
                let (module, function) = (self.module.display(), &self.function);
                let text = format!("{module}: `{function}` returned error {code}{said}");
                Err(PeerError::Kernel(text))
            }
        }
    }

    /// Nanoseconds of each call, and the instructions of all, if they are `counted` and can be.
    fn sample(&mut self, calls: u32, counted: bool) -> Result<(Vec<f64>, Option<u64>), PeerError> {
        let counter = match counted {
            true => Instructions::of(self.peer.process()),
            false => None,
        };
        match counter {
            Some(mut counter) => {
                let (times, count) = counter.during(|| self.time(calls));
                Ok((times?, count))
            }
            None => Ok((self.time(calls)?, None)),
        }
    }

    /// The error of a kernel's call: that of a trap has Halide's last message with it.
    fn trapped(&mut self, error: PeerError) -> PeerError {
        match error {
            PeerError::Refused(text) => {
                let said = self.last_message();
                let (module, function) = (self.module.display(), &self.function);
                PeerError::Kernel(format!("{module}: `{function}` failed: {text}{said}"))
            }
            error => error,
        }
    }

    /// What Halide said last, in parentheses; empty if nothing.
    fn last_message(&mut self) -> String {
        let text = self.peer.call("last_message", &[]).ok().and_then(|address| {
            let bytes = self.peer.read(address, MESSAGE_BYTES).ok()?;
            let text: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
            Some(String::from_utf8_lossy(&text).trim().to_owned())
        });
        match text.filter(|text| !text.is_empty()) {
            Some(text) => format!(" (Halide: {text})"),
            None => String::new(),
        }
    }
}

fn refused(text: &str) -> PeerError {
    PeerError::Refused(text.to_owned())
}

/// Checks that a module is a kernel's: without imports, with the exports that are needed. Returns whether
/// it has initialisers to be called.
fn check_module(module: &Path, function: &str) -> Result<bool, String> {
    let bytes = egraft_kernels::read_limited(module, "a wasm module", MAX_WASM_BYTES)
        .map_err(|error| error.to_string())?;
    let wasm = wat::parse_bytes(&bytes).map_err(|error| error.to_string())?;
    let mut exports = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&wasm) {
        match payload.map_err(|error| error.to_string())? {
            wasmparser::Payload::ImportSection(imports) => {
                if let Some(import) = imports.into_imports().next() {
                    let import = import.map_err(|error| error.to_string())?;
                    let (module, name) = (import.module, import.name);
                    return Err(format!(
                        "imports `{module}.{name}`; a kernel module must have no imports"
                    ));
                }
            }
            wasmparser::Payload::ExportSection(section) => {
                for export in section {
                    exports.push(export.map_err(|error| error.to_string())?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    let has = |name: &str| exports.iter().any(|export| export == name);
    match ["memory", "malloc", function].into_iter().find(|name| !has(name)) {
        Some(name) => Err(format!("exports no `{name}`, which a kernel module must")),
        None => Ok(has("__wasm_call_ctors")),
    }
}

/// Measures one kernel. `tick` is called after each process of all engines.
pub fn measure(
    name: &str,
    runs: &[Run<'_>],
    size: usize,
    amount: Amount,
    mut tick: impl FnMut(),
) -> Measured {
    let mut columns = Columns::new(runs);
    let mut difference = None;
    let mut calls = None;
    for process in 0..amount.processes {
        columns.start(process as usize, size, amount.compilations);
        columns.first_calls();
        if process == 0 {
            difference = columns.compare();
        }
        let calls = *calls.get_or_insert_with(|| columns.calls_of_a_sample());
        columns.rounds(amount.rounds, calls);
        tick();
    }
    columns.finish(name, size, difference)
}

impl<'a> Columns<'a> {
    fn new(runs: &'a [Run<'a>]) -> Columns<'a> {
        let engine = |_| Column { hello: None, functions: None, result: EngineResult::default() };
        Columns {
            runs,
            ready: Vec::new(),
            first: 0,
            columns: runs.iter().map(engine).collect(),
            warnings: Vec::new(),
            kernel_failed: false,
        }
    }

    /// Starts a process of each engine, all alive at once; those that failed once are left out.
    fn start(&mut self, process: usize, size: usize, compilations: u32) {
        self.ready.clear();
        self.ready.resize_with(self.runs.len(), || None);
        self.first = process % self.runs.len().max(1);
        for at in self.order() {
            let ready = match self.columns[at].result.failure {
                Some(_) => None,
                None => self.keep(at, Ready::new(&self.runs[at], size, compilations)),
            };
            if let Some(Ready { peer, loaded, .. }) = &ready {
                let column = &mut self.columns[at];
                column.hello = Some((peer.hello.engine.clone(), peer.hello.settings.clone()));
                column.functions = loaded.functions;
                column.result.compile_ns.extend(&loaded.compile_ns);
                column.result.code_bytes = loaded.code_bytes;
                for warning in &loaded.warnings {
                    if !self.warnings.contains(warning) {
                        self.warnings.push(warning.clone());
                    }
                }
            }
            self.ready[at] = ready;
        }
    }

    /// The engines' turns: each comes first in equally many processes.
    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, count) = (self.first, self.runs.len());
        (0..count).map(move |turn| (first + turn) % count)
    }

    /// What worked; of what did not, the result says why.
    fn keep<T>(&mut self, at: usize, tried: Result<T, PeerError>) -> Option<T> {
        match tried {
            Ok(value) => Some(value),
            Err(error) => {
                self.kernel_failed |= matches!(error, PeerError::Kernel(_));
                self.columns[at].result.failure = Some(error.to_string());
                None
            }
        }
    }

    /// Asks one engine, which is over for this kernel if it fails.
    fn ask<T>(
        &mut self,
        at: usize,
        act: impl FnOnce(&mut Ready) -> Result<T, PeerError>,
    ) -> Option<T> {
        let answer = act(self.ready[at].as_mut()?);
        let kept = self.keep(at, answer);
        if kept.is_none() {
            self.ready[at] = None;
        }
        kept
    }

    /// Calls every engine's kernel once.
    fn first_calls(&mut self) {
        for at in 0..self.runs.len() {
            self.ask(at, |engine| engine.time(1));
        }
    }

    /// What every engine's kernel left in its outputs.
    fn outputs(&mut self) -> Vec<Option<Vec<Output>>> {
        let read = |engine: &mut Ready| engine.layout.outputs(&mut engine.peer);
        (0..self.runs.len()).map(|at| self.ask(at, read)).collect()
    }

    /// The first difference to the first engine's outputs; engines that differ are over. Natives may
    /// contract floating point, and are compared within the kernel's tolerance; engines with other
    /// NaNs have theirs taken for equal.
    fn compare(&mut self) -> Option<String> {
        let outputs = self.outputs();
        let base = outputs.iter().position(Option::is_some)?;
        let (first, expected) = (&self.runs[base], outputs[base].as_ref()?);
        let mut differences = Vec::new();
        for (at, outputs) in outputs.iter().enumerate().skip(base + 1) {
            let (run, Some(outputs)) = (&self.runs[at], outputs) else { continue };
            let either = |test: fn(&Startable) -> bool| test(first.engine) || test(run.engine);
            let tolerance = match (either(Startable::is_native), either(|engine| !engine.same_nans))
            {
                (true, _) => first.kernel.and_then(|kernel| kernel.tolerance),
                (false, true) => Some((0.0, 0.0)),
                (false, false) => None,
            };
            if let Some(difference) = first_difference(outputs, expected, tolerance) {
                let (engine, first) = (&run.engine.entrant, &first.engine.entrant);
                let text = format!("{engine} and {first}: {difference}");
                self.columns[at].result.failure = Some(format!("outputs differ: {text}"));
                self.ready[at] = None;
                differences.push(text);
            }
        }
        differences.into_iter().next()
    }

    /// How many calls a sample has, by the slowest engine; its calls are warm-up too.
    fn calls_of_a_sample(&mut self) -> u32 {
        let mut slowest: f64 = 1.0;
        for at in 0..self.runs.len() {
            let times = self.ask(at, |engine| engine.time(2)).unwrap_or_default();
            slowest = slowest.max(times.into_iter().min_by(f64::total_cmp).unwrap_or(0.0));
        }
        let calls = (SAMPLE_NS / slowest).clamp(1.0, MAX_CALLS) as u32;
        self.columns.iter_mut().for_each(|column| column.result.calls = calls);
        calls
    }

    /// Takes one sample of each engine in each round, always in the same order: what an engine finds in
    /// the caches is left by the same other one. Its first call is not in the sample.
    fn rounds(&mut self, rounds: u32, calls: u32) {
        let count = self.runs.len();
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); count];
        for round in 0..rounds {
            for at in self.order() {
                let Some((times, count)) =
                    self.ask(at, |engine| engine.sample(calls + 1, round == 0))
                else {
                    continue;
                };
                let result = &mut self.columns[at].result;
                let count = count.map(|count| count / u64::from(calls + 1));
                result.instructions = count.into_iter().chain(result.instructions).min();
                let times = &times[1..];
                samples[at].extend(stats::median(times));
                result.min_ns = times.iter().copied().chain(result.min_ns).min_by(f64::total_cmp);
            }
        }
        for (at, samples) in samples.into_iter().enumerate() {
            let peak = self.ready[at].as_ref().and_then(|engine| engine.peer.peak_bytes());
            let result = &mut self.columns[at].result;
            result.peak_bytes = result.peak_bytes.max(peak);
            result.samples_ns.push(samples);
        }
    }

    fn finish(mut self, name: &str, size: usize, difference: Option<String>) -> Measured {
        // Processes end before anyone waits for the result.
        self.ready.clear();
        summarize(&mut self.columns);
        let alive = self.columns.iter().filter(|column| column.result.failure.is_none()).count();
        let sized = self.runs.iter().find_map(|run| run.kernel?.size(size).ok());
        let bytes = |wanted: Role| {
            let arguments = sized.iter().flat_map(|size| &size.args);
            let buffers = arguments.filter_map(|argument| match argument {
                Argument::Buffer(buffer) if buffer.role == wanted => {
                    Some(buffer.elements() * u64::from(buffer.ty.bytes()))
                }
                _ => None,
            });
            buffers.sum()
        };
        let equal = (alive > 1 || difference.is_some()).then_some(difference.is_none());
        let mut result = KernelResult {
            name: name.to_owned(),
            argument_bytes: [bytes(Role::Input), bytes(Role::Output)],
            lane_ops: None,
            outputs_equal: equal,
            difference,
            engines: BTreeMap::new(),
        };
        let (mut hellos, mut functions) = (Vec::new(), Vec::new());
        for (run, column) in self.runs.iter().zip(self.columns) {
            hellos.push(column.hello);
            functions.push(column.functions);
            if run.kernel.is_some() {
                result.engines.insert(run.engine.entrant.to_string(), column.result);
            }
        }
        let (warnings, kernel_failed) = (self.warnings, self.kernel_failed);
        Measured { result, hellos, functions, warnings, kernel_failed }
    }
}

/// Statistics of the samples, and speeds over the first engine.
fn summarize(columns: &mut [Column]) {
    let base = columns.first().filter(|base| base.result.failure.is_none());
    let base = base.map(|base| base.result.samples_ns.clone()).unwrap_or_default();
    for Column { functions, result, .. } in columns {
        if result.failure.is_some() {
            result.samples_ns.clear();
            continue;
        }
        result.vector_functions =
            functions.map(|functions| [functions.vector, functions.vector_taken]);
        result.time_ns = stats::time(&result.samples_ns);
        let spread = stats::spread(&result.samples_ns);
        result.spread = spread.map(|spread| spread.share);
        result.outliers = spread.map_or(0, |spread| spread.outliers);
        result.speed = stats::speed(&base, &result.samples_ns);
    }
}
