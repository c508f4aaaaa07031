//! Runs one module under stock Wasmtime and under Egraft and compares all that wasm can see:
//! results, traps and their places, calls to the host with memory as it was then, fuel, and after
//! every call the memories, globals and tables.
//!
//! Invariant: both sides get the same configuration, arguments, memory and host functions, all from
//! one seed. Two things are not compared but counted: what follows a stack overflow, as frames may
//! differ in size, and the place of a fault in a load that Cranelift folded on one side only.

mod host;

use crate::settings::Settings;
use egraft::{Backend, ConfigExt, Effort, Handle, Report};
use host::{Host, Side};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::fmt;
use wasmtime::{Engine, Extern, Module, Ref, Trap, Val, ValType, WasmBacktrace};

/// Calls of one module; its exports are called in turn.
const CALLS: usize = 8;
/// Pairs of engines kept. They own code, so all go when there are more.
const ENGINES: usize = 24;
/// Reasons for stock code that only a bug can bring about, by their beginnings.
const BUGS: [&str; 9] = [
    "the compiler panicked",
    "the replacement is not valid",
    "the replacement does not compile",
    "the replacement has another signature",
    "rewritten code is not valid",
    "the captured CLIF does not",
    "the code refers to what Wasmtime",
    "the code has trap code",
    "Wasmtime did not ask",
];

/// What came of one case.
#[derive(Debug)]
pub enum Verdict {
    /// Everything was equal.
    Accepted(Accepted),
    /// Nothing could be compared.
    Skipped(Skip),
    /// Something differed.
    Failed(Failure),
}

/// Counts of an accepted case.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// Wasm functions of the module.
    pub functions: u64,
    /// Those for which Egraft's code ran.
    pub replaced: u64,
    /// Calls compared.
    pub calls: u64,
    /// Calls that trapped.
    pub traps: u64,
    /// Traps of a load that one side folded into its reader, whose place it then has.
    pub folded: u64,
    /// Whether a stack overflow ended the case early.
    pub overflowed: bool,
}

/// Why a case compared nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Skip {
    /// The bytes made no module.
    NoModule,
    /// Wasmtime refused the module, with Egraft and without.
    Refused,
    /// The module did not instantiate, with Egraft and without, for the same reason.
    NotInstantiated,
    /// The module exports no function.
    NoFunction,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Skip::NoModule => "the bytes made no module",
            Skip::Refused => "refused by Wasmtime",
            Skip::NotInstantiated => "did not instantiate",
            Skip::NoFunction => "exports no function",
        })
    }
}

/// What differed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: stock has {stock}, egraft has {egraft}")]
pub struct Failure {
    /// Where: the call and what of it.
    pub place: String,
    /// What stock Wasmtime did.
    pub stock: String,
    /// What Egraft's code did.
    pub egraft: String,
}

impl Failure {
    fn new(place: impl Into<String>, stock: impl Into<String>, egraft: impl Into<String>) -> Self {
        Failure { place: place.into(), stock: stock.into(), egraft: egraft.into() }
    }
}

/// Engines for the settings seen so far.
pub struct Oracle {
    engines: HashMap<Settings, Pair>,
    max_effort: u8,
    backend: Backend,
}

impl Default for Oracle {
    fn default() -> Oracle {
        Oracle::with_max_effort(Effort::MAX_LEVEL)
    }
}

struct Pair {
    stock: Engine,
    egraft: Engine,
    handle: Handle,
}

impl Pair {
    fn new(settings: &Settings, backend: Backend) -> Pair {
        let mut config = settings.config();
        let stock = Engine::new(&config).expect("settings make valid configurations");
        let options = settings.options().backend(backend);
        let handle = config.egraft(options).expect("a plain configuration has room for Egraft");
        let egraft = Engine::new(&config).expect("settings make valid configurations");
        Pair { stock, egraft, handle }
    }
}

impl Oracle {
    /// An oracle that runs cases of higher efforts with this one.
    pub fn with_max_effort(max_effort: u8) -> Oracle {
        Oracle { engines: HashMap::new(), max_effort, backend: Backend::default() }
    }

    /// Lets this backend make Egraft's code.
    pub fn backend(mut self, backend: Backend) -> Oracle {
        self.backend = backend;
        self
    }

    /// Runs `wasm` under `settings` on both sides and compares. `seed` decides arguments and memory.
    pub fn check(&mut self, settings: &Settings, wasm: &[u8], seed: u64) -> Verdict {
        let settings = &Settings { effort: settings.effort.min(self.max_effort), ..*settings };
        if self.engines.len() >= ENGINES && !self.engines.contains_key(settings) {
            self.engines.clear();
        }
        let backend = self.backend;
        let pair = self.engines.entry(*settings).or_insert_with(|| Pair::new(settings, backend));
        compare(pair, settings, wasm, seed).unwrap_or_else(|verdict| verdict)
    }
}

fn failed(failure: Failure) -> Verdict {
    Verdict::Failed(failure)
}

fn compare(pair: &Pair, settings: &Settings, wasm: &[u8], seed: u64) -> Result<Verdict, Verdict> {
    let stock = Module::new(&pair.stock, wasm);
    let egraft = pair.handle.module(&pair.egraft, wasm);
    let (stock, (egraft, report)) = match (stock, egraft) {
        (Ok(stock), Ok(egraft)) => (stock, egraft),
        (Err(_), Err(_)) => return Err(Verdict::Skipped(Skip::Refused)),
        (stock, egraft) => {
            let text = |error: Option<String>| error.unwrap_or_else(|| "a module".to_owned());
            return Err(failed(Failure::new(
                "compilation",
                text(stock.err().map(|error| format!("{error:#}"))),
                text(egraft.err().map(|error| error.to_string())),
            )));
        }
    };
    let mut accepted = count(&report).map_err(failed)?;

    let mut sides =
        match (Side::new(&pair.stock, &stock, seed), Side::new(&pair.egraft, &egraft, seed)) {
            (Ok(stock), Ok(egraft)) => [stock, egraft],
            (Err(stock), Err(egraft)) => {
                equal("instantiation", &Ending::of(&stock), &Ending::of(&egraft))
                    .map_err(failed)?;
                return Err(Verdict::Skipped(Skip::NotInstantiated));
            }
            (stock, egraft) => {
                let text = |error: Option<wasmtime::Error>| {
                    error.map_or("an instance".to_owned(), |error| format!("{error:#}"))
                };
                let failure = Failure::new("instantiation", text(stock.err()), text(egraft.err()));
                return Err(failed(failure));
            }
        };
    same_state("instantiation", &mut sides).map_err(failed)?;

    let functions: Vec<String> = stock
        .exports()
        .filter(|export| export.ty().func().is_some())
        .map(|export| export.name().to_owned())
        .collect();
    if functions.is_empty() {
        return Err(Verdict::Skipped(Skip::NoFunction));
    }
    let mut random = SmallRng::seed_from_u64(seed);
    for at in 0..CALLS {
        let name = &functions[at % functions.len()];
        let place = format!("call {at} of {name}");
        let (ending, folded) =
            call_both(&place, name, settings, wasm, &mut sides, &mut random).map_err(failed)?;
        accepted.calls += 1;
        accepted.folded += u64::from(folded);
        match ending {
            Ending::Returned(_) => {}
            Ending::Trapped { trap: Some(Trap::StackOverflow), .. } => {
                accepted.overflowed = true;
                break;
            }
            Ending::Trapped { .. } => accepted.traps += 1,
        }
    }
    Ok(Verdict::Accepted(accepted))
}

/// Counts functions; a stock function is a failure if only a bug can be the reason.
fn count(report: &Report) -> Result<Accepted, Failure> {
    if let Some(reason) = &report.stock_module {
        return Err(Failure::new("the whole module", "its own code", reason));
    }
    let mut accepted = Accepted::default();
    for function in report.wasm_functions() {
        accepted.functions += 1;
        accepted.replaced += u64::from(function.taken);
        let reason = function.reason.as_deref().unwrap_or_default();
        if BUGS.iter().any(|bug| reason.starts_with(bug)) {
            return Err(Failure::new(&function.symbol, "its own code", reason));
        }
    }
    Ok(accepted)
}

/// How a call ended, in terms that both sides share.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ending {
    /// The bits of the results.
    Returned(Vec<(String, u128)>),
    /// What stopped it and the frames it stopped in: function index and offset in the module.
    Trapped { trap: Option<Trap>, text: String, frames: Vec<(u32, Option<usize>)> },
}

impl Ending {
    fn of(error: &wasmtime::Error) -> Ending {
        let trap = error.downcast_ref::<Trap>().copied();
        let frames = error.downcast_ref::<WasmBacktrace>().map_or_else(Vec::new, |backtrace| {
            let place = |frame: &wasmtime::FrameInfo| (frame.func_index(), frame.module_offset());
            backtrace.frames().iter().map(place).collect()
        });
        let text = match trap {
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        };
        Ending::Trapped { trap, text, frames }
    }

    /// Whether both are a fault of memory in the same frames, but for the place in the innermost one,
    /// and at least one of the two places is no access to memory. Cranelift can fold a load into the
    /// instruction that reads it, and then gives that one's place to the fault, or none if its own
    /// rewriting made that instruction. `self` is stock's; Egraft must always have a place.
    fn differs_by_folded_load(&self, other: &Ending, wasm: &[u8]) -> bool {
        let (
            Ending::Trapped { trap: this, frames: these, .. },
            Ending::Trapped { trap: that, frames: those, .. },
        ) = (self, other)
        else {
            return false;
        };
        let fault = Some(Trap::MemoryOutOfBounds);
        let ([(this_fn, here), outer @ ..], [(that_fn, Some(there)), others @ ..]) =
            (these.as_slice(), those.as_slice())
        else {
            return false;
        };
        let alike = (*this, *that, this_fn, outer) == (fault, fault, that_fn, others);
        let here_too = here.is_some_and(|here| accesses_memory(wasm, here));
        alike && !(here_too && accesses_memory(wasm, *there))
    }

    fn overflowed(&self) -> bool {
        matches!(self, Ending::Trapped { trap: Some(Trap::StackOverflow), .. })
    }
}

/// Whether the instruction at `offset` of the module loads, stores, or is bulk.
fn accesses_memory(wasm: &[u8], offset: usize) -> bool {
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let Ok(wasmparser::Payload::CodeSectionEntry(body)) = payload else { continue };
        let range = body.range();
        let range = range.start as u64..range.end as u64;
        if !range.contains(&(offset as u64)) {
            continue;
        }
        let Ok(reader) = body.get_operators_reader() else { return true };
        let found = reader
            .into_iter_with_offsets()
            .filter_map(Result::ok)
            .find(|(_, at)| *at as u64 == offset as u64);
        return found.is_none_or(|(operator, _)| {
            let text = format!("{operator:?}");
            ["Load", "Store", "Atomic", "MemoryCopy", "MemoryFill", "MemoryInit"]
                .iter()
                .any(|part| text.contains(part))
        });
    }
    true
}

fn equal<T: PartialEq + fmt::Debug>(place: &str, stock: &T, egraft: &T) -> Result<(), Failure> {
    if stock == egraft {
        return Ok(());
    }
    Err(Failure::new(place, format!("{stock:x?}"), format!("{egraft:x?}")))
}

fn call_both(
    place: &str,
    name: &str,
    settings: &Settings,
    wasm: &[u8],
    sides: &mut [Side; 2],
    random: &mut SmallRng,
) -> Result<(Ending, bool), Failure> {
    let ty = sides[0].function(name).ty(&sides[0].store);
    let arguments: Vec<Val> = ty.params().map(|ty| argument(&ty, random)).collect();
    let fuel = if random.random_ratio(1, 3) { random.random_range(0..3000) } else { 1 << 32 };
    let deadline = if random.random_ratio(1, 6) { 0 } else { random.random_range(1..40) };
    let mut endings = Vec::with_capacity(2);
    for side in sides.iter_mut() {
        if settings.fuel {
            side.store.set_fuel(fuel).expect("fuel is on");
        }
        side.store.set_epoch_deadline(deadline);
        let function = side.function(name);
        let mut results = vec![Val::I32(0); ty.results().len()];
        let ending = match function.call(&mut side.store, &arguments, &mut results) {
            Ok(()) => Ending::Returned(results.iter().map(bits).collect()),
            Err(error) => Ending::of(&error),
        };
        endings.push(ending);
    }
    let place = format!("{place} with {arguments:?}");
    if endings.iter().any(Ending::overflowed) {
        let overflow = endings.into_iter().find(Ending::overflowed);
        return Ok((overflow.expect("one of them overflowed"), false));
    }
    let folded = endings[0] != endings[1] && endings[0].differs_by_folded_load(&endings[1], wasm);
    if !folded {
        equal(&place, &endings[0], &endings[1])?;
    }
    if settings.fuel {
        let left = |side: &Side| side.store.get_fuel().expect("fuel is on");
        equal(&format!("{place}, fuel left"), &left(&sides[0]), &left(&sides[1]))?;
    }
    same_state(&place, sides)?;
    Ok((endings.swap_remove(0), folded))
}

/// An argument: pointers and counts that make sense half of the time.
fn argument(ty: &ValType, random: &mut SmallRng) -> Val {
    const NUMBERS: [i64; 12] =
        [0, 1, -1, 7, 16, 255, 256, 4096, 0x7fff, 0xffff, i32::MAX as i64, i32::MIN as i64];
    let integer = match random.random_range(0..4) {
        0 | 1 => random.random_range(0..512) * 16,
        2 => NUMBERS[random.random_range(0..NUMBERS.len())],
        _ => random.random(),
    };
    let float = match random.random_range(0..3) {
        0 => f64::from(random.random_range(-300..300)) / 4.0,
        1 => f64::from(f32::from_bits(random.random())),
        _ => f64::from_bits(random.random()),
    };
    match ty {
        ValType::I32 => Val::I32(integer as i32),
        ValType::I64 => Val::I64(integer),
        ValType::F32 => Val::F32((float as f32).to_bits()),
        ValType::F64 => Val::F64(float.to_bits()),
        ValType::V128 => Val::V128(host::edgy(random).into()),
        ValType::Ref(ty) => Val::null_ref(ty.heap_type()),
    }
}

/// The type and bits of a value; of a reference whether it is null.
fn bits(value: &Val) -> (String, u128) {
    match value {
        Val::I32(value) => ("i32".to_owned(), u128::from(*value as u32)),
        Val::I64(value) => ("i64".to_owned(), u128::from(*value as u64)),
        Val::F32(bits) => ("f32".to_owned(), u128::from(*bits)),
        Val::F64(bits) => ("f64".to_owned(), u128::from(*bits)),
        Val::V128(value) => ("v128".to_owned(), value.as_u128()),
        Val::FuncRef(reference) => ("funcref".to_owned(), u128::from(reference.is_some())),
        other => (format!("{other:?}"), 0),
    }
}

/// Compares everything exported, and what the host has seen.
fn same_state(place: &str, sides: &mut [Side; 2]) -> Result<(), Failure> {
    let [stock, egraft] = sides;
    equal(&format!("{place}, calls to the host"), stock.host(), egraft.host())?;
    for (name, this) in stock.exports() {
        let that = egraft.export(&name);
        match (this, that) {
            (Extern::Global(this), Extern::Global(that)) => {
                let values =
                    (bits(&this.get(&mut stock.store)), bits(&that.get(&mut egraft.store)));
                equal(&format!("{place}, global {name}"), &values.0, &values.1)?;
            }
            (Extern::Memory(this), Extern::Memory(that)) => {
                let (this, that) = (this.data(&stock.store), that.data(&egraft.store));
                same_bytes(&format!("{place}, memory {name}"), this, that)?;
            }
            (Extern::SharedMemory(this), Extern::SharedMemory(that)) => {
                let (this, that) = (host::snapshot(&this), host::snapshot(&that));
                same_bytes(&format!("{place}, memory {name}"), &this, &that)?;
            }
            (Extern::Table(this), Extern::Table(that)) => {
                let this = held(&this, &mut stock.store);
                let that = held(&that, &mut egraft.store);
                equal(&format!("{place}, table {name}"), &this, &that)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Which places of a table are taken.
fn held(table: &wasmtime::Table, store: &mut wasmtime::Store<Host>) -> Vec<bool> {
    (0..table.size(&*store))
        .map(|at| table.get(&mut *store, at).as_ref().is_some_and(|held: &Ref| !held.is_null()))
        .collect()
}

fn same_bytes(place: &str, stock: &[u8], egraft: &[u8]) -> Result<(), Failure> {
    equal(&format!("{place}, size"), &stock.len(), &egraft.len())?;
    if stock == egraft {
        return Ok(());
    }
    let at = stock.iter().zip(egraft).position(|(stock, egraft)| stock != egraft).unwrap_or(0);
    let from = at & !15;
    let window = |bytes: &[u8]| bytes[from..bytes.len().min(from + 16)].to_vec();
    equal(&format!("{place} from {from:#x}"), &window(stock), &window(egraft))
}
