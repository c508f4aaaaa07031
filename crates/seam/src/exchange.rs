//! Where Wasmtime waits for code that is being made. Makes none itself.
//!
//! Wasmtime's last run goes on beside capture and compilation: a question for a wanted function
//! waits until its code is there, every other question has no answer, and Wasmtime compiles.
//!
//! Invariant: a question waits only for a function that is still being worked on, so each such
//! function must be decided in the end, or the exchange [closed](Exchange::close).

use crate::key::CacheKey;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use wasmtime::CacheStore;

/// Code by key, some of it yet to come.
#[derive(Default)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    /// The functions that have a key: more than one if they are alike but for their callees.
    sharing: HashMap<CacheKey, Vec<u32>>,
    /// The first key of each function that is waited for.
    first: HashMap<u32, CacheKey>,
    /// What was decided, by function index.
    decided: HashMap<u32, Decided>,
    fates: BTreeMap<u32, Fate>,
    closed: bool,
}

/// A function's code, `None` for stock, and the key of what was compiled.
struct Decided {
    key: CacheKey,
    code: Option<Arc<[u8]>>,
}

/// What Wasmtime did with a function's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Took it.
    Taken,
    /// Got none, as another function with the same key got different code.
    Contested,
}

impl Exchange {
    /// Names the functions to wait for, by all keys they have. Before the first question.
    pub(crate) fn expect(&self, keys: &BTreeMap<u32, Vec<CacheKey>>) {
        let mut state = self.lock();
        for (index, keys) in keys {
            state.first.extend(keys.first().map(|key| (*index, *key)));
            for key in keys {
                let sharing = state.sharing.entry(*key).or_default();
                if !sharing.contains(index) {
                    sharing.push(*index);
                }
            }
        }
    }

    /// Gives the code for a function, compiled from what has `key`, which must be the first of its
    /// keys; `None` if Wasmtime shall compile it.
    pub(crate) fn decide(&self, index: u32, key: CacheKey, code: Option<Arc<[u8]>>) {
        self.lock().decided.insert(index, Decided { key, code });
        self.arrived.notify_all();
    }

    /// Leaves all that is not decided to Wasmtime.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// What Wasmtime did with the code for a function; `None` if it never asked.
    pub(crate) fn fate(&self, index: u32) -> Option<Fate> {
        self.lock().fates.get(&index).copied()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The code that all functions with this key got, once they have it.
    fn wait(&self, key: &CacheKey) -> Option<Arc<[u8]>> {
        let mut state = self.lock();
        let sharing = state.sharing.get(key)?.clone();
        while !state.closed && !sharing.iter().all(|index| state.decided.contains_key(index)) {
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let code_of = |index| {
            let Decided { key, code } = state.decided.get(index)?;
            code.clone().filter(|_| state.first.get(index) == Some(key))
        };
        let code = code_of(&sharing[0]);
        let agreed = sharing.iter().all(|index| code_of(index) == code);
        if code.is_some() || !agreed {
            let fate = if agreed { Fate::Taken } else { Fate::Contested };
            state.fates.extend(sharing.iter().map(|index| (*index, fate)));
        }
        code.filter(|_| agreed)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

impl CacheStore for Exchange {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let code = self.wait(&CacheKey::from_bytes(key)?)?;
        Some(Cow::Owned(code.to_vec()))
    }

    fn insert(&self, _key: &[u8], _value: Vec<u8>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> CacheKey {
        CacheKey::from_bytes(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_question_waits_for_its_code() {
        let exchange = Exchange::default();
        exchange.expect(&BTreeMap::from([(7, vec![key(1), key(2)])]));
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| exchange.get(&[2; 32]).map(Cow::into_owned));
            assert_eq!(exchange.get(&[3; 32]), None);
            exchange.decide(7, key(1), Some(Arc::from([9])));
            assert_eq!(asked.join().unwrap(), Some(vec![9]));
        });
        assert_eq!(exchange.fate(7), Some(Fate::Taken));
        assert_eq!(exchange.fate(8), None);
    }

    #[test]
    fn functions_that_share_a_key_must_agree() {
        let exchange = Exchange::default();
        exchange.expect(&BTreeMap::from([(1, vec![key(1)]), (2, vec![key(1)])]));
        exchange.decide(1, key(1), Some(Arc::from([1])));
        exchange.decide(2, key(1), Some(Arc::from([2])));
        assert_eq!(exchange.get(&[1; 32]), None);
        assert_eq!(exchange.fate(2), Some(Fate::Contested));
    }

    #[test]
    fn code_of_something_else_is_not_given() {
        let exchange = Exchange::default();
        exchange.expect(&BTreeMap::from([(1, vec![key(1), key(2)])]));
        exchange.decide(1, key(2), Some(Arc::from([1])));
        assert_eq!(exchange.get(&[2; 32]), None);
        assert_eq!(exchange.fate(1), None);
    }

    #[test]
    fn a_closed_exchange_lets_nobody_wait() {
        let exchange = Exchange::default();
        exchange.expect(&BTreeMap::from([(1, vec![key(1)])]));
        exchange.close();
        assert_eq!(exchange.get(&[1; 32]), None);
    }
}
