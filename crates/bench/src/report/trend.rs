//! How the engines' mean speeds changed from run to run.

use super::ReportError;
use super::format;
use super::plot::{Axis, Locate, Plot};
use super::scale::LogScale;
use super::view::{self, Engine, View};
use crate::history::HistoryEntry;
use maud::{Markup, html};

/// Kernels in the list of changes.
const CHANGES: usize = 8;
/// The least change that is listed: less is noise on most machines.
const LEAST_CHANGE: f64 = 0.03;

pub(super) fn section(view: &View<'_>, history: &[HistoryEntry]) -> Result<Markup, ReportError> {
    let own = HistoryEntry::of(view.results, "this run");
    let same = history.iter().filter(|entry| entry.cpu == own.cpu);
    let mut entries: Vec<&HistoryEntry> = same.collect();
    let strangers = history.len() - entries.len();
    entries.sort_by_key(|entry| entry.created);
    if entries.iter().all(|entry| entry.created != own.created) {
        entries.push(&own);
    }
    let values = || {
        entries
            .iter()
            .flat_map(|entry| view.others().iter().filter_map(|engine| mean(entry, *engine)))
    };
    let Some(scale) = LogScale::around(values().chain([1.0]), 0.08) else {
        return Ok(html! {});
    };
    if values().next().is_none() {
        return Ok(html! { p { "Left out: no run has a mean speed." } });
    }
    let last = entries.len() - 1;
    let plot = Plot {
        id: "history-plot",
        title: "History",
        description: format!(
            "Geometric mean of speeds over {} in {} runs, oldest first, from {} to {}.",
            view.base_name(),
            entries.len(),
            format::date(entries[0].created),
            format::date(entries[last].created)
        ),
        size: (860, 380),
        left: 60,
        right: 30,
        x: Axis {
            low: -0.4,
            high: last as f64 + 0.4,
            ticks: ticks(&entries),
            title: "runs, oldest first".to_owned(),
        },
        y: Axis::log(scale, 8, format::times_short, "geometric mean of speeds"),
    };
    let drawing = plot.draw(&[vec![(-0.4, 0.0), (last as f64 + 0.4, 0.0)]], |locate| {
        html! { @for engine in view.others() { (course(&entries, *engine, locate)) } }
    })?;
    Ok(html! {
        p {
            "Geometric mean of speeds over " (view.base_name()) ", which is the line at 1. Runs are those on \
             the same processor" @if strangers > 0 { "; " (strangers) " on others are left out" } "."
        }
        ul.legend { @for engine in view.others() { li.(engine.class()) { (engine.label()) } } }
        (drawing)
        (table(view, &entries))
        @if let ([.., before, now], Some(engine)) = (&entries[..], view.main()) {
            (changes(before, now, engine))
        }
    })
}

fn mean(entry: &HistoryEntry, engine: Engine<'_>) -> Option<f64> {
    view::positive(*entry.geomean.get(engine.name())?)
}

/// Labels of at most eight runs.
fn ticks(entries: &[&HistoryEntry]) -> Vec<(f64, String)> {
    /// Longer labels would overlap.
    const FIT: usize = 12;
    let stride = entries.len().div_ceil(8).max(1);
    let shown = entries.iter().enumerate().rev().step_by(stride);
    shown.map(|(at, entry)| (at as f64, entry.label.chars().take(FIT).collect())).collect()
}

fn course(entries: &[&HistoryEntry], engine: Engine<'_>, locate: Locate<'_>) -> Markup {
    let known = entries.iter().enumerate();
    let known = known.filter_map(|(at, entry)| Some((at, *entry, mean(entry, engine)?)));
    let points: Vec<(&HistoryEntry, f64, (i32, i32))> =
        known.map(|(at, entry, mean)| (entry, mean, locate(at as f64, mean.log10()))).collect();
    let line: Vec<String> = points.iter().map(|(_, _, (x, y))| format!("{x},{y}")).collect();
    html! {
        g.(engine.class()).(engine.colour()) {
            polyline.course points=(line.join(" ")) {}
            @for (entry, mean, (x, y)) in &points {
                g {
                    title {
                        (engine.name()) ", " (entry.label) ", " (format::date(entry.created)) ": "
                        (format::times(*mean))
                    }
                    (engine.mark_at(*x, *y))
                }
            }
        }
    }
}

/// The plot in numbers, newest first.
fn table(view: &View<'_>, entries: &[&HistoryEntry]) -> Markup {
    html! {
        details.data {
            summary { "The runs as a table" }
            div.scroll.boxed tabindex="0" role="region" aria-label="History, table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Run" }
                            th scope="col" { "Begun" }
                            @for engine in view.others() {
                                th.number.(engine.class()) scope="col" { (engine.name()) }
                            }
                        }
                    }
                    tbody {
                        @for entry in entries.iter().rev() {
                            tr {
                                th scope="row" { (entry.label) }
                                td { (format::date(entry.created)) }
                                @for engine in view.others() {
                                    td.number.(engine.class()) {
                                        (mean(entry, *engine).map_or("–".to_owned(), format::times))
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The kernels whose speed changed most since the run before.
fn changes(before: &HistoryEntry, now: &HistoryEntry, engine: Engine<'_>) -> Markup {
    let speed = |entry: &HistoryEntry, kernel: &str| {
        view::positive(*entry.kernels.get(kernel)?.get(engine.name())?)
    };
    let changed = now.kernels.keys().filter_map(|kernel| {
        let (old, new) = (speed(before, kernel)?, speed(now, kernel)?);
        Some((kernel.as_str(), old, new)).filter(|_| (new / old - 1.0).abs() >= LEAST_CHANGE)
    });
    let mut changed: Vec<(&str, f64, f64)> = changed.collect();
    let size = |(_, old, new): &(&str, f64, f64)| (new / old).ln().abs();
    changed.sort_by(|one, other| size(other).total_cmp(&size(one)));
    let percent = |old: f64, new: f64| format!("{:+.0}\u{a0}%", (new / old - 1.0) * 100.0);
    html! {
        h3 { "Changes since " (before.label) }
        @if changed.is_empty() {
            p { "No kernel's speed under " (engine.name()) " changed by 3\u{a0}% or more." }
        } @else {
            p { "Speeds under " (engine.name()) ", the " (changed.len().min(CHANGES)) " largest changes of "
                (changed.len()) " that are 3\u{a0}% or more:" }
            ul.changes {
                @for (kernel, old, new) in changed.iter().take(CHANGES) {
                    li {
                        span.name { (view::wrapping(kernel)) } " " (format::times(*old)) " → "
                        (format::times(*new)) " (" (percent(*old, *new)) ")"
                    }
                }
            }
        }
    }
}
