//! CLIF terms in order of their size, one for each value, over given atoms.
//!
//! A value is what a term computes from the characteristic operands: one vector for each of them,
//! or two for terms that stand for a pair of vectors, low and high, such as widened lanes. Equal
//! values are taken for equal terms; proofs come later. Invariant: an entry's operands come before it.

use super::sample::Samples;
use super::term::Clif;
use egraft_ir::eval::Concrete;
use egraft_ir::semantics;
use egraft_ir::{IntCc, Node, Op, Ty, TypeRule};
use rustc_hash::FxHashSet;
use std::hash::{Hash, Hasher};

/// The most entries of one size that are kept.
const ENTRIES: usize = 4_500;

/// The most entries of one size that are paired with entries that are no atoms.
const PAIRED: usize = 90;

/// The most comparisons that choices are made by.
const MASKS: usize = 24;

/// What an entry is.
#[derive(Clone, Debug)]
enum Step {
    /// A term for each part.
    Atom(Vec<Clif>),
    /// An op on each part.
    Op(Op, u128, [u32; 3]),
    /// A shift of each part.
    Shift(Op, u32, u32),
}

/// A term and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    step: Step,
    /// By characteristic operand, then by part.
    pub(super) value: Box<[u128]>,
    constant: bool,
    /// Whether a constant is in it.
    numbered: bool,
    mask: bool,
}

/// A term that is not kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draft {
    Entry(u32),
    Op(Op, u128, [u32; 3]),
    Shift(Op, u32, u32),
}

/// Which terms are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Lanes of the ops.
    pub(super) ty: Ty,
    /// Vectors in a value.
    pub(super) parts: usize,
    /// The largest size, 1 to 3.
    pub(super) size: usize,
}

pub(super) struct Bank {
    pub(super) scope: Scope,
    pub(super) entries: Vec<Entry>,
    /// Where entries of each size begin.
    starts: Vec<usize>,
    seen: FxHashSet<u64>,
    unary: Vec<(Op, u128)>,
    binary: Vec<(Op, u128)>,
    amounts: Vec<u32>,
}

/// Shift amounts that are characteristic of lanes of `w` bits.
pub(super) fn amounts(w: u32) -> Vec<u32> {
    let mut all = vec![1, w / 4, w / 2 - 1, w / 2, w - 1];
    all.dedup();
    all
}

/// Numbers that are characteristic of lanes of `w` bits.
pub(super) fn numbers(w: u32) -> Vec<u64> {
    let mask = u64::MAX >> (64 - w);
    let half = w / 2;
    let mut all = vec![0, 1, mask, 1 << (w - 1), mask >> 1];
    all.extend([1 << half, (1 << half) - 1, 1 << (half - 1), (1 << (half - 1)) - 1]);
    all.extend([mask << (half - 1) & mask, 1 << (half - 2), 1 << (w / 4).saturating_sub(1)]);
    let mut seen = FxHashSet::default();
    all.retain(|number| seen.insert(*number));
    all
}

impl Bank {
    pub(super) fn new(scope: Scope) -> Bank {
        let mut unary = Vec::new();
        let mut binary = Vec::new();
        for op in Op::ALL.iter().copied().filter(|op| op.types().contains(scope.ty)) {
            let targeted = op.name().starts_with("x86_") || op == Op::Blendv;
            if targeted
                || !matches!(op.type_rule(), TypeRule::Same | TypeRule::Bits | TypeRule::Compare)
            {
                continue;
            }
            if !matches!(op.types(), egraft_ir::TypeSet::Float) && !is_mover(op) {
                match (op, op.arity()) {
                    (Op::Icmp, _) => {
                        binary.extend((0..IntCc::ALL.len()).map(|cc| (op, cc as u128)))
                    }
                    (_, 1) => unary.push((op, 0)),
                    (_, 2) => binary.push((op, 0)),
                    _ => {}
                }
            }
        }
        Bank {
            scope,
            entries: Vec::new(),
            starts: vec![0],
            seen: FxHashSet::default(),
            unary,
            binary,
            amounts: amounts(scope.ty.lane_bits()),
        }
    }

    /// Adds a term of size 0, one term for each part.
    pub(super) fn atom(&mut self, samples: &Samples, parts: Vec<Clif>) {
        let constant = parts.iter().all(|part| part.leaves() == 0);
        let value: Box<[u128]> = samples
            .leaves
            .iter()
            .flat_map(|leaves| parts.iter().map(|part| part.value(&mut Concrete, leaves)))
            .collect();
        if self.seen.insert(hash(&value)) {
            self.entries.push(Entry {
                step: Step::Atom(parts),
                value,
                constant,
                numbered: constant,
                mask: false,
            });
        }
    }

    /// Adds the characteristic numbers of the lanes.
    pub(super) fn constants(&mut self, samples: &Samples) {
        for number in numbers(self.scope.ty.lane_bits()) {
            self.atom(samples, vec![Clif::Splat(self.scope.ty, number); self.scope.parts]);
        }
    }

    /// Grows the bank to the size of its scope, and gives every term to `visit`: those of the last
    /// size are not kept.
    pub(super) fn grow(&mut self, visit: &mut impl FnMut(&Bank, Draft)) {
        for at in 0..self.entries.len() {
            visit(self, Draft::Entry(at as u32));
        }
        self.starts.push(self.entries.len());
        for size in 1..self.scope.size {
            let mut seen = std::mem::take(&mut self.seen);
            let (mut kept, mut buffer) = (Vec::new(), Vec::new());
            self.drafts(size, &mut |draft| {
                if kept.len() < ENTRIES {
                    self.evaluate(draft, usize::MAX, &mut buffer);
                    if seen.insert(hash(&buffer)) {
                        kept.push(self.entry(draft, &buffer));
                    }
                }
            });
            self.seen = seen;
            let from = self.entries.len();
            self.entries.extend(kept);
            for at in from..self.entries.len() {
                visit(self, Draft::Entry(at as u32));
            }
            self.starts.push(self.entries.len());
        }
        self.drafts(self.scope.size, &mut |draft| visit(self, draft));
    }

    fn entry(&self, draft: Draft, value: &[u128]) -> Entry {
        let numbered = |at: u32| self.entries[at as usize].numbered;
        let (step, mask, numbered) = match draft {
            Draft::Op(op, imm, args) => (
                Step::Op(op, imm, args),
                op == Op::Icmp,
                args[..op.arity()].iter().any(|arg| numbered(*arg)),
            ),
            Draft::Shift(op, n, arg) => {
                (Step::Shift(op, n, arg), n == self.scope.ty.lane_bits() - 1, numbered(arg))
            }
            Draft::Entry(at) => return self.entries[at as usize].clone(),
        };
        Entry { step, value: value.into(), constant: false, numbered, mask }
    }

    /// The entries of one size.
    fn of_size(&self, size: usize) -> std::ops::Range<u32> {
        self.starts[size] as u32..self.starts[size + 1] as u32
    }

    /// The first entries of one size, those without constants before the others.
    fn plainest(&self, size: usize) -> Vec<u32> {
        let mut all: Vec<u32> = self.of_size(size).collect();
        all.sort_by_key(|at| self.entries[*at as usize].numbered);
        all.truncate(PAIRED);
        all
    }

    fn drafts(&self, size: usize, out: &mut impl FnMut(Draft)) {
        let entry = |at: u32| &self.entries[at as usize];
        let (constants, leaves): (Vec<u32>, Vec<u32>) =
            self.of_size(0).partition(|at| entry(*at).constant);
        let mut below: Vec<u32> = self.of_size(size - 1).filter(|x| !entry(*x).constant).collect();
        below.sort_by_key(|at| entry(*at).numbered);
        for x in below.iter().copied() {
            for (op, imm) in &self.unary {
                out(Draft::Op(*op, *imm, [x, 0, 0]));
            }
            for op in [Op::Ishl, Op::Ushr, Op::Sshr] {
                self.amounts.iter().for_each(|n| out(Draft::Shift(op, *n, x)));
            }
        }
        // A number joins a larger term that has none, by an op that bounds, offsets or masks; one that
        // was bounded may be bounded once more.
        for x in below.iter().copied() {
            let bounded = matches!(entry(x).step, Step::Op(op, ..) if bounds(op));
            for (op, imm) in &self.binary {
                let joins = match entry(x).numbered {
                    true => bounded && bounds(*op),
                    false => size == 1 || bounds(*op) || matches!(op, Op::Iadd | Op::Band),
                };
                if !joins {
                    continue;
                }
                for c in constants.iter().copied() {
                    out(Draft::Op(*op, *imm, [x, c, 0]));
                    if !op.is_commutative() {
                        out(Draft::Op(*op, *imm, [c, x, 0]));
                    }
                }
            }
        }
        for x in below.iter().copied().filter(|x| !entry(*x).numbered) {
            for y in leaves.iter().copied() {
                self.both_orders(x, y, size == 1, out);
            }
        }
        if size == 3 {
            let all = self.plainest(1);
            for (at, x) in all.iter().enumerate() {
                all[at..].iter().for_each(|y| self.both_orders(*x, *y, false, out));
            }
        }
        // A choice by a comparison or a sign, of which one side is an atom.
        if size >= 2 {
            let masks = self.plainest(1).into_iter().filter(|at| entry(*at).mask).take(MASKS);
            let others = self.plainest(size - 2);
            for c in masks {
                for x in others.iter().copied() {
                    for y in leaves.iter().copied() {
                        out(Draft::Op(Op::Bitselect, 0, [c, x, y]));
                        out(Draft::Op(Op::Bitselect, 0, [c, y, x]));
                    }
                }
                if size == 3 {
                    self.siblings(c, out);
                }
            }
        }
    }

    /// Every binary op of two entries; in one order only if both orders come up by themselves.
    fn both_orders(&self, x: u32, y: u32, once: bool, out: &mut impl FnMut(Draft)) {
        for (op, imm) in &self.binary {
            if !(once && op.is_commutative() && x > y) {
                out(Draft::Op(*op, *imm, [x, y, 0]));
            }
            if !once && x != y && !op.is_commutative() {
                out(Draft::Op(*op, *imm, [y, x, 0]));
            }
        }
    }

    /// Choices by a comparison of atoms between two terms that differ from it in the order of the
    /// same operands.
    fn siblings(&self, c: u32, out: &mut impl FnMut(Draft)) {
        let Step::Op(Op::Icmp, _, [a, b, _]) = self.entries[c as usize].step else { return };
        for x in self.of_size(1) {
            let Step::Op(op, _, [p, q, _]) = self.entries[x as usize].step else { continue };
            if op == Op::Icmp || op.arity() != 2 || !((p, q) == (a, b) || (q, p) == (a, b)) {
                continue;
            }
            for y in self.of_size(1) {
                if let Step::Op(other, _, [r, s, _]) = self.entries[y as usize].step
                    && other == op
                    && (r, s) == (q, p)
                {
                    out(Draft::Op(Op::Bitselect, 0, [c, x, y]));
                }
            }
        }
    }

    /// The first vectors of a draft's value.
    pub(super) fn evaluate(&self, draft: Draft, limit: usize, out: &mut Vec<u128>) {
        out.clear();
        let of = |at: u32| &self.entries[at as usize].value;
        let run = |node: &Node, args: &[u128]| {
            semantics::apply(&mut Concrete, node, args).expect("banks make well-typed terms")
        };
        match draft {
            Draft::Entry(at) => {
                let value = of(at);
                out.extend_from_slice(&value[..limit.min(value.len())]);
            }
            Draft::Shift(op, n, x) => {
                let node = Clif::node(op, self.scope.ty, 0);
                out.extend(of(x).iter().take(limit).map(|x| run(&node, &[*x, u128::from(n)])));
            }
            Draft::Op(op, imm, [x, y, z]) => {
                let node = Clif::node(op, self.scope.ty, imm);
                let x = of(x).iter().take(limit);
                match op.arity() {
                    1 => out.extend(x.map(|x| run(&node, &[*x]))),
                    2 => out.extend(x.zip(of(y)).map(|(x, y)| run(&node, &[*x, *y]))),
                    _ => out.extend(
                        x.zip(of(y)).zip(of(z)).map(|((x, y), z)| run(&node, &[*x, *y, *z])),
                    ),
                }
            }
        }
    }

    /// The CLIF of one part of a draft.
    pub(super) fn term(&self, draft: Draft, part: usize) -> Clif {
        let ty = self.scope.ty;
        match draft {
            Draft::Entry(at) => match &self.entries[at as usize].step {
                Step::Atom(parts) => parts[part].clone(),
                Step::Op(op, imm, args) => self.term(Draft::Op(*op, *imm, *args), part),
                Step::Shift(op, n, x) => self.term(Draft::Shift(*op, *n, *x), part),
            },
            Draft::Shift(op, n, x) => {
                Clif::op(op, ty, vec![self.term(Draft::Entry(x), part), Clif::Amount(n)])
            }
            Draft::Op(op, imm, args) => {
                let args = args[..op.arity()].iter();
                let args = args.map(|arg| self.term(Draft::Entry(*arg), part)).collect();
                match Clif::op(op, ty, args) {
                    Clif::Op { op, ty, args, .. } => Clif::Op { op, ty, imm, args },
                    other => other,
                }
            }
        }
    }
}

/// Whether an op bounds its operand.
fn bounds(op: Op) -> bool {
    matches!(op, Op::Smin | Op::Smax | Op::Umin | Op::Umax)
}

/// Whether an op moves bytes by the numbers in an operand.
fn is_mover(op: Op) -> bool {
    matches!(op, Op::Swizzle | Op::Shuffle | Op::IaddPairwise | Op::Bitselect)
}

fn hash(value: &[u128]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
