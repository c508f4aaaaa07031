//! A result as the page shows it: engines with their marks, and numbers that can be drawn.

use super::format;
use crate::results::{EngineInfo, EngineResult, KernelResult, Results};
use crate::stats::Estimate;
use maud::{Markup, PreEscaped, html};

/// Marks of the engines, around a centre at 0 with a radius of 4, and whether they are hollow. Each
/// differs from the others without colour.
const MARKS: [(&str, bool); 12] = [
    ("M-3.6 0A3.6 3.6 0 1 1 3.6 0A3.6 3.6 0 1 1-3.6 0Z", true),
    ("M-4 0A4 4 0 1 1 4 0A4 4 0 1 1-4 0Z", false),
    ("M-3.5-3.5H3.5V3.5H-3.5Z", false),
    ("M0-4.6L4.4 3.2H-4.4Z", false),
    ("M0-4.9L4.4 0L0 4.9L-4.4 0Z", false),
    ("M-4-1.4H-1.4V-4H1.4V-1.4H4V1.4H1.4V4H-1.4V1.4H-4Z", false),
    ("M0 4.6L4.4-3.2H-4.4Z", false),
    ("M-3.2-3.2L3.2 3.2M-3.2 3.2L3.2-3.2", true),
    ("M-3.2-3.2H3.2V3.2H-3.2Z", true),
    ("M0-4.4L4-0L0 4.4L-4 0Z", true),
    ("M-4.2 0L-2.1-3.7H2.1L4.2 0L2.1 3.7H-2.1Z", false),
    ("M0-4.2L4 3H-4Z", true),
];

/// Colours of the marks on a light and on a dark page. Neighbours differ in lightness for eyes that see
/// fewer colours; all have a contrast of 3 : 1 or more to their page.
const COLOURS: [(&str, &str); 12] = [
    ("#56606e", "#a7b2c0"),
    ("#0059b3", "#5fb0ff"),
    ("#b84a00", "#ffa15e"),
    ("#007a5e", "#45d1a4"),
    ("#8f2f73", "#f29ad6"),
    ("#7d6200", "#e6c84f"),
    ("#2a86b8", "#9adcf7"),
    ("#c2303a", "#ff8d88"),
    ("#5546c2", "#b9afff"),
    ("#5c7d10", "#b8d96b"),
    ("#7a4a24", "#dba67e"),
    ("#14181f", "#f4f6f8"),
];

/// An engine, and where it stands among the others.
#[derive(Clone, Copy)]
pub(super) struct Engine<'a> {
    /// Its place; the first engine is the one that speeds are over.
    pub(super) at: usize,
    /// What the result says of it.
    pub(super) info: &'a EngineInfo,
}

impl<'a> Engine<'a> {
    /// Its name.
    pub(super) fn name(&self) -> &'a str {
        &self.info.name
    }

    /// The class of what disappears when the engine is not shown.
    pub(super) fn class(&self) -> String {
        format!("e{}", self.at)
    }

    /// The class that gives its colour.
    pub(super) fn colour(&self) -> String {
        format!("c{}", self.at % COLOURS.len())
    }

    /// Its mark, at a place of a drawing.
    pub(super) fn mark_at(&self, x: i32, y: i32) -> Markup {
        let (path, hollow) = MARKS[self.at % MARKS.len()];
        html! { path.mark.hollow[hollow] transform={ "translate(" (x) " " (y) ")" } d=(path) {} }
    }

    /// Its mark, at a share of a drawing's width.
    pub(super) fn mark_within(&self, x: &str, y: f64) -> Markup {
        let (path, hollow) = MARKS[self.at % MARKS.len()];
        html! { svg.place x=(x) y=(y) { path.mark.hollow[hollow] d=(path) {} } }
    }

    /// Its mark and its name.
    pub(super) fn label(&self) -> Markup {
        html! {
            span.engine {
                svg.(self.colour()) width="12" height="12" aria-hidden="true" {
                    (self.mark_at(6, 6))
                }
                (wrapping(self.name()))
            }
        }
    }
}

/// A result with its engines numbered.
pub(super) struct View<'a> {
    /// The result.
    pub(super) results: &'a Results,
    /// Its engines.
    pub(super) engines: Vec<Engine<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn new(results: &'a Results) -> View<'a> {
        let numbered = results.engines.iter().enumerate();
        View { results, engines: numbered.map(|(at, info)| Engine { at, info }).collect() }
    }

    /// The engine that speeds are over.
    pub(super) fn base(&self) -> Option<Engine<'a>> {
        self.engines.first().copied()
    }

    /// The engines that have a speed.
    pub(super) fn others(&self) -> &[Engine<'a>] {
        self.engines.get(1..).unwrap_or_default()
    }

    /// The engine that the page speaks of first: `egraft`, or else the first that has a speed.
    pub(super) fn main(&self) -> Option<Engine<'a>> {
        let egraft = self.others().iter().find(|engine| engine.name() == "egraft");
        egraft.or(self.others().first()).copied()
    }

    /// The name of the engine that speeds are over.
    pub(super) fn base_name(&self) -> &'a str {
        self.base().map_or("the first engine", |base| base.name())
    }
}

/// What an engine did with a kernel, if it has it.
pub(super) fn of<'k>(kernel: &'k KernelResult, engine: Engine<'_>) -> Option<&'k EngineResult> {
    kernel.engines.get(engine.name())
}

/// A number that can be drawn on a logarithmic scale.
pub(super) fn positive(value: f64) -> Option<f64> {
    (value.is_finite() && value > 0.0).then_some(value)
}

/// An estimate whose ends are numbers around its value, if its value can be drawn.
pub(super) fn sound(estimate: Option<Estimate>) -> Option<Estimate> {
    let Estimate { value, low, high } = estimate?;
    let value = positive(value)?;
    let (low, high) = (positive(low).unwrap_or(value), positive(high).unwrap_or(value));
    Some(Estimate { value, low: low.min(value), high: high.max(value) })
}

/// The speed of an engine with a kernel.
pub(super) fn speed(kernel: &KernelResult, engine: Engine<'_>) -> Option<Estimate> {
    sound(of(kernel, engine)?.speed)
}

/// The time of an engine for a kernel.
pub(super) fn time(kernel: &KernelResult, engine: Engine<'_>) -> Option<Estimate> {
    sound(of(kernel, engine)?.time_ns)
}

/// An interval: `1.80–1.86`.
pub(super) fn interval(estimate: Estimate) -> String {
    format!("{}–{}", format::multiple(estimate.low), format::multiple(estimate.high))
}

/// A name that may be broken after its separators.
pub(super) fn wrapping(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['_', ':', '.', '-', '/', ' ']) { (part) wbr; }
    }
}

/// Colours, and what hides an engine when the script says so.
///
/// `:has` would do without a script, and makes browsers think for a minute about large tables.
pub(super) fn style(engines: &[Engine<'_>]) -> String {
    use std::fmt::Write;
    let mut style = String::new();
    for (at, (light, dark)) in COLOURS.iter().enumerate() {
        let _ = writeln!(style, ".c{at} {{ --c: light-dark({light}, {dark}); }}");
    }
    for engine in engines {
        let at = engine.at;
        let _ = writeln!(style, ".no-e{at} .e{at} {{ display: none; }}");
    }
    style
}

/// Which engines are shown, everywhere on the page.
pub(super) fn chooser(engines: &[Engine<'_>]) -> Markup {
    html! {
        fieldset.choice hidden {
            legend { "Engines in table and plots" }
            @for engine in engines {
                label {
                    input type="checkbox" data-hides=(engine.class()) checked autocomplete="off";
                    (engine.label())
                }
            }
        }
    }
}

/// Text that is HTML already.
pub(super) fn raw(text: String) -> Markup {
    PreEscaped(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_made_sound() {
        let of = |value, low, high| sound(Some(Estimate { value, low, high }));
        let whole = |value, low, high| Some(Estimate { value, low, high });
        assert_eq!(of(2.0, 1.0, 3.0), whole(2.0, 1.0, 3.0));
        assert_eq!(of(2.0, f64::NAN, f64::INFINITY), whole(2.0, 2.0, 2.0));
        assert_eq!(of(2.0, 3.0, 1.0), whole(2.0, 2.0, 2.0));
        assert_eq!(of(f64::NAN, 1.0, 1.0), None);
        assert_eq!(of(0.0, 0.0, 0.0), None);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(wrapping("a_<b>").into_string(), "a_<wbr>&lt;b&gt;<wbr>");
    }
}
