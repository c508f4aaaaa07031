//! Characteristic operands: vectors on which different terms differ.

use super::term::LEAVES;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// How many tuples of operands there are.
const TUPLES: usize = 28;

/// Tuples of operands, one vector for each leaf.
#[derive(Clone, Debug)]
pub(super) struct Samples {
    pub(super) leaves: Vec<[u128; LEAVES.len()]>,
}

impl Samples {
    /// Always the same ones. The first are random, so that few terms agree on them.
    pub(super) fn new() -> Samples {
        let mut random = SmallRng::seed_from_u64(0x6c6f_7765);
        let leaves = (0..TUPLES)
            .map(|at| {
                let lane = 8 << (at % 4);
                std::array::from_fn(|_| vector(&mut random, lane, at < 2))
            })
            .collect();
        Samples { leaves }
    }
}

/// A vector of lanes of `w` bits that are edges or random.
fn vector(random: &mut SmallRng, w: u32, plain: bool) -> u128 {
    let mask = u128::MAX >> (128 - w);
    (0..128 / w).fold(0, |vector, index| {
        let near = u128::from(random.random_range(0..3u8));
        let lane = match random.random_range(if plain { 8..12 } else { 0..12 }) {
            0 => near,
            1 => 0u128.wrapping_sub(near),
            2 => (1 << (w - 1)) | near,
            3 => (1u128 << (w - 1)).wrapping_sub(1 + near),
            4 => (1u128 << (w / 2)).wrapping_sub(near),
            5 => 0u128.wrapping_sub((1 << (w / 2 - 1)) + near),
            6 => (1u128 << (w / 2 - 1)).wrapping_add(near),
            7 => random.random::<u128>() & 0xff,
            _ => random.random(),
        };
        vector | (lane & mask) << (index * w)
    })
}
