//! `egraft engine`: what `egraft bench` starts for stock Wasmtime, Egraft and native builds.

use crate::args::EngineArgs;
use crate::input;
use anyhow::{Result, bail};
use egraft::{Rules, Stage};
use egraft_bench::Engine;
use egraft_bench::serve::{NativeHost, WasmHost, serve};
use std::process::ExitCode;

/// The version of Wasmtime that this command is built with; the workspace pins it.
pub(crate) const WASMTIME_VERSION: &str = "48.0.8";

pub(crate) fn engine(args: &EngineArgs) -> Result<ExitCode> {
    let (input, output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let egraft = match &args.engine {
        Engine::Native(_) => {
            serve(&mut NativeHost::default(), input, output)?;
            return Ok(ExitCode::SUCCESS);
        }
        Engine::Peer(name) => bail!("engine `{name}` is a program of its own"),
        Engine::Stock => None,
        Engine::Egraft(stage) => Some((*stage, Rules::default())),
        Engine::EgraftWith(folder) => Some((Stage::default(), input::more_rules(folder)?)),
    };
    let code = &args.code;
    let config = input::config(None, code)?;
    let cpu = format!("CPU {}", code.cpu.as_deref().unwrap_or("native"));
    let (egraft, about) = match egraft {
        None => (None, (format!("Wasmtime {WASMTIME_VERSION}, Cranelift"), cpu)),
        Some((stage, rules)) => {
            let about =
                format!("Egraft {} in Wasmtime {WASMTIME_VERSION}", env!("CARGO_PKG_VERSION"));
            let settings =
                format!("effort {}, backend {}, stage {stage}, {cpu}", code.effort, code.backend);
            (Some(input::options(code)?.stage(stage).rules(rules)), (about, settings))
        }
    };
    serve(&mut WasmHost::new(config, egraft, about).delay(args.delay), input, output)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_of_wasmtime_is_the_pinned_one() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{}\"", super::WASMTIME_VERSION);
        assert!(lock.contains(&entry));
    }
}
