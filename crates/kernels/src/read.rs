//! Reads whole files, but never more than a limit: a device or a hostile file cannot fill memory.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Limit for a kernel descriptor.
pub const MAX_DESCRIPTOR_BYTES: u64 = 16 << 20;

/// Limit for a wasm module, in binary or text form, and for a compiled module.
pub const MAX_WASM_BYTES: u64 = 256 << 20;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system's error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The file is larger than the limit for its kind.
    #[error("{}: larger than the limit of {limit} bytes for {what}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What the file is read as.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Reads `path`, which is to be `what`, up to `limit` bytes.
///
/// # Errors
/// [`ReadError`], which names the path.
pub fn read_limited(path: &Path, what: &'static str, limit: u64) -> Result<Vec<u8>, ReadError> {
    let fail = |source| ReadError::Io { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err(fail(std::io::Error::from(std::io::ErrorKind::IsADirectory)));
    }
    if metadata.len() > limit {
        return Err(ReadError::TooLarge { path: path.to_owned(), what, limit });
    }
    read_stream(file, path, what, limit)
}

/// Reads a stream that is called `path` in errors, up to `limit` bytes.
///
/// # Errors
/// [`ReadError`], which names the path.
pub fn read_stream(
    stream: impl Read,
    path: &Path,
    what: &'static str,
    limit: u64,
) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    stream
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::TooLarge { path: path.to_owned(), what, limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_streams_stop_at_the_limit() {
        let error = read_stream(std::io::repeat(0), "zeros".as_ref(), "a test", 1000).unwrap_err();
        assert_eq!(error.to_string(), "zeros: larger than the limit of 1000 bytes for a test");
        let exact = read_stream(&[7; 1000][..], "sevens".as_ref(), "a test", 1000).unwrap();
        assert_eq!(exact.len(), 1000);
    }

    #[test]
    fn directories_are_named() {
        let error = read_limited(Path::new("/"), "a test", 10).unwrap_err();
        assert!(error.to_string().starts_with("/: "), "{error}");
    }
}
