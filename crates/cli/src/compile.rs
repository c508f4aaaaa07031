//! `egraft compile`: one module to one `.cwasm`.

use crate::args::{CompileArgs, Emit};
use crate::input::{self, InFile};
use crate::{emit, output};
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) fn compile(args: &CompileArgs) -> Result<ExitCode> {
    let destination = destination(args)?;
    let wasm = input::read_module(&args.input)?;
    let config = input::config(args.target.as_deref(), &args.code)?;
    let options = input::options(&args.code)?.measure_stock(args.emit.contains(&Emit::Json));
    let bar = output::spinner("compiling");
    let compiled = egraft::compile(&config, &options, &wasm).in_file(&args.input);
    bar.finish_and_clear();
    let compiled = compiled?;
    input::warn_about(&compiled.report);

    if !args.emit.is_empty() {
        let folder = args.emit_dir.clone().unwrap_or_else(|| destination.with_extension("emit"));
        emit::write(&folder, &args.emit, &config, &options, &wasm, &compiled.report)
            .map_err(|error| error.context(args.input.display().to_string()))?;
    }
    output::write_file(&destination, &compiled.cwasm)?;
    if args.json {
        output::json(&compiled.report)?;
    } else {
        let report = &compiled.report;
        output::line(format_args!(
            "{}: {} bytes, {} of {} functions taken",
            destination.display(),
            compiled.cwasm.len(),
            report.taken(),
            report.wasm_functions().count(),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the output goes; never onto the input.
fn destination(args: &CompileArgs) -> Result<PathBuf> {
    let destination = match &args.output {
        Some(output) => output.clone(),
        None if args.input == Path::new("-") => {
            bail!("standard input needs an output; give -o FILE")
        }
        None => args.input.with_extension("cwasm"),
    };
    let same = match (destination.canonicalize(), args.input.canonicalize()) {
        (Ok(output), Ok(input)) => output == input && input.is_file(),
        _ => false,
    };
    if same {
        bail!("{}: the output would replace the input; give -o FILE", destination.display());
    }
    output::check_writable(&destination)?;
    Ok(destination)
}
