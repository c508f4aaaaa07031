//! The roofline: how much work a kernel does for each byte that it must move, against how fast it does
//! it, below what the machine can do.

use super::ReportError;
use super::format;
use super::plot::{Axis, Locate, Plot};
use super::scale::LogScale;
use super::view::{self, Engine, View};
use crate::results::{KernelResult, Peaks};
use maud::{Markup, html};

/// A kernel for which the work is known.
struct Point<'a> {
    kernel: &'a KernelResult,
    /// Lane operations per byte of its arguments.
    intensity: f64,
    /// Engines, with lane operations a second.
    rates: Vec<(Engine<'a>, f64)>,
}

/// The roofs, in operations or bytes a second.
#[derive(Clone, Copy)]
struct Roofs {
    memory: f64,
    cache: f64,
    ops: f64,
}

impl Roofs {
    fn of(peaks: &Peaks) -> Option<Roofs> {
        Some(Roofs {
            memory: view::positive(peaks.memory_bytes_per_s)?,
            cache: view::positive(peaks.cache_bytes_per_s)?,
            ops: view::positive(peaks.ops32_per_s)?,
        })
    }

    /// What memory and arithmetic allow at most.
    fn limit(&self, intensity: f64) -> f64 {
        (intensity * self.memory).min(self.ops)
    }
}

pub(super) fn section(view: &View<'_>) -> Result<Markup, ReportError> {
    let peaks = view.results.machine.peaks.as_ref();
    let Some((peaks, roofs)) = peaks.and_then(|peaks| Some((peaks, Roofs::of(peaks)?))) else {
        return Ok(html! { p { "Left out: the peaks of the machine were not measured." } });
    };
    let engines: Vec<Engine<'_>> = view.base().into_iter().chain(view.main()).collect();
    let points = points(view, &engines);
    let all = || points.iter().flat_map(|point| point.rates.iter().map(|(_, rate)| *rate));
    let x = LogScale::around(points.iter().map(|point| point.intensity), 0.08);
    let y = LogScale::around(all().chain([roofs.ops]), 0.08);
    let wide = |scale: Option<LogScale>| scale.map(|scale| scale.at_least(1.5));
    let (Some(x), Some(y), true) = (wide(x), wide(y), all().next().is_some()) else {
        return Ok(
            html! { p { "Left out: no kernel has both a time and a count of its operations." } },
        );
    };
    let plot = Plot {
        id: "roofline-plot",
        title: "Roofline",
        description: format!(
            "{} kernels by lane operations per byte and by lane operations a second. The roofs: {}B/s of \
             main memory, {}B/s of the first-level cache, {} operations a second.",
            points.len(),
            format::rate(roofs.memory),
            format::rate(roofs.cache),
            format::rate(roofs.ops)
        ),
        size: (860, 480),
        left: 74,
        right: 24,
        x: Axis::log(x, 9, format::short, "lane operations per byte of the arguments"),
        y: Axis::log(y, 9, format::rate_short, "lane operations a second"),
    };
    let lines = lines(x, y, roofs);
    let drawn: Vec<Vec<(f64, f64)>> = lines.iter().map(|(_, line)| line.to_vec()).collect();
    let drawing = plot.draw(&drawn, |locate| {
        html! {
            @for (label, line) in &lines { (along(label, line, locate)) }
            @for point in &points { (marks(point, locate)) }
        }
    })?;
    Ok(html! {
        p {
            "A point is a kernel under an engine. Work is counted in its wasm, where an operation on \
             vectors of 128 bits counts 4, for lanes of 32 bits; bytes are those of its arguments, each \
             moved once. The flat roof is for vectors of " (peaks.vector_bits) " bits: code that does \
             with one instruction what wasm has several for may rise above it, and kernels whose \
             arguments fit a cache above the roof of \
             main memory."
        }
        ul.legend { @for engine in &engines { li.(engine.class()) { (engine.label()) } } }
        (drawing)
        (table(view, &engines, &points, roofs))
    })
}

fn points<'a>(view: &View<'a>, engines: &[Engine<'a>]) -> Vec<Point<'a>> {
    let of_kernel = |kernel: &'a KernelResult| {
        let bytes = kernel.argument_bytes.iter().map(|bytes| *bytes as f64).sum::<f64>();
        let ops = view::positive(kernel.lane_ops? as f64)?;
        let intensity = view::positive(ops / bytes)?;
        let rates = engines.iter().filter_map(|engine| {
            let time = view::time(kernel, *engine)?;
            Some((*engine, view::positive(ops / time.value * 1e9)?))
        });
        Some(Point { kernel, intensity, rates: rates.collect() })
    };
    view.results
        .kernels
        .iter()
        .filter_map(of_kernel)
        .filter(|point| !point.rates.is_empty())
        .collect()
}

/// The roofs as far as they are within the plot, in logarithms.
fn lines(x: LogScale, y: LogScale, roofs: Roofs) -> Vec<(String, [(f64, f64); 2])> {
    let ops = roofs.ops.log10();
    let slope = |name: &str, bytes: f64| {
        let log = bytes.log10();
        let (from, to) = (x.low.max(y.low - log), x.high.min(ops - log));
        let label = format!("{name} {}B/s", format::rate(bytes));
        (from < to).then_some((label, [(from, from + log), (to, to + log)]))
    };
    let from = x.low.max(ops - roofs.cache.max(roofs.memory).log10());
    let label = format!("32-bit lanes {}op/s", format::rate(roofs.ops));
    let flat = (from < x.high).then_some((label, [(from, ops), (x.high, ops)]));
    [slope("memory", roofs.memory), slope("cache", roofs.cache), flat]
        .into_iter()
        .flatten()
        .collect()
}

/// The name of a roof, along it.
fn along(label: &str, line: &[(f64, f64); 2], locate: Locate<'_>) -> Markup {
    let [(x0, y0), (x1, y1)] = line.map(|(x, y)| {
        let (x, y) = locate(x, y);
        (f64::from(x), f64::from(y))
    });
    let angle = (y1 - y0).atan2(x1 - x0).to_degrees();
    let (length, flat) = ((x1 - x0).hypot(y1 - y0), angle.abs() < 1.0);
    let at = if flat { 1.0 } else { 0.5_f64.max(1.0 - 190.0 / length.max(1.0)) };
    let (x, y) = (x0 + (x1 - x0) * at, y0 + (y1 - y0) * at);
    html! {
        text.roof text-anchor=(if flat { "end" } else { "middle" })
            transform={ "translate(" (format!("{x:.0} {y:.0}")) ") rotate(" (format!("{angle:.1}")) ")" }
            y="-7" { (label) }
    }
}

fn marks(point: &Point<'_>, locate: Locate<'_>) -> Markup {
    let x = point.intensity.log10();
    html! {
        @for (engine, rate) in &point.rates {
            @let (x, y) = locate(x, rate.log10());
            g.(engine.class()).(engine.colour()) {
                title {
                    (point.kernel.name) ", " (engine.name()) ": " (format::digits(point.intensity))
                    " operations per byte, " (format::rate(*rate)) "op/s"
                }
                (engine.mark_at(x, y))
            }
        }
    }
}

/// The plot in numbers.
fn table(view: &View<'_>, engines: &[Engine<'_>], points: &[Point<'_>], roofs: Roofs) -> Markup {
    html! {
        details.data {
            summary { "The points as a table" }
            div.scroll.boxed tabindex="0" role="region" aria-label="Roofline, table" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Kernel" }
                            th.number scope="col" { "Operations per byte" }
                            th.number scope="col" { "Roof, op/s" }
                            @for engine in engines {
                                th.number scope="col" { (engine.name()) ", op/s" }
                            }
                        }
                    }
                    tbody {
                        @for point in points {
                            tr {
                                th scope="row" { (view::wrapping(&point.kernel.name)) }
                                td.number { (format::digits(point.intensity)) }
                                td.number { (format::rate(roofs.limit(point.intensity))) }
                                @for engine in engines {
                                    @let rate = point.rates.iter().find(|(of, _)| of.at == engine.at);
                                    @let text = rate.map(|(_, rate)| format::rate(*rate));
                                    td.number { (text.unwrap_or("–".to_owned())) }
                                }
                            }
                        }
                    }
                }
            }
            @let missing = view.results.kernels.len() - points.len();
            @if missing > 0 { p { (missing) " kernels have no time or no count of operations." } }
        }
    }
}
