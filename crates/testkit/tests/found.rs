//! Modules that fuzzing found something with, each behaving as in stock Wasmtime since.

use egraft_testkit::oracle::{Oracle, Verdict};
use egraft_testkit::settings::Settings;
use std::path::Path;

fn check(name: &str, settings: Settings) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/found").join(name);
    let wasm = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match Oracle::default().check(&settings, &wasm, 0) {
        Verdict::Accepted(accepted) => assert!(accepted.replaced > 0, "{name}: {accepted:?}"),
        verdict => panic!("{name}: {verdict:?}"),
    }
}

/// A byte shuffle was chosen for a processor that has none, and Wasmtime links no library function.
#[test]
fn library_call() {
    check("library_call.wasm", Settings { baseline_cpu: true, ..Settings::default() });
}

/// An equal constant elsewhere read the lanes of a conversion that no target lowers alone.
#[test]
fn half_conversion() {
    check("half_conversion.wasm", Settings::default());
}

/// Stock Cranelift gives the fault of a load that is only extended the place of the extension.
#[test]
fn fault_of_an_extended_load() {
    check("fault_of_an_extended_load.wasm", Settings::default());
}

/// A chain of inserted lanes went on through a bitcast, to lanes of another width.
#[test]
fn lanes_through_a_bitcast() {
    check("lanes_through_a_bitcast.wasm", Settings::default());
}
