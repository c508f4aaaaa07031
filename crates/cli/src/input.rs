//! Modules from files or standard input, and the Wasmtime configuration they are compiled with.

use crate::args::CodeArgs;
use crate::output;
use anyhow::{Context, Result, bail};
use egraft::ConfigExt;
use egraft_kernels::{MAX_WASM_BYTES, read_limited, read_stream};
use std::path::Path;
use wasmtime::{Config, Engine};

/// What a file's first bytes say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A binary module or a text.
    Module,
    /// A module that Wasmtime compiled.
    Compiled,
}

/// Reads `path`, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        return Ok(read_stream(stdin, "standard input".as_ref(), "a module", MAX_WASM_BYTES)?);
    }
    Ok(read_limited(path, "a module", MAX_WASM_BYTES)?)
}

/// Tells compiled modules from others.
pub(crate) fn kind(bytes: &[u8]) -> Kind {
    /// What Wasmtime writes as the operating system of its ELF files.
    const WASMTIME_OSABI: u8 = 200;
    // Wasmtime's own test wants the whole file; one that is cut off was a compiled module too.
    let elf = bytes.starts_with(b"\x7fELF") && bytes.get(7) == Some(&WASMTIME_OSABI);
    match elf || Engine::detect_precompiled(bytes).is_some() {
        true => Kind::Compiled,
        false => Kind::Module,
    }
}

/// Reads a module in binary or text form and refuses what it cannot be.
pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    check_module(path, &bytes)?;
    Ok(bytes)
}

/// Refuses what is not even the start of a core module, with a word on what it is instead.
pub(crate) fn check_module(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = path.display();
    if bytes.is_empty() {
        bail!("{path}: the file is empty");
    }
    if kind(bytes) == Kind::Compiled {
        bail!("{path}: compiled already; give the .wasm that it was made from");
    }
    if bytes.starts_with(b"\x7fELF") {
        bail!("{path}: an ELF file, not a WebAssembly module");
    }
    if bytes.starts_with(b"\0asm\x0d\0\x01\0") {
        bail!("{path}: a component; Egraft takes core modules");
    }
    if !bytes.starts_with(b"\0asm") && std::str::from_utf8(bytes).is_err() {
        bail!("{path}: neither a WebAssembly module nor its text form");
    }
    Ok(())
}

/// Wasmtime's defaults for `target` and the CPU asked for.
///
/// For the host that is `native`, for another target `baseline`.
pub(crate) fn config(target: Option<&str>, code: &CodeArgs) -> Result<Config> {
    let mut config = Config::new();
    let cpu = code.cpu.as_deref().unwrap_or(if target.is_some() { "baseline" } else { "native" });
    config.egraft_target(target, cpu)?;
    Ok(config)
}

/// Egraft's options.
pub(crate) fn options(code: &CodeArgs) -> Result<egraft::Options> {
    let mut options = egraft::Options::default().effort(egraft::Effort::from_level(code.effort)?);
    options.backend = code.backend;
    options.matcher = code.matcher;
    options.core = code.cpu.as_deref().and_then(egraft::Core::by_name);
    if let Some(directory) = &code.cache_dir {
        options = options.cache_dir(directory);
    }
    Ok(options)
}

/// The function of a report that goes by a name or an index.
pub(crate) fn function<'r>(
    report: &'r egraft::Report,
    module: &Path,
    name: &str,
) -> Result<&'r egraft::FunctionReport> {
    if let Some(function) = report.function(name) {
        return Ok(function);
    }
    let names: Vec<&str> =
        report.wasm_functions().map(egraft::FunctionReport::label).take(20).collect();
    bail!(
        "{}: no function `{name}`; give a name or an index, for instance of {}",
        module.display(),
        names.join(", ")
    );
}

/// The standard rules and those of a folder.
pub(crate) fn more_rules(folder: &Path) -> Result<egraft::Rules> {
    let set = egraft_rules::RuleSet::from_folder(folder)
        .with_context(|| format!("{}: cannot be read as rules", folder.display()))?;
    if set.rules.is_empty() {
        bail!("{}: no rules in it", folder.display());
    }
    Ok(egraft::Rules::with(set))
}

/// Says on standard error what the caller should know though nothing failed.
pub(crate) fn warn_about(report: &egraft::Report) {
    report.warnings().iter().for_each(output::warn);
}

/// Wasmtime's error with its causes, and the file in front.
pub(crate) trait InFile<T> {
    fn in_file(self, path: &Path) -> Result<T>;
}

impl<T> InFile<T> for Result<T, egraft::Error> {
    fn in_file(self, path: &Path) -> Result<T> {
        self.map_err(anyhow::Error::new).with_context(|| path.display().to_string())
    }
}

impl<T> InFile<T> for wasmtime::Result<T> {
    fn in_file(self, path: &Path) -> Result<T> {
        self.map_err(|error| anyhow::anyhow!("{}: {error:#}", path.display()))
    }
}
