//! Recorded and computed replicas over time, as a picture.
//!
//! For: one panel for each pool, with the same time below all of them. Never decides what is compared.

use std::path::Path;

use plotters::prelude::*;
use trimtab_control::time::Time;

use super::comparison::{Comparison, OPEN_LOOP, Pool};
use crate::failure::Failure;

/// Panels of one picture.
const PANELS: usize = 16;
const WIDTH: u32 = 1100;
const PANEL: u32 = 260;
const HEAD: u32 = 44;
const RECORDED: RGBColor = RGBColor(0x1f, 0x4e, 0x9c);
const COMPUTED: RGBColor = RGBColor(0xd9, 0x5f, 0x0e);

/// Writes the picture.
pub(super) fn draw(file: &Path, comparisons: &[Comparison]) -> anyhow::Result<()> {
    let panels: Vec<(&Comparison, &Pool)> =
        comparisons.iter().flat_map(|c| c.pools.iter().map(move |pool| (c, pool))).take(PANELS).collect();
    let place = file.display().to_string();
    if panels.is_empty() {
        let fix = "choose another --from and --to";
        return Err(Failure::new(place, "there is no decision to draw in this period", fix).into());
    }
    let text = picture(&panels).map_err(|error| Failure::new(place.as_str(), error, ""))?;
    std::fs::write(file, text)
        .map_err(|error| Failure::new(place, format!("it cannot be written: {error}"), "name another file").into())
}

fn picture(panels: &[(&Comparison, &Pool)]) -> Result<String, String> {
    let from = panels.iter().filter_map(|(_, pool)| Some(pool.points.first()?.at)).min().unwrap_or_default();
    let until = panels.iter().map(|(comparison, _)| comparison.until).max().unwrap_or_default();
    let mut text = String::new();
    {
        let size = (WIDTH, HEAD + PANEL * panels.len() as u32);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let wrong = |error: &dyn std::fmt::Display| error.to_string();
        area.fill(&WHITE).map_err(|e| wrong(&e))?;
        let (head, below) = area.split_vertically(HEAD);
        let style = TextStyle::from(("sans-serif", 16)).color(&BLACK);
        head.draw_text("Replicas, recorded and computed", &style, (16, 8)).map_err(|e| wrong(&e))?;
        let style = TextStyle::from(("sans-serif", 12)).color(&RGBColor(0x66, 0x66, 0x66));
        head.draw_text(OPEN_LOOP, &style, (16, 28)).map_err(|e| wrong(&e))?;
        for (area, (comparison, pool)) in below.split_evenly((panels.len(), 1)).iter().zip(panels) {
            panel(area, comparison, pool, (from, until)).map_err(|e| wrong(&e))?;
        }
        area.present().map_err(|e| wrong(&e))?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Broken<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn panel<'a>(
    area: &Area<'a>,
    comparison: &Comparison,
    pool: &Pool,
    (from, until): (Time, Time),
) -> Result<(), Broken<'a>> {
    let numbers = |of: fn(&super::comparison::Point) -> Option<(u32, u32)>| -> Vec<(f64, f64)> {
        steps(
            &pool
                .points
                .iter()
                .map(|point| (point.at, of(point).map_or(0, |(serving, _)| serving)))
                .collect::<Vec<_>>(),
            until,
        )
    };
    let (recorded, computed) = (numbers(|p| p.recorded), numbers(|p| p.computed));
    let most = recorded.iter().chain(&computed).map(|(_, n)| *n).fold(1.0, f64::max);
    let end = (until.0 as f64).max(from.0 as f64 + 1_000.0);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}, pool {}", comparison.workload, pool.name), ("sans-serif", 14))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(from.0 as f64..end, 0.0..(most * 1.15).max(most + 0.5))?;
    let long = end - from.0 as f64 > 36.0 * 3_600_000.0;
    let label = move |at: &f64| {
        let at = jiff::Timestamp::from_millisecond(*at as i64).unwrap_or_default();
        if long { at.strftime("%m-%d %H:%M").to_string() } else { at.strftime("%H:%M:%S").to_string() }
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0xdd, 0xdd, 0xdd))
        .x_labels(9)
        .y_labels(6)
        .x_label_formatter(&label)
        .y_label_formatter(&|n: &f64| format!("{n:.0}"))
        .x_desc("time, UTC")
        .y_desc("replicas")
        .label_style(("sans-serif", 11))
        .axis_desc_style(("sans-serif", 12))
        .draw()?;
    for (points, colour, name) in [(recorded, RECORDED, "recorded"), (computed, COMPUTED, "computed")] {
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points, style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(0xbb, 0xbb, 0xbb))
        .label_font(("sans-serif", 12))
        .draw()?;
    Ok(())
}

/// The corners of a line that holds each number until the next.
fn steps(points: &[(Time, u32)], until: Time) -> Vec<(f64, f64)> {
    let mut corners: Vec<(f64, f64)> = Vec::new();
    for (at, replicas) in points {
        if let Some((_, before)) = corners.last().copied() {
            corners.push((at.0 as f64, before));
        }
        corners.push((at.0 as f64, f64::from(*replicas)));
    }
    if let Some((_, last)) = corners.last().copied() {
        corners.push((until.0 as f64, last));
    }
    corners
}
