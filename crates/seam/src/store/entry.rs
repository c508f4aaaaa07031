//! The bytes of one entry.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | magic |
//! | 4 | format version, little-endian as all numbers |
//! | 2 + n | versions of what made it, as text |
//! | 32 | the store key |
//! | 1 | kind: replaced or stock |
//! | 4 + n | the reason for stock code, as text |
//! | 8 + n | code |
//! | 32 | SHA-256 of all before |
//!
//! Invariant: [`decode`] returns a payload only if every byte is the one [`encode`] wrote for the
//! same key.

use super::{StoreKey, VERSIONS};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"egraftCS";
const FORMAT: u32 = 1;
const DIGEST_BYTES: usize = 32;
const KIND_CODE: u8 = 0;
const KIND_STOCK: u8 = 1;

/// What an entry holds: serialised code, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Code that replaces stock Cranelift's.
    Code(Vec<u8>),
    /// The compiler chose stock Cranelift's code.
    Stock {
        /// The compiler's reason.
        reason: String,
        /// Stock Cranelift's code.
        code: Vec<u8>,
    },
}

/// Why an entry is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The file ends early, or goes on.
    #[error("the entry is {0} bytes long, but not whole")]
    Truncated(usize),
    /// Not an entry.
    #[error("the file is not a code store entry")]
    NotAnEntry,
    /// Written by another version.
    #[error("the entry was written by another version: {0}")]
    ForeignVersion(String),
    /// The entry belongs under another name.
    #[error("the entry belongs to another key")]
    ForeignKey,
    /// Bytes changed after writing.
    #[error("the entry's checksum does not match")]
    Corrupt,
    /// Larger than any entry.
    #[error("the entry is larger than any this store writes")]
    Oversized,
    /// The file cannot be read.
    #[error("the entry cannot be read: {0}")]
    Unreadable(String),
    /// Someone else could have written it.
    #[error("the entry is not trusted: {0}")]
    Untrusted(String),
}

/// The bytes of the entry for `key`.
pub(super) fn encode(key: &StoreKey, payload: &Payload) -> Vec<u8> {
    let (kind, reason, code) = match payload {
        Payload::Code(code) => (KIND_CODE, "", code),
        Payload::Stock { reason, code } => (KIND_STOCK, reason.as_str(), code),
    };
    let mut bytes = Vec::with_capacity(code.len() + reason.len() + 256);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&(VERSIONS.len() as u16).to_le_bytes());
    bytes.extend_from_slice(VERSIONS.as_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(kind);
    bytes.extend_from_slice(&(reason.len() as u32).to_le_bytes());
    bytes.extend_from_slice(reason.as_bytes());
    bytes.extend_from_slice(&(code.len() as u64).to_le_bytes());
    bytes.extend_from_slice(code);
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    bytes
}

/// The payload, if `bytes` are a whole entry for `key`.
pub(super) fn decode(key: &StoreKey, bytes: &[u8]) -> Result<Payload, Rejection> {
    let truncated = || Rejection::Truncated(bytes.len());
    let mut rest = bytes;
    let mut take = |length: usize| -> Result<&[u8], Rejection> {
        let (taken, left) = rest.split_at_checked(length).ok_or_else(truncated)?;
        rest = left;
        Ok(taken)
    };
    if take(MAGIC.len())? != MAGIC {
        return Err(Rejection::NotAnEntry);
    }
    let format = number(take(4)?);
    if format != u64::from(FORMAT) {
        return Err(Rejection::ForeignVersion(format!("format {format}")));
    }
    let length = number(take(2)?) as usize;
    let versions = take(length)?;
    if versions != VERSIONS.as_bytes() {
        let versions = String::from_utf8_lossy(versions).into_owned();
        return Err(Rejection::ForeignVersion(versions));
    }
    if take(32)? != key.as_bytes() {
        return Err(Rejection::ForeignKey);
    }
    let kind = take(1)?[0];
    let length = number(take(4)?) as usize;
    let reason = take(length)?;
    let length = usize::try_from(number(take(8)?)).map_err(|_| truncated())?;
    let code = take(length)?;
    let digest = take(DIGEST_BYTES)?;
    if !rest.is_empty() {
        return Err(truncated());
    }
    if digest != &Sha256::digest(&bytes[..bytes.len() - DIGEST_BYTES])[..] {
        return Err(Rejection::Corrupt);
    }
    match (kind, std::str::from_utf8(reason)) {
        (KIND_CODE, Ok("")) => Ok(Payload::Code(code.to_vec())),
        (KIND_STOCK, Ok(reason)) => {
            Ok(Payload::Stock { reason: reason.to_owned(), code: code.to_vec() })
        }
        _ => Err(Rejection::Corrupt),
    }
}

/// A little-endian number of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> StoreKey {
        StoreKey::from_bytes([byte; 32])
    }

    fn payloads() -> [Payload; 3] {
        [
            Payload::Code(vec![]),
            Payload::Code((0..=255).collect()),
            Payload::Stock { reason: "no gain".to_owned(), code: vec![1, 2] },
        ]
    }

    #[test]
    fn entries_round_trip() {
        for payload in payloads() {
            let bytes = encode(&key(7), &payload);
            assert_eq!(decode(&key(7), &bytes), Ok(payload));
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_rejected() {
        let mut tried = 0;
        for payload in payloads() {
            let bytes = encode(&key(7), &payload);
            for end in 0..bytes.len() {
                assert!(decode(&key(7), &bytes[..end]).is_err(), "cut at {end}");
                tried += 1;
            }
            for at in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[at / 8] ^= 1 << (at % 8);
                assert!(decode(&key(7), &changed).is_err(), "bit {at}");
                tried += 1;
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert_eq!(decode(&key(7), &longer), Err(Rejection::Truncated(longer.len())));
        }
        assert!(tried > 3000, "{tried}");
    }

    #[test]
    fn another_key_or_version_is_named() {
        let bytes = encode(&key(7), &Payload::Code(vec![1]));
        assert_eq!(decode(&key(8), &bytes), Err(Rejection::ForeignKey));
        let mut other = bytes.clone();
        other[8] = 9;
        assert_eq!(decode(&key(7), &other), Err(Rejection::ForeignVersion("format 9".to_owned())));
        let mut other = bytes;
        other[14] = b'W';
        assert!(matches!(
            decode(&key(7), &other),
            Err(Rejection::ForeignVersion(text)) if text.starts_with("Wasmtime")
        ));
    }

    #[test]
    fn a_huge_length_is_rejected_without_allocating() {
        let mut bytes = encode(&key(7), &Payload::Code(vec![]));
        let at = bytes.len() - DIGEST_BYTES - 8;
        bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(decode(&key(7), &bytes), Err(Rejection::Truncated(_))));
    }
}
