//! A native build as a host: a shared library that Halide made of a kernel's pipeline.
//!
//! A library is code that runs unchecked in this process, which is there for it alone. Memory that
//! requests may touch is what they allocated.

use super::Host;
use crate::protocol::Loaded;
use libloading::{Library, Symbol};
use std::ffi::{c_char, c_void};
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes with the alignment that buffers have in a module's memory too.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Line([u8; 128]);

type Argv = unsafe extern "C" fn(*mut c_void) -> i32;
type ErrorHandler = extern "C" fn(*mut c_void, *const c_char);

/// Halide's own handler ends the process; the kernel's result says enough.
extern "C" fn ignore_message(_: *mut c_void, _: *const c_char) {}

/// A native build, once it is loaded.
#[derive(Default)]
pub struct NativeHost {
    allocations: Vec<Box<[Line]>>,
    /// The function called last.
    last: Option<(String, Argv)>,
    /// Last, since functions are of it.
    library: Option<Library>,
}

impl NativeHost {
    fn find(&mut self, name: &str) -> Result<Argv, String> {
        if let Some((last, function)) = &self.last
            && last == name
        {
            return Ok(*function);
        }
        let library = self.library.as_ref().ok_or_else(super::nothing_loaded)?;
        // SAFETY: Halide gives every function whose name ends so this type.
        let function: Argv = match name.ends_with("_argv") {
            true => *unsafe { library.get(name) }.map_err(|error| format!("`{name}`: {error}"))?,
            false => return Err(format!("`{name}` is no `_argv` function")),
        };
        self.last = Some((name.to_owned(), function));
        Ok(function)
    }

    fn allocate(&mut self, bytes: u64) -> Result<u64, String> {
        let lines = usize::try_from(bytes).map_err(|error| error.to_string())?;
        let lines = vec![Line([0; 128]); lines.div_ceil(size_of::<Line>()).max(1)];
        self.allocations.push(lines.into_boxed_slice());
        let last = self.allocations.last().map(|lines| lines.as_ptr() as u64);
        last.ok_or_else(super::nothing_loaded)
    }

    /// The `len` bytes at `address`, if they are of an allocation.
    fn bytes(&mut self, address: u64, len: u64) -> Result<&mut [u8], String> {
        for lines in &mut self.allocations {
            let start = lines.as_mut_ptr();
            let Some(offset) = address.checked_sub(start as u64) else { continue };
            let size = size_of_val(&lines[..]) as u64;
            if offset <= size && len <= size - offset {
                // SAFETY: inside an allocation that `self` owns and lends, and bytes have no invalid
                // values.
                return Ok(unsafe {
                    let first = start.cast::<u8>().add(offset as usize);
                    std::slice::from_raw_parts_mut(first, len as usize)
                });
            }
        }
        Err(format!("{len} bytes at {address:#x} were not allocated"))
    }
}

/// Has the C library keep freed memory, as a module's memory is kept: else what a kernel allocates for
/// a call is given back to the system and taken anew, page by page, in each.
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets two numbers of the C library's allocator.
    unsafe {
        // The most that the allocator takes.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}

impl Host for NativeHost {
    fn about(&self) -> (String, String) {
        ("Halide's native code".to_owned(), "one thread".to_owned())
    }

    fn load(&mut self, path: &Path, _times: u32) -> Result<Loaded, String> {
        keep_memory();
        // SAFETY: whoever names a native engine trusts the library as a program; the help says so.
        // The two functions have these types in Halide's runtime.
        let library = unsafe {
            let library = Library::new(path).map_err(|error| error.to_string())?;
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
            library
        };
        *self = NativeHost { library: Some(library), ..NativeHost::default() };
        Ok(Loaded { pointer_bytes: 8, ..Loaded::default() })
    }

    fn call(&mut self, function: &str, arguments: &[u64]) -> Result<(u64, Duration), String> {
        match (function, arguments) {
            ("malloc", &[bytes]) => Ok((self.allocate(bytes)?, Duration::ZERO)),
            (_, &[list]) => {
                let argv = self.find(function)?;
                let start = Instant::now();
                // SAFETY: the argument is the list that the asker laid out; who names a native engine
                // trusts both.
                let code = unsafe { argv(list as *mut c_void) };
                Ok((u64::from(code as u32), start.elapsed()))
            }
            _ => Err(format!("`{function}` takes one argument")),
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        self.bytes(address, bytes.len() as u64)?.copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>, String> {
        Ok(self.bytes(address, bytes)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::InProcess;
    use egraft_kernels::{Kernel, Layout};
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

    fn kernel(factor: u8) -> Kernel {
        let json = json!({ "name": "double", "func": "double", "wasm": "double.wasm",
            "args": [
                { "kind": "input", "name": "in", "type": "u8", "mins": [0], "extents": [4],
                  "strides": [1], "data": [1, 2, 3, 100] },
                { "kind": "scalar", "name": "factor", "type": "u8", "value": factor },
                { "kind": "output", "name": "out", "type": "u8", "mins": [5], "extents": [4],
                  "strides": [1] }
            ],
            "out_elems": 4 });
        Kernel::parse("double.json".as_ref(), json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_library_gets_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("double.rs"), folder.path().join("double.so"));
        std::fs::write(&source, DOUBLE).unwrap();
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let made = Command::new(rustc)
            .args(["--crate-type", "cdylib", "--crate-name", "double", "-o"])
            .args([&library, &source])
            .status();
        assert!(made.unwrap().success());

        let mut host = InProcess::new(NativeHost::default());
        host.load(&library).unwrap();
        for (factor, result) in [(2, 0), (3, -7)] {
            let layout = Layout::new(&mut host, kernel(factor).size(0).unwrap()).unwrap();
            layout.prepare(&mut host).unwrap();
            let (code, _) = host.call("double_argv", &[layout.arguments()]).unwrap();
            assert_eq!(code as u32 as i32, result);
            let poison = layout.outputs(&mut host).unwrap()[0].bytes == [0xcd; 4];
            assert_eq!(poison, result != 0);
        }
        assert!(host.call("other_argv", &[0]).unwrap_err().contains("other_argv"));
        assert!(host.call("exit", &[0]).unwrap_err().contains("no `_argv` function"));
    }

    #[test]
    fn memory_of_others_is_out_of_reach() {
        let mut host = NativeHost::default();
        let address = host.allocate(100).unwrap();
        host.write(address + 60, &[7; 40]).unwrap();
        assert_eq!(host.read(address + 99, 1).unwrap(), [7]);
        assert!(host.write(address + 120, &[7; 40]).is_err());
        assert!(host.read(address - 1, 1).is_err());
        assert!(host.read(0, 1).unwrap_err().contains("were not allocated"));
        assert!(host.load("/no/such/library".as_ref(), 1).is_err());
    }
}
