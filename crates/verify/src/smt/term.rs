//! Hash-consed terms over bit-vectors and truth values, simplified as they are made.
//!
//! Says nothing of what ops mean. Invariants: equal terms have equal ids; a term stands for exactly
//! what its constructor's name says, however it is stored; slices are pushed down to variables, so
//! that what one lane of a vector does mentions that lane of the variables alone.

use rustc_hash::{FxHashMap, FxHashSet};

/// A term, by its place in a [`Terms`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Term(pub(super) u32);

impl Term {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A free variable of a [`Terms`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VarId(pub u32);

/// An operation on two bit-vectors of one width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "named after SMT-LIB's")]
pub enum BinOp {
    And,
    Or,
    Xor,
    Add,
    Sub,
    Mul,
    Udiv,
    Urem,
    Shl,
    Lshr,
    Ashr,
}

impl BinOp {
    /// The SMT-LIB name.
    pub const fn name(self) -> &'static str {
        match self {
            BinOp::And => "bvand",
            BinOp::Or => "bvor",
            BinOp::Xor => "bvxor",
            BinOp::Add => "bvadd",
            BinOp::Sub => "bvsub",
            BinOp::Mul => "bvmul",
            BinOp::Udiv => "bvudiv",
            BinOp::Urem => "bvurem",
            BinOp::Shl => "bvshl",
            BinOp::Lshr => "bvlshr",
            BinOp::Ashr => "bvashr",
        }
    }

    const fn commutes(self) -> bool {
        matches!(self, BinOp::And | BinOp::Or | BinOp::Xor | BinOp::Add | BinOp::Mul)
    }
}

/// How a term is made. Widths are in bits; truth values have width 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// A free variable.
    Var(VarId),
    /// A number of at most 128 bits.
    Const(u128),
    /// Bits of a term from `low` up.
    Extract(Term, u32),
    /// The first above the second.
    Concat(Term, Term),
    /// Sign-extension.
    Sext(Term),
    /// Bitwise complement.
    Not(Term),
    /// Arithmetic.
    Bin(BinOp, Term, Term),
    /// The second where the first, a truth value, holds, else the third.
    Ite(Term, Term, Term),
    /// A function of which only the name is known, or a float operation; see [`super::FloatMode`].
    Apply(&'static str, Box<[Term]>),
    /// A truth value.
    Bool(bool),
    /// Equality of bit-vectors.
    Eq(Term, Term),
    /// Unsigned less-than.
    Ult(Term, Term),
    /// Signed less-than.
    Slt(Term, Term),
    /// Negation of a truth value.
    BoolNot(Term),
    /// Conjunction.
    BoolAnd(Term, Term),
    /// Disjunction.
    BoolOr(Term, Term),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Entry {
    kind: Kind,
    width: u32,
}

/// An arena of terms.
#[derive(Debug, Default)]
pub struct Terms {
    entries: Vec<Entry>,
    /// By term: the bits it needs, unsigned and signed.
    pub(super) needs: Vec<(u32, u32)>,
    ids: FxHashMap<Entry, Term>,
    /// Slices of terms that others may share: without, each path to them is gone again.
    slices: FxHashMap<(Term, u32, u32), Term>,
    vars: Vec<(String, u32)>,
    pub(super) floats: super::FloatMode,
}

const fn ones(width: u32) -> u128 {
    if width == 0 { 0 } else { u128::MAX >> (128 - width) }
}

const fn signed(width: u32, bits: u128) -> i128 {
    (bits << (128 - width)) as i128 >> (128 - width)
}

impl Terms {
    /// An empty arena, floats as `mode` says.
    pub fn new(mode: super::FloatMode) -> Terms {
        Terms { floats: mode, ..Terms::default() }
    }

    /// A new free variable; names need not differ.
    pub fn var(&mut self, name: &str, width: u32) -> Term {
        let var = VarId(self.vars.len() as u32);
        self.vars.push((name.to_owned(), width));
        self.intern(Kind::Var(var), width)
    }

    /// Name and width of a variable.
    pub fn var_info(&self, var: VarId) -> (&str, u32) {
        let (name, width) = &self.vars[var.0 as usize];
        (name, *width)
    }

    /// How a term is made.
    pub fn kind(&self, term: Term) -> &Kind {
        &self.entries[term.index()].kind
    }

    /// The width of a term in bits; 0 for truth values.
    pub fn width(&self, term: Term) -> u32 {
        self.entries[term.index()].width
    }

    /// Number of terms made so far.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no term was made yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number that a term is, if it is constant.
    pub fn as_const(&self, term: Term) -> Option<u128> {
        match self.kind(term) {
            Kind::Const(bits) => Some(*bits),
            _ => None,
        }
    }

    /// The truth value that a term is, if it is constant.
    pub fn as_bool(&self, term: Term) -> Option<bool> {
        match self.kind(term) {
            Kind::Bool(holds) => Some(*holds),
            _ => None,
        }
    }

    fn intern(&mut self, kind: Kind, width: u32) -> Term {
        let entry = Entry { kind, width };
        if let Some(term) = self.ids.get(&entry) {
            return *term;
        }
        let term = Term(self.entries.len() as u32);
        self.entries.push(entry.clone());
        self.ids.insert(entry, term);
        let needs = self.bits_needed(term);
        self.needs.push(needs);
        term
    }

    /// The number `bits` modulo 2^`width`.
    pub fn number(&mut self, width: u32, bits: u128) -> Term {
        self.intern(Kind::Const(bits & ones(width)), width)
    }

    /// A truth value.
    pub fn truth(&mut self, holds: bool) -> Term {
        self.intern(Kind::Bool(holds), 0)
    }

    /// A function of which nothing is known but its name and that it is one.
    pub fn apply(&mut self, function: &'static str, args: &[Term], width: u32) -> Term {
        self.intern(Kind::Apply(function, args.into()), width)
    }

    /// `width` bits of `x` from bit `low` up.
    pub fn slice(&mut self, x: Term, low: u32, width: u32) -> Term {
        let whole = self.width(x);
        debug_assert!(low + width <= whole, "bits {low}+{width} of {whole}");
        if width == whole {
            return x;
        }
        let kind = self.kind(x).clone();
        let is_shared = matches!(kind, Kind::Ite(..) | Kind::Bin(..));
        if !is_shared {
            return self.slice_of(x, kind, low, width);
        }
        if let Some(known) = self.slices.get(&(x, low, width)) {
            return *known;
        }
        let slice = self.slice_of(x, kind, low, width);
        self.slices.insert((x, low, width), slice);
        slice
    }

    fn slice_of(&mut self, x: Term, kind: Kind, low: u32, width: u32) -> Term {
        let whole = self.width(x);
        match kind {
            Kind::Const(bits) => self.number(width, bits >> low),
            Kind::Extract(inner, below) => self.slice(inner, low + below, width),
            Kind::Concat(high, rest) => {
                let split = self.width(rest);
                if low >= split {
                    self.slice(high, low - split, width)
                } else if low + width <= split {
                    self.slice(rest, low, width)
                } else {
                    let high = self.slice(high, 0, low + width - split);
                    let rest = self.slice(rest, low, split - low);
                    self.join(high, rest)
                }
            }
            Kind::Sext(inner) => {
                let from = self.width(inner);
                if low + width <= from {
                    self.slice(inner, low, width)
                } else if low < from {
                    let part = self.slice(inner, low, from - low);
                    self.sign_extend(part, width)
                } else {
                    let sign = self.slice(inner, from - 1, 1);
                    self.sign_extend(sign, width)
                }
            }
            Kind::Not(inner) => {
                let inner = self.slice(inner, low, width);
                self.complement(inner)
            }
            Kind::Bin(op @ (BinOp::And | BinOp::Or | BinOp::Xor), a, b) => {
                let (a, b) = (self.slice(a, low, width), self.slice(b, low, width));
                self.bin(op, a, b)
            }
            // The low bits of sums and products depend on the low bits alone.
            Kind::Bin(op @ (BinOp::Add | BinOp::Sub | BinOp::Mul), a, b) if low + width < whole => {
                let (a, b) = (self.slice(a, 0, low + width), self.slice(b, 0, low + width));
                let result = self.bin(op, a, b);
                if low == 0 { result } else { self.slice_of_whole(result, low, width) }
            }
            Kind::Ite(c, a, b) => {
                let (a, b) = (self.slice(a, low, width), self.slice(b, low, width));
                self.choose(c, a, b)
            }
            _ => self.intern(Kind::Extract(x, low), width),
        }
    }

    /// A slice up to the top bit of `x`, which arithmetic cannot shorten.
    fn slice_of_whole(&mut self, x: Term, low: u32, width: u32) -> Term {
        match self.kind(x) {
            Kind::Bin(BinOp::Add | BinOp::Sub | BinOp::Mul, ..) => {
                self.intern(Kind::Extract(x, low), width)
            }
            _ => self.slice(x, low, width),
        }
    }

    /// `high` above `low`.
    pub fn join(&mut self, high: Term, low: Term) -> Term {
        let width = self.width(high) + self.width(low);
        if let Kind::Concat(top, middle) = *self.kind(high) {
            let rest = self.join(middle, low);
            return self.join(top, rest);
        }
        if let (Some(high), Some(bits)) = (self.as_const(high), self.as_const(low))
            && width <= 128
        {
            let bits = high << self.width(low) | bits;
            return self.number(width, bits);
        }
        let (next, rest) = match *self.kind(low) {
            Kind::Concat(next, rest) => (next, Some(rest)),
            _ => (low, None),
        };
        if let Some(merged) = self.merged(high, next) {
            return match rest {
                Some(rest) => self.join(merged, rest),
                None => merged,
            };
        }
        self.intern(Kind::Concat(high, low), width)
    }

    /// Two neighbours as one term, where they are parts of one.
    fn merged(&mut self, high: Term, low: Term) -> Option<Term> {
        let (high_width, low_width) = (self.width(high), self.width(low));
        match (self.kind(high).clone(), self.kind(low).clone()) {
            (Kind::Const(a), Kind::Const(b)) if high_width + low_width <= 128 => {
                Some(self.number(high_width + low_width, a << low_width | b))
            }
            (Kind::Extract(a, from), Kind::Extract(b, below))
                if a == b && from == below + low_width =>
            {
                Some(self.slice(a, below, high_width + low_width))
            }
            _ => None,
        }
    }

    /// Zero-extension to `to` bits.
    pub fn zero_extend(&mut self, x: Term, to: u32) -> Term {
        let from = self.width(x);
        if from == to {
            return x;
        }
        let zeros = self.number(to - from, 0);
        self.join(zeros, x)
    }

    /// Sign-extension to `to` bits.
    pub fn sign_extend(&mut self, x: Term, to: u32) -> Term {
        let from = self.width(x);
        if from == to {
            return x;
        }
        match *self.kind(x) {
            Kind::Const(bits) if to <= 128 => self.number(to, signed(from, bits) as u128),
            Kind::Sext(inner) => self.sign_extend(inner, to),
            Kind::Concat(high, _)
                if self.as_const(high).is_some_and(|bits| bits >> (self.width(high) - 1) == 0) =>
            {
                self.zero_extend(x, to)
            }
            Kind::Ite(c, a, b) if self.as_const(a).is_some() && self.as_const(b).is_some() => {
                let (a, b) = (self.sign_extend(a, to), self.sign_extend(b, to));
                self.choose(c, a, b)
            }
            _ => self.intern(Kind::Sext(x), to),
        }
    }

    /// Bitwise complement.
    pub fn complement(&mut self, x: Term) -> Term {
        let width = self.width(x);
        match *self.kind(x) {
            Kind::Const(bits) => self.number(width, !bits),
            Kind::Not(inner) => inner,
            Kind::Concat(high, low) => {
                let (high, low) = (self.complement(high), self.complement(low));
                self.join(high, low)
            }
            Kind::Ite(c, a, b) if self.as_const(a).is_some() && self.as_const(b).is_some() => {
                let (a, b) = (self.complement(a), self.complement(b));
                self.choose(c, a, b)
            }
            _ => self.intern(Kind::Not(x), width),
        }
    }

    /// `a op b`; both have one width.
    pub fn bin(&mut self, op: BinOp, a: Term, b: Term) -> Term {
        let width = self.width(a);
        debug_assert_eq!(width, self.width(b), "{op:?}");
        let (a, b) = if op.commutes() && a > b { (b, a) } else { (a, b) };
        if let (Some(x), Some(y)) = (self.as_const(a), self.as_const(b))
            && let Some(bits) = fold(op, width, x, y)
        {
            return self.number(width, bits);
        }
        if let Some(simple) = self.simplified(op, width, a, b) {
            return simple;
        }
        if let Some(narrow) = self.narrowed(op, width, a, b) {
            return narrow;
        }
        if let Some(shifted) = self.without_low_zeros(op, width, a, b) {
            return shifted;
        }
        self.intern(Kind::Bin(op, a, b), width)
    }

    fn simplified(&mut self, op: BinOp, width: u32, a: Term, b: Term) -> Option<Term> {
        let (x, y) = (self.as_const(a), self.as_const(b));
        let all = ones(width);
        Some(match op {
            BinOp::And | BinOp::Or | BinOp::Xor => {
                if a == b {
                    return Some(if op == BinOp::Xor { self.number(width, 0) } else { a });
                }
                if self.complement(a) == b {
                    return Some(self.number(width, if op == BinOp::And { 0 } else { all }));
                }
                if let (Kind::Concat(..), _) | (_, Kind::Concat(..)) = (self.kind(a), self.kind(b))
                {
                    return Some(self.bitwise_by_parts(op, a, b));
                }
                let (constant, other) = match (x, y) {
                    (Some(constant), _) => (constant, b),
                    (_, Some(constant)) => (constant, a),
                    _ => return self.choice_of_masks(op, a, b),
                };
                match op {
                    BinOp::And if constant == 0 => self.number(width, 0),
                    BinOp::And if constant == all => other,
                    BinOp::Or if constant == 0 => other,
                    BinOp::Or if constant == all => self.number(width, all),
                    BinOp::Xor if constant == 0 => other,
                    BinOp::Xor if constant == all => self.complement(other),
                    _ => return self.by_runs(op, width, constant, other),
                }
            }
            BinOp::Add if x == Some(0) => b,
            BinOp::Add | BinOp::Sub if y == Some(0) => a,
            BinOp::Sub if a == b => self.number(width, 0),
            BinOp::Mul if x == Some(0) || y == Some(0) => self.number(width, 0),
            BinOp::Mul if x == Some(1) => b,
            BinOp::Mul if y == Some(1) => a,
            BinOp::Shl | BinOp::Lshr | BinOp::Ashr => {
                let by = y?;
                if by == 0 {
                    return Some(a);
                }
                if by >= u128::from(width) {
                    return Some(match op {
                        BinOp::Ashr => {
                            let sign = self.slice(a, width - 1, 1);
                            self.sign_extend(sign, width)
                        }
                        _ => self.number(width, 0),
                    });
                }
                let by = by as u32;
                match op {
                    BinOp::Shl => {
                        let (kept, zeros) = (self.slice(a, 0, width - by), self.number(by, 0));
                        self.join(kept, zeros)
                    }
                    BinOp::Lshr => {
                        let kept = self.slice(a, by, width - by);
                        self.zero_extend(kept, width)
                    }
                    _ => {
                        let kept = self.slice(a, by, width - by);
                        self.sign_extend(kept, width)
                    }
                }
            }
            _ => return None,
        })
    }

    /// Bitwise operations at the seams of concatenations.
    fn bitwise_by_parts(&mut self, op: BinOp, a: Term, b: Term) -> Term {
        let seam = |terms: &Terms, x: Term| match *terms.kind(x) {
            Kind::Concat(_, low) => Some(terms.width(low)),
            _ => None,
        };
        let width = self.width(a);
        let split = match (seam(self, a), seam(self, b)) {
            (Some(a), Some(b)) => a.max(b),
            (a, b) => a.or(b).expect("one of both is a concatenation"),
        };
        let high = (self.slice(a, split, width - split), self.slice(b, split, width - split));
        let low = (self.slice(a, 0, split), self.slice(b, 0, split));
        let (high, low) = (self.bin(op, high.0, high.1), self.bin(op, low.0, low.1));
        self.join(high, low)
    }

    /// A bitwise operation with a constant, as slices where the constant is 0 or all ones.
    fn by_runs(&mut self, op: BinOp, width: u32, constant: u128, other: Term) -> Option<Term> {
        let low_bit = constant & 1;
        let run = if low_bit == 1 { constant.trailing_ones() } else { constant.trailing_zeros() };
        // Ragged constants stay whole: their slices would be single bits.
        let edges = (constant ^ constant >> 1) & ones(width - 1);
        if run >= width || edges.count_ones() > 4 {
            return None;
        }
        let (high, low) = (self.slice(other, run, width - run), self.slice(other, 0, run));
        let high_constant = self.number(width - run, constant >> run);
        let low_constant = self.number(run, if low_bit == 1 { u128::MAX } else { 0 });
        let (high, low) = (self.bin(op, high, high_constant), self.bin(op, low, low_constant));
        Some(self.join(high, low))
    }

    /// `and` and `or` of a choice between all ones and zero.
    fn choice_of_masks(&mut self, op: BinOp, a: Term, b: Term) -> Option<Term> {
        let width = self.width(a);
        for (mask, other) in [(a, b), (b, a)] {
            let Kind::Ite(c, yes, no) = *self.kind(mask) else { continue };
            let (Some(yes), Some(no)) = (self.as_const(yes), self.as_const(no)) else { continue };
            let plain = |bits: u128| bits == 0 || bits == ones(width);
            if !plain(yes) || !plain(no) {
                continue;
            }
            let (yes, no) = (self.number(width, yes), self.number(width, no));
            let (yes, no) = (self.bin(op, yes, other), self.bin(op, no, other));
            return Some(self.choose(c, yes, no));
        }
        None
    }

    /// `a` where `c` holds, else `b`.
    pub fn choose(&mut self, c: Term, a: Term, b: Term) -> Term {
        if a == b {
            return a;
        }
        match *self.kind(c) {
            Kind::Bool(holds) => return if holds { a } else { b },
            Kind::BoolNot(inner) => return self.choose(inner, b, a),
            _ => {}
        }
        let (a, b) = (self.under(c, true, a), self.under(c, false, b));
        if a == b {
            return a;
        }
        let width = self.width(a);
        self.intern(Kind::Ite(c, a, b), width)
    }

    /// What `x` is where `c` is known.
    fn under(&self, c: Term, holds: bool, x: Term) -> Term {
        match *self.kind(x) {
            Kind::Ite(inner, a, b) if inner == c => {
                if holds {
                    a
                } else {
                    b
                }
            }
            _ => x,
        }
    }

    /// Whether `a` equals `b`.
    pub fn equal(&mut self, a: Term, b: Term) -> Term {
        let width = self.width(a);
        debug_assert_eq!(width, self.width(b), "equality");
        if a == b {
            return self.truth(true);
        }
        let (a, b) = if a > b { (b, a) } else { (a, b) };
        let (constant, other) = match (self.as_const(a), self.as_const(b)) {
            (Some(_), Some(_)) => return self.truth(false),
            (Some(constant), None) => (Some(constant), b),
            (None, Some(constant)) => (Some(constant), a),
            (None, None) => (None, a),
        };
        if let (Some(constant), Kind::Ite(c, yes, no)) = (constant, self.kind(other).clone())
            && let (Some(yes), Some(no)) = (self.as_const(yes), self.as_const(no))
        {
            return match (yes == constant, no == constant) {
                (true, true) => self.truth(true),
                (true, false) => c,
                (false, true) => self.negate(c),
                (false, false) => self.truth(false),
            };
        }
        // A constant, or terms of the same make: part by part.
        if let (Some(constant), Kind::Concat(high, low)) = (constant, self.kind(other).clone()) {
            let split = self.width(low);
            let high_constant = self.number(width - split, constant >> split);
            let low_constant = self.number(split, constant);
            let (high, low) = (self.equal(high, high_constant), self.equal(low, low_constant));
            return self.both(high, low);
        }
        // Part by part at the seam of a concatenation, the higher one's if there are two.
        let seam = |terms: &Terms, x: Term| match *terms.kind(x) {
            Kind::Concat(_, low) => Some(terms.width(low)),
            _ => None,
        };
        if let Some(split) = seam(self, a).max(seam(self, b)) {
            let (high_a, high_b) =
                (self.slice(a, split, width - split), self.slice(b, split, width - split));
            let (low_a, low_b) = (self.slice(a, 0, split), self.slice(b, 0, split));
            let (high, low) = (self.equal(high_a, high_b), self.equal(low_a, low_b));
            return self.both(high, low);
        }
        if self.same_polynomial(a, b) {
            return self.truth(true);
        }
        if let (Some(constant), Kind::Sext(inner)) = (constant, self.kind(other).clone()) {
            let from = self.width(inner);
            if signed(width, constant) != signed(from, constant & ones(from)) {
                return self.truth(false);
            }
            let constant = self.number(from, constant);
            return self.equal(inner, constant);
        }
        self.intern(Kind::Eq(a, b), 0)
    }

    /// Whether `a` is less than `b`.
    pub fn less(&mut self, is_signed: bool, a: Term, b: Term) -> Term {
        let width = self.width(a);
        debug_assert_eq!(width, self.width(b), "comparison");
        if a == b {
            return self.truth(false);
        }
        match (self.as_const(a), self.as_const(b)) {
            (Some(a), Some(b)) => {
                let less = if is_signed { signed(width, a) < signed(width, b) } else { a < b };
                return self.truth(less);
            }
            (_, Some(0)) if !is_signed => return self.truth(false),
            (Some(greatest), _) if !is_signed && greatest == ones(width) => {
                return self.truth(false);
            }
            _ => {}
        }
        if let Some(narrow) = self.narrowed_less(is_signed, a, b) {
            return narrow;
        }
        let kind = if is_signed { Kind::Slt(a, b) } else { Kind::Ult(a, b) };
        self.intern(kind, 0)
    }

    /// Negation of a truth value.
    pub fn negate(&mut self, a: Term) -> Term {
        match *self.kind(a) {
            Kind::Bool(holds) => self.truth(!holds),
            Kind::BoolNot(inner) => inner,
            _ => self.intern(Kind::BoolNot(a), 0),
        }
    }

    /// Conjunction.
    pub fn both(&mut self, a: Term, b: Term) -> Term {
        let (a, b) = if a > b { (b, a) } else { (a, b) };
        match (self.as_bool(a), self.as_bool(b)) {
            (Some(false), _) | (_, Some(false)) => self.truth(false),
            (Some(true), _) => b,
            (_, Some(true)) => a,
            _ if a == b => a,
            _ if self.negate(a) == b => self.truth(false),
            _ => self.intern(Kind::BoolAnd(a, b), 0),
        }
    }

    /// Disjunction.
    pub fn either(&mut self, a: Term, b: Term) -> Term {
        let (a, b) = if a > b { (b, a) } else { (a, b) };
        match (self.as_bool(a), self.as_bool(b)) {
            (Some(true), _) | (_, Some(true)) => self.truth(true),
            (Some(false), _) => b,
            (_, Some(false)) => a,
            _ if a == b => a,
            _ if self.negate(a) == b => self.truth(true),
            _ => self.intern(Kind::BoolOr(a, b), 0),
        }
    }
}

/// `a op b` of numbers of at most 128 bits; nothing for divisions that have no value.
pub(super) fn fold(op: BinOp, width: u32, a: u128, b: u128) -> Option<u128> {
    if width > 128 {
        return None;
    }
    let inside = b < u128::from(width);
    Some(
        match op {
            BinOp::And => a & b,
            BinOp::Or => a | b,
            BinOp::Xor => a ^ b,
            BinOp::Add => a.wrapping_add(b),
            BinOp::Sub => a.wrapping_sub(b),
            BinOp::Mul => a.wrapping_mul(b),
            BinOp::Udiv => a.checked_div(b)?,
            BinOp::Urem => a.checked_rem(b)?,
            BinOp::Shl => {
                if inside {
                    a << b
                } else {
                    0
                }
            }
            BinOp::Lshr => {
                if inside {
                    a >> b
                } else {
                    0
                }
            }
            BinOp::Ashr => (signed(width, a) >> if inside { b as u32 } else { width - 1 }) as u128,
        } & ones(width),
    )
}

impl Terms {
    /// The bits of variables that a term speaks of.
    pub fn support(&self, root: Term) -> FxHashSet<(VarId, u32)> {
        let mut bits = FxHashSet::default();
        let mut seen = FxHashSet::default();
        let mut stack = vec![root];
        while let Some(term) = stack.pop() {
            if !seen.insert(term) {
                continue;
            }
            let part = match *self.kind(term) {
                Kind::Var(var) => Some((var, 0)),
                Kind::Extract(inner, low) => match *self.kind(inner) {
                    Kind::Var(var) => Some((var, low)),
                    _ => None,
                },
                _ => None,
            };
            match part {
                Some((var, low)) => {
                    bits.extend((low..low + self.width(term)).map(|bit| (var, bit)));
                }
                None => stack.extend(self.operands(term)),
            }
        }
        bits
    }

    /// The terms that a term is made of.
    pub fn operands(&self, term: Term) -> Vec<Term> {
        match self.kind(term) {
            Kind::Var(_) | Kind::Const(_) | Kind::Bool(_) => Vec::new(),
            Kind::Extract(a, _) | Kind::Sext(a) | Kind::Not(a) | Kind::BoolNot(a) => vec![*a],
            Kind::Concat(a, b)
            | Kind::Bin(_, a, b)
            | Kind::Eq(a, b)
            | Kind::Ult(a, b)
            | Kind::Slt(a, b)
            | Kind::BoolAnd(a, b)
            | Kind::BoolOr(a, b) => vec![*a, *b],
            Kind::Ite(a, b, c) => vec![*a, *b, *c],
            Kind::Apply(_, args) => args.to_vec(),
        }
    }
}
