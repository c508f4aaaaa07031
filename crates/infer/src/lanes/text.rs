//! Element terms written as rules: on vectors, where a wide value is a pair of vectors, and on
//! scalars.

use super::element::{Num, Root, TermId, Terms};
use egraft_ir::{IntCc, Op};
use std::collections::BTreeSet;

/// Which vector of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Half {
    /// That of the low lanes.
    Low,
    /// That of the high lanes.
    High,
}

/// What lanes stand for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Shape {
    /// Lanes of vectors.
    Vector,
    /// Scalars.
    Scalar,
}

/// A rule before it is parsed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Draft {
    /// Its name.
    pub(super) name: String,
    /// Why it holds.
    pub(super) reason: String,
    /// Left side, conditions and right side.
    pub(super) body: String,
    /// Ops on the left side, or in the simplest naive form of its function, and on the right side.
    pub(super) sizes: (usize, usize),
    /// How many forms of its function come before it.
    pub(super) rank: usize,
}

impl Draft {
    /// The rule as ISLE.
    pub(super) fn text(&self) -> String {
        format!(";; {}\n(rule {}\n      {})\n", self.reason, self.name, self.body)
    }
}

struct Writer<'t> {
    terms: &'t Terms,
    shape: Shape,
    numbers: BTreeSet<(Num, bool)>,
    even: bool,
    odd: bool,
    zip: bool,
}

/// The name of a number in a rule, or its digits.
fn name(num: Num, wide: bool) -> &'static str {
    match (num, wide) {
        (Num::Zero, _) => "0",
        (Num::One, _) => "1",
        (Num::Width, _) => "width",
        (Num::WidthLess1, _) => "top",
        (Num::Amount, _) => "n",
        (Num::AmountLess1, _) => "less",
        (Num::Rounding, _) => "rounding",
        (Num::SignedMost, _) => "most",
        (Num::SignedLeast, true) => "least",
        (Num::SignedLeast, false) | (Num::Half, _) => "sign",
        (Num::UnsignedMost, _) => "ones",
        (Num::Quarter, _) => "quarter",
        (Num::HalfSignedMost, _) => "half_most",
        (Num::HalfSignedLeast, true) => "half_least_wide",
        (Num::HalfSignedLeast, false) => "half_least",
        (Num::HalfUnsignedMost, _) => "half_ones",
    }
}

/// The conditions that say what a number is.
fn meaning(num: Num, wide: bool) -> Vec<&'static str> {
    match (num, wide) {
        (Num::Zero | Num::One, _) => vec![],
        (Num::Width, _) => vec!["(if-let width (lane_bits ty))"],
        (Num::WidthLess1, _) => vec!["(if-let top (num_sub (lane_bits ty) 1))"],
        (Num::Amount, _) => vec!["(if (imm_ult n (lane_bits ty)))", "(if (imm_ne n 0))"],
        (Num::AmountLess1, _) => vec!["(if-let less (num_sub n 1))"],
        (Num::Rounding, _) => {
            vec!["(if-let less (num_sub n 1))", "(if-let rounding (pow2 less))"]
        }
        (Num::SignedMost, _) => vec!["(if-let most (lane_smax ty))"],
        (Num::SignedLeast, true) => vec!["(if-let least (imm_sext wide ty (lane_smin ty)))"],
        (Num::SignedLeast, false) | (Num::Half, _) => vec!["(if-let sign (lane_smin ty))"],
        (Num::UnsignedMost, _) => vec!["(if-let ones (lane_ones ty))"],
        (Num::Quarter, _) => {
            vec!["(if-let two (num_sub (lane_bits ty) 2))", "(if-let quarter (pow2 two))"]
        }
        (Num::HalfSignedMost, _) => {
            vec!["(if-let half (narrow_of ty))", "(if-let half_most (lane_smax half))"]
        }
        (Num::HalfSignedLeast, true) => vec![
            "(if-let half (narrow_of ty))",
            "(if-let half_least_wide (imm_sext wide half (lane_smin half)))",
        ],
        (Num::HalfSignedLeast, false) => vec![
            "(if-let half (narrow_of ty))",
            "(if-let half_least (imm_sext ty half (lane_smin half)))",
        ],
        (Num::HalfUnsignedMost, _) => {
            vec!["(if-let half (narrow_of ty))", "(if-let half_ones (lane_ones half))"]
        }
    }
}

impl Writer<'_> {
    fn amount(&mut self, id: TermId) -> String {
        let Root::Num(num) = self.terms.get(id).root else { unreachable!("amounts are numbers") };
        self.numbers.insert((num, false));
        format!("(k $I32 {})", name(num, false))
    }

    fn write(&mut self, id: TermId, half: Half) -> String {
        let term = *self.terms.get(id);
        let ty = if term.wide { "wide" } else { "ty" };
        let arg = |writer: &mut Self, at: usize, half| writer.write(term.args[at], half);
        match term.root {
            Root::Var(0) => "x".to_owned(),
            Root::Var(_) => "y".to_owned(),
            Root::Wide if half == Half::Low => "a".to_owned(),
            Root::Wide => "b".to_owned(),
            Root::Num(num) => {
                self.numbers.insert((num, term.wide));
                format!("(k {ty} {})", name(num, term.wide))
            }
            Root::Zip => {
                self.zip = true;
                let (a, b) = (arg(self, 0, half), arg(self, 1, half));
                format!("(shuffle zip {a} {b})")
            }
            Root::Uext | Root::Sext => {
                let sign = if term.root == Root::Sext { 's' } else { 'u' };
                let inner = arg(self, 0, half);
                match (self.shape, half) {
                    (Shape::Scalar, _) => format!("({sign}extend wide ty {inner})"),
                    (_, Half::Low) => format!("({sign}widen_low ty {inner})"),
                    (_, Half::High) => format!("({sign}widen_high ty {inner})"),
                }
            }
            root if root.narrows() => {
                let low = arg(self, 0, Half::Low);
                if self.shape == Shape::Scalar {
                    return format!("(ireduce ty wide {low})");
                }
                let high = arg(self, 0, Half::High);
                let op = match root {
                    Root::SatS => "snarrow wide",
                    Root::SatU => "unarrow wide",
                    Root::SatUU => "uunarrow wide",
                    Root::Trunc => {
                        self.even = true;
                        "shuffle even"
                    }
                    _ => {
                        self.odd = true;
                        "shuffle odd"
                    }
                };
                format!("({op} {low} {high})")
            }
            Root::Cmp(cc) => {
                let code = match cc {
                    IntCc::Eq => "Eq",
                    IntCc::Sgt => "Sgt",
                    _ => "Ugt",
                };
                let (a, b) = (arg(self, 0, half), arg(self, 1, half));
                format!("(icmp {ty} (IntCc.{code}) {a} {b})")
            }
            Root::Op(op) => {
                let first = arg(self, 0, half);
                let second = match term.arity {
                    1 => String::new(),
                    _ if term.root.shifts() => format!(" {}", self.amount(term.args[1])),
                    _ => format!(" {}", arg(self, 1, half)),
                };
                format!("({op} {ty} {first}{second})")
            }
            _ => unreachable!("all roots are written"),
        }
    }
}

/// Whether `word` stands in `text` by itself.
fn has(text: &str, word: &str) -> bool {
    text.split([' ', '(', ')']).any(|part| part == word)
}

/// Both sides as the body of a rule; `None` if the right side needs what the left does not bind.
pub(super) fn body(
    terms: &Terms,
    shape: Shape,
    half: Half,
    left: TermId,
    right: TermId,
) -> Option<String> {
    let numbers = BTreeSet::new();
    let mut writer = Writer { terms, shape, numbers, even: false, odd: false, zip: false };
    let lhs = writer.write(left, half);
    let rhs = writer.write(right, half);
    let mut conditions: Vec<&str> = Vec::new();
    let both = format!("{lhs} {rhs}");
    let numbered = |word: &str| {
        writer
            .numbers
            .iter()
            .any(|(num, wide)| meaning(*num, *wide).iter().any(|condition| has(condition, word)))
    };
    let needs_ty = has(&both, "ty") || numbered("ty") || writer.even || writer.odd || writer.zip;
    let needs_wide = has(&both, "wide") || numbered("wide");
    match (has(&lhs, "ty"), has(&lhs, "wide")) {
        (true, _) if needs_wide => conditions.push("(if-let wide (widen_of ty))"),
        (false, true) if needs_ty => conditions.push("(if-let ty (narrow_of wide))"),
        (false, false) => return None,
        _ => {}
    }
    if shape == Shape::Scalar {
        conditions.push("(if (ty_scalar ty))");
    } else if !both.contains("widen") && !both.contains("narrow") && !both.contains("shuffle") {
        conditions.push("(if (ty_vector ty))");
    }
    let amount = writer
        .numbers
        .iter()
        .any(|(num, _)| matches!(num, Num::Amount | Num::AmountLess1 | Num::Rounding));
    if amount {
        if !has(&lhs, "n") {
            return None;
        }
        conditions.extend(meaning(Num::Amount, false));
    }
    for (num, wide) in &writer.numbers {
        for condition in meaning(*num, *wide) {
            if !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
    }
    if writer.even {
        conditions.push("(if-let even (mask_even ty))");
    }
    if writer.odd {
        conditions.push("(if-let odd (mask_odd ty))");
    }
    if writer.zip {
        conditions.push(match half {
            Half::Low => "(if-let zip (mask_zip_low ty))",
            Half::High => "(if-let zip (mask_zip_high ty))",
        });
    }
    for var in ["x", "y", "a", "b"] {
        if has(&rhs, var) && !has(&lhs, var) {
            return None;
        }
    }
    let mut body = format!("(simplify {lhs})");
    for condition in conditions {
        body.push_str("\n      ");
        body.push_str(condition);
    }
    Some(format!("{body}\n      {rhs}"))
}

/// A word for the root of a term, for names.
pub(super) fn word(terms: &Terms, id: TermId) -> String {
    match terms.get(id).root {
        Root::Var(_) | Root::Wide => "operand".to_owned(),
        Root::Num(_) => "number".to_owned(),
        Root::SatS => "snarrow".to_owned(),
        Root::SatU => "unarrow".to_owned(),
        Root::SatUU => "uunarrow".to_owned(),
        Root::Trunc => "low_halves".to_owned(),
        Root::High => "high_halves".to_owned(),
        Root::Zip => "zip".to_owned(),
        Root::Uext => "uwiden".to_owned(),
        Root::Sext => "swiden".to_owned(),
        Root::Cmp(cc) => format!("icmp_{cc}"),
        Root::Op(op @ (Op::Ishl | Op::Ushr | Op::Sshr)) => op.name().to_owned(),
        Root::Op(op) => op.name().to_owned(),
    }
}
