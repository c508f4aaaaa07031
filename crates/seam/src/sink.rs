//! Where Wasmtime writes the CLIF of one function at a time. Knows nothing of what is written.
//!
//! Wasmtime writes CLIF unbuffered, mostly byte by byte, and a byte costs a fraction in a pipe of
//! what it costs in a file: so on Unix the path is a named pipe, which is emptied from time to time
//! (see [`Sink::drain`]) for a pipe that is full would block Wasmtime.

use std::io;
use std::path::{Path, PathBuf};

/// How much a pipe shall hold, where that can be set: the most that everybody may ask for.
#[cfg(target_os = "linux")]
const PIPE_BYTES: libc::c_int = 1 << 20;

/// Takes what is written to one path.
pub(crate) struct Sink {
    path: PathBuf,
    #[cfg(unix)]
    pipe: std::fs::File,
    #[cfg(unix)]
    bytes: Vec<u8>,
}

#[cfg(unix)]
impl Sink {
    /// Puts a pipe at `path`, where nothing may be yet.
    pub(crate) fn new(path: PathBuf) -> io::Result<Sink> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::OpenOptionsExt;
        let name = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the path is a string that ends in NUL and lives through the call.
        if unsafe { libc::mkfifo(name.as_ptr(), 0o600) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Open for both, the pipe has a reader from the start and no end.
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NONBLOCK);
        let pipe = options.open(&path)?;
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            // SAFETY: the descriptor is open. A refusal leaves the pipe as small as it was.
            unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_BYTES) };
        }
        Ok(Sink { pipe, path, bytes: Vec::new() })
    }

    /// Takes what has been written so far.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        use std::io::Read;
        match self.pipe.read_to_end(&mut self.bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Everything that was written; the writer must be done.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        self.drain()?;
        std::fs::remove_file(&self.path)?;
        text(self.bytes)
    }
}

#[cfg(not(unix))]
impl Sink {
    /// Leaves the path to a file of the writer's.
    pub(crate) fn new(path: PathBuf) -> io::Result<Sink> {
        Ok(Sink { path })
    }

    /// Does nothing: a file is never full.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Everything that was written; the writer must be done.
    pub(crate) fn finish(self) -> io::Result<String> {
        let text = std::fs::read_to_string(&self.path)?;
        std::fs::remove_file(&self.path)?;
        Ok(text)
    }
}

/// Bytes as text, which CLIF is.
pub(crate) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Lets what is written to `path` vanish, where that is cheaper than a file.
pub(crate) fn discard(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::fs::symlink("/dev/null", path)?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn all_bytes_arrive_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let mut sink = Sink::new(path.clone()).unwrap();
        let mut file = std::fs::File::create(&path).unwrap();
        for round in 0..3 {
            writeln!(file, "{round}").unwrap();
            sink.drain().unwrap();
        }
        writeln!(file, "end").unwrap();
        drop(file);
        assert_eq!(sink.finish().unwrap(), "0\n1\n2\nend\n");
        assert!(!path.exists());
    }

    #[test]
    fn discarded_text_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        discard(&path).unwrap();
        std::fs::write(&path, "gone").unwrap();
        #[cfg(unix)]
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
