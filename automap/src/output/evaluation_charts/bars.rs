//! Amounts side by side, one row each, a row in one or several parts: stacked bars.

use plotters::{
    prelude::{ChartBuilder, IntoFont as _, Rectangle, Text},
    style::{
        Color as _, IntoTextStyle as _, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{drawn, failed, palette};

const WIDTH: i32 = 760;
const ROW_HEIGHT: u32 = 26;
const LABELS: i32 = 190;
const VALUES: i32 = 130;
const AXIS: u32 = 44;
const LEGEND_ROW: u32 = 22;
/// Share of a row's height that its bar fills.
const FILLED: f64 = 0.62;
/// Least width of a bar, as a share of the axis: what is not zero is seen.
const LEAST_SHARE: f64 = 0.004;

/// One row of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct BarRow {
    /// Who or what.
    pub label: String,
    /// One amount per part, from the left, each >= 0.
    pub parts: Vec<f64>,
    /// The amounts in words, behind the bar.
    pub text: String,
}

/// Bars of `rows` from the top down along an axis `name` from 0 to `to`. `legend` has the names and colours of the
/// parts in order; it is shown where there are several.
///
/// # Errors
/// The chart cannot be drawn.
pub fn bars(name: &str, legend: &[(&str, RGBColor)], rows: &[BarRow], to: f64) -> anyhow::Result<String> {
    let legend_height = if legend.len() > 1 { LEGEND_ROW * legend.len() as u32 + 6 } else { 0 };
    let count = rows.len().max(1) as f64;
    let to = if to > 0.0 { to } else { 1.0 };
    drawn(WIDTH.cast_unsigned(), ROW_HEIGHT * rows.len() as u32 + AXIS + 8 + legend_height, |surface| {
        let mut chart = ChartBuilder::on(surface)
            .margin_left(LABELS)
            .margin_right(VALUES)
            .margin_top(8 + legend_height.cast_signed())
            .x_label_area_size(AXIS)
            .build_cartesian_2d(0.0..to, 0.0..count)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(6)
            .x_max_light_lines(0)
            .x_label_formatter(&|value| short(*value))
            .x_desc(name)
            .axis_style(palette::GRID)
            .bold_line_style(palette::GRID)
            .label_style(("sans-serif", 13).into_font().color(&palette::MUTED))
            .draw()
            .map_err(failed)?;
        if legend.len() > 1 {
            for (index, (part, color)) in legend.iter().enumerate() {
                let y = (LEGEND_ROW * index as u32 + 14).cast_signed();
                let key = Rectangle::new([(LABELS, y - 6), (LABELS + 14, y + 6)], color.filled());
                surface.draw(&key).map_err(failed)?;
                let style = ("sans-serif", 13).into_text_style(surface).color(&palette::INK);
                let style = style.pos(Pos::new(HPos::Left, VPos::Center));
                surface.draw(&Text::new(*part, (LABELS + 22, y), style)).map_err(failed)?;
            }
        }
        for (index, row) in rows.iter().enumerate() {
            let middle = count - index as f64 - 0.5;
            let mut from = 0.0;
            for (&amount, (_, color)) in row.parts.iter().zip(legend).filter(|(amount, _)| **amount > 0.0) {
                let end = (from + amount.max(LEAST_SHARE * to)).min(to);
                let corners = [(from, middle - FILLED / 2.0), (end, middle + FILLED / 2.0)];
                chart.draw_series([Rectangle::new(corners, color.filled())]).map_err(failed)?;
                from = end;
            }
            let (_, y) = chart.backend_coord(&(0.0, middle));
            let style = |horizontal: HPos| {
                let font = ("sans-serif", 14).into_text_style(surface).color(&palette::INK);
                font.pos(Pos::new(horizontal, VPos::Center))
            };
            let label = Text::new(row.label.as_str(), (LABELS - 12, y), style(HPos::Right));
            surface.draw(&label).map_err(failed)?;
            let text = Text::new(row.text.as_str(), (WIDTH - VALUES + 12, y), style(HPos::Left));
            surface.draw(&text).map_err(failed)?;
        }
        Ok(())
    })
}

/// A number on an axis without needless digits.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_that_is_not_zero_is_a_bar_and_every_row_tells_its_amounts() {
        let legend = [("found", palette::ACCENT), ("missed", palette::MUTED)];
        let row = |label: &str, parts: &[f64]| BarRow {
            label: label.into(),
            parts: parts.to_vec(),
            text: format!("{parts:?}"),
        };
        let svg = bars("incidents", &legend, &[row("a<b", &[3.0, 1.0]), row("c", &[4.0, 0.0])], 4.0).unwrap();
        // Two keys of the legend and three parts.
        assert_eq!(svg.matches("<rect").count(), 5, "{svg}");
        assert!(svg.contains("a&lt;b") && svg.contains("[3.0, 1.0]") && svg.contains("missed"));
        assert!(bars("seconds", &legend[..1], &[row("a", &[0.0])], 0.0).unwrap().contains("seconds"));
    }

    #[test]
    fn numbers_on_an_axis_have_no_needless_digits() {
        assert_eq!(["0", "0.25", "20"], [0.0, 0.25, 20.0].map(short).each_ref().map(String::as_str));
    }
}
