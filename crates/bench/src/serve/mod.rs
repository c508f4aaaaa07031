//! The other side of the protocol: an engine of this process, answering requests.

mod native;
mod wasm;

pub use native::NativeHost;
pub use wasm::WasmHost;

use crate::protocol::{
    Bytes, Called, FrameError, Hello, Loaded, PROTOCOL, Request, Timed, receive, receive_bytes,
    send,
};
use egraft_kernels::Space;
use serde_json::json;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Duration;

/// Limit for calls of one request: more times than this do not fit into a line.
const MAX_CALLS: u32 = 2000;

/// An engine with at most one module loaded. Errors are texts for people.
pub trait Host {
    /// What the engine is, and its options.
    fn about(&self) -> (String, String);

    /// Compiles the module `times` times and instantiates it.
    ///
    /// # Errors
    /// If it cannot.
    fn load(&mut self, module: &Path, times: u32) -> Result<Loaded, String>;

    /// Calls an export with integers; a time is of the call alone.
    ///
    /// # Errors
    /// If there is no such export, or it traps.
    fn call(&mut self, function: &str, arguments: &[u64]) -> Result<(u64, Duration), String>;

    /// Writes memory.
    ///
    /// # Errors
    /// If it is not the module's.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String>;

    /// Reads memory.
    ///
    /// # Errors
    /// If it is not the module's.
    fn read(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>, String>;
}

/// A host asked without a process between, for what is not timed.
pub struct InProcess<H> {
    /// The host.
    pub host: H,
    pointer_bytes: u32,
}

impl<H: Host> InProcess<H> {
    /// A host without a module.
    pub fn new(host: H) -> InProcess<H> {
        InProcess { host, pointer_bytes: 4 }
    }

    /// Compiles and instantiates a module.
    ///
    /// # Errors
    /// The host's.
    pub fn load(&mut self, module: &Path) -> Result<(), String> {
        self.pointer_bytes = self.host.load(module, 1)?.pointer_bytes;
        Ok(())
    }

    /// Calls an export.
    ///
    /// # Errors
    /// The host's.
    pub fn call(&mut self, function: &str, arguments: &[u64]) -> Result<(u64, Duration), String> {
        self.host.call(function, arguments)
    }
}

impl<H: Host> Space for InProcess<H> {
    type Error = String;

    fn pointer_bytes(&self) -> u32 {
        self.pointer_bytes
    }

    fn allocate(&mut self, bytes: u64, what: &str) -> Result<u64, String> {
        match self.host.call("malloc", &[bytes])?.0 {
            0 => Err(format!("`malloc({bytes})` for {what} returned 0")),
            address => Ok(address),
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), String> {
        self.host.write(address, bytes)
    }

    fn read(&mut self, address: u64, len: u64) -> Result<Vec<u8>, String> {
        self.host.read(address, len)
    }
}

/// Answers requests until there are no more.
///
/// # Errors
/// If a pipe fails, or a line is no request.
pub fn serve(
    host: &mut impl Host,
    mut input: impl BufRead,
    mut output: impl Write,
) -> Result<(), FrameError> {
    let (engine, settings) = host.about();
    send(&mut output, &Hello { protocol: PROTOCOL.to_owned(), engine, settings }, &[])?;
    loop {
        let request = match receive(&mut input) {
            Err(FrameError::Closed) => return Ok(()),
            request => request?,
        };
        let mut payload = Vec::new();
        let answer = match request {
            Request::Load { module, times } => {
                host.load(&module, times.max(1)).map(|loaded| json!(loaded))
            }
            Request::Call { function, arguments } => {
                host.call(&function, &arguments).map(|(result, _)| json!(Called { result }))
            }
            Request::Time { function, arguments, calls } => {
                time(host, &function, &arguments, calls).map(|timed| json!(timed))
            }
            Request::Write { address, bytes } => {
                let bytes = receive_bytes(&mut input, bytes)?;
                host.write(address, &bytes).map(|()| json!({}))
            }
            Request::Read { address, bytes } => host.read(address, bytes).map(|read| {
                payload = read;
                json!(Bytes { bytes })
            }),
        };
        let answer = answer.unwrap_or_else(|error| json!({ "error": error }));
        send(&mut output, &answer, &payload)?;
    }
}

fn time(
    host: &mut impl Host,
    function: &str,
    arguments: &[u64],
    calls: u32,
) -> Result<Timed, String> {
    if calls > MAX_CALLS {
        return Err(format!("{calls} calls; the limit is {MAX_CALLS}"));
    }
    let mut timed = Timed { ns: Vec::with_capacity(calls as usize), result: 0 };
    for _ in 0..calls {
        let (result, time) = host.call(function, arguments)?;
        timed.ns.push(time.as_nanos() as f64);
        timed.result = result;
        if result != 0 {
            break;
        }
    }
    Ok(timed)
}

/// The error of a request before `load`.
fn nothing_loaded() -> String {
    "no module is loaded".to_owned()
}
