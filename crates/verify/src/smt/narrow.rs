//! Arithmetic on extended operands, at the width where all of it happens.
//!
//! A sum of two zero-extended bytes needs nine bits, however wide it was asked for. So equal
//! computations at different widths become equal terms, and solvers get small ones.

use super::term::{BinOp, Kind, Term, Terms};

impl Terms {
    /// The number of low bits beyond which an unsigned term is known to be zero.
    fn used_bits(&self, x: Term) -> u32 {
        self.needs[x.index()].0
    }

    /// The number of low bits that a signed term fits in.
    pub(super) fn signed_bits(&self, x: Term) -> u32 {
        self.needs[x.index()].1
    }

    /// What [`Terms::used_bits`] and [`Terms::signed_bits`] say of a new term, by its operands.
    pub(super) fn bits_needed(&self, x: Term) -> (u32, u32) {
        let width = self.width(x);
        let used = match *self.kind(x) {
            Kind::Const(bits) => 128 - bits.leading_zeros(),
            Kind::Concat(high, low) => match self.as_const(high) {
                Some(0) => self.used_bits(low),
                Some(bits) => self.width(low) + 128 - bits.leading_zeros(),
                None => width,
            },
            Kind::Ite(_, a, b) => self.used_bits(a).max(self.used_bits(b)),
            _ => width,
        };
        let signed = match *self.kind(x) {
            Kind::Const(bits) if width > 0 => {
                let number = (bits << (128 - width)) as i128 >> (128 - width);
                129 - number.leading_zeros().max((!number).leading_zeros())
            }
            Kind::Sext(inner) => self.signed_bits(inner),
            Kind::Ite(_, a, b) => self.signed_bits(a).max(self.signed_bits(b)),
            _ => (used + 1).min(width),
        };
        (used, signed)
    }

    /// Whether `a op b` never leaves the range of its width.
    pub(super) fn is_exact(&self, op: BinOp, signed: bool, a: Term, b: Term) -> bool {
        let width = self.width(a);
        let bits = match signed {
            true => (self.signed_bits(a), self.signed_bits(b)),
            false => (self.used_bits(a), self.used_bits(b)),
        };
        match op {
            BinOp::Add => bits.0.max(bits.1) < width,
            BinOp::Sub => signed && bits.0.max(bits.1) < width,
            BinOp::Mul => bits.0 + bits.1 <= width,
            _ => false,
        }
    }

    /// `a op b` computed at a smaller width and extended, where that is the same.
    pub(super) fn narrowed(&mut self, op: BinOp, width: u32, a: Term, b: Term) -> Option<Term> {
        let (used_a, used_b) = (self.used_bits(a), self.used_bits(b));
        let unsigned = match op {
            BinOp::Add => used_a.max(used_b) + 1,
            BinOp::Mul => used_a + used_b,
            BinOp::Udiv => used_a.max(used_b),
            BinOp::Urem => used_a.max(used_b),
            // Amounts count modulo nothing here: they may be as large as the width says.
            BinOp::Lshr => used_a.max(used_b),
            _ => width,
        }
        .max(1);
        let (signed_a, signed_b) = (self.signed_bits(a), self.signed_bits(b));
        let signed = match op {
            BinOp::Add | BinOp::Sub => signed_a.max(signed_b) + 1,
            BinOp::Mul => signed_a + signed_b,
            _ => width,
        }
        .max(1);
        if unsigned < width && unsigned <= signed {
            let (a, b) = (self.slice(a, 0, unsigned), self.slice(b, 0, unsigned));
            let narrow = self.bin(op, a, b);
            return Some(self.zero_extend(narrow, width));
        }
        if signed < width {
            let (a, b) = (self.slice(a, 0, signed), self.slice(b, 0, signed));
            let narrow = self.bin(op, a, b);
            return Some(self.sign_extend(narrow, width));
        }
        None
    }

    /// The number of low bits that are known to be zero, fewer than all.
    fn low_zeros(&self, x: Term) -> u32 {
        match *self.kind(x) {
            Kind::Const(bits) => bits.trailing_zeros().min(self.width(x) - 1),
            Kind::Concat(_, low) => match self.as_const(low) {
                Some(0) => self.width(low),
                _ => self.low_zeros(low),
            },
            _ => 0,
        }
    }

    /// A sum or product without the low bits that come out as zero or as one operand's.
    pub(super) fn without_low_zeros(
        &mut self,
        op: BinOp,
        width: u32,
        a: Term,
        b: Term,
    ) -> Option<Term> {
        let (zeros_a, zeros_b) = (self.low_zeros(a), self.low_zeros(b));
        match op {
            BinOp::Mul => {
                // (a * 2^m) * (b * 2^n) = (a * b) * 2^(m+n).
                let all = zeros_a + zeros_b;
                if all == 0 {
                    return None;
                }
                if all >= width {
                    return Some(self.number(width, 0));
                }
                let kept = width - all;
                let (a, b) = (self.slice(a, zeros_a, kept), self.slice(b, zeros_b, kept));
                let (high, low) = (self.bin(op, a, b), self.number(all, 0));
                Some(self.join(high, low))
            }
            BinOp::Add | BinOp::Sub => {
                let (zeros, other) = match op {
                    BinOp::Add if zeros_a > zeros_b => (zeros_a, b),
                    _ => (zeros_b, a),
                };
                if zeros == 0 {
                    return None;
                }
                let kept = width - zeros;
                let (high_a, high_b) = (self.slice(a, zeros, kept), self.slice(b, zeros, kept));
                let (high, low) = (self.bin(op, high_a, high_b), self.slice(other, 0, zeros));
                Some(self.join(high, low))
            }
            _ => None,
        }
    }

    /// A comparison at a smaller width, where that is the same.
    pub(super) fn narrowed_less(&mut self, is_signed: bool, a: Term, b: Term) -> Option<Term> {
        let width = self.width(a);
        let unsigned = self.used_bits(a).max(self.used_bits(b)).max(1);
        if unsigned < width {
            // Both have a clear sign: the orders agree.
            let (a, b) = (self.slice(a, 0, unsigned), self.slice(b, 0, unsigned));
            return Some(self.less(false, a, b));
        }
        let signed = self.signed_bits(a).max(self.signed_bits(b)).max(1);
        if is_signed && signed < width {
            let (a, b) = (self.slice(a, 0, signed), self.slice(b, 0, signed));
            return Some(self.less(true, a, b));
        }
        None
    }
}
