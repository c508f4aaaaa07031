//! The cache that hands compiled code to Wasmtime. Holds what it was given and answers by key;
//! never compiles, and keeps nothing that Wasmtime offers it.

use crate::key::CacheKey;
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use wasmtime::CacheStore;

/// Compiled code by cache key, as a [`CacheStore`] for `Config::enable_incremental_compilation`.
///
/// An unknown key has no answer, and Wasmtime then compiles the function itself.
pub struct HandBack {
    limit: usize,
    slots: RwLock<Slots>,
}

#[derive(Default)]
struct Slots {
    by_key: HashMap<CacheKey, Slot>,
    /// Keys with code, oldest first.
    order: VecDeque<CacheKey>,
    bytes: usize,
}

struct Slot {
    /// `None` once two functions with this key got different code.
    code: Option<Arc<[u8]>>,
    asked: AtomicU64,
}

impl HandBack {
    /// An empty cache that holds at most `limit` bytes; the oldest code goes first.
    pub fn new(limit: usize) -> Self {
        HandBack { limit, slots: RwLock::default() }
    }

    /// Offers `code`, made by `serialize_compiled`, for `key`.
    ///
    /// Returns false, and answers the key no more, if it already had different code.
    pub fn offer(&self, key: CacheKey, code: impl Into<Arc<[u8]>>) -> bool {
        let code = code.into();
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slots = &mut *slots;
        if let Some(slot) = slots.by_key.get_mut(&key) {
            match &slot.code {
                Some(known) if known[..] == code[..] => return true,
                Some(known) => {
                    slots.bytes -= known.len();
                    slots.order.retain(|other| *other != key);
                    slot.code = None;
                    return false;
                }
                None => return false,
            }
        }
        slots.bytes += code.len();
        slots.order.push_back(key);
        slots.by_key.insert(key, Slot { code: Some(code), asked: AtomicU64::new(0) });
        while slots.bytes > self.limit {
            let Some(oldest) = slots.order.pop_front() else {
                break;
            };
            if let Some(code) = slots.by_key.remove(&oldest).and_then(|slot| slot.code) {
                slots.bytes -= code.len();
            }
        }
        true
    }

    /// Whether two functions with this key got different code, so that neither is handed back.
    pub fn is_contested(&self, key: &CacheKey) -> bool {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.by_key.get(key).is_some_and(|slot| slot.code.is_none())
    }

    /// How often Wasmtime took the code for `key`.
    pub fn times_taken(&self, key: &CacheKey) -> u64 {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.by_key.get(key).map_or(0, |slot| slot.asked.load(Ordering::Relaxed))
    }

    /// Bytes of code held.
    pub fn bytes(&self) -> usize {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.bytes
    }

    /// Takes a copy of all code in `other`.
    pub(crate) fn adopt(&self, other: &HandBack) {
        let others = other.slots.read().unwrap_or_else(PoisonError::into_inner);
        for key in &others.order {
            if let Some(code) = others.by_key.get(key).and_then(|slot| slot.code.as_ref()) {
                self.offer(*key, code.clone());
            }
        }
    }
}

impl fmt::Debug for HandBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandBack({} bytes)", self.bytes())
    }
}

impl CacheStore for HandBack {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = CacheKey::from_bytes(key)?;
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.by_key.get(&key)?;
        let code = slot.code.as_ref()?;
        slot.asked.fetch_add(1, Ordering::Relaxed);
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
    fn a_contested_key_is_never_answered_again() {
        let cache = HandBack::new(usize::MAX);
        assert!(cache.offer(key(1), vec![1]));
        assert!(cache.offer(key(1), vec![1]));
        assert!(!cache.offer(key(1), vec![2]));
        assert!(!cache.offer(key(1), vec![1]));
        assert!(cache.get(&[1; 32]).is_none());
        assert!(cache.is_contested(&key(1)));
        assert_eq!(cache.bytes(), 0);
    }

    #[test]
    fn the_oldest_code_leaves_when_the_limit_is_passed() {
        let cache = HandBack::new(10);
        for byte in 0..4 {
            cache.offer(key(byte), vec![byte; 4]);
        }
        assert_eq!(cache.bytes(), 8);
        assert!(cache.get(&[0; 32]).is_none());
        assert_eq!(cache.get(&[3; 32]).unwrap().len(), 4);
        assert_eq!(cache.times_taken(&key(3)), 1);
    }

    #[test]
    fn keys_of_another_length_have_no_answer() {
        let cache = HandBack::new(10);
        assert!(cache.get(&[0; 31]).is_none());
        assert!(cache.get(&[]).is_none());
    }
}
