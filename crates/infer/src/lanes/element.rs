//! Terms over single lanes: 8-bit lanes, 16-bit lanes that hold their widened forms, and numbers
//! that are named by what they are in lanes of any width.
//!
//! Values here only sort terms into candidates; what a rule means is decided by the checker and the
//! prover. Invariant: the values of a term are below 2^8, or 2^16 if it is wide.

use egraft_ir::{IntCc, Op};
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// Tuples of values on which terms are compared.
pub(super) const SAMPLES: usize = 256;

/// How many of them are compared first.
pub(super) const FIRST: usize = 32;

/// The values of a term.
pub(super) type Values = [u16; SAMPLES];

/// Numbers in a term, by their meaning in narrow lanes of w bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Num {
    /// 0.
    Zero,
    /// 1.
    One,
    /// w.
    Width,
    /// w - 1.
    WidthLess1,
    /// The amount n of the rule, from 1 to w - 1.
    Amount,
    /// n - 1.
    AmountLess1,
    /// 2^(n-1).
    Rounding,
    /// 2^(w-1) - 1.
    SignedMost,
    /// -2^(w-1).
    SignedLeast,
    /// 2^w - 1.
    UnsignedMost,
    /// 2^(w-1), not negative in wide lanes.
    Half,
    /// 2^(w-2).
    Quarter,
    /// 2^(w/2-1) - 1.
    HalfSignedMost,
    /// -2^(w/2-1).
    HalfSignedLeast,
    /// 2^(w/2) - 1.
    HalfUnsignedMost,
}

impl Num {
    /// The number in lanes whose narrow form has 8 bits.
    fn value(self, n: u16) -> u16 {
        match self {
            Num::Zero => 0,
            Num::One => 1,
            Num::Width => 8,
            Num::WidthLess1 => 7,
            Num::Amount => n,
            Num::AmountLess1 => n - 1,
            Num::Rounding => 1 << (n - 1),
            Num::SignedMost => 127,
            Num::SignedLeast => 128u16.wrapping_neg(),
            Num::UnsignedMost => 255,
            Num::Half => 128,
            Num::Quarter => 64,
            Num::HalfSignedMost => 7,
            Num::HalfSignedLeast => 8u16.wrapping_neg(),
            Num::HalfUnsignedMost => 15,
        }
    }

    /// The number in words.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Num::Zero => "0",
            Num::One => "1",
            Num::Width => "w",
            Num::WidthLess1 => "w-1",
            Num::Amount => "n",
            Num::AmountLess1 => "n-1",
            Num::Rounding => "2^(n-1)",
            Num::SignedMost => "2^(w-1)-1",
            Num::SignedLeast => "-2^(w-1)",
            Num::UnsignedMost => "2^w-1",
            Num::Half => "2^(w-1)",
            Num::Quarter => "2^(w-2)",
            Num::HalfSignedMost => "2^(w/2-1)-1",
            Num::HalfSignedLeast => "-2^(w/2-1)",
            Num::HalfUnsignedMost => "2^(w/2)-1",
        }
    }
}

/// What stands at the root of a term.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Root {
    /// A narrow variable.
    Var(u8),
    /// A wide variable.
    Wide,
    /// A number.
    Num(Num),
    /// Two narrow lanes as one wide lane, the first one low.
    Zip,
    /// Zero-extension.
    Uext,
    /// Sign-extension.
    Sext,
    /// The low half of the bits.
    Trunc,
    /// The high half of the bits.
    High,
    /// Signed to signed, saturated.
    SatS,
    /// Signed to unsigned, saturated.
    SatU,
    /// Unsigned to unsigned, saturated.
    SatUU,
    /// An op of the vocabulary that works in each lane by itself.
    Op(Op),
    /// A comparison: ones or zeros.
    Cmp(IntCc),
}

impl Root {
    /// All ways to make a wide lane narrow.
    pub(super) const NARROWINGS: [Root; 5] =
        [Root::SatS, Root::SatU, Root::SatUU, Root::Trunc, Root::High];

    /// Whether it makes a wide lane narrow.
    pub(super) fn narrows(self) -> bool {
        Root::NARROWINGS.contains(&self)
    }

    /// Whether operands may be swapped.
    pub(super) fn commutes(self) -> bool {
        match self {
            Root::Op(op) => op.is_commutative(),
            Root::Cmp(cc) => cc.swapped() == cc,
            _ => false,
        }
    }

    /// Whether the second operand is a shift amount.
    pub(super) fn shifts(self) -> bool {
        matches!(self, Root::Op(Op::Ishl | Op::Ushr | Op::Sshr))
    }

    fn name(self) -> &'static str {
        match self {
            Root::Var(0) => "x",
            Root::Var(_) => "y",
            Root::Wide => "a",
            Root::Num(num) => num.text(),
            Root::Zip => "zip",
            Root::Uext => "uext",
            Root::Sext => "sext",
            Root::Trunc => "trunc",
            Root::High => "high",
            Root::SatS => "sat_ss",
            Root::SatU => "sat_su",
            Root::SatUU => "sat_uu",
            Root::Op(op) => op.name(),
            Root::Cmp(cc) => cc.name(),
        }
    }
}

/// A term, by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct TermId(pub(super) u32);

/// A term.
#[derive(Clone, Copy, Debug)]
pub(super) struct Term {
    /// Its root.
    pub(super) root: Root,
    /// Whether its value is wide.
    pub(super) wide: bool,
    /// Its operands; those that it lacks are of no meaning.
    pub(super) args: [TermId; 2],
    /// How many of them there are.
    pub(super) arity: u8,
}

impl Term {
    /// The operands.
    pub(super) fn args(&self) -> &[TermId] {
        &self.args[..usize::from(self.arity)]
    }
}

/// All terms of a family.
#[derive(Debug)]
pub(super) struct Terms {
    terms: Vec<Term>,
    /// By term; empty where they were not kept.
    values: Vec<Option<Box<Values>>>,
    vars: [Box<Values>; 2],
    leaf: Box<Values>,
    amounts: Box<Values>,
}

impl Terms {
    /// No terms, on fixed samples.
    pub(super) fn new() -> Terms {
        let edges = [0u16, 1, 2, 3, 63, 64, 126, 127, 128, 129, 192, 253, 254, 255];
        let wide = [
            0u16, 1, 7, 8, 15, 16, 17, 127, 128, 129, 255, 256, 257, 511, 0x7fff, 0x8000, 0x8001,
            0xfeff, 0xff00, 0xff7f, 0xff80, 0xff81, 0xfff0, 0xfff7, 0xfff8, 0xfff9, 0xffff,
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 24) as u16
        };
        let blank = || Box::new([0u16; SAMPLES]);
        let (mut x, mut y, mut leaf, mut amounts) = (blank(), blank(), blank(), blank());
        for at in 0..SAMPLES {
            (x[at], y[at]) = (random() & 255, random() & 255);
            leaf[at] = random() >> (random() % 9);
            if random() & 1 == 0 {
                leaf[at] = leaf[at].wrapping_neg();
            }
            amounts[at] = 1 + random() % 7;
            // Edge values stand between random ones, so that the first samples have both.
            if at % 2 == 1 {
                let edge = at / 2;
                if edge < edges.len() * edges.len() {
                    let spread = edge * 37 % (edges.len() * edges.len());
                    (x[at], y[at]) = (edges[spread % edges.len()], edges[spread / edges.len()]);
                }
                if edge < wide.len() {
                    leaf[at] = wide[edge];
                }
            }
        }
        Terms { terms: Vec::new(), values: Vec::new(), vars: [x, y], leaf, amounts }
    }

    /// The term.
    pub(super) fn get(&self, id: TermId) -> &Term {
        &self.terms[id.0 as usize]
    }

    /// Its values, which were kept.
    pub(super) fn values(&self, id: TermId) -> &Values {
        self.values[id.0 as usize].as_deref().expect("operands keep their values")
    }

    /// Its values, if they were kept.
    pub(super) fn kept(&self, id: TermId) -> Option<&Values> {
        self.values[id.0 as usize].as_deref()
    }

    /// The values of a term from those of its operands.
    pub(super) fn apply(&self, term: &Term, a: &Values, b: &Values, out: &mut Values) {
        evaluate(term.root, self.get(term.args[0]).wide, a, b, out);
    }

    /// Adds a leaf.
    pub(super) fn leaf(&mut self, root: Root, wide: bool) -> TermId {
        let mut values = match root {
            Root::Var(at) => self.vars[usize::from(at)].clone(),
            Root::Wide => self.leaf.clone(),
            Root::Num(num) => Box::new(std::array::from_fn(|at| num.value(self.amounts[at]))),
            _ => unreachable!("only leaves"),
        };
        if !wide {
            values.iter_mut().for_each(|value| *value &= 255);
        }
        let none = TermId(0);
        self.push(Term { root, wide, args: [none; 2], arity: 0 }, Some(values))
    }

    /// Adds a term.
    pub(super) fn push(&mut self, term: Term, values: Option<Box<Values>>) -> TermId {
        self.terms.push(term);
        self.values.push(values);
        TermId(self.terms.len() as u32 - 1)
    }

    /// The term of a root over operands, not added.
    pub(super) fn over(&self, root: Root, args: &[TermId]) -> Term {
        let wide = match root {
            Root::Zip | Root::Uext | Root::Sext => true,
            root if root.narrows() => false,
            _ => self.get(args[0]).wide,
        };
        let last = *args.last().expect("an operand");
        Term { root, wide, args: [args[0], last], arity: args.len() as u8 }
    }

    /// Computes the first `count` values of a term.
    pub(super) fn compute(&self, term: &Term, count: usize, out: &mut Values) {
        let a = &self.values(term.args[0])[..count];
        let b = &self.values(term.args[1])[..count];
        evaluate(term.root, self.get(term.args[0]).wide, a, b, &mut out[..count]);
    }

    /// The values of wide lanes made narrow.
    pub(super) fn narrowed(root: Root, values: &Values, out: &mut Values) {
        evaluate(root, true, values, values, out);
    }

    /// The values of wide lanes under an op with two operands.
    pub(super) fn bounded(op: Op, values: &Values, bounds: &Values, out: &mut Values) {
        evaluate(Root::Op(op), true, values, bounds, out);
    }

    /// Ops in the term, with those of operands that stand in it twice counted twice.
    pub(super) fn size(&self, id: TermId) -> usize {
        let term = self.get(id);
        let below: usize = term.args().iter().map(|arg| self.size(*arg)).sum();
        below + usize::from(term.arity > 0)
    }

    /// Calls `visit` for the term and all below it.
    pub(super) fn walk(&self, id: TermId, visit: &mut impl FnMut(&Term)) {
        let term = self.get(id);
        visit(term);
        term.args().iter().for_each(|arg| self.walk(*arg, visit));
    }

    /// The term in words.
    pub(super) fn text(&self, id: TermId) -> String {
        let term = self.get(id);
        let args: Vec<String> = term.args().iter().map(|arg| self.text(*arg)).collect();
        match args.is_empty() {
            true => term.root.name().to_owned(),
            false => format!("{}({})", term.root.name(), args.join(", ")),
        }
    }
}

/// A number for a list of values.
pub(super) fn fingerprint(values: &[u16]) -> u64 {
    let mut hasher = FxHasher::default();
    values.hash(&mut hasher);
    hasher.finish()
}

/// Computes a root over lanes; `wide` says how wide the first operand is.
fn evaluate(root: Root, wide: bool, a: &[u16], b: &[u16], out: &mut [u16]) {
    let (mask, bits) = if wide { (u16::MAX, 16u32) } else { (255, 8) };
    let sign = |value: u16| match wide {
        true => i32::from(value as i16),
        false => i32::from(value as u8 as i8),
    };
    let (least, most) = (-(1i32 << (bits - 1)), (1i32 << (bits - 1)) - 1);
    macro_rules! each {
        (|$a:ident, $b:ident| $value:expr) => {{
            for ((out, &$a), &$b) in out.iter_mut().zip(a).zip(b) {
                let _ = $b;
                *out = ($value) as u16 & mask;
            }
        }};
    }
    macro_rules! signed {
        (|$a:ident, $b:ident| $value:expr) => {
            each!(|a, b| {
                let ($a, $b) = (sign(a), sign(b));
                ($value) as i64
            })
        };
    }
    let amount = |b: u16| u32::from(b) & (bits - 1);
    match root {
        Root::Zip => {
            for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *out = a | b << 8;
            }
        }
        Root::Uext => each!(|a, b| a),
        Root::Sext => {
            for (out, &a) in out.iter_mut().zip(a) {
                *out = a as u8 as i8 as u16;
            }
        }
        Root::Trunc => each!(|a, b| a & 255),
        Root::High => each!(|a, b| a >> 8),
        Root::SatS => each!(|a, b| (a as i16).clamp(-128, 127) & 255),
        Root::SatU => each!(|a, b| (a as i16).clamp(0, 255)),
        Root::SatUU => each!(|a, b| a.min(255)),
        Root::Cmp(cc) => match cc {
            IntCc::Eq => each!(|a, b| if a == b { u16::MAX } else { 0 }),
            IntCc::Sgt => signed!(|a, b| if a > b { -1 } else { 0 }),
            IntCc::Ugt => each!(|a, b| if a > b { u16::MAX } else { 0 }),
            _ => unreachable!("comparisons are written in three ways"),
        },
        Root::Op(op) => match op {
            Op::Iadd => each!(|a, b| a.wrapping_add(b)),
            Op::Isub => each!(|a, b| a.wrapping_sub(b)),
            Op::Imul => each!(|a, b| a.wrapping_mul(b)),
            Op::Ineg => each!(|a, b| a.wrapping_neg()),
            Op::Iabs => each!(|a, b| sign(a).unsigned_abs()),
            Op::Band => each!(|a, b| a & b),
            Op::Bor => each!(|a, b| a | b),
            Op::Bxor => each!(|a, b| a ^ b),
            Op::Bnot => each!(|a, b| !a),
            Op::Ishl => each!(|a, b| u32::from(a) << amount(b)),
            Op::Ushr => each!(|a, b| a >> amount(b)),
            Op::Sshr => each!(|a, b| sign(a) >> amount(b)),
            Op::Smin => signed!(|a, b| a.min(b)),
            Op::Smax => signed!(|a, b| a.max(b)),
            Op::Umin => each!(|a, b| a.min(b)),
            Op::Umax => each!(|a, b| a.max(b)),
            Op::UaddSat => {
                each!(|a, b| (u32::from(a) + u32::from(b)).min(u32::from(mask)))
            }
            Op::UsubSat => each!(|a, b| a.saturating_sub(b)),
            Op::SaddSat => signed!(|a, b| (a + b).clamp(least, most)),
            Op::SsubSat => signed!(|a, b| (a - b).clamp(least, most)),
            Op::AvgRound => each!(|a, b| (u32::from(a) + u32::from(b) + 1) >> 1),
            Op::Umulhi => each!(|a, b| (u32::from(a) * u32::from(b)) >> bits),
            Op::Smulhi => signed!(|a, b| (i64::from(a) * i64::from(b)) >> bits),
            Op::SqmulRoundSat => {
                signed!(|a, b| ((i64::from(a) * i64::from(b) + (1i64 << (bits - 2))) >> (bits - 1))
                    .clamp(i64::from(least), i64::from(most)))
            }
            _ => unreachable!("no op on single lanes"),
        },
        Root::Var(_) | Root::Wide | Root::Num(_) => unreachable!("leaves have their values"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_ir::{Node, Ty, eval};

    #[test]
    fn lanes_compute_what_ops_mean() {
        use Op::*;
        let mut terms = Terms::new();
        let (x, y) = (terms.leaf(Root::Var(0), false), terms.leaf(Root::Var(1), false));
        let pack =
            |values: &[u16]| -> u128 { (0..16).map(|at| u128::from(values[at]) << (8 * at)).sum() };
        for op in [
            Iadd, Isub, Imul, Ineg, Iabs, Band, Bor, Bxor, Bnot, Smin, Smax, Umin, Umax, UaddSat,
            UsubSat, SaddSat, SsubSat, AvgRound,
        ] {
            let args = [x, y];
            let mut out = [0; SAMPLES];
            let term = terms.over(Root::Op(op), &args[..op.arity()]);
            terms.compute(&term, SAMPLES, &mut out);
            for at in (0..SAMPLES).step_by(16) {
                let (a, b) = (pack(&terms.values(x)[at..]), pack(&terms.values(y)[at..]));
                let operands = [egraft_ir::ClassId(0); 2];
                let node = Node::new(op, Ty::I8X16, &operands[..op.arity()]);
                let means = eval(&node, &[a, b][..op.arity()]).unwrap();
                assert_eq!(means, pack(&out[at..]), "{op}");
            }
        }
    }
}
