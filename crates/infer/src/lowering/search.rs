//! The search: banks of CLIF terms against the values of machine terms.

use super::bank::{Bank, Draft, Scope};
use super::goal::{Goals, INT_VECTORS};
use super::sample::Samples;
use super::term::Clif;
use egraft_ir::eval::Concrete;
use egraft_ir::{Op, Ty, semantics};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The most spellings that are kept of one machine term.
const SPELLINGS: usize = 24;

/// The deepest CLIF term of a rule.
const DEPTH: usize = 6;

/// By machine term: CLIF terms with its value, by their size.
pub(super) type Found = BTreeMap<usize, BTreeSet<(usize, Clif)>>;

/// How a term of some parts becomes one vector.
#[derive(Clone, Copy, Debug)]
enum Root {
    Part(usize),
    /// Both parts, or the only one and 0, by an op or by a shuffle of these bytes.
    Narrow(Op),
    Bytes(u128),
    Pairwise,
    PairwiseTwice,
}

/// Searches every bank.
pub(super) fn search(goals: &Goals, samples: &Samples, progress: &(dyn Fn(&str) + Sync)) -> Found {
    let banks = plans();
    let found: Vec<Found> = banks
        .into_par_iter()
        .map(|plan| {
            let mut hunt = Hunt { goals, samples, found: Found::new(), roots: roots(plan.scope) };
            let mut bank = Bank::new(plan.scope);
            for parts in plan.atoms {
                bank.atom(samples, parts);
            }
            if plan.constants {
                bank.constants(samples);
            }
            let mut terms = 0usize;
            let mut buffer = Vec::new();
            bank.grow(&mut |bank, draft| {
                terms += 1;
                hunt.visit(bank, draft, &mut buffer);
            });
            progress(&format!("{}: {terms} terms, {} hits", plan.name, hunt.found.len()));
            hunt.found
        })
        .collect();
    let mut all = Found::new();
    for one in found {
        for (machine, terms) in one {
            terms.into_iter().for_each(|(_, term)| keep(&mut all, machine, term));
        }
    }
    all
}

fn keep(found: &mut Found, machine: usize, term: Clif) {
    if term.depth() > DEPTH || term.ops() == 0 {
        return;
    }
    let terms = found.entry(machine).or_default();
    terms.insert((term.ops(), term));
    if terms.len() > SPELLINGS {
        terms.pop_last();
    }
}

struct Plan {
    name: String,
    scope: Scope,
    atoms: Vec<Vec<Clif>>,
    constants: bool,
}

/// Which terms to make: for each lane width, lanes as they are, widened, in pairs that are to be
/// narrowed, halves of lanes, and neighbours.
fn plans() -> Vec<Plan> {
    let leaf = Clif::Leaf;
    let mut plans = Vec::new();
    let mut plan = |name: String, ty: Ty, size: usize, constants: bool, atoms: Vec<Vec<Clif>>| {
        let scope = Scope { ty, parts: atoms[0].len(), size };
        plans.push(Plan { name, scope, atoms, constants });
    };
    for ty in INT_VECTORS {
        let two = vec![vec![leaf(0)], vec![leaf(1)]];
        plan(format!("{ty}"), ty, 3, true, two.clone());
        let three: Vec<_> = (0..3).map(|at| vec![leaf(at)]).collect();
        plan(format!("{ty}, three leaves"), ty, 2, false, three);
        let [even, odd] = unzip_masks(ty);
        let neighbours: Vec<_> =
            [even, odd].map(|mask| vec![Clif::shuffle(mask, leaf(0), leaf(1))]).to_vec();
        plan(format!("{ty}, neighbours"), ty, 1, false, neighbours);
        let Some(narrow) = ty.narrowed() else { continue };
        let widened = |leaf: u8, ops: [Op; 2]| -> Vec<Clif> {
            ops.map(|op| Clif::op(op, narrow, vec![Clif::Leaf(leaf)])).to_vec()
        };
        const ZERO: [Op; 2] = [Op::UwidenLow, Op::UwidenHigh];
        const SIGN: [Op; 2] = [Op::SwidenLow, Op::SwidenHigh];
        let all = |leaves: &[u8]| -> Vec<Vec<Clif>> {
            leaves.iter().flat_map(|leaf| [ZERO, SIGN].map(|ops| widened(*leaf, ops))).collect()
        };
        plan(format!("{ty}, widened"), ty, 3, true, all(&[0, 1]));
        let pairs = vec![vec![leaf(0), leaf(1)], vec![leaf(2), leaf(3)]];
        plan(format!("{ty}, pairs"), ty, 3, true, pairs);
        let w = ty.lane_bits();
        let shifted = |op, x| Clif::op(op, ty, vec![x, Clif::Amount(w / 2)]);
        let mask = Clif::Splat(ty, (1 << (w / 2)) - 1);
        let halves = [0, 1].into_iter().flat_map(|at| {
            [
                Clif::op(Op::Band, ty, vec![leaf(at), mask.clone()]),
                shifted(Op::Sshr, shifted(Op::Ishl, leaf(at))),
                shifted(Op::Ushr, leaf(at)),
                shifted(Op::Sshr, leaf(at)),
            ]
        });
        plan(format!("{ty}, halves"), ty, 3, false, halves.map(|half| vec![half]).collect());
        let Some(quarter) = narrow.narrowed() else { continue };
        let quads = [0, 1].into_iter().flat_map(|at| {
            [ZERO, SIGN].map(|ops| {
                let twice = |first: Op, second: Op| {
                    let once = Clif::op(first, quarter, vec![Clif::Leaf(at)]);
                    Clif::op(second, narrow, vec![once])
                };
                ops.iter().flat_map(|first| ops.map(|second| twice(*first, second))).collect()
            })
        });
        plan(format!("{ty}, widened twice"), ty, 1, false, quads.collect());
    }
    plans
}

/// The shuffle masks of even and of odd lanes of two vectors.
fn unzip_masks(ty: Ty) -> [u128; 2] {
    let bytes = (ty.lane_bits() / 8) as u8;
    [0, 1].map(|odd| {
        let mask: [u8; 16] = std::array::from_fn(|at| {
            let (lane, byte) = (at as u8 / bytes, at as u8 % bytes);
            (2 * lane + odd) * bytes + byte
        });
        u128::from_le_bytes(mask)
    })
}

fn roots(scope: Scope) -> Vec<Root> {
    let mut roots: Vec<Root> = (0..scope.parts).map(Root::Part).collect();
    if let (1 | 2, Some(narrow)) = (scope.parts, scope.ty.narrowed()) {
        let ops = [Op::Snarrow, Op::Unarrow, Op::Uunarrow];
        roots.extend(ops.into_iter().filter(|op| op.allows(scope.ty, scope.ty)).map(Root::Narrow));
        roots.extend(unzip_masks(narrow).map(Root::Bytes));
    }
    let pairwise = Op::IaddPairwise.allows(scope.ty, scope.ty);
    match scope.parts {
        2 if pairwise => roots.push(Root::Pairwise),
        4 if pairwise => roots.push(Root::PairwiseTwice),
        _ => {}
    }
    roots
}

impl Root {
    fn value(self, ty: Ty, parts: &[u128]) -> u128 {
        let run = |op: Op, imm: u128, x: u128, y: u128| {
            semantics::apply(&mut Concrete, &Clif::node(op, ty, imm), &[x, y])
                .expect("roots fit their lanes")
        };
        let second = parts.get(1).copied().unwrap_or(0);
        match self {
            Root::Part(at) => parts[at],
            Root::Narrow(op) => run(op, 0, parts[0], second),
            Root::Bytes(mask) => {
                let node = Clif::node(Op::Shuffle, Ty::I8X16, mask);
                semantics::apply(&mut Concrete, &node, &[parts[0], second]).expect("as above")
            }
            Root::Pairwise => run(Op::IaddPairwise, 0, parts[0], parts[1]),
            Root::PairwiseTwice => {
                let low = run(Op::IaddPairwise, 0, parts[0], parts[1]);
                let high = run(Op::IaddPairwise, 0, parts[2], parts[3]);
                run(Op::IaddPairwise, 0, low, high)
            }
        }
    }

    fn term(self, bank: &Bank, draft: Draft) -> Clif {
        let Scope { ty, parts, .. } = bank.scope;
        let part = |at: usize| match at < parts {
            true => bank.term(draft, at),
            false => Clif::Splat(Ty::I8X16, 0),
        };
        let pairwise = |x: Clif, y: Clif| Clif::op(Op::IaddPairwise, ty, vec![x, y]);
        match self {
            Root::Part(at) => part(at),
            Root::Narrow(op) => Clif::op(op, ty, vec![part(0), part(1)]),
            Root::Bytes(mask) => Clif::shuffle(mask, part(0), part(1)),
            Root::Pairwise => pairwise(part(0), part(1)),
            Root::PairwiseTwice => pairwise(pairwise(part(0), part(1)), pairwise(part(2), part(3))),
        }
    }
}

struct Hunt<'a> {
    goals: &'a Goals,
    samples: &'a Samples,
    found: Found,
    roots: Vec<Root>,
}

impl Hunt<'_> {
    fn visit(&mut self, bank: &Bank, draft: Draft, buffer: &mut Vec<u128>) {
        let Scope { ty, parts, .. } = bank.scope;
        bank.evaluate(draft, parts, buffer);
        let mut hits = Vec::new();
        for root in &self.roots {
            let goals = self.goals.starting(root.value(ty, buffer));
            if !goals.is_empty() {
                hits.push((*root, goals));
            }
        }
        if hits.is_empty() {
            return;
        }
        bank.evaluate(draft, usize::MAX, buffer);
        for (root, goals) in hits {
            let value: Vec<u128> =
                buffer.chunks(parts).map(|parts| root.value(ty, parts)).collect();
            debug_assert_eq!(value.len(), self.samples.leaves.len());
            for goal in goals.iter().map(|at| &self.goals.all[*at as usize]) {
                if goal.value == value {
                    let term = goal.wrap.apply(root.term(bank, draft));
                    keep(&mut self.found, goal.machine, term);
                }
            }
        }
    }
}
