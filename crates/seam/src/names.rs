//! Reads function names from a wasm binary and hides its name section from Wasmtime.
//! Does not validate: whatever it cannot follow it leaves to Wasmtime to judge.
//!
//! Wasmtime builds the file names of `emit_clif` from function names. A name with a slash would
//! point outside the directory, and one with a dot would lose its tail and could collide with
//! another. With the section hidden every file is named by its function index alone. Hiding changes
//! one byte in place, so no offset of the module moves; names are in no CLIF and in no cache key.

use std::collections::HashMap;

/// The id of the subsection that holds function names.
const FUNCTION_NAMES: u8 = 1;

/// Returns the wasm without its function names' section, and the names by function index.
pub(crate) fn hide_names(wasm: &[u8]) -> (Vec<u8>, HashMap<u32, String>) {
    let mut hidden = wasm.to_vec();
    let mut names = HashMap::new();
    let mut reader = Reader { bytes: wasm, at: 8 };
    while let Some(section) = reader.section() {
        if section.id != 0 {
            continue;
        }
        let mut body = Reader { bytes: &wasm[..section.end], at: section.start };
        if body.string() == Some(b"name") {
            // "name" is four bytes long: its first byte lies that far before the content.
            hidden[body.at - 4] = b'N';
            read_function_names(&mut body, &mut names);
        }
    }
    (hidden, names)
}

fn read_function_names(body: &mut Reader<'_>, names: &mut HashMap<u32, String>) {
    while let Some(subsection) = body.section() {
        if subsection.id != FUNCTION_NAMES {
            continue;
        }
        let mut map = Reader { bytes: &body.bytes[..subsection.end], at: subsection.start };
        let count = map.number().unwrap_or(0);
        for _ in 0..count {
            let (Some(index), Some(name)) = (map.number(), map.string()) else {
                return;
            };
            names.insert(index, String::from_utf8_lossy(name).into_owned());
        }
    }
}

/// A section or subsection: its id and where its content lies.
struct Section {
    id: u8,
    start: usize,
    end: usize,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned LEB128 number of at most 32 bits.
    fn number(&mut self) -> Option<u32> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).ok();
            }
        }
        None
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let end = self.at.checked_add(length)?;
        let string = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(string)
    }

    /// The next section; moves behind it.
    fn section(&mut self) -> Option<Section> {
        let id = self.byte()?;
        let length = self.number()? as usize;
        let start = self.at;
        let end = start.checked_add(length)?;
        if end > self.bytes.len() {
            return None;
        }
        self.at = end;
        Some(Section { id, start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_hidden_in_place() {
        let wasm =
            wat::parse_str(r#"(module (func $a/../b) (func) (func $c.d (export "x")))"#).unwrap();
        let (hidden, names) = hide_names(&wasm);
        assert_eq!(names.len(), 2);
        assert_eq!(names[&0], "a/../b");
        assert_eq!(names[&2], "c.d");
        let changed = wasm.iter().zip(&hidden).filter(|(a, b)| a != b).count();
        assert_eq!((hidden.len(), changed), (wasm.len(), 1));
        assert!(hide_names(&hidden).1.is_empty());
    }

    #[test]
    fn every_cut_of_a_module_is_survived() {
        let wasm = wat::parse_str(r#"(module (func $name) (func $other))"#).unwrap();
        for end in 0..wasm.len() {
            let (hidden, _) = hide_names(&wasm[..end]);
            assert_eq!(hidden.len(), end);
        }
    }
}
