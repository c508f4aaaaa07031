//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

/// The folder that a file is in, or is to be in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes a file whole: into a temporary one beside it, then renamed.
///
/// A device such as /dev/null or /dev/stdout is written to, never replaced.
///
/// # Errors
/// The system's; the file is then as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if path.file_name().is_none() || path.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    if let Ok(metadata) = std::fs::metadata(path)
        && !metadata.is_file()
    {
        return std::fs::write(path, bytes);
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".egraft-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
