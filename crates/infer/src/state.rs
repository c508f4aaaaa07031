//! What a run leaves on disk: a log of verdicts that only grows.
//!
//! Invariant: every line stands for work that was finished; a run that is killed at any moment
//! loses at most the line being written, and the next one goes on from there.

use crate::error::InferError;
use crate::judge::Verdict;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// The log's name in a work folder.
const LOG: &str = "judged.jsonl";

/// The name of the file that says what run the folder belongs to.
const RUN: &str = "run.json";

/// A line of the log.
#[derive(Serialize, Deserialize)]
struct Line {
    workload: String,
    key: String,
    what: What,
}

#[derive(Serialize, Deserialize)]
enum What {
    Judged(Verdict),
    /// Follows from the rules kept before it.
    Derived,
    /// As [`What::Derived`], when all rules were known.
    Shrunk(bool),
}

type Key = (String, String);

/// What is known of candidates.
#[derive(Default, Debug)]
struct Entries {
    verdicts: FxHashMap<Key, Verdict>,
    derived: FxHashSet<Key>,
    shrunk: FxHashMap<Key, bool>,
}

/// A work folder.
#[derive(Debug)]
pub(crate) struct State {
    entries: Mutex<Entries>,
    log: Option<Mutex<File>>,
    path: PathBuf,
}

impl State {
    /// Opens a work folder, or makes it. `run` names everything that the log depends on.
    ///
    /// # Errors
    /// [`InferError::OtherRun`] if the folder was made with another `run`, [`InferError::Format`] for a
    /// log that is damaged other than at its end, [`InferError::File`] for what the system refuses.
    pub(crate) fn open(folder: &Path, run: &str) -> Result<State, InferError> {
        std::fs::create_dir_all(folder).map_err(InferError::file(folder))?;
        let about = folder.join(RUN);
        match std::fs::read_to_string(&about) {
            Ok(text) if text == run => {}
            Ok(_) => return Err(InferError::OtherRun { path: folder.to_owned() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                write_whole(&about, run.as_bytes())?;
            }
            Err(error) => return Err(InferError::File { path: about, error }),
        }
        let path = folder.join(LOG);
        let mut log = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(InferError::file(&path))?;
        let mut text = Vec::new();
        log.read_to_end(&mut text).map_err(InferError::file(&path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut entries = Entries::default();
        entries.read(&path, &text[..whole])?;
        // A line that was being written when the run ended.
        log.set_len(whole as u64).map_err(InferError::file(&path))?;
        log.seek(SeekFrom::End(0)).map_err(InferError::file(&path))?;
        Ok(State { entries: Mutex::new(entries), log: Some(Mutex::new(log)), path })
    }

    /// The verdicts of several work folders together; nothing is written.
    ///
    /// # Errors
    /// As [`State::open`].
    pub(crate) fn merged(folders: &[PathBuf], run: &str) -> Result<State, InferError> {
        let mut entries = Entries::default();
        for folder in folders {
            let about = folder.join(RUN);
            let text = std::fs::read_to_string(&about).map_err(InferError::file(&about))?;
            if text != run {
                return Err(InferError::OtherRun { path: folder.clone() });
            }
            let path = folder.join(LOG);
            let text = std::fs::read(&path).map_err(InferError::file(&path))?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            entries.read(&path, &text[..whole])?;
        }
        Ok(State { entries: Mutex::new(entries), log: None, path: PathBuf::new() })
    }

    /// A state that is kept in memory alone.
    pub(crate) fn in_memory() -> State {
        State { entries: Mutex::default(), log: None, path: PathBuf::new() }
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn verdict(&self, workload: &str, key: &str) -> Option<Verdict> {
        self.entries().verdicts.get(&(workload.to_owned(), key.to_owned())).cloned()
    }

    pub(crate) fn is_derived(&self, workload: &str, key: &str) -> bool {
        self.entries().derived.contains(&(workload.to_owned(), key.to_owned()))
    }

    pub(crate) fn shrunk(&self, workload: &str, key: &str) -> Option<bool> {
        self.entries().shrunk.get(&(workload.to_owned(), key.to_owned())).copied()
    }

    pub(crate) fn judged(
        &self,
        workload: &str,
        key: &str,
        verdict: Verdict,
    ) -> Result<(), InferError> {
        self.append(workload, key, What::Judged(verdict))
    }

    pub(crate) fn derived(&self, workload: &str, key: &str) -> Result<(), InferError> {
        self.append(workload, key, What::Derived)
    }

    pub(crate) fn set_shrunk(
        &self,
        workload: &str,
        key: &str,
        gone: bool,
    ) -> Result<(), InferError> {
        self.append(workload, key, What::Shrunk(gone))
    }

    fn append(&self, workload: &str, key: &str, what: What) -> Result<(), InferError> {
        let line = Line { workload: workload.to_owned(), key: key.to_owned(), what };
        if let Some(log) = &self.log {
            let mut text = serde_json::to_string(&line).unwrap_or_default();
            text.push('\n');
            let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            log.write_all(text.as_bytes()).map_err(InferError::file(&self.path))?;
        }
        self.entries().take(line);
        Ok(())
    }
}

impl Entries {
    fn read(&mut self, path: &Path, text: &[u8]) -> Result<(), InferError> {
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.is_empty() {
                continue;
            }
            let line: Line = serde_json::from_slice(line).map_err(|error| InferError::Format {
                path: path.to_owned(),
                line: at + 1,
                why: format!("{error}; remove the line to have that candidate judged again"),
            })?;
            self.take(line);
        }
        Ok(())
    }

    fn take(&mut self, line: Line) {
        let key = (line.workload, line.key);
        match line.what {
            What::Judged(verdict) => {
                self.verdicts.insert(key, verdict);
            }
            What::Derived => {
                self.derived.insert(key);
            }
            What::Shrunk(gone) => {
                self.shrunk.insert(key, gone);
            }
        }
    }
}

/// Writes a file that is either whole or as it was.
///
/// # Errors
/// [`InferError::File`] for what the system refuses.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), InferError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(InferError::file(path))?;
    file.write_all(bytes).map_err(InferError::file(path))?;
    // Others may read what is written, as with any other file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable).map_err(InferError::file(path))?;
    }
    file.persist(path)
        .map_err(|error| InferError::File { path: path.to_owned(), error: error.error })?;
    Ok(())
}
