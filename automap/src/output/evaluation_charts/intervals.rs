//! Figures with their intervals, one row each: a forest plot.

use plotters::{
    prelude::{ChartBuilder, Circle, IntoFont as _, PathElement, Text},
    style::{
        Color as _, IntoTextStyle as _,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{drawn, failed, palette};
use crate::evaluate::bootstrap::Estimate;

const PLOT: i32 = 320;
const ROW_HEIGHT: u32 = 26;
/// Room for one character of a label.
const CHARACTER: i32 = 8;
const VALUES: i32 = 150;
const AXIS: u32 = 44;

/// One row of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalRow {
    /// Who or what.
    pub label: String,
    /// The figure.
    pub estimate: Estimate,
    /// Whether the row stands out.
    pub accent: bool,
}

/// A forest plot of `rows` from the top down over the range `from`..`to` of the figure `name`. A line marks zero where
/// the range holds it.
///
/// # Errors
/// The chart cannot be drawn.
pub fn intervals(name: &str, rows: &[IntervalRow], from: f64, to: f64) -> anyhow::Result<String> {
    let count = rows.len() as f64;
    let longest = rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    let labels = CHARACTER * i32::try_from(longest).unwrap_or(0) + 24;
    let width = labels + PLOT + VALUES;
    drawn(width.cast_unsigned(), ROW_HEIGHT * rows.len() as u32 + AXIS + 8, |surface| {
        let mut chart = ChartBuilder::on(surface)
            .margin_left(labels)
            .margin_right(VALUES)
            .margin_top(8)
            .x_label_area_size(AXIS)
            .build_cartesian_2d(from..to, 0.0..count)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(6)
            .x_max_light_lines(0)
            // Adding zero makes minus zero the same zero.
            .x_label_formatter(&|value| format!("{:.1}", (value * 10.0).round() / 10.0 + 0.0))
            .x_desc(name)
            .axis_style(palette::GRID)
            .bold_line_style(palette::GRID)
            .label_style(("sans-serif", 13).into_font().color(&palette::MUTED))
            .draw()
            .map_err(failed)?;
        if from < 0.0 && to > 0.0 {
            let zero = PathElement::new(vec![(0.0, 0.0), (0.0, count)], palette::MUTED.stroke_width(1));
            chart.draw_series([zero]).map_err(failed)?;
        }
        for (index, row) in rows.iter().enumerate() {
            let height = count - index as f64 - 0.5;
            let color = if row.accent { palette::ACCENT } else { palette::INK };
            let within = |value: f64| value.clamp(from, to);
            let Estimate { value, low, high } = row.estimate;
            let whisker = vec![(within(low), height), (within(high), height)];
            chart.draw_series([PathElement::new(whisker, color.stroke_width(2))]).map_err(failed)?;
            chart.draw_series([Circle::new((within(value), height), 4, color.filled())]).map_err(failed)?;
            let (_, y) = chart.backend_coord(&(from, height));
            let style = |horizontal: HPos| {
                let font = ("sans-serif", 14).into_text_style(surface).color(&color);
                font.pos(Pos::new(horizontal, VPos::Center))
            };
            let label = Text::new(row.label.as_str(), (labels - 12, y), style(HPos::Right));
            surface.draw(&label).map_err(failed)?;
            let [value, low, high] = [value, low, high].map(two_digits);
            let values = format!("{value} ({low} to {high})");
            let place = (width - VALUES + 12, y);
            surface.draw(&Text::new(values, place, style(HPos::Left))).map_err(failed)?;
        }
        Ok(())
    })
}

/// Adding zero makes minus zero the same zero.
fn two_digits(value: f64) -> String {
    format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_name_a_whisker_a_point_and_its_numbers() {
        let row = |label: &str, accent| IntervalRow {
            label: label.into(),
            estimate: Estimate { value: 0.5, low: 0.25, high: 2.0 },
            accent,
        };
        let svg = intervals("AC@1", &[row("evidence", true), row("a<b", false)], 0.0, 1.0).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("evidence") && svg.contains("a&lt;b") && svg.contains("AC@1"));
        assert!(svg.contains("0.50 (0.25 to 2.00)"));
        assert!(svg.contains(&palette::hex(palette::ACCENT)));
    }
}
