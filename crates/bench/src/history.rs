//! How speeds changed from run to run: a file of lines, the format `egraft-history/1`.
//!
//! A line is one run: geometric means and kernels' speeds, without samples. Lines are only ever added.
//! Two programs that add at the same time may lose a line of one of them, and never break the file.

use crate::results::Results;
use egraft_kernels::write_whole;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The format that is written, and the only one that is read.
pub const SCHEMA: &str = "egraft-history/1";
/// A run of the bundled kernels under ten engines adds 30 kB.
const MAX_HISTORY_BYTES: u64 = 256 << 20;

/// Why a history could not be read or added to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The file cannot be read.
    #[error(transparent)]
    Read(#[from] egraft_kernels::ReadError),
    /// A line is not JSON, or lacks something.
    #[error("{}:{line}: is no line of a history of `egraft bench`: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What serde found, with the column.
        error: serde_json::Error,
    },
    /// A line has another format.
    #[error(
        "{}:{line}: has the format {found:?}, and this egraft reads {SCHEMA:?}; keep its runs in \
         another file",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// The format it names.
        found: String,
    },
    /// The file cannot be written; it is as it was.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// [`SCHEMA`].
    pub schema: String,
    /// Seconds since 1970 when the run began.
    pub created: u64,
    /// What was measured: a commit or a version.
    pub label: String,
    /// The processor's name, where the system tells. Speeds on others are not comparable.
    pub cpu: Option<String>,
    /// Geometric mean of speeds over the run's first engine, by engine.
    pub geomean: BTreeMap<String, f64>,
    /// Speeds by kernel and engine.
    pub kernels: BTreeMap<String, BTreeMap<String, f64>>,
}

impl HistoryEntry {
    /// What a history keeps of a result. Speeds that are no numbers are left out.
    pub fn of(results: &Results, label: &str) -> HistoryEntry {
        let geomean = results.geomean.iter().map(|(name, mean)| (name.clone(), mean.speed.value));
        let speeds = results.kernels.iter().map(|kernel| {
            let engines = kernel.engines.iter();
            let speeds = engines.filter_map(|(name, of)| Some((name.clone(), of.speed?.value)));
            (kernel.name.clone(), numbers(speeds))
        });
        HistoryEntry {
            schema: SCHEMA.to_owned(),
            created: results.created,
            label: label.to_owned(),
            cpu: results.machine.cpu.clone(),
            geomean: numbers(geomean),
            kernels: speeds.collect(),
        }
    }
}

fn numbers(speeds: impl Iterator<Item = (String, f64)>) -> BTreeMap<String, f64> {
    speeds.filter(|(_, speed)| speed.is_finite()).collect()
}

/// Reads a history, oldest line first. Empty lines are nothing.
///
/// # Errors
/// [`HistoryError`], which names the file, and the line where one is at fault.
pub fn read(path: &Path) -> Result<Vec<HistoryEntry>, HistoryError> {
    parse(path, &bytes_of(path)?)
}

/// Adds a run to a history, which is made if there is none: the whole line or nothing.
///
/// # Errors
/// [`HistoryError`], which names the file. A file that is no history is refused and left as it is.
pub fn append(path: &Path, entry: &HistoryEntry) -> Result<(), HistoryError> {
    let mut bytes = if path.exists() { bytes_of(path)? } else { Vec::new() };
    parse(path, &bytes)?;
    if bytes.last().is_some_and(|last| *last != b'\n') {
        bytes.push(b'\n');
    }
    let mut write = || -> std::io::Result<()> {
        serde_json::to_writer(&mut bytes, entry)?;
        bytes.push(b'\n');
        replace(path, &bytes)
    };
    write().map_err(|error| HistoryError::Write { path: path.to_owned(), error })
}

fn bytes_of(path: &Path) -> Result<Vec<u8>, HistoryError> {
    Ok(egraft_kernels::read_limited(path, "a history", MAX_HISTORY_BYTES)?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<HistoryEntry>, HistoryError> {
    #[derive(Deserialize)]
    struct Header {
        schema: String,
    }
    let mut entries = Vec::new();
    for (at, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let text = text.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let line = at + 1;
        let bad = |error| HistoryError::Line { path: path.to_owned(), line, error };
        let header: Header = serde_json::from_slice(text).map_err(bad)?;
        if header.schema != SCHEMA {
            let path = path.to_owned();
            return Err(HistoryError::Schema { path, line, found: header.schema });
        }
        entries.push(serde_json::from_slice(text).map_err(bad)?);
    }
    Ok(entries)
}

/// Writes the file that `path` leads to: a link stays one.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    match path.exists() {
        true => write_whole(&path.canonicalize()?, bytes),
        false => write_whole(path, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str) -> HistoryEntry {
        let speeds = BTreeMap::from([("stock".to_owned(), 1.0), ("egraft".to_owned(), 1.75)]);
        HistoryEntry {
            schema: SCHEMA.to_owned(),
            created: 1_700_000_000,
            label: label.to_owned(),
            cpu: None,
            geomean: speeds.clone(),
            kernels: BTreeMap::from([("blur3x3_u8".to_owned(), speeds)]),
        }
    }

    #[test]
    fn what_was_added_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        append(&path, &entry("a\n\"b\"")).unwrap();
        // A line that lacks its line feed, and an empty one.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("\n{}", text.trim_end())).unwrap();
        append(&path, &entry("2")).unwrap();
        assert_eq!(read(&path).unwrap(), [entry("a\n\"b\""), entry("2")]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a file was left behind");
    }

    #[test]
    fn other_files_are_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let good = serde_json::to_string(&entry("1")).unwrap();
        let refused = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let error = append(&path, &entry("2")).unwrap_err().to_string();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            assert!(error.contains("history.jsonl"), "{error}");
            error
        };
        let other = good.replace("egraft-history/1", "egraft-history/2");
        let error = refused(&format!("{good}\n{other}\n"));
        assert!(error.contains(":2: ") && error.contains("egraft-history/2"), "{error}");
        assert!(refused(&format!("{good}\n\n{{\n")).contains(":3: "));
        assert!(refused("{\"schema\": \"egraft-history/1\"}\n").contains("created"));
        assert!(refused("\u{0}\u{1}").contains(":1: "));
        let missing = folder.path().join("none");
        assert!(read(&missing).unwrap_err().to_string().contains("none"));
        assert!(append(&missing.join("deep"), &entry("1")).is_err());
        assert!(append(folder.path(), &entry("1")).is_err());
    }
}
