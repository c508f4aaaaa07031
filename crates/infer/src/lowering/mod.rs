//! Lowering rules from the semantics of machine ops: which CLIF terms one or two of them compute.
//!
//! Machine ops are known by what they compute from characteristic operands alone; no op is looked
//! for by name. CLIF terms are made by size over the op table, one for each value; equal values are
//! candidates, which a solver proves. Invariant: every [`Lowering`] was proven, takes fewer
//! instructions than stock Cranelift's code for its CLIF term, and does not follow from another one
//! of the same machine ops by the rewrite rules.

mod bank;
mod check;
mod goal;
mod moves;
mod prove;
mod read;
mod sample;
mod search;
mod stock;
mod term;
mod write;

pub use check::prove_rules;
pub use prove::{prove, prove_instance};
pub use read::{Fact, Instance, instances, terms};
pub use stock::Stock;
pub use term::{Clif, LEAVES, Machine};
pub use write::{files, table};

use crate::{DeriveOptions, Deriver};
use egraft_egraph::Limits;
use egraft_ir::machine::Target;
use egraft_rules::{RuleSet, Source};
use egraft_verify::smt::SolverError;
use egraft_verify::{Equality, Options, ProofCache, Prover};
use rayon::prelude::*;
use sample::Samples;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The most rules that are kept of one machine term.
const RULES_PER_TERM: usize = 1;

/// The most candidates of one machine term that are looked at.
const TRIES: usize = 6;

/// The most rules of one machine op: those of the fewest instructions, then of the fewest CLIF ops.
const RULES_PER_OP: usize = 6;

/// The most byte movers of one machine op that become rules: those that save most.
const MOVES_PER_OP: usize = 6;

/// A lowering rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lowering {
    /// What is matched.
    pub clif: Clif,
    /// What computes it.
    pub machine: Machine,
    /// Stock's instructions for `clif`, without moves.
    pub stock: Vec<String>,
}

impl Lowering {
    /// Instructions that stock needs and the machine ops do not.
    pub fn saved(&self) -> usize {
        self.stock.len() - self.machine.instructions()
    }
}

/// What became of the candidates.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Serialize)]
pub struct Counts {
    /// Machine terms whose value was looked for.
    pub machine_terms: usize,
    /// Those for which CLIF terms were found.
    pub matched: usize,
    /// Candidates compiled by stock Cranelift.
    pub compiled: usize,
    /// Of these: stock has no lowering for them.
    pub not_lowered: usize,
    /// Stock needs no more instructions.
    pub no_gain: usize,
    /// They follow from a kept one.
    pub derivable: usize,
    /// A solver found them wrong.
    pub refuted: usize,
    /// A solver did not know.
    pub unknown: usize,
    /// Rules that were proven, beyond those kept of one machine op.
    pub further_rules: usize,
    /// Byte movers that save instructions too, beyond those kept.
    pub further_moves: usize,
    /// Machine terms that were not looked at, for want of time.
    pub not_sifted: usize,
    /// Rules.
    pub rules: usize,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.compiled += other.compiled;
        self.not_lowered += other.not_lowered;
        self.no_gain += other.no_gain;
        self.derivable += other.derivable;
        self.refuted += other.refuted;
        self.unknown += other.unknown;
        self.not_sifted += other.not_sifted;
        self.rules += other.rules;
    }
}

/// Bounds on an inference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Milliseconds for each query to the solver.
    pub timeout_ms: u32,
    /// The time for sifting, after which no further machine term is begun.
    pub sifting: Duration,
}

/// Rules that were found, in order of the machine ops' names, and how.
#[derive(Clone, Debug, Default)]
pub struct Inferred {
    /// The rules.
    pub rules: Vec<Lowering>,
    /// Counts.
    pub counts: Counts,
    /// Proofs of use.
    pub proofs: ProofCache,
}

/// Finds lowering rules of `target`. `rewrites` decide what follows from what; `proofs` are not
/// asked for again. `progress` is told what is being done.
///
/// # Errors
/// [`SolverError`] if a solver is needed and cannot be had.
pub fn infer(
    target: Target,
    rewrites: &RuleSet,
    proofs: &ProofCache,
    limits: &Bounds,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Inferred, SolverError> {
    let samples = Samples::new();
    let goals = goal::Goals::new(target, &samples);
    progress(&format!("{} machine terms, {} values", goals.machines.len(), goals.all.len()));
    let found = search::search(&goals, &samples, progress);
    let movers = moves::moves(target, &samples);
    progress(&format!(
        "{} machine terms have CLIF terms, {} move bytes",
        found.len(),
        movers.len()
    ));
    let mut counts = Counts {
        machine_terms: goals.machines.len() + movers.len(),
        matched: found.len() + movers.len(),
        ..Counts::default()
    };
    let stocks = [Stock::new(target, false), Stock::new(target, true)];
    let mut jobs: Vec<(Machine, Vec<Clif>)> = found
        .into_iter()
        .map(|(at, terms)| {
            (goals.machines[at].clone(), terms.into_iter().map(|(_, term)| term).collect())
        })
        .collect();
    let (best, further) = best_moves(&stocks, movers);
    counts.further_moves = further;
    jobs.extend(best.into_iter().map(|(machine, term)| (machine, vec![term])));
    let options = DeriveOptions {
        limits: Limits { nodes: 2_000, class_nodes: 16, depth: 0, iterations: 5 },
        time: Duration::from_millis(300),
        samples: 1,
        exhaustive: false,
    };
    let sift = Sift { stocks: &stocks, deriver: Deriver::new(rewrites, options) };
    // The shortest first: what is left when time is up is of least use.
    jobs.sort_by_key(|(machine, terms)| {
        (machine.instructions(), terms.first().map_or(0, Clif::ops), machine.isle())
    });
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let work = || -> Result<Inferred, SolverError> {
        let options = Options { timeout_ms: limits.timeout_ms, ..Options::default() };
        let mut prover = Prover::new(options, proofs.clone());
        let mut part = Inferred::default();
        while let Some((machine, terms)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            if start.elapsed() > limits.sifting {
                part.counts.not_sifted += 1;
            } else {
                sift.one(&mut prover, machine, terms, &mut part)?;
            }
        }
        part.proofs = prover.into_used_cache();
        Ok(part)
    };
    let workers = rayon::current_num_threads().max(1);
    let parts: Vec<Result<Inferred, SolverError>> =
        (0..workers).into_par_iter().with_max_len(1).map(|_| work()).collect();
    let mut all = Inferred { counts, ..Inferred::default() };
    for part in parts {
        let part = part?;
        all.rules.extend(part.rules);
        all.counts.add(part.counts);
        all.proofs.extend(part.proofs);
    }
    all.rules.sort_by_key(|rule| {
        (rule.machine.root().name(), rule.machine.instructions(), rule.clif.ops(), rule.clif.isle())
    });
    let mut of_op: BTreeMap<&str, usize> = BTreeMap::new();
    all.rules.retain(|rule| {
        let count = of_op.entry(rule.machine.root().name()).or_default();
        *count += 1;
        *count <= RULES_PER_OP
    });
    all.counts.further_rules = all.counts.rules - all.rules.len();
    all.counts.rules = all.rules.len();
    Ok(all)
}

/// Of the byte movers of each op those that save most, and how many others save something.
fn best_moves(stocks: &[Stock; 2], movers: Vec<(Machine, Clif)>) -> (Vec<(Machine, Clif)>, usize) {
    let mut saved: Vec<(usize, Machine, Clif)> = movers
        .into_par_iter()
        .filter(|(machine, term)| is_bound(machine, term))
        .filter_map(|(machine, term)| {
            let code = stock_of(stocks, &machine).compile(&term)?;
            let saved = code.len().checked_sub(machine.instructions())?;
            (saved > 0).then_some((saved, machine, term))
        })
        .collect();
    saved.sort_by(|(a, x, _), (b, y, _)| (b, x.isle()).cmp(&(a, y.isle())));
    let all = saved.len();
    let mut of_op: BTreeMap<&str, usize> = BTreeMap::new();
    saved.retain(|(_, machine, _)| {
        let count = of_op.entry(machine.root().name()).or_default();
        *count += 1;
        *count <= MOVES_PER_OP
    });
    let further = all - saved.len();
    (saved.into_iter().map(|(_, machine, term)| (machine, term)).collect(), further)
}

/// Stock with as many features as the machine term needs.
fn stock_of<'a>(stocks: &'a [Stock; 2], machine: &Machine) -> &'a Stock {
    &stocks[usize::from(needs_extensions(machine))]
}

/// Whether a rule from `term` has an operand for all that `machine` reads: machine ops may read what
/// their result does not depend on.
fn is_bound(machine: &Machine, term: &Clif) -> bool {
    machine.reads() & !term.reads() == 0
}

/// Whether a term needs more than AVX2 or Armv8.0.
pub fn needs_extensions(machine: &Machine) -> bool {
    machine.features().into_iter().any(goal::is_extra)
}

struct Sift<'a> {
    stocks: &'a [Stock; 2],
    deriver: Deriver<'a>,
}

impl Sift<'_> {
    /// Keeps the CLIF terms of one machine term that are worth a rule, the smallest first.
    fn one(
        &self,
        prover: &mut Prover,
        machine: &Machine,
        terms: &[Clif],
        into: &mut Inferred,
    ) -> Result<(), SolverError> {
        let stock = stock_of(self.stocks, machine);
        let mut known: Vec<&Clif> = Vec::new();
        let mut kept = 0;
        for term in terms.iter().filter(|term| is_bound(machine, term)).take(TRIES) {
            into.counts.compiled += 1;
            let Some(code) = stock.compile(term) else {
                into.counts.not_lowered += 1;
                continue;
            };
            let gains = code.len() > machine.instructions();
            if !gains {
                into.counts.no_gain += 1;
                // What stock does as well is of use only to tell what follows from it.
                if known.is_empty() {
                    known.push(term);
                }
                continue;
            }
            if known.iter().any(|other| self.derives(other, term)) {
                into.counts.derivable += 1;
                continue;
            }
            match prove(prover, term, machine)? {
                Equality::Proven => {}
                Equality::Refuted(_) => {
                    into.counts.refuted += 1;
                    continue;
                }
                Equality::Unknown(_) => {
                    into.counts.unknown += 1;
                    continue;
                }
            }
            known.push(term);
            into.rules.push(Lowering { clif: term.clone(), machine: machine.clone(), stock: code });
            into.counts.rules += 1;
            kept += 1;
            if kept == RULES_PER_TERM {
                break;
            }
        }
        Ok(())
    }

    /// Whether the rewrite rules make one of two terms.
    fn derives(&self, one: &Clif, other: &Clif) -> bool {
        let text = format!(";; Equal.\n(rule goal (simplify {}) {})", other.isle(), one.isle());
        match RuleSet::parse(&[Source::new("goal.isle", text)]) {
            Ok(goals) => goals.rules.iter().all(|goal| self.deriver.derive(goal).derived),
            Err(_) => false,
        }
    }
}
