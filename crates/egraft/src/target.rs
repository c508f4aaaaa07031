//! Targets and CPUs by name, for a `wasmtime::Config`.

use crate::{Core, Error};
use cranelift_codegen::isa;
use cranelift_codegen::settings::SettingKind;
use std::str::FromStr;
use target_lexicon::{Architecture, Triple};
use wasmtime::Config;

/// Sets the target, `None` for the host, and the CPU.
///
/// Invariant: the triple is left out of `config` only for the host's own features, the one case in
/// which Wasmtime looks at the machine.
pub(crate) fn set(config: &mut Config, target: Option<&str>, cpu: &str) -> Result<(), Error> {
    let host = Triple::host();
    let triple = match target {
        Some(target) => parse(target)?,
        None => host.clone(),
    };
    let builder = isa::lookup(triple.clone()).map_err(|error| Error::Target {
        target: triple.to_string(),
        problem: error.to_string(),
    })?;
    let same_machine = triple.architecture == host.architecture
        && triple.operating_system == host.operating_system;
    if cpu == "native" {
        if !same_machine {
            return Err(unknown(cpu, &triple, same_machine, &builder));
        }
        return Ok(());
    }
    config.target(&triple.to_string()).map_err(|error| Error::Target {
        target: triple.to_string(),
        problem: error.to_string(),
    })?;
    if let Architecture::Riscv64(_) = triple.architecture {
        // Wasm has vectors, so a RISC-V without them is no baseline for it.
        enable(config, "has_v");
    }
    if cpu == "baseline" {
        return Ok(());
    }
    if let (Some(core), Architecture::Aarch64(_)) = (Core::by_name(cpu), triple.architecture) {
        core.features().iter().for_each(|feature| enable(config, feature));
        return Ok(());
    }
    let wanted = alias(cpu).unwrap_or(cpu);
    if !names(&builder).any(|name| name == wanted) {
        return Err(unknown(cpu, &triple, same_machine, &builder));
    }
    enable(config, wanted);
    Ok(())
}

/// Feature sets by the names that Halide and compilers use.
fn alias(cpu: &str) -> Option<&'static str> {
    match cpu {
        "sse4.1" => Some("sse41"),
        "sse4.2" => Some("sse42"),
        "avx" => Some("sandybridge"),
        "avx2" => Some("x86-64-v3"),
        "avx512" => Some("x86-64-v4"),
        _ => None,
    }
}

fn enable(config: &mut Config, flag: &str) {
    // SAFETY: `flag` is a CPU or feature that the target's settings declare, so the only way to go
    // wrong is to run the code on a machine without it, and Wasmtime checks that at load time.
    unsafe {
        config.cranelift_flag_enable(flag);
    }
}

/// A full triple, or an architecture alone, which then means Linux.
fn parse(target: &str) -> Result<Triple, Error> {
    let refuse = |problem: String| Error::Target { target: target.to_owned(), problem };
    let text = match target {
        "riscv64" | "riscv64gc" => "riscv64gc-unknown-linux-gnu".to_owned(),
        "x86-64" => "x86_64-unknown-linux-gnu".to_owned(),
        _ if !target.contains('-') => format!("{target}-unknown-linux-gnu"),
        _ => target.to_owned(),
    };
    Triple::from_str(&text).map_err(|error| refuse(format!("{error}; give a triple")))
}

/// Features and CPUs that the target knows.
fn names(builder: &isa::Builder) -> impl Iterator<Item = &'static str> {
    builder
        .iter()
        .filter(|setting| matches!(setting.kind, SettingKind::Preset | SettingKind::Bool))
        .map(|setting| setting.name)
}

fn unknown(cpu: &str, triple: &Triple, same_machine: bool, builder: &isa::Builder) -> Error {
    let mut known: Vec<&str> = names(builder).collect();
    if let Architecture::Aarch64(_) = triple.architecture {
        known.extend(Core::ALL.map(Core::name));
    }
    known.sort_unstable();
    Error::Cpu {
        cpu: cpu.to_owned(),
        target: triple.to_string(),
        native: if same_machine { "native, " } else { "" },
        known: known.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiles(target: Option<&str>, cpu: &str) -> Result<(), Error> {
        let mut config = Config::new();
        set(&mut config, target, cpu)?;
        let wat = r#"(module (memory 1) (func (param i32) (result v128)
            (i16x8.add (v128.load (local.get 0)) (i16x8.splat (local.get 0)))))"#;
        wasmtime::Engine::new(&config)?.precompile_module(wat.as_bytes())?;
        Ok(())
    }

    #[test]
    fn targets_compile_vectors() {
        for (target, cpu) in [
            (None, "native"),
            (None, "baseline"),
            (Some("x86_64"), "avx2"),
            (Some("x86_64"), "avx512"),
            (Some("x86_64"), "sse4.1"),
            (Some("x86_64-unknown-linux-gnu"), "skylake"),
            (Some("aarch64"), "baseline"),
            (Some("aarch64-apple-darwin"), "baseline"),
            (Some("aarch64"), "neoverse-v2"),
            (Some("aarch64"), "cortex-a76"),
            (Some("riscv64"), "baseline"),
            (Some("riscv64gc"), "has_zvl256b"),
            (Some("s390x"), "baseline"),
        ] {
            compiles(target, cpu).unwrap_or_else(|error| panic!("{target:?} {cpu}: {error}"));
        }
    }

    #[test]
    fn what_does_not_exist_is_refused_by_name() {
        let error = |target, cpu| compiles(target, cpu).unwrap_err().to_string();
        assert!(error(Some("pdp11"), "baseline").starts_with("target `pdp11`: "));
        assert!(error(Some("mips-unknown-linux-gnu"), "baseline").contains("mips"));
        assert!(error(Some("aarch64"), "native").starts_with("cpu `native` is not known"));
        let text = error(Some("x86_64"), "z80");
        assert!(text.starts_with("cpu `z80` is not known") && text.contains("haswell"), "{text}");
    }
}
