//! `egraft run`: plain modules, WASI programs and compiled modules; kernels go to [`crate::kernel`].

use crate::args::RunArgs;
use crate::input::{self, InFile, Kind};
use crate::{invoke, kernel, wasi};
use anyhow::{Result, bail};
use egraft::ConfigExt;
use egraft_bench::Engine as Runner;
use std::path::Path;
use std::process::ExitCode;
use wasmtime::{Config, Engine, Module};

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    if let Some(descriptor) = &args.kernel {
        return kernel::run(args, descriptor);
    }
    let Some(file) = &args.file else { bail!("no file to run") };
    if let Runner::Native(_) | Runner::Peer(_) = args.engine {
        bail!(
            "--engine {}: runs kernels only; there are stock, egraft, egraft:STAGE and egraft+FOLDER",
            args.engine
        );
    }
    let module = load(args, file)?;
    match &args.invoke {
        Some(export) => invoke::call(&module, file, export, &args.arguments, args),
        None => wasi::run(&module, file, args),
    }
}

fn load(args: &RunArgs, file: &Path) -> Result<Module> {
    let bytes = input::read(file)?;
    match input::kind(&bytes) {
        Kind::Compiled => deserialize(file, &bytes, args),
        Kind::Module => {
            input::check_module(file, &bytes)?;
            let (config, options) = (input::config(None, &args.code)?, input::options(&args.code)?);
            let options = match &args.engine {
                Runner::Egraft(stage) => options.stage(*stage),
                Runner::EgraftWith(folder) => options.rules(input::more_rules(folder)?),
                _ => options,
            };
            compile(&args.engine, &config, &options, &bytes).in_file(file)
        }
    }
}

/// A module under one engine; what Egraft cannot do is said on standard error.
fn compile(
    engine: &Runner,
    config: &Config,
    options: &egraft::Options,
    wasm: &[u8],
) -> Result<Module, egraft::Error> {
    match engine {
        Runner::Stock | Runner::Native(_) | Runner::Peer(_) => {
            Ok(Module::new(&Engine::new(config)?, wasm)?)
        }
        Runner::Egraft(_) | Runner::EgraftWith(_) => {
            let mut config = config.clone();
            let handle = config.egraft(options.clone())?;
            let (module, report) = handle.module(&Engine::new(&config)?, wasm)?;
            input::warn_about(&report);
            Ok(module)
        }
    }
}

/// Loads a module that Wasmtime compiled before.
fn deserialize(file: &Path, bytes: &[u8], args: &RunArgs) -> Result<Module> {
    check_compiled(file, bytes)?;
    let engine = Engine::new(&input::config(None, &args.code)?).in_file(file)?;
    // SAFETY: whoever runs a .cwasm trusts the file as they would an executable; the help says so.
    // What is not the whole output of this version of Wasmtime is refused by the check above and by
    // Wasmtime's own.
    unsafe { Module::deserialize(&engine, bytes) }.in_file(file)
}

/// Refuses a truncated file with a word that Wasmtime's object parser does not have.
fn check_compiled(file: &Path, bytes: &[u8]) -> Result<()> {
    // ELF64: offset of the section headers, their size and their number.
    let field = |at: usize, len: usize| {
        let mut all = [0; 8];
        all[..len].copy_from_slice(bytes.get(at..at + len)?);
        Some(u64::from_le_bytes(all))
    };
    let end = (|| {
        let (offset, size, count) = (field(0x28, 8)?, field(0x3a, 2)?, field(0x3c, 2)?);
        offset.checked_add(size * count)
    })();
    match end {
        Some(end) if end <= bytes.len() as u64 => Ok(()),
        _ => bail!("{}: a compiled module that is cut off", file.display()),
    }
}
