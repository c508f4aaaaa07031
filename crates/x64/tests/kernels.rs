//! Every bundled Halide kernel, at every size of its descriptor: outputs equal stock Wasmtime's to
//! the bit, with AVX-512 where the machine has it, and with AVX2. Prints how many functions the
//! backend takes, and why it refuses others.

mod common;

use egraft_kernels::{Instance, Kernel, first_difference};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasmtime::{Config, Engine, Module};

/// The fewest kernels the folder may have.
const FEWEST_KERNELS: usize = 28;

#[derive(Default)]
struct Tally {
    taken: usize,
    refused: BTreeMap<String, usize>,
    compared: usize,
    failures: Vec<String>,
}

/// Runs one kernel at every size under both compilers.
fn compare(path: &Path, config: &Config, engine: &Engine, tally: &Mutex<Tally>) {
    let kernel = Kernel::read(path).unwrap();
    let name = &kernel.name;
    let wasm = kernel.read_wasm().unwrap();
    let expected = Module::new(engine, &wasm).unwrap();
    let (module, backend) = common::compile(config, engine, &wasm);
    let mut failures = Vec::new();
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
            Ok(mut instance) => {
                if let Some(difference) = first_difference(&instance.outputs(), &outputs, None) {
                    failures.push(format!("{name}, size {size}: {difference}"));
                }
            }
            Err(error) => failures.push(error),
        }
    }
    let mut tally = tally.lock().unwrap();
    tally.taken += backend.taken.into_inner().unwrap();
    for (_, error) in backend.refused.into_inner().unwrap() {
        *tally.refused.entry(error.what).or_default() += 1;
    }
    tally.compared += kernel.sizes.len();
    tally.failures.extend(failures);
}

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

    let tally = Mutex::new(Tally::default());
    for config in [Some(common::config()), common::config_of_avx2()].into_iter().flatten() {
        let engine = Engine::new(&config).unwrap();
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                        compare(path, &config, &engine, &tally);
                    }
                });
            }
        });
    }
    let Tally { taken, refused, compared, failures } = tally.into_inner().unwrap();
    let stock: usize = refused.values().sum();
    println!("{compared} runs; {taken} of {} functions taken", taken + stock);
    for (what, count) in &refused {
        println!("{count:6} refused: {what}");
    }
    let own_faults = ["encoding", "register allocation"];
    let fault = refused.keys().find(|what| own_faults.iter().any(|own| what.starts_with(own)));
    assert_eq!(fault, None, "code was selected that cannot be made");
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(taken > 0, "no function was compiled, so nothing was compared");
}
