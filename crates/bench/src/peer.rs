//! An engine in a process of its own, asked through the protocol.
//!
//! Invariant: no request waits for ever. A process that does not answer in time is killed, with all that
//! it started.

use crate::protocol::{
    Bytes, Called, FrameError, Hello, Loaded, PROTOCOL, Request, Timed, receive, receive_bytes,
    send,
};
use egraft_kernels::Space;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Compilers of peers may be slow, a kernel's call not.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
const CALL_LIMIT: Duration = Duration::from_secs(120);
/// Lines of standard error that are kept for messages.
const KEPT_LINES: usize = 5;

/// How to start an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The folder it runs in; the caller's if there is none.
    pub folder: Option<PathBuf>,
    /// The hardware thread that it and its threads are bound to.
    pub cpu: Option<usize>,
}

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It could not be started.
    #[error("{}: cannot be started: {error}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// It ended, or was ended.
    #[error("{}: {what}{}", program.display(), last_words(said))]
    Ended {
        /// The program.
        program: PathBuf,
        /// How.
        what: String,
        /// The last lines it wrote to standard error.
        said: Vec<String>,
    },
    /// It answered something else.
    #[error("{}: {error}", program.display())]
    Protocol {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        error: FrameError,
    },
    /// It answered with an error.
    #[error("{0}")]
    Refused(String),
    /// The kernel trapped or returned an error.
    #[error("{0}")]
    Kernel(String),
}

fn last_words(said: &[String]) -> String {
    match said {
        [] => String::new(),
        said => format!("; it said: {}", said.join(" / ")),
    }
}

/// An engine's process.
pub struct Peer {
    program: PathBuf,
    watched: Arc<Watched>,
    watcher: Option<JoinHandle<()>>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
    /// What it said first.
    pub hello: Hello,
    pointer_bytes: u32,
}

/// What the thread sees that ends a process in time.
struct Watched {
    child: Mutex<Child>,
    process: i32,
    state: Mutex<Watch>,
    changed: Condvar,
}

#[derive(Default)]
struct Watch {
    deadline: Option<Instant>,
    late: bool,
    over: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    fn run(&self) {
        let mut state = locked(&self.state);
        while !state.over {
            let now = Instant::now();
            state = match state.deadline {
                Some(deadline) if deadline <= now => {
                    state.late = true;
                    state.deadline = None;
                    self.kill();
                    state
                }
                Some(deadline) => self
                    .changed
                    .wait_timeout(state, deadline - now)
                    .map_or_else(|poison| poison.into_inner().0, |(state, _)| state),
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Ends the process and all that it started: it leads a group of its own.
    fn kill(&self) {
        // SAFETY: a plain system call; the group is there at least until the child is waited for.
        unsafe { libc::kill(-self.process, libc::SIGKILL) };
    }

    fn set(&self, change: impl FnOnce(&mut Watch)) {
        change(&mut locked(&self.state));
        self.changed.notify_all();
    }
}

impl Peer {
    /// Starts an engine and waits for its first message.
    ///
    /// # Errors
    /// [`PeerError`] if it does not start, or does not keep the protocol.
    pub fn start(launch: &Launch) -> Result<Peer, PeerError> {
        let program = launch.program.clone();
        let fail = |error| PeerError::Start { program: program.clone(), error };
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = &launch.folder {
            command.current_dir(folder);
        }
        if let Some(cpu) = launch.cpu {
            bind(&mut command, cpu);
        }
        let mut child = command.spawn().map_err(fail)?;
        let gone = || fail(std::io::ErrorKind::BrokenPipe.into());
        let stdin = child.stdin.take().ok_or_else(gone)?;
        let stdout = child.stdout.take().ok_or_else(gone)?;
        let stderr = child.stderr.take().ok_or_else(gone)?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let listener = {
            let said = said.clone();
            std::thread::spawn(move || listen(stderr, &said))
        };
        let process = child.id() as i32;
        let watched = Arc::new(Watched {
            child: Mutex::new(child),
            process,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watcher = {
            let watched = watched.clone();
            std::thread::spawn(move || watched.run())
        };
        let mut peer = Peer {
            program: launch.program.clone(),
            watched,
            watcher: Some(watcher),
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            said,
            listener: Some(listener),
            hello: Hello {
                protocol: String::new(),
                engine: String::new(),
                settings: String::new(),
            },
            pointer_bytes: 4,
        };
        peer.hello = peer.within(HELLO_LIMIT, |peer| receive(&mut peer.stdout))?;
        if peer.hello.protocol != PROTOCOL {
            let said = &peer.hello.protocol;
            return Err(PeerError::Refused(format!(
                "{}: speaks {said:?}; this egraft speaks {PROTOCOL}",
                peer.program.display()
            )));
        }
        Ok(peer)
    }

    /// Compiles and instantiates a module.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn load(&mut self, module: &Path, times: u32) -> Result<Loaded, PeerError> {
        // The process runs in another folder.
        let module = std::path::absolute(module).unwrap_or_else(|_| module.to_owned());
        let loaded: Loaded = self.ask(LOAD_LIMIT, &Request::Load { module, times }, &[])?;
        if ![4, 8].contains(&loaded.pointer_bytes) {
            let bytes = loaded.pointer_bytes;
            return Err(PeerError::Refused(format!("pointers of {bytes} bytes: must be 4 or 8")));
        }
        self.pointer_bytes = loaded.pointer_bytes;
        Ok(loaded)
    }

    /// Calls a function once.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn call(&mut self, function: &str, arguments: &[u64]) -> Result<u64, PeerError> {
        let (function, arguments) = (function.to_owned(), arguments.to_vec());
        let request = Request::Call { function, arguments };
        self.ask(CALL_LIMIT, &request, &[]).map(|called: Called| called.result)
    }

    /// Calls a function `calls` times.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn time(
        &mut self,
        function: &str,
        arguments: &[u64],
        calls: u32,
    ) -> Result<Timed, PeerError> {
        let (function, arguments) = (function.to_owned(), arguments.to_vec());
        let timed: Timed =
            self.ask(CALL_LIMIT, &Request::Time { function, arguments, calls }, &[])?;
        let is_time = |ns: &f64| ns.is_finite() && *ns >= 0.0;
        if timed.result == 0 && (timed.ns.len() != calls as usize || !timed.ns.iter().all(is_time))
        {
            return Err(PeerError::Refused(format!("did not give {calls} times")));
        }
        Ok(timed)
    }

    /// The process's number.
    pub fn process(&self) -> u32 {
        self.watched.process as u32
    }

    /// The most memory that the process had so far, in bytes, where the system tells.
    pub fn peak_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.watched.process));
        crate::machine::kilobytes(&status.ok()?, "VmHWM")
    }

    fn ask<T: DeserializeOwned>(
        &mut self,
        limit: Duration,
        request: &Request,
        bytes: &[u8],
    ) -> Result<T, PeerError> {
        self.within(limit, |peer| {
            let stdin = peer.stdin.as_mut().ok_or(FrameError::Closed)?;
            send(stdin, request, bytes)?;
            receive(&mut peer.stdout)
        })
    }

    /// Does what waits for the process, for no longer than `limit`.
    fn within<T>(
        &mut self,
        limit: Duration,
        act: impl FnOnce(&mut Peer) -> Result<T, FrameError>,
    ) -> Result<T, PeerError> {
        self.watched.set(|watch| watch.deadline = Some(Instant::now() + limit));
        let result = act(self);
        self.watched.set(|watch| watch.deadline = None);
        result.map_err(|error| match error {
            FrameError::Refused(text) => PeerError::Refused(text),
            FrameError::Closed | FrameError::Io(_) => self.ended(limit),
            error => PeerError::Protocol { program: self.program.clone(), error },
        })
    }

    /// Why the process is gone.
    fn ended(&mut self, limit: Duration) -> PeerError {
        self.stdin = None;
        if !locked(&self.watched.state).late {
            self.wait(Duration::from_secs(2));
        }
        let status = locked(&self.watched.child).try_wait().ok().flatten();
        let late = locked(&self.watched.state).late;
        let what = match status.map(|status| (status.signal(), status.code())) {
            _ if late => format!("did not answer within {} s and was ended", limit.as_secs()),
            Some((Some(signal), _)) => format!("was ended by signal {signal}"),
            Some((_, Some(code))) => format!("ended with exit code {code}"),
            _ => "closed its pipe".to_owned(),
        };
        // With all that it started gone, its standard error ends, and is read to the end.
        self.watched.kill();
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
        let said = locked(&self.said).iter().cloned().collect();
        PeerError::Ended { program: self.program.clone(), what, said }
    }

    /// Waits for the process to end by itself.
    fn wait(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if !matches!(locked(&self.watched.child).try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of its work.
        self.stdin = None;
        self.wait(Duration::from_secs(2));
        self.watched.kill();
        // What is left is a process that was killed; there is nothing to do about an error.
        let _ = locked(&self.watched.child).wait();
        self.watched.set(|watch| watch.over = true);
        for thread in [self.watcher.take(), self.listener.take()].into_iter().flatten() {
            let _ = thread.join();
        }
    }
}

impl Space for Peer {
    type Error = PeerError;

    fn pointer_bytes(&self) -> u32 {
        self.pointer_bytes
    }

    fn allocate(&mut self, bytes: u64, what: &str) -> Result<u64, PeerError> {
        match self.call("malloc", &[bytes])? {
            0 => Err(PeerError::Refused(format!("`malloc({bytes})` for {what} returned 0"))),
            address => Ok(address),
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), PeerError> {
        let request = Request::Write { address, bytes: bytes.len() as u64 };
        self.ask(CALL_LIMIT, &request, bytes).map(|_: serde_json::Value| ())
    }

    fn read(&mut self, address: u64, len: u64) -> Result<Vec<u8>, PeerError> {
        let answer: Bytes = self.ask(CALL_LIMIT, &Request::Read { address, bytes: len }, &[])?;
        if answer.bytes != len {
            let got = answer.bytes;
            return Err(PeerError::Refused(format!("answered {got} bytes instead of {len}")));
        }
        self.within(CALL_LIMIT, |peer| receive_bytes(&mut peer.stdout, len))
    }
}

/// Keeps the last lines of standard error.
fn listen(stderr: impl Read, said: &Mutex<VecDeque<String>>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    // Lines of any length: the rest of a long one counts as the next.
    while matches!(lines.by_ref().take(400).read_until(b'\n', &mut line), Ok(1..)) {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            let mut said = locked(said);
            if said.len() == KEPT_LINES {
                said.pop_front();
            }
            said.push_back(text);
        }
        line.clear();
    }
}

/// Binds the process to one hardware thread, where the system can.
fn bind(command: &mut Command, cpu: usize) {
    #[cfg(target_os = "linux")]
    {
        let act = move || {
            // SAFETY: between fork and exec, only a system call on memory of this frame.
            let done = unsafe {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                libc::CPU_SET(cpu, &mut set);
                libc::sched_setaffinity(0, size_of_val(&set), &raw const set)
            };
            match done {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure allocates nothing and takes no lock.
        unsafe { command.pre_exec(act) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (command, cpu);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Peer, PeerError> {
        Peer::start(&Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            folder: None,
            cpu: None,
        })
    }

    const HELLO: &str = r#"echo '{"protocol":"egraft-peer/1","engine":"shell"}'"#;

    #[test]
    fn a_program_that_keeps_the_protocol_is_asked() {
        let answers = r#"read line; echo '{"result": 42}'; read line; echo '{"error": "no more"}'"#;
        let mut peer = shell(&format!("{HELLO}; {answers}")).unwrap();
        assert_eq!(peer.hello.engine, "shell");
        assert_eq!(peer.call("malloc", &[8]).unwrap(), 42);
        assert_eq!(peer.call("malloc", &[8]).unwrap_err().to_string(), "no more");
        let error = peer.call("malloc", &[8]).unwrap_err().to_string();
        assert_eq!(error, "/bin/sh: ended with exit code 0");
    }

    #[test]
    fn a_program_that_does_not_is_an_error() {
        let refused = |script: &str| match shell(script) {
            Ok(mut peer) => peer.call("f", &[]).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        let lost = refused("echo not found >&2; exit 3");
        assert_eq!(lost, "/bin/sh: ended with exit code 3; it said: not found");
        assert!(refused("echo hello").contains("\"hello\" is no message of egraft-peer/1"));
        let other = r#"echo '{"protocol":"other/2","engine":"x"}'"#;
        assert!(refused(other).ends_with("speaks \"other/2\"; this egraft speaks egraft-peer/1"));
        assert_eq!(refused(&format!("{HELLO}; kill -9 $$")), "/bin/sh: was ended by signal 9");
        assert!(refused(&format!("{HELLO}; read l; echo '{{}}'")).contains("missing field"));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let launch = Launch {
            program: "/no/such/engine".into(),
            arguments: Vec::new(),
            folder: None,
            cpu: None,
        };
        let error = Peer::start(&launch).err().unwrap().to_string();
        assert!(error.starts_with("/no/such/engine: cannot be started: "), "{error}");
    }

    #[test]
    fn no_request_waits_for_ever() {
        let mut peer = shell(&format!("{HELLO}; sleep 1000")).unwrap();
        let limit = Duration::from_millis(50);
        let error = peer.within(limit, |peer| receive::<Called>(&mut peer.stdout)).unwrap_err();
        assert!(error.to_string().contains("did not answer within"), "{error}");
    }
}
