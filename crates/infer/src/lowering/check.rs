//! Lowering rules of rule files, proven or checked against the proofs that are kept.

use super::{prove, terms};
use egraft_rules::{LoweringRule, LoweringSet};
use egraft_verify::smt::SolverError;
use egraft_verify::{
    Equality, Options, ProofCache, Prover, RuleReport, SetReport, Standing, prove_each,
};
use std::time::Instant;

/// Proves every rule of a set with `jobs` solvers side by side; `done` hears of each, with the proofs
/// that it brought.
///
/// Gives the report and the proofs that were of use.
///
/// # Errors
/// [`SolverError`] if a solver cannot be had.
pub fn prove_rules(
    set: &LoweringSet,
    options: &Options,
    jobs: usize,
    cache: &ProofCache,
    done: impl Fn(&RuleReport, ProofCache) + Sync,
) -> Result<(SetReport, ProofCache), SolverError> {
    prove_each(&set.rules, options, jobs, cache, report, done)
}

fn report(prover: &mut Prover, rule: &LoweringRule) -> Result<RuleReport, SolverError> {
    let start = Instant::now();
    let (standing, note) = match terms(rule) {
        None => (Standing::Open, Some("only rules with all types and numbers given".to_owned())),
        Some((clif, machine)) => match prove(prover, &clif, &machine)? {
            Equality::Proven => (Standing::Proven, None),
            Equality::Unknown(why) => (Standing::Open, Some(why)),
            Equality::Refuted(_) => (Standing::Refuted, Some("the sides differ".to_owned())),
        },
    };
    Ok(RuleReport {
        name: rule.name.clone(),
        file: rule.file.clone(),
        line: rule.line,
        standing,
        instances: 1,
        proven: usize::from(standing == Standing::Proven),
        parts: 1,
        queries: 1,
        note,
        seconds: start.elapsed().as_secs_f64(),
    })
}
