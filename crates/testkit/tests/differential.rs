//! A second of each differential fuzzer, with fixed seeds. `--features slow` runs a hundred times
//! as many cases.

use egraft_testkit::fuzz::{bytes_of, check, minimise_and_save};
use egraft_testkit::generate::Kind;
use egraft_testkit::oracle::{Oracle, Verdict};
use egraft_testkit::tally::Tally;

/// Higher efforts take up to minutes on some of these modules, so they are left to the soak run.
const MAX_EFFORT: u8 = 1;

fn run(kind: Kind, cases: u64) {
    let cases = if cfg!(feature = "slow") { 100 * cases } else { cases };
    let mut oracle = Oracle::with_max_effort(MAX_EFFORT);
    let mut tally = Tally::default();
    for index in 0..cases {
        let bytes = bytes_of(kind, 0x5eed, index);
        let verdict = check(&mut oracle, kind, &bytes);
        tally.add(&verdict);
        if let Verdict::Failed(failure) = verdict {
            eprintln!("case {index}: {failure}; looking for a smaller case");
            let name = format!("test-{index}");
            let path = minimise_and_save(&mut oracle, kind, &name, &bytes, 100).unwrap();
            panic!("case {index}: {failure}\nsaved as {}.*", path.display());
        }
    }
    println!("{kind}, efforts up to {MAX_EFFORT}: {tally}");
    assert_eq!(tally.idle(), None, "{tally}");
}

#[test]
fn halide_like_modules_behave_as_in_stock_wasmtime() {
    run(Kind::Halide, 24);
}

#[test]
fn loops_at_the_ends_of_memory() {
    run(Kind::Loops, 24);
}

#[test]
fn any_modules_behave_as_in_stock_wasmtime() {
    run(Kind::Smith, 120);
}
