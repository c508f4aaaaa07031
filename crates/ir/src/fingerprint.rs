//! What tells lists of values apart, in few words.
//!
//! Made of 32-bit arithmetic, so that GPUs compute the same (`shaders/terms.wgsl`).

/// Equal for equal lists; for others but by chance in 2^128.
pub type Fingerprint = [u32; 4];

/// A term whose fingerprint is wanted: an op, by its place in a list, over terms whose values are known, by theirs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    /// Which of the ops.
    pub op: u32,
    /// Its operands; any where it has fewer.
    pub args: [u32; 3],
}

const FACTORS: [u32; 4] = [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f];

fn stirred(hash: Fingerprint, value: u128) -> Fingerprint {
    let mut h: Fingerprint = std::array::from_fn(|at| {
        (hash[at] ^ (value >> (32 * at)) as u32).wrapping_mul(FACTORS[at])
    });
    for (at, by) in [13, 17, 11, 19].into_iter().enumerate() {
        h[at] = h[at].wrapping_add(h[(at + 1) % 4].rotate_left(by));
    }
    h
}

/// The fingerprint of a list of values. Lists are told apart from others of the same length.
pub fn fingerprint(values: impl IntoIterator<Item = u128>) -> Fingerprint {
    let hash = values.into_iter().fold([0; 4], stirred);
    // Every bit of the last value reaches every word.
    (0..4).fold(hash, |hash, _| stirred(hash, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn lists_that_differ_in_a_bit_differ_much() {
        let base: Vec<u128> = (0..50).map(|at| at * 0x1234_5678_9abc).collect();
        let plain = fingerprint(base.iter().copied());
        let mut seen = HashSet::from([plain]);
        let mut flipped = [0u32; 128];
        for at in 0..base.len() {
            for bit in 0..128 {
                let mut list = base.clone();
                list[at] ^= 1 << bit;
                let print = fingerprint(list.iter().copied());
                assert!(seen.insert(print), "value {at}, bit {bit}");
                for (place, count) in flipped.iter_mut().enumerate() {
                    *count += (print[place / 32] ^ plain[place / 32]) >> (place % 32) & 1;
                }
            }
        }
        let lists = 50 * 128;
        assert!(flipped.iter().all(|count| (lists * 2 / 5..lists * 3 / 5).contains(count)));
    }
}
