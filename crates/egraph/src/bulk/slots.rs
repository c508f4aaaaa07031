//! The hash table of nodes: open addressing over ids, with part of the hash beside each.

use super::NONE;
use super::table::{Row, Words};

const EMPTY: u64 = 0;
const TOMBSTONE: u64 = 1;
/// Ids are written plus this.
const FIRST: u64 = 2;

/// Ids of nodes by their words, which stand elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    entries: Vec<u64>,
    /// Entries that are not empty, tombstones included.
    used: usize,
    live: usize,
}

/// One wide product: what is equal is compared in full, so that all it has to do is to spread.
pub(super) fn hash(words: &Words) -> u64 {
    let [a, b, c] = words.args;
    let low = u64::from(a) | u64::from(b) << 32;
    let high = u64::from(words.head) | u64::from(c ^ words.imm.rotate_left(16)) << 32;
    let product =
        u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xc2b2_ae3d_27d4_eb4f);
    product as u64 ^ (product >> 64) as u64
}

const fn entry(hash: u64, id: u32) -> u64 {
    hash & !0xffff_ffff | (id as u64 + FIRST)
}

impl Default for Slots {
    fn default() -> Slots {
        Slots { entries: vec![EMPTY; 64], used: 0, live: 0 }
    }
}

impl Slots {
    /// Number of ids.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn find(&self, nodes: &[Row], words: &Words, hash: u64) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let found = self.entries[at];
            if found == EMPTY {
                return None;
            }
            if found != TOMBSTONE && (found ^ hash) >> 32 == 0 {
                let id = (found as u32).wrapping_sub(FIRST as u32);
                if nodes[id as usize].words == *words {
                    return Some(id);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// As [`Slots::find`] for all of `words`, `NONE` where there is no id. Loads of many are under way at once, where one by
    /// one each would be waited for.
    pub(super) fn find_all(&self, rows: &[Row], words: &[Words], ids: &mut Vec<u32>) {
        const GROUP: usize = 32;
        let mask = self.entries.len() - 1;
        for words in words.chunks(GROUP) {
            let mut hashes = [0; GROUP];
            let mut entries = [EMPTY; GROUP];
            for ((words, hash), entry) in words.iter().zip(&mut hashes).zip(&mut entries) {
                *hash = self::hash(words);
                *entry = self.entries[*hash as usize & mask];
            }
            for ((words, hash), entry) in words.iter().zip(hashes).zip(entries) {
                let first = (entry as u32).wrapping_sub(FIRST as u32);
                let is_like = (entry ^ hash) >> 32 == 0;
                ids.push(match rows.get(first as usize).filter(|_| is_like) {
                    Some(row) if row.words == *words => first,
                    _ if entry == EMPTY => NONE,
                    _ => self.find(rows, words, hash).unwrap_or(NONE),
                });
            }
        }
    }

    /// Adds an id whose words no other id has.
    pub(super) fn insert(&mut self, nodes: &[Row], id: u32, hash: u64) {
        // Beyond two thirds, looking for what is not there takes many steps.
        if (self.used + 1) * 3 > self.entries.len() * 2 {
            self.grow(nodes);
        }
        self.live += 1;
        self.put(entry(hash, id), hash);
    }

    fn put(&mut self, entry: u64, hash: u64) {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        while self.entries[at] > TOMBSTONE {
            at = (at + 1) & mask;
        }
        self.used += usize::from(self.entries[at] == EMPTY);
        self.entries[at] = entry;
    }

    pub(super) fn remove(&mut self, id: u32, hash: u64) {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        let gone = entry(hash, id);
        while self.entries[at] != gone {
            debug_assert!(self.entries[at] != EMPTY, "a live node is in the table");
            at = (at + 1) & mask;
        }
        self.entries[at] = TOMBSTONE;
        self.live -= 1;
    }

    /// Drops tombstones where most entries are such.
    pub(super) fn tidy(&mut self, nodes: &[Row]) {
        if self.used > 2 * self.live {
            self.grow(nodes);
        }
    }

    /// Room for half as many ids more at least, and no tombstones.
    fn grow(&mut self, nodes: &[Row]) {
        let room = (self.live * 9 / 4).next_power_of_two().max(64);
        let old = std::mem::replace(&mut self.entries, vec![EMPTY; room]);
        self.used = 0;
        for entry in old.into_iter().filter(|entry| *entry > TOMBSTONE) {
            let id = (entry - FIRST) as u32;
            self.put(entry, hash(&nodes[id as usize].words));
        }
    }
}
