//! Every bundled Halide kernel, at every size of its descriptor: Egraft's outputs equal stock
//! Wasmtime's to the bit. And every kernel compiles for the other targets.

use egraft::ConfigExt;
use egraft_kernels::{Instance, Kernel, first_difference};
use std::path::Path;
use wasmtime::{Config, Engine, Module};

/// The fewest kernels the folder may have.
const FEWEST_KERNELS: usize = 28;
/// The fewest sizes of each kernel.
const FEWEST_SIZES: usize = 3;

fn kernels() -> Vec<Kernel> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kernels");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    let kernels: Vec<Kernel> = paths
        .iter()
        .map(|path| Kernel::read(path).unwrap_or_else(|error| panic!("{error}")))
        .collect();
    assert!(kernels.len() >= FEWEST_KERNELS, "{} kernels", kernels.len());
    kernels
}

#[test]
fn outputs_equal_stock_to_the_bit() {
    let stock = Engine::default();
    let mut config = Config::new();
    let handle = config.egraft(egraft::Options::default()).unwrap();
    let engine = Engine::new(&config).unwrap();
    let (mut compared, mut functions, mut taken) = (0, 0, 0);
    for kernel in kernels() {
        let name = &kernel.name;
        assert!(kernel.sizes.len() >= FEWEST_SIZES, "{name} has {} sizes", kernel.sizes.len());
        let wasm = kernel.read_wasm().unwrap();
        let expected = Module::new(&stock, &wasm).unwrap();
        let (module, report) = handle.module(&engine, &wasm).unwrap();
        assert_eq!(report.stock_module, None, "{name}");
        functions += report.wasm_functions().count();
        taken += report.taken();
        for size in 0..kernel.sizes.len() {
            let run = |module: &Module| {
                let mut instance = Instance::new(module, &kernel, size)
                    .unwrap_or_else(|error| panic!("{name}, size {size}: {error}"));
                instance.prepare();
                instance.call().unwrap_or_else(|error| panic!("{name}, size {size}: {error}"));
                instance
            };
            let outputs = run(&expected).outputs();
            if let Some(difference) = first_difference(&run(&module).outputs(), &outputs, None) {
                panic!("{name}, size {size}: {difference}");
            }
            compared += 1;
        }
    }
    println!("{compared} runs equal; {taken} of {functions} functions taken");
    assert!(compared >= FEWEST_KERNELS * FEWEST_SIZES);
    assert!(taken > 0, "no function of any kernel is Egraft's, so nothing was compared");
}

#[test]
fn every_kernel_compiles_for_other_targets() {
    let mut compiled = 0;
    for target in ["aarch64", "riscv64gc"] {
        let mut config = Config::new();
        config.egraft_target(Some(target), "baseline").unwrap();
        let mut taken = 0;
        for kernel in kernels() {
            let wasm = kernel.read_wasm().unwrap();
            let module = egraft::compile(&config, &egraft::Options::default(), &wasm)
                .unwrap_or_else(|error| panic!("{} for {target}: {error}", kernel.name));
            let report = module.report;
            assert_eq!(report.stock_module, None, "{} for {target}", kernel.name);
            taken += report.taken();
            compiled += 1;
        }
        println!("{target}: {taken} functions taken");
    }
    assert!(compiled >= 2 * FEWEST_KERNELS);
}
