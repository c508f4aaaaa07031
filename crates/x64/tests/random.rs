//! Random modules: of any kind, and with loops of vector code like Halide's, under configurations
//! that change what CLIF Wasmtime makes. Results, traps, their frames, memories, globals and fuel
//! equal stock Wasmtime's.
//!
//! `EGRAFT_X64_CASES=5000 cargo test -p egraft-x64 --test random` runs more cases than the default.

mod common;

use common::state::{Side, argument, compare_call};
use egraft_testkit::fuzz::{Case, bytes_of};
use egraft_testkit::generate::Kind;
use egraft_x64::{Options, Version};
use std::collections::BTreeMap;
use wasmtime::{Engine, Module, Val};

/// Cases of each kind in a plain `cargo test`.
const CASES: u64 = 60;
/// Calls of each module, at least.
const CALLS: usize = 6;

#[derive(Default)]
struct Counts {
    modules: usize,
    calls: usize,
    traps: usize,
    taken: usize,
    versions: usize,
    refused: BTreeMap<String, usize>,
    skipped: usize,
}

fn check(case: &Case, version: Version, counts: &mut Counts) -> Result<(), String> {
    let config = case.settings.config();
    let Ok(engine) = Engine::new(&config) else { return Ok(()) };
    let Ok(stock) = Module::new(&engine, &case.wasm) else {
        counts.skipped += 1;
        return Ok(());
    };
    let options = Options { version, ..Options::default() };
    let (ours, backend) = common::compile_with(&config, &engine, &case.wasm, options);
    counts.taken += *backend.taken.lock().unwrap();
    counts.versions += *backend.versions.lock().unwrap();
    for (_, error) in backend.refused.lock().unwrap().iter() {
        *counts.refused.entry(error.what.clone()).or_default() += 1;
    }
    let (stock_side, our_side) = (Side::new(&engine, &stock), Side::new(&engine, &ours));
    let mut sides = match (stock_side, our_side) {
        (Ok(one), Ok(other)) => [one, other],
        (Err(_), Err(_)) => {
            counts.skipped += 1;
            return Ok(());
        }
        (one, other) => {
            return Err(format!("instantiation: {:?} but {:?}", one.err(), other.err()));
        }
    };
    let functions: Vec<String> = stock
        .exports()
        .filter(|export| export.ty().func().is_some())
        .map(|export| export.name().to_string())
        .collect();
    counts.modules += 1;
    let mut number = case.seed;
    for name in functions.iter().cycle().take(if functions.is_empty() {
        0
    } else {
        CALLS.max(functions.len())
    }) {
        let params = stock.get_export(name).unwrap().func().unwrap().clone();
        let args: Vec<Val> = params
            .params()
            .map(|ty| {
                number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                argument(&ty, number >> 33)
            })
            .collect();
        let ending = compare_call(&mut sides, name, &args)?;
        counts.calls += 1;
        counts.traps += usize::from(matches!(ending, common::state::Ending::Trap(..)));
        if ending.overflowed() {
            break;
        }
    }
    Ok(())
}

fn run(kind: Kind, cases: u64) -> Counts {
    if !common::supported() {
        eprintln!("skipped: this machine has no AVX2, BMI1 or BMI2");
        return Counts { versions: 1, ..Counts::default() };
    }
    let given = std::env::var("EGRAFT_X64_CASES").ok();
    let cases = given.map_or(cases, |text| text.parse().expect("a number of cases"));
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for index in 0..cases {
        let bytes = bytes_of(kind, 0x64, index);
        let Some(mut case) = Case::from_bytes(kind, &bytes) else { continue };
        // A target without AVX2 would only show that everything is refused.
        case.settings.baseline_cpu = false;
        // Whether a version of a loop pays is not what is tested here.
        let version = if index % 4 == 0 { Version::Paying } else { Version::Always };
        if let Err(error) = check(&case, version, &mut counts) {
            let file = std::env::temp_dir().join(format!("egraft-x64-{kind}-{index}.wasm"));
            let _ = std::fs::write(&file, &case.wasm);
            failures.push(format!("{kind} case {index} ({:?}): {error}", case.settings));
        }
    }
    println!(
        "{kind}: {} modules, {} calls, {} traps, {} functions taken, {} loops with two versions, {} skipped, refused: {:?}",
        counts.modules,
        counts.calls,
        counts.traps,
        counts.taken,
        counts.versions,
        counts.skipped,
        counts.refused
    );
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(counts.calls > 0 && counts.taken > 0, "nothing was compared");
    counts
}

#[test]
fn anything_valid() {
    run(Kind::Smith, CASES);
}

#[test]
fn vector_loops() {
    run(Kind::Halide, CASES);
}

#[test]
fn loops_behave_as_stock() {
    assert!(run(Kind::Loops, 4 * CASES).versions > 0, "no loop has two versions");
}
