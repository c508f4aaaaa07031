//! Random functions in which left sides of many lowering rules meet: stock's code and Egraft's compute the same bits.
//!
//! `EGRAFT_FUNCTIONS=N` compares N functions.

#[path = "common/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod common;
#[path = "common/sample.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod sample;

use common::{Job, can_run, run};
use egraft_aarch64::{Core, Options, compile};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use sample::{EXTENSIONS, Sample, isa, operands, plain};

/// Functions in one program, and calls of each.
const BATCH: u64 = 1000;
const CALLS: usize = 6;

#[test]
fn random_functions_compute_what_stock_code_does() {
    if !can_run() {
        return;
    }
    let functions = std::env::var("EGRAFT_FUNCTIONS")
        .map_or(1000, |count| count.parse::<u64>().expect("EGRAFT_FUNCTIONS is a number"));
    // In one part of the functions products of mixed signs have no instruction.
    let isas = [&EXTENSIONS[..], &EXTENSIONS[..1]].map(isa);
    let own = plain();
    let stock = Options { cover: false, pair: false, ..own };
    let (mut compared, mut chosen) = (0, 0);
    let mut seed = 0;
    while compared < functions {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut jobs = Vec::new();
        let mut seeds = Vec::new();
        while seeds.len() < BATCH as usize {
            seed += 1;
            let Some(func) = Sample::of_many(seed) else { continue };
            let isa = &isas[usize::from(seed % 8 > 5)];
            // Half of them as the mid-end leaves them, and most of them tuned for some core.
            let optimize = seed % 2 == 0;
            let core = Core::ALL.get(seed as usize / 2 % (Core::ALL.len() + 1)).copied();
            let covered = compile(&[&func], &**isa, &Options { optimize, core, ..own })
                .unwrap_or_else(|error| panic!("seed {seed}: {error}\n{func}"));
            if covered.chosen.is_empty() {
                continue;
            }
            chosen += covered.chosen.values().sum::<usize>();
            let stock = compile(&[&func], &**isa, &stock).expect("stock compiles it");
            let operands = operands(&mut rng, CALLS);
            jobs.push(Job { code: stock.code, operands: operands.clone() });
            jobs.push(Job { code: covered.code, operands });
            seeds.push(seed);
        }
        let results = run("random", &jobs);
        for ((job, pair), seed) in jobs.chunks(2).zip(results.chunks(2)).zip(&seeds) {
            if pair[0] != pair[1] {
                let func = Sample::of_many(*seed).expect("it was made before");
                panic!("seed {seed}: {:x?}\n{:x?}\n{func}", job[0].operands, pair);
            }
        }
        compared += seeds.len() as u64;
    }
    println!("{compared} functions, {chosen} instructions beyond stock's");
    assert!(chosen > 2 * compared as usize, "{chosen} instructions in {compared} functions");
}
