//! Naive forms: lanes are widened, computed with, rounded, shifted, clamped and narrowed.
//!
//! Enumerates stage by stage. Stages before the clamps go on from one form of each function; the
//! others are candidates by themselves. Knows nothing of what the forms are good for.

use super::element::{Num, Root, SAMPLES, Term, TermId, Terms, Values, fingerprint};
use egraft_ir::Op;
use rustc_hash::FxHashMap;

/// Forms that are kept of one function.
const FORMS: usize = 24;

/// By how many ops a form may be longer than the shortest of its function.
const LONGER: usize = 2;

/// What the terms of a family are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Family {
    /// Two narrow variables.
    Pair,
    /// A narrow variable and a shift amount.
    Amount,
    /// A wide variable.
    Wide,
}

impl Family {
    /// Its name in rules.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Family::Pair => "pair",
            Family::Amount => "amount",
            Family::Wide => "wide",
        }
    }

    fn amounts(self) -> &'static [Num] {
        match self {
            Family::Pair | Family::Wide => &[Num::One, Num::WidthLess1, Num::Width],
            Family::Amount => &[Num::Amount, Num::AmountLess1, Num::Width],
        }
    }

    fn addends(self) -> &'static [Num] {
        match self {
            Family::Pair => &[Num::One, Num::Half, Num::Quarter],
            Family::Amount => &[Num::One, Num::Rounding],
            Family::Wide => &[],
        }
    }

    fn bounds(self) -> &'static [(Num, Num)] {
        use Num::*;
        match self {
            Family::Pair | Family::Amount => &[(SignedLeast, SignedMost), (Zero, UnsignedMost)],
            Family::Wide => &[
                (SignedLeast, SignedMost),
                (Zero, UnsignedMost),
                (HalfSignedLeast, HalfSignedMost),
                (Zero, HalfUnsignedMost),
            ],
        }
    }
}

/// What was enumerated.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// Wide terms, each with an earlier one that is equal.
    pub(super) joined: Vec<(TermId, TermId)>,
    /// Narrow terms by function, shortest first.
    pub(super) narrow: FxHashMap<u64, Vec<TermId>>,
    /// Terms looked at.
    pub(super) count: usize,
}

struct Stages<'t> {
    terms: &'t mut Terms,
    seen: FxHashMap<u64, TermId>,
    forms: Forms,
}

impl Stages<'_> {
    /// Adds a wide term; gives its id if no earlier one is equal.
    fn add(&mut self, root: Root, args: &[TermId]) -> Option<TermId> {
        let term = self.terms.over(root, args);
        let mut values = Box::new([0; SAMPLES]);
        self.terms.compute(&term, SAMPLES, &mut values);
        self.forms.count += 1;
        let print = fingerprint(&values[..]);
        if let Some(&earlier) = self.seen.get(&print) {
            let id = self.terms.push(term, None);
            self.forms.joined.push((id, earlier));
            return None;
        }
        let id = self.terms.push(term, Some(values));
        self.seen.insert(print, id);
        Some(id)
    }

    fn number(&mut self, num: Num) -> TermId {
        self.terms.leaf(Root::Num(num), true)
    }

    /// All of `over`, and their shifts.
    fn shifted(&mut self, over: &[TermId], ops: &[Op], amounts: &[TermId]) -> Vec<TermId> {
        let mut all = over.to_vec();
        for &op in ops {
            for amount in amounts {
                for term in over {
                    all.extend(self.add(Root::Op(op), &[*term, *amount]));
                }
            }
        }
        all
    }

    /// Records every narrowing of a term.
    fn narrow(&mut self, over: TermId, values: &Values) {
        for root in Root::NARROWINGS {
            let mut narrow = [0; SAMPLES];
            Terms::narrowed(root, values, &mut narrow);
            self.forms.count += 1;
            let term = Term { root, wide: false, args: [over; 2], arity: 1 };
            let id = self.terms.push(term, None);
            self.forms.narrow.entry(fingerprint(&narrow)).or_default().push(id);
        }
    }

    /// Narrows a term as it is and under clamps.
    fn clamp(&mut self, over: TermId, clamps: &[Vec<(Op, TermId)>]) {
        let values = *self.terms.values(over);
        self.narrow(over, &values);
        for clamp in clamps {
            let (mut at, mut now) = (over, values);
            for (op, bound) in clamp {
                let mut next = [0; SAMPLES];
                let bounds = *self.terms.values(*bound);
                Terms::bounded(*op, &now, &bounds, &mut next);
                now = next;
                let term = Term { root: Root::Op(*op), wide: true, args: [at, *bound], arity: 2 };
                at = self.terms.push(term, None);
            }
            self.narrow(at, &now);
        }
    }
}

/// Enumerates the forms of a family over narrow variables `vars`.
pub(super) fn enumerate(terms: &mut Terms, family: Family, vars: &[TermId]) -> Forms {
    let mut stages = Stages { terms, seen: FxHashMap::default(), forms: Forms::default() };
    let mut leaves = Vec::new();
    for var in vars {
        leaves.extend(stages.add(Root::Uext, &[*var]));
        leaves.extend(stages.add(Root::Sext, &[*var]));
    }
    if family == Family::Wide {
        let leaf = stages.terms.leaf(Root::Wide, true);
        stages.seen.insert(fingerprint(&stages.terms.values(leaf)[..]), leaf);
        leaves.push(leaf);
    }
    let amounts: Vec<TermId> = family.amounts().iter().map(|num| stages.number(*num)).collect();
    let addends: Vec<TermId> = family.addends().iter().map(|num| stages.number(*num)).collect();
    // Twice shifted variables: extension in place is one.
    let left_too = [Op::Ishl, Op::Ushr, Op::Sshr];
    let right = &left_too[1..];
    let once = stages.shifted(&leaves, &left_too, &amounts);
    let mut sums = match family {
        Family::Wide => once,
        Family::Amount => stages.shifted(&once, &left_too, &amounts[2..]),
        Family::Pair => {
            stages.shifted(&once, &left_too, &amounts[2..]);
            // Two lanes side by side are another way to widen one.
            let zero = stages.terms.leaf(Root::Num(Num::Zero), false);
            for (a, b) in [(vars[0], vars[1]), (zero, vars[0]), (vars[0], zero)] {
                let zipped: Vec<TermId> = stages.add(Root::Zip, &[a, b]).into_iter().collect();
                stages.shifted(&zipped, &left_too, &amounts[2..]);
            }
            Vec::new()
        }
    };
    if family == Family::Pair {
        for op in [Op::Iadd, Op::Isub, Op::Imul] {
            for (at, a) in leaves.iter().enumerate() {
                for (other, b) in leaves.iter().enumerate() {
                    if at <= other || !op.is_commutative() {
                        sums.extend(stages.add(Root::Op(op), &[*a, *b]));
                    }
                }
            }
        }
    }
    let mut rounded = sums.clone();
    for sum in sums {
        for addend in &addends {
            rounded.extend(stages.add(Root::Op(Op::Iadd), &[sum, *addend]));
        }
        if family == Family::Pair {
            rounded.extend(stages.add(Root::Op(Op::Iabs), &[sum]));
        }
    }
    if family == Family::Pair {
        // Sums with the addend inside come last: what rounds outside is what goes on.
        let ones = stages.number(Num::One);
        for (at, a) in leaves.clone().into_iter().enumerate() {
            let Some(more) = stages.add(Root::Op(Op::Iadd), &[a, ones]) else { continue };
            for b in leaves.clone().into_iter().skip(at) {
                stages.add(Root::Op(Op::Iadd), &[more, b]);
            }
        }
    }
    let shifted = match family {
        Family::Wide => rounded,
        _ => stages.shifted(&rounded, right, &amounts),
    };
    let mut clamps: Vec<Vec<(Op, TermId)>> = Vec::new();
    for (least, most) in family.bounds() {
        let (least, most) = (stages.number(*least), stages.number(*most));
        clamps.push(vec![(Op::Smin, most)]);
        clamps.push(vec![(Op::Umin, most)]);
        clamps.push(vec![(Op::Smax, least)]);
        clamps.push(vec![(Op::Smin, most), (Op::Smax, least)]);
        clamps.push(vec![(Op::Smax, least), (Op::Smin, most)]);
        clamps.push(vec![(Op::Smax, least), (Op::Umin, most)]);
    }
    for over in shifted {
        stages.clamp(over, &clamps);
    }
    let mut forms = stages.forms;
    for same in forms.narrow.values_mut() {
        same.sort_by_cached_key(|id| (stages.terms.size(*id), *id));
        let shortest = stages.terms.size(same[0]);
        same.retain(|id| stages.terms.size(*id) <= shortest + LONGER);
        same.truncate(FORMS);
    }
    forms
}
