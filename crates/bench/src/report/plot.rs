//! Frames of plots: axes, grid and lines by `plotters`, whose colours the page's style replaces; what
//! stands in them is drawn by the caller, with marks that can be hidden and pointed at.

use super::ReportError;
use super::scale::LogScale;
use super::view;
use maud::{Markup, html};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

/// Stand-ins for colours of the page: text, quiet text, grid, lines. The style names them again.
const INK: RGBColor = RGBColor(1, 1, 1);
const QUIET: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);
const LINE: RGBColor = RGBColor(4, 4, 4);
/// `plotters` divides sizes of text by 1.24.
const TEXT: f64 = 12.0 * 1.24;

/// An axis. Logarithmic ones have logarithms as coordinates.
#[derive(Clone)]
pub(super) struct Axis {
    /// Coordinate of the lower end.
    pub(super) low: f64,
    /// Coordinate of the upper end.
    pub(super) high: f64,
    /// Coordinates and texts of the ticks.
    pub(super) ticks: Vec<(f64, String)>,
    /// What is on it, with the unit; empty if that is clear.
    pub(super) title: String,
}

impl Axis {
    pub(super) fn log(
        scale: LogScale,
        most: usize,
        format: fn(f64) -> String,
        title: &str,
    ) -> Axis {
        let ticks = scale.ticks(most).into_iter().map(|tick| (tick.log10(), format(tick)));
        let (low, high) = (scale.low, scale.high);
        Axis { low, high, ticks: ticks.collect(), title: title.to_owned() }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| *tick).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let tick = self.ticks.iter().find(|(tick, _)| tick == value);
        tick.map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

/// A plot.
pub(super) struct Plot<'a> {
    /// A name for it in `id`s.
    pub(super) id: &'a str,
    /// Its title, which is read aloud.
    pub(super) title: &'a str,
    /// What it shows, in words, which is read aloud.
    pub(super) description: String,
    /// Width and height.
    pub(super) size: (u32, u32),
    /// Space for the labels of the vertical axis.
    pub(super) left: u32,
    /// Space at the right end.
    pub(super) right: u32,
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
}

/// Where in the drawing a pair of coordinates is.
pub(super) type Locate<'a> = &'a dyn Fn(f64, f64) -> (i32, i32);

impl Plot<'_> {
    /// Draws the frame, lines through coordinates, and on top what `over` makes.
    pub(super) fn draw(
        &self,
        lines: &[Vec<(f64, f64)>],
        over: impl FnOnce(Locate<'_>) -> Markup,
    ) -> Result<Markup, ReportError> {
        let (frame, over) = self.frame(lines, over).map_err(|error| ReportError::Plot {
            plot: self.title.to_owned(),
            error: error.to_string(),
        })?;
        let (width, height) = self.size;
        let (title, text) = (format!("{}-title", self.id), format!("{}-text", self.id));
        Ok(html! {
            div.scroll tabindex="0" role="region" aria-label={ (self.title) ", plot" } {
                svg.plot role="img" aria-labelledby=(title) aria-describedby=(text)
                    width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
                    title id=(title) { (self.title) }
                    desc id=(text) { (self.description) }
                    (view::raw(frame))
                    (over)
                }
            }
        })
    }

    fn frame(
        &self,
        lines: &[Vec<(f64, f64)>],
        over: impl FnOnce(Locate<'_>) -> Markup,
    ) -> Result<(String, Markup), DrawingAreaErrorKind<std::io::Error>> {
        let mut drawing = String::new();
        let over = {
            let area = SVGBackend::with_string(&mut drawing, self.size).into_drawing_area();
            let (x, y) = (&self.x, &self.y);
            let mut chart = ChartBuilder::on(&area)
                .margin_top(10)
                .margin_right(self.right)
                .x_label_area_size(if x.title.is_empty() { 28 } else { 48 })
                .y_label_area_size(self.left)
                .build_cartesian_2d(x.clone(), y.clone())?;
            let text = |colour: &RGBColor| ("sans-serif", TEXT).into_font().color(colour);
            chart
                .configure_mesh()
                .x_desc(&x.title)
                .y_desc(&y.title)
                .label_style(text(&QUIET))
                .axis_desc_style(text(&INK))
                .axis_style(GRID)
                .bold_line_style(GRID)
                .light_line_style(TRANSPARENT)
                .draw()?;
            for line in lines {
                chart.draw_series(LineSeries::new(line.iter().copied(), LINE.stroke_width(2)))?;
            }
            let over = over(&|x, y| chart.backend_coord(&(x, y)));
            area.present()?;
            over
        };
        // The page has an element of its own around it.
        let start = drawing.find('>').map_or(0, |at| at + 1);
        let end = drawing.rfind("</svg").unwrap_or(drawing.len());
        Ok((drawing.get(start..end).unwrap_or_default().to_owned(), over))
    }
}
