//! Curves over the unit square.

use plotters::{
    prelude::{ChartBuilder, Circle, IntoFont as _, LineSeries, PathElement, Text},
    style::{
        Color as _, IntoTextStyle as _, RGBColor,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{drawn, failed, palette};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 360;
const LEGEND_ROW: u32 = 18;

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// For the legend.
    pub name: String,
    /// (x, y), each 0 to 1.
    pub points: Vec<(f64, f64)>,
}

/// Curves of `y` over `x`, the first in the accent colour, with a legend, and dashed lines at the heights `chance`: one
/// per curve, what it would be if confidence said nothing.
///
/// # Errors
/// The chart cannot be drawn.
pub fn curves(x: &str, y: &str, lines: &[Curve], chance: &[f64]) -> anyhow::Result<String> {
    let legend = LEGEND_ROW * lines.len() as u32 + 10;
    drawn(WIDTH, HEIGHT + legend, |surface| {
        let mut chart = ChartBuilder::on(surface)
            .margin_left(4)
            .margin_right(14)
            .margin_top(legend.cast_signed())
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_labels(6)
            .y_labels(6)
            .x_max_light_lines(0)
            .y_max_light_lines(0)
            .x_label_formatter(&|value| format!("{value:.1}"))
            .y_label_formatter(&|value| format!("{value:.1}"))
            .x_desc(x)
            .y_desc(y)
            .axis_style(palette::MUTED)
            .bold_line_style(palette::GRID)
            .label_style(("sans-serif", 13).into_font().color(&palette::MUTED))
            .draw()
            .map_err(failed)?;
        for (index, curve) in lines.iter().enumerate() {
            let color = color(index);
            let width = if index == 0 { 3 } else { 2 };
            if let Some(&height) = chance.get(index) {
                let dashes = (0..25).map(|dash| {
                    let start = f64::from(dash) / 25.0;
                    PathElement::new(vec![(start, height), (start + 0.02, height)], color.stroke_width(1))
                });
                chart.draw_series(dashes).map_err(failed)?;
            }
            let points = || curve.points.iter().copied();
            chart.draw_series(LineSeries::new(points(), color.stroke_width(width))).map_err(failed)?;
            chart
                .draw_series(points().map(|point| Circle::new(point, width, color.filled())))
                .map_err(failed)?;
            let y = (LEGEND_ROW * index as u32 + 12).cast_signed();
            let key = PathElement::new(vec![(56, y), (80, y)], color.stroke_width(width));
            surface.draw(&key).map_err(failed)?;
            let style = ("sans-serif", 13).into_text_style(surface).color(&palette::INK);
            let name = Text::new(curve.name.as_str(), (88, y), style.pos(Pos::new(HPos::Left, VPos::Center)));
            surface.draw(&name).map_err(failed)?;
        }
        Ok(())
    })
}

fn color(index: usize) -> RGBColor {
    match index.checked_sub(1) {
        None => palette::ACCENT,
        Some(other) => palette::OTHERS[other % palette::OTHERS.len()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_axes_a_legend_and_one_mark_per_point() {
        let curve = |name: &str| Curve { name: name.into(), points: vec![(0.5, 0.1), (1.0, 0.4)] };
        let svg = curves("coverage", "risk", &[curve("all"), curve("shop")], &[0.4]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains("coverage") && svg.contains("risk") && svg.contains("shop"));
        assert!(svg.contains(&palette::hex(palette::OTHERS[0])));
    }
}
