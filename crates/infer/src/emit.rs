//! Rule files: names, reasons, and ISLE text of what was found.
//!
//! Invariant: what is written loads again as the same rules.

use crate::error::InferError;
use crate::general::{Form, Imms, Types};
use crate::state::write_whole;
use egraft_rules::{Rule, RuleSet, Source};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// How a generated file starts.
const MARK: &str = ";;;; Found by `egraft infer`";

/// The most lines in a rule file.
const LINES: usize = 700;

/// A rule that was kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptRule {
    pub(crate) rule: Rule,
    pub(crate) family: String,
    pub(crate) phase: String,
    pub(crate) workload: String,
    pub(crate) form: Form,
    pub(crate) instances: usize,
    /// Whether it is the other direction of the rule before it.
    pub(crate) back: bool,
}

/// Gives the rules their names: `inf_`, the ops on the left side, a number.
pub(crate) fn name(rules: &mut [KeptRule]) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for kept in rules {
        let mut ops: Vec<&str> = Vec::new();
        kept.rule.lhs.walk(&mut |part| {
            if let egraft_rules::Pattern::Op { op, .. } = part
                && !ops.contains(&op.name())
            {
                ops.push(op.name());
            }
        });
        let stem = ops.join("_");
        let count = counts.entry(stem.clone()).or_insert(0);
        *count += 1;
        kept.rule.name = format!("inf_{stem}_{count}");
    }
}

fn reason(kept: &KeptRule) -> String {
    let mut text = format!("Workload `{}`", kept.workload);
    match kept.form.types {
        Types::Any => {}
        Types::Vector => text += ", vectors",
        Types::Scalar => text += ", scalars",
        Types::Short => text += ", lanes of up to 32 bits",
        Types::Fixed => text += ", these types",
    }
    if kept.form.imms != Imms::Fixed {
        text += ", codes and lanes as variables";
    }
    if kept.back {
        text += "; the way back of the rule above";
    }
    let plural = if kept.instances == 1 { "" } else { "s" };
    write!(text, "; proven for {} choice{plural} of types.", kept.instances).expect("text grows");
    text
}

/// The rule as ISLE text, with its reason above.
fn isle(kept: &KeptRule) -> String {
    let rule = &kept.rule;
    let mut bare = rule.clone();
    bare.conditions.clear();
    let mut text = format!(";; {}\n(rule {}\n", reason(kept), rule.name);
    let _ = writeln!(text, "      (simplify {})", bare.lhs_text());
    let all = rule.lhs_text();
    let conditions = all[bare.lhs_text().len()..].trim();
    for line in top_level(conditions) {
        let _ = writeln!(text, "      {line}");
    }
    let _ = writeln!(text, "      {})", rule.rhs_text());
    text
}

/// The parenthesised parts of a line.
fn top_level(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            ')' => {
                depth -= 1;
                if depth == 0 {
                    parts.push(&text[start..=at]);
                }
            }
            _ => {}
        }
    }
    parts
}

/// The rule files: names and texts.
pub(crate) fn files(rules: &[KeptRule]) -> Vec<(String, String)> {
    let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for kept in rules {
        let key = (kept.family.clone(), kept.phase.clone());
        groups.entry(key).or_default().push(isle(kept));
    }
    let mut files = Vec::new();
    for ((family, phase), texts) in groups {
        let mut parts: Vec<Vec<String>> = vec![Vec::new()];
        let mut lines = 0;
        for text in texts {
            let more = text.lines().count() + 1;
            if lines + more > LINES {
                parts.push(Vec::new());
                lines = 0;
            }
            lines += more;
            parts.last_mut().expect("there is one at least").push(text);
        }
        let many = parts.len() > 1;
        for (at, texts) in parts.into_iter().enumerate() {
            let name = match many {
                true => format!("{family}_{phase}_{}.isle", at + 1),
                false => format!("{family}_{phase}.isle"),
            };
            let text = format!(
                "{MARK}; docs/inference.md says how. Not written by hand.\n\
                 ;;;; Phase: {phase}\n\
                 ;;;; Scope: {family}.\n\
                 ;;;; Proof: each by SMT, for every choice of types it applies to.\n\
                 ;;;; Tests: crates/infer/tests/inferred.rs.\n\n{}",
                texts.join("\n")
            );
            files.push((name, text));
        }
    }
    files
}

/// Writes the rule files into `folder`, and removes those of an earlier run.
///
/// # Errors
/// [`InferError::Emitted`] if the files do not load as the same rules, [`InferError::File`] for
/// what the system refuses.
pub(crate) fn write(folder: &Path, rules: &[KeptRule]) -> Result<(), InferError> {
    let files = files(rules);
    check(&files, rules)?;
    std::fs::create_dir_all(folder).map_err(InferError::file(folder))?;
    for entry in std::fs::read_dir(folder).map_err(InferError::file(folder))? {
        let path = entry.map_err(InferError::file(folder))?.path();
        let old = path.extension().is_some_and(|ending| ending == "isle")
            && std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with(MARK));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if old && !files.iter().any(|(file, _)| Some(file) == name.as_ref()) {
            std::fs::remove_file(&path).map_err(InferError::file(&path))?;
        }
    }
    for (name, text) in files {
        write_whole(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}

fn check(files: &[(String, String)], rules: &[KeptRule]) -> Result<(), InferError> {
    if rules.is_empty() {
        return Ok(());
    }
    let sources: Vec<Source> =
        files.iter().map(|(name, text)| Source::new(name.clone(), text.clone())).collect();
    let loaded =
        RuleSet::parse(&sources).map_err(|error| InferError::Emitted(error.to_string()))?;
    for kept in rules {
        let again = loaded.by_name(&kept.rule.name);
        if again.is_none_or(|again| again.types().len() != kept.rule.types().len()) {
            return Err(InferError::Emitted(format!("`{}` came back otherwise", kept.rule.name)));
        }
    }
    Ok(())
}
