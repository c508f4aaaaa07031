//! Which queries a solver has answered, by the hash of their text.
//!
//! Holds proofs only: what was refuted or left open is asked again. A file of lines
//! `hash solver-and-version`, sorted, so that it merges and diffs well.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A proof cache could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no proof.
    #[error("{}:{line}: expected `hash solver`; delete the line or prove anew with `egraft verify rules --update`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

/// Queries known to be unsatisfiable, and who said so.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProofCache {
    proofs: BTreeMap<String, String>,
}

impl ProofCache {
    /// Reads a cache; a file that is not there is an empty one.
    ///
    /// # Errors
    /// [`CacheError`] if the file cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<ProofCache, CacheError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(CacheError::Io { path: path.to_owned(), source }),
        };
        let mut proofs = BTreeMap::new();
        for (at, line) in text.lines().enumerate() {
            let proof = line.split_once(' ').filter(|(hash, _)| {
                hash.len() == 24 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
            let Some((hash, by)) = proof else {
                return Err(CacheError::Line { path: path.to_owned(), line: at + 1 });
            };
            proofs.insert(hash.to_owned(), by.to_owned());
        }
        Ok(ProofCache { proofs })
    }

    /// Whether the query with this hash was proven.
    pub fn has(&self, hash: &str) -> bool {
        self.proofs.contains_key(hash)
    }

    /// Notes a proof and who gave it.
    pub fn add(&mut self, hash: String, by: &str) {
        self.proofs.insert(hash, by.to_owned());
    }

    /// Number of proofs.
    pub fn len(&self) -> usize {
        self.proofs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.proofs.is_empty()
    }

    /// Takes over the proofs of another cache.
    pub fn extend(&mut self, other: ProofCache) {
        self.proofs.extend(other.proofs);
    }

    /// The proofs that `keep` names.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.proofs.retain(|hash, _| keep(hash));
    }

    /// Writes the cache beside its place and renames it there.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), CacheError> {
        let error = |source| CacheError::Io { path: path.to_owned(), source };
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let mut file =
            tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(error)?;
        let mut text = String::new();
        for (hash, by) in &self.proofs {
            let _ = writeln!(text, "{hash} {by}");
        }
        file.write_all(text.as_bytes()).map_err(error)?;
        file.persist(path).map_err(|failed| error(failed.error))?;
        Ok(())
    }
}
