//! Contents of buffers before a call: the same on every machine, in every run and engine.

use crate::descriptor::{Buffer, Contents};
use crate::scalar::{ElementType, Value};

/// What outputs hold before a call.
pub(crate) const POISON: u8 = 0xcd;

/// What `buffer`, the argument at this index, holds before a call.
pub(crate) fn contents(buffer: &Buffer, argument: usize) -> Vec<u8> {
    let width = buffer.ty.bytes() as usize;
    match &buffer.contents {
        Contents::Fill(low, high) => fill(buffer.ty, *low, *high, argument, buffer.span()),
        Contents::Data(values) => {
            values.iter().flat_map(|value| value.to_bytes().into_iter().take(width)).collect()
        }
        Contents::Poison => vec![POISON; buffer.bytes() as usize],
    }
}

/// Splitmix64: one multiplication-xorshift round over a counter. Small, and good enough for pixels.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The generator of the argument with this index.
    fn for_argument(index: usize) -> Random {
        Random((index as u64 + 1).wrapping_mul(Self::STEP))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`, with 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `count` elements between `low` and `high`, both included for integers, as little-endian bytes.
fn fill(ty: ElementType, low: Value, high: Value, argument: usize, count: u64) -> Vec<u8> {
    let mut random = Random::for_argument(argument);
    let width = ty.bytes() as usize;
    let mut bytes = Vec::with_capacity(count as usize * width);
    for _ in 0..count {
        let value = match (low.as_integer(), high.as_integer()) {
            (Some(low), Some(high)) => {
                let span = (high - low) as u128 + 1;
                Value::integer(ty, low + (u128::from(random.next()) % span) as i128)
            }
            _ => {
                let low = low.as_float().unwrap_or(0.0);
                let high = high.as_float().unwrap_or(1.0);
                Value::float(ty, low + (high - low) * random.unit())
            }
        };
        bytes.extend_from_slice(&value.to_bytes()[..width]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_range_and_reach_its_ends() {
        let ty = ElementType::I8;
        let bytes = fill(ty, Value::integer(ty, -3), Value::integer(ty, 4), 0, 1000);
        let values: Vec<i8> = bytes.iter().map(|byte| *byte as i8).collect();
        assert_eq!(values.iter().min(), Some(&-3));
        assert_eq!(values.iter().max(), Some(&4));
    }

    #[test]
    fn arguments_differ_and_runs_do_not() {
        let ty = ElementType::U64;
        let ends = (Value::integer(ty, 0), Value::integer(ty, u64::MAX.into()));
        let make = |argument| fill(ty, ends.0, ends.1, argument, 16);
        assert_eq!(make(0), make(0));
        assert_ne!(make(0), make(1));
    }

    #[test]
    fn floats_stay_in_range() {
        let ty = ElementType::F32;
        let bytes = fill(ty, Value::float(ty, -1.0), Value::float(ty, 1.0), 2, 1000);
        for chunk in bytes.chunks(4) {
            let value = Value::from_bytes(ty, chunk).unwrap().as_float().unwrap();
            assert!((-1.0..=1.0).contains(&value), "{value}");
        }
    }
}
