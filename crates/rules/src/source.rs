//! Rule files before they are parsed: reading, limits, and the comments above rules.
//!
//! Invariant: text that leaves here is UTF-8, small, and nests so little that recursive descent
//! over it cannot overflow the stack.

use crate::error::{Place, RuleError};
use std::path::Path;

/// The largest rule file that is read, in bytes.
pub const FILE_LIMIT: usize = 4 << 20;

/// The deepest nesting of parentheses and `@` bindings in a rule file.
pub const DEPTH_LIMIT: usize = 96;

/// A rule file: its name for errors and its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The name.
    pub name: String,
    /// The bytes, checked when the rules are loaded.
    pub bytes: Vec<u8>,
}

impl Source {
    /// A source from text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        Source { name: name.into(), bytes: text.into().into_bytes() }
    }

    /// Every `.isle` file below `folder`, sorted by name; names are relative to it, with `/`.
    ///
    /// # Errors
    /// [`RuleError::Read`] for what cannot be read, [`RuleError::TooLarge`] for large files.
    pub fn in_folder(folder: &Path) -> Result<Vec<Source>, RuleError> {
        let mut sources = Vec::new();
        collect(folder, "", 0, &mut sources)?;
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sources)
    }

    /// The text, if it may be parsed.
    pub(crate) fn checked_text(&self) -> Result<&str, RuleError> {
        let file = || self.name.clone();
        if self.bytes.len() > FILE_LIMIT {
            let size = self.bytes.len();
            return Err(RuleError::TooLarge { file: file(), size, limit: FILE_LIMIT });
        }
        let text = std::str::from_utf8(&self.bytes)
            .map_err(|error| RuleError::NotUtf8 { file: file(), offset: error.valid_up_to() })?;
        match first_too_deep(text) {
            None => Ok(text),
            Some(offset) => Err(RuleError::TooDeep {
                place: place(&self.name, text, offset),
                limit: DEPTH_LIMIT,
            }),
        }
    }
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    sources: &mut Vec<Source>,
) -> Result<(), RuleError> {
    let failed = |path: &Path, error| RuleError::Read { path: path.to_owned(), error };
    if depth > 16 {
        return Err(failed(folder, std::io::Error::other("folders nest too deep")));
    }
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let entry = entry.map_err(|error| failed(folder, error))?;
        let path = entry.path();
        let file_name = entry.file_name();
        let name = format!("{prefix}{}", file_name.to_string_lossy());
        let meta = std::fs::metadata(&path).map_err(|error| failed(&path, error))?;
        if meta.is_dir() {
            collect(&path, &format!("{name}/"), depth + 1, sources)?;
        } else if meta.is_file() && name.ends_with(".isle") {
            // Checked before reading, so that a huge file is not pulled into memory.
            if meta.len() > FILE_LIMIT as u64 {
                let size = meta.len() as usize;
                return Err(RuleError::TooLarge { file: name, size, limit: FILE_LIMIT });
            }
            let bytes = std::fs::read(&path).map_err(|error| failed(&path, error))?;
            sources.push(Source { name, bytes });
        }
    }
    Ok(())
}

/// The place of a byte offset; offsets past the end mean the end.
pub(crate) fn place(file: &str, text: &str, offset: usize) -> Place {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        file: file.to_owned(),
        line: before.matches('\n').count() as u32 + 1,
        column: before[line_start..].chars().count() as u32 + 1,
    }
}

/// The first byte at which nesting passes [`DEPTH_LIMIT`].
fn first_too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // One count per open parenthesis: 1 for itself and 1 per `@` directly inside.
    let mut open = vec![0usize];
    let mut depth = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b';' => {
                while bytes.get(at + 1).is_some_and(|byte| *byte != b'\n' && *byte != b'\r') {
                    at += 1;
                }
            }
            b'(' if bytes.get(at + 1) == Some(&b';') => at = end_of_comment(bytes, at),
            b'(' => {
                open.push(1);
                depth += 1;
            }
            b'@' => {
                depth += 1;
                if let Some(count) = open.last_mut() {
                    *count += 1;
                }
            }
            b')' if open.len() > 1 => depth -= open.pop().unwrap_or(0),
            _ => {}
        }
        if depth > DEPTH_LIMIT {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The last byte of the block comment that starts at `at`, or of the text.
fn end_of_comment(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at + 1 < bytes.len() {
        match (bytes[at], bytes[at + 1]) {
            (b'(', b';') => {
                depth += 1;
                at += 1;
            }
            (b';', b')') => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The comment lines directly above the line on which `offset` stands, joined; empty if none.
/// Lines that start with more than two semicolons are headings, not reasons.
pub(crate) fn reason_above(text: &str, offset: usize) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let before = &text[..offset];
    let start_of_line = before.rfind('\n').map_or(0, |at| at + 1);
    for line in text[..start_of_line].lines().rev() {
        match line.trim().strip_prefix(";;") {
            Some(comment) if !comment.starts_with(';') => lines.push(comment.trim()),
            _ => break,
        }
    }
    lines.reverse();
    lines.join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_parentheses_and_bindings_outside_comments() {
        let deep = |open: &str, n: usize| first_too_deep(&open.repeat(n));
        assert_eq!(deep("(", DEPTH_LIMIT), None);
        assert_eq!(deep("(", DEPTH_LIMIT + 1), Some(DEPTH_LIMIT));
        assert!(deep("x @ ", DEPTH_LIMIT + 1).is_some());
        assert_eq!(deep("; (\n", 1000), None);
        assert_eq!(deep("(; ( (; ( ;) ;)", 1000), None);
        assert_eq!(deep("(x @ y)", 1000), None);
        assert_eq!(deep(")", 1000), None);
    }

    #[test]
    fn reasons_end_at_headings_and_blank_lines() {
        let text = ";;;; Head.\n;; One,\n;; two.\n(rule x";
        assert_eq!(reason_above(text, text.len()), "One, two.");
        let text = ";; Far.\n\n(rule x";
        assert_eq!(reason_above(text, text.len()), "");
    }

    #[test]
    fn places_count_characters() {
        let place = place("f", "a\néx", 4);
        assert_eq!((place.line, place.column), (2, 2));
    }
}
