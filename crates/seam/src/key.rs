//! The two hashes of the seam: Wasmtime's cache key, which names a function, and the caller's
//! fingerprint, which names everything else that shapes the code.

use cranelift_codegen::incremental_cache::{CacheKeyHash, compute_cache_key};
use cranelift_codegen::ir::Function;
use cranelift_codegen::isa::TargetIsa;
use sha2::{Digest, Sha256};
use std::fmt;
use std::hash::{Hash, Hasher};

/// Wasmtime's incremental-cache key: SHA-256 of a CLIF stencil, the target and all its flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key as Wasmtime passes it to a cache; `None` if it is not 32 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(CacheKey)
    }

    /// The key Wasmtime would ask for if it compiled `func` for `isa`.
    pub fn compute(isa: &dyn TargetIsa, func: &Function) -> Self {
        Self::from_hash(&compute_cache_key(isa, func))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Cranelift's key hides its bytes, but it can be hashed: a hasher that listens sees them.
    fn from_hash(hash: &CacheKeyHash) -> Self {
        struct Listener([u8; 32]);
        impl Hasher for Listener {
            fn write(&mut self, bytes: &[u8]) {
                if let Ok(key) = bytes.try_into() {
                    self.0 = key;
                }
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut listener = Listener([0; 32]);
        hash.hash(&mut listener);
        CacheKey(listener.0)
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

/// Names what a [`FunctionCompiler`](crate::FunctionCompiler) does beside reading the function:
/// its version, rules, options and cost tables. Equal fingerprints promise equal decisions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Hashes `parts` in order; their borders count, so `["ab"]` and `["a", "b"]` differ.
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Fingerprint(hasher.finalize().into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(")?;
        write_hex(f, &self.0)?;
        f.write_str(")")
    }
}

pub(crate) fn write_hex(f: &mut impl fmt::Write, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listener_hears_the_bytes_that_cranelift_prints() {
        let isa = cranelift_native::builder()
            .unwrap()
            .finish(cranelift_codegen::settings::Flags::new(cranelift_codegen::settings::builder()))
            .unwrap();
        let func = Function::new();
        let key = CacheKey::compute(&*isa, &func);
        let printed = compute_cache_key(&*isa, &func).to_string();
        assert_eq!(printed, format!("CacheKeyHash:{:?}", key.as_bytes()));
    }

    #[test]
    fn part_borders_change_a_fingerprint() {
        let joined = Fingerprint::of([b"ab".as_slice()]);
        let split = Fingerprint::of([b"a".as_slice(), b"b".as_slice()]);
        assert_ne!(joined, split);
    }
}
