//! The value of a term for values of its variables.
//!
//! For counterexamples, and as the judge of the simplifier. Invariant: says nothing where a function
//! of which only the name is known, or a division by zero, takes part.

use super::term::{Kind, Term, Terms, VarId, fold};
use rustc_hash::FxHashMap;

impl Terms {
    /// The value of a term of at most 128 bits; truth values are 0 and 1. Variables that `values` does
    /// not name are 0.
    pub fn evaluate(&self, root: Term, values: &FxHashMap<VarId, u128>) -> Option<u128> {
        let mut known: FxHashMap<Term, Option<u128>> = FxHashMap::default();
        let mut stack = vec![root];
        while let Some(term) = stack.last().copied() {
            if known.contains_key(&term) {
                stack.pop();
                continue;
            }
            let waiting: Vec<Term> = self
                .operands(term)
                .into_iter()
                .filter(|operand| !known.contains_key(operand))
                .collect();
            if waiting.is_empty() {
                let value = self.value_of(term, values, &known);
                known.insert(term, value);
                stack.pop();
            } else {
                stack.extend(waiting);
            }
        }
        known[&root]
    }

    fn value_of(
        &self,
        term: Term,
        values: &FxHashMap<VarId, u128>,
        known: &FxHashMap<Term, Option<u128>>,
    ) -> Option<u128> {
        let width = self.width(term);
        if width > 128 {
            return None;
        }
        let of = |term: Term| known[&term];
        let mask = if width == 0 { 1 } else { u128::MAX >> (128 - width) };
        let signed = |bits: u128, from: u32| (bits << (128 - from)) as i128 >> (128 - from);
        Some(match *self.kind(term) {
            Kind::Var(var) => values.get(&var).copied().unwrap_or(0) & mask,
            Kind::Const(bits) => bits,
            Kind::Extract(x, low) => of(x)? >> low & mask,
            Kind::Concat(high, low) => of(high)? << self.width(low) | of(low)?,
            Kind::Sext(x) => signed(of(x)?, self.width(x)) as u128 & mask,
            Kind::Not(x) => !of(x)? & mask,
            Kind::Bin(op, a, b) => fold(op, width, of(a)?, of(b)?)?,
            Kind::Ite(c, a, b) => {
                if of(c)? != 0 {
                    of(a)?
                } else {
                    of(b)?
                }
            }
            Kind::Apply(..) => return None,
            Kind::Bool(holds) => u128::from(holds),
            Kind::Eq(a, b) => u128::from(of(a)? == of(b)?),
            Kind::Ult(a, b) => u128::from(of(a)? < of(b)?),
            Kind::Slt(a, b) => {
                let from = self.width(a);
                u128::from(signed(of(a)?, from) < signed(of(b)?, from))
            }
            Kind::BoolNot(a) => 1 - of(a)?,
            Kind::BoolAnd(a, b) => of(a)? & of(b)?,
            Kind::BoolOr(a, b) => of(a)? | of(b)?,
        })
    }
}
