//! Sums and products as polynomials modulo 2^w.
//!
//! Solvers take bit-vector products apart into gates and do not see that they distribute. Here terms
//! of one width are written as sums of monomials over what is neither sum nor product; equal
//! polynomials are equal terms.

use super::term::{BinOp, Kind, Term, Terms};
use std::collections::BTreeMap;

/// Most monomials that a polynomial may have before it is given up.
const MONOMIALS: usize = 48;

/// Most factors of a monomial.
const FACTORS: usize = 6;

/// Coefficients by sorted factors; those that are zero are left out.
type Polynomial = BTreeMap<Vec<Term>, u128>;

impl Terms {
    /// Whether two terms of one width are the same polynomial.
    pub(super) fn same_polynomial(&mut self, a: Term, b: Term) -> bool {
        let width = self.width(a);
        if width > 128 || !(self.is_ring(a) || self.is_ring(b)) {
            return false;
        }
        match (self.polynomial(a, width), self.polynomial(b, width)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    fn is_ring(&self, x: Term) -> bool {
        matches!(self.kind(x), Kind::Bin(BinOp::Add | BinOp::Sub | BinOp::Mul | BinOp::Shl, ..))
    }

    /// A term modulo 2^`width`, no more than its own.
    fn polynomial(&mut self, x: Term, width: u32) -> Option<Polynomial> {
        let mask = u128::MAX >> (128 - width);
        let constant = |number: u128| match number & mask {
            0 => Polynomial::new(),
            number => Polynomial::from([(Vec::new(), number)]),
        };
        match *self.kind(x) {
            Kind::Const(bits) => Some(constant(bits)),
            Kind::Bin(op @ (BinOp::Add | BinOp::Sub), a, b) => {
                let (a, b) = (self.polynomial(a, width)?, self.polynomial(b, width)?);
                let sign = if op == BinOp::Sub { u128::MAX } else { 1 };
                sum(a, &b, sign, mask)
            }
            Kind::Bin(BinOp::Mul, a, b) => {
                let (a, b) = (self.polynomial(a, width)?, self.polynomial(b, width)?);
                product(&a, &b, mask)
            }
            // x << n = x * (1 << n).
            Kind::Bin(BinOp::Shl, a, amount) if self.width(x) == width => {
                let one = self.number(width, 1);
                let power = self.bin(BinOp::Shl, one, amount);
                let a = self.polynomial(a, width)?;
                product(&a, &Polynomial::from([(vec![power], 1)]), mask)
            }
            // An extended sum or product that does not wrap is the sum or product of extended operands.
            Kind::Sext(inner) => self.through_extension(x, inner, true, width),
            Kind::Concat(zeros, inner) if self.as_const(zeros) == Some(0) => {
                self.through_extension(x, inner, false, width)
            }
            // ~x = -1 - x.
            Kind::Not(inner) => {
                let inner = self.polynomial(inner, width)?;
                sum(constant(u128::MAX), &inner, u128::MAX, mask)
            }
            // Above zeros, x is x * 2^n; its own upper bits do not matter.
            Kind::Concat(high, low) if self.as_const(low) == Some(0) => {
                let zeros = self.width(low);
                let high = self.polynomial(high, width - zeros)?;
                let shifted =
                    high.into_iter().map(|(factors, coefficient)| (factors, coefficient << zeros));
                Some(shifted.filter(|(_, coefficient)| *coefficient & mask != 0).collect())
            }
            _ => Some(Polynomial::from([(vec![self.atom(x)], 1)])),
        }
    }

    /// The polynomial of `x`, which extends `inner`.
    fn through_extension(
        &mut self,
        x: Term,
        inner: Term,
        signed: bool,
        width: u32,
    ) -> Option<Polynomial> {
        let own = Some(Polynomial::from([(vec![self.atom(x)], 1)]));
        let Kind::Bin(op, a, b) = *self.kind(inner) else { return own };
        if !self.is_exact(op, signed, a, b) {
            return own;
        }
        let extend = |terms: &mut Terms, term: Term| match signed {
            true => terms.sign_extend(term, width),
            false => terms.zero_extend(term, width),
        };
        let (a, b) = (extend(self, a), extend(self, b));
        let (a, b) = (self.polynomial(a, width)?, self.polynomial(b, width)?);
        let mask = u128::MAX >> (128 - width);
        match op {
            BinOp::Mul => product(&a, &b, mask),
            BinOp::Sub => sum(a, &b, u128::MAX, mask),
            _ => sum(a, &b, 1, mask),
        }
    }

    /// What stands for a term in monomials: of low bits the term whose they are, as higher bits make
    /// no difference.
    fn atom(&self, x: Term) -> Term {
        match *self.kind(x) {
            Kind::Extract(inner, 0) => inner,
            _ => x,
        }
    }
}

fn sum(mut a: Polynomial, b: &Polynomial, sign: u128, mask: u128) -> Option<Polynomial> {
    for (factors, coefficient) in b {
        let entry = a.entry(factors.clone()).or_insert(0);
        *entry = entry.wrapping_add(coefficient.wrapping_mul(sign)) & mask;
    }
    a.retain(|_, coefficient| *coefficient != 0);
    (a.len() <= MONOMIALS).then_some(a)
}

fn product(a: &Polynomial, b: &Polynomial, mask: u128) -> Option<Polynomial> {
    let mut all = Polynomial::new();
    for (left, x) in a {
        for (right, y) in b {
            let mut factors: Vec<Term> = left.iter().chain(right).copied().collect();
            if factors.len() > FACTORS {
                return None;
            }
            factors.sort_unstable();
            let entry = all.entry(factors).or_insert(0);
            *entry = entry.wrapping_add(x.wrapping_mul(*y)) & mask;
        }
        if all.len() > MONOMIALS {
            return None;
        }
    }
    all.retain(|_, coefficient| *coefficient != 0);
    Some(all)
}
