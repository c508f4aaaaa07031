//! Terms under facts: truth values that are known are put in their place.

use super::term::{BinOp, Kind, Term, Terms};
use rustc_hash::{FxHashMap, FxHashSet};

impl Terms {
    /// `root` where all of `facts` hold: each fact that occurs in it is replaced by its value.
    pub fn under_facts(&mut self, root: Term, facts: &[Term]) -> Term {
        let mut known: FxHashMap<Term, Term> = FxHashMap::default();
        let (yes, no) = (self.truth(true), self.truth(false));
        for fact in facts {
            known.insert(*fact, yes);
            let opposite = self.negate(*fact);
            known.insert(opposite, no);
        }
        // A claim that is a fact's opposite would become plain false, and its model be lost.
        if known.contains_key(&root) {
            return root;
        }
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
                let rebuilt = self.rebuilt(term, &known);
                known.insert(term, rebuilt);
                stack.pop();
            } else {
                stack.extend(waiting);
            }
        }
        known[&root]
    }

    /// A term of the same make whose operands are replaced.
    fn rebuilt(&mut self, term: Term, by: &FxHashMap<Term, Term>) -> Term {
        let width = self.width(term);
        let of = |term: Term| by[&term];
        match self.kind(term).clone() {
            Kind::Var(_) | Kind::Const(_) | Kind::Bool(_) => term,
            Kind::Extract(x, low) => self.slice(of(x), low, width),
            Kind::Concat(high, low) => self.join(of(high), of(low)),
            Kind::Sext(x) => self.sign_extend(of(x), width),
            Kind::Not(x) => self.complement(of(x)),
            Kind::Bin(op, a, b) => self.bin(op, of(a), of(b)),
            Kind::Ite(c, a, b) => self.choose(of(c), of(a), of(b)),
            Kind::Apply(function, args) => {
                let args: Vec<Term> = args.iter().map(|arg| of(*arg)).collect();
                self.apply(function, &args, width)
            }
            Kind::Eq(a, b) => self.equal(of(a), of(b)),
            Kind::Ult(a, b) => self.less(false, of(a), of(b)),
            Kind::Slt(a, b) => self.less(true, of(a), of(b)),
            Kind::BoolNot(a) => self.negate(of(a)),
            Kind::BoolAnd(a, b) => self.both(of(a), of(b)),
            Kind::BoolOr(a, b) => self.either(of(a), of(b)),
        }
    }

    /// What is true of divisions and of integers made floats in `roots`, whatever the variables are.
    pub fn lemmas(&mut self, roots: &[Term]) -> Vec<Term> {
        let mut lemmas = self.division_lemmas(roots);
        lemmas.extend(self.float_lemmas(roots));
        lemmas
    }

    /// Calls `see` for every term that `roots` are made of, once.
    pub(super) fn visit(&self, roots: &[Term], mut see: impl FnMut(Term, &Kind)) {
        let mut seen = FxHashSet::default();
        let mut stack = roots.to_vec();
        while let Some(term) = stack.pop() {
            if seen.insert(term) {
                see(term, self.kind(term));
                stack.extend(self.operands(term));
            }
        }
    }

    /// What is true of the divisions in `roots`, and hard to see in their gates: a lesser number
    /// divided by a greater leaves itself, and remainders are less than divisors.
    fn division_lemmas(&mut self, roots: &[Term]) -> Vec<Term> {
        let mut divisions = FxHashSet::default();
        self.visit(roots, |_, kind| {
            if let Kind::Bin(BinOp::Udiv | BinOp::Urem, a, b) = *kind {
                divisions.insert((a, b));
            }
        });
        let mut divisions: Vec<(Term, Term)> = divisions.into_iter().collect();
        divisions.sort_unstable();
        let mut lemmas = Vec::new();
        for (a, b) in divisions {
            let width = self.width(a);
            let (quotient, rest) = (self.bin(BinOp::Udiv, a, b), self.bin(BinOp::Urem, a, b));
            let zero = self.number(width, 0);
            let (small, none) = (self.less(false, a, b), self.equal(b, zero));
            let (gives_zero, leaves) = (self.equal(quotient, zero), self.equal(rest, a));
            let whole = self.both(gives_zero, leaves);
            let (large, below) = (self.negate(small), self.less(false, rest, b));
            lemmas.push(self.either(large, whole));
            lemmas.push(self.either(none, below));
        }
        lemmas
    }
}
