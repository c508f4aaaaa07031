//! Partly known bits as a domain of the semantics.
//!
//! Each primitive is sound by itself and knows nothing of the others, so what two uses of one
//! value have in common is lost; `ranges` makes up for where that matters. Invariant: every
//! value has known zeros above its width (operands of any width excepted, whose bits above the
//! width may be open).

use super::KnownBits;
use crate::eval::Concrete;
use crate::semantics::{Domain, Float, Rounding};

/// The domain of [`KnownBits`]; a truth value is `None` where it is open.
pub(super) struct Known;

const fn width(w: u32) -> u128 {
    u128::MAX >> (128 - w)
}

const fn open(w: u32) -> KnownBits {
    KnownBits { zeros: !width(w), ones: 0 }
}

/// The fact cut to `w` bits.
const fn cut(fact: KnownBits, w: u32) -> KnownBits {
    KnownBits { zeros: fact.zeros | !width(w), ones: fact.ones & width(w) }
}

const fn value(fact: &KnownBits) -> Option<u128> {
    if fact.zeros == !fact.ones { Some(fact.ones) } else { None }
}

/// What the concrete domain gives if every operand is known.
macro_rules! if_known {
    ($w:expr, $method:ident($($lead:expr),*; $($x:ident),*)) => {
        match ($(value($x),)*) {
            ($(Some($x),)*) => KnownBits::constant(Concrete.$method($($lead,)* $(&$x),*)),
            _ => open($w),
        }
    };
}

/// Bits of `a + b + carry` by known carries.
fn sum(w: u32, a: &KnownBits, b: &KnownBits, carry: u128) -> KnownBits {
    let greatest = (!a.zeros).wrapping_add(!b.zeros).wrapping_add(carry);
    let least = a.ones.wrapping_add(b.ones).wrapping_add(carry);
    let no_carry_in = !(greatest ^ a.zeros ^ b.zeros);
    let carry_in = least ^ a.ones ^ b.ones;
    let known = a.known() & b.known() & (no_carry_in | carry_in);
    cut(KnownBits { zeros: !greatest & known, ones: least & known }, w)
}

/// A signed range, if it is one of `w`-bit numbers.
fn signed_range(w: u32, low: Option<i128>, high: Option<i128>) -> KnownBits {
    let (least, greatest) = (i128::MIN >> (128 - w), i128::MAX >> (128 - w));
    match (low, high) {
        (Some(low), Some(high)) if least <= low && high <= greatest => {
            KnownBits::from_signed_range(w, low, high)
        }
        _ => open(w),
    }
}

/// An unsigned range, if it is one of `w`-bit numbers.
fn unsigned_range(w: u32, low: Option<u128>, high: Option<u128>) -> KnownBits {
    match (low, high) {
        (Some(low), Some(high)) => KnownBits::from_range(w, low, high),
        _ => open(w),
    }
}

/// What holds for every amount below `w` that `amount` allows.
fn shifted(w: u32, amount: &KnownBits, by: impl Fn(u32) -> KnownBits) -> KnownBits {
    (0..w)
        .filter(|n| amount.holds_of(u128::from(*n)))
        .map(by)
        .reduce(KnownBits::join)
        .map_or(open(w), |fact| cut(fact, w))
}

/// Bits below the lowest bit that is not known to be zero in `divisor`: a remainder has them from
/// the dividend.
fn low_bits_of_dividend(w: u32, dividend: &KnownBits, divisor: &KnownBits) -> KnownBits {
    let count = divisor.zeros.trailing_ones().min(w - 1);
    let low = width(w) & !(u128::MAX << count);
    KnownBits { zeros: dividend.zeros & low | !width(w), ones: dividend.ones & low }
}

impl Domain for Known {
    type Bits = KnownBits;
    type Bool = Option<bool>;

    fn constant(&mut self, w: u32, bits: u128) -> KnownBits {
        KnownBits::constant(bits & width(w))
    }
    fn extract(&mut self, x: &KnownBits, low: u32, w: u32) -> KnownBits {
        cut(KnownBits { zeros: x.zeros >> low, ones: x.ones >> low }, w)
    }
    fn concat(&mut self, high: &KnownBits, _: u32, low: &KnownBits, low_width: u32) -> KnownBits {
        KnownBits {
            zeros: high.zeros << low_width | low.zeros & width(low_width),
            ones: high.ones << low_width | low.ones,
        }
    }
    fn zext(&mut self, x: &KnownBits, _w: u32, _to: u32) -> KnownBits {
        *x
    }
    fn sext(&mut self, x: &KnownBits, w: u32, to: u32) -> KnownBits {
        let spread = |bits: u128| (((bits << (128 - w)) as i128) >> (128 - w)) as u128;
        cut(KnownBits { zeros: spread(x.zeros), ones: spread(x.ones) }, to)
    }
    fn add(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        let (sa, sb) = (a.signed_range(w), b.signed_range(w));
        sum(w, a, b, 0)
            .intersect(unsigned_range(
                w,
                a.ones.checked_add(b.ones),
                (!a.zeros).checked_add(!b.zeros),
            ))
            .intersect(signed_range(w, sa.0.checked_add(sb.0), sa.1.checked_add(sb.1)))
    }
    fn sub(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        let (sa, sb) = (a.signed_range(w), b.signed_range(w));
        let complement = KnownBits { zeros: b.ones, ones: b.zeros };
        sum(w, a, &complement, 1)
            .intersect(unsigned_range(
                w,
                a.ones.checked_sub(!b.zeros),
                (!a.zeros).checked_sub(b.ones),
            ))
            .intersect(signed_range(w, sa.0.checked_sub(sb.1), sa.1.checked_sub(sb.0)))
    }
    fn mul(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        // Low bits: with all zeros below the lowest set bits split off, as many low bits of the
        // product are known as of both factors.
        let run =
            |x: &KnownBits| (x.zeros.trailing_ones().min(w), x.known().trailing_ones().min(w));
        let ((zeros_a, known_a), (zeros_b, known_b)) = (run(a), run(b));
        let count = ((known_a - zeros_a).min(known_b - zeros_b) + zeros_a + zeros_b).min(w);
        let low = width(w) & if count == 128 { u128::MAX } else { !(u128::MAX << count) };
        let product = a.ones.wrapping_mul(b.ones);
        let low_bits = KnownBits { zeros: !product & low | !width(w), ones: product & low };

        let unsigned =
            unsigned_range(w, a.ones.checked_mul(b.ones), (!a.zeros).checked_mul(!b.zeros));
        let (sa, sb) = (a.signed_range(w), b.signed_range(w));
        let corners = [
            sa.0.checked_mul(sb.0),
            sa.0.checked_mul(sb.1),
            sa.1.checked_mul(sb.0),
            sa.1.checked_mul(sb.1),
        ];
        let signed = if corners.contains(&None) {
            open(w)
        } else {
            signed_range(
                w,
                corners.into_iter().flatten().min(),
                corners.into_iter().flatten().max(),
            )
        };
        low_bits.intersect(unsigned).intersect(signed)
    }
    fn udiv(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        let exact = match value(b) {
            Some(divisor) if divisor.is_power_of_two() => {
                let by = divisor.trailing_zeros();
                cut(KnownBits { zeros: a.zeros >> by | !(u128::MAX >> by), ones: a.ones >> by }, w)
            }
            _ => open(w),
        };
        // A divisor of 0 gives anything, so it may be left out.
        let high = (!a.zeros) / b.ones.max(1);
        exact.intersect(unsigned_range(w, a.ones.checked_div(!b.zeros), Some(high)))
    }
    fn sdiv(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        let sign = 1 << (w - 1);
        if a.zeros & b.zeros & sign != 0 {
            return self.udiv(w, a, b);
        }
        if_known!(w, sdiv(w; a, b))
    }
    fn urem(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        // Not above the dividend, and below the divisor.
        let low = if !a.zeros < b.ones { a.ones } else { 0 };
        let high = (!a.zeros).min((!b.zeros).saturating_sub(1));
        let range = KnownBits::from_range(w, low, high);
        let bits = if !a.zeros < b.ones { *a } else { low_bits_of_dividend(w, a, b) };
        range.intersect(bits).intersect(if_known!(w, urem(w; a, b)))
    }
    fn srem(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        let sign = 1 << (w - 1);
        if a.zeros & b.zeros & sign != 0 {
            return self.urem(w, a, b);
        }
        if_known!(w, srem(w; a, b)).intersect(low_bits_of_dividend(w, a, b))
    }
    fn and(&mut self, _w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        KnownBits { zeros: a.zeros | b.zeros, ones: a.ones & b.ones }
    }
    fn or(&mut self, _w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        KnownBits { zeros: a.zeros & b.zeros, ones: a.ones | b.ones }
    }
    fn xor(&mut self, _w: u32, a: &KnownBits, b: &KnownBits) -> KnownBits {
        KnownBits {
            zeros: a.zeros & b.zeros | a.ones & b.ones,
            ones: a.zeros & b.ones | a.ones & b.zeros,
        }
    }
    fn not(&mut self, w: u32, a: &KnownBits) -> KnownBits {
        cut(KnownBits { zeros: a.ones, ones: a.zeros }, w)
    }
    fn shl(&mut self, w: u32, a: &KnownBits, amount: &KnownBits) -> KnownBits {
        shifted(w, amount, |n| KnownBits {
            zeros: a.zeros << n | !(u128::MAX << n),
            ones: a.ones << n,
        })
    }
    fn lshr(&mut self, w: u32, a: &KnownBits, amount: &KnownBits) -> KnownBits {
        shifted(w, amount, |n| KnownBits {
            zeros: a.zeros >> n | !(u128::MAX >> n),
            ones: a.ones >> n,
        })
    }
    fn ashr(&mut self, w: u32, a: &KnownBits, amount: &KnownBits) -> KnownBits {
        let spread = |bits: u128, n: u32| (((bits << (128 - w)) as i128) >> (128 - w) >> n) as u128;
        shifted(w, amount, |n| KnownBits { zeros: spread(a.zeros, n), ones: spread(a.ones, n) })
    }
    fn is_zero(&mut self, x: &KnownBits) -> Option<bool> {
        if x.ones != 0 { Some(false) } else { (x.zeros == u128::MAX).then_some(true) }
    }
    fn eq(&mut self, _w: u32, a: &KnownBits, b: &KnownBits) -> Option<bool> {
        if a.ones & b.zeros | a.zeros & b.ones != 0 {
            return Some(false);
        }
        (value(a).is_some() && value(a) == value(b)).then_some(true)
    }
    fn ult(&mut self, _w: u32, a: &KnownBits, b: &KnownBits) -> Option<bool> {
        if !a.zeros < b.ones { Some(true) } else { (a.ones >= !b.zeros).then_some(false) }
    }
    fn slt(&mut self, w: u32, a: &KnownBits, b: &KnownBits) -> Option<bool> {
        let (a, b) = (a.signed_range(w), b.signed_range(w));
        if a.1 < b.0 { Some(true) } else { (a.0 >= b.1).then_some(false) }
    }
    fn bool_not(&mut self, a: &Option<bool>) -> Option<bool> {
        a.map(|a| !a)
    }
    fn bool_and(&mut self, a: &Option<bool>, b: &Option<bool>) -> Option<bool> {
        match (a, b) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        }
    }
    fn bool_or(&mut self, a: &Option<bool>, b: &Option<bool>) -> Option<bool> {
        match (a, b) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (Some(false), Some(false)) => Some(false),
            _ => None,
        }
    }
    fn ite(&mut self, _w: u32, c: &Option<bool>, a: &KnownBits, b: &KnownBits) -> KnownBits {
        match c {
            Some(true) => *a,
            Some(false) => *b,
            None => a.join(*b),
        }
    }

    fn fadd(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fadd(f; a, b))
    }
    fn fsub(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fsub(f; a, b))
    }
    fn fmul(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fmul(f; a, b))
    }
    fn fdiv(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fdiv(f; a, b))
    }
    fn fsqrt(&mut self, f: Float, a: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fsqrt(f; a))
    }
    fn ffma(&mut self, f: Float, a: &KnownBits, b: &KnownBits, c: &KnownBits) -> KnownBits {
        if_known!(f.bits(), ffma(f; a, b, c))
    }
    fn fround(&mut self, f: Float, mode: Rounding, a: &KnownBits) -> KnownBits {
        if_known!(f.bits(), fround(f, mode; a))
    }
    fn feq(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> Option<bool> {
        Some(Concrete.feq(f, &value(a)?, &value(b)?))
    }
    fn flt(&mut self, f: Float, a: &KnownBits, b: &KnownBits) -> Option<bool> {
        Some(Concrete.flt(f, &value(a)?, &value(b)?))
    }
    fn is_nan(&mut self, f: Float, a: &KnownBits) -> Option<bool> {
        let magnitude = f.sign_mask() - 1;
        if a.ones & magnitude > f.infinity() {
            return Some(true);
        }
        (!a.zeros & magnitude <= f.infinity()).then_some(false)
    }
    fn fconvert(&mut self, from: Float, to: Float, a: &KnownBits) -> KnownBits {
        if_known!(to.bits(), fconvert(from, to; a))
    }
    fn float_to_int(&mut self, f: Float, signed: bool, w: u32, a: &KnownBits) -> KnownBits {
        if_known!(w, float_to_int(f, signed, w; a))
    }
    fn float_from_int(&mut self, f: Float, signed: bool, w: u32, a: &KnownBits) -> KnownBits {
        if signed && a.zeros >> (w - 1) & 1 == 0 {
            return if_known!(f.bits(), float_from_int(f, signed, w; a));
        }
        // The conversion is monotonic, and bits order non-negative floats.
        let low = Concrete.float_from_int(f, false, w, &a.ones);
        let high = Concrete.float_from_int(f, false, w, &!a.zeros);
        KnownBits::from_range(f.bits(), low, high)
    }
    fn nan_result(&mut self, f: Float, _inputs: &[&KnownBits]) -> KnownBits {
        open(f.bits())
    }
}
