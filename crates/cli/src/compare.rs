//! `egraft bench compare`: verdicts for a terminal, a pull request, or a program.

use crate::args::CompareArgs;
use crate::output::{self, Coded, EXIT_REGRESSED, Table, line};
use anyhow::{Result, bail};
use egraft_bench::Results;
use egraft_bench::compare::{Change, Comparison, Verdict, between, within};
use egraft_bench::stats::Estimate;
use std::fmt::Write;
use std::process::ExitCode;

/// The verdicts in the order in which they are shown.
const VERDICTS: [(Verdict, &str); 4] = [
    (Verdict::Regressed, "slower"),
    (Verdict::Improved, "faster"),
    (Verdict::Unclear, "unclear"),
    (Verdict::Same, "no change"),
];

pub(crate) fn compare(args: &CompareArgs) -> Result<ExitCode> {
    if !(args.least > 0.0 && args.least <= 100.0) {
        bail!("--least {}: must be more than 0 and at most 100", args.least);
    }
    if let Some(path) = &args.markdown {
        output::check_writable(path)?;
    }
    let least = args.least / 100.0;
    let engine = args.engine.as_deref();
    let old = Results::read(&args.old)?;
    let new = args.new.as_deref().map(Results::read).transpose()?;
    let comparisons = match &new {
        Some(new) => between(&old, new, engine, least),
        None => within(&old, engine, least),
    }?;
    let latest = new.as_ref().unwrap_or(&old);
    match args.json {
        true => output::json(&comparisons)?,
        false => print(&comparisons, args.least)?,
    }
    if let Some(path) = &args.markdown {
        output::write_file(path, markdown(&comparisons, latest, args.least)?.as_bytes())?;
    }
    let regressed: Vec<&str> = comparisons
        .iter()
        .filter(|comparison| comparison.regressed())
        .map(|comparison| &*comparison.engine)
        .collect();
    match regressed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Coded {
            code: EXIT_REGRESSED,
            text: format!("slower than before: {}", regressed.join(", ")),
        }
        .into()),
    }
}

fn label(verdict: Verdict) -> &'static str {
    VERDICTS.iter().find(|(known, _)| *known == verdict).map_or("", |(_, label)| label)
}

/// A change in percent of speed: more is better.
fn percent(speed: Estimate) -> [String; 3] {
    [speed.value, speed.low, speed.high].map(|value| format!("{:+.2}", (value - 1.0) * 100.0))
}

fn print(comparisons: &[Comparison], least: f64) -> Result<()> {
    for comparison in comparisons {
        line(format_args!("{}: change of speed in percent, 95 % intervals\n", comparison.engine))?;
        let mut table = Table::new(&["kernel", ">change", ">from", ">to", "verdict"]);
        let mut row = |change: &Change| {
            let [value, low, high] = percent(change.speed);
            let verdict = label(change.verdict).to_owned();
            table.row(vec![change.name.clone(), value, low, high, verdict]);
        };
        for (verdict, _) in VERDICTS {
            comparison.with(verdict).into_iter().for_each(&mut row);
        }
        comparison.mean.iter().for_each(row);
        line(table)?;
        line(format_args!("\n{}", summary(comparison, least)))?;
    }
    Ok(())
}

/// One or two sentences.
fn summary(comparison: &Comparison, least: f64) -> String {
    let count = |verdict| comparison.with(verdict).len();
    let mut text = String::new();
    for (at, (verdict, label)) in VERDICTS.into_iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        text += &format!("{comma}{} {label}", count(verdict));
    }
    text += &format!(
        "; a change counts from {least} % on, for the mean from {} %, if noise does not explain it.",
        least / 2.0
    );
    if count(Verdict::Unclear) > 0 {
        text += &format!(" Unclear: {} % and more may hide in the noise.", 3.0 * least);
    }
    if !comparison.missing.is_empty() {
        text += &format!(" Not compared: {}.", comparison.missing.join(", "));
    }
    if !comparison.interleaved {
        text +=
            " The runs were not interleaved: what changed on the machine between them counts too.";
    }
    text
}

/// The comment of a pull request.
fn markdown(comparisons: &[Comparison], latest: &Results, least: f64) -> Result<String> {
    let mut text = String::from("## Kernel speed\n\n");
    for comparison in comparisons {
        let mean = comparison.mean.as_ref();
        writeln!(text, "### `{}`: {}\n", comparison.engine, headline(comparison))?;
        if let Some(mean) = mean {
            let [value, low, high] = percent(mean.speed);
            writeln!(
                text,
                "Geometric mean of {} kernels: **{value} %** ({low} to {high}), {}.\n",
                comparison.kernels.len(),
                label(mean.verdict)
            )?;
        }
        let changed: Vec<&Change> = [Verdict::Regressed, Verdict::Improved]
            .into_iter()
            .flat_map(|verdict| comparison.with(verdict))
            .collect();
        if !changed.is_empty() {
            rows(&mut text, &changed)?;
        }
        writeln!(text, "<details><summary>All kernels</summary>\n")?;
        let mut all: Vec<&Change> = comparison.kernels.iter().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        rows(&mut text, &all)?;
        writeln!(text, "</details>\n\n{}\n", summary(comparison, least))?;
    }
    stock(&mut text, latest)?;
    for note in &latest.machine.notes {
        writeln!(text, "- {note}")?;
    }
    let cpu = latest.machine.cpu.as_deref().unwrap_or("unknown processor");
    writeln!(
        text,
        "\n{cpu}, {} processes of {} rounds, {}.",
        latest.settings.processes,
        latest.settings.rounds,
        latest
            .versions
            .iter()
            .map(|(name, version)| format!("{name} {version}"))
            .collect::<Vec<_>>()
            .join(", ")
    )?;
    Ok(text)
}

fn headline(comparison: &Comparison) -> String {
    let count = |verdict| comparison.with(verdict).len();
    match (comparison.regressed(), count(Verdict::Regressed), count(Verdict::Improved)) {
        (true, 0, _) => "slower on the whole".to_owned(),
        (true, slower, 0) => format!("{slower} slower"),
        (_, 0, 0) => "no change found".to_owned(),
        (_, 0, faster) => format!("{faster} faster"),
        (_, slower, faster) => format!("{slower} slower, {faster} faster"),
    }
}

fn rows(text: &mut String, changes: &[&Change]) -> Result<()> {
    writeln!(text, "| kernel | change of speed | 95 % interval | |\n|---|---:|---:|---|")?;
    for change in changes {
        let [value, low, high] = percent(change.speed);
        let label = label(change.verdict);
        writeln!(text, "| `{}` | {value} % | {low} to {high} | {label} |", change.name)?;
    }
    writeln!(text)?;
    Ok(())
}

/// Speeds over the first engine, as they are now.
fn stock(text: &mut String, latest: &Results) -> Result<()> {
    let Some((base, others)) = latest.engines.split_first() else { return Ok(()) };
    let now: Vec<_> = others
        .iter()
        .filter(|engine| !engine.name.starts_with("base:"))
        .filter_map(|engine| Some((&engine.name, latest.geomean.get(&engine.name)?)))
        .collect();
    if now.is_empty() || base.name.starts_with("base:") {
        return Ok(());
    }
    writeln!(text, "### Now, over `{}`\n", base.name)?;
    writeln!(text, "| engine | speed | 95 % interval | compile time | code size |")?;
    writeln!(text, "|---|---:|---:|---:|---:|")?;
    let times = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}x"));
    for (name, mean) in now {
        let Estimate { value, low, high } = mean.speed;
        let (compile, code) = (times(mean.compile), times(mean.code));
        writeln!(text, "| `{name}` | {value:.3} | {low:.3} to {high:.3} | {compile} | {code} |")?;
    }
    writeln!(text)?;
    Ok(())
}
