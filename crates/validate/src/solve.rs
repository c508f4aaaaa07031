//! Decides whether two values are equal for every assignment.
//!
//! Values that samples tell apart differ. Otherwise their graphs are gone through from the leaves up,
//! and what looks equal is proven equal and joined: so that each question to the solver is about the
//! few ops that one rewrite changed, with what both sides share as a variable. A question is asked
//! anew with more of what is shared if that was too little to know.
//!
//! Invariant: what is joined was proven; a counterexample was replayed by the evaluator.

use crate::values::{Def, Id, SAMPLES, Values};
use egraft_ir::{Op, machine, semantics};
use egraft_verify::smt::{
    Answer, FloatMode, Kind, Query, Solver, SolverError, SolverKind, Term, Terms, VarId,
};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many values below what two values share are looked into, one attempt after the other.
const OPENED: [usize; 3] = [0, 3, usize::MAX];
/// Values that a question may be about.
const MAX_CONE: usize = 600;
/// Values that look like one and are tried, at most.
const MAX_CANDIDATES: usize = 4;
/// Assignments that are tried where neither samples nor the solver decide, and for how long.
const SEARCHED: u64 = 50_000;
const SEARCH: Duration = Duration::from_millis(500);
/// Bits of symbols of which all assignments are tried where the solver does not answer.
const EXHAUSTED: u32 = 16;
/// Values from outside that a counterexample lists.
const MAX_LISTED: usize = 12;

/// What is known of two values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Equality {
    /// They are made alike.
    Alike,
    /// The solver, or its simplifier, proved it.
    Proven,
    /// They differ for the assignment given.
    Differ(Counterexample),
    /// Something other than a value differs.
    Other(String),
    /// Why nothing is known.
    Unknown(String),
}

/// The width of a value and what it is on samples: values that differ here are not equal.
type Samples = (u32, [u128; SAMPLES]);

impl Equality {
    /// The verdict on two operands together.
    pub(crate) fn worse(self, other: Equality) -> Equality {
        let rank = |verdict: &Equality| match verdict {
            Equality::Alike => 0,
            Equality::Proven => 1,
            Equality::Unknown(_) => 2,
            Equality::Differ(_) | Equality::Other(_) => 3,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// An assignment for which two values differ, by the evaluator.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Counterexample {
    /// Values from outside by name, at most a dozen, in hexadecimal.
    pub inputs: Vec<(String, String)>,
    /// What the value was before, in hexadecimal.
    pub before: String,
    /// What it is after.
    pub after: String,
}

/// Asks a solver, and keeps count.
pub(crate) struct Prover {
    solver: Option<Solver>,
    query_ms: u32,
    effect: Duration,
    /// Questions put to the solver.
    pub(crate) queries: usize,
    /// Values that look alike and are not known to be equal.
    refuted: FxHashSet<(Id, Id)>,
    /// Questions that were answered: no assignment makes them true.
    proven: FxHashSet<String>,
}

impl Prover {
    /// A prover that gives each question `query_ms` and each pair of values `effect`.
    pub(crate) fn new(query_ms: u32, effect: Duration) -> Prover {
        Prover {
            solver: None,
            query_ms,
            effect,
            queries: 0,
            refuted: FxHashSet::default(),
            proven: FxHashSet::default(),
        }
    }

    /// Forgets what was learnt of the values of another function.
    pub(crate) fn begin(&mut self) {
        self.refuted.clear();
    }

    /// Whether `before` and `after` are equal; joins what it proves.
    ///
    /// # Errors
    /// [`SolverError`] if the solver does not start.
    pub(crate) fn equal(
        &mut self,
        values: &mut Values,
        before: Id,
        after: Id,
    ) -> Result<Equality, SolverError> {
        let (before, after) = (values.find(before), values.find(after));
        if before == after {
            return Ok(Equality::Alike);
        }
        if values.width(before) != values.width(after) {
            let (before, after) = (values.width(before), values.width(after));
            return Ok(Equality::Unknown(format!("{before} bits before, {after} after")));
        }
        if let Some(at) = values.told_apart(before, after) {
            return Ok(told_apart(values, before, after, at));
        }
        self.sweep(values, before, after)
    }

    /// Joins what is equal in both graphs, from the leaves up.
    fn sweep(
        &mut self,
        values: &mut Values,
        before: Id,
        after: Id,
    ) -> Result<Equality, SolverError> {
        let deadline = Instant::now() + self.effect;
        let Apart { own, shared } = Apart::new(values, before, after);
        let mut alike: FxHashMap<Samples, Vec<(Id, Of)>> = FxHashMap::default();
        for id in shared {
            let key = (values.width(id), *values.samples(id));
            alike.entry(key).or_default().push((id, Of::Both));
        }
        let mut asked = false;
        for (id, of) in own {
            if values.find(id) != id {
                continue;
            }
            if let Some(other) = values.congruent(id)
                && other != id
            {
                values.join(id, other);
                continue;
            }
            let found = alike.entry((values.width(id), *values.samples(id))).or_default();
            let candidates: SmallVec<[Id; MAX_CANDIDATES]> = found
                .iter()
                .rev()
                .filter(|(other, theirs)| *theirs != of && !self.refuted.contains(&(*other, id)))
                .map(|(other, _)| *other)
                .take(MAX_CANDIDATES)
                .collect();
            found.push((id, of));
            for other in candidates {
                if Instant::now() > deadline {
                    break;
                }
                asked = true;
                if let Attempt::Equal = self.attempt(values, other, id, deadline)? {
                    values.join(id, other);
                    break;
                }
                self.refuted.insert((other, id));
            }
        }
        if values.find(before) == values.find(after) {
            return Ok(if asked { Equality::Proven } else { Equality::Alike });
        }
        if let Some(example) = searched(values, before, after) {
            return Ok(Equality::Differ(example));
        }
        Ok(match self.attempt(values, before, after, deadline)? {
            Attempt::Equal => {
                values.join(before, after);
                Equality::Proven
            }
            Attempt::Differ(model) => match replay(values, before, after, &model) {
                Some(example) => Equality::Differ(example),
                None => Equality::Unknown(
                    "the solver's counterexample needs other functions than the evaluator's".into(),
                ),
            },
            Attempt::Unknown(why) => Equality::Unknown(why),
        })
    }

    /// Asks whether two values are equal, with ever more of what they share.
    fn attempt(
        &mut self,
        values: &Values,
        one: Id,
        other: Id,
        deadline: Instant,
    ) -> Result<Attempt, SolverError> {
        let mut last = Attempt::Unknown("too large a question".to_owned());
        for opened in OPENED {
            let Some(question) = Question::new(values, one, other, opened) else { break };
            let whole = question.whole;
            last = self.ask(question)?;
            if matches!(last, Attempt::Equal) || whole || Instant::now() > deadline {
                break;
            }
        }
        Ok(last)
    }

    /// Puts one question, part by part: lanes that do the same are one text, which is asked once.
    fn ask(&mut self, question: Question) -> Result<Attempt, SolverError> {
        let Question { mut terms, left, right, vars, .. } = question;
        let mut parts = vec![terms.equal(left, right)];
        while let Some(part) = parts.pop() {
            if let Kind::BoolAnd(one, other) = *terms.kind(part) {
                parts.extend([one, other]);
                continue;
            }
            if terms.as_bool(part) == Some(true) {
                continue;
            }
            let differ = terms.negate(part);
            let query = Query::new(&terms, &[differ]);
            if self.proven.contains(&query.text) {
                continue;
            }
            self.queries += 1;
            match self.solver()?.ask(&query, u32::MAX)? {
                Answer::Unsat => {
                    self.proven.insert(query.text);
                }
                Answer::Unknown(_) if holds_always(&terms, part, &query) => {
                    self.proven.insert(query.text);
                }
                Answer::Unknown(why) => {
                    return Ok(Attempt::Unknown(format!("the solver: {why}")));
                }
                Answer::Sat(numbers) => {
                    let mut model: FxHashMap<Id, u128> = FxHashMap::default();
                    for (symbol, bits) in query.symbols.iter().zip(numbers) {
                        if let Some(id) = vars.get(symbol.var.0 as usize) {
                            *model.entry(*id).or_default() |= bits << symbol.low;
                        }
                    }
                    return Ok(Attempt::Differ(model));
                }
            }
        }
        Ok(Attempt::Equal)
    }

    fn solver(&mut self) -> Result<&mut Solver, SolverError> {
        if self.solver.is_none() {
            self.solver = Some(Solver::start(SolverKind::Z3, self.query_ms)?);
        }
        Ok(self.solver.as_mut().expect("just started"))
    }
}

/// Whether `part` holds for every assignment, by trying all: `false` if these are too many.
fn holds_always(terms: &Terms, part: Term, query: &Query) -> bool {
    let bits: u32 = query.symbols.iter().map(|symbol| symbol.width).sum();
    if bits > EXHAUSTED {
        return false;
    }
    (0..1u128 << bits).all(|assignment| {
        let mut values: FxHashMap<VarId, u128> = FxHashMap::default();
        let mut rest = assignment;
        for symbol in &query.symbols {
            let number = rest & ((1 << symbol.width) - 1);
            *values.entry(symbol.var).or_default() |= number << symbol.low;
            rest >>= symbol.width;
        }
        terms.evaluate(part, &values) == Some(1)
    })
}

/// What came of one question.
enum Attempt {
    Equal,
    Differ(FxHashMap<Id, u128>),
    Unknown(String),
}

/// Two values as terms.
struct Question {
    terms: Terms,
    left: Term,
    right: Term,
    /// The value behind each variable.
    vars: Vec<Id>,
    /// Whether nothing that the values share is left to look into.
    whole: bool,
}

impl Question {
    /// The question whether two values are equal, where values that both are made of are variables
    /// but for `opened` levels of them; `None` if it is too large.
    fn new(values: &Values, one: Id, other: Id, opened: usize) -> Option<Question> {
        let Apart { own, shared } = Apart::new(values, one, other);
        let mut open: FxHashSet<Id> = own.iter().map(|(id, _)| *id).collect();
        let mut wanted = open.clone();
        let mut layer = shared;
        for level in 0..=opened {
            if wanted.len() > MAX_CONE || layer.is_empty() {
                break;
            }
            wanted.extend(&layer);
            if level < opened {
                let ops = layer.drain(..).filter(|id| values.def(*id).is_op());
                let ops: Vec<Id> = ops.filter(|id| open.insert(*id)).collect();
                layer =
                    ops.iter().flat_map(|id| values.args(*id)).map(|id| values.find(*id)).collect();
                layer.sort_unstable();
                layer.dedup();
            }
        }
        if wanted.len() > MAX_CONE {
            return None;
        }
        // Constants are known whoever shares them.
        open.extend(wanted.iter().filter(|id| values.constant(**id).is_some()));
        let mut order: Vec<Id> = wanted.into_iter().collect();
        order.sort_unstable();
        let mut terms = Terms::new(FloatMode::default());
        let mut vars = Vec::new();
        let mut whole = true;
        let mut made: FxHashMap<Id, Term> = FxHashMap::default();
        for id in order {
            let term = match values.def(id) {
                def if def.is_op() && open.contains(&id) => {
                    let args: SmallVec<[Term; 3]> =
                        values.args(id).iter().map(|arg| made[&values.find(*arg)]).collect();
                    match def {
                        Def::Op(node) if node.op == Op::Shuffle => {
                            picked(&mut terms, node.imm, &args)
                        }
                        Def::Op(node) => semantics::apply(&mut terms, &node, &args).ok()?,
                        Def::Machine(op, imm) => machine::apply(&mut terms, op, imm, &args).ok()?,
                        Def::Symbol | Def::Function(_) => return None,
                    }
                }
                def => {
                    whole &= !def.is_op();
                    vars.push(id);
                    terms.var("x", values.width(id))
                }
            };
            made.insert(id, term);
        }
        let (left, right) = (made[&values.find(one)], made[&values.find(other)]);
        Some(Question { terms, left, right, vars, whole })
    }
}

/// A shuffle, by runs of bytes that stay side by side: terms of whole lanes stay whole.
fn picked(terms: &mut Terms, mask: u128, args: &[Term]) -> Term {
    let selectors = mask.to_le_bytes().map(u32::from);
    let mut built: Option<Term> = None;
    let mut at = 0;
    while at < 16 {
        let first = selectors[at];
        let follows = |to: usize| {
            let next = first + (to - at) as u32;
            selectors[to] == next && next / 16 == first / 16
        };
        let end = (at + 1..16).find(|to| !follows(*to)).unwrap_or(16);
        let bits = 8 * (end - at) as u32;
        let run = terms.slice(args[first as usize / 16], first % 16 * 8, bits);
        built = Some(match built {
            Some(low) => terms.join(run, low),
            None => run,
        });
        at = end;
    }
    built.expect("sixteen bytes")
}

/// Which of two values something is part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    First,
    Second,
    Both,
}

/// What two values are made of, down to what both share.
struct Apart {
    /// What only one is made of, oldest first.
    own: Vec<(Id, Of)>,
    /// What both are made of, and something of one alone reads.
    shared: Vec<Id>,
}

impl Apart {
    fn new(values: &Values, first: Id, second: Id) -> Apart {
        // Values are younger than their operands: once the youngest left is looked at, all that read
        // it were.
        let mut left: BTreeMap<Id, Of> = BTreeMap::new();
        let reach = |left: &mut BTreeMap<Id, Of>, id: Id, of: Of| {
            let known = left.entry(values.find(id)).or_insert(of);
            if *known != of {
                *known = Of::Both;
            }
        };
        reach(&mut left, first, Of::First);
        reach(&mut left, second, Of::Second);
        let mut apart = Apart { own: Vec::new(), shared: Vec::new() };
        while let Some((id, of)) = left.pop_last() {
            if of == Of::Both {
                apart.shared.push(id);
                continue;
            }
            apart.own.push((id, of));
            for arg in values.args(id) {
                reach(&mut left, *arg, of);
            }
        }
        apart.own.reverse();
        apart.shared.reverse();
        apart
    }
}

/// What samples say: they differ in sample `at`.
fn told_apart(values: &Values, before: Id, after: Id, at: usize) -> Equality {
    let cones = [before, after].map(|id| values.cone(id));
    // What unknown functions give in samples is made up: a difference counts only if both sides
    // use the same ones.
    let unknown = |cone: &[Id]| -> FxHashSet<Id> {
        cone.iter().copied().filter(|id| matches!(values.def(*id), Def::Function(_))).collect()
    };
    let functions = cones.each_ref().map(|cone| unknown(cone));
    if let Some(id) = functions[0].symmetric_difference(&functions[1]).min() {
        let name = values.name(*id).unwrap_or_default();
        return Equality::Unknown(format!("made with `{name}`, of which nothing is known"));
    }
    let leaf = |id: &Id| !values.def(*id).is_op();
    let mut leaves: Vec<Id> = cones.iter().flatten().copied().filter(leaf).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let inputs = leaves
        .iter()
        .take(MAX_LISTED)
        .map(|id| (values.name(*id).unwrap_or_default().to_owned(), hex(values.samples(*id)[at])));
    Equality::Differ(Counterexample {
        inputs: inputs.collect(),
        before: hex(values.samples(before)[at]),
        after: hex(values.samples(after)[at]),
    })
}

/// Looks for an assignment that tells two values apart, among more than samples have.
fn searched(values: &Values, before: Id, after: Id) -> Option<Counterexample> {
    let mut order = values.cone(before);
    order.extend(values.cone(after));
    order.sort_unstable();
    order.dedup();
    if order.len() > MAX_CONE {
        return None;
    }
    let (before, after) = (values.find(before), values.find(after));
    let deadline = Instant::now() + SEARCH;
    let in_time = |_: &u64| Instant::now() < deadline;
    (1..=SEARCHED).take_while(in_time).find_map(|assignment| {
        let numbers = values.evaluated(&order, |id| values.another(id, assignment))?;
        if numbers[&before] == numbers[&after] {
            return None;
        }
        let leaves = order.iter().filter(|id| !values.def(**id).is_op());
        let name = |id: &Id| values.name(*id).unwrap_or_default().to_owned();
        Some(Counterexample {
            inputs: leaves.take(MAX_LISTED).map(|id| (name(id), hex(numbers[id]))).collect(),
            before: hex(numbers[&before]),
            after: hex(numbers[&after]),
        })
    })
}

/// Evaluates both values under `model`; `None` if they do not differ.
fn replay(
    values: &Values,
    before: Id,
    after: Id,
    model: &FxHashMap<Id, u128>,
) -> Option<Counterexample> {
    let mut order = values.cone(before);
    order.extend(values.cone(after));
    order.sort_unstable();
    order.dedup();
    let numbers = values.evaluated(&order, |id| model.get(&id).copied().unwrap_or(0))?;
    let (before, after) = (numbers[&values.find(before)], numbers[&values.find(after)]);
    let leaves = order.iter().filter(|id| !values.def(**id).is_op());
    let name = |id: &Id| values.name(*id).unwrap_or_default().to_owned();
    let inputs = leaves.take(MAX_LISTED).map(|id| (name(id), hex(numbers[id]))).collect();
    let example = Counterexample { inputs, before: hex(before), after: hex(after) };
    (before != after).then_some(example)
}

fn hex(bits: u128) -> String {
    format!("{bits:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use egraft_ir::{Node, Ty, eval};

    #[test]
    fn runs_of_a_shuffle_are_the_shuffle() {
        let masks: [u128; 4] = [
            0x1716_1514_1312_1110_0706_0504_0302_0100,
            0x1f1e_1d1c_0302_0100_1110_0f0e_0d0c_0b0a,
            0x0000_0000_0000_0000_0000_0000_0000_0000,
            0x100f_0e0d_0c0b_0a09_0807_0605_0403_0201,
        ];
        let (x, y) = (0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100_u128, u128::MAX / 255 * 77 + 3);
        for mask in masks {
            let mut terms = Terms::new(FloatMode::default());
            let args = [terms.number(128, x), terms.number(128, y)];
            let made = picked(&mut terms, mask, &args);
            let node = Node::detached(Op::Shuffle, Ty::I8X16, Ty::I8X16, mask);
            assert_eq!(terms.as_const(made), eval(&node, &[x, y]).ok(), "{mask:#x}");
        }
    }
}
