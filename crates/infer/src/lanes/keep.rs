//! Which drafts become rules: those that the checker cannot refute, that the rules kept so far do
//! not derive, and that the prover proves.

use super::text::Draft;
use crate::{DeriveOptions, Deriver};
use egraft_rules::{Rule, RuleId, RuleSet, Source, check_rule};
use egraft_verify::smt::SolverError;
use egraft_verify::{Prover, Verdict};
use rayon::prelude::*;
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Drafts that are looked at together.
const WINDOW: usize = 64;

/// Tuples on which a draft is checked.
const TUPLES: usize = 400;

/// What became of drafts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct LaneCounts {
    /// Drafts looked at.
    pub drafts: usize,
    /// Drafts at no legal type, or with sides of two types.
    pub illegal: usize,
    /// Drafts that follow from the rules there were.
    pub derived: usize,
    /// Drafts that the checker refuted or never saw fire.
    pub refuted: usize,
    /// Drafts that were not proven.
    pub unproven: usize,
    /// Drafts that became rules.
    pub kept: usize,
    /// Milliseconds spent on proofs.
    pub proof_ms: u128,
}

/// A rule set that grows.
pub(super) struct Keeper {
    set: RuleSet,
    /// One for each thread.
    provers: Vec<Prover>,
    seen: FxHashSet<String>,
    /// What became of drafts.
    pub(super) counts: LaneCounts,
}

impl Keeper {
    /// Begins with `set`.
    pub(super) fn new(set: RuleSet, provers: Vec<Prover>) -> Keeper {
        Keeper { set, provers, seen: FxHashSet::default(), counts: LaneCounts::default() }
    }

    fn options() -> DeriveOptions {
        DeriveOptions { time: Duration::from_secs(1), samples: 2, ..DeriveOptions::default() }
    }

    /// Takes what is worth it of `drafts`, in their order; none are begun after `time`.
    ///
    /// # Errors
    /// [`SolverError`] if a solver cannot be had.
    pub(super) fn offer(
        &mut self,
        drafts: Vec<Draft>,
        time: Duration,
    ) -> Result<Vec<Draft>, SolverError> {
        let start = Instant::now();
        let mut kept = Vec::new();
        let fresh: Vec<Draft> =
            drafts.into_iter().filter(|draft| self.seen.insert(draft.body.clone())).collect();
        for window in fresh.chunks(WINDOW) {
            if start.elapsed() >= time {
                break;
            }
            let failed = self.window(window, &mut kept)?;
            let singles: Vec<Draft> = failed.iter().flat_map(at_types).collect();
            self.window(&singles, &mut kept)?;
        }
        Ok(kept)
    }

    /// Takes what is worth it of a few drafts; gives those that were not proven.
    fn window(
        &mut self,
        window: &[Draft],
        kept: &mut Vec<Draft>,
    ) -> Result<Vec<Draft>, SolverError> {
        self.counts.drafts += window.len();
        let deriver = Deriver::new(&self.set, Keeper::options());
        let judged: Vec<Judged> =
            window.par_iter().map(|draft| judge(&deriver, parse(draft))).collect();
        drop(deriver);
        let mut new: Vec<(&Draft, Rule)> = Vec::new();
        for (draft, judged) in window.iter().zip(judged) {
            match judged {
                Judged::Illegal => self.counts.illegal += 1,
                Judged::Refuted => self.counts.refuted += 1,
                Judged::Derived => self.counts.derived += 1,
                Judged::New(rule) => new.push((draft, *rule)),
            }
        }
        let start = Instant::now();
        let rules: Vec<&Rule> = new.iter().map(|(_, rule)| rule).collect();
        let is_proven = prove(&mut self.provers, &rules)?;
        self.counts.proof_ms += start.elapsed().as_millis();
        let mut failed = Vec::new();
        let mut proven: Vec<(&Draft, Rule)> = Vec::new();
        for ((draft, rule), is_proven) in new.into_iter().zip(is_proven) {
            match is_proven {
                true => proven.push((draft, rule)),
                false => failed.push(draft.clone()),
            }
        }
        self.counts.unproven += failed.len();
        self.take(&proven, kept);
        Ok(failed)
    }

    /// Takes the proven drafts that earlier ones do not derive; as many are compared with the same set
    /// as there are threads.
    fn take(&mut self, proven: &[(&Draft, Rule)], kept: &mut Vec<Draft>) {
        let before = self.set.rules.len();
        for group in proven.chunks(rayon::current_num_threads()) {
            let deriver = Deriver::new(&self.set, Keeper::options());
            let is_first = self.set.rules.len() == before;
            let derived: Vec<bool> = group
                .par_iter()
                .map(|(_, rule)| !is_first && deriver.derive(rule).derived)
                .collect();
            drop(deriver);
            for ((draft, rule), derived) in group.iter().zip(derived) {
                if derived {
                    self.counts.derived += 1;
                    continue;
                }
                let id = RuleId(u16::try_from(self.set.rules.len()).unwrap_or(u16::MAX));
                self.set.rules.push(Rule { id, ..rule.clone() });
                self.counts.kept += 1;
                kept.push((*draft).clone());
            }
        }
    }

    /// The rules that were there, and those kept.
    pub(super) fn set(&self) -> &RuleSet {
        &self.set
    }
}

/// Whether each of the rules is proven.
fn prove(provers: &mut [Prover], rules: &[&Rule]) -> Result<Vec<bool>, SolverError> {
    let next = AtomicUsize::new(0);
    let mut proven = vec![false; rules.len()];
    let parts = std::thread::scope(|scope| {
        let work = |prover: &mut Prover| -> Result<Vec<usize>, SolverError> {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(rule) = rules.get(at) else { return Ok(done) };
                if prover.prove(rule)?.verdict() == Verdict::Proven {
                    done.push(at);
                }
            }
        };
        let workers: Vec<_> =
            provers.iter_mut().map(|prover| scope.spawn(move || work(prover))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().expect("a worker gives errors, it does not panic")
        };
        workers.into_iter().map(join).collect::<Result<Vec<_>, SolverError>>()
    })?;
    parts.into_iter().flatten().for_each(|at| proven[at] = true);
    Ok(proven)
}

/// The rule of a draft, if there is a type at which it is one.
fn parse(draft: &Draft) -> Option<Rule> {
    let source = Source::new("draft.isle", draft.text());
    let rule = RuleSet::parse(&[source]).ok()?.rules.pop()?;
    Some(rule).filter(|rule| !rule.types().is_empty())
}

enum Judged {
    Illegal,
    Refuted,
    Derived,
    New(Box<Rule>),
}

fn judge(deriver: &Deriver<'_>, rule: Option<Rule>) -> Judged {
    let Some(rule) = rule else { return Judged::Illegal };
    if !check_rule(&rule, TUPLES, 7).holds() {
        return Judged::Refuted;
    }
    match deriver.derive(&rule).derived {
        true => Judged::Derived,
        false => Judged::New(Box::new(rule)),
    }
}

/// The draft at each lane type by itself.
fn at_types(draft: &Draft) -> Vec<Draft> {
    if !draft.body.split([' ', ')']).any(|word| word == "ty") {
        return Vec::new();
    }
    let vectors = [
        ("$I8X16", "$I16X8", "i8x16"),
        ("$I16X8", "$I32X4", "i16x8"),
        ("$I32X4", "$I64X2", "i32x4"),
    ];
    let scalars = [("$I16", "$I32", "i16"), ("$I32", "$I64", "i32")];
    let types = if draft.body.contains("ty_scalar") { &scalars[..] } else { &vectors[..] };
    types.iter().map(|(narrow, wide, name)| at_type(draft, narrow, wide, name)).collect()
}

/// The draft with its type variables replaced.
fn at_type(draft: &Draft, narrow: &str, wide: &str, suffix: &str) -> Draft {
    let mut body = draft.body.clone();
    for condition in [
        "\n      (if-let wide (widen_of ty))",
        "\n      (if-let ty (narrow_of wide))",
        "\n      (if (ty_vector ty))",
        "\n      (if (ty_scalar ty))",
    ] {
        body = body.replace(condition, "");
    }
    for (word, ty) in [("ty", narrow), ("wide", wide)] {
        for end in [" ", ")"] {
            body = body.replace(&format!(" {word}{end}"), &format!(" {ty}{end}"));
        }
    }
    Draft { name: format!("{}_{suffix}", draft.name), body, ..draft.clone() }
}
