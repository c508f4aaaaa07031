//! Quotients of 16-bit lanes by constants: finds cheaper constants and tries every lane with them.
//!
//! Invariant: what is given was checked for all lanes that the caller names, not argued.

/// All 16-bit lanes.
const LANES: u32 = 1 << 16;

/// The saturating rounded high product of `sqmul_round_sat`.
fn mulhrs(x: i32, y: i32) -> i32 {
    ((x * y + 0x4000) >> 15).min(i32::from(i16::MAX))
}

/// `(x * c mod 2^32) >> n`, as 32-bit lanes compute it.
fn scaled(x: u32, c: u32, n: u32) -> u32 {
    x.wrapping_mul(c) >> n
}

/// The numbers of a factor and a shift of 32-bit lanes, if they are such.
fn factor_and_shift(c: u128, n: u128) -> Option<(u32, u32)> {
    let c = u32::try_from(c).ok().filter(|c| *c != 0)?;
    let n = u32::try_from(n).ok().filter(|n| *n < 32)?;
    Some((c, n))
}

/// d where `(x * c) >> n` in 32-bit lanes is `x / d` for every 16-bit x.
pub(super) fn divisor(c: u128, n: u128) -> Option<u128> {
    let (c, n) = factor_and_shift(c, n)?;
    let below = u32::try_from((1_u64 << n) / u64::from(c)).ok()?;
    (below.max(1)..=below + 1)
        .find(|d| (0..LANES).rev().all(|x| scaled(x, c, n) == x / d))
        .map(u128::from)
}

/// m where, for every 16-bit x, `sqmul_round_sat(x / 2, m)` is `x / d` or one more, and the
/// remainder it leaves is a 16-bit lane.
pub(super) fn guess(d: u128) -> Option<u128> {
    let d = i32::try_from(d).ok().filter(|d| (3..1 << 15).contains(d))?;
    let close = (1 << 16) / d;
    (close - 1..=close + 1)
        .filter(|m| *m < 1 << 15)
        .find(|m| {
            (0..LANES as i32).rev().all(|x| {
                let rest = x - mulhrs(x / 2, *m) * d;
                (-d..d).contains(&rest)
            })
        })
        .map(|m| m as u128)
}

/// The offset and the factor, as 16-bit lanes, with which
/// `sqmul_round_sat(x + offset, factor)` is `(x * c) >> n` in 32-bit lanes for every x < 2^`bits`;
/// only for `bits` up to 15.
pub(super) fn rounded(c: u128, n: u128, bits: u128) -> Option<(u128, u128)> {
    let (c, n) = factor_and_shift(c, n)?;
    let end = (bits <= 15).then(|| 1_u32 << bits)?;
    let close = ((u64::from(c) << 15) >> n).min(1 << 15) as i64;
    let factors = (close - 1..=close + 2).filter(|m| (1..1 << 15).contains(m));
    factors.into_iter().find_map(|m| {
        // The rounded product is q exactly where (q - 1/2) * 2^15 <= (x + offset) * m
        // < (q + 1/2) * 2^15, which bounds the offset.
        let (mut least, mut most) = (-(1_i64 << 15), (1 << 15) - i64::from(end));
        for x in 0..end {
            let q = i64::from(scaled(x, c, n));
            least = least.max(((q << 15) - 0x4000 + m - 1).div_euclid(m) - i64::from(x));
            most = most.min(((q << 15) + 0x3fff).div_euclid(m) - i64::from(x));
            if least > most {
                return None;
            }
        }
        let offset = 0_i64.clamp(least, most) as i32;
        let exact =
            (0..end as i32).all(|x| mulhrs(x + offset, m as i32) as u32 == scaled(x as u32, c, n));
        exact.then_some((offset as u128 & 0xffff, m as u128))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divisors_are_recognised() {
        assert_eq!(divisor(0xe38f, 19), Some(9));
        assert_eq!(divisor(0x8081, 23), Some(255));
        assert_eq!(divisor(1, 4), Some(16));
        assert_eq!(divisor(0xe390, 19), None, "too large a factor for the largest lanes");
        assert_eq!(divisor(0, 19), None);
        assert_eq!(divisor(1 << 40, 3), None);
        assert_eq!(divisor(1, 40), None);
    }

    #[test]
    fn guesses_leave_a_small_remainder() {
        for d in (3..300).chain([1000, 4095, 8191, 30_000]) {
            let Some(m) = guess(d) else { continue };
            let (d, m) = (d as i32, m as i32);
            assert!((0..1 << 16).all(|x| {
                let guess = mulhrs(x / 2, m);
                let rest = (x - guess * d) as i16;
                guess - i32::from(rest < 0) == x / d
            }));
        }
        assert!([3, 5, 7, 9, 25, 49, 255].iter().all(|d| guess(*d).is_some()));
        assert_eq!(guess(2), None);
        assert_eq!(guess(0), None);
        assert_eq!(guess(1 << 15), None);
    }

    #[test]
    fn small_lanes_need_one_product() {
        assert_eq!(rounded(0xe38f, 19, 12), Some((0xfffc, 3641)), "nine: x - 4");
        for (c, n, bits) in [(0xe38f, 19, 12), (0x924a, 18, 10), (0x147b, 17, 10), (1, 4, 15)] {
            let (offset, factor) = rounded(c, n, bits).expect("one product does");
            let offset = i32::from(offset as u16 as i16);
            assert!((0..1 << bits).all(|x| {
                mulhrs(x + offset, factor as i32) as u32 == scaled(x as u32, c as u32, n as u32)
            }));
        }
        assert_eq!(rounded(0x8081, 23, 15), None, "a factor of 8 bits is too coarse");
        assert_eq!(rounded(0xe38f, 19, 16), None);
        assert_eq!(rounded(0, 19, 8), None);
    }
}
