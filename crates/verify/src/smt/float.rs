//! Floats as bit patterns: comparisons as integers, arithmetic as functions.
//!
//! Orders, zeros and NaNs are defined here over bits and are exact. What rounds (sums, products,
//! conversions) is one named function for each operation: known by name alone, which proves what
//! holds of any function, or as IEEE 754 defines it, which solvers decide slowly.

use super::term::{BinOp, Term, Terms};
use egraft_ir::semantics::{Float, Rounding};

/// What is known of float arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FloatMode {
    /// Rounding operations are those of IEEE 754; else only their names are known.
    pub ieee: bool,
    /// Every NaN that arithmetic gives is the canonical one; else its sign and fraction are some
    /// function of the operands in their order.
    pub canonical_nan: bool,
}

/// The name of a rounding to an integral float.
pub(super) const fn rounding_name(mode: Rounding) -> &'static str {
    match mode {
        Rounding::Up => "round_up",
        Rounding::Down => "round_down",
        Rounding::Zero => "round_zero",
        Rounding::Nearest => "round_nearest",
    }
}

impl Terms {
    pub(super) fn float_is_nan(&mut self, f: Float, a: Term) -> Term {
        let magnitude = self.slice(a, 0, f.bits() - 1);
        let infinity = self.number(f.bits() - 1, f.infinity());
        self.less(false, infinity, magnitude)
    }

    fn any_nan(&mut self, f: Float, a: Term, b: Term) -> Term {
        let (a, b) = (self.float_is_nan(f, a), self.float_is_nan(f, b));
        self.either(a, b)
    }

    fn both_zero(&mut self, f: Float, a: Term, b: Term) -> Term {
        let zero = self.number(f.bits() - 1, 0);
        let (a, b) = (self.slice(a, 0, f.bits() - 1), self.slice(b, 0, f.bits() - 1));
        let (a, b) = (self.equal(a, zero), self.equal(b, zero));
        self.both(a, b)
    }

    pub(super) fn float_equal(&mut self, f: Float, a: Term, b: Term) -> Term {
        let nan = self.any_nan(f, a, b);
        let (same, zeros) = (self.equal(a, b), self.both_zero(f, a, b));
        let same = self.either(same, zeros);
        let ordered = self.negate(nan);
        self.both(ordered, same)
    }

    pub(super) fn float_less(&mut self, f: Float, a: Term, b: Term) -> Term {
        let magnitude_bits = f.bits() - 1;
        let nan = self.any_nan(f, a, b);
        let zeros = self.both_zero(f, a, b);
        let excluded = self.either(nan, zeros);
        let one = self.number(1, 1);
        let (sign_a, sign_b) = (self.slice(a, magnitude_bits, 1), self.slice(b, magnitude_bits, 1));
        let (sign_a, sign_b) = (self.equal(sign_a, one), self.equal(sign_b, one));
        let (a, b) = (self.slice(a, 0, magnitude_bits), self.slice(b, 0, magnitude_bits));
        let (below, above) = (self.less(false, a, b), self.less(false, b, a));
        // a < 0: less unless b is negative of no greater magnitude. a >= 0: b >= 0 and greater.
        let not_b = self.negate(sign_b);
        let if_negative = self.either(not_b, above);
        let if_positive = self.both(not_b, below);
        let not_a = self.negate(sign_a);
        let (if_negative, if_positive) =
            (self.both(sign_a, if_negative), self.both(not_a, if_positive));
        let less = self.either(if_negative, if_positive);
        let allowed = self.negate(excluded);
        self.both(allowed, less)
    }

    pub(super) fn float_nan(&mut self, f: Float, inputs: &[Term]) -> Term {
        let canonical = self.number(f.bits(), f.canonical_nan());
        if self.floats.canonical_nan {
            return canonical;
        }
        let name = ["nan_of_none", "nan_of_one", "nan_of_two", "nan_of_three"][inputs.len().min(3)];
        let choice = self.apply(name, inputs, f.bits());
        self.bin(BinOp::Or, choice, canonical)
    }
}
