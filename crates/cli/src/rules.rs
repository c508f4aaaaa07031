//! `egraft rules`: the rules built in, and a check of rule files.

use crate::args::RulesCommand;
use crate::output::{self, Table, line};
use anyhow::{Result, bail};
use egraft_egraph::RULES;
use egraft_rules::{FILE_LIMIT, RuleSet, Source};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) fn rules(command: &RulesCommand) -> Result<ExitCode> {
    match command {
        RulesCommand::List { filter, json } => list(filter.as_deref(), *json),
        RulesCommand::Show { name, json } => show(name, *json),
        RulesCommand::Check { files } => check(files),
        RulesCommand::Derive(args) => crate::derive::derive(args),
    }
}

fn to_json(rule: &egraft_rules::RuleMeta) -> serde_json::Value {
    json!({
        "name": rule.name, "reason": rule.reason, "file": rule.file, "line": rule.line,
        "lhs": rule.lhs, "rhs": rule.rhs,
    })
}

fn list(filter: Option<&str>, as_json: bool) -> Result<ExitCode> {
    let filter = filter.unwrap_or("");
    let rules = || RULES.iter().filter(|rule| rule.name.contains(filter));
    if as_json {
        output::json(&rules().map(to_json).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["rule", "where", "reason"]);
    for rule in rules() {
        table.row(vec![
            rule.name.to_owned(),
            format!("{}:{}", rule.file, rule.line),
            rule.reason.to_owned(),
        ]);
    }
    line(table)?;
    line(format_args!("\n{} rules", rules().count()))?;
    Ok(ExitCode::SUCCESS)
}

fn show(name: &str, as_json: bool) -> Result<ExitCode> {
    let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
        let near: Vec<&str> =
            RULES.iter().map(|rule| rule.name).filter(|known| alike(known, name)).take(8).collect();
        let hint = match near.is_empty() {
            true => "`egraft rules list` names them".to_owned(),
            false => format!("similar: {}", near.join(", ")),
        };
        bail!("no rule `{name}`; {hint}");
    };
    if as_json {
        output::json(&to_json(rule))?;
        return Ok(ExitCode::SUCCESS);
    }
    line(format_args!(
        "{}\n{}:{}\n{}\n\n  {}\n  => {}",
        rule.name, rule.file, rule.line, rule.reason, rule.lhs, rule.rhs
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether one name holds the other, or both start with the same word.
fn alike(known: &str, name: &str) -> bool {
    let word = |text: &str| text.split('_').next().unwrap_or("").to_owned();
    known.contains(name) || name.contains(known) || (word(known) == word(name))
}

/// Parses and type-checks the files as one set, together with the prelude.
fn check(files: &[PathBuf]) -> Result<ExitCode> {
    let mut sources = Vec::new();
    for file in files {
        let bytes = egraft_kernels::read_limited(file, "a rule file", FILE_LIMIT as u64)?;
        sources.push(Source { name: file.display().to_string(), bytes });
    }
    if are_empty(&sources) {
        bail!("{}: no rules in it", files[0].display());
    }
    let rules = RuleSet::parse(&sources).map_err(anyhow::Error::new)?;
    line(format_args!("{} rules in {} files, all well typed", rules.rules.len(), files.len()))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether there is no rule at all, for which the type checker would blame the prelude.
pub(crate) fn are_empty(sources: &[Source]) -> bool {
    sources.iter().all(|source| {
        std::str::from_utf8(&source.bytes).is_ok_and(|text| {
            text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with(';'))
        })
    })
}
