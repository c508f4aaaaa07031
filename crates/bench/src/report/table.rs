//! The table of kernels: numbers, and a plot of speeds in each row that moves along with it.

use super::format;
use super::scale::LogScale;
use super::summary;
use super::view::{self, Engine, View};
use crate::results::{EngineResult, KernelResult};
use crate::stats::Estimate;
use maud::{Markup, html};

/// What a group of columns holds.
struct Measure {
    key: &'static str,
    title: &'static str,
    /// Whether the group is shown until a reader says otherwise.
    shown: bool,
    /// Whether the largest values are the good ones.
    descending: bool,
    cell: fn(&EngineResult) -> Option<Cell>,
}

/// A value of a column.
struct Cell {
    /// What to sort by.
    value: f64,
    text: String,
    /// A second line.
    more: String,
}

/// Ticks above plots in rows, which are narrow on a phone.
const TICKS: usize = 5;
const SPEED: &str = "speed";
const MEASURES: [Measure; 5] = [
    Measure {
        key: SPEED,
        title: "Speed",
        shown: true,
        descending: true,
        cell: |of| {
            let speed = view::sound(of.speed)?;
            Some(Cell {
                value: speed.value,
                text: format::times(speed.value),
                more: view::interval(speed),
            })
        },
    },
    Measure {
        key: "time",
        title: "Time",
        shown: true,
        descending: false,
        cell: |of| {
            let time = view::sound(of.time_ns)?;
            Some(Cell::new(time.value, format::time(time.value)))
        },
    },
    Measure {
        key: "compile",
        title: "Compile",
        shown: false,
        descending: false,
        cell: |of| {
            let time = view::positive(of.compile_min_ns()?)?;
            Some(Cell::new(time, format::time(time)))
        },
    },
    Measure {
        key: "code",
        title: "Code",
        shown: false,
        descending: false,
        cell: |of| {
            let bytes = of.code_bytes? as f64;
            Some(Cell::new(bytes, format::bytes(bytes)))
        },
    },
    Measure {
        key: "noise",
        title: "Noise",
        shown: false,
        descending: true,
        cell: |of| {
            let spread = of.spread.filter(|spread| spread.is_finite())?;
            let more = match of.outliers {
                0 => String::new(),
                1 => "1 outlier".to_owned(),
                count => format!("{count} outliers"),
            };
            Some(Cell { value: spread, text: format::percent(spread), more })
        },
    },
];

impl Cell {
    fn new(value: f64, text: String) -> Cell {
        Cell { value, text, more: String::new() }
    }
}

impl Measure {
    /// The engines that have it: speeds are over the first.
    fn engines<'v, 'a>(&self, view: &'v View<'a>) -> &'v [Engine<'a>] {
        if self.key == SPEED { view.others() } else { &view.engines }
    }
}

pub(super) fn section(view: &View<'_>) -> Markup {
    let kernels = &view.results.kernels;
    let ends = kernels.iter().flat_map(|kernel| {
        let speeds = view.others().iter().filter_map(|engine| view::speed(kernel, *engine));
        speeds.flat_map(|speed| [speed.low, speed.high]).collect::<Vec<_>>()
    });
    let ends: Vec<f64> = ends.collect();
    let scale = match ends.is_empty() {
        true => None,
        false => LogScale::around(ends.into_iter().chain([1.0]), 0.06),
    };
    html! {
        p {
            @if !view.others().is_empty() {
                "Speed is how many times as fast as " (view.base_name()) ", with its 95\u{a0}% \
                 interval; marks in the plots are speeds, and lines through them intervals. "
            }
            "Time is of one call, median. Compile is \
             the shortest compilation. Noise is the median distance of samples from their median."
        }
        div.controls {
            div.filter hidden {
                label for="filter" { "Filter by name" }
                input #filter type="search" autocomplete="off" spellcheck="false";
                span #shown.quiet role="status" {}
            }
            fieldset.choice hidden {
                legend { "Columns" }
                @for measure in MEASURES.iter().filter(|measure| !measure.engines(view).is_empty()) {
                    label {
                        input type="checkbox" data-hides={ "k-" (measure.key) } checked[measure.shown]
                            autocomplete="off";
                        (measure.title)
                    }
                }
            }
        }
        @if let Some(scale) = scale { (grid("kernels-grid", scale, TICKS)) }
        div.scroll.tall tabindex="0" role="region" aria-label="Kernels, table" {
            table #kernels {
                thead { (header(view, scale)) }
                tbody { @for kernel in kernels { (row(view, kernel, scale)) } }
            }
        }
    }
}

fn header(view: &View<'_>, scale: Option<LogScale>) -> Markup {
    html! {
        tr {
            th.name scope="col" data-first="ascending" { "Kernel" }
            @if let Some(scale) = scale {
                th.chart scope="col" {
                    "Speed over " (view.base_name())
                    (axis(scale, TICKS))
                }
            }
            @for measure in &MEASURES {
                @for engine in measure.engines(view) {
                    th.number.(engine.class()).{ "k-" (measure.key) } scope="col"
                        data-first=(if measure.descending { "descending" } else { "ascending" }) {
                        span.what { (measure.title) } " " (engine.label())
                    }
                }
            }
        }
    }
}

/// The numbers above plots of speeds.
pub(super) fn axis(scale: LogScale, most: usize) -> Markup {
    html! {
        svg.axis height="14" aria-hidden="true" {
            @for tick in scale.ticks(most) {
                @let place = scale.place(tick);
                @let anchor = if place < 0.06 { "start" } else if place > 0.94 { "end" } else { "middle" };
                text x=(percent(place)) y="11" text-anchor=(anchor) { (format::times_short(tick)) }
            }
        }
    }
}

/// The lines behind plots of speeds, for references to them.
pub(super) fn grid(id: &str, scale: LogScale, most: usize) -> Markup {
    html! {
        svg.marks width="0" height="0" aria-hidden="true" {
            symbol.speeds id=(id) {
                @for tick in scale.ticks(most) {
                    @let place = percent(scale.place(tick));
                    line x1=(place) x2=(place) y1="0" y2="100%" {}
                }
                @let one = percent(scale.place(1.0));
                line.one x1=(one) x2=(one) y1="0" y2="100%" {}
            }
        }
    }
}

/// A reference to the lines of that name.
pub(super) fn lines(id: &str) -> Markup {
    html! { svg.lines aria-hidden="true" { use href={ "#" (id) } width="100%" height="100%" {} } }
}

fn row(view: &View<'_>, kernel: &KernelResult, scale: Option<LogScale>) -> Markup {
    html! {
        tr {
            th.name scope="row" data-v=(kernel.name) {
                (view::wrapping(&kernel.name))
                (remarks(view, kernel))
            }
            @if let Some(scale) = scale {
                td.chart {
                    (lines("kernels-grid"))
                    @for engine in view.others() {
                        @if let Some(speed) = view::speed(kernel, *engine) {
                            (lane(*engine, speed, scale, view.base_name()))
                        } @else {
                            svg.lane.(engine.class()) height="11" aria-hidden="true" {}
                        }
                    }
                }
            }
            @for measure in &MEASURES {
                @for engine in measure.engines(view) {
                    (cell(view::of(kernel, *engine), measure, *engine))
                }
            }
        }
    }
}

/// What a reader must know of a kernel: differences and failures.
fn remarks(view: &View<'_>, kernel: &KernelResult) -> Markup {
    let failures = view
        .engines
        .iter()
        .filter_map(|engine| Some((*engine, view::of(kernel, *engine)?.failure.as_deref()?)));
    html! {
        @if kernel.outputs_equal == Some(false) {
            div.flag {
                "Outputs differ" @if let Some(difference) = &kernel.difference { ": " (difference) }
            }
        } @else if let Some(difference) = &kernel.difference {
            div.flag { (difference) }
        }
        @for (engine, why) in failures {
            div.flag.(engine.class()) { (engine.name()) " failed: " (why) }
        }
    }
}

fn cell(of: Option<&EngineResult>, measure: &Measure, engine: Engine<'_>) -> Markup {
    let cell = of.and_then(measure.cell);
    let class = format!("{} k-{}", engine.class(), measure.key);
    html! {
        @match (cell, of) {
            (Some(cell), _) => {
                td.number.(class) data-v=(cell.value) {
                    (cell.text)
                    @if !cell.more.is_empty() { br; small { (cell.more) } }
                }
            }
            (None, Some(of)) if of.failure.is_some() => { td.number.(class) { small { "failed" } } }
            _ => { td.number.(class) { "–" } }
        }
    }
}

/// A speed as a bar from 1, with its interval and the engine's mark.
pub(super) fn lane(engine: Engine<'_>, speed: Estimate, scale: LogScale, base: &str) -> Markup {
    let (one, value) = (scale.place(1.0), scale.place(speed.value));
    let (low, high) = (percent(scale.place(speed.low)), percent(scale.place(speed.high)));
    html! {
        svg.lane.(engine.class()).(engine.colour()) role="img" height="11" {
            title { (summary::in_words(engine, speed, base)) }
            rect.touch width="100%" height="11" {}
            rect.bar x=(percent(one.min(value))) width=(percent((value - one).abs())) y="3.5" height="4" {}
            line x1=(low) x2=(high) y1="5.5" y2="5.5" {}
            (engine.mark_within(&percent(value), 5.5))
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}
