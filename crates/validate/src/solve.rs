//! Decides whether two values are equal for every assignment.
//!
//! Values that samples tell apart differ. Otherwise their graphs are gone through from the leaves up,
//! and what looks equal is proven equal and joined: so that each question to the solver is about the
//! few ops that one rewrite changed, with what both sides share as a variable. A question is asked
//! anew with more of what is shared if that was too little to know.
//!
//! Invariant: what is joined was proven; a counterexample was replayed by the evaluator.

use crate::values::{Args, Def, Id, SAMPLES, Values};
use egraft_ir::{Op, eval, semantics};
use egraft_verify::smt::{Answer, FloatMode, Query, Solver, SolverError, SolverKind, Term, Terms};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// How many values below what two values share are looked into, one attempt after the other.
const OPENED: [usize; 3] = [0, 3, usize::MAX];
/// Values that a question may be about.
const MAX_CONE: usize = 600;
/// Values that look like one and are tried, at most.
const MAX_CANDIDATES: usize = 4;
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
    /// Why nothing is known.
    Unknown(String),
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
}

impl Prover {
    /// A prover that gives each question `query_ms` and each pair of values `effect`.
    pub(crate) fn new(query_ms: u32, effect: Duration) -> Prover {
        Prover { solver: None, query_ms, effect, queries: 0 }
    }

    /// Whether `before` and `after` are equal; joins what it proves.
    ///
    /// # Errors
    /// [`SolverError`] if the solver does not start or breaks off.
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
        let (mine, theirs) = (values.samples(before), values.samples(after));
        if let Some(at) = (0..SAMPLES).find(|at| mine[*at] != theirs[*at]) {
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
        let cones = [before, after].map(|id| values.cone(id));
        let sets = cones.each_ref().map(|cone| cone.iter().copied().collect::<FxHashSet<Id>>());
        let mut order: Vec<Id> = cones.iter().flatten().copied().collect();
        order.sort_unstable();
        order.dedup();
        let mut alike: FxHashMap<(u32, [u128; SAMPLES]), Vec<Id>> = FxHashMap::default();
        let mut asked = false;
        for id in order {
            if values.find(id) != id {
                continue;
            }
            if let Some(other) = values.congruent(id)
                && other != id
            {
                values.join(id, other);
                continue;
            }
            let places = [sets[0].contains(&id), sets[1].contains(&id)];
            let found = alike.entry((values.width(id), *values.samples(id))).or_default();
            let candidates: SmallVec<[Id; MAX_CANDIDATES]> = found
                .iter()
                .rev()
                .copied()
                .filter(|other| {
                    // One of each side, or what both share.
                    !(places[0] && places[1])
                        && (sets[usize::from(places[0])].contains(other))
                })
                .take(MAX_CANDIDATES)
                .collect();
            found.push(id);
            for other in candidates {
                if Instant::now() > deadline {
                    break;
                }
                asked = true;
                if let Attempt::Equal = self.attempt(values, other, id, deadline)? {
                    values.join(id, other);
                    break;
                }
            }
        }
        if values.find(before) == values.find(after) {
            return Ok(if asked { Equality::Proven } else { Equality::Alike });
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
            let Question { mut terms, left, right, vars } = question;
            if left == right {
                return Ok(Attempt::Equal);
            }
            let equal = terms.equal(left, right);
            let differ = terms.negate(equal);
            if terms.as_bool(differ) == Some(false) {
                return Ok(Attempt::Equal);
            }
            let query = Query::new(&terms, &[differ]);
            self.queries += 1;
            last = match self.solver()?.ask(&query, u32::MAX)? {
                Answer::Unsat => return Ok(Attempt::Equal),
                Answer::Unknown(why) => Attempt::Unknown(format!("the solver: {why}")),
                Answer::Sat(numbers) => {
                    let mut model: FxHashMap<Id, u128> = FxHashMap::default();
                    for (symbol, bits) in query.symbols.iter().zip(numbers) {
                        if let Some(id) = vars.get(symbol.var.0 as usize) {
                            *model.entry(*id).or_default() |= bits << symbol.low;
                        }
                    }
                    Attempt::Differ(model)
                }
            };
            if Instant::now() > deadline {
                break;
            }
        }
        Ok(last)
    }

    fn solver(&mut self) -> Result<&mut Solver, SolverError> {
        if self.solver.is_none() {
            self.solver = Some(Solver::start(SolverKind::Z3, self.query_ms)?);
        }
        Ok(self.solver.as_mut().expect("just started"))
    }
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
}

impl Question {
    /// The question whether two values are equal, where values that both are made of are variables
    /// but for `opened` levels of them; `None` if it is too large.
    fn new(values: &Values, one: Id, other: Id, opened: usize) -> Option<Question> {
        let cones = [one, other].map(|id| values.cone(id));
        let in_other: FxHashSet<Id> = cones[1].iter().copied().collect();
        let shared: FxHashSet<Id> =
            cones[0].iter().copied().filter(|id| in_other.contains(id)).collect();
        let open = opened_below(values, &[one, other], &shared, opened);
        let mut todo = vec![one, other];
        let mut wanted: FxHashSet<Id> = FxHashSet::default();
        while let Some(id) = todo.pop() {
            let id = values.find(id);
            if wanted.insert(id) && open.contains(&id) {
                todo.extend(values.args(id));
            }
        }
        if wanted.len() > MAX_CONE {
            return None;
        }
        let mut order: Vec<Id> = wanted.into_iter().collect();
        order.sort_unstable();
        let mut terms = Terms::new(FloatMode::default());
        let mut vars = Vec::new();
        let mut made: FxHashMap<Id, Term> = FxHashMap::default();
        for id in order {
            let term = match values.def(id) {
                Def::Op(node) if open.contains(&id) => {
                    let args: SmallVec<[Term; 3]> =
                        values.args(id).iter().map(|arg| made[&values.find(*arg)]).collect();
                    semantics::apply(&mut terms, &node, &args).ok()?
                }
                _ => {
                    vars.push(id);
                    terms.var("x", values.width(id))
                }
            };
            made.insert(id, term);
        }
        Some(Question { left: made[&values.find(one)], right: made[&values.find(other)], terms, vars })
    }
}

/// The ops whose meaning is looked at: all above what is shared, and `levels` below.
fn opened_below(
    values: &Values,
    roots: &[Id],
    shared: &FxHashSet<Id>,
    levels: usize,
) -> FxHashSet<Id> {
    let mut open = FxHashSet::default();
    let mut layer: Vec<Id> = roots.iter().map(|id| values.find(*id)).collect();
    let mut frontier = Vec::new();
    while let Some(id) = layer.pop() {
        let constant = matches!(values.def(id), Def::Op(node) if node.op == Op::Const);
        if shared.contains(&id) && !constant {
            frontier.push(id);
        } else if open.insert(id) {
            layer.extend(values.args(id).iter().map(|arg| values.find(*arg)));
        }
    }
    for _ in 0..levels {
        let mut next = Vec::new();
        for id in frontier.drain(..) {
            if matches!(values.def(id), Def::Op(_)) && open.insert(id) {
                next.extend(values.args(id).iter().map(|arg| values.find(*arg)));
            }
        }
        if next.is_empty() {
            break;
        }
        frontier = next;
    }
    open
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
    let leaf = |id: &Id| !matches!(values.def(*id), Def::Op(_));
    let mut leaves: Vec<Id> = cones.iter().flatten().copied().filter(leaf).collect();
    leaves.sort_unstable();
    leaves.dedup();
    let inputs = leaves.iter().take(MAX_LISTED).map(|id| {
        (values.name(*id).unwrap_or_default().to_owned(), hex(values.samples(*id)[at]))
    });
    Equality::Differ(Counterexample {
        inputs: inputs.collect(),
        before: hex(values.samples(before)[at]),
        after: hex(values.samples(after)[at]),
    })
}

/// Evaluates both values under `model`; `None` if they do not differ.
fn replay(
    values: &Values,
    before: Id,
    after: Id,
    model: &FxHashMap<Id, u128>,
) -> Option<Counterexample> {
    let mut numbers: FxHashMap<Id, u128> = FxHashMap::default();
    let mut inputs = Vec::new();
    let mut order = values.cone(before);
    order.extend(values.cone(after));
    order.sort_unstable();
    order.dedup();
    for id in order {
        let number = match values.def(id) {
            Def::Op(node) => {
                let args: Args = values.args(id).iter().map(|arg| values.find(*arg)).collect();
                let args: SmallVec<[u128; 3]> = args.iter().map(|arg| numbers[arg]).collect();
                eval(&node, &args).ok()?
            }
            _ => {
                let number = model.get(&id).copied().unwrap_or(0);
                inputs.push((values.name(id).unwrap_or_default().to_owned(), hex(number)));
                number
            }
        };
        numbers.insert(id, number);
    }
    let (before, after) = (numbers[&values.find(before)], numbers[&values.find(after)]);
    inputs.truncate(MAX_LISTED);
    let example = Counterexample { inputs, before: hex(before), after: hex(after) };
    (before != after).then_some(example)
}

fn hex(bits: u128) -> String {
    format!("{bits:#x}")
}
