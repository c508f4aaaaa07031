//! Every bundled kernel compiles to the same bytes with either matcher.

mod common;

use egraft::{Effort, Matcher, Options};
use egraft_gpu::{Status, status};
use std::path::Path;
use wasmtime::Config;

#[test]
fn kernels_are_the_same_to_the_byte() {
    if common::open().is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kernels");
    let mut kernels: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    kernels.sort();
    for kernel in &kernels {
        let wasm = std::fs::read(kernel).unwrap();
        let [cpu, gpu] = [Matcher::Cpu, Matcher::Gpu].map(|matcher| {
            let options = Options::default().effort(Effort::Saturate).matcher(matcher);
            let compiled = egraft::compile(&Config::new(), &options, &wasm).unwrap();
            assert_eq!(compiled.report.warnings(), Vec::<String>::new());
            compiled.cwasm
        });
        assert!(cpu == gpu, "{}", kernel.display());
    }
    assert!(kernels.len() >= 59 && matches!(status(), Status::Used(_)), "{:?}", status());
}
