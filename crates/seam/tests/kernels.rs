//! The seam is faithful on real input: for every bundled kernel the captured CLIF, recompiled by
//! stock Cranelift, gives stock Wasmtime's `.cwasm` to the byte.

mod common;

use common::{Tally, Wanting, assert_identity, assert_identity_of, stock_reasons};
use egraft_seam::BodySummary;
use std::path::{Path, PathBuf};
use wasmtime::Config;

fn kernels() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kernels");
    let mut kernels: Vec<_> = std::fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "wasm"))
        .collect();
    kernels.sort();
    assert!(!kernels.is_empty(), "no kernel in {}", directory.display());
    kernels
}

#[test]
fn seam_identity() {
    let kernels = kernels();
    let mut tally = Tally::default();
    for kernel in &kernels {
        let wasm = std::fs::read(kernel).unwrap();
        let what = kernel.display().to_string();
        let report = assert_identity(&what, &Config::new(), &wasm);
        assert!(stock_reasons(&report).is_empty(), "{what}: {report:?}");
        assert!(report.replaced() > 0, "{what}: nothing was compared");
        tally.add(&report);
    }
    println!("{} kernels, {} functions, all identical", tally.modules, tally.replaced);
    assert_eq!(tally.modules, kernels.len());
}

#[test]
fn selected_functions_of_kernels_are_all_taken_in_parallel() {
    let vector = Wanting(|body: &BodySummary| body.vector_loops > 0);
    let mut tally = Tally::default();
    for kernel in kernels() {
        let wasm = std::fs::read(&kernel).unwrap();
        let what = kernel.display().to_string();
        let report = assert_identity_of(&what, &Config::new(), &wasm, &vector);
        let unwanted = stock_reasons(&report);
        assert!(unwanted.iter().all(|reason| **reason == common::unwanted()), "{what}: {report:?}");
        assert!(report.replaced() + unwanted.len() > 50, "{what}: functions are missing");
        tally.add(&report);
    }
    println!("{} kernels, {} functions, all identical", tally.modules, tally.replaced);
    assert!(tally.replaced > tally.modules / 2, "{tally:?}");
}
