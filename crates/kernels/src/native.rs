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
