//! `--emit`: what happened to each function, as files in one folder.
//!
//! Files are named by the function's wasm index. The functions are captured and optimised once more
//! for this, so the time of the compilation proper is unaffected.

use crate::args::Emit;
use crate::output::write_file;
use anyhow::{Context, Result};
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
use egraft::{Format, Optimized};
use std::path::Path;
use wasmtime::Config;

pub(crate) fn write(
    folder: &Path,
    what: &[Emit],
    config: &Config,
    options: &egraft::Options,
    wasm: &[u8],
    report: &egraft::Report,
) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if what.contains(&Emit::Json) {
        write_file(&folder.join("report.json"), &serde_json::to_vec_pretty(report)?)?;
    }
    if what.iter().all(|emit| *emit == Emit::Json) {
        return Ok(());
    }
    let captured = egraft::capture(config, wasm)?;
    let isa = &captured.isa;
    for function in &captured.functions {
        let (optimized, _) = egraft::explain_function(&function.func, &**isa, options);
        let (better, note) = match &optimized {
            Optimized::Improved(func) => (Some(&**func), String::new()),
            Optimized::Unchanged(reason) => (None, format!("; stock: {reason}\n")),
            _ => continue,
        };
        let after = better.unwrap_or(&function.func);
        let file = |ending: &str| folder.join(format!("{}.{ending}", function.index));
        for emit in what {
            match emit {
                Emit::Clif => {
                    write_file(&file("before.clif"), function.clif.as_bytes())?;
                    write_file(&file("after.clif"), format!("{note}{after}").as_bytes())?;
                }
                Emit::Asm => {
                    let listing = egraft::listing(&function.func, better, &**isa, options)
                        .map(|listed| listed.listing)
                        .or_else(|| egraft::stock_listing(after, &**isa, options.core));
                    let text = match listing {
                        Some(listing) => listing.to_string(),
                        None => asm(after, &**isa)
                            .with_context(|| format!("function {}", function.index))?,
                    };
                    write_file(&file("s"), format!("{note}{text}").as_bytes())?;
                }
                Emit::Egraph | Emit::Dot => {
                    let (ending, format) = match emit {
                        Emit::Dot => ("dot", Format::Dot),
                        _ => ("egraph.json", Format::Json),
                    };
                    let text = egraft::dump_egraph(&function.func, &**isa, options.effort, format);
                    write_file(&file(ending), text.as_bytes())?;
                }
                Emit::Json => {}
            }
        }
    }
    Ok(())
}

/// The disassembly of what stock Cranelift makes of `func`, for targets whose code has no listing.
fn asm(func: &Function, isa: &dyn TargetIsa) -> Result<String> {
    let mut context = cranelift_codegen::Context::for_function(func.clone());
    let compiled = context
        .compile(isa, &mut Default::default())
        .map_err(|error| anyhow::anyhow!("does not compile: {}", error.inner))?;
    let capstone =
        isa.to_capstone().map_err(|error| anyhow::anyhow!("no disassembler: {error}"))?;
    compiled
        .disassemble(Some(&func.params), &capstone)
        .map_err(|error| anyhow::anyhow!("cannot be disassembled: {error}"))
}
