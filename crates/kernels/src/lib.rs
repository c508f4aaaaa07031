//! Halide kernels: a JSON descriptor beside a `.wasm` file says which arguments the kernel takes.
//!
//! This crate reads and checks descriptors ([`Kernel`]), lays the arguments out as `halide_buffer_t`
//! in any memory ([`Layout`]), and calls a module of Wasmtime ([`Instance`]). It neither compiles
//! modules nor measures: the caller hands it a [`wasmtime::Module`] from any engine.
//!
//! Invariant: a [`Kernel`] holds only sizes whose buffers have non-overlapping strides and fit,
//! together, into [`MAX_ARGUMENT_BYTES`]; no later arithmetic on them can overflow.
//!
//! ```no_run
//! use egraft_kernels::{Instance, Kernel};
//!
//! let kernel = Kernel::read("bench/kernels/blur3x3_u8.json".as_ref())?;
//! let engine = wasmtime::Engine::default();
//! let module = wasmtime::Module::new(&engine, kernel.read_wasm()?)?;
//! let mut instance = Instance::new(&module, &kernel, 0)?;
//! instance.prepare();
//! println!("{:?} for the first call", instance.call()?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod compare;
mod descriptor;
mod fill;
mod instance;
mod layout;
mod read;
mod scalar;
mod write;

pub use compare::{Difference, Output, first_difference};
pub use descriptor::{
    Argument, Buffer, Contents, DescriptorError, Dim, Kernel, MAX_ARGUMENT_BYTES, MAX_DIMS,
    NoSuchSize, Role, Size,
};
pub use instance::{Instance, InstanceError};
pub use layout::{Layout, Space};
pub use read::{MAX_DESCRIPTOR_BYTES, MAX_WASM_BYTES, ReadError, read_limited, read_stream};
pub use scalar::{ElementType, Value};
pub use write::{folder_of, write_whole};
