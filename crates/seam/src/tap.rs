//! Takes what one thread writes to files straight into memory, in programs that allow it.
//!
//! Wasmtime's `emit_clif` makes one system call for every few bytes, and for every space of an
//! indentation: most of the time of a capture. A program that defines the C function `write` by
//! [`tap_writes!`](crate::tap_writes) keeps these bytes in the process; std's own calls then reach
//! that definition. In other programs nothing is tapped, and captures go through a pipe.
//!
//! Invariant: bytes are taken only on the thread of an open tap, and only those for a file whose
//! first bytes are those of Wasmtime's CLIF; every other call goes to the kernel as before.

use std::cell::Cell;
use std::ffi::c_int;
use std::fs::OpenOptions;
use std::io::Write;
use std::ptr;

/// What Wasmtime writes first into a file of CLIF, in one piece.
pub(crate) const HEAD: &str = ";; Intermediate Representation of function <";

/// No file yet: the next one of CLIF is taken.
const NEXT: c_int = -2;

thread_local! {
    /// The open tap of the thread; null without one. It has no destructor: this is looked at for
    /// every few bytes.
    static TAPPED: Cell<*mut Tapped> = const { Cell::new(ptr::null_mut()) };
}

/// What was taken, and from which file.
struct Tapped {
    file: c_int,
    bytes: Vec<u8>,
}

/// Defines the C function `write` for the whole program, which makes captures several times faster.
///
/// It passes everything on to the kernel but for what Wasmtime writes on a capture's own thread. Use
/// it once, in the crate of an executable. On systems other than Linux it defines nothing.
///
/// ```
/// egraft_seam::tap_writes!();
/// ```
#[macro_export]
macro_rules! tap_writes {
    () => {
        /// The C library's `write`, which hands CLIF to captures.
        ///
        /// # Safety
        /// As the C library's: `count` bytes at `bytes` can be read.
        #[cfg(target_os = "linux")]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn write(
            file: ::std::ffi::c_int,
            bytes: *const ::std::ffi::c_void,
            count: usize,
        ) -> isize {
            // SAFETY: the caller's promise is the same.
            unsafe { $crate::tap::write(file, bytes.cast(), count) }
        }
    };
}

/// What [`tap_writes!`](crate::tap_writes) defines `write` as.
///
/// # Safety
/// `count` bytes at `bytes` can be read.
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub unsafe fn write(file: c_int, bytes: *const u8, count: usize) -> isize {
    // SAFETY: the pointer is null or that of a `Tapped` which only this thread knows.
    if let Some(tapped) = unsafe { TAPPED.get().as_mut() }
        && (tapped.file == file || tapped.file == NEXT)
    {
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(bytes, count) };
        if tapped.file == file || bytes == HEAD.as_bytes() {
            tapped.file = file;
            match bytes {
                // An indentation comes space by space.
                [byte] => tapped.bytes.push(*byte),
                _ => tapped.bytes.extend_from_slice(bytes),
            }
            return count as isize;
        }
    }
    // SAFETY: the arguments are those of `write`; errors are left in `errno` as by `write`.
    unsafe { libc::syscall(libc::SYS_write, file, bytes, count) as isize }
}

/// Takes what this thread writes.
pub(crate) struct Tap(());

impl Tap {
    /// Begins to take bytes; `None` if the program does not define `write` by the macro, or if this
    /// thread has an open tap.
    pub(crate) fn open() -> Option<Tap> {
        let mut null = OpenOptions::new().write(true).open("/dev/null").ok()?;
        if !TAPPED.get().is_null() {
            return None;
        }
        TAPPED.set(Box::into_raw(Box::new(Tapped { file: NEXT, bytes: Vec::new() })));
        let tap = Tap(());
        null.write_all(HEAD.as_bytes()).ok()?;
        (tap.take() == HEAD.as_bytes()).then_some(tap)
    }

    /// What was written into the file since the last call, or since the tap was opened. Nothing on
    /// another thread than the one that opened it.
    pub(crate) fn take(&self) -> Vec<u8> {
        // SAFETY: as in `write`, which does not run meanwhile.
        match unsafe { TAPPED.get().as_mut() } {
            Some(tapped) => {
                tapped.file = NEXT;
                std::mem::take(&mut tapped.bytes)
            }
            None => Vec::new(),
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let tapped = TAPPED.replace(ptr::null_mut());
        if !tapped.is_null() {
            // SAFETY: it came out of a box, and nobody else knows it now.
            drop(unsafe { Box::from_raw(tapped) });
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    crate::tap_writes!();

    #[test]
    fn a_file_of_clif_is_taken_and_no_other() {
        let mut clif = tempfile::tempfile().unwrap();
        let mut other = tempfile::tempfile().unwrap();
        let tap = Tap::open().expect("this program defines `write`");
        other.write_all(b"before").unwrap();
        clif.write_all(HEAD.as_bytes()).unwrap();
        other.write_all(HEAD.as_bytes()).unwrap();
        clif.write_all(b"f>").unwrap();
        assert_eq!(tap.take(), [HEAD, "f>"].concat().as_bytes());
        clif.write_all(b"rest").unwrap();
        assert_eq!(tap.take(), b"");
        drop(tap);
        clif.write_all(HEAD.as_bytes()).unwrap();
        let length = |file: &std::fs::File| file.metadata().unwrap().len() as usize;
        assert_eq!((length(&clif), length(&other)), (4 + HEAD.len(), 6 + HEAD.len()));
    }

    #[test]
    fn errors_of_the_kernel_come_through() {
        let mut closed = std::fs::File::open("/dev/null").unwrap();
        let error = closed.write(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
