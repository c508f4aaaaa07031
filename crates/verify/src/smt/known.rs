//! Terms under facts: truth values that are known are put in their place.

use super::term::{BinOp, Kind, Term, Terms};
use rustc_hash::{FxHashMap, FxHashSet};

/// From this width on, in bits, products are first looked at as unknown functions.
const ABSTRACT_WIDTH: u32 = 8;

impl Terms {
    /// `root` where all of `facts` hold: each fact that occurs in it is replaced by its value.
    pub fn under_facts(&mut self, root: Term, facts: &[Term]) -> Term {
        let mut known: FxHashMap<Term, Term> = FxHashMap::default();
        let (yes, no) = (self.truth(true), self.truth(false));
        for fact in facts {
            known.insert(*fact, yes);
            let opposite = self.negate(*fact);
            known.insert(opposite, no);
            // Lanes that are known to be extensions of their low bits are written so.
            if let Kind::Eq(a, b) = *self.kind(*fact) {
                for (lane, extended) in [(a, b), (b, a)] {
                    let low = match *self.kind(extended) {
                        Kind::Sext(low) => low,
                        Kind::Concat(zeros, low) if self.as_const(zeros) == Some(0) => low,
                        _ => continue,
                    };
                    let bits = self.width(low);
                    if self.is_slice(lane) && self.slice(lane, 0, bits) == low {
                        known.insert(lane, extended);
                    }
                }
            }
        }
        self.constant_parts(root, facts, &mut known);
        // A claim that is a fact's opposite would become plain false, and its model be lost.
        if known.contains_key(&root) {
            return root;
        }
        self.replaced(root, &mut known)
    }

    /// `root` with the terms that `known` names replaced, and what follows from that noted there.
    fn replaced(&mut self, root: Term, known: &mut FxHashMap<Term, Term>) -> Term {
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
                let rebuilt = self.rebuilt(term, known);
                known.insert(term, rebuilt);
                stack.pop();
            } else {
                stack.extend(waiting);
            }
        }
        known[&root]
    }

    fn is_slice(&self, term: Term) -> bool {
        self.as_slice(term).is_some()
    }

    /// The variable that a term is a run of bits of, and the lowest of them.
    fn as_slice(&self, term: Term) -> Option<(Term, u32)> {
        match *self.kind(term) {
            Kind::Var(_) => Some((term, 0)),
            Kind::Extract(inner, low) => {
                matches!(self.kind(inner), Kind::Var(_)).then_some((inner, low))
            }
            _ => None,
        }
    }

    /// Notes of slices in `root` that facts give some of their bits.
    fn constant_parts(&mut self, root: Term, facts: &[Term], known: &mut FxHashMap<Term, Term>) {
        let mut given: Vec<(Term, u32, Term)> = Vec::new();
        for fact in facts {
            let Kind::Eq(a, b) = *self.kind(*fact) else { continue };
            for (slice, number) in [(a, b), (b, a)] {
                if let (Some((var, low)), Some(_)) = (self.as_slice(slice), self.as_const(number)) {
                    given.push((var, low, number));
                }
            }
        }
        if given.is_empty() {
            return;
        }
        let mut slices = Vec::new();
        self.visit(&[root], |term, _| slices.push(term));
        slices.sort_unstable();
        for term in slices {
            let Some((var, low)) = self.as_slice(term) else { continue };
            let end = low + self.width(term);
            let part = given.iter().find(|(of, first, number)| {
                *of == var && *first >= low && first + self.width(*number) <= end
            });
            let Some((_, first, number)) = part.copied() else { continue };
            let mut whole = number;
            if first > low {
                let below = self.slice(var, low, first - low);
                whole = self.join(whole, below);
            }
            let last = first + self.width(number);
            if last < end {
                let above = self.slice(var, last, end - last);
                whole = self.join(above, whole);
            }
            known.entry(term).or_insert(whole);
        }
    }

    /// `roots` with products of wide terms as a function of their operands of which only the range is
    /// known, and what is known of it; nothing if there are no such products.
    pub fn without_products(&mut self, roots: &[Term]) -> Option<Vec<Term>> {
        let mut products = Vec::new();
        self.visit(roots, |term, kind| {
            if let Kind::Bin(BinOp::Mul, a, b) = *kind {
                products.push((term, a, b));
            }
        });
        products.retain(|(term, ..)| self.width(*term) >= ABSTRACT_WIDTH);
        if products.is_empty() {
            return None;
        }
        let mut known = FxHashMap::default();
        let mut facts = Vec::new();
        // Operands come before what is made of them.
        products.sort_unstable();
        for (term, a, b) in products {
            let width = self.width(term);
            let some = self.apply("product", &[a, b], width);
            known.insert(term, some);
            let bits = self.signed_bits(a) + self.signed_bits(b) - 2;
            if bits + 1 < width {
                let most = self.number(width, 1 << bits);
                let least = self.number(width, (1_u128 << bits).wrapping_neg());
                let (above, below) = (self.less(true, most, some), self.less(true, some, least));
                facts.push(self.negate(above));
                facts.push(self.negate(below));
            }
        }
        let mut rebuilt: Vec<Term> =
            roots.iter().map(|root| self.replaced(*root, &mut known)).collect();
        let facts: Vec<Term> =
            facts.into_iter().map(|fact| self.replaced(fact, &mut known)).collect();
        rebuilt.extend(facts);
        Some(rebuilt)
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
