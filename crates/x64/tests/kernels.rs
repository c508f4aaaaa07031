//! Every bundled Halide kernel, at every size of its descriptor: outputs equal stock Wasmtime's to
//! the bit. Prints how many functions the backend takes, and why it refuses others.

mod common;

use egraft_kernels::{Instance, Kernel};
use std::collections::BTreeMap;
use std::path::Path;
use wasmtime::{Engine, Module};

/// The fewest kernels the folder may have.
const FEWEST_KERNELS: usize = 28;

#[test]
fn outputs_equal_stock_to_the_bit() {
    if !common::supported() {
        eprintln!("skipped: this machine has no AVX2, BMI1 or BMI2");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/kernels");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    paths.sort();
    assert!(paths.len() >= FEWEST_KERNELS, "{} kernels", paths.len());

    let config = common::config();
    let engine = Engine::new(&config).unwrap();
    let (mut taken, mut refused, mut compared) = (0, BTreeMap::<String, usize>::new(), 0);
    let mut failures = Vec::new();
    for path in &paths {
        let kernel = Kernel::read(path).unwrap();
        let name = &kernel.name;
        let wasm = kernel.read_wasm().unwrap();
        let expected = Module::new(&engine, &wasm).unwrap();
        let (module, backend) = common::compile(&config, &engine, &wasm);
        taken += *backend.taken.lock().unwrap();
        for (_, error) in backend.refused.lock().unwrap().iter() {
            *refused.entry(error.what.clone()).or_default() += 1;
        }
        for size in 0..kernel.sizes.len() {
            let run = |module: &Module| {
                let mut instance = Instance::new(module, &kernel, size)
                    .map_err(|error| format!("{name}, size {size}: {error}"))?;
                instance.prepare();
                instance.call().map_err(|error| format!("{name}, size {size}: {error}"))?;
                Ok::<_, String>(instance)
            };
            let outputs = run(&expected).unwrap().outputs();
            match run(&module) {
                Ok(instance) => {
                    if let Some(difference) = instance.first_difference(&outputs) {
                        failures.push(format!("{name}, size {size}: {difference}"));
                    }
                }
                Err(error) => failures.push(error),
            }
            compared += 1;
        }
    }
    let stock: usize = refused.values().sum();
    println!("{compared} runs; {taken} of {} functions taken", taken + stock);
    for (what, count) in refused {
        println!("{count:6} refused: {what}");
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(taken > 0, "no function was compiled, so nothing was compared");
}
