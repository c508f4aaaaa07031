//! Runs the CLIF files of `filetests/` through `egraft_lower::optimize` and compares what came of
//! each function with what the file says. Executes no code.
//!
//! A file is a header, then functions with notes above and expectations below them; see
//! docs/testing.md. Invariant: a file that checks nothing fails, and only [`Mode::Bless`] writes.

mod clif;
mod parse;

use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::OwnedTargetIsa;
use egraft_egraph::{RULES, Saturator};
use egraft_lower::{LowerOptions, Outcome, Stats, optimize};
use parse::{Item, Parsed, TestKind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Compare with the file, or rewrite it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Differences are failures.
    Check,
    /// Expectations are written anew; notes about rules are checked all the same.
    Bless,
}

impl Mode {
    /// [`Mode::Bless`] if `EGRAFT_BLESS` is `1`.
    ///
    /// # Errors
    /// A message if `CI` is set too: a machine's output must not become what it is compared with.
    pub fn from_env() -> Result<Mode, String> {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match std::env::var("EGRAFT_BLESS").as_deref() {
            Ok("1") if set("CI") => {
                Err("EGRAFT_BLESS is set where CI is: bless on your own machine and commit"
                    .to_owned())
            }
            Ok("1") => Ok(Mode::Bless),
            Ok("" | "0") | Err(_) => Ok(Mode::Check),
            Ok(other) => Err(format!("EGRAFT_BLESS is `{other}`; it can be 1 or unset")),
        }
    }
}

/// Which rules the files say something about.
#[derive(Clone, Default, Debug)]
pub struct Coverage {
    /// Rules with a function in which they fire.
    pub fires: BTreeSet<String>,
    /// Rules with a function in which they must not.
    pub near_misses: BTreeSet<String>,
}

impl Coverage {
    /// Adds another file's.
    pub fn merge(&mut self, other: Coverage) {
        self.fires.extend(other.fires);
        self.near_misses.extend(other.near_misses);
    }

    /// Rules of the build that lack one of the two.
    pub fn lacking(&self) -> BTreeSet<&'static str> {
        let complete = |rule: &str| self.fires.contains(rule) && self.near_misses.contains(rule);
        RULES.iter().map(|rule| rule.name).filter(|rule| !complete(rule)).collect()
    }
}

/// Every `.clif` file below `directory`, sorted.
///
/// # Errors
/// A message that names the directory that cannot be read.
pub fn files(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        let fail = |error| format!("{}: {error}", directory.display());
        for entry in std::fs::read_dir(&directory).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "clif") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What the notes of the file at `path` claim, without running it.
///
/// # Errors
/// A message with the line if the file is malformed.
pub fn coverage(path: &Path) -> Result<Coverage, String> {
    let parsed = read(path)?.1;
    let mut coverage = Coverage::default();
    for item in &parsed.items {
        coverage.fires.extend(item.fires.iter().cloned());
        coverage.near_misses.extend(item.silent.iter().cloned());
    }
    Ok(coverage)
}

/// Runs the file at `path`.
///
/// # Errors
/// A message that says, function by function, what differs; or what is wrong with the file.
pub fn run(path: &Path, mode: Mode) -> Result<(), String> {
    let (text, parsed) = read(path)?;
    let mut problems = Vec::new();
    let mut expectations = Vec::new();
    for item in &parsed.items {
        match run_item(&parsed, item) {
            Ok((actual, complaints)) => {
                problems.extend(complaints);
                if mode == Mode::Check && parsed.kind == TestKind::Optimize {
                    problems.extend(compare(item, &actual));
                }
                expectations.push(actual);
            }
            Err(problem) => {
                problems.push(format!("line {}: {problem}", item.line));
                expectations.push(item.expected.clone().unwrap_or_default());
            }
        }
    }
    if mode == Mode::Bless && parsed.kind == TestKind::Optimize {
        let blessed = parsed.with_expectations(&text, &expectations);
        if blessed != text {
            write(path, &blessed)?;
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn read(path: &Path) -> Result<(String, Parsed), String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parsed = Parsed::new(&text).map_err(|error| format!("{}:{error}", path.display()))?;
    Ok((text, parsed))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let temporary = path.with_extension("clif.tmp");
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The function of an item, and what it is compiled for.
fn function(parsed: &Parsed, item: &Item) -> Result<(Function, OwnedTargetIsa), String> {
    let mut functions =
        cranelift_reader::parse_functions(&item.text).map_err(|error| error.to_string())?;
    let (Some(mut func), true) = (functions.pop(), functions.is_empty()) else {
        return Err("not one function".to_owned());
    };
    if parsed.kind == TestKind::Rules {
        clif::wrap_in_loop(&mut func)?;
    }
    let isa = parsed.isa()?;
    cranelift_codegen::verify_function(&func, &*isa).map_err(|error| error.to_string())?;
    Ok((func, isa))
}

/// What came of one function, as it stands in a file, and complaints about its notes.
fn run_item(parsed: &Parsed, item: &Item) -> Result<(Vec<String>, Vec<String>), String> {
    let (func, isa) = function(parsed, item)?;
    let options = LowerOptions { effort: parsed.effort, ..LowerOptions::default() };
    let (head, body, stats) = match optimize(&func, &*isa, &options) {
        Outcome::Improved(better) => {
            let body = clif::normal_text(&better.func);
            ("improved".to_owned(), body, better.stats)
        }
        Outcome::Unchanged(same) => {
            (format!("unchanged, {}", same.reason), String::new(), same.stats)
        }
    };
    let fired: Vec<&str> =
        stats.rules.iter().filter(|rule| rule.joined > 0).map(|rule| rule.rule).collect();
    let mut lines = vec![head];
    if !fired.is_empty() {
        let mut sorted = fired.clone();
        sorted.sort_unstable();
        lines.push(format!("rules: {}", sorted.join(", ")));
    }
    lines.extend(body.lines().map(str::to_owned));
    Ok((lines, check_notes(item, &fired, &stats)))
}

/// What comes of each function of a file at effort 3 with this saturator, as text: the function, and all counts.
///
/// # Errors
/// A message if the file cannot be read or parsed.
pub fn saturated(path: &Path, saturator: Saturator) -> Result<Vec<String>, String> {
    let (_, parsed) = read(path)?;
    let mut all = Vec::new();
    for item in &parsed.items {
        let (func, isa) = function(&parsed, item)?;
        let options = LowerOptions { effort: 3, saturator, ..LowerOptions::default() };
        all.push(match optimize(&func, &*isa, &options) {
            Outcome::Improved(better) => format!("{}\n{:?}", better.func.display(), better.stats),
            Outcome::Unchanged(same) => format!("{:?}", same.stats),
        });
    }
    Ok(all)
}

fn check_notes(item: &Item, fired: &[&str], stats: &Stats) -> Vec<String> {
    let mut complaints = Vec::new();
    let name = &item.name;
    let line = item.line;
    for rule in item.fires.iter().chain(&item.silent) {
        if !RULES.iter().any(|known| known.name == rule) {
            complaints.push(format!("line {line}: {name}: there is no rule `{rule}`"));
        }
    }
    for rule in item.fires.iter().filter(|rule| !fired.contains(&rule.as_str())) {
        let fired = if fired.is_empty() { "none did".to_owned() } else { fired.join(", ") };
        complaints.push(format!("line {line}: {name}: `{rule}` does not fire; fired: {fired}"));
    }
    for rule in &item.silent {
        if stats.rules.iter().any(|fired| fired.rule == rule) {
            complaints.push(format!("line {line}: {name}: `{rule}` fires and must not"));
        }
    }
    complaints
}

fn compare(item: &Item, actual: &[String]) -> Option<String> {
    let Some(expected) = &item.expected else {
        return Some(format!(
            "line {}: {}: no expectation; run EGRAFT_BLESS=1 cargo test and read what it wrote",
            item.line, item.name
        ));
    };
    if expected == actual {
        return None;
    }
    let at = expected.iter().zip(actual).position(|(expected, actual)| expected != actual);
    let at = at.unwrap_or(expected.len().min(actual.len()));
    let show = |lines: &[String]| lines.get(at).cloned().unwrap_or("the end".to_owned());
    Some(format!(
        "line {}: {}: expectation differs at its line {}\n  expected: {}\n  actual:   {}",
        item.line,
        item.name,
        at + 1,
        show(expected),
        show(actual),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: &str = "function %f(i32) -> i32 {
block0(v0: i32):
    jump block1(v0)
block1(v1: i32):
    v2 = iadd v1, v1
    brif v2, block1(v2), block2
block2:
    return v2
}
";

    fn result(text: &str, mode: Mode) -> (Result<(), String>, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.clif");
        std::fs::write(&path, text).unwrap();
        (run(&path, mode), std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn a_missing_expectation_fails_until_it_is_blessed() {
        let text = format!(";; test: optimize\n;; target: x86_64\n\n{LOOP}");
        let (missing, same) = result(&text, Mode::Check);
        assert!(missing.unwrap_err().contains("no expectation"));
        assert_eq!(same, text);
        let (_, blessed) = result(&text, Mode::Bless);
        assert!(blessed.contains("\n;; expect: "), "{blessed}");
        assert_eq!(result(&blessed, Mode::Check).0, Ok(()));
        assert_eq!(result(&blessed, Mode::Bless).1, blessed);
        let wrong = blessed.replace(";; expect: ", ";; expect: never ");
        assert!(result(&wrong, Mode::Check).0.unwrap_err().contains("differs at its line 1"));
    }

    #[test]
    fn notes_about_rules_are_checked() {
        let rule = RULES[0].name;
        let file = |note: &str| format!(";; test: rules\n;; target: x86_64\n\n{note}\n{LOOP}");
        let near_miss = file(&format!(";; does not fire: {rule}"));
        let (near_miss, fires) = (
            result(&near_miss, Mode::Check).0,
            result(&file(&format!(";; fires: {rule}")), Mode::Check).0,
        );
        assert!(near_miss.is_ok() != fires.is_ok(), "{near_miss:?} {fires:?}");
        let unknown = result(&file(";; fires: no_such_rule"), Mode::Bless).0.unwrap_err();
        assert!(unknown.contains("there is no rule `no_such_rule`"), "{unknown}");
    }
}
