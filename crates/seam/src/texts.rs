//! The CLIF of a few functions of a module, one after the other as Wasmtime writes it.
//!
//! Wasmtime compiles a reduced module (see [`Scan::reduced`]) on an engine with one thread and a
//! cache that answers every question with one dummy. What it writes for a wanted function is taken by
//! a [`Tap`] or else goes into a [`Sink`], everything else into `/dev/null`, and once the last wanted
//! function is written Wasmtime is stopped.
//!
//! Invariant: a text goes out with the key of its function. Without exports there is one question
//! for each function, in order, and the head of each text names its function; both are checked.

use crate::capture::{Emitted, Prepared, private_directory, symbol};
use crate::error::{SeamError, panic_message};
use crate::key::CacheKey;
use crate::scan::Scan;
use crate::sink::{Sink, discard, text};
use crate::tap::{HEAD, Tap};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime::{CacheStore, Engine};

/// How often a pipe is emptied. It holds 64 KiB to 1 MiB, and Wasmtime writes some 8 bytes per µs.
const DRAIN_EVERY: Duration = Duration::from_millis(4);

/// Sends the CLIF of the `wanted` functions of `wasm`, which must hold no names, to `out`.
pub(crate) fn emit(
    prepared: &Prepared,
    wasm: &[u8],
    scan: &Scan,
    wanted: &BTreeSet<u32>,
    out: Sender<Emitted>,
) -> Result<(), SeamError> {
    let directory = private_directory()?;
    let last = wanted.last().copied().unwrap_or_default();
    for index in (scan.first_defined()..last).filter(|index| !wanted.contains(index)) {
        let path = directory.path().join(file_name(index));
        discard(&path).map_err(|source| SeamError::Io { path, source })?;
    }
    let store = Arc::new(TextStore {
        directory: directory.path().to_owned(),
        dummy: prepared.dummy.clone(),
        wanted: wanted.clone(),
        out,
        tap: Tap::open(),
        state: Mutex::new(State { next: scan.first_defined(), ..State::default() }),
    });
    let mut config = prepared.config.clone();
    config.emit_clif(directory.path());
    config.enable_incremental_compilation(store.clone())?;
    let engine = Engine::new(&config)?;
    let reduced = scan.reduced(wasm, wanted);
    let done = AtomicBool::new(false);
    let ran = std::thread::scope(|scope| {
        let drain = || {
            while !done.load(Ordering::Acquire) {
                store.drain();
                std::thread::park_timeout(DRAIN_EVERY);
            }
        };
        let drain = store.tap.is_none().then(|| scope.spawn(drain));
        let ran = run_until_stopped(&engine, &reduced);
        done.store(true, Ordering::Release);
        if let Some(drain) = drain {
            drain.thread().unpark();
        }
        ran
    });
    let mut state = store.lock();
    if ran.is_ok() {
        store.take(&mut state);
    }
    ran?;
    match state.error.take() {
        Some(error) => Err(error),
        None if state.taken != wanted.len() => Err(SeamError::Unpaired { files: state.taken }),
        None => Ok(()),
    }
}

/// What a store throws to stop Wasmtime once it has seen what it came for.
struct Enough;

/// Stops the compilation that asks for code, unless panics abort; no panic hook is run.
pub(crate) fn stop() {
    if cfg!(panic = "unwind") {
        resume_unwind(Box::new(Enough));
    }
}

/// Compiles `wasm` to its end, or until its store calls [`stop`].
pub(crate) fn run_until_stopped(engine: &Engine, wasm: &[u8]) -> Result<(), SeamError> {
    match catch_unwind(AssertUnwindSafe(|| engine.precompile_module(wasm))) {
        Ok(compiled) => compiled.map(|_| ()).map_err(SeamError::from),
        Err(payload) if payload.is::<Enough>() => Ok(()),
        Err(payload) => Err(SeamError::Panicked { message: panic_message(&*payload) }),
    }
}

fn stem(index: u32) -> String {
    symbol(index).replace("::", "--")
}

fn file_name(index: u32) -> String {
    stem(index) + ".clif"
}

/// Answers every question with one dummy and takes what Wasmtime writes for wanted functions.
struct TextStore {
    directory: PathBuf,
    dummy: Vec<u8>,
    wanted: BTreeSet<u32>,
    out: Sender<Emitted>,
    /// Of the thread that compiles.
    tap: Option<Tap>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The function whose question is the next.
    next: u32,
    /// A wanted function whose text is being written.
    pending: Option<(u32, CacheKey, Option<Sink>)>,
    taken: usize,
    error: Option<SeamError>,
}

impl TextStore {
    fn drain(&self) {
        let mut state = self.lock();
        if let Some((index, _, Some(sink))) = &mut state.pending
            && let Err(source) = sink.drain()
        {
            let path = self.directory.join(file_name(*index));
            state.error = Some(SeamError::Io { path, source });
        }
    }

    /// Takes the text of the last question, and checks that it is the text of that function.
    fn take(&self, state: &mut State) {
        let tapped = self.tap.as_ref().map(Tap::take).unwrap_or_default();
        let Some((index, key, sink)) = state.pending.take() else { return };
        let head = format!("{HEAD}{}>:\n", symbol(index));
        let text = match sink {
            Some(sink) => sink.finish(),
            None => text(tapped),
        };
        match text {
            Ok(clif) if clif.starts_with(&head) => {
                state.taken += 1;
                // Who no longer listens needs no text.
                let _ = self.out.send(Emitted { key, stem: stem(index), clif });
            }
            Ok(_) => state.error = Some(SeamError::Unpaired { files: 0 }),
            Err(source) => {
                let path = self.directory.join(file_name(index));
                state.error = Some(SeamError::Io { path, source });
            }
        }
    }

    /// Goes on to the next question; true if there is nothing more to see.
    fn proceed(&self, key: &[u8]) -> bool {
        let mut state = self.lock();
        self.take(&mut state);
        let index = state.next;
        state.next += 1;
        if state.error.is_some() || self.wanted.last().is_none_or(|last| index > *last) {
            return true;
        }
        if self.wanted.contains(&index) {
            let path = self.directory.join(file_name(index));
            let sink = match self.tap {
                Some(_) => Ok(None),
                None => Sink::new(path.clone()).map(Some),
            };
            match (CacheKey::from_bytes(key), sink) {
                (Some(key), Ok(sink)) => state.pending = Some((index, key, sink)),
                (None, _) => state.error = Some(SeamError::Unpaired { files: 0 }),
                (_, Err(source)) => state.error = Some(SeamError::Io { path, source }),
            }
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TextStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TextStore")
    }
}

impl CacheStore for TextStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        if self.proceed(key) {
            stop();
        }
        Some(Cow::Borrowed(&self.dummy))
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        false
    }
}
