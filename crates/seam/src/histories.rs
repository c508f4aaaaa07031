//! Every key under which Wasmtime may ask for a few functions of a module.
//!
//! Wasmtime's key of a function covers one thing that is not the function's. A compiling context
//! that is used again keeps the exception table of the last trampoline from host to wasm that it
//! compiled, and such a trampoline follows each function that the host can enter. Compiling a
//! function that has no such table empties the one that is left. So a context may be new, or come
//! from a trampoline of some type, or hold an emptied table, and threads settle anew each time which
//! it is. A module made for the purpose (see [`Scan::with_histories`]) has each wanted function once
//! for every such history.

use crate::capture::Prepared;
use crate::error::SeamError;
use crate::key::CacheKey;
use crate::report::StockReason;
use crate::scan::Scan;
use crate::texts::{run_until_stopped, stop};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{CacheStore, Engine};

/// The keys of each of the `wanted` functions of `wasm`, that of a new context first.
pub(crate) fn keys(
    prepared: &Prepared,
    wasm: &[u8],
    scan: &Scan,
    wanted: &BTreeSet<u32>,
) -> Result<BTreeMap<u32, Vec<CacheKey>>, SeamError> {
    let entered = telling_types(prepared, wasm, scan)?;
    let plan = Plan { defined: scan.defined(), wanted: wanted.len(), groups: entered.len() };
    let asked = ask(prepared, &scan.with_histories(wasm, wanted, &entered), plan)?;
    let key_of = |(at, index): (usize, &u32)| {
        let first = asked[(index - scan.first_defined()) as usize];
        let others = plan.copies().map(|copies| asked[copies + at]);
        (*index, std::iter::once(first).chain(others).collect())
    };
    Ok(wanted.iter().enumerate().map(key_of).collect())
}

/// Of the types of functions that the host can enter, one for each different table that a
/// trampoline leaves. The key of one small function after each tells.
fn telling_types(prepared: &Prepared, wasm: &[u8], scan: &Scan) -> Result<Vec<u32>, SeamError> {
    let entered = scan.entered();
    let plan = Plan { defined: 0, wanted: 1, groups: entered.len() };
    let asked = ask(prepared, &scan.canaries(wasm, &entered), plan)?;
    let mut seen = HashSet::new();
    let canaries = plan.copies().map(|copies| asked.get(copies));
    let telling = entered.iter().zip(canaries).filter(|(_, key)| seen.insert(*key));
    Ok(telling.map(|(ty, _)| *ty).collect())
}

/// Compiles a module of `plan` and returns the keys that Wasmtime asked for.
fn ask(prepared: &Prepared, wasm: &[u8], plan: Plan) -> Result<Vec<CacheKey>, SeamError> {
    let store = Arc::new(KeyStore { dummy: prepared.dummy.clone(), plan, asked: Mutex::default() });
    let mut config = prepared.config.clone();
    config.enable_incremental_compilation(store.clone())?;
    run_until_stopped(&Engine::new(&config)?, wasm)?;
    let asked = std::mem::take(&mut *store.lock());
    if asked.len() < plan.total() {
        let reason = StockReason::CaptureFailed("keys are missing".to_owned());
        return Err(SeamError::Unsupported { reason });
    }
    Ok(asked)
}

/// The order of questions: those of the reduced module; for each group those of a function that the
/// host can enter, its trampoline, and the wanted functions; at last those of a function that the
/// host cannot enter and, once more, the wanted functions.
#[derive(Clone, Copy)]
struct Plan {
    defined: usize,
    wanted: usize,
    groups: usize,
}

impl Plan {
    /// Questions for the function that the host can enter, its trampoline, and the wanted functions.
    fn group(&self) -> usize {
        2 + self.wanted
    }

    /// The question for the function after the last group.
    fn tail(&self) -> usize {
        self.defined + self.groups * self.group()
    }

    fn total(&self) -> usize {
        self.tail() + 1 + self.wanted
    }

    /// Where copies of the wanted functions begin.
    fn copies(&self) -> impl Iterator<Item = usize> {
        let groups = (0..self.groups).map(|group| self.defined + group * self.group() + 2);
        groups.chain([self.tail() + 1])
    }

    /// Whether Wasmtime must compile what question number `at` is about, as it will when it takes
    /// the code: what compiling does to an exception table is the point.
    fn is_compiled(&self, at: usize) -> bool {
        at >= self.defined
            && (at == self.tail() || (at < self.tail() && (at - self.defined) % self.group() == 1))
    }
}

/// Notes the keys that are asked for, and stops Wasmtime after the last.
struct KeyStore {
    dummy: Vec<u8>,
    plan: Plan,
    asked: Mutex<Vec<CacheKey>>,
}

impl KeyStore {
    fn lock(&self) -> MutexGuard<'_, Vec<CacheKey>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyStore")
    }
}

impl CacheStore for KeyStore {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let mut asked = self.lock();
        let at = asked.len();
        if at < self.plan.total() {
            asked.extend(CacheKey::from_bytes(key));
        }
        drop(asked);
        if at == self.plan.total() {
            stop();
        }
        (!self.plan.is_compiled(at)).then_some(Cow::Borrowed(self.dummy.as_slice()))
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        false
    }
}
