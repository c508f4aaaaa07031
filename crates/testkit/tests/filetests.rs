//! One test for each file below `filetests/`, and one for the rules that no file tests.

use egraft_testkit::filetest::{self, Coverage, Mode};
use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (mode, files) =
        match Mode::from_env().and_then(|mode| Ok((mode, filetest::files(&root())?))) {
            Ok(found) => found,
            Err(error) => {
                eprintln!("filetests: {error}");
                return ExitCode::FAILURE;
            }
        };
    let mut trials: Vec<Trial> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
            let path = path.clone();
            Trial::test(name, move || Ok(filetest::run(&path, mode)?)).with_kind("filetest")
        })
        .collect();
    trials.push(Trial::test("every_rule_has_a_filetest", move || every_rule(&files, mode)));
    libtest_mimic::run(&arguments, trials).exit_code()
}

const UNCOVERED_HEAD: &str = "\
# Rules without a filetest in which they fire and another in which they must not, though they nearly
# match. EGRAFT_BLESS=1 cargo test writes this list.
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../filetests")
}

/// Every rule fires in one function and must not in another, but for those that
/// `filetests/rules/UNCOVERED` lists; and that list is exact.
fn every_rule(files: &[PathBuf], mode: Mode) -> Result<(), Failed> {
    let mut coverage = Coverage::default();
    for path in files {
        coverage.merge(filetest::coverage(path)?);
    }
    let lacking = coverage.lacking();
    let path = root().join("rules/UNCOVERED");
    if mode == Mode::Bless {
        let names: Vec<&str> = lacking.iter().copied().collect();
        let text = format!("{UNCOVERED_HEAD}{}\n", names.join("\n"));
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let listed: BTreeSet<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    println!("{} rules lack a filetest that fires or a near miss", lacking.len());
    let missing: Vec<_> = lacking.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&lacking).collect();
    if missing.is_empty() && stale.is_empty() {
        return Ok(());
    }
    Err(Failed::from(format!(
        "rules without a filetest where they fire and a near miss: {missing:?}\n\
         listed in {} but covered, or not a rule: {stale:?}",
        path.display()
    )))
}
