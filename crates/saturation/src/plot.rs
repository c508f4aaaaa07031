//! Speeds over sizes as a picture.

use plotters::prelude::*;
use std::collections::BTreeMap;

/// One run.
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// The kind of workload: a panel for each.
    pub workload: String,
    /// The engine: a line for each.
    pub engine: String,
    /// Nodes in the end, as Egraft counts them.
    pub nodes: usize,
    /// Seconds to the fixpoint.
    pub seconds: f64,
}

const PANEL: (u32, u32) = (420, 340);
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 95, 175),
    RGBColor(90, 160, 220),
    RGBColor(200, 80, 30),
    RGBColor(120, 60, 150),
    RGBColor(30, 130, 70),
    RGBColor(110, 110, 110),
];

/// An SVG picture: nodes in the end across, nodes for each second upwards, both logarithmic; where two lines cross the
/// engines are equally fast. Nothing if there are no points.
///
/// # Errors
/// What the drawing library says.
pub fn plot(points: &[Point]) -> Result<Option<String>, String> {
    let mut panels: Panels<'_> = BTreeMap::new();
    for point in points.iter().filter(|point| point.seconds > 0.0 && point.nodes > 0) {
        let place = (point.nodes as f64, point.nodes as f64 / point.seconds);
        let lines = panels.entry(&point.workload).or_default();
        lines.entry(&point.engine).or_default().push(place);
    }
    if panels.is_empty() {
        return Ok(None);
    }
    let mut engines: Vec<&str> = points.iter().map(|point| &*point.engine).collect();
    engines.sort_unstable();
    engines.dedup();
    let mut text = String::new();
    draw(&panels, &engines, &mut text).map_err(|error| error.to_string())?;
    Ok(Some(text))
}

type Panels<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<(f64, f64)>>>;

fn draw(
    panels: &Panels<'_>,
    engines: &[&str],
    text: &mut String,
) -> Result<(), Box<dyn std::error::Error>> {
    let size = (PANEL.0 * panels.len() as u32, PANEL.1);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((1, panels.len()));
    for ((name, lines), area) in panels.iter().zip(areas) {
        let all = || lines.values().flatten();
        let bound = |pick: fn(&(f64, f64)) -> f64| {
            let values = || all().map(pick);
            let low = values().fold(f64::MAX, f64::min);
            let high = values().fold(0.0, f64::max);
            low / 1.5..high * 1.5
        };
        let mut chart = ChartBuilder::on(&area)
            .caption(name, ("sans-serif", 16))
            .margin(10)
            .x_label_area_size(36)
            .y_label_area_size(60)
            .build_cartesian_2d(bound(|at| at.0).log_scale(), bound(|at| at.1).log_scale())?;
        let number = |value: &f64| format!("{value:.0e}");
        chart
            .configure_mesh()
            .x_desc("nodes at the fixpoint")
            .y_desc("nodes per second")
            .x_label_formatter(&number)
            .y_label_formatter(&number)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for (engine, places) in lines {
            let place = engines.iter().position(|one| one == engine).unwrap_or(0);
            let colour = COLOURS[place % COLOURS.len()];
            let mut places = places.clone();
            places.sort_by(|one, other| one.0.total_cmp(&other.0));
            chart
                .draw_series(LineSeries::new(places, colour.stroke_width(2)).point_size(3))?
                .label(*engine)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.3))
            .position(SeriesLabelPosition::LowerRight)
            .draw()?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_a_line_in_the_legend() {
        let point = |engine: &str, nodes, seconds| Point {
            workload: "sums".to_owned(),
            engine: engine.to_owned(),
            nodes,
            seconds,
        };
        let points = [point("egg", 1000, 0.1), point("egg", 10_000, 2.0), point("gpu", 1000, 0.4)];
        let svg = plot(&points).unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("egg") && svg.contains("gpu"));
        assert_eq!(plot(&[]), Ok(None));
    }
}
