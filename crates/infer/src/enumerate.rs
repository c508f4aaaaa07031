//! Terms by size, bottom-up, and the pairs of them that agree on all samples.
//!
//! Trusts nothing: a pair is a candidate, to be judged. Of terms that agree only the cheapest is
//! built upon, so every equality between larger terms follows from pairs and congruence.
//! Invariant: the result depends on the workload alone, not on threads.

use crate::engine::Engine;
use crate::premise::Premise;
use crate::sample::Samples;
use crate::space::{Expr, Head, Kind, Space, View};
use egraft_ir::{Fingerprint, Node, eval, fingerprint};
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

/// Two terms that agree on all samples, the dearer first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Candidate {
    pub(crate) lhs: Expr,
    pub(crate) rhs: Expr,
    /// Whether either may be rewritten to the other.
    pub(crate) both_ways: bool,
    /// Its text with variables renamed to a normal form: names it in logs.
    pub(crate) key: String,
}

/// What enumeration gave.
#[derive(Clone, Debug, Default)]
pub(crate) struct Enumeration {
    /// Terms evaluated.
    pub(crate) terms: usize,
    /// The largest number of ops in them.
    pub(crate) size: u32,
    /// In the order in which they are judged: small and general first.
    pub(crate) candidates: Vec<Candidate>,
}

/// A term in the arena.
#[derive(Clone, Copy, Debug)]
struct Term {
    head: Option<Head>,
    /// The atom's place in `args[0]` where there is no head.
    args: [u32; 3],
    arity: u8,
    view: View,
    /// Constant in every match.
    constant: bool,
    /// Holds something that folds or that a premise gives, so that it can be no left side.
    right_only: bool,
    rank: (u32, u32, u32),
}

/// By what candidates are sorted.
type Order = (u32, u32, (u32, u32, u32));

impl Term {
    fn args(&self) -> &[u32] {
        &self.args[..self.arity as usize]
    }
}

/// How much a literal counts among what is special in a term; see [`Space::rank`].
const SPECIAL: u32 = 2;

/// A representative: a term with its values.
struct Kept {
    term: Term,
    values: Box<[u128]>,
    /// Values on samples that need not satisfy the premise.
    free: Box<[u128]>,
}

struct Search<'a> {
    space: &'a Space,
    premise: &'a Premise,
    samples: &'a Samples,
    /// Samples without the premise, where there is one.
    free: Option<&'a Samples>,
    arena: Vec<Kept>,
    by_print: FxHashMap<(View, Fingerprint), u32>,
    by_free: FxHashSet<(View, Fingerprint)>,
    /// By ops in them: the terms.
    sizes: Vec<Vec<u32>>,
    pairs: Vec<(Term, u32, u32)>,
    terms: usize,
    engine: Option<&'a dyn Engine>,
}

/// Enumerates terms of up to `size` ops, and `most` terms, over `space`.
///
/// With a premise, the pairs that agree only under it are sought.
pub(crate) fn enumerate(
    space: &Space,
    premise: &Premise,
    samples: &Samples,
    free: Option<&Samples>,
    size: u32,
    most: usize,
    engine: Option<&dyn Engine>,
) -> Enumeration {
    let mut search = Search {
        space,
        premise,
        samples,
        free,
        arena: Vec::new(),
        by_print: FxHashMap::default(),
        by_free: FxHashSet::default(),
        sizes: vec![Vec::new()],
        pairs: Vec::new(),
        terms: 0,
        engine,
    };
    search.atoms();
    search.constants();
    let mut reached = 0;
    for ops in 1..=size {
        let terms = search.terms_of(ops, size);
        if search.terms + terms.len() > most {
            break;
        }
        search.add(terms, ops, ops < size);
        reached = ops;
    }
    let candidates = search.candidates();
    Enumeration { terms: search.terms, size: reached, candidates }
}

fn print(values: &[u128]) -> Fingerprint {
    fingerprint(values.iter().copied())
}

impl Search<'_> {
    fn atoms(&mut self) {
        let defined = self.premise.defines();
        for (at, atom) in self.space.atoms.iter().enumerate() {
            if atom.kind == Kind::Derived && defined & 1 << at == 0 {
                continue;
            }
            let special = match atom.kind {
                Kind::Var => 0,
                Kind::Const | Kind::Derived => 1,
                Kind::Literal(_) => 2,
            };
            let term = Term {
                head: None,
                args: [at as u32, 0, 0],
                arity: 1,
                view: atom.view,
                constant: atom.is_constant(),
                right_only: atom.kind == Kind::Derived,
                rank: (0, 1, special),
            };
            let values = self.samples.values[at].clone().into_boxed_slice();
            let free = self.free.map(|free| free.values[at].clone()).unwrap_or_default();
            self.keep(term, values, free.into_boxed_slice(), 0);
        }
    }

    /// Adds what one op makes of constants: e-graphs fold it. Of fixed numbers alone only those
    /// are of use that a workload names.
    fn constants(&mut self) {
        let of_atoms: Vec<u32> = self.sizes[0].clone();
        let varies = |id: &u32| {
            let atom = &self.space.atoms[self.arena[*id as usize].term.args[0] as usize];
            matches!(atom.kind, Kind::Const | Kind::Derived)
        };
        let mut terms = Vec::new();
        for head in &self.space.heads {
            let lists: Vec<Vec<u32>> = (0..head.op.arity())
                .map(|index| {
                    let fits = |id: &&u32| {
                        let term = &self.arena[**id as usize].term;
                        term.constant && term.view == head.operand(index)
                    };
                    of_atoms.iter().filter(fits).copied().collect()
                })
                .collect();
            product(&lists, &mut |args| {
                if args.iter().any(varies) {
                    terms.push(self.term(*head, args));
                }
            });
        }
        self.add(terms, 0, true);
    }

    fn term(&self, head: Head, args: &[u32]) -> Term {
        let mut slots = [0; 3];
        slots[..args.len()].copy_from_slice(args);
        let of = |id: &u32| &self.arena[*id as usize].term;
        let constant = args.iter().all(|id| of(id).constant);
        let own = crate::space::op_cost(head.op);
        let rank = args.iter().map(of).fold((own, 1, 0), |sum, term| {
            (sum.0 + term.rank.0, sum.1 + term.rank.1, sum.2 + term.rank.2)
        });
        Term {
            head: Some(head),
            args: slots,
            arity: args.len() as u8,
            view: head.result().expect("ops were checked when the workload was read"),
            constant,
            right_only: constant || args.iter().any(|id| of(id).right_only),
            rank: if constant { (0, rank.1, rank.2) } else { rank },
        }
    }

    /// All terms of exactly `ops` ops over what is kept.
    fn terms_of(&self, ops: u32, most: u32) -> Vec<Term> {
        let mut terms = Vec::new();
        let list = |view: View, ops: u32| -> Vec<u32> {
            let all = &self.sizes[ops as usize];
            all.iter().copied().filter(|id| self.arena[*id as usize].term.view == view).collect()
        };
        for head in &self.space.heads {
            let views: Vec<View> = (0..head.op.arity()).map(|index| head.operand(index)).collect();
            for split in splits(ops - 1, views.len()) {
                let commutes = head.op.is_commutative();
                if commutes && split[0] > split[1] {
                    continue;
                }
                let lists: Vec<Vec<u32>> =
                    views.iter().zip(&split).map(|(view, ops)| list(*view, *ops)).collect();
                product(&lists, &mut |args| {
                    if commutes && split[0] == split[1] && args[0] > args[1] {
                        return;
                    }
                    let term = self.term(*head, args);
                    // What folds is of use on small right sides only.
                    let late = term.right_only && ops > 1 && ops >= most;
                    if !(term.constant || late) {
                        terms.push(term);
                    }
                });
            }
        }
        terms
    }

    fn values(&self, term: &Term, free: bool) -> Option<Box<[u128]>> {
        let node = term.head?.node();
        let count = match free {
            true => self.free.map_or(0, |free| free.count),
            false => self.samples.count,
        };
        let of = |id: &u32| {
            let kept = &self.arena[*id as usize];
            if free { &kept.free } else { &kept.values }
        };
        let mut args = [0; 3];
        (0..count)
            .map(|at| {
                for (slot, id) in args.iter_mut().zip(term.args()) {
                    *slot = of(id)[at];
                }
                eval(&node, &args[..term.args().len()]).ok()
            })
            .collect()
    }

    /// The fingerprints of terms' values, as far as the engine gives them.
    fn prints_by_engine(&self, terms: &[Term], free: bool) -> Vec<Option<Option<Fingerprint>>> {
        let count = if free { self.free.map_or(0, |free| free.count) } else { self.samples.count };
        let Some(engine) = self.engine.filter(|_| count > 0) else {
            return vec![None; terms.len()];
        };
        let ops: Vec<Node> = self.space.heads.iter().map(|head| head.node()).collect();
        let of_head: FxHashMap<Head, u32> = self.space.heads.iter().copied().zip(0..).collect();
        let mut places: FxHashMap<u32, u32> = FxHashMap::default();
        let mut values: Vec<u128> = Vec::new();
        let asked: Vec<egraft_ir::Term> = terms
            .iter()
            .filter_map(|term| {
                let op = *of_head.get(&term.head?)?;
                let mut args = [0; 3];
                for (place, id) in args.iter_mut().zip(term.args()) {
                    *place = *places.entry(*id).or_insert_with(|| {
                        let kept = &self.arena[*id as usize];
                        values.extend(if free { &*kept.free } else { &*kept.values });
                        (values.len() / count) as u32 - 1
                    });
                }
                Some(egraft_ir::Term { op, args })
            })
            .collect();
        if asked.len() < terms.len() {
            return vec![None; terms.len()];
        }
        engine.fingerprints(&ops, &values, count, &asked)
    }

    /// The fingerprint of a term's values, unless the engine has said.
    fn print(
        &self,
        term: &Term,
        free: bool,
        said: Option<Option<Fingerprint>>,
    ) -> Option<Fingerprint> {
        said.unwrap_or_else(|| self.values(term, free).map(|values| print(&values)))
    }

    /// Sorts new terms into the groups they agree with.
    fn add(&mut self, terms: Vec<Term>, ops: u32, build_upon: bool) {
        self.terms += terms.len();
        let said = [false, true].map(|free| self.prints_by_engine(&terms, free));
        let prints: Vec<Option<(Fingerprint, Fingerprint)>> = terms
            .par_iter()
            .zip(said[0].par_iter().zip(&said[1]))
            .map(|(term, (values, free))| {
                Some((self.print(term, false, *values)?, self.print(term, true, *free)?))
            })
            .collect();
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by_key(|at| terms[*at].rank);
        while self.sizes.len() <= ops as usize {
            self.sizes.push(Vec::new());
        }
        for at in order {
            let term = terms[at];
            let Some((values, free)) = prints[at] else { continue };
            if self.free.is_some() && !self.by_free.insert((term.view, free)) {
                // Equal to another term without the premise too.
                continue;
            }
            match self.by_print.get(&(term.view, values)) {
                Some(_) if term.constant => {}
                Some(id) => self.pairs.push((term, *id, ops)),
                None if build_upon => {
                    let values = self.values(&term, false).unwrap_or_default();
                    let free = self.values(&term, true).unwrap_or_default();
                    self.keep(term, values, free, ops);
                }
                None => {
                    // Terms of the last size are told apart, but nothing is built upon them.
                    let id = self.arena.len() as u32;
                    self.by_print.insert((term.view, values), id);
                    let none = || Vec::new().into_boxed_slice();
                    self.arena.push(Kept { term, values: none(), free: none() });
                }
            }
        }
    }

    fn keep(&mut self, term: Term, values: Box<[u128]>, free: Box<[u128]>, ops: u32) {
        let id = self.arena.len() as u32;
        let known = self.by_print.insert((term.view, print(&values)), id);
        if let Some(old) = known {
            // Atoms that are equal at this width, such as 7 and the width less one.
            self.by_print.insert((term.view, print(&values)), old);
        }
        if self.free.is_some() {
            self.by_free.insert((term.view, print(&free)));
        }
        self.arena.push(Kept { term, values, free });
        self.sizes[ops as usize].push(id);
    }

    fn expr(&self, term: &Term) -> Expr {
        match term.head {
            None => Expr::Atom(term.args[0] as u8),
            Some(head) => Expr::Op(
                head,
                term.args().iter().map(|id| self.expr(&self.arena[*id as usize].term)).collect(),
            ),
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let mut all: Vec<(Order, Candidate)> = Vec::new();
        let mut seen = FxHashSet::default();
        for (term, id, ops) in &self.pairs {
            let other = &self.arena[*id as usize].term;
            let (a, b) = (self.expr(term), self.expr(other));
            let Some(candidate) = orient(self.space, self.premise, a, b) else { continue };
            if seen.insert(candidate.key.clone()) {
                let lhs = self.space.rank(&candidate.lhs);
                let special = lhs.2 + self.space.rank(&candidate.rhs).2;
                all.push(((*ops, special, lhs), candidate));
            }
        }
        all.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.key.cmp(&y.key)));
        all.into_iter().map(|(_, candidate)| candidate).collect()
    }
}

/// Makes a candidate of two terms that agree: the dearer one first, if it binds all the other
/// reads.
fn orient(space: &Space, premise: &Premise, a: Expr, b: Expr) -> Option<Candidate> {
    let asked = premise.atoms() & !premise.defines();
    let given = premise.defines();
    let literals = space
        .atoms
        .iter()
        .enumerate()
        .filter(|(_, atom)| matches!(atom.kind, Kind::Literal(_)))
        .fold(0, |set, (at, _)| set | 1 << at);
    let fits = |lhs: &Expr, rhs: &Expr| {
        let bound = lhs.atoms();
        space.is_left_side(lhs)
            && rhs.atoms() & !given & !literals & !bound == 0
            && asked & !bound == 0
    };
    // Between forms of one cost only small and general pairs are of use: they lead to other rules.
    let most = if premise.is_empty() { 2 } else { 1 };
    if space.cost(&a) == space.cost(&b)
        && (space.rank(&a).2 + space.rank(&b).2 >= SPECIAL
            || a.heads().len().max(b.heads().len()) > most)
    {
        return None;
    }
    let (dear, cheap) = if space.rank(&a) >= space.rank(&b) { (a, b) } else { (b, a) };
    let forth = fits(&dear, &cheap);
    let back = space.cost(&dear) == space.cost(&cheap) && fits(&cheap, &dear);
    let (lhs, rhs) = match (forth, back) {
        (true, _) => (dear, cheap),
        (false, true) => (cheap, dear),
        _ => return None,
    };
    let (one, other) =
        (normal_form(space, premise, &lhs, &rhs), normal_form(space, premise, &rhs, &lhs));
    // The way back of a rule that is its own mirror is the same rule.
    let both_ways = forth && back && one != other;
    let key = if both_ways { one.min(other) } else { one };
    Some(Candidate { lhs, rhs, both_ways, key })
}

/// The least text of the pair under renaming of atoms of one kind that the premise leaves alone.
fn normal_form(space: &Space, premise: &Premise, lhs: &Expr, rhs: &Expr) -> String {
    let used = lhs.atoms() | rhs.atoms();
    let mut groups: Vec<Vec<u8>> = Vec::new();
    for (at, atom) in space.atoms.iter().enumerate() {
        let renamed =
            matches!(atom.kind, Kind::Var | Kind::Const) && premise.atoms() & 1 << at == 0;
        if !renamed {
            continue;
        }
        let group = groups.iter_mut().find(|group| {
            let first = &space.atoms[group[0] as usize];
            (first.kind, first.view) == (atom.kind, atom.view)
        });
        match group {
            Some(group) => group.push(at as u8),
            None => groups.push(vec![at as u8]),
        }
    }
    groups.retain(|group| group.iter().any(|at| used & 1 << at != 0));
    let mut best: Option<String> = None;
    let mut names: Vec<u8> = (0..space.atoms.len() as u8).collect();
    rename(&groups, &mut names, &mut |names| {
        let name = |at: u8| space.atoms[names[at as usize] as usize].name.clone();
        let text = format!("{} = {}", space.text(lhs, &name), space.text(rhs, &name));
        if best.as_ref().is_none_or(|best| text < *best) {
            best = Some(text);
        }
    });
    let mut key = best.unwrap_or_default();
    if !premise.is_empty() {
        key += " if ";
        key += &premise.text;
    }
    key
}

/// Calls `visit` with every renaming within the groups.
fn rename(groups: &[Vec<u8>], names: &mut Vec<u8>, visit: &mut impl FnMut(&[u8])) {
    let Some((group, rest)) = groups.split_first() else { return visit(names) };
    let mut order = group.clone();
    permute(&mut order, 0, &mut |order| {
        for (from, to) in group.iter().zip(order) {
            names[*from as usize] = *to;
        }
        rename(rest, names, &mut *visit);
    });
}

fn permute(order: &mut [u8], from: usize, visit: &mut dyn FnMut(&[u8])) {
    if from == order.len() {
        return visit(order);
    }
    for at in from..order.len() {
        order.swap(from, at);
        permute(order, from + 1, visit);
        order.swap(from, at);
    }
}

/// The ways to split `total` into `parts`.
fn splits(total: u32, parts: usize) -> Vec<Vec<u32>> {
    match parts {
        0 => Vec::new(),
        1 => vec![vec![total]],
        _ => (0..=total)
            .flat_map(|first| {
                splits(total - first, parts - 1).into_iter().map(move |mut rest| {
                    rest.insert(0, first);
                    rest
                })
            })
            .collect(),
    }
}

fn product(lists: &[Vec<u32>], visit: &mut impl FnMut(&[u32])) {
    let mut args = [0; 3];
    match lists {
        [a] => a.iter().for_each(|x| {
            args[0] = *x;
            visit(&args[..1]);
        }),
        [a, b] => a.iter().for_each(|x| {
            b.iter().for_each(|y| {
                args[..2].copy_from_slice(&[*x, *y]);
                visit(&args[..2]);
            });
        }),
        [a, b, c] => a.iter().for_each(|x| {
            b.iter().for_each(|y| {
                c.iter().for_each(|z| {
                    args = [*x, *y, *z];
                    visit(&args);
                });
            });
        }),
        _ => {}
    }
}
