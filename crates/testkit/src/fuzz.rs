//! From bytes to a verdict: the same function for a second in `cargo test`, for hours in
//! `examples/soak.rs` and under libFuzzer.

use crate::choices::Choices;
use crate::generate::{Kind, generate};
use crate::oracle::{Failure, Oracle, Skip, Verdict};
use crate::settings::Settings;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use std::cell::RefCell;
use std::io;
use std::path::{Path, PathBuf};

/// Everything that one case is made of.
#[derive(Clone, Debug)]
pub struct Case {
    /// The configuration.
    pub settings: Settings,
    /// Decides arguments and memory.
    pub seed: u64,
    /// The module.
    pub wasm: Vec<u8>,
}

impl Case {
    /// The case that `bytes` make; `None` if they make no module.
    pub fn from_bytes(kind: Kind, bytes: &[u8]) -> Option<Case> {
        let mut choices = Choices::new(bytes);
        let settings = Settings::draw(&mut choices);
        let seed = choices.wide() as u64;
        let wasm = generate(kind, &mut choices)?;
        Some(Case { settings, seed, wasm })
    }
}

/// Makes the case of `bytes` and judges it.
pub fn check(oracle: &mut Oracle, kind: Kind, bytes: &[u8]) -> Verdict {
    match Case::from_bytes(kind, bytes) {
        Some(case) => oracle.check(&case.settings, &case.wasm, case.seed),
        None => Verdict::Skipped(Skip::NoModule),
    }
}

/// [`check`] for libFuzzer: panics where something differs and keeps its engines for the next call.
///
/// # Panics
/// If Egraft and stock Wasmtime differ; the message says in what.
pub fn check_or_panic(kind: Kind, bytes: &[u8]) {
    thread_local! {
        static ORACLE: RefCell<Oracle> = RefCell::default();
    }
    let verdict = ORACLE.with_borrow_mut(|oracle| check(oracle, kind, bytes));
    if let Verdict::Failed(failure) = verdict {
        panic!("{kind}: {failure}");
    }
}

/// The bytes of case number `index` of a run with `seed`.
pub fn bytes_of(kind: Kind, seed: u64, index: u64) -> Vec<u8> {
    let mut random = SmallRng::seed_from_u64(seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let len = kind.good_len();
    let mut bytes = vec![0; random.random_range(len / 8..=len)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Looks for shorter and plainer bytes that fail too, trying at most `tries` cases. The failure may
/// become another one.
pub fn minimise(oracle: &mut Oracle, kind: Kind, bytes: &[u8], tries: usize) -> Vec<u8> {
    let mut best = bytes.to_vec();
    let mut left = tries;
    let mut fails = |bytes: &[u8]| {
        left = left.checked_sub(1)?;
        Some(matches!(check(oracle, kind, bytes), Verdict::Failed(_)))
    };
    let mut step = best.len() / 2;
    while step > 0 {
        while best.len() > step {
            match fails(&best[..best.len() - step]) {
                Some(true) => best.truncate(best.len() - step),
                Some(false) => break,
                None => return best,
            }
        }
        step /= 2;
    }
    // Chunks set to zero make first choices, chunks cut out move the rest up.
    for width in [64, 16, 4, 1] {
        let mut at = 0;
        while at < best.len() {
            let end = best.len().min(at + width);
            let cut = [&best[..at], &best[end..]].concat();
            let mut plain = best.clone();
            plain[at..end].fill(0);
            match fails(&cut) {
                Some(true) => {
                    best = cut;
                    continue;
                }
                Some(false) => {}
                None => return best,
            }
            if plain != best {
                match fails(&plain) {
                    Some(true) => best = plain,
                    Some(false) => {}
                    None => return best,
                }
            }
            at = end;
        }
    }
    best
}

/// Makes a failing case smaller and saves it with what differs in the small one; gives the path as
/// [`save`] does.
///
/// # Errors
/// The operating system's error.
pub fn minimise_and_save(
    oracle: &mut Oracle,
    kind: Kind,
    name: &str,
    bytes: &[u8],
    tries: usize,
) -> io::Result<PathBuf> {
    let small = minimise(oracle, kind, bytes, tries);
    match check(oracle, kind, &small) {
        Verdict::Failed(failure) => save(kind, name, &small, &failure),
        _ => Err(io::Error::other("the case fails now and then only")),
    }
}

/// Where failing cases are kept.
pub fn failures_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/egraft-failures")
}

/// Writes a failing case as bytes, wasm, text and a note into [`failures_dir`] and returns the path
/// they share, without extension.
///
/// # Errors
/// The operating system's error.
pub fn save(kind: Kind, name: &str, bytes: &[u8], failure: &Failure) -> io::Result<PathBuf> {
    let directory = failures_dir();
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(format!("{kind}-{name}"));
    let write = |extension: &str, contents: &[u8]| {
        let temporary = path.with_extension(format!("{extension}.tmp"));
        std::fs::write(&temporary, contents)?;
        std::fs::rename(temporary, path.with_extension(extension))
    };
    write("bytes", bytes)?;
    if let Some(case) = Case::from_bytes(kind, bytes) {
        write("wasm", &case.wasm)?;
        if let Ok(text) = wasmprinter::print_bytes(&case.wasm) {
            write("wat", text.as_bytes())?;
        }
        let note = format!("{failure}\n{:?}\nseed {:#x}\n", case.settings, case.seed);
        write("txt", note.as_bytes())?;
    }
    Ok(path)
}
