//! Reads a filetest's text into its header and functions, and puts expectations back.
//!
//! Every line that starts with `;;` is a directive or part of an expectation; a misspelt one is an
//! error, never a comment. Plain comments start with one `;`.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use std::str::FromStr;
use target_lexicon::Triple;

/// What a file checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TestKind {
    /// The function after optimisation.
    Optimize,
    /// Only which rules fire; functions without a loop are put into one.
    Rules,
}

/// A filetest.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) kind: TestKind,
    pub(super) effort: u8,
    target: String,
    flags: Vec<String>,
    pub(super) items: Vec<Item>,
}

/// A function of a filetest.
#[derive(Debug, Default)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) text: String,
    /// The function's first line, from 1.
    pub(super) line: usize,
    /// Rules that must fire.
    pub(super) fires: Vec<String>,
    /// Rules that must not.
    pub(super) silent: Vec<String>,
    pub(super) expected: Option<Vec<String>>,
    /// Lines of the file after the function, up to the end of its expectation.
    below: std::ops::Range<usize>,
}

impl Parsed {
    /// Parses a whole file. Errors start with the line.
    pub(super) fn new(text: &str) -> Result<Parsed, String> {
        let lines: Vec<&str> = text.lines().collect();
        let mut kind = None;
        let mut target = None;
        let mut flags = Vec::new();
        let mut effort = 1;
        let mut items: Vec<Item> = Vec::new();
        let mut next = Item::default();
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            let here = at + 1;
            if line.starts_with("function ") {
                let len = lines[at..].iter().position(|line| *line == "}");
                let len =
                    1 + len.ok_or(format!("{here}: no `}}` at the start of a line ends this"))?;
                let end = at + len;
                let expected = expectation(&lines, end);
                let below = end..end + expected.as_ref().map_or(0, Vec::len);
                items.push(Item {
                    name: name(line).to_owned(),
                    text: lines[at..end].join("\n"),
                    line: here,
                    expected: expected.filter(|lines| !lines.is_empty()),
                    below: below.clone(),
                    ..std::mem::take(&mut next)
                });
                at = below.end;
                continue;
            }
            at += 1;
            let Some(directive) = line.strip_prefix(";;") else {
                match line.trim() {
                    "" => continue,
                    line if line.starts_with(';') => continue,
                    _ => return Err(format!("{here}: neither comment, directive nor function")),
                }
            };
            let (key, value) = directive.trim().split_once(':').ok_or(format!(
                "{here}: a directive is `;; key: value`; comments start with `; `"
            ))?;
            let value = value.trim();
            let names = || value.split(',').map(|name| name.trim().to_owned());
            match key.trim() {
                "fires" => next.fires.extend(names()),
                "does not fire" => next.silent.extend(names()),
                "expect" => return Err(format!("{here}: an expectation follows its function")),
                _ if !items.is_empty() => {
                    return Err(format!("{here}: `{key}` belongs above the first function"));
                }
                "test" => {
                    kind = Some(match value {
                        "optimize" => TestKind::Optimize,
                        "rules" => TestKind::Rules,
                        _ => return Err(format!("{here}: tests are `optimize` and `rules`")),
                    });
                }
                "target" => {
                    let mut words = value.split_whitespace().map(str::to_owned);
                    target = words.next();
                    flags = words.collect();
                }
                "effort" => {
                    effort = value.parse().map_err(|_| format!("{here}: effort is 0 to 3"))?;
                }
                _ => return Err(format!("{here}: no such directive: `{key}`")),
            }
        }
        if !next.fires.is_empty() || !next.silent.is_empty() {
            return Err(format!("{}: notes without a function below", lines.len()));
        }
        let kind = kind.ok_or("1: no `;; test: optimize` or `;; test: rules`")?;
        let target = target.ok_or("1: no `;; target: x86_64` or another one")?;
        let idle = |item: &&Item| item.fires.is_empty() && item.silent.is_empty();
        if kind == TestKind::Rules
            && let Some(item) = items.iter().find(idle)
        {
            return Err(format!("{}: neither `fires` nor `does not fire` above this", item.line));
        }
        if items.is_empty() {
            return Err("1: no function".to_owned());
        }
        Ok(Parsed { kind, effort, target, flags, items })
    }

    /// The target with its flags.
    pub(super) fn isa(&self) -> Result<OwnedTargetIsa, String> {
        let name = match self.target.as_str() {
            "riscv64" => "riscv64gc-unknown-linux-gnu".to_owned(),
            name if name.contains('-') => name.to_owned(),
            name => format!("{name}-unknown-linux-gnu"),
        };
        let triple = Triple::from_str(&name).map_err(|error| format!("{name}: {error}"))?;
        let mut builder = isa::lookup(triple).map_err(|error| format!("{name}: {error}"))?;
        for flag in &self.flags {
            let set = match flag.split_once('=') {
                Some((flag, value)) => builder.set(flag, value),
                None => builder.enable(flag),
            };
            set.map_err(|error| format!("{name}: flag {flag}: {error}"))?;
        }
        let mut shared = settings::builder();
        shared.set("opt_level", "speed").map_err(|error| error.to_string())?;
        builder.finish(settings::Flags::new(shared)).map_err(|error| error.to_string())
    }

    /// The text with these expectations below the functions, in their order.
    pub(super) fn with_expectations(&self, text: &str, expectations: &[Vec<String>]) -> String {
        let lines: Vec<&str> = text.lines().collect();
        let mut out = String::new();
        let mut copied = 0;
        for (item, expectation) in self.items.iter().zip(expectations) {
            for line in &lines[copied..item.below.start] {
                out += line;
                out.push('\n');
            }
            for (at, line) in expectation.iter().enumerate() {
                out += if at == 0 { ";; expect: " } else { ";; " };
                out.truncate(out.len() - usize::from(line.is_empty()));
                out += line;
                out.push('\n');
            }
            copied = item.below.end;
        }
        for line in &lines[copied..] {
            out += line;
            out.push('\n');
        }
        out
    }
}

/// The block `;; expect:` that starts at line `at`.
fn expectation(lines: &[&str], at: usize) -> Option<Vec<String>> {
    let first = lines.get(at)?.strip_prefix(";; expect:")?.trim().to_owned();
    let more = lines[at + 1..].iter().map_while(|line| line.strip_prefix(";;"));
    let more = more.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned());
    Some(std::iter::once(first).chain(more).collect())
}

fn name(line: &str) -> &str {
    line["function ".len()..].split('(').next().unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = ";; test: rules\n;; target: x86_64\n";
    const FUNCTION: &str = "function %f() {\nblock0:\n    return\n}\n";

    #[test]
    fn notes_go_to_the_function_below_them() {
        let text = format!(
            "{HEAD}\n; a comment\n;; fires: a, b\n;; does not fire: c\n{FUNCTION}\n;; fires: d\n{FUNCTION}"
        );
        let parsed = Parsed::new(&text).unwrap();
        assert_eq!(parsed.items[0].fires, ["a", "b"]);
        assert_eq!(parsed.items[0].silent, ["c"]);
        assert_eq!(
            (parsed.items[1].fires.as_slice(), parsed.items[1].line),
            (&["d".to_owned()][..], 13)
        );
    }

    #[test]
    fn malformed_files_are_refused_with_their_line() {
        let error = |text: &str| Parsed::new(text).unwrap_err();
        assert_eq!(error(""), "1: no `;; test: optimize` or `;; test: rules`");
        assert_eq!(error(HEAD), "1: no function");
        assert!(error(&format!("{HEAD}{FUNCTION}")).starts_with("3: neither"));
        assert!(
            error(&format!("{HEAD};; fire: a\n{FUNCTION}")).starts_with("3: no such directive")
        );
        assert!(error(&format!("{HEAD};; fires a\n")).starts_with("3: a directive is"));
        assert!(error(&format!("{HEAD};; fires: a\n")).starts_with("3: notes without"));
        assert!(error(&format!("{HEAD}v1 = iconst\n")).starts_with("3: neither comment"));
        assert!(error(&format!("{HEAD}function %f() {{\n")).starts_with("3: no `}`"));
        assert!(error(&format!("{HEAD};; fires: a\n{FUNCTION}\n;; effort: 1\n")).starts_with("9:"));
    }

    #[test]
    fn flags_and_triples_make_targets() {
        let isa = |target: &str| {
            Parsed::new(&format!(";; test: optimize\n;; target: {target}\n{FUNCTION}"))
                .unwrap()
                .isa()
        };
        assert!(isa("x86_64 has_avx2=true has_avx=true").is_ok());
        assert!(isa("aarch64").is_ok() && isa("riscv64 has_v").is_ok());
        assert!(isa("x86_64 has_wings").err().unwrap().contains("has_wings"));
        assert!(isa("pdp11").is_err());
    }
}
