//! The top of the page: what was measured where, and what came of it.

use super::format;
use super::scale::LogScale;
use super::table;
use super::view::{self, Engine, View};
use crate::results::Geomean;
use crate::stats::Estimate;
use maud::{Markup, html};

/// Ticks above the plot, which is a third of the table.
const TICKS: usize = 4;

/// How kernels went under an engine, beside the base.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Tally {
    /// The interval is above 1.
    faster: usize,
    /// The interval is below 1.
    slower: usize,
    /// The interval holds 1.
    same: usize,
    /// There is a reason instead of a time.
    failed: usize,
}

fn tally(view: &View<'_>, engine: Engine<'_>) -> Tally {
    let mut tally = Tally::default();
    for kernel in &view.results.kernels {
        tally.failed +=
            usize::from(view::of(kernel, engine).is_some_and(|of| of.failure.is_some()));
        match view::speed(kernel, engine) {
            Some(speed) if speed.low > 1.0 => tally.faster += 1,
            Some(speed) if speed.high < 1.0 => tally.slower += 1,
            Some(_) => tally.same += 1,
            None => {}
        }
    }
    tally
}

/// What is said first: numbers of the engine that the page is about.
pub(super) fn figures(view: &View<'_>) -> Markup {
    let kernels = view.results.kernels.len();
    let wrong =
        view.results.kernels.iter().filter(|kernel| kernel.outputs_equal == Some(false)).count();
    let mean = view.main().and_then(|main| Some((main, view.results.geomean.get(main.name())?)));
    html! {
        dl.figures {
            @if let Some((main, mean)) = mean {
                @if let Some(speed) = view::sound(Some(mean.speed)) {
                    div.first {
                        dt { (main.name()) " is" }
                        dd {
                            b { (format::times(speed.value)) }
                            span { "as fast as " (view.base_name()) ", geometric mean of " (mean.kernels)
                                (plural(mean.kernels, " kernel", " kernels")) ", 95\u{a0}% interval "
                                (view::interval(speed)) }
                        }
                    }
                }
                @let tally = tally(view, main);
                div {
                    dt { "Faster in" }
                    dd { b { (tally.faster) } span { "kernels, slower in " (tally.slower) ", no clear \
                        difference in " (tally.same) } }
                }
                @if let Some(compile) = mean.compile.and_then(view::positive) {
                    div {
                        dt { "Compiling takes" }
                        dd { b { (format::times(compile)) } span { "the time of " (view.base_name()) } }
                    }
                }
                @if let Some(code) = mean.code.and_then(view::positive) {
                    div {
                        dt { "Code has" }
                        dd { b { (format::times(code)) } span { "the size of " (view.base_name()) "'s" } }
                    }
                }
            } @else {
                div {
                    dt { "Measured" }
                    dd {
                        b { (kernels) }
                        span { (plural(kernels, "kernel", "kernels")) " under " (view.engines.len())
                            (plural(view.engines.len(), " engine", " engines")) }
                    }
                }
            }
        }
        @if wrong > 0 {
            p.flag { (wrong) (plural(wrong, " kernel has", " kernels have"))
                " outputs that differ between engines; see the table." }
        }
    }
}

/// The engines, each with its means.
pub(super) fn engines(view: &View<'_>) -> Markup {
    let means = view.results.geomean.values().filter_map(|mean| view::sound(Some(mean.speed)));
    let ends = means.flat_map(|speed| [speed.low, speed.high]);
    let scale = match view.others() {
        [] => None,
        _ => LogScale::around(ends.chain([1.0]), 0.12),
    };
    html! {
        p {
            "Geometric means over " (view.base_name()) " of the kernels that both ran, with 95\u{a0}% \
             intervals. Faster and slower count kernels whose interval excludes 1."
        }
        @if let Some(scale) = scale { (table::grid("engines-grid", scale, TICKS)) }
        div.scroll.boxed tabindex="0" role="region" aria-label="Engines, table" {
            table.engines {
                thead {
                    tr {
                        th scope="col" { "Engine" }
                        th scope="col" { "Speed" }
                        th.chart scope="col" {
                            span.unseen { "Speed as a plot" }
                            @if let Some(scale) = scale { (table::axis(scale, TICKS)) }
                        }
                        th.number scope="col" { "Kernels" }
                        th.number scope="col" { "Faster" }
                        th.number scope="col" { "Slower" }
                        th.number scope="col" { "Failed" }
                        th.number scope="col" { "Compile time" }
                        th.number scope="col" { "Code size" }
                    }
                }
                tbody { @for engine in &view.engines { (row(view, *engine, scale)) } }
            }
        }
    }
}

fn row(view: &View<'_>, engine: Engine<'_>, scale: Option<LogScale>) -> Markup {
    let is_base = engine.at == 0;
    let mean = view.results.geomean.get(engine.name()).filter(|_| !is_base);
    let speed = mean.and_then(|mean| view::sound(Some(mean.speed)));
    let tally = tally(view, engine);
    let multiple = |of: fn(&Geomean) -> Option<f64>| match (is_base, mean.and_then(of)) {
        (true, _) => "1×".to_owned(),
        (false, Some(value)) if value.is_finite() => format::times(value),
        _ => "–".to_owned(),
    };
    let count = |count: usize| if is_base { "–".to_owned() } else { count.to_string() };
    html! {
        tr {
            th scope="row" {
                (engine.label())
                div.about { (engine.info.about) }
                @if !engine.info.settings.is_empty() { div.about { code { (engine.info.settings) } } }
            }
            td.mean { @match (is_base, speed) {
                (true, _) => { b { "1×" } " " span.quiet { "by definition" } }
                (false, Some(speed)) => {
                    b { (format::times(speed.value)) } " " span.quiet { (view::interval(speed)) }
                }
                _ => "–",
            } }
            td.chart { @if let Some(scale) = scale {
                (table::lines("engines-grid"))
                @if let Some(speed) = speed { (table::lane(engine, speed, scale, view.base_name())) }
            } }
            td.number { (mean.map_or_else(|| "–".to_owned(), |mean| mean.kernels.to_string())) }
            td.number { (count(tally.faster)) }
            td.number { (count(tally.slower)) }
            td.number { (tally.failed) }
            td.number { (multiple(|mean| mean.compile)) }
            td.number { (multiple(|mean| mean.code)) }
        }
    }
}

/// Where and how it was measured.
pub(super) fn setting(view: &View<'_>) -> Markup {
    let (machine, settings) = (&view.results.machine, &view.results.settings);
    let thread = match machine.pinned_to {
        Some(thread) => format!("bound to thread {thread} of {}", machine.threads),
        None => format!("free to use {} threads", machine.threads),
    };
    html! {
        dl.setting {
            (pair("Processor", machine.cpu.as_deref().unwrap_or("not known")))
            (pair("System", &format!("{} on {}", machine.os, machine.arch)))
            @if let Some(memory) = machine.memory_bytes { (pair("Memory", &format::bytes(memory as f64))) }
            (pair("Engines", &thread))
            @if let Some(peaks) = &machine.peaks {
                (pair("Peaks of a thread", &format!(
                    "memory {}B/s, first-level cache {}B/s, {} operations a second on lanes of 32 bits in \
                     vectors of {} bits",
                    format::rate(peaks.memory_bytes_per_s),
                    format::rate(peaks.cache_bytes_per_s),
                    format::rate(peaks.ops32_per_s),
                    peaks.vector_bits
                )))
            }
            @for (name, version) in &view.results.versions { (pair(name, version)) }
            (pair("Samples", &format!(
                "{} {} of each engine for each kernel, {} {} each",
                settings.processes,
                plural(settings.processes as usize, "process", "processes"),
                settings.rounds,
                plural(settings.rounds as usize, "sample", "samples")
            )))
            (pair("Code for", &settings.cpu))
            (pair("Egraft's effort", &settings.effort.to_string()))
            (pair("Size of arguments", &format!("number {}", settings.size)))
            (pair("Kernels from", &settings.directory.display().to_string()))
            @if let Some(base) = &settings.base_directory {
                (pair("Older kernels from", &base.display().to_string()))
            }
        }
        @if !machine.notes.is_empty() {
            h3 { "Notes on the machine" }
            ul.notes { @for note in &machine.notes { li { (note) } } }
        }
    }
}

fn pair(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// What an estimate of a speed says, for people who cannot see it.
pub(super) fn in_words(engine: Engine<'_>, speed: Estimate, base: &str) -> String {
    format!(
        "{}: {} as fast as {base}, 95\u{a0}% interval {}",
        engine.name(),
        format::times(speed.value),
        view::interval(speed)
    )
}
