//! Leaves out of CLIF text what no instruction looks at. Changes no value that anything uses.
//!
//! Translation of a loop with many locals leaves other names for its values behind, and Wasmtime
//! prints a line for each, tens of thousands in a large function: most of the time of parsing.
//!
//! Invariant: a line goes only if it is an alias, `v7 -> v3`, of a name that is nowhere else in what
//! stays.

use std::borrow::Cow;

/// An alias line: where it lies, the name it gives and the value it gives it to.
struct Alias {
    start: usize,
    end: usize,
    name: usize,
    value: usize,
}

/// Digits of the largest number of a value: far more than any function has.
const MAX_DIGITS: usize = 8;

/// The text without aliases that nothing uses.
pub(crate) fn thin(clif: &str) -> Cow<'_, str> {
    let mut aliases = Vec::new();
    let mut used = Vec::new();
    let mut start = 0;
    for line in clif.split_inclusive('\n') {
        let end = start + line.len();
        match alias(line) {
            Some((name, value)) => aliases.push(Alias { start, end, name, value }),
            None => mark_values(line.as_bytes(), &mut used),
        }
        start = end;
    }
    // An alias of an alias comes after it.
    let mut idle = Vec::new();
    for alias in aliases.into_iter().rev() {
        if used.get(alias.name).copied().unwrap_or(false) {
            mark(&mut used, alias.value);
        } else {
            idle.push(alias);
        }
    }
    if idle.is_empty() {
        return Cow::Borrowed(clif);
    }
    let mut thin = String::with_capacity(clif.len());
    let mut from = 0;
    for alias in idle.iter().rev() {
        thin.push_str(&clif[from..alias.start]);
        from = alias.end;
    }
    thin.push_str(&clif[from..]);
    Cow::Owned(thin)
}

/// The two value numbers of a line `v7 -> v3`.
fn alias(line: &str) -> Option<(usize, usize)> {
    let mut rest = line.as_bytes().trim_ascii();
    let name = take_value(&mut rest)?;
    rest = rest.strip_prefix(b" -> ")?;
    let value = take_value(&mut rest)?;
    rest.is_empty().then_some((name, value))
}

/// The number of the value that `text` begins with.
fn take_value(text: &mut &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"v")?;
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 || length > MAX_DIGITS {
        return None;
    }
    let (digits, rest) = digits.split_at(length);
    *text = rest;
    Some(digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

/// Marks every `v7` in a line.
fn mark_values(line: &[u8], used: &mut Vec<bool>) {
    let mut at = 0;
    while at < line.len() {
        let byte = line[at];
        at += 1;
        let begins = byte == b'v' && (at < 2 || !line[at - 2].is_ascii_alphanumeric());
        if !begins {
            continue;
        }
        let mut rest = &line[at - 1..];
        if let Some(number) = take_value(&mut rest) {
            mark(used, number);
            at = line.len() - rest.len();
        }
    }
}

fn mark(used: &mut Vec<bool>, number: usize) {
    if used.len() <= number {
        used.resize(number + 1, false);
    }
    used[number] = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_aliases_that_nothing_uses_go() {
        let text = "block0(v0: i32):\n    v1 -> v0\n    v2 -> v1\n    v3 -> v0\n    \
                    v5 -> v4\n    v6 = iadd v0, v2\n    return v6\n";
        let thinned = "block0(v0: i32):\n    v1 -> v0\n    v2 -> v1\n    \
                       v6 = iadd v0, v2\n    return v6\n";
        assert_eq!(thin(text), thinned);
        assert!(matches!(thin(thinned), Cow::Borrowed(_)));
    }

    #[test]
    fn what_only_looks_like_an_alias_stays() {
        for text in ["v1 -> vx\n", "v -> v1\n", "v1 -> v\n", "gv1 = vmctx\n", "v1 -> v2 v3", ""] {
            assert_eq!(thin(text), text);
        }
    }

    #[test]
    fn huge_numbers_are_no_trouble() {
        let text = "v99999999999999999999 -> v1\nadd v4000000000\n";
        assert_eq!(thin(text), text);
    }
}
