//! Stated confidence against the share of right answers: a reliability diagram (DeGroot and Fienberg, 1983).

use plotters::{
    prelude::{ChartBuilder, Circle, IntoFont as _, PathElement},
    style::Color as _,
};

use super::{drawn, failed, palette};
use crate::evaluate::confidence_curves::CalibrationGroup;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 390;

/// One point with its interval per group; on the dashed line a confidence is true.
///
/// # Errors
/// The chart cannot be drawn.
pub fn reliability(groups: &[CalibrationGroup]) -> anyhow::Result<String> {
    drawn(WIDTH, HEIGHT, |surface| {
        let mut chart = ChartBuilder::on(surface)
            .margin_left(4)
            .margin_right(14)
            .margin_top(12)
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
            .x_desc("confidence stated")
            .y_desc("share of answers right")
            .axis_style(palette::MUTED)
            .bold_line_style(palette::GRID)
            .label_style(("sans-serif", 13).into_font().color(&palette::MUTED))
            .draw()
            .map_err(failed)?;
        let dashes = (0..25).map(|dash| {
            let start = f64::from(dash) / 25.0;
            let end = start + 0.02;
            PathElement::new(vec![(start, start), (end, end)], palette::MUTED.stroke_width(1))
        });
        chart.draw_series(dashes).map_err(failed)?;
        for group in groups {
            let [low, high] = group.interval;
            let whisker = vec![(group.confidence, low), (group.confidence, high)];
            let line = PathElement::new(whisker, palette::ACCENT.stroke_width(2));
            chart.draw_series([line]).map_err(failed)?;
            let point = Circle::new((group.confidence, group.right), 5, palette::ACCENT.filled());
            chart.draw_series([point]).map_err(failed)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_a_point() {
        let group =
            |confidence| CalibrationGroup { incidents: 9, confidence, right: 0.5, interval: [0.2, 0.8] };
        let svg = reliability(&[group(0.2), group(0.9)]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("confidence stated"));
    }
}
