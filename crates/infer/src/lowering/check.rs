//! Lowering rules of rule files, proven or checked against the proofs that are kept.

use super::{instances, prove_instance};
use egraft_rules::{LoweringRule, LoweringSet};
use egraft_verify::smt::SolverError;
use egraft_verify::{
    Equality, Evidence, EvidenceList, Options, ProofCache, Prover, RuleReport, SetReport, Standing,
    prove_each,
};
use std::time::Instant;

/// Proves every rule of a set with `jobs` solvers side by side; `done` hears of each, with the proofs
/// that it brought. Of a rule with evidence no solver is asked.
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
    evidence: &EvidenceList,
    done: impl Fn(&RuleReport, ProofCache) + Sync,
) -> Result<(SetReport, ProofCache), SolverError> {
    let prove = |prover: &mut Prover, rule: &LoweringRule| {
        let evidence = evidence.get(&rule.name);
        prover.set_asking(options.ask && evidence.is_none());
        report(prover, rule, evidence)
    };
    prove_each(&set.rules, options, jobs, cache, prove, done)
}

fn report(
    prover: &mut Prover,
    rule: &LoweringRule,
    evidence: Option<&Evidence>,
) -> Result<RuleReport, SolverError> {
    let start = Instant::now();
    let instances = instances(rule).unwrap_or_default();
    let (mut standing, mut note, mut proven) = (Standing::Proven, None, 0);
    if instances.is_empty() {
        standing = Standing::Open;
        note = Some("types, constants or facts that instances cannot be made of".to_owned());
    }
    for instance in &instances {
        match prove_instance(prover, instance)? {
            Equality::Proven => proven += 1,
            Equality::Unknown(why) => {
                let open = || format!("{}: {why}", instance.clif.isle());
                standing = if evidence.is_some() { Standing::Evidence } else { Standing::Open };
                note = Some(evidence.map_or_else(open, |evidence| evidence.text.clone()));
            }
            Equality::Refuted(_) => {
                standing = Standing::Refuted;
                note = Some(format!("the sides of {} differ", instance.clif.isle()));
                break;
            }
        }
    }
    Ok(RuleReport {
        name: rule.name.clone(),
        file: rule.file.clone(),
        line: rule.line,
        standing,
        instances: instances.len(),
        proven,
        parts: instances.len(),
        queries: instances.len(),
        note,
        seconds: start.elapsed().as_secs_f64(),
    })
}
