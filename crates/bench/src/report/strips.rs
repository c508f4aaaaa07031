//! Compile times and code sizes: for each engine a strip with a mark for each kernel.

use super::ReportError;
use super::format;
use super::plot::{Axis, Locate, Plot};
use super::scale::LogScale;
use super::view::{self, Engine, View};
use crate::results::EngineResult;
use crate::stats;
use maud::{Markup, html};

/// What is on the strips.
struct Quantity {
    id: &'static str,
    title: &'static str,
    axis: &'static str,
    of: fn(&EngineResult) -> Option<f64>,
    format: fn(f64) -> String,
    short: fn(f64) -> String,
}

/// An engine's values, by kernel.
struct Strip<'a> {
    engine: Engine<'a>,
    values: Vec<(&'a str, f64)>,
    median: f64,
}

pub(super) fn compile_times(view: &View<'_>) -> Result<Markup, ReportError> {
    let quantity = Quantity {
        id: "compile-plot",
        title: "Compile time",
        axis: "compile time of a kernel's module",
        of: EngineResult::compile_min_ns,
        format: format::time,
        short: format::time_short,
    };
    let drawing = section(view, &quantity)?;
    Ok(html! {
        p {
            "The shortest compilation of each kernel's module, one mark for each kernel; the line is the \
             median. Kernels differ in size, so compare strips and not marks."
        }
        (drawing)
    })
}

pub(super) fn code_sizes(view: &View<'_>) -> Result<Markup, ReportError> {
    let quantity = Quantity {
        id: "size-plot",
        title: "Code size",
        axis: "machine code of a kernel's module",
        of: |result| result.code_bytes.map(|bytes| bytes as f64),
        format: format::bytes,
        short: format::bytes_short,
    };
    let drawing = section(view, &quantity)?;
    Ok(html! {
        p { "Machine code of each kernel's module, without data; the line is the median." }
        (drawing)
    })
}

fn section(view: &View<'_>, quantity: &Quantity) -> Result<Markup, ReportError> {
    let strips: Vec<Strip<'_>> =
        view.engines.iter().filter_map(|e| strip(view, *e, quantity)).collect();
    let values = strips.iter().flat_map(|strip| strip.values.iter().map(|(_, value)| *value));
    let Some(scale) = LogScale::around(values, 0.06) else {
        return Ok(html! { p { "Left out: no engine tells it." } });
    };
    let medians = strips
        .iter()
        .map(|strip| format!("{} {}", strip.engine.name(), (quantity.format)(strip.median)));
    let plot = Plot {
        id: quantity.id,
        title: quantity.title,
        description: format!("Medians: {}.", medians.collect::<Vec<_>>().join(", ")),
        size: (860, 60 + 36 * strips.len() as u32),
        left: 150,
        right: 110,
        x: Axis::log(scale.at_least(0.5), 8, quantity.short, quantity.axis),
        y: Axis { low: 0.0, high: strips.len() as f64, ticks: Vec::new(), title: String::new() },
    };
    let drawing = plot.draw(&[], |locate| {
        html! {
            @for (at, strip) in strips.iter().enumerate() {
                @let middle = (strips.len() - at) as f64 - 0.5;
                (draw(strip, middle, &plot, quantity, locate))
            }
        }
    })?;
    let silent =
        view.engines.iter().filter(|engine| strips.iter().all(|s| s.engine.at != engine.at));
    let silent: Vec<&str> = silent.map(|engine| engine.name()).collect();
    Ok(html! {
        (drawing)
        @if !silent.is_empty() { p { "Not known of: " (silent.join(", ")) "." } }
    })
}

fn strip<'a>(view: &View<'a>, engine: Engine<'a>, quantity: &Quantity) -> Option<Strip<'a>> {
    let values = view.results.kernels.iter().filter_map(|kernel| {
        let value = (quantity.of)(view::of(kernel, engine)?)?;
        Some((kernel.name.as_str(), view::positive(value)?))
    });
    let values: Vec<(&str, f64)> = values.collect();
    let all: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    let median = view::positive(stats::median(&all)?)?;
    Some(Strip { engine, values, median })
}

fn draw(
    strip: &Strip<'_>,
    middle: f64,
    plot: &Plot<'_>,
    quantity: &Quantity,
    locate: Locate<'_>,
) -> Markup {
    let engine = strip.engine;
    let (left, y) = locate(plot.x.low, middle);
    let (right, _) = locate(plot.x.high, middle);
    let (median, _) = locate(strip.median.log10(), middle);
    html! {
        g.(engine.class()).(engine.colour()) {
            (engine.mark_at(left - 138, y))
            text x=(left - 126) y=(y + 4) { (shortened(engine.name())) }
            @for (at, (name, value)) in strip.values.iter().enumerate() {
                @let (x, _) = locate(value.log10(), middle);
                // Seven and nineteen have no common divisor: marks spread over all heights.
                @let height = y - 9 + (at as i32 * 7) % 19;
                circle.dot cx=(x) cy=(height) r="3" {
                    title { (name) ", " (engine.name()) ": " ((quantity.format)(*value)) }
                }
            }
            line.median x1=(median) x2=(median) y1=(y - 14) y2=(y + 14) {}
            text.quiet x=(right + 10) y=(y + 4) { ((quantity.format)(strip.median)) }
        }
    }
}

/// A name that fits beside a strip.
fn shortened(name: &str) -> String {
    const FIT: usize = 18;
    match name.char_indices().nth(FIT) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
