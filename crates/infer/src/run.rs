//! A whole run: workloads in turn, candidates in order, what is kept, what is left in the end.
//!
//! Invariant: the rules found depend on workloads, options and verdicts alone: not on threads,
//! shards, or how often the run was interrupted.

use crate::emit::{self, KeptRule};
use crate::engine::Engine;
use crate::enumerate::{Candidate, Enumeration, enumerate};
use crate::error::InferError;
use crate::judge::{Provers, Tried, Verdict, anchors, state, tested};
use crate::phase::Schedule;
use crate::premise::Premise;
use crate::sample::Samples;
use crate::select::{Known, Planned, Question};
use crate::space::Space;
use crate::state::State;
use crate::workload::Workload;
use rayon::prelude::*;
use rustc_hash::FxHashSet;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Candidates that are judged at once, before what follows from them is dropped.
const BLOCK: usize = 24;

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Milliseconds that the prover may take for one choice of types.
    pub timeout_ms: u32,
    /// Which part of the candidates to judge: its number from 0, and the number of parts.
    pub shard: Option<(u64, u64)>,
    /// The phases.
    pub schedule: Schedule,
    /// Who evaluates terms and finds matches; by default this crate.
    pub engine: Option<Arc<dyn Engine>>,
}

impl Default for Options {
    fn default() -> Options {
        Options { timeout_ms: 2000, shard: None, schedule: Schedule::built_in(), engine: None }
    }
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress<'a> {
    /// The workload's name.
    pub workload: &'a str,
    /// Candidates dealt with.
    pub done: usize,
    /// Candidates in all.
    pub of: usize,
    /// Rules kept so far, in all workloads.
    pub kept: usize,
}

/// What came of a workload.
#[derive(Clone, Default, Debug, Serialize)]
pub struct WorkloadReport {
    /// Its name.
    pub workload: String,
    /// Seconds, on the clock.
    pub seconds: f64,
    /// Terms evaluated, with and without premises.
    pub terms: usize,
    /// The most ops in a term.
    pub size: u32,
    /// Pairs of terms that agreed on all samples.
    pub candidates: usize,
    /// Candidates that were proven in some form.
    pub proven: usize,
    /// Candidates that were refuted in every form.
    pub refuted: usize,
    /// Candidates that the prover could not decide.
    pub unknown: usize,
    /// Candidates that followed from rules kept before, and were not judged.
    pub derivable: usize,
    /// Equalities kept.
    pub kept: usize,
}

/// What came of a run.
#[derive(Clone, Default, Debug, Serialize)]
pub struct Report {
    /// Seconds, on the clock.
    pub seconds: f64,
    /// By workload.
    pub workloads: Vec<WorkloadReport>,
    /// Equalities that followed from others in the end.
    pub shrunk: usize,
    /// Equalities left.
    pub equalities: usize,
    /// Rules left; an equality whose sides cost the same is two.
    pub rules: usize,
    /// Rules that have conditions on facts or constants.
    pub conditional: usize,
}

/// A candidate with what it belongs to.
struct Found<'a> {
    task: &'a Task<'a>,
    candidate: Candidate,
    verdict: Verdict,
    at: usize,
}

/// A workload under one premise.
struct Task<'a> {
    workload: &'a Workload,
    space: &'a Space,
    premise: &'a Premise,
}

impl Task<'_> {
    fn question<'a>(&'a self, candidate: &'a Candidate, anchor: egraft_ir::Ty) -> Question<'a> {
        let Candidate { lhs, rhs, .. } = candidate;
        Question { space: self.space, premise: self.premise, lhs, rhs, anchor }
    }

    /// Whether the candidate follows from the rules, wherever it holds.
    fn follows(&self, rules: &Planned<'_>, candidate: &Candidate) -> bool {
        let base = self.space.base;
        if !rules.derive(&self.question(candidate, base), &[base]) {
            return false;
        }

        match tested(self.space, self.premise, candidate, &mut Tried::default()) {
            // It is refuted by values, and followed from no rule that is right.
            None => true,
            Some((_, stated)) => {
                let anchor = stated.forth.anchor;
                rules.derive(&self.question(candidate, anchor), &anchors(&stated.forth))
            }
        }
    }
}

/// Looks for rules.
///
/// `work` is a folder for the state, so that the run can go on after it was interrupted; rules go
/// to `out`. With [`Options::shard`] candidates are judged and nothing is kept: that is for
/// [`merge`].
///
/// # Errors
/// Any [`InferError`]; what was judged before stays in `work`.
pub fn infer(
    workloads: &[Workload],
    options: &Options,
    work: Option<&Path>,
    out: Option<&Path>,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Report, InferError> {
    let state = match work {
        Some(folder) => State::open(folder, &fingerprint(workloads, options))?,
        None => State::in_memory(),
    };
    let provers = Provers::new(options.timeout_ms);
    let run = Run { options, state, provers: Some(provers), progress };
    run.all(workloads, out)
}

/// Makes of the verdicts of all shards what one run would have made.
///
/// # Errors
/// [`InferError::NotJudged`] if a verdict is missing, and any other [`InferError`].
pub fn merge(
    workloads: &[Workload],
    options: &Options,
    folders: &[PathBuf],
    out: &Path,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Report, InferError> {
    let state = State::merged(folders, &fingerprint(workloads, options))?;
    let run = Run { options, state, provers: None, progress };
    run.all(workloads, Some(out))
}

/// Names everything that verdicts depend on.
fn fingerprint(workloads: &[Workload], options: &Options) -> String {
    let text = serde_json::to_string(workloads).unwrap_or_default();
    let names: Vec<&str> = workloads.iter().map(|one| one.name.as_str()).collect();
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "workloads": names,
        "table": format!("{:x}", Sha256::digest(text.as_bytes())),
        "timeout_ms": options.timeout_ms,
    })
    .to_string()
}

struct Run<'a> {
    options: &'a Options,
    state: State,
    /// None when verdicts must all be there.
    provers: Option<Provers>,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
}

impl Run<'_> {
    fn all(&self, workloads: &[Workload], out: Option<&Path>) -> Result<Report, InferError> {
        let begin = Instant::now();
        let mut report = Report::default();
        let mut spaces = Vec::new();
        for workload in workloads {
            let (space, mut premises) = workload.space()?;
            premises.insert(0, Premise::default());
            spaces.push((workload, space, premises));
        }
        let tasks: Vec<Vec<Task<'_>>> = spaces
            .iter()
            .map(|(workload, space, premises)| {
                premises.iter().map(|premise| Task { workload, space, premise }).collect()
            })
            .collect();
        let mut known = Known::new(self.options.engine.clone());
        let mut found: Vec<Found<'_>> = Vec::new();
        for tasks in &tasks {
            let begin = Instant::now();
            let mut about = WorkloadReport {
                workload: tasks[0].workload.name.clone(),
                ..WorkloadReport::default()
            };
            for task in tasks {
                let enumeration = self.enumerate(task)?;
                about.terms += enumeration.terms;
                about.size = about.size.max(enumeration.size);
                about.candidates += enumeration.candidates.len();
                match self.options.shard {
                    Some(shard) => self.judge_shard(task, enumeration, shard, &mut about)?,
                    None => self.keep(task, enumeration, &mut known, &mut found, &mut about)?,
                }
            }
            about.seconds = begin.elapsed().as_secs_f64();
            report.workloads.push(about);
            if self.options.shard.is_none()
                && let Some(out) = out
            {
                // What is there so far, should the run be interrupted.
                emit::write(out, &self.rules(&found))?;
            }
        }
        if self.options.shard.is_none() {
            report.shrunk = self.shrink(&mut found)?;
            let rules = self.rules(&found);
            report.equalities = found.len();
            report.rules = rules.len();
            let conditional = |rule: &&KeptRule| {
                rule.rule.conditions.iter().any(|one| {
                    one.cond.params().iter().any(|(_, sort)| *sort != egraft_rules::Sort::Type)
                })
            };
            report.conditional = rules.iter().filter(conditional).count();
            if let Some(out) = out {
                emit::write(out, &rules)?;
            }
        }
        report.seconds = begin.elapsed().as_secs_f64();
        Ok(report)
    }

    fn enumerate(&self, task: &Task<'_>) -> Result<Enumeration, InferError> {
        let Task { workload, space, premise } = task;
        let engine = self.options.engine.as_deref().map(|engine| engine as &dyn Engine);
        let samples = Samples::draw(&workload.name, space, premise)?;
        if premise.is_empty() {
            let size = workload.size;
            return Ok(enumerate(space, premise, &samples, None, size, workload.terms, engine));
        }
        let free = Samples::draw(&workload.name, space, &Premise::default())?;
        let size = workload.premise_size;
        Ok(enumerate(space, premise, &samples, Some(&free), size, workload.terms, engine))
    }

    fn progress(&self, task: &Task<'_>, done: usize, of: usize, kept: usize) {
        (self.progress)(Progress { workload: &task.workload.name, done, of, kept });
    }

    fn judge(&self, task: &Task<'_>, candidate: &Candidate) -> Result<Verdict, InferError> {
        let name = &task.workload.name;
        if let Some(verdict) = self.state.verdict(name, &candidate.key) {
            return Ok(verdict);
        }
        let Some(provers) = &self.provers else {
            return Err(InferError::NotJudged { workload: name.clone(), missing: 1 });
        };
        let verdict = provers.judge(task.space, task.premise, candidate)?;
        self.state.judged(name, &candidate.key, verdict.clone())?;
        Ok(verdict)
    }

    fn judge_shard(
        &self,
        task: &Task<'_>,
        enumeration: Enumeration,
        (part, parts): (u64, u64),
        about: &mut WorkloadReport,
    ) -> Result<(), InferError> {
        let mine: Vec<&Candidate> =
            enumeration.candidates.iter().filter(|one| hash(&one.key) % parts == part).collect();
        for (at, block) in mine.chunks(BLOCK).enumerate() {
            self.progress(task, at * BLOCK, mine.len(), 0);
            let verdicts: Result<Vec<Verdict>, InferError> =
                block.par_iter().map(|one| self.judge(task, one)).collect();
            verdicts?.iter().for_each(|verdict| about.count(verdict));
        }
        Ok(())
    }

    /// Keeps the candidates that are proven and do not follow from what is kept.
    fn keep<'a>(
        &self,
        task: &'a Task<'a>,
        enumeration: Enumeration,
        known: &mut Known,
        found: &mut Vec<Found<'a>>,
        about: &mut WorkloadReport,
    ) -> Result<(), InferError> {
        let name = &task.workload.name;
        let of = enumeration.candidates.len();
        let mut at = 0;
        let mut missing = 0;
        for block in enumeration.candidates.chunks(BLOCK) {
            self.progress(task, at, of, found.len());
            at += block.len();
            let rules = known.planned();
            let judged: Result<Vec<Option<Verdict>>, InferError> = block
                .par_iter()
                .map(|candidate| {
                    if self.state.is_derived(name, &candidate.key) {
                        return Ok(None);
                    }
                    // A candidate that is known to be wrong need not be derived.
                    let known_verdict = self.state.verdict(name, &candidate.key);
                    if let Some(verdict @ (Verdict::Refuted | Verdict::Unknown(_))) = known_verdict
                        && self.provers.is_some()
                    {
                        return Ok(Some(verdict));
                    }
                    if task.follows(&rules, candidate) {
                        return Ok(None);
                    }
                    self.judge(task, candidate).map(Some)
                })
                .collect();
            let judged = match judged {
                Err(InferError::NotJudged { .. }) => {
                    missing += 1;
                    continue;
                }
                judged => judged?,
            };
            let before = found.len();
            for (candidate, verdict) in block.iter().zip(judged) {
                let Some(verdict) = verdict else {
                    about.derivable += 1;
                    if !self.state.is_derived(name, &candidate.key) {
                        self.state.derived(name, &candidate.key)?;
                    }
                    continue;
                };
                about.count(&verdict);
                if !matches!(verdict, Verdict::Proven { .. }) {
                    continue;
                }
                // What was kept of this block may already give it.
                if found.len() > before && task.follows(&known.planned(), candidate) {
                    about.derivable += 1;
                    self.state.derived(name, &candidate.key)?;
                    continue;
                }
                let one = Found { task, candidate: candidate.clone(), verdict, at: found.len() };
                known.extend(one.rules(self).into_iter().map(|kept| kept.rule));
                found.push(one);
                about.kept += 1;
            }
        }
        self.progress(task, of, of, found.len());
        match missing {
            0 => Ok(()),
            missing => Err(InferError::NotJudged { workload: name.clone(), missing }),
        }
    }

    /// Drops what follows from the others, last found first; gives how many.
    fn shrink(&self, found: &mut Vec<Found<'_>>) -> Result<usize, InferError> {
        let mut known = Known::new(self.options.engine.clone());
        let mut places: Vec<Range<usize>> = Vec::new();
        for one in &*found {
            let rules = one.rules(self);
            let start = places.last().map_or(0, |last| last.end);
            places.push(start..start + rules.len());
            known.extend(rules.into_iter().map(|kept| kept.rule));
        }
        let mut left = known.planned();
        let mut dropped: FxHashSet<usize> = FxHashSet::default();
        let order: Vec<usize> = (0..found.len()).rev().collect();
        for block in order.chunks(BLOCK) {
            self.progress(found[block[0]].task, found.len() - block[0], found.len(), found.len());
            let follows = |at: usize, left: &Planned<'_>| {
                let mut others = left.clone();
                others.leave_out(places[at].clone());
                found[at].task.follows(&others, &found[at].candidate)
            };
            // What does not follow now does not when others are gone.
            let gone: Vec<bool> = block
                .par_iter()
                .map(|at| {
                    let Found { task, candidate, .. } = &found[*at];
                    let known = self.state.shrunk(&task.workload.name, &candidate.key);
                    known.unwrap_or_else(|| follows(*at, &left))
                })
                .collect();
            let before = dropped.len();
            for (at, mut gone) in block.iter().copied().zip(gone) {
                let Found { task, candidate, .. } = &found[at];
                let name = &task.workload.name;
                if self.state.shrunk(name, &candidate.key).is_none() {
                    if gone && dropped.len() > before {
                        gone = follows(at, &left);
                    }
                    self.state.set_shrunk(name, &candidate.key, gone)?;
                }
                if gone {
                    left.leave_out(places[at].clone());
                    dropped.insert(at);
                }
            }
        }
        found.retain(|one| !dropped.contains(&one.at));
        Ok(dropped.len())
    }

    fn rules(&self, found: &[Found<'_>]) -> Vec<KeptRule> {
        let mut rules: Vec<KeptRule> = found.iter().flat_map(|one| one.rules(self)).collect();
        emit::name(&mut rules);
        rules
    }
}

impl Found<'_> {
    /// The rule, and the way back where both sides cost the same.
    fn rules(&self, run: &Run<'_>) -> Vec<KeptRule> {
        let Verdict::Proven { form, instances, both_ways } = self.verdict else {
            return Vec::new();
        };
        let Task { workload, space, premise } = self.task;
        let Candidate { lhs, rhs, .. } = &self.candidate;
        let Some(stated) = state(space, premise, &self.candidate, form) else {
            return Vec::new();
        };
        let schedule = &run.options.schedule;
        let kept = |rule, back, phase: &str| KeptRule {
            rule,
            family: workload.family.clone(),
            phase: phase.to_owned(),
            workload: workload.name.clone(),
            form,
            instances,
            back,
        };
        let mut rules = vec![kept(stated.forth.rule, false, schedule.phase_of(space, lhs, rhs))];
        if let Some(back) = stated.back.filter(|_| both_ways) {
            rules.push(kept(back.rule, true, schedule.phase_of(space, rhs, lhs)));
        }
        rules
    }
}

impl WorkloadReport {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Proven { .. } => self.proven += 1,
            Verdict::Refuted => self.refuted += 1,
            Verdict::Unknown(_) => self.unknown += 1,
        }
    }
}

fn hash(key: &str) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
