//! `egraft verify rules`: proofs of rules, kept in a file by the hash of what was asked.

use crate::args::{ProofSolver, VerifyRulesArgs};
use crate::output::{self, Table, line};
use anyhow::{Context, Result, bail};
use egraft_infer::lowering::prove_rules;
use egraft_rules::{LoweringSet, RuleSet};
use egraft_verify::smt::SolverKind;
use egraft_verify::{
    Options, ProofCache, RuleReport, SetReport, Standing, prove_set, read_evidence,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where the rules are. A folder below one that is called `lower` holds lowering rules.
const FOLDERS: [&str; 5] = [
    "isle-rules/rewrite",
    "isle-rules/library",
    "isle-rules/inferred/rewrite",
    "isle-rules/inferred/lower",
    "isle-rules/lower",
];

/// How often proofs found so far are written.
const BETWEEN_WRITES: Duration = Duration::from_secs(60);

pub(crate) fn rules(args: &VerifyRulesArgs) -> Result<ExitCode> {
    let (rewriting, lowering) = load(args)?;
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
    let options = Options {
        solver,
        timeout_ms: args.timeout,
        rule_time: Duration::from_secs(args.rule_timeout),
        ask: !args.cached,
    };
    let count = rewriting.rules.len() + lowering.rules.len();
    let bar = output::progress(count as u64, "proving");
    let found = Mutex::new((cache.clone(), Instant::now()));
    let done = |rule: &RuleReport, proofs: ProofCache| {
        bar.set_message(rule.name.clone());
        bar.inc(1);
        let (all, written) = &mut *found.lock().expect("no holder panics");
        all.extend(proofs);
        // Hours of proofs are not lost to an interrupt.
        if args.update && written.elapsed() >= BETWEEN_WRITES {
            if let Err(error) = all.write(&args.proofs) {
                bar.suspend(|| output::warn(error));
            }
            *written = Instant::now();
        }
    };
    let (mut report, mut used) =
        prove_set(&rewriting, &options, args.jobs, &cache, &evidence, done)?;
    let (lowered, of_use) = prove_rules(&lowering, &options, args.jobs, &cache, &evidence, done)?;
    report.extend(lowered);
    used.extend(of_use);
    bar.finish_and_clear();
    if args.update {
        // Of a part of the rules, others' proofs are kept.
        if args.only.is_some() || !args.folders.is_empty() {
            used.extend(cache);
        }
        used.write(&args.proofs)?;
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

/// The rules that are asked for: rewrite rules, and lowering rules.
fn load(args: &VerifyRulesArgs) -> Result<(RuleSet, LoweringSet)> {
    let folders: Vec<&Path> = match args.folders.is_empty() {
        true => FOLDERS.map(Path::new).to_vec(),
        false => args.folders.iter().map(|folder| folder.as_path()).collect(),
    };
    let (mut rewriting, mut lowering) = (RuleSet::default(), LoweringSet::default());
    for folder in folders {
        let context = || format!("{}: cannot be read as rules", folder.display());
        let before = rewriting.rules.len() + lowering.rules.len();
        match folder.iter().any(|part| part == "lower") {
            true => {
                lowering.rules.extend(LoweringSet::from_folder(folder).with_context(context)?.rules)
            }
            false => {
                rewriting.rules.extend(RuleSet::from_folder(folder).with_context(context)?.rules)
            }
        }
        if rewriting.rules.len() + lowering.rules.len() == before {
            bail!("{}: no rules in it", folder.display());
        }
    }
    if let Some(only) = &args.only {
        rewriting.rules.retain(|rule| rule.name.contains(only.as_str()));
        lowering.rules.retain(|rule| rule.name.contains(only.as_str()));
        if rewriting.rules.is_empty() && lowering.rules.is_empty() {
            bail!("no rule's name holds `{only}`; `egraft rules list` names them");
        }
    }
    Ok((rewriting, lowering))
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
