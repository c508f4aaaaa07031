//! A kernel's module in a store of its own, with its arguments laid out in linear memory.
//!
//! Invariant: every access to linear memory is bounds-checked, so a hostile `malloc` is an error.

use crate::compare::Output;
use crate::descriptor::{Kernel, NoSuchSize};
use crate::layout::{Layout, Space};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wasmtime::{Extern, Memory, Module, Store, TypedFunc, Val};

/// Why a kernel could not be set up or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The descriptor has no such size.
    #[error(transparent)]
    NoSuchSize(#[from] NoSuchSize),
    /// A kernel module gets nothing from outside.
    #[error("{}: imports `{module}.{name}`; a kernel module must have no imports", wasm.display())]
    Import {
        /// The module's file.
        wasm: PathBuf,
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An export is missing or has another type.
    #[error("{}: exports no `{name}`, which must be {wanted}", wasm.display())]
    Export {
        /// The module's file.
        wasm: PathBuf,
        /// The export.
        name: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// Wasmtime could not instantiate the module.
    #[error("{}: cannot be instantiated: {error:#}", wasm.display())]
    Instantiate {
        /// The module's file.
        wasm: PathBuf,
        /// Wasmtime's error.
        error: wasmtime::Error,
    },
    /// `malloc` gave nothing, or a place outside memory.
    #[error(
        "{}: `malloc({bytes})` for {what} returned {pointer:#x}, and memory has {memory} bytes",
        wasm.display()
    )]
    Malloc {
        /// The module's file.
        wasm: PathBuf,
        /// What the memory is for.
        what: String,
        /// Bytes asked for.
        bytes: u32,
        /// The pointer returned.
        pointer: u32,
        /// Size of the memory.
        memory: usize,
    },
    /// A function of the module trapped.
    #[error("{}: `{function}` failed: {error:#}{}", wasm.display(), said(halide))]
    Trap {
        /// The module's file.
        wasm: PathBuf,
        /// The function called.
        function: String,
        /// Wasmtime's error.
        error: wasmtime::Error,
        /// Halide's last message.
        halide: Option<String>,
    },
    /// The kernel returned an error code.
    #[error("{}: `{function}` returned error {code}{}", wasm.display(), said(halide))]
    Failed {
        /// The module's file.
        wasm: PathBuf,
        /// The function called.
        function: String,
        /// Halide's error code.
        code: i32,
        /// Halide's last message.
        halide: Option<String>,
    },
}

fn said(halide: &Option<String>) -> String {
    halide.as_ref().map(|text| format!(" (Halide: {text})")).unwrap_or_default()
}

/// A kernel ready to be called.
pub struct Instance {
    wasm: Wasm,
    argv: TypedFunc<u32, i32>,
    function: String,
    layout: Layout,
}

/// The module's memory, and what allocates in it.
struct Wasm {
    path: PathBuf,
    store: Store<()>,
    memory: Memory,
    malloc: TypedFunc<u32, u32>,
    last_message: Option<TypedFunc<(), u32>>,
}

impl Instance {
    /// Instantiates `module`, compiled from the kernel's wasm, and allocates the arguments of size
    /// `size`. Inputs are filled by [`Instance::prepare`].
    ///
    /// # Errors
    /// [`InstanceError`] if the module is no kernel module or an initialiser traps.
    pub fn new(module: &Module, kernel: &Kernel, size: usize) -> Result<Instance, InstanceError> {
        let path = kernel.wasm.clone();
        let size = kernel.size(size)?;
        if let Some(import) = module.imports().next() {
            return Err(InstanceError::Import {
                wasm: path,
                module: import.module().to_owned(),
                name: import.name().to_owned(),
            });
        }
        let mut store = Store::new(module.engine(), ());
        let instance = wasmtime::Instance::new(&mut store, module, &[])
            .map_err(|error| InstanceError::Instantiate { wasm: path.clone(), error })?;
        let missing = |name: &str, wanted| InstanceError::Export {
            wasm: path.clone(),
            name: name.to_owned(),
            wanted,
        };
        let memory = instance
            .get_memory(&mut store, "memory")
            .filter(|memory| !memory.ty(&store).is_64())
            .ok_or_else(|| missing("memory", "a 32-bit memory"))?;
        let malloc = instance
            .get_typed_func::<u32, u32>(&mut store, "malloc")
            .map_err(|_| missing("malloc", "a function from i32 to i32"))?;
        let function = format!("{}_argv", kernel.func);
        let argv = instance
            .get_typed_func::<u32, i32>(&mut store, &function)
            .map_err(|_| missing(&function, "a function from i32 to i32"))?;
        let last_message = instance.get_typed_func(&mut store, "last_message").ok();
        let constructors = instance.get_export(&mut store, "__wasm_call_ctors");
        let mut wasm = Wasm { path, store, memory, malloc, last_message };
        if let Some(Extern::Func(constructors)) = constructors {
            wasm.call_plain(&constructors, "__wasm_call_ctors")?;
        }
        let layout = Layout::new(&mut wasm, size)?;
        Ok(Instance { wasm, argv, function, layout })
    }

    /// Fills the inputs, poisons the outputs and writes every buffer's header.
    pub fn prepare(&mut self) {
        let written = self.layout.prepare(&mut self.wasm);
        debug_assert!(written.is_ok(), "an allocation is inside memory, which never shrinks");
    }

    /// Calls the kernel once and returns the time of the call alone.
    ///
    /// # Errors
    /// [`InstanceError`] if it traps or returns an error code.
    pub fn call(&mut self) -> Result<Duration, InstanceError> {
        let arguments = self.layout.arguments() as u32;
        let start = Instant::now();
        let result = self.argv.call(&mut self.wasm.store, arguments);
        let elapsed = start.elapsed();
        match result {
            Ok(0) => Ok(elapsed),
            Ok(code) => Err(InstanceError::Failed {
                wasm: self.wasm.path.clone(),
                function: self.function.clone(),
                code,
                halide: self.wasm.halide_message(),
            }),
            Err(error) => Err(self.wasm.trapped(&self.function, error)),
        }
    }

    /// The module's whole memory as it is now.
    pub fn memory(&self) -> &[u8] {
        self.wasm.memory.data(&self.wasm.store)
    }

    /// The address that the kernel's `_argv` function is called with.
    pub fn arguments(&self) -> u32 {
        self.layout.arguments() as u32
    }

    /// What the outputs hold now, in the order of the arguments.
    pub fn outputs(&mut self) -> Vec<Output> {
        self.layout.outputs(&mut self.wasm).unwrap_or_default()
    }
}

impl Wasm {
    fn call_plain(&mut self, func: &wasmtime::Func, name: &str) -> Result<(), InstanceError> {
        let ty = func.ty(&self.store);
        let mut results: Vec<Val> =
            ty.results().map(|ty| Val::default_for_ty(&ty).unwrap_or(Val::I32(0))).collect();
        func.call(&mut self.store, &[], &mut results).map_err(|error| self.trapped(name, error))
    }

    fn trapped(&mut self, function: &str, error: wasmtime::Error) -> InstanceError {
        InstanceError::Trap {
            wasm: self.path.clone(),
            function: function.to_owned(),
            error,
            halide: self.halide_message(),
        }
    }

    /// The C string that `last_message()` returns, cut at 1000 bytes.
    fn halide_message(&mut self) -> Option<String> {
        let pointer = self.last_message.as_ref()?.call(&mut self.store, ()).ok()?;
        let rest = self.memory.data(&self.store).get(pointer as usize..)?;
        let text: Vec<u8> = rest.iter().copied().take(1000).take_while(|byte| *byte != 0).collect();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Where `len` bytes at `address` lie; no more than there are.
    fn range(&self, address: u64, len: usize) -> std::ops::Range<usize> {
        let size = self.memory.data_size(&self.store);
        let start = usize::try_from(address).unwrap_or(size).min(size);
        start..start.saturating_add(len).min(size)
    }
}

impl Space for Wasm {
    type Error = InstanceError;

    fn pointer_bytes(&self) -> u32 {
        4
    }

    fn allocate(&mut self, bytes: u64, what: &str) -> Result<u64, InstanceError> {
        let asked = bytes as u32;
        let pointer = self
            .malloc
            .call(&mut self.store, asked)
            .map_err(|error| self.trapped("malloc", error))?;
        let memory = self.memory.data_size(&self.store);
        if pointer == 0 || u64::from(pointer) + bytes > memory as u64 {
            return Err(InstanceError::Malloc {
                wasm: self.path.clone(),
                what: what.to_owned(),
                bytes: asked,
                pointer,
                memory,
            });
        }
        Ok(pointer.into())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), InstanceError> {
        let range = self.range(address, bytes.len());
        let place = &mut self.memory.data_mut(&mut self.store)[range];
        place.copy_from_slice(&bytes[..place.len()]);
        Ok(())
    }

    fn read(&mut self, address: u64, len: u64) -> Result<Vec<u8>, InstanceError> {
        let range = self.range(address, len as usize);
        Ok(self.memory.data(&self.store)[range].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::first_difference;
    use crate::fill::POISON;
    use serde_json::json;

    /// Doubles `in` into `out`, both one-dimensional u8, through their `halide_buffer_t`s.
    const DOUBLE: &str = r#"(module
        (memory (export "memory") 1)
        (global $top (mut i32) (i32.const 1024))
        (global $ready (mut i32) (i32.const 0))
        (func (export "__wasm_call_ctors") (global.set $ready (i32.const 1)))
        (func (export "malloc") (param i32) (result i32)
            global.get $top
            (global.set $top (i32.add (global.get $top) (local.get 0))))
        (func (export "last_message") (result i32) (i32.const 16))
        (data (i32.const 16) "not constructed\0a\00")
        (func (export "double_argv") (param $args i32) (result i32)
            (local $in i32) (local $out i32) (local $left i32)
            (if (i32.eqz (global.get $ready)) (then (return (i32.const -7))))
            (local.set $in (i32.load offset=12 (i32.load (local.get $args))))
            (local.set $out (i32.load offset=12 (i32.load offset=8 (local.get $args))))
            (local.set $left (i32.load offset=4 (i32.load offset=32
                (i32.load offset=8 (local.get $args)))))
            (loop $next
                (i32.store8 (local.get $out) (i32.mul
                    (i32.load8_u (local.get $in))
                    (i32.load8_u (i32.load offset=4 (local.get $args)))))
                (local.set $in (i32.add (local.get $in) (i32.const 1)))
                (local.set $out (i32.add (local.get $out) (i32.const 1)))
                (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
            (i32.const 0)))"#;

    fn kernel() -> Kernel {
        let json = json!({ "name": "double", "func": "double", "wasm": "double.wasm",
            "args": [
                { "kind": "input", "name": "in", "type": "u8", "mins": [0], "extents": [4],
                  "strides": [1], "data": [1, 2, 3, 100] },
                { "kind": "scalar", "name": "factor", "type": "u8", "value": 2 },
                { "kind": "output", "name": "out", "type": "u8", "mins": [5], "extents": [4],
                  "strides": [1] }
            ],
            "out_elems": 4 });
        Kernel::parse("double.json".as_ref(), json.to_string().as_bytes()).unwrap()
    }

    fn instance(wat: &str) -> Result<Instance, InstanceError> {
        let engine = wasmtime::Engine::default();
        Instance::new(&Module::new(&engine, wat).unwrap(), &kernel(), 0)
    }

    fn refusal(from: &str, to: &str) -> String {
        let wat = DOUBLE.replace(from, to);
        assert_ne!(wat, DOUBLE);
        let mut instance = match instance(&wat) {
            Ok(instance) => instance,
            Err(error) => return error.to_string(),
        };
        instance.prepare();
        instance.call().unwrap_err().to_string()
    }

    #[test]
    fn a_kernel_gets_its_arguments() {
        let mut instance = instance(DOUBLE).unwrap();
        instance.prepare();
        assert_eq!(instance.outputs()[0].bytes, [POISON; 4]);
        instance.call().unwrap();
        assert_eq!(instance.outputs()[0].bytes, [2, 4, 6, 200]);
        let mut other = instance.outputs();
        other[0].bytes[1] = 5;
        let difference = first_difference(&instance.outputs(), &other, None).unwrap();
        assert_eq!(difference.to_string(), "output `out` at [6]: 4 and 5; 1 elements differ");
    }

    #[test]
    fn what_is_no_kernel_module_is_refused() {
        let error = refusal("(module", "(module (import \"env\" \"abort\" (func))");
        assert_eq!(error, "double.wasm: imports `env.abort`; a kernel module must have no imports");
        assert!(refusal("\"double_argv\"", "\"double\"").contains("exports no `double_argv`"));
        assert!(refusal("\"malloc\"", "\"alloc\"").contains("exports no `malloc`"));
        assert!(refusal("(export \"memory\")", "").contains("exports no `memory`"));
    }

    #[test]
    fn a_hostile_malloc_is_an_error() {
        for top in ["0", "-1", "65535"] {
            let error = refusal("(i32.const 1024)", &format!("(i32.const {top})"));
            assert!(error.contains("`malloc(132)` for in returned"), "{error}");
        }
    }

    #[test]
    fn failures_carry_halides_message() {
        let error = refusal("(global.set $ready (i32.const 1))", "");
        let wanted = "double.wasm: `double_argv` returned error -7 (Halide: not constructed)";
        assert_eq!(error, wanted);
        let error = refusal("(i32.const 0)))", "unreachable))");
        assert!(error.contains("`double_argv` failed") && error.contains("unreachable"), "{error}");
        let error = refusal("(global.set $ready (i32.const 1))", "unreachable");
        assert!(error.contains("`__wasm_call_ctors` failed"), "{error}");
    }
}
