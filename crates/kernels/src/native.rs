//! A kernel's native build: a shared library that Halide made of the same pipeline.
//!
//! For comparison only. A library is code that runs unchecked in this process; whoever measures a
//! native trusts it as much as a program.

use crate::compare::Output;
use crate::descriptor::{Argument, Buffer, Kernel, NoSuchSize, Role};
use crate::fill::contents;
use libloading::{Library, Symbol};
use std::ffi::{c_char, c_void};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Why a native build could not be loaded or called.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The descriptor has no such size.
    #[error(transparent)]
    NoSuchSize(#[from] NoSuchSize),
    /// The descriptor names no such build.
    #[error("{}: no native build `{target}`; it has {known}", path.display())]
    Unknown {
        /// The descriptor.
        path: PathBuf,
        /// The build asked for.
        target: String,
        /// Those there are.
        known: String,
    },
    /// The library is missing or is none.
    #[error("{}: cannot be loaded: {error}", library.display())]
    Load {
        /// The library.
        library: PathBuf,
        /// The loader's error.
        error: libloading::Error,
    },
    /// The kernel returned an error code.
    #[error("{}: returned error {code}", library.display())]
    Failed {
        /// The library.
        library: PathBuf,
        /// Halide's error code.
        code: i32,
    },
}

/// Bytes with the alignment that buffers have in a module's memory too.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Line([u8; 128]);

/// `halide_dimension_t`.
#[repr(C)]
struct DimHeader {
    min: i32,
    extent: i32,
    stride: i32,
    flags: u32,
}

/// `halide_buffer_t` on 64-bit targets.
#[repr(C)]
struct Header {
    device: u64,
    device_interface: *const c_void,
    host: *mut u8,
    flags: u64,
    type_code: u8,
    type_bits: u8,
    type_lanes: u16,
    dimensions: i32,
    dim: *mut DimHeader,
    padding: *mut c_void,
}

struct Placed {
    index: usize,
    buffer: Buffer,
    lines: Vec<Line>,
    dims: Vec<DimHeader>,
    header: Header,
}

impl Placed {
    fn new(index: usize, buffer: &Buffer) -> Placed {
        let lines = (buffer.bytes() as usize).div_ceil(size_of::<Line>());
        let (type_code, type_bits) = buffer.ty.halide_code_and_bits();
        let header = Header {
            device: 0,
            device_interface: std::ptr::null(),
            host: std::ptr::null_mut(),
            flags: 0,
            type_code,
            type_bits,
            type_lanes: 1,
            dimensions: buffer.dims.len() as i32,
            dim: std::ptr::null_mut(),
            padding: std::ptr::null_mut(),
        };
        Placed {
            index,
            buffer: buffer.clone(),
            lines: vec![Line([0; 128]); lines],
            dims: Vec::new(),
            header,
        }
    }

    /// Fills the buffer and writes its header, of which a kernel may write fields.
    fn prepare(&mut self) {
        let bytes = contents(&self.buffer, self.index);
        for (line, chunk) in self.lines.iter_mut().zip(bytes.chunks(size_of::<Line>())) {
            line.0[..chunk.len()].copy_from_slice(chunk);
        }
        let dims = self.buffer.dims.iter();
        let header = dims.map(|dim| DimHeader {
            min: dim.min,
            extent: dim.extent,
            stride: dim.stride,
            flags: 0,
        });
        self.dims = header.collect();
        self.header.host = self.lines.as_mut_ptr().cast();
        self.header.dim = self.dims.as_mut_ptr();
        self.header.flags = 0;
    }
}

type Argv = unsafe extern "C" fn(*mut *mut c_void) -> i32;
type ErrorHandler = extern "C" fn(*mut c_void, *const c_char);

/// Halide's own handler ends the process; the kernel's result says enough.
extern "C" fn ignore_message(_: *mut c_void, _: *const c_char) {}

/// A native build ready to be called, on one thread.
pub struct Native {
    path: PathBuf,
    argv: Argv,
    placed: Vec<Placed>,
    scalars: Vec<[u8; 8]>,
    /// Points into `placed` and `scalars`, which neither grow nor shrink.
    arguments: Vec<*mut c_void>,
    /// Last, since `argv` is of it.
    _library: Library,
}

impl Native {
    /// Loads the build of `kernel` for `target` and allocates the arguments of size `size`.
    ///
    /// # Errors
    /// [`NativeError`] if there is no such build or size, or it cannot be loaded.
    ///
    /// # Safety
    /// The library's code runs in this process. It must be what the descriptor says, for a CPU such
    /// as this one.
    pub unsafe fn new(kernel: &Kernel, target: &str, size: usize) -> Result<Native, NativeError> {
        let size = kernel.size(size)?;
        let path = kernel.native.get(target).cloned().ok_or_else(|| NativeError::Unknown {
            path: kernel.path.clone(),
            target: target.to_owned(),
            known: match kernel.native.is_empty() {
                true => "none".to_owned(),
                false => kernel.native.keys().cloned().collect::<Vec<_>>().join(", "),
            },
        })?;
        let load = |error| NativeError::Load { library: path.clone(), error };
        // SAFETY: the caller trusts the library, and its functions have Halide's types.
        let (library, argv) = unsafe {
            let library = Library::new(&path).map_err(load)?;
            let argv: Argv = *library.get(format!("{}_argv", kernel.func)).map_err(load)?;
            let threads: Result<Symbol<'_, unsafe extern "C" fn(i32) -> i32>, _> =
                library.get("halide_set_num_threads");
            if let Ok(set_threads) = threads {
                set_threads(1);
            }
            let handler: Result<
                Symbol<'_, unsafe extern "C" fn(ErrorHandler) -> Option<ErrorHandler>>,
                _,
            > = library.get("halide_set_error_handler");
            if let Ok(set_handler) = handler {
                set_handler(ignore_message);
            }
            (library, argv)
        };
        let mut this = Native {
            path,
            argv,
            placed: Vec::new(),
            scalars: Vec::new(),
            arguments: Vec::new(),
            _library: library,
        };
        for (index, argument) in size.args.iter().enumerate() {
            match argument {
                Argument::Scalar { value, .. } => this.scalars.push(value.to_bytes()),
                Argument::Buffer(buffer) => this.placed.push(Placed::new(index, buffer)),
            }
        }
        let mut scalars = this.scalars.iter_mut().map(|slot| slot.as_mut_ptr().cast());
        let mut headers =
            this.placed.iter_mut().map(|placed| std::ptr::from_mut(&mut placed.header).cast());
        let pointers = size.args.iter().filter_map(|argument| match argument {
            Argument::Scalar { .. } => scalars.next(),
            Argument::Buffer(_) => headers.next(),
        });
        this.arguments = pointers.collect();
        Ok(this)
    }

    /// Fills the inputs, poisons the outputs and writes every buffer's header.
    pub fn prepare(&mut self) {
        self.placed.iter_mut().for_each(Placed::prepare);
    }

    /// Calls the kernel once and returns the time of the call alone.
    ///
    /// # Errors
    /// [`NativeError::Failed`] if it returns an error code.
    pub fn call(&mut self) -> Result<Duration, NativeError> {
        let start = Instant::now();
        // SAFETY: the arguments are those of the descriptor, and live as long as `self`; the caller
        // of `new` trusts the library.
        let code = unsafe { (self.argv)(self.arguments.as_mut_ptr()) };
        let elapsed = start.elapsed();
        match code {
            0 => Ok(elapsed),
            code => Err(NativeError::Failed { library: self.path.clone(), code }),
        }
    }

    /// What the outputs hold now, in the order of the arguments.
    pub fn outputs(&self) -> Vec<Output> {
        let outputs = self.placed.iter().filter(|placed| placed.buffer.role == Role::Output);
        let bytes = |placed: &Placed| {
            let all = placed.lines.iter().flat_map(|line| line.0);
            all.take(placed.buffer.bytes() as usize).collect()
        };
        outputs
            .map(|placed| Output { buffer: placed.buffer.clone(), bytes: bytes(placed) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::process::Command;

    /// Doubles `in` into `out`, both one-dimensional u8; fails unless the factor is even.
    const DOUBLE: &str = "
        unsafe fn at<T: Copy>(from: *const u8, offset: usize) -> T {
            *from.add(offset).cast::<T>()
        }
        #[no_mangle]
        pub unsafe extern \"C\" fn double_argv(args: *const *const u8) -> i32 {
            let (input, factor, output) = (*args, **args.add(1), *args.add(2));
            if factor % 2 != 0 {
                return -7;
            }
            let extent: i32 = at(at(output, 40), 4);
            for i in 0..extent as usize {
                let value: u8 = at(at::<*const u8>(input, 16), i);
                *at::<*mut u8>(output, 16).add(i) = value * factor;
            }
            0
        }";

    fn kernel(folder: &std::path::Path, factor: u8) -> Kernel {
        let json = json!({ "name": "double", "func": "double", "wasm": "double.wasm",
            "native": { "here": "double.so", "gone": "gone.so" },
            "args": [
                { "kind": "input", "name": "in", "type": "u8", "mins": [0], "extents": [4],
                  "strides": [1], "data": [1, 2, 3, 100] },
                { "kind": "scalar", "name": "factor", "type": "u8", "value": factor },
                { "kind": "output", "name": "out", "type": "u8", "mins": [5], "extents": [4],
                  "strides": [1] }
            ],
            "out_elems": 4 });
        Kernel::parse(&folder.join("double.json"), json.to_string().as_bytes()).unwrap()
    }

    fn load(kernel: &Kernel, target: &str, size: usize) -> Result<Native, NativeError> {
        // SAFETY: the only library there is was made of the source above.
        unsafe { Native::new(kernel, target, size) }
    }

    #[test]
    fn a_library_gets_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("double.rs");
        std::fs::write(&source, DOUBLE).unwrap();
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let made = Command::new(rustc)
            .args(["--crate-type", "cdylib", "--crate-name", "double", "-o"])
            .args([&folder.path().join("double.so"), &source])
            .status();
        assert!(made.unwrap().success());

        let mut native = load(&kernel(folder.path(), 2), "here", 0).unwrap();
        for _ in 0..2 {
            native.prepare();
            assert_eq!(native.outputs()[0].bytes, [crate::fill::POISON; 4]);
            native.call().unwrap();
            assert_eq!(native.outputs()[0].bytes, [2, 4, 6, 200]);
        }
        let mut odd = load(&kernel(folder.path(), 3), "here", 0).unwrap();
        odd.prepare();
        assert!(odd.call().unwrap_err().to_string().ends_with("double.so: returned error -7"));
    }

    #[test]
    fn what_is_not_there_is_named() {
        let kernel = kernel("kernels".as_ref(), 2);
        let refusal = |target, size| load(&kernel, target, size).err().unwrap().to_string();
        let unknown = "kernels/double.json: no native build `avx9`; it has gone, here";
        assert_eq!(refusal("avx9", 0), unknown);
        assert_eq!(refusal("here", 1), "kernels/double.json: no size 1; it has sizes 0 to 0");
        assert!(refusal("gone", 0).starts_with("kernels/gone.so: cannot be loaded: "));
    }
}
