//! WASI preview 1: programs with `_start`, and modules that import it beside other exports.

use crate::args::RunArgs;
use crate::input::InFile;
use crate::output::{Coded, EXIT_TRAP};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::ExitCode;
use wasmtime::{Instance, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// Runs `_start`, or only instantiates a module without one.
pub(crate) fn run(module: &Module, file: &Path, args: &RunArgs) -> Result<ExitCode> {
    if module.get_export("_start").is_none() {
        bail!(
            "{}: no export `_start`, so not a WASI program; name an export with --invoke",
            file.display()
        );
    }
    let (mut store, instance) = instantiate(module, file, args)?;
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .map_err(|error| anyhow::anyhow!("{}: `_start`: {error:#}", file.display()))?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match exit_code(&error) {
            Some(code) => Ok(code),
            None => Err(Coded {
                code: EXIT_TRAP,
                text: format!("{}: `_start` failed: {error:#}", file.display()),
            }
            .into()),
        },
    }
}

/// The module in a store with WASI, its start function run.
pub(crate) fn instantiate(
    module: &Module,
    file: &Path,
    args: &RunArgs,
) -> Result<(Store<WasiP1Ctx>, Instance)> {
    const WASI: &str = "wasi_snapshot_preview1";
    if let Some(import) = module.imports().find(|import| import.module() != WASI) {
        bail!(
            "{}: imports `{}.{}`; only imports from `{WASI}` are provided",
            file.display(),
            import.module(),
            import.name()
        );
    }
    let mut linker = Linker::new(module.engine());
    p1::add_to_linker_sync(&mut linker, |context| context).in_file(file)?;
    let mut store = Store::new(module.engine(), context(file, args)?);
    let instance = linker.instantiate(&mut store, module).map_err(|error| Coded {
        code: EXIT_TRAP,
        text: format!("{}: cannot be instantiated: {error:#}", file.display()),
    })?;
    Ok((store, instance))
}

fn context(file: &Path, args: &RunArgs) -> Result<WasiP1Ctx> {
    let mut builder = WasiCtxBuilder::new();
    // The command does nothing else meanwhile, so calls may block.
    builder.inherit_stdio().allow_blocking_current_thread(true);
    builder.arg(file.file_name().unwrap_or_default().to_string_lossy());
    if args.invoke.is_none() {
        builder.args(&args.arguments);
    }
    for variable in &args.env {
        match variable.split_once('=') {
            Some((name, value)) => builder.env(name, value),
            None => match std::env::var(variable) {
                Ok(value) => builder.env(variable, value),
                Err(error) => bail!("--env {variable}: {error}"),
            },
        };
    }
    for folder in &args.dir {
        let (host, guest) = folder.split_once("::").unwrap_or((folder, folder));
        builder
            .preopened_dir(host, guest, wasmtime_wasi::FsPerms::ReadWrite)
            .map_err(|error| anyhow::anyhow!("--dir {folder}: {error:#}"))?;
    }
    Ok(builder.build_p1())
}

/// The code of a program that ended itself.
pub(crate) fn exit_code(error: &wasmtime::Error) -> Option<ExitCode> {
    let I32Exit(code) = error.downcast_ref::<I32Exit>()?;
    Some(ExitCode::from(u8::try_from(*code).unwrap_or(crate::output::EXIT_ERROR)))
}
