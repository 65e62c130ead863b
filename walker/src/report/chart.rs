//! A series behind a claim: what it did, where it lies in normal times, and when the incident began.

use automap_proto::{time::UnixMillis, v1};
use maud::{Markup, html};

use super::{
    answer::{Answer, Reference},
    quantity::short,
    verdict::clock,
};

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 96.0;
/// Room above and below, so that lines are not cut at the edge.
const EDGE: f64 = 5.0;

/// When things happened that a chart marks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// When the service left its normal behaviour.
    pub onset: Option<UnixMillis>,
    /// When the alert was raised, or where that is not known the window of the incident begins.
    pub reference: Option<Mark>,
}

/// A moment and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub time: UnixMillis,
    /// In words.
    pub name: &'static str,
}

impl Mark {
    /// The alert of `answer` where its time is known, else the first row of the incident.
    pub fn reference(answer: &Answer) -> Option<Self> {
        if let Some(Reference { time, name }) = answer.reference.filter(Reference::is_alert) {
            return Some(Self { time, name });
        }
        let start = answer.wire.window.as_ref().and_then(|window| window.start);
        let time = UnixMillis::from_wire("window.start", start).ok()?;
        Some(Self { time, name: "the window of the incident begins" })
    }
}

/// The chart of `sketch` as a figure; `claim` says what it shows. Nothing where the sketch holds no point.
pub fn figure(sketch: &v1::SeriesSketch, claim: &str, marks: Marks) -> Markup {
    let Some(scale) = Scale::of(sketch) else {
        return html! {};
    };
    let usual = format!(
        "usually {}, mostly {} to {}; furthest {}",
        short(sketch.normal_median),
        short(sketch.normal_low),
        short(sketch.normal_high),
        short(scale.furthest)
    );
    let mark = |time: Option<UnixMillis>| time.and_then(|time| scale.x_of(time)).map(tenths);
    let (top, bottom) = (scale.y(sketch.normal_high), scale.y(sketch.normal_low));
    let median = tenths(scale.y(sketch.normal_median));
    html! {
        figure.chart {
            figcaption {
                // The plain series of a metric bears its name, with which the claim begins.
                @if !claim.starts_with(&sketch.series) { strong { (sketch.series) } ": " }
                (claim)
            }
            svg.series viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (sketch.series) " of " (sketch.service) ": " (usual) } {
                rect.band x="0" y=(tenths(top)) width=(WIDTH) height=(tenths((bottom - top).max(0.0))) {}
                line.median x1="0" x2=(WIDTH) y1=(median) y2=(median) {}
                @if let Some((x, name)) = marks.reference.and_then(|known| Some((mark(Some(known.time))?, known.name))) {
                    line.alert x1=(x) x2=(x) y1="0" y2=(HEIGHT) { title { (name) } }
                }
                @if let Some(x) = mark(marks.onset) {
                    line.onset x1=(x) x2=(x) y1="0" y2=(HEIGHT) { title { "when the service left its normal behaviour" } }
                }
                path.line d=(scale.path(sketch)) {}
            }
            div.axis aria-hidden="true" { span { (clock(scale.start)) } span { (clock(scale.end)) } }
            p.small { (usual) }
        }
    }
}

/// From values and times to places in the drawing.
struct Scale {
    low: f64,
    high: f64,
    furthest: f64,
    start: UnixMillis,
    end: UnixMillis,
    points: usize,
}

impl Scale {
    fn of(sketch: &v1::SeriesSketch) -> Option<Self> {
        let start = UnixMillis::from_wire("sketch.start", sketch.start).ok()?;
        let step = sketch.step?;
        let step_ms = step.seconds.checked_mul(1000)?.checked_add(i64::from(step.nanos) / 1_000_000)?;
        let points = sketch.points.len();
        let end = start.0.checked_add(step_ms.checked_mul(i64::try_from(points).ok()? - 1)?)?;
        let present =
            || sketch.points.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite());
        let away = |value: &f64| (value - sketch.normal_median).abs();
        let furthest = present().max_by(|left, right| away(left).total_cmp(&away(right)))?;
        let normal = [sketch.normal_low, sketch.normal_high].into_iter().filter(|value| value.is_finite());
        let (low, high) = present()
            .chain(normal)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        Some(Self { low, high, furthest, start, end: UnixMillis(end), points })
    }

    fn y(&self, value: f64) -> f64 {
        let span = self.high - self.low;
        let share = if span > 0.0 { ((value - self.low) / span).clamp(0.0, 1.0) } else { 0.5 };
        HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE)
    }

    fn x(&self, point: usize) -> f64 {
        WIDTH * point as f64 / (self.points - 1).max(1) as f64
    }

    /// Where a time is, if it is within the drawing.
    fn x_of(&self, time: UnixMillis) -> Option<f64> {
        let span = (self.end.0 - self.start.0) as f64;
        let share = (time.0 - self.start.0) as f64 / span;
        (span > 0.0 && (0.0..=1.0).contains(&share)).then_some(WIDTH * share)
    }

    /// The line, broken where nothing was measured.
    fn path(&self, sketch: &v1::SeriesSketch) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (point, value) in sketch.points.iter().enumerate() {
            if value.is_finite() {
                let (x, y) = (tenths(self.x(point)), tenths(self.y(f64::from(*value))));
                path.push_str(&format!("{pen}{x} {y}"));
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        path
    }
}

fn tenths(length: f64) -> String {
    format!("{length:.1}")
}

#[cfg(test)]
mod tests {
    use automap_proto::time::duration_to_wire;

    use super::*;

    fn sketch(points: &[f32]) -> v1::SeriesSketch {
        v1::SeriesSketch {
            service: "<b>db".into(),
            series: "<i>latency".into(),
            start: Some(UnixMillis(60_000).to_wire()),
            step: Some(duration_to_wire(10_000)),
            points: points.to_vec(),
            normal_median: 1.0,
            normal_low: 0.5,
            normal_high: 1.5,
            ..v1::SeriesSketch::default()
        }
    }

    #[test]
    fn a_chart_has_band_line_onset_and_words_and_escapes_names() {
        let marks = Marks {
            onset: Some(UnixMillis(80_000)),
            reference: Some(Mark { time: UnixMillis(1), name: "the alert" }),
        };
        let text = figure(&sketch(&[1.0, f32::NAN, 1.0, 9.0, 8.0]), "up", marks).into_string();
        assert!(text.contains("usually 1, mostly 0.5 to 1.5; furthest 9"), "{text}");
        assert!(text.contains(r#"class="onset" x1="160.0""#), "{text}");
        assert!(!text.contains("alert"), "the alert lies outside: {text}");
        assert_eq!(text.matches('M').count(), 2, "the line breaks at the gap: {text}");
        assert!(!text.contains("<b>") && !text.contains("<i>") && !text.contains("style"));
    }

    #[test]
    fn an_alert_is_marked_as_one_only_where_its_time_is_known() {
        let summary = v1::WindowSummary { start: Some(UnixMillis(80_000).to_wire()), ..Default::default() };
        let answer = Answer::try_from(v1::Diagnosis {
            method: v1::Method::Evidence.into(),
            window: Some(summary),
            ..v1::Diagnosis::default()
        })
        .unwrap();
        let drawn = |reference: Option<Reference>| {
            let answer = Answer { reference, ..answer.clone() };
            let marks = Marks { onset: None, reference: Mark::reference(&answer) };
            figure(&sketch(&[1.0, 1.0, 1.0, 9.0, 8.0]), "up", marks).into_string()
        };
        let begins = r#"x1="160.0" x2="160.0" y1="0" y2="96"><title>the window of the incident begins<"#;
        for unknown in [None, Some(Reference { time: UnixMillis(90_000), name: "--at" })] {
            let text = drawn(unknown);
            assert!(text.contains(begins) && !text.contains("the alert"), "{text}");
        }
        let alerted = drawn(Some(Reference::alert(UnixMillis(90_000))));
        assert!(alerted.contains(r#"x1="240.0" x2="240.0" y1="0" y2="96"><title>the alert<"#), "{alerted}");
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let nothing = |sketch: &v1::SeriesSketch| figure(sketch, "", Marks::default()).into_string();
        assert_eq!(nothing(&sketch(&[])), "");
        assert_eq!(nothing(&sketch(&[f32::NAN, f32::INFINITY])), "");
        assert_eq!(nothing(&v1::SeriesSketch { start: None, ..sketch(&[1.0]) }), "");
        let one = figure(&sketch(&[1.0]), "", Marks::default()).into_string();
        assert!(one.contains("M0.0") && !one.contains("NaN"), "{one}");
        let odd =
            v1::SeriesSketch { normal_low: f64::NAN, normal_high: f64::INFINITY, ..sketch(&[1.0, 2.0]) };
        assert!(!nothing(&odd).contains("NaN"), "{}", nothing(&odd));
    }
}
