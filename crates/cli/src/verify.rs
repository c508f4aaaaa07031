//! `egraft verify rules`: proofs of rules, kept in a file by the hash of what was asked.

use crate::args::{ProofSolver, VerifyRulesArgs};
use crate::output::{self, Table, line};
use anyhow::{Context, Result, bail};
use egraft_rules::RuleSet;
use egraft_verify::smt::SolverKind;
use egraft_verify::{Options, ProofCache, SetReport, Standing, prove_set, read_evidence};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn rules(args: &VerifyRulesArgs) -> Result<ExitCode> {
    let mut set = RuleSet::default();
    for folder in &args.folders {
        let more = RuleSet::from_folder(folder)
            .with_context(|| format!("{}: cannot be read as rules", folder.display()))?;
        if more.rules.is_empty() {
            bail!("{}: no rules in it", folder.display());
        }
        set.rules.extend(more.rules);
    }
    if let Some(only) = &args.only {
        set.rules.retain(|rule| rule.name.contains(only.as_str()));
        if set.rules.is_empty() {
            bail!("no rule's name holds `{only}`; `egraft rules list` names them");
        }
    }
    let cache = match args.solver {
        // A second opinion takes nothing from the first.
        ProofSolver::Cvc5 => ProofCache::default(),
        ProofSolver::Z3 => ProofCache::read(&args.proofs)?,
    };
    let evidence = read_evidence(&args.evidence)?;
    let solver = match args.solver {
        ProofSolver::Z3 => SolverKind::Z3,
        ProofSolver::Cvc5 => SolverKind::Cvc5,
    };
    let options = Options { solver, timeout_ms: args.timeout, ask: !args.cached };
    let bar = output::progress(set.rules.len() as u64, "proving");
    let (report, used) = prove_set(&set, &options, args.jobs, &cache, &evidence, |rule| {
        bar.set_message(rule.name.clone());
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    if args.update {
        // Of a part of the rules, others' proofs are kept.
        let mut kept = used;
        if args.only.is_some() {
            kept.extend(cache);
        }
        kept.write(&args.proofs)?;
    }
    if args.json {
        output::json(&json!({
            "rules": report.rules, "asked": report.asked, "seconds": report.seconds,
        }))?;
    } else {
        print(&report, &args.proofs, args.update)?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(report: &SetReport, proofs: &Path, updated: bool) -> Result<()> {
    let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, rule) in report.rules.iter().enumerate() {
        files.entry(&rule.file).or_default().push(at);
    }
    let mut table = Table::new(&[
        "file",
        "rules",
        "proven",
        "but NaN bits",
        "evidence",
        "open",
        "wrong",
        "instances",
        "queries",
    ]);
    for (file, rules) in &files {
        let rules = || rules.iter().map(|at| &report.rules[*at]);
        let count = |standing| rules().filter(|rule| rule.standing == standing).count().to_string();
        table.row(vec![
            (*file).to_owned(),
            rules().count().to_string(),
            count(Standing::Proven),
            count(Standing::ProvenButNans),
            count(Standing::Evidence),
            count(Standing::Open),
            count(Standing::Refuted),
            rules().map(|rule| rule.instances).sum::<usize>().to_string(),
            rules().map(|rule| rule.queries).sum::<usize>().to_string(),
        ]);
    }
    line(table)?;
    for rule in report.rules.iter().filter(|rule| rule.standing != Standing::Proven) {
        let what = match rule.standing {
            Standing::ProvenButNans => "equal but for the bits of NaNs",
            Standing::Evidence => "not decided, but",
            Standing::Open => "not decided:",
            _ => "WRONG:",
        };
        let note = rule.note.as_deref().unwrap_or("");
        line(format_args!("{} ({}:{}): {what} {note}", rule.name, rule.file, rule.line))?;
    }
    let sum = |of: fn(&egraft_verify::RuleReport) -> usize| -> usize {
        report.rules.iter().map(of).sum()
    };
    line(format_args!(
        "\n{} rules, {} proven; {} instances, {} proven; {} lanes and demands, {} of them by a solver \
         ({} asked now); {:.1} s",
        report.rules.len(),
        report.count(Standing::Proven),
        sum(|rule| rule.instances),
        sum(|rule| rule.proven),
        sum(|rule| rule.parts),
        sum(|rule| rule.queries),
        report.asked,
        report.seconds,
    ))?;
    if updated {
        line(format_args!("proofs written to {}", proofs.display()))?;
    }
    Ok(())
}
