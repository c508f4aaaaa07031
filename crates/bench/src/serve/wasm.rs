//! Wasmtime as a host, with its own compiler or with Egraft.

use super::{Host, nothing_loaded};
use crate::protocol::{Functions, Loaded};
use egraft::{ConfigExt, Options, Report};
use egraft_kernels::{MAX_WASM_BYTES, read_limited};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, Func, Instance, Memory, Module, Store, TypedFunc, Val, ValType};

/// An engine of Wasmtime's.
pub struct WasmHost {
    config: Config,
    /// Egraft's options; `None` for Wasmtime's own compiler.
    egraft: Option<Options>,
    about: (String, String),
    delay: f64,
    running: Option<Running>,
}

/// A module with what it runs in.
struct Running {
    store: Store<()>,
    instance: Instance,
    memory: Option<Memory>,
    /// The function called last: looking it up is not part of every call.
    last: Option<(String, Callable)>,
}

#[derive(Clone)]
enum Callable {
    /// As `malloc` and kernels are.
    Typed(TypedFunc<u32, u32>),
    Other(Func),
}

impl WasmHost {
    /// Wasmtime as `config` has it, with Egraft if there are options for it. `about` is the engine
    /// with its version, and its settings.
    pub fn new(config: Config, egraft: Option<Options>, about: (String, String)) -> WasmHost {
        WasmHost { config, egraft, about, delay: 0.0, running: None }
    }

    /// Has each call last longer by this part of its time: a regression of known size, to judge
    /// benchmarks by.
    pub fn delay(self, part: f64) -> WasmHost {
        WasmHost { delay: part, ..self }
    }

    /// Compiles once; the time is of everything between wasm and a module that can be instantiated.
    fn compile(&self, wasm: &[u8]) -> Result<(Duration, Module, Option<Report>), String> {
        let mut config = self.config.clone();
        let handle = match &self.egraft {
            Some(options) => Some(config.egraft(options.clone()).map_err(|error| text(&error))?),
            None => None,
        };
        let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
        let start = Instant::now();
        let (module, report) = match handle {
            Some(handle) => {
                let (module, report) =
                    handle.module(&engine, wasm).map_err(|error| text(&error))?;
                (module, Some(report))
            }
            None => (Module::new(&engine, wasm).map_err(|error| format!("{error:#}"))?, None),
        };
        Ok((start.elapsed(), module, report))
    }

    /// What is left of the fuel, if the configuration has it consumed.
    pub fn fuel(&mut self) -> Option<u64> {
        self.running.as_ref()?.store.get_fuel().ok()
    }

    fn running(&mut self) -> Result<&mut Running, String> {
        self.running.as_mut().ok_or_else(nothing_loaded)
    }
}

/// An error with its causes.
fn text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Host for WasmHost {
    fn about(&self) -> (String, String) {
        self.about.clone()
    }

    fn load(&mut self, path: &Path, times: u32) -> Result<Loaded, String> {
        self.running = None;
        let wasm =
            read_limited(path, "a wasm module", MAX_WASM_BYTES).map_err(|error| text(&error))?;
        let mut compile_ns = Vec::new();
        let mut compiled = None;
        for _ in 0..times {
            // The module before goes first: its memory is not to be counted twice.
            drop(compiled.take());
            let (time, module, report) = self.compile(&wasm)?;
            compile_ns.push(time.as_nanos() as f64);
            compiled = Some((module, report));
        }
        let Some((module, report)) = compiled else { return Err(nothing_loaded()) };
        let mut store = Store::new(module.engine(), ());
        // Fails where none is consumed, and is not needed there.
        let _ = store.set_fuel(u64::MAX);
        let instance =
            Instance::new(&mut store, &module, &[]).map_err(|error| format!("{error:#}"))?;
        let memory = instance.get_memory(&mut store, "memory");
        self.running = Some(Running { store, instance, memory, last: None });
        Ok(Loaded {
            compile_ns,
            code_bytes: Some(module.functions().map(|function| function.len as u64).sum()),
            pointer_bytes: 4,
            compiled: None,
            functions: report.as_ref().map(functions),
            warnings: report.as_ref().map(Report::warnings).unwrap_or_default(),
        })
    }

    fn call(&mut self, function: &str, arguments: &[u64]) -> Result<(u64, Duration), String> {
        let delay = self.delay;
        let running = self.running()?;
        let callable = running.find(function)?;
        let trapped = |error: wasmtime::Error| format!("{error:#}");
        let store = &mut running.store;
        match (callable, arguments) {
            (Callable::Typed(typed), &[argument]) => {
                let start = Instant::now();
                let result = typed.call(&mut *store, argument as u32);
                let mut elapsed = start.elapsed();
                if delay > 0.0 {
                    let until = elapsed.mul_f64(1.0 + delay);
                    while elapsed < until {
                        std::hint::spin_loop();
                        elapsed = start.elapsed();
                    }
                }
                Ok((result.map_err(trapped)?.into(), elapsed))
            }
            (Callable::Typed(typed), _) => call(store, typed.func(), arguments),
            (Callable::Other(func), _) => call(store, &func, arguments),
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        let (data, range) = self.running()?.bytes(address, bytes.len() as u64)?;
        data[range].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>, String> {
        let (data, range) = self.running()?.bytes(address, bytes)?;
        Ok(data[range].to_vec())
    }
}

impl Running {
    fn find(&mut self, name: &str) -> Result<Callable, String> {
        if let Some((last, callable)) = &self.last
            && last == name
        {
            return Ok(callable.clone());
        }
        let func = self
            .instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| format!("no function `{name}` is exported"))?;
        let callable = match func.typed::<u32, u32>(&self.store) {
            Ok(typed) => Callable::Typed(typed),
            Err(_) => Callable::Other(func),
        };
        self.last = Some((name.to_owned(), callable.clone()));
        Ok(callable)
    }

    /// The memory, and where `len` bytes at `address` lie in it.
    fn bytes(&mut self, address: u64, len: u64) -> Result<(&mut [u8], Range<usize>), String> {
        let memory = self.memory.ok_or("no memory is exported as `memory`")?;
        let data = memory.data_mut(&mut self.store);
        let size = data.len() as u64;
        match address.checked_add(len) {
            Some(end) if end <= size => Ok((data, address as usize..end as usize)),
            _ => Err(format!("{len} bytes at {address:#x} are outside memory, which has {size}")),
        }
    }
}

/// A call of a function of any type of integers.
fn call(store: &mut Store<()>, func: &Func, arguments: &[u64]) -> Result<(u64, Duration), String> {
    let ty = func.ty(&*store);
    if ty.params().len() != arguments.len() {
        let (wanted, got) = (ty.params().len(), arguments.len());
        return Err(format!("the function takes {wanted} arguments, not {got}"));
    }
    let mut values = Vec::new();
    for (ty, &argument) in ty.params().zip(arguments) {
        values.push(match ty {
            ValType::I32 => Val::I32(argument as u32 as i32),
            ValType::I64 => Val::I64(argument as i64),
            other => return Err(format!("the function takes a value of type {other}")),
        });
    }
    let mut results: Vec<Val> =
        ty.results().map(|ty| Val::default_for_ty(&ty).unwrap_or(Val::I32(0))).collect();
    let start = Instant::now();
    func.call(store, &values, &mut results).map_err(|error| format!("{error:#}"))?;
    let elapsed = start.elapsed();
    let result = match results.first() {
        Some(Val::I32(value)) => u64::from(*value as u32),
        Some(Val::I64(value)) => *value as u64,
        _ => 0,
    };
    Ok((result, elapsed))
}

fn functions(report: &Report) -> Functions {
    let vector = || {
        report
            .functions
            .iter()
            .filter(|function| function.shape.is_some_and(|shape| shape.vector_loops > 0))
    };
    Functions {
        all: report.wasm_functions().count() as u64,
        taken: report.taken() as u64,
        vector: vector().count() as u64,
        vector_taken: vector().filter(|function| function.taken).count() as u64,
    }
}
