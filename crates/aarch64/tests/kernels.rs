//! All bundled kernels: what they leave in memory when stock Cranelift's AArch64 code runs, and Egraft's, is what stock x86-64 code
//! leaves, to the bit.
//!
//! The smallest size of each; `EGRAFT_SIZES=all` runs all.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod common;
#[path = "common/instance.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod instance;

use common::can_run;
use egraft::Effort;
use egraft_kernels::{Instance, Kernel};
use instance::{call, compiled};
use std::path::Path;
use wasmtime::{Engine, Module};

#[test]
fn kernels_leave_what_stock_code_leaves() {
    if !can_run() {
        return;
    }
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/kernels"));
    let all = std::env::var("EGRAFT_SIZES").is_ok_and(|sizes| sizes == "all");
    let only = std::env::var("EGRAFT_KERNEL").ok();
    let mut descriptors: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| only.as_ref().is_none_or(|only| path.ends_with(format!("{only}.json"))))
        .collect();
    descriptors.sort();
    let engine = Engine::default();
    let (mut kernels, mut taken) = (0, 0);
    for descriptor in descriptors {
        let kernel = Kernel::read(&descriptor).expect("a descriptor");
        let wasm = kernel.read_wasm().expect("its module");
        let module = Module::new(&engine, &wasm).expect("it compiles");
        let [stock, own] =
            [Effort::Stock, Effort::Fast].map(|effort| compiled(&wasm, "has_dotprod", effort));
        let functions = own.report.taken();
        taken += usize::from(functions > 0);
        kernels += 1;
        let sizes = kernel.sizes.len();
        let first = if all { 0 } else { sizes - 1 };
        for size in first..sizes {
            let mut host = Instance::new(&module, &kernel, size).expect("a kernel");
            host.prepare();
            let before = host.memory().to_vec();
            let function = (format!("{}_argv", kernel.func), host.arguments());
            host.call().expect("it runs");
            for (who, cwasm) in [("stock", &stock.cwasm), ("egraft", &own.cwasm)] {
                let left = call("kernel", &wasm, cwasm, &before, (&function.0, function.1));
                assert!(left.returned, "{}, size {size}, {who}: it traps", kernel.name);
                assert_eq!(left.results[0] as u32, 0, "{}, size {size}, {who}", kernel.name);
                let expected = host.memory();
                assert_eq!(left.memory.len(), expected.len(), "{}, {who}", kernel.name);
                let differs = left.memory.iter().zip(expected).position(|(a, b)| a != b);
                assert_eq!(differs, None, "{}, size {size}, {who}: memory differs", kernel.name);
            }
        }
        println!("{}: {functions} functions", kernel.name);
    }
    println!("{taken} of {kernels} kernels have Egraft's code");
    assert!(only.is_some() || taken == kernels, "{taken} of {kernels}");
}
