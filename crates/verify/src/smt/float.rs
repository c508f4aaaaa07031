//! Floats as bit patterns: comparisons as integers, arithmetic as functions.
//!
//! Orders, zeros, NaNs and rounding to integral floats are defined here over bits and are exact. What
//! else rounds (sums, products, conversions) is one named function for each operation: known by name
//! alone, which proves what holds of any function, or as IEEE 754 defines it, which solvers decide
//! slowly.

use super::term::{BinOp, Kind, Term, Terms};
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

    /// A signed integer as a float: a function of the number, however wide it stands.
    pub(super) fn float_from_signed(&mut self, f: Float, x: Term) -> Term {
        let bits = self.signed_bits(x).max(1);
        let x = self.slice(x, 0, bits);
        self.apply("from_signed", &[x], f.bits())
    }

    /// An unsigned integer as a float.
    pub(super) fn float_from_unsigned(&mut self, f: Float, x: Term) -> Term {
        let width = self.width(x);
        let zero = self.number(width, 0);
        let large = self.less(true, x, zero);
        let wide = self.zero_extend(x, width + 1);
        let (of_large, of_small) = (self.float_from_signed(f, wide), self.float_from_signed(f, x));
        self.choose(large, of_large, of_small)
    }

    /// A float as an integer of `width` bits: a function of the integral float that is left of it.
    pub(super) fn float_to_int(&mut self, f: Float, signed: bool, width: u32, a: Term) -> Term {
        let integral = self.float_round(f, Rounding::Zero, a);
        self.apply(if signed { "to_signed" } else { "to_unsigned" }, &[integral], width)
    }

    /// Rounding to an integral float: bits below the point are cut off, and the magnitude may grow by
    /// one. Infinities and NaNs stay.
    pub(super) fn float_round(&mut self, f: Float, mode: Rounding, a: Term) -> Term {
        let (w, p, e) = (f.bits(), f.fraction_bits(), f.exponent_bits());
        let bias = (1_u128 << (e - 1)) - 1;
        let exponent = self.slice(a, p, e);
        let (sign_bits, zero) = (self.slice(a, w - 1, 1), self.number(w, 0));
        let one_bit = self.number(1, 1);
        let negative = self.equal(sign_bits, one_bit);
        let positive = self.negate(negative);
        let (least, end) = (self.number(e, bias), self.number(e, bias + u128::from(p)));
        let below_one = self.less(false, exponent, least);
        let fractional = self.less(false, exponent, end);

        // 1 <= |a| < 2^p: `drop` bits are below the point.
        let drop = self.bin(BinOp::Sub, end, exponent);
        let drop = self.zero_extend(drop, w);
        let one = self.number(w, 1);
        let unit = self.bin(BinOp::Shl, one, drop);
        let low = self.bin(BinOp::Sub, unit, one);
        let rest = self.bin(BinOp::And, a, low);
        let high = self.complement(low);
        let cut = self.bin(BinOp::And, a, high);
        let half = self.bin(BinOp::Lshr, unit, one);
        let (exact, odd) = (self.equal(rest, zero), self.bin(BinOp::And, cut, unit));
        let even = self.equal(odd, zero);
        let inexact = self.negate(exact);
        let grows = match mode {
            Rounding::Zero => self.truth(false),
            Rounding::Up => self.both(positive, inexact),
            Rounding::Down => self.both(negative, inexact),
            Rounding::Nearest => {
                let (above, tie) = (self.less(false, half, rest), self.equal(rest, half));
                let odd = self.negate(even);
                let tie = self.both(tie, odd);
                self.either(above, tie)
            }
        };
        let grown = self.bin(BinOp::Add, cut, unit);
        let middle = self.choose(grows, grown, cut);

        // |a| < 1: zero or one, with its sign.
        let magnitude = self.slice(a, 0, w - 1);
        let (none, half) = (self.number(w - 1, 0), self.number(w - 1, (bias - 1) << p));
        let is_zero = self.equal(magnitude, none);
        let some = self.negate(is_zero);
        let to_one = match mode {
            Rounding::Zero => self.truth(false),
            Rounding::Up => self.both(positive, some),
            Rounding::Down => self.both(negative, some),
            Rounding::Nearest => self.less(false, half, magnitude),
        };
        let unity = self.number(w - 1, bias << p);
        let small = self.choose(to_one, unity, none);
        let small = self.join(sign_bits, small);

        let rounded = self.choose(below_one, small, middle);
        self.choose(fractional, rounded, a)
    }

    /// What is true of NaNs made of NaNs: they stay. And of integers made floats, of which else only
    /// the name is known: they are integral
    /// and no NaN, their magnitude does not pass the integer's bound, and where the format has room
    /// for all digits, the way back gives the integer.
    pub(super) fn float_lemmas(&mut self, roots: &[Term]) -> Vec<Term> {
        let mut made: Vec<(Term, Term)> = Vec::new();
        let mut back: Vec<(Term, Term)> = Vec::new();
        let mut nans: Vec<(Term, Term)> = Vec::new();
        self.visit(roots, |term, kind| match kind {
            Kind::Apply("from_signed", args) => made.push((term, args[0])),
            Kind::Apply("to_signed", args) => back.push((term, args[0])),
            Kind::Apply("nan_of_one", args) => nans.push((term, args[0])),
            _ => {}
        });
        let mut lemmas = Vec::new();
        for (first, _) in &nans {
            let f = if self.width(*first) == 32 { Float::Single } else { Float::Double };
            let quiet = self.number(f.bits(), f.canonical_nan());
            let first = self.bin(BinOp::Or, *first, quiet);
            for (second, of) in &nans {
                if self.width(*of) != f.bits() {
                    continue;
                }
                // The NaN of a NaN that arithmetic gave is that NaN.
                let (same, second) = (self.equal(*of, first), self.bin(BinOp::Or, *second, quiet));
                let (other, stays) = (self.negate(same), self.equal(first, second));
                lemmas.push(self.either(other, stays));
            }
        }
        for (float, integer) in made {
            let f = if self.width(float) == 32 { Float::Single } else { Float::Double };
            let bits = self.width(integer);
            let magnitude_bits = f.bits() - 1;
            let integral = self.float_round(f, Rounding::Zero, float);
            lemmas.push(self.equal(integral, float));
            let magnitude = self.slice(float, 0, magnitude_bits);
            let bound = self.number(magnitude_bits, f.power_of_two(bits - 1));
            let above = self.less(false, bound, magnitude);
            lemmas.push(self.negate(above));
            let none = self.number(bits, 0);
            let (zero, float_zero) = (self.equal(integer, none), self.number(f.bits(), 0));
            let is_zero = self.equal(float, float_zero);
            lemmas.push(self.equivalent(zero, is_zero));
            let sign = self.slice(float, magnitude_bits, 1);
            let one = self.number(1, 1);
            let (negative, sign) = (self.less(true, integer, none), self.equal(sign, one));
            lemmas.push(self.equivalent(negative, sign));
            if bits > f.fraction_bits() + 2 {
                continue;
            }
            let least = self.number(bits, 1 << (bits - 1));
            let (at_bound, is_least) = (self.equal(magnitude, bound), self.equal(integer, least));
            lemmas.push(self.equivalent(at_bound, is_least));
            for (result, argument) in &back {
                let width = self.width(*result);
                let wide = self.width(*argument) == f.bits() && width >= bits;
                if !wide {
                    continue;
                }
                let (same, number) =
                    (self.equal(*argument, float), self.sign_extend(integer, width));
                let gives = self.equal(*result, number);
                let other = self.negate(same);
                lemmas.push(self.either(other, gives));
            }
        }
        lemmas
    }

    fn equivalent(&mut self, a: Term, b: Term) -> Term {
        let (not_a, not_b) = (self.negate(a), self.negate(b));
        let (yes, no) = (self.both(a, b), self.both(not_a, not_b));
        self.either(yes, no)
    }

    pub(super) fn float_nan(&mut self, f: Float, inputs: &[Term]) -> Term {
        let canonical = self.number(f.bits(), f.canonical_nan());
        if self.floats.canonical_nan {
            return canonical;
        }
        let choice = self.nan_choice(f, inputs);
        self.bin(BinOp::Or, choice, canonical)
    }

    /// Sign and fraction of a NaN that arithmetic gives. Of one NaN among the operands, or of equal
    /// operands, it is a function of that NaN alone; of none it is always the same; of several it may
    /// depend on their order. So do x86 (Intel SDM volume 1, table 4-7), Arm (FPProcessNaNs) and
    /// RISC-V; IEEE 754-2019 section 6.2.3 recommends it.
    fn nan_choice(&mut self, f: Float, inputs: &[Term]) -> Term {
        let w = f.bits();
        let none = self.apply("nan_of_none", &[], w);
        match *inputs {
            [] => none,
            [a] => {
                let (is_nan, own) = (self.float_is_nan(f, a), self.apply("nan_of_one", &[a], w));
                self.choose(is_nan, own, none)
            }
            [a, b] => {
                let (nan_a, nan_b) = (self.float_is_nan(f, a), self.float_is_nan(f, b));
                let (of_a, of_b) =
                    (self.apply("nan_of_one", &[a], w), self.apply("nan_of_one", &[b], w));
                let (same, both) = (self.equal(a, b), self.apply("nan_of_two", &[a, b], w));
                let both = self.choose(same, of_a, both);
                let if_a = self.choose(nan_b, both, of_a);
                let otherwise = self.choose(nan_b, of_b, none);
                self.choose(nan_a, if_a, otherwise)
            }
            _ => self.apply("nan_of_three", inputs, w),
        }
    }
}
