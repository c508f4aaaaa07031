//! A content-addressed store of compiled code in a directory, bounded in size and shared between
//! processes. Knows nothing of compilers: it keeps bytes under a key.
//!
//! Code from it is executed, so nothing in it is trusted: the directory and every file must belong
//! to the user and be writable by nobody else, and every entry ends with a SHA-256 over all before
//! it, its own key included (see [`entry`]).
//!
//! Writers hold an exclusive file lock from the first temporary file to the last rename. So a
//! temporary file seen under the lock was left by a killed writer, and the size bound holds across
//! processes. Readers take no lock: entries appear by rename, whole.

mod entry;
mod trust;

use crate::key::{CacheKey, Fingerprint, write_hex};
use cranelift_codegen::ir::Function;
pub use entry::{Payload, Rejection};
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// The ending of entries' file names.
const ENTRY_SUFFIX: &str = "code";
/// The start of temporary files' names.
const TEMPORARY_PREFIX: &str = ".tmp-";
/// The file that writers lock.
const LOCK_NAME: &str = ".lock";
/// How long a writer waits for others before it gives up; the code is then just not stored.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// The largest entry that is read or written.
const ENTRY_LIMIT: u64 = 256 << 20;

/// What shaped the code beside this crate. Cranelift's version fixes the format of payloads.
pub(crate) const VERSIONS: &str =
    concat!("wasmtime 48.0.8, egraft-seam ", env!("CARGO_PKG_VERSION"));

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file operation failed.
    #[error("code store {path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// Someone else could put code there.
    #[error("code store {path}: {problem}; use a directory of your own and `chmod go-w` it")]
    Untrusted {
        /// The directory, or the ancestor at fault.
        path: PathBuf,
        /// Who could write there.
        problem: String,
    },
    /// Other writers held the lock all the time.
    #[error("code store {path}: locked by another process for too long; nothing was stored")]
    Busy {
        /// The store's directory.
        path: PathBuf,
    },
}

impl StoreError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    }
}

/// Names an entry: the function with its callees' names, the target and flags, the caller's
/// fingerprint, and the versions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// The key of what a compiler with `fingerprint` makes of the function that Wasmtime asks for
    /// by `key` and that was captured as `func`.
    ///
    /// Callees' names are in no cache key, but a compiler can see them; so they count here.
    pub fn new(key: &CacheKey, func: &Function, fingerprint: &Fingerprint) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(VERSIONS);
        hasher.update([0]);
        hasher.update(cranelift_codegen::VERSION);
        hasher.update([0]);
        hasher.update(key.as_bytes());
        hasher.update(fingerprint.as_bytes());
        for name in func.params.user_named_funcs().values() {
            hasher.update(name.namespace.to_le_bytes());
            hasher.update(name.index.to_le_bytes());
        }
        StoreKey(hasher.finalize().into())
    }

    /// A key from 32 bytes made elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        StoreKey(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the entry's file.
    pub fn file_name(&self) -> String {
        let mut name = String::with_capacity(64 + 1 + ENTRY_SUFFIX.len());
        // Writing to a String does not fail.
        let _ = write_hex(&mut name, &self.0);
        name + "." + ENTRY_SUFFIX
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(")?;
        write_hex(f, &self.0)?;
        f.write_str(")")
    }
}

/// What a look-up found.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A whole, verified entry.
    Hit(Payload),
    /// No entry.
    Miss,
    /// An entry that is not used.
    Rejected(Rejection),
}

/// What a store did since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct StoreStats {
    /// Look-ups that found an entry.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
    /// Look-ups that found an entry and rejected it.
    pub rejected: u64,
    /// Entries written.
    pub written: u64,
    /// Entries removed to make room.
    pub evicted: u64,
    /// Files of killed writers removed.
    pub orphans: u64,
}

/// A directory of compiled code.
#[derive(Debug)]
pub struct CodeStore {
    directory: PathBuf,
    limit: u64,
    hits: AtomicU64,
    misses: AtomicU64,
    rejected: AtomicU64,
    written: AtomicU64,
    evicted: AtomicU64,
    orphans: AtomicU64,
}

impl CodeStore {
    /// Opens, or makes, the store at `directory` with at most `limit` bytes of entries.
    ///
    /// # Errors
    /// [`StoreError::Untrusted`] if others may write to the directory or replace it.
    pub fn open(directory: &Path, limit: u64) -> Result<Self, StoreError> {
        let directory = trust::make_directory(directory)?;
        trust::check_directory(&directory)?;
        Ok(CodeStore {
            directory,
            limit,
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            written: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            orphans: AtomicU64::new(0),
        })
    }

    /// The store's directory, without symbolic links.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the store did since it was opened.
    pub fn stats(&self) -> StoreStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StoreStats {
            hits: get(&self.hits),
            misses: get(&self.misses),
            rejected: get(&self.rejected),
            written: get(&self.written),
            evicted: get(&self.evicted),
            orphans: get(&self.orphans),
        }
    }

    /// Looks `key` up and marks a found entry as used.
    pub fn get(&self, key: &StoreKey) -> Lookup {
        let lookup = match self.read(key) {
            Ok(Some(bytes)) => match entry::decode(key, &bytes) {
                Ok(payload) => Lookup::Hit(payload),
                Err(rejection) => Lookup::Rejected(rejection),
            },
            Ok(None) => Lookup::Miss,
            Err(rejection) => Lookup::Rejected(rejection),
        };
        let counter = match &lookup {
            Lookup::Hit(_) => &self.hits,
            Lookup::Miss => &self.misses,
            Lookup::Rejected(_) => &self.rejected,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        lookup
    }

    fn read(&self, key: &StoreKey) -> Result<Option<Vec<u8>>, Rejection> {
        // The directory may have been opened to others since `open`.
        trust::check_directory_itself(&self.directory)
            .map_err(|error| Rejection::Untrusted(error.to_string()))?;
        let path = self.directory.join(key.file_name());
        let file = match trust::open_for_reading(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Rejection::Unreadable(error.to_string())),
        };
        let unreadable = |error: std::io::Error| Rejection::Unreadable(error.to_string());
        let metadata = file.metadata().map_err(unreadable)?;
        trust::check_file(&metadata).map_err(Rejection::Untrusted)?;
        if metadata.len() > ENTRY_LIMIT {
            return Err(Rejection::Oversized);
        }
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        (&file).take(ENTRY_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        // Eviction goes by this time. Failing costs a later recompile at most.
        let _ = file.set_modified(SystemTime::now());
        Ok(Some(bytes))
    }

    /// Stores one entry; see [`put_many`](Self::put_many).
    ///
    /// # Errors
    /// As [`put_many`](Self::put_many).
    pub fn put(&self, key: StoreKey, payload: Payload) -> Result<usize, StoreError> {
        self.put_many(&[(key, payload)])
    }

    /// Stores `entries` and returns how many; one larger than the whole store is left out.
    ///
    /// Removes the entries that were not used for longest until the new ones fit, and what killed
    /// writers left.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if other writers hold the lock for seconds; [`StoreError::Io`] and
    /// [`StoreError::Untrusted`] for the directory.
    pub fn put_many(&self, entries: &[(StoreKey, Payload)]) -> Result<usize, StoreError> {
        trust::check_directory(&self.directory)?;
        let _lock = self.lock()?;
        let mut present = self.scan()?;
        let mut written = 0;
        for (key, payload) in entries {
            let bytes = entry::encode(key, payload);
            let size = bytes.len() as u64;
            if size > self.limit.min(ENTRY_LIMIT) {
                continue;
            }
            let path = self.directory.join(key.file_name());
            present.forget(&path);
            self.make_room(&mut present, size)?;
            self.write(&path, &bytes)?;
            present.total += size;
            written += 1;
        }
        self.written.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    /// Bytes of all entries.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the directory cannot be read.
    pub fn size(&self) -> Result<u64, StoreError> {
        Ok(self.entries()?.iter().map(|entry| entry.size).sum())
    }

    fn lock(&self) -> Result<File, StoreError> {
        let path = self.directory.join(LOCK_NAME);
        let file = trust::open_lock(&path).map_err(StoreError::io(&path))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Busy { path: self.directory.clone() });
                }
                Err(TryLockError::Error(source)) => return Err(StoreError::Io { path, source }),
            }
        }
    }

    /// The entries, oldest first, after removing temporary files. Call with the lock held.
    fn scan(&self) -> Result<Present, StoreError> {
        for file in self.files()? {
            let name = file.file_name();
            if name.to_string_lossy().starts_with(TEMPORARY_PREFIX)
                && std::fs::remove_file(file.path()).is_ok()
            {
                self.orphans.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut entries = self.entries()?;
        entries.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
        Ok(Present {
            total: entries.iter().map(|entry| entry.size).sum(),
            oldest_first: entries.into(),
        })
    }

    fn make_room(&self, present: &mut Present, size: u64) -> Result<(), StoreError> {
        while present.total + size > self.limit {
            let Some(entry) = present.oldest_first.pop_front() else {
                break;
            };
            match std::fs::remove_file(&entry.path) {
                Ok(()) => {
                    self.evicted.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io(&entry.path)(error)),
            }
            present.total -= entry.size;
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "{TEMPORARY_PREFIX}{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let temporary = self.directory.join(name);
        let written = trust::create_private(&temporary)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| std::fs::rename(&temporary, path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&temporary);
            StoreError::io(path)(error)
        })
    }

    fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for file in self.files()? {
            let path = file.path();
            if path.extension().is_none_or(|suffix| suffix != ENTRY_SUFFIX) {
                continue;
            }
            // Another process may have evicted it meanwhile.
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            entries.push(Entry {
                path,
                size: metadata.len(),
                used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            });
        }
        Ok(entries)
    }

    fn files(&self) -> Result<Vec<std::fs::DirEntry>, StoreError> {
        std::fs::read_dir(&self.directory)
            .and_then(Iterator::collect)
            .map_err(StoreError::io(&self.directory))
    }
}

/// The entries that were there when the lock was taken.
struct Present {
    oldest_first: std::collections::VecDeque<Entry>,
    total: u64,
}

impl Present {
    /// Takes an entry out that is about to be overwritten.
    fn forget(&mut self, path: &Path) {
        if let Some(at) = self.oldest_first.iter().position(|entry| entry.path == path)
            && let Some(entry) = self.oldest_first.remove(at)
        {
            self.total -= entry.size;
        }
    }
}

struct Entry {
    path: PathBuf,
    size: u64,
    used: SystemTime,
}
