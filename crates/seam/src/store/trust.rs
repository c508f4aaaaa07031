//! Who can write where. On Unix a directory is trusted if it belongs to this user, no one else may
//! write to it, and no ancestor lets everyone replace it; files likewise. Elsewhere the directory's
//! own access rules have to do, and nothing is checked.

use super::StoreError;
use std::fs::{File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};

/// Makes `directory` for this user alone if it is not there; returns it without symbolic links.
pub(super) fn make_directory(directory: &Path) -> Result<PathBuf, StoreError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(StoreError::io(directory))?;
    directory.canonicalize().map_err(StoreError::io(directory))
}

/// Checks `directory`, a path without symbolic links, and its ancestors.
pub(super) fn check_directory(directory: &Path) -> Result<(), StoreError> {
    check_directory_itself(directory)?;
    directory.ancestors().skip(1).try_for_each(check_ancestor)
}

/// Checks `directory` without its ancestors.
pub(super) fn check_directory_itself(directory: &Path) -> Result<(), StoreError> {
    let metadata = std::fs::symlink_metadata(directory).map_err(StoreError::io(directory))?;
    let problem = if metadata.is_dir() {
        foreign_writers(&metadata)
    } else {
        Some("it is not a directory".to_owned())
    };
    refuse(directory, problem)
}

fn refuse(path: &Path, problem: Option<String>) -> Result<(), StoreError> {
    match problem {
        None => Ok(()),
        Some(problem) => Err(StoreError::Untrusted { path: path.to_owned(), problem }),
    }
}

/// Checks an entry's file, already open.
pub(super) fn check_file(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    foreign_writers(metadata).map_or(Ok(()), Err)
}

#[cfg(unix)]
fn foreign_writers(metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    // SAFETY: geteuid has no preconditions and cannot fail.
    let user = unsafe { libc::geteuid() };
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != user {
        Some(format!("it belongs to user {owner}, not to {user}"))
    } else if mode & 0o022 != 0 {
        Some(format!("others may write to it (mode {mode:o})"))
    } else {
        None
    }
}

#[cfg(not(unix))]
fn foreign_writers(_metadata: &Metadata) -> Option<String> {
    None
}

/// In a directory that everyone may write to, anyone can replace what lies in it, unless the
/// sticky bit reserves that for owners.
#[cfg(unix)]
fn check_ancestor(directory: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(directory).map_err(StoreError::io(directory))?;
    let mode = metadata.mode() & 0o7777;
    let problem = (mode & 0o002 != 0 && mode & 0o1000 == 0)
        .then(|| format!("everyone may replace what lies in it (mode {mode:o})"));
    refuse(directory, problem)
}

#[cfg(not(unix))]
fn check_ancestor(_directory: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Opens an entry; a symbolic link is an error and a pipe does not block.
pub(super) fn open_for_reading(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK,
    );
    options.open(path)
}

/// Opens the lock file, making it if it is not there.
pub(super) fn open_lock(path: &Path) -> std::io::Result<File> {
    private().create(true).truncate(false).open(path)
}

/// Makes a new file that only this user may read and write.
pub(super) fn create_private(path: &Path) -> std::io::Result<File> {
    private().create_new(true).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options
}
