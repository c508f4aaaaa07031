//! A second of each differential fuzzer, with fixed seeds. `--features slow` runs a hundred times
//! as many cases.

use egraft_testkit::fuzz::{bytes_of, check, minimise, save};
use egraft_testkit::generate::Kind;
use egraft_testkit::oracle::{Oracle, Verdict};
use egraft_testkit::tally::Tally;

fn run(kind: Kind, cases: u64) {
    let cases = if cfg!(feature = "slow") { 100 * cases } else { cases };
    let mut oracle = Oracle::default();
    let mut tally = Tally::default();
    for index in 0..cases {
        let bytes = bytes_of(kind, 0x5eed, index);
        let verdict = check(&mut oracle, kind, &bytes);
        tally.add(&verdict);
        if let Verdict::Failed(failure) = verdict {
            eprintln!("case {index}: {failure}; looking for a smaller case");
            let small = minimise(&mut oracle, kind, &bytes, 300);
            let path = save(kind, &format!("test-{index}"), &small, &failure).unwrap();
            panic!("case {index}: {failure}\nsaved as {}.*", path.display());
        }
    }
    println!("{kind}: {tally}");
    assert_eq!(tally.idle(), None, "{tally}");
}

#[test]
fn halide_like_modules_behave_as_in_stock_wasmtime() {
    run(Kind::Halide, 40);
}

#[test]
fn any_modules_behave_as_in_stock_wasmtime() {
    run(Kind::Smith, 120);
}
