//! Short forms that stay in narrow lanes, searched for the functions that naive forms compute.
//!
//! Terms of up to three ops are kept, one for each function; those of four and five are only
//! compared with what is looked for.

use super::element::{FIRST, Num, Root, SAMPLES, TermId, Terms, fingerprint};
use egraft_ir::{IntCc, Op};
use rustc_hash::{FxHashMap, FxHashSet};

/// Shortest forms that are kept of one function.
const FORMS: usize = 4;

/// Forms with one op more that are kept of one function.
const LONGER_FORMS: usize = 8;

/// Ops in the largest term that is noted beside an earlier one of its function.
const EQUAL: usize = 2;

/// Most terms that are kept of one size.
const KEPT: usize = 60_000;

/// Which ops may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ops {
    /// Those that vectors of all lane widths have.
    AnyWidth,
    /// Those that vectors of 8- or 16-bit lanes have.
    Short,
    /// Those that scalars have.
    Scalar,
}

impl Ops {
    fn binary(self) -> Vec<Root> {
        use Op::*;
        let mut ops = vec![Iadd, Isub, Band, Bor, Bxor, Smin, Smax, Umin, Umax];
        match self {
            Ops::AnyWidth => {}
            Ops::Short => {
                ops.extend([AvgRound, UaddSat, SaddSat, UsubSat, SsubSat, SqmulRoundSat]);
            }
            Ops::Scalar => ops.extend([Imul, Umulhi, Smulhi]),
        }
        let mut roots: Vec<Root> = ops.into_iter().map(Root::Op).collect();
        if self != Ops::Scalar {
            roots.extend([IntCc::Eq, IntCc::Sgt, IntCc::Ugt].map(Root::Cmp));
        }
        roots
    }
}

/// What to search, and how far.
#[derive(Debug)]
pub(super) struct Search<'w> {
    /// The variables.
    pub(super) leaves: Vec<TermId>,
    /// Which ops may be used.
    pub(super) ops: Ops,
    /// Amounts that shifts may have.
    pub(super) amounts: Vec<Num>,
    /// Bounds for minima and maxima; if there are any, nothing else is done to the variables.
    pub(super) bounds: Vec<(Op, Num)>,
    /// Most ops in a term.
    pub(super) size: usize,
    /// Fingerprints of the functions that are looked for.
    pub(super) wanted: &'w FxHashSet<u64>,
    /// Those of their first values.
    pub(super) first: &'w FxHashSet<u64>,
}

/// What was found: terms by function, shortest first.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By fingerprint.
    pub(super) by_function: FxHashMap<u64, Vec<TermId>>,
    /// Small terms, each with an earlier one that is equal.
    pub(super) equal: Vec<(TermId, TermId)>,
    /// Terms looked at.
    pub(super) count: usize,
}

struct Enumerator<'t, 'w> {
    terms: &'t mut Terms,
    search: &'w Search<'w>,
    seen: FxHashMap<u64, TermId>,
    found: Found,
}

impl Enumerator<'_, '_> {
    /// Looks at a term; it is kept if it is new and `keep` says so.
    fn look(&mut self, root: Root, args: &[TermId], keep: Option<&mut Vec<TermId>>) {
        let term = self.terms.over(root, args);
        let mut values = [0; SAMPLES];
        self.found.count += 1;
        if keep.is_none() {
            self.terms.compute(&term, FIRST, &mut values);
            if !self.search.first.contains(&fingerprint(&values[..FIRST])) {
                return;
            }
        }
        self.terms.compute(&term, SAMPLES, &mut values);
        let print = fingerprint(&values);
        let size = 1 + args.iter().map(|arg| self.terms.size(*arg)).sum::<usize>();
        let mut id = None;
        if let Some(kept) = keep {
            match self.seen.get(&print) {
                Some(&earlier) if size <= EQUAL => {
                    let new = self.terms.push(term, None);
                    self.found.equal.push((new, earlier));
                    id = Some(new);
                }
                None if kept.len() < KEPT => {
                    let new = self.terms.push(term, Some(Box::new(values)));
                    kept.push(new);
                    self.seen.insert(print, new);
                    id = Some(new);
                }
                _ => {}
            }
        }
        if self.search.wanted.contains(&print) {
            let forms = self.found.by_function.entry(print).or_default();
            let shortest = forms.first().map_or(size, |form| self.terms.size(*form));
            let most = match size - shortest {
                0 => FORMS,
                1 => LONGER_FORMS,
                _ => 0,
            };
            let alike = forms.iter().filter(|form| self.terms.size(**form) == size).count();
            if alike < most {
                let id = id.unwrap_or_else(|| self.terms.push(term, None));
                self.found.by_function.entry(print).or_default().push(id);
            }
        }
    }
}

/// Searches forms of the functions that are looked for.
pub(super) fn search(terms: &mut Terms, search: &Search<'_>) -> Found {
    let number = |terms: &mut Terms, num| terms.leaf(Root::Num(num), false);
    let binary = if search.bounds.is_empty() { search.ops.binary() } else { Vec::new() };
    let mut fixed: Vec<(Root, Option<TermId>)> = Vec::new();
    if search.bounds.is_empty() {
        fixed.extend([Op::Bnot, Op::Ineg, Op::Iabs].map(|op| (Root::Op(op), None)));
    }
    for amount in &search.amounts {
        let amount = number(terms, *amount);
        fixed.extend([Op::Ishl, Op::Ushr, Op::Sshr].map(|op| (Root::Op(op), Some(amount))));
    }
    let mut with = search.bounds.clone();
    let plain = [
        (Op::Iadd, Num::One),
        (Op::Band, Num::One),
        (Op::Bxor, Num::SignedLeast),
        (Op::Smax, Num::Zero),
        (Op::Smin, Num::Zero),
        (Op::Umin, Num::SignedMost),
    ];
    if search.bounds.is_empty() {
        with.extend(plain);
        if search.ops == Ops::Short {
            with.push((Op::AvgRound, Num::Zero));
        }
    }
    for (op, num) in with {
        let num = number(terms, num);
        fixed.push((Root::Op(op), Some(num)));
    }
    let mut run = Enumerator { terms, search, seen: FxHashMap::default(), found: Found::default() };
    let mut sizes: Vec<Vec<TermId>> = vec![search.leaves.clone()];
    for leaf in &search.leaves {
        let print = fingerprint(&run.terms.values(*leaf)[..]);
        run.seen.insert(print, *leaf);
        if search.wanted.contains(&print) {
            run.found.by_function.entry(print).or_default().push(*leaf);
        }
    }
    for size in 1..=search.size {
        let mut kept = Vec::new();
        let keep = size <= 3 && size < search.size;
        if let Some(below) = sizes.get(size - 1) {
            for over in below {
                for (root, operand) in &fixed {
                    let args = [*over, operand.unwrap_or(*over)];
                    let args = &args[..1 + usize::from(operand.is_some())];
                    run.look(*root, args, keep.then_some(&mut kept));
                }
            }
        }
        for left in 0..size {
            let right = size - 1 - left;
            // The largest terms are only looked for where both operands are small.
            if left >= sizes.len() || right >= sizes.len() || size > 4 && left.max(right) > 2 {
                continue;
            }
            for a in &sizes[left] {
                for b in &sizes[right] {
                    for root in &binary {
                        let ordered = a != b && (!root.commutes() || a < b);
                        if ordered {
                            run.look(*root, &[*a, *b], keep.then_some(&mut kept));
                        }
                    }
                }
            }
        }
        if keep {
            sizes.push(kept);
        }
    }
    run.found
}
