//! Terms as a domain of the one semantics.

use super::term::{BinOp, Term, Terms};
use egraft_ir::semantics::{Domain, Float, Rounding};

macro_rules! binary {
    ($($method:ident $op:ident),*) => { $(
        fn $method(&mut self, _: u32, a: &Term, b: &Term) -> Term {
            self.bin(BinOp::$op, *a, *b)
        }
    )* };
}

macro_rules! rounded {
    ($($method:ident $name:literal),*) => { $(
        fn $method(&mut self, f: Float, a: &Term, b: &Term) -> Term {
            Terms::apply(self, $name, &[*a, *b], f.bits())
        }
    )* };
}

impl Terms {
    fn opposite(&mut self, x: Term) -> Term {
        let width = self.width(x);
        let zero = self.number(width, 0);
        self.bin(BinOp::Sub, zero, x)
    }

    /// Whether a number is negative, and its absolute value.
    fn magnitude(&mut self, x: Term) -> (Term, Term) {
        let width = self.width(x);
        let zero = self.number(width, 0);
        let negative = self.less(true, x, zero);
        let opposite = self.opposite(x);
        (negative, self.choose(negative, opposite, x))
    }
}

impl Domain for Terms {
    type Bits = Term;
    type Bool = Term;

    fn constant(&mut self, w: u32, bits: u128) -> Term {
        self.number(w, bits)
    }

    fn extract(&mut self, x: &Term, low: u32, w: u32) -> Term {
        self.slice(*x, low, w)
    }

    fn concat(&mut self, high: &Term, _: u32, low: &Term, _: u32) -> Term {
        self.join(*high, *low)
    }

    fn zext(&mut self, x: &Term, _: u32, to: u32) -> Term {
        self.zero_extend(*x, to)
    }

    fn sext(&mut self, x: &Term, _: u32, to: u32) -> Term {
        self.sign_extend(*x, to)
    }

    binary!(add Add, sub Sub, mul Mul, udiv Udiv, urem Urem);
    binary!(and And, or Or, xor Xor, shl Shl, lshr Lshr, ashr Ashr);

    fn sdiv(&mut self, _: u32, a: &Term, b: &Term) -> Term {
        let (negative_a, a) = self.magnitude(*a);
        let (negative_b, b) = self.magnitude(*b);
        let quotient = self.bin(BinOp::Udiv, a, b);
        let (yes, no) = (self.both(negative_a, negative_b), self.either(negative_a, negative_b));
        let same = self.negate(no);
        let same = self.either(yes, same);
        let negated = self.opposite(quotient);
        self.choose(same, quotient, negated)
    }

    fn srem(&mut self, _: u32, a: &Term, b: &Term) -> Term {
        let (negative, a) = self.magnitude(*a);
        let (_, b) = self.magnitude(*b);
        let rest = self.bin(BinOp::Urem, a, b);
        let negated = self.opposite(rest);
        self.choose(negative, negated, rest)
    }

    fn not(&mut self, _: u32, a: &Term) -> Term {
        self.complement(*a)
    }

    fn is_zero(&mut self, x: &Term) -> Term {
        let width = self.width(*x);
        let zero = self.number(width, 0);
        self.equal(*x, zero)
    }

    fn eq(&mut self, _: u32, a: &Term, b: &Term) -> Term {
        self.equal(*a, *b)
    }

    fn ult(&mut self, _: u32, a: &Term, b: &Term) -> Term {
        self.less(false, *a, *b)
    }

    fn slt(&mut self, _: u32, a: &Term, b: &Term) -> Term {
        self.less(true, *a, *b)
    }

    fn bool_not(&mut self, a: &Term) -> Term {
        self.negate(*a)
    }

    fn bool_and(&mut self, a: &Term, b: &Term) -> Term {
        self.both(*a, *b)
    }

    fn bool_or(&mut self, a: &Term, b: &Term) -> Term {
        self.either(*a, *b)
    }

    fn ite(&mut self, _: u32, c: &Term, a: &Term, b: &Term) -> Term {
        self.choose(*c, *a, *b)
    }

    rounded!(fadd "fadd", fsub "fsub", fmul "fmul", fdiv "fdiv");

    fn fsqrt(&mut self, f: Float, a: &Term) -> Term {
        Terms::apply(self, "fsqrt", &[*a], f.bits())
    }

    fn ffma(&mut self, f: Float, a: &Term, b: &Term, c: &Term) -> Term {
        Terms::apply(self, "ffma", &[*a, *b, *c], f.bits())
    }

    fn fround(&mut self, f: Float, mode: Rounding, a: &Term) -> Term {
        self.float_round(f, mode, *a)
    }

    fn feq(&mut self, f: Float, a: &Term, b: &Term) -> Term {
        self.float_equal(f, *a, *b)
    }

    fn flt(&mut self, f: Float, a: &Term, b: &Term) -> Term {
        self.float_less(f, *a, *b)
    }

    fn is_nan(&mut self, f: Float, a: &Term) -> Term {
        self.float_is_nan(f, *a)
    }

    fn fconvert(&mut self, _: Float, to: Float, a: &Term) -> Term {
        Terms::apply(self, "fconvert", &[*a], to.bits())
    }

    fn float_to_int(&mut self, f: Float, signed: bool, w: u32, a: &Term) -> Term {
        Terms::float_to_int(self, f, signed, w, *a)
    }

    fn float_from_int(&mut self, f: Float, signed: bool, _: u32, a: &Term) -> Term {
        if signed { self.float_from_signed(f, *a) } else { self.float_from_unsigned(f, *a) }
    }

    fn nan_result(&mut self, f: Float, inputs: &[&Term]) -> Term {
        let inputs: Vec<Term> = inputs.iter().map(|input| **input).collect();
        self.float_nan(f, &inputs)
    }
}
