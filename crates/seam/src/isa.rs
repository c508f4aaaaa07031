//! Rebuilds the ISA that Wasmtime compiles with from what an [`Engine`] tells about itself.
//!
//! Wasmtime does not hand its ISA out. Its getters give every flag a `Config` method can set and
//! every flag set by name; the rest is fixed. One thing is hidden, whether the host's CPU features
//! were inferred, so there are up to two candidates. A candidate is a guess until a captured
//! function's recomputed key equals the key Wasmtime asked for; the caller makes that comparison.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, SetError};
use std::str::FromStr;
use target_lexicon::Triple;
use wasmtime::{Engine, OptLevel, RegallocAlgorithm};

/// The ISAs `engine` may be compiling with, likeliest first.
///
/// # Errors
/// Text that says which target or flag this build of Cranelift does not have.
pub(crate) fn candidates(engine: &Engine) -> Result<Vec<OwnedTargetIsa>, String> {
    let target = engine.get_target().ok_or("the engine has no compiler")?;
    let triple = Triple::from_str(&target).map_err(|error| format!("target {target}: {error}"))?;
    let inferences: &[bool] = if triple == Triple::host() { &[true, false] } else { &[false] };
    inferences.iter().map(|&infer| build(engine, &triple, infer)).collect()
}

fn build(engine: &Engine, triple: &Triple, infer: bool) -> Result<OwnedTargetIsa, String> {
    let mut target =
        isa::lookup(triple.clone()).map_err(|error| format!("target {triple}: {error}"))?;
    if infer {
        cranelift_native::infer_native_flags(&mut target)?;
    }
    let mut flags = Flags { shared: settings::builder(), target };

    // What Wasmtime's builders start from, overridden by flags set by name.
    flags.set("enable_verifier", "false")?;
    flags.set("opt_level", "speed")?;
    for (name, value) in engine.get_cranelift_flags_set() {
        // These steer Wasmtime itself and never reach Cranelift.
        if !name.starts_with("wasmtime_") {
            flags.set(name, value)?;
        }
    }

    // What `Config` methods set, read back from the compiler.
    if let Some(level) = engine.get_cranelift_opt_level() {
        let level = match level {
            OptLevel::None => "none",
            OptLevel::Speed => "speed",
            OptLevel::SpeedAndSize => "speed_and_size",
            other => return Err(format!("unknown optimization level {other:?}")),
        };
        flags.set("opt_level", level)?;
    }
    if let Some(algorithm) = engine.get_cranelift_regalloc_algorithm() {
        let algorithm = match algorithm {
            RegallocAlgorithm::Backtracking => "backtracking",
            RegallocAlgorithm::SinglePass => "single_pass",
            other => return Err(format!("unknown register allocator {other:?}")),
        };
        flags.set("regalloc_algorithm", algorithm)?;
    }
    let switches = [
        ("enable_verifier", engine.get_cranelift_debug_verifier()),
        ("enable_nan_canonicalization", engine.get_cranelift_nan_canonicalization()),
        ("unwind_info", engine.get_native_unwind_info()),
    ];
    for (name, value) in switches {
        if let Some(value) = value {
            flags.set(name, if value { "true" } else { "false" })?;
        }
    }
    if !engine.get_signals_based_traps() {
        flags.set("enable_heap_access_spectre_mitigation", "false")?;
        flags.set("enable_table_access_spectre_mitigation", "false")?;
    }

    // What Wasmtime sets for every engine.
    flags.set("probestack_strategy", "inline")?;
    flags.set("preserve_frame_pointers", "true")?;
    for name in engine.get_cranelift_flags_enabled() {
        flags.enable(name)?;
    }
    flags.set("enable_probestack", "true")?;
    flags.set("enable_multi_ret_implicit_sret", "true")?;

    flags
        .target
        .finish(settings::Flags::new(flags.shared))
        .map_err(|error| format!("target {triple}: {error}"))
}

/// A flag belongs to all targets or to one; the name alone does not tell which.
struct Flags {
    shared: settings::Builder,
    target: isa::Builder,
}

impl Flags {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match self.shared.set(name, value) {
            Err(SetError::BadName(_)) => self.target.set(name, value),
            other => other,
        }
        .map_err(|error| format!("flag {name}={value}: {error}"))
    }

    fn enable(&mut self, name: &str) -> Result<(), String> {
        match self.shared.enable(name) {
            Err(SetError::BadName(_)) => self.target.enable(name),
            other => other,
        }
        .map_err(|error| format!("flag {name}: {error}"))
    }
}
