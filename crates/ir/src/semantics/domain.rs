//! What a domain must offer to give ops a meaning: bit-vectors, truth values, IEEE floats.
//!
//! A domain computes; it never decides what an op means. Invariant asked of every method: a
//! result of width `w` has nothing outside its low `w` bits.

use crate::Ty;

/// An IEEE 754 binary format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Float {
    /// binary32
    Single,
    /// binary64
    Double,
}

impl Float {
    /// The format of the lanes of `ty`; `None` for integers.
    pub const fn of_lanes(ty: Ty) -> Option<Float> {
        match ty.lane() {
            Ty::F32 => Some(Float::Single),
            Ty::F64 => Some(Float::Double),
            _ => None,
        }
    }

    /// The vector type with lanes of this format.
    pub const fn vector(self) -> Ty {
        match self {
            Float::Single => Ty::F32X4,
            Float::Double => Ty::F64X2,
        }
    }

    /// Bits in the whole format.
    pub const fn bits(self) -> u32 {
        match self {
            Float::Single => 32,
            Float::Double => 64,
        }
    }

    /// Bits of the stored fraction.
    pub const fn fraction_bits(self) -> u32 {
        match self {
            Float::Single => 23,
            Float::Double => 52,
        }
    }

    /// Bits of the exponent field.
    pub const fn exponent_bits(self) -> u32 {
        self.bits() - 1 - self.fraction_bits()
    }

    /// The sign bit.
    pub const fn sign_mask(self) -> u128 {
        1 << (self.bits() - 1)
    }

    /// The bits of positive infinity.
    pub const fn infinity(self) -> u128 {
        ((1 << self.exponent_bits()) - 1) << self.fraction_bits()
    }

    /// The bits of the canonical NaN: positive, quiet, payload zero.
    pub const fn canonical_nan(self) -> u128 {
        self.infinity() | 1 << (self.fraction_bits() - 1)
    }

    /// The bits of two to the power `exponent`, which must be a normal number's.
    pub const fn power_of_two(self, exponent: u32) -> u128 {
        let bias = (1 << (self.exponent_bits() - 1)) - 1;
        ((bias + exponent) as u128) << self.fraction_bits()
    }

    /// Whether `bits` is a NaN.
    pub const fn is_nan(self, bits: u128) -> bool {
        bits & !self.sign_mask() > self.infinity()
    }
}

/// How a float is rounded to an integral float.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rounding {
    /// Towards positive infinity.
    Up,
    /// Towards negative infinity.
    Down,
    /// Towards zero.
    Zero,
    /// To nearest, ties to even.
    Nearest,
}

/// Bit-vectors, truth values and IEEE floats of some kind: numbers, terms of a prover, shader text.
///
/// Widths are given where they cannot be read off a number: `w` is the width of the operands and,
/// unless said otherwise, of the result. Widths up to 128 occur.
///
/// Float methods take and give bit patterns, round to nearest even, and flush nothing. What they
/// give where the IEEE result is a NaN is up to them, as long as [`Domain::is_nan`] says so: the
/// caller then asks [`Domain::nan_result`].
pub trait Domain {
    /// A bit-vector.
    type Bits: Clone;
    /// A truth value.
    type Bool: Clone;

    /// The low `w` bits of `bits`.
    fn constant(&mut self, w: u32, bits: u128) -> Self::Bits;
    /// `w` bits of `x` from bit `low` up; `x` may be wider than any width said so far.
    fn extract(&mut self, x: &Self::Bits, low: u32, w: u32) -> Self::Bits;
    /// `high` above the `low_width` bits of `low`.
    fn concat(
        &mut self,
        high: &Self::Bits,
        high_width: u32,
        low: &Self::Bits,
        low_width: u32,
    ) -> Self::Bits;
    /// Zero-extension from `w` to `to` bits.
    fn zext(&mut self, x: &Self::Bits, w: u32, to: u32) -> Self::Bits;
    /// Sign-extension from `w` to `to` bits.
    fn sext(&mut self, x: &Self::Bits, w: u32, to: u32) -> Self::Bits;

    /// Sum modulo 2^w.
    fn add(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Difference modulo 2^w.
    fn sub(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Product modulo 2^w.
    fn mul(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Unsigned quotient; anything for divisor 0, which no well-formed node has.
    fn udiv(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Signed quotient rounded to zero; anything for divisor 0 and for overflow.
    fn sdiv(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Unsigned remainder; anything for divisor 0.
    fn urem(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Signed remainder with the sign of the dividend; anything for divisor 0, 0 for divisor -1.
    fn srem(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;

    /// Bitwise and.
    fn and(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Bitwise or.
    fn or(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Bitwise exclusive or.
    fn xor(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Bitwise complement.
    fn not(&mut self, w: u32, a: &Self::Bits) -> Self::Bits;
    /// Shift left; `amount` is a `w`-bit number below `w`.
    fn shl(&mut self, w: u32, a: &Self::Bits, amount: &Self::Bits) -> Self::Bits;
    /// Logical shift right; `amount` is a `w`-bit number below `w`.
    fn lshr(&mut self, w: u32, a: &Self::Bits, amount: &Self::Bits) -> Self::Bits;
    /// Arithmetic shift right; `amount` is a `w`-bit number below `w`.
    fn ashr(&mut self, w: u32, a: &Self::Bits, amount: &Self::Bits) -> Self::Bits;

    /// Whether all bits of `x`, of whatever width, are zero.
    fn is_zero(&mut self, x: &Self::Bits) -> Self::Bool;
    /// Equality.
    fn eq(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bool;
    /// Unsigned less-than.
    fn ult(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bool;
    /// Signed less-than.
    fn slt(&mut self, w: u32, a: &Self::Bits, b: &Self::Bits) -> Self::Bool;
    /// Negation of a truth value.
    fn bool_not(&mut self, a: &Self::Bool) -> Self::Bool;
    /// Conjunction.
    fn bool_and(&mut self, a: &Self::Bool, b: &Self::Bool) -> Self::Bool;
    /// Disjunction.
    fn bool_or(&mut self, a: &Self::Bool, b: &Self::Bool) -> Self::Bool;
    /// `a` where `c` holds, else `b`.
    fn ite(&mut self, w: u32, c: &Self::Bool, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;

    /// Sum.
    fn fadd(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Difference.
    fn fsub(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Product.
    fn fmul(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Quotient.
    fn fdiv(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bits;
    /// Square root.
    fn fsqrt(&mut self, f: Float, a: &Self::Bits) -> Self::Bits;
    /// `a * b + c` with one rounding.
    fn ffma(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits, c: &Self::Bits) -> Self::Bits;
    /// Rounding to an integral float.
    fn fround(&mut self, f: Float, mode: Rounding, a: &Self::Bits) -> Self::Bits;
    /// Whether `a` and `b` are ordered and equal; -0 equals +0.
    fn feq(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bool;
    /// Whether `a` and `b` are ordered and `a` is less.
    fn flt(&mut self, f: Float, a: &Self::Bits, b: &Self::Bits) -> Self::Bool;
    /// Whether `a` is a NaN.
    fn is_nan(&mut self, f: Float, a: &Self::Bits) -> Self::Bool;
    /// The same number in format `to`, rounded where it must be.
    fn fconvert(&mut self, from: Float, to: Float, a: &Self::Bits) -> Self::Bits;
    /// `a` rounded to zero, as an integer of `w` bits; anything where that is out of range.
    fn float_to_int(&mut self, f: Float, signed: bool, w: u32, a: &Self::Bits) -> Self::Bits;
    /// A `w`-bit integer as a float, rounded to nearest even.
    fn float_from_int(&mut self, f: Float, signed: bool, w: u32, a: &Self::Bits) -> Self::Bits;
    /// The NaN that an arithmetic op on `inputs` answers.
    ///
    /// CLIF, like wasm, promises only this: the result is a quiet NaN; its sign is open; its
    /// fraction is the quiet bit alone if that is so of every NaN among the inputs, else open. Which
    /// one comes out of native code depends on operand order, and so on the compiler. No rewrite
    /// may depend on the choice, and no constant may be folded to it. Conversions between formats
    /// name no inputs, since those have another width; the fraction is open there.
    fn nan_result(&mut self, f: Float, inputs: &[&Self::Bits]) -> Self::Bits;
}
