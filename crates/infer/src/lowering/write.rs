//! Lowering rules as rule files and as a table for people.

use super::goal::is_extra;
use super::term::Clif;
use super::{Inferred, Lowering};
use egraft_ir::Op;
use egraft_ir::machine::Target;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// The most rules of one file.
const RULES_PER_FILE: usize = 190;

/// A target's name in file names.
const fn target_name(target: Target) -> &'static str {
    match target {
        Target::X64 => "x64",
        Target::A64 => "aarch64",
    }
}

/// The name of each rule: that of its outermost machine op, and a number.
fn names(rules: &[Lowering]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    rules
        .iter()
        .map(|rule| {
            let op = rule.machine.root().name();
            let count = counts.entry(op).or_default();
            *count += 1;
            format!("low_{op}_{count}")
        })
        .collect()
}

/// What a file is named after.
fn subject(rule: &Lowering) -> (&'static str, &'static str) {
    if rule.machine.features().into_iter().any(is_extra) {
        return ("extensions", "machine ops beyond AVX2 or Armv8.0");
    }
    match &rule.clif {
        Clif::Op { op: Op::Shuffle, args, .. } if args.iter().all(|arg| arg.ops() == 0) => {
            ("moves", "machine ops that move bytes")
        }
        _ => match rule.machine.root().lane_bits() {
            8 => ("i8", "machine ops on lanes of 8 bits"),
            16 => ("i16", "machine ops on lanes of 16 bits"),
            32 => ("i32", "machine ops on lanes of 32 bits"),
            _ => ("i64", "machine ops on lanes of 64 bits"),
        },
    }
}

/// Rule files: name and text, each below 800 lines.
pub fn files(target: Target, inferred: &Inferred) -> Vec<(String, String)> {
    let mut subjects: BTreeMap<_, Vec<(String, &Lowering)>> = BTreeMap::new();
    for (name, rule) in names(&inferred.rules).into_iter().zip(&inferred.rules) {
        subjects.entry(subject(rule)).or_default().push((name, rule));
    }
    let mut files = Vec::new();
    for ((subject, what), rules) in subjects {
        let chunks = rules.chunks(RULES_PER_FILE);
        let many = chunks.len() > 1;
        for (at, rules) in chunks.enumerate() {
            let number = if many { format!("_{}", at + 1) } else { String::new() };
            let file = format!("{}_{subject}{number}.isle", target_name(target));
            let mut text = format!(
                ";;;; Lowering to {what}; found from semantics, never edited by hand.\n\
                 ;;;; Proof: by a solver for all operands; hashes in isle-rules/proofs.txt.\n\
                 ;;;; Tests: crates/infer/tests/lowering.rs.\n"
            );
            for (name, rule) in rules {
                let _ = writeln!(text, "\n;; {}", reason(rule));
                let _ = writeln!(text, "(rule {name} (lower {})", rule.clif.isle());
                let _ = writeln!(text, "      {})", rule.machine.isle());
            }
            files.push((file, text));
        }
    }
    files
}

fn reason(rule: &Lowering) -> String {
    let features: Vec<_> = rule.machine.features().iter().map(|feature| feature.name()).collect();
    format!(
        "Both sides compute the same; {}/16 cycle, instructions: {}, stock {}; needs {}.",
        rule.machine.cost(),
        rule.machine.instructions(),
        rule.stock.len(),
        features.join(", ")
    )
}

/// The code of the machine ops, in the order in which they run; registers of each op are its own.
fn assembly(rule: &Lowering) -> String {
    let mut lines = Vec::new();
    let loads = rule.machine.instructions() - {
        let mut ops = 0;
        rule.machine.walk(&mut |_, _| ops += 1);
        ops
    };
    if loads > 0 {
        lines.push(format!("{loads} × load a constant"));
    }
    rule.machine.walk(&mut |op, imm| lines.push(op.assembly(imm)));
    lines.join("; ")
}

/// A Markdown section: counts, and a row for each rule, the ones that save most first.
pub fn table(target: Target, inferred: &Inferred) -> String {
    let counts = &inferred.counts;
    let mut of_op: BTreeMap<&str, usize> = BTreeMap::new();
    for rule in &inferred.rules {
        *of_op.entry(rule.machine.root().name()).or_default() += 1;
    }
    let base = inferred
        .rules
        .iter()
        .filter(|rule| !rule.machine.features().into_iter().any(is_extra))
        .count();
    let (name, needs) = match target {
        Target::X64 => ("x86-64", "AVX2"),
        Target::A64 => ("AArch64", "Armv8.0"),
    };
    let mut text = format!(
        "# Lowering rules found for {name}\n\n\
         Written by the search; not edited by hand. Method: [lowering.md](lowering.md).\n\n\
         | | |\n|---|---|\n\
         | rules for which stock needs strictly more instructions | {} |\n\
         | of these with no more than {needs} | {base} |\n\
         | different machine ops at their roots | {} |\n\
         | machine terms looked for | {} |\n\
         | with a CLIF term | {} |\n\
         | CLIF terms compiled by stock | {} |\n\
         | stock has no lowering | {} |\n\
         | stock needs no more instructions | {} |\n\
         | follow from a kept rule by rewriting | {} |\n\
         | refuted by the solver | {} |\n\
         | not decided in time | {} |\n\
         | machine terms not looked at for want of time | {} |\n\
         | further shuffles of the same ops that save instructions too | {} |\n\
         | further proven rules of the same ops | {} |\n\n\
         Registers in our code are numbered for each instruction on its own: 0 is the result.\n\
         Moves between registers and frame code count on neither side.\n\n\
         | rule | CLIF | our code | stock's code | ours | stock |\n|---|---|---|---|---|---|\n",
        inferred.rules.len(),
        of_op.len(),
        counts.machine_terms,
        counts.matched,
        counts.compiled,
        counts.not_lowered,
        counts.no_gain,
        counts.derivable,
        counts.refuted,
        counts.unknown,
        counts.not_sifted,
        counts.further_moves,
        counts.further_rules,
    );
    let mut rows: Vec<_> = names(&inferred.rules).into_iter().zip(&inferred.rules).collect();
    rows.sort_by_key(|(_, rule)| std::cmp::Reverse(rule.saved()));
    for (name, rule) in rows {
        let _ = writeln!(
            text,
            "| {} | `{}` | `{}` | `{}` | {} | {} |",
            name.trim_start_matches("low_"),
            rule.clif.short(),
            assembly(rule),
            rule.stock.join("; "),
            rule.machine.instructions(),
            rule.stock.len()
        );
    }
    text
}
