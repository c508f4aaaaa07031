//! A whole set of rules proven, side by side, and what stands for a proof where none was found.

use super::cache::{CacheError, ProofCache};
use super::prove::{Options, Prover, RuleProof, Verdict};
use crate::smt::SolverError;
use egraft_rules::{Rule, RuleSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Why a rule that no solver decides is believed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Evidence {
    /// Whether every value was tried, or what law it follows from.
    pub kind: EvidenceKind,
    /// What was tried by which test, or the law and its source.
    pub text: String,
}

/// Kinds of evidence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// Every value of the operands was tried.
    Exhaustive,
    /// It is a law of a standard.
    Identity,
    /// Both sides were compared on random and edge values only.
    Tested,
}

/// Evidence by rule.
pub type EvidenceList = BTreeMap<String, Evidence>;

/// Reads a JSON object of evidence by rule; a file that is not there is an empty list.
///
/// # Errors
/// [`CacheError`] if it cannot be read.
pub fn read_evidence(path: &Path) -> Result<EvidenceList, CacheError> {
    let error = |source| CacheError::Io { path: path.to_owned(), source };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|failed| error(failed.into())),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(EvidenceList::new()),
        Err(failed) => Err(error(failed)),
    }
}

/// How a rule stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Proven at every type.
    Proven,
    /// Proven but for the bits of NaNs that arithmetic gives.
    ProvenButNans,
    /// Not decided at some type, but there is evidence.
    Evidence,
    /// Not decided, and no evidence.
    Open,
    /// Wrong.
    Refuted,
}

/// What is known of one rule.
#[derive(Clone, Debug, Serialize)]
pub struct RuleReport {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// How it stands.
    pub standing: Standing,
    /// Types and codes at which it applies.
    pub instances: usize,
    /// Instances proven.
    pub proven: usize,
    /// Lanes and demands compared.
    pub parts: usize,
    /// Parts that needed a solver's word, now or before.
    pub queries: usize,
    /// The counterexample, the reason for not knowing, or the evidence.
    pub note: Option<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// What is known of a set.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SetReport {
    /// In the order of the set.
    pub rules: Vec<RuleReport>,
    /// Queries that the solver was asked.
    pub asked: usize,
    /// Seconds for all.
    pub seconds: f64,
}

impl SetReport {
    /// Number of rules that stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.rules.iter().filter(|rule| rule.standing == standing).count()
    }

    /// Takes over the rules of another report.
    pub fn extend(&mut self, other: SetReport) {
        self.rules.extend(other.rules);
        self.asked += other.asked;
        self.seconds += other.seconds;
    }

    /// Whether every rule is proven or has evidence.
    pub fn holds(&self) -> bool {
        self.rules.iter().all(|rule| rule.standing <= Standing::Evidence)
    }
}

/// Proves every rule of a set with `jobs` solvers side by side; `done` hears of each, with the proofs
/// that it brought. Of a rule with evidence no solver is asked.
///
/// Gives the report and the proofs that were of use.
///
/// # Errors
/// [`SolverError`] if a solver cannot be had.
pub fn prove_set(
    set: &RuleSet,
    options: &Options,
    jobs: usize,
    cache: &ProofCache,
    evidence: &EvidenceList,
    done: impl Fn(&RuleReport, ProofCache) + Sync,
) -> Result<(SetReport, ProofCache), SolverError> {
    let prove = |prover: &mut Prover, rule: &Rule| {
        let start = Instant::now();
        let evidence = evidence.get(&rule.name);
        prover.set_asking(options.ask && evidence.is_none());
        let proof = prover.prove(rule)?;
        Ok(report(rule, &proof, evidence, start.elapsed().as_secs_f64()))
    };
    prove_each(&set.rules, options, jobs, cache, prove, done)
}

/// Proves rules of any kind by `prove`, with `jobs` provers side by side; `done` hears of each, with
/// the proofs that it brought.
///
/// Gives the report, in the order of `rules`, and the proofs that were of use.
///
/// # Errors
/// [`SolverError`] if `prove` gives one.
pub fn prove_each<R: Sync>(
    rules: &[R],
    options: &Options,
    jobs: usize,
    cache: &ProofCache,
    prove: impl Fn(&mut Prover, &R) -> Result<RuleReport, SolverError> + Sync,
    done: impl Fn(&RuleReport, ProofCache) + Sync,
) -> Result<(SetReport, ProofCache), SolverError> {
    let start = Instant::now();
    let next = AtomicUsize::new(0);
    let reports = Mutex::new(BTreeMap::new());
    let work = || -> Result<(ProofCache, usize), SolverError> {
        let mut prover = Prover::new(options.clone(), cache.clone());
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(rule) = rules.get(at) else { break };
            let report = prove(&mut prover, rule)?;
            done(&report, prover.take_news());
            reports.lock().expect("no holder panics").insert(at, report);
        }
        let asked = prover.asked();
        Ok((prover.into_used_cache(), asked))
    };
    let mut used = ProofCache::default();
    let mut asked = 0;
    std::thread::scope(|scope| -> Result<(), SolverError> {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let (cache, queries) =
                worker.join().expect("a worker gives errors, it does not panic")?;
            used.extend(cache);
            asked += queries;
        }
        Ok(())
    })?;
    let rules = reports.into_inner().expect("no holder panics").into_values().collect();
    let seconds = start.elapsed().as_secs_f64();
    Ok((SetReport { rules, asked, seconds }, used))
}

fn report(rule: &Rule, proof: &RuleProof, evidence: Option<&Evidence>, seconds: f64) -> RuleReport {
    let worst = proof.instances.iter().find(|one| one.verdict == proof.verdict());
    let types = worst.map_or_else(String::new, |one| {
        let names = one.instance.types.of.iter().flatten().map(|ty| ty.name());
        names.collect::<Vec<_>>().join(" ")
    });
    let (standing, note) = match (proof.verdict(), evidence) {
        (Verdict::Proven, _) => (Standing::Proven, None),
        (Verdict::ProvenButNans, _) => (Standing::ProvenButNans, None),
        (Verdict::Refuted(counterexample), _) => {
            (Standing::Refuted, Some(counterexample.to_string()))
        }
        (Verdict::Unknown(_), Some(evidence)) => (Standing::Evidence, Some(evidence.text.clone())),
        (Verdict::Unknown(why), None) => (Standing::Open, Some(format!("{why} ({types})"))),
    };
    let proven = proof.instances.iter();
    let proven = proven
        .filter(|one| matches!(one.verdict, Verdict::Proven | Verdict::ProvenButNans))
        .count();
    RuleReport {
        name: rule.name.clone(),
        file: rule.file.clone(),
        line: rule.line,
        standing,
        instances: proof.instances.len(),
        proven,
        parts: proof.instances.iter().map(|one| one.parts).sum(),
        queries: proof.instances.iter().map(|one| one.queries).sum(),
        note,
        seconds,
    }
}
