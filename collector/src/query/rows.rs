//! The samples that one expression answered, a row per service (or per pair of services) over the whole grid.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    frame::check_name,
    time::{TimeGrid, UnixMillis},
};

use super::{
    parts::Part,
    sample_budget::{HeldSamples, SampleBudget},
    series_answer::{self, Labels, Shape},
};

/// How far a sample may lie from its grid point, seconds: what is lost where times are written with milliseconds.
const TIME_TOLERANCE: f64 = 1e-3;

/// What a series takes beside its samples, its labels twice among them, bytes: its place among the rows of an answer and of all
/// answers, and the blocks of its names.
const SERIES_BYTES: usize = 512;

/// Why the answer to an expression does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowFault {
    #[error("answered what is no series: {0}")]
    Malformed(String),
    #[error("answered a {0} where samples over time were asked for")]
    Shape(&'static str),
    #[error("answered a sample at {0}, which is no point of the grid that was asked for")]
    OffGrid(String),
    #[error(
        "answered more series and samples than a frame may hold ({0} MiB); ask for a shorter window or a larger step, or raise \
         collector.server.max-frame-mib"
    )]
    TooLarge(usize),
    #[error(
        "answered series that make {rows} rows of {points} samples over the whole window, with all that was answered \
         before, and a frame may hold {mebibytes} MiB; ask for a shorter window or a larger step, or raise \
         collector.server.max-frame-mib"
    )]
    TooManyRows { rows: usize, points: usize, mebibytes: usize },
    #[error(
        "answered series without the label {label}: name one of {known} as the label, or aggregate: sum by ({label}) (…)"
    )]
    NoLabel { label: String, known: String },
    #[error("answered two series of {name}, {one} and {other}; aggregate them: sum by ({label}) (…)")]
    Twice { name: String, one: String, other: String, label: String },
    #[error(transparent)]
    Renamed(Box<Renamed>),
    #[error("answered a name that no service may have: {0}")]
    BadName(String),
}

/// Series that a renaming makes one though they have samples at the same time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "answered series of {values}, all of which `rename` calls {name}, and at {time} more than one of them has a sample; \
     rename one of them only, or aggregate them in the expression: sum by ({by}) (label_replace(…, \"{label}\", \
     \"{name}\", \"{label}\", \"{pattern}\"))"
)]
pub(crate) struct Renamed {
    values: String,
    name: String,
    time: String,
    by: String,
    label: String,
    pattern: String,
}

/// Which labels name a row, and what their values are called.
#[derive(Debug, Clone)]
pub(crate) struct Naming<'a> {
    /// One label for services, two for pairs.
    pub(crate) labels: &'a [String],
    pub(crate) rename: &'a BTreeMap<String, String>,
}

/// Name of a row: the values of its labels.
pub(crate) type RowName = Vec<String>;

/// Samples by the name of their row.
pub(crate) type Rows = BTreeMap<RowName, Vec<f64>>;

/// What one answer to a part of the grid brought. Kept apart until the answer is known to be whole.
#[derive(Debug)]
pub(crate) struct PartRows<'b> {
    grid: TimeGrid,
    part: Part,
    held: HeldSamples<'b>,
    rows: BTreeMap<RowName, Row>,
    /// Series whose label is empty or absent.
    unnamed: usize,
    unnamed_labels: Option<Labels>,
}

/// A row, and the series that it comes from: one, or several that are renamed to the same and take turns.
#[derive(Debug)]
struct Row {
    series: Vec<RowSeries>,
    samples: Vec<f64>,
}

#[derive(Debug)]
struct RowSeries {
    /// What its labels are before they are renamed.
    values: RowName,
    /// All of its labels, for messages.
    shown: String,
}

impl RowSeries {
    fn bytes(&self) -> usize {
        SERIES_BYTES + 3 * self.values.iter().map(String::len).sum::<usize>() + self.shown.len()
    }
}

impl Row {
    /// # Errors
    /// One of its series has the same labels before they are renamed, so that they never take turns.
    fn check(&self, name: &RowName, other: &RowSeries, naming: &Naming<'_>) -> Result<(), RowFault> {
        match self.series.iter().find(|series| series.values == other.values) {
            None => Ok(()),
            Some(series) => Err(RowFault::Twice {
                name: name.join(" to "),
                one: series.shown.clone(),
                other: other.shown.clone(),
                label: naming.labels.join(", "),
            }),
        }
    }

    /// Why a series that is renamed to the same does not fit beside the others at `time`.
    fn renamed(&self, name: &RowName, other: &RowSeries, time: UnixMillis, naming: &Naming<'_>) -> RowFault {
        let differs =
            |label: &usize| self.series.iter().any(|series| series.values[*label] != other.values[*label]);
        let label = (0..name.len()).find(differs).unwrap_or_default();
        let all = self.series.iter().chain([other]);
        let values: BTreeSet<&str> = all.map(|series| series.values[label].as_str()).collect();
        let values: Vec<&str> = values.into_iter().collect();
        RowFault::Renamed(Box::new(Renamed {
            values: values.join(" and "),
            name: name[label].clone(),
            time: time.seconds().to_string(),
            by: naming.labels.join(", "),
            label: naming.labels[label].clone(),
            pattern: values.join("|"),
        }))
    }
}

impl<'b> PartRows<'b> {
    pub(crate) fn new(grid: TimeGrid, part: Part, budget: &'b SampleBudget) -> Self {
        let held = HeldSamples::new(budget);
        Self { grid, part, held, rows: BTreeMap::new(), unnamed: 0, unnamed_labels: None }
    }

    /// Takes one series of the answer.
    ///
    /// # Errors
    /// It does not fit the grid, the naming, or what a collection may hold.
    pub(crate) fn take(&mut self, element: &[u8], naming: &Naming<'_>) -> Result<(), RowFault> {
        let start = self.part.start(&self.grid).seconds();
        let step = self.grid.step_ms() as f64 / 1000.0;
        let mut samples = vec![f64::NAN; self.part.points];
        let mut off = None;
        let (labels, shape) = series_answer::parse(element, |time, value| {
            let index = ((time - start) / step).round();
            let fits = (time - start - index * step).abs() <= TIME_TOLERANCE;
            match samples.get_mut(if index >= 0.0 { index as usize } else { usize::MAX }) {
                Some(place) if fits => *place = value,
                _ => off = off.or(Some(time)),
            }
        })
        .map_err(|error| RowFault::Malformed(error.to_string()))?;
        match shape {
            Shape::Matrix => {}
            Shape::Vector => return Err(RowFault::Shape("vector")),
            Shape::Other => return Err(RowFault::Shape("native histogram")),
        }
        if let Some(time) = off {
            return Err(RowFault::OffGrid(time.to_string()));
        }
        let values = naming.labels.iter().map(|label| labels.get(label).filter(|value| !value.is_empty()));
        let Some(values) = values.map(|value| value.cloned()).collect::<Option<RowName>>() else {
            self.unnamed += 1;
            self.unnamed_labels.get_or_insert(labels);
            return Ok(());
        };
        let name: RowName =
            values.iter().map(|value| naming.rename.get(value).unwrap_or(value).clone()).collect();
        for value in &name {
            check_name("service", value)
                .map_err(|invalid| RowFault::BadName(invalid.problem().to_owned()))?;
        }
        let series = RowSeries { values, shown: shown(&labels) };
        let points = if self.rows.contains_key(&name) { 0 } else { self.part.points };
        self.held.hold(points + series.bytes().div_ceil(size_of::<f64>()))?;
        if let Some(row) = self.rows.get_mut(&name) {
            row.check(&name, &series, naming)?;
            for (index, (place, value)) in row.samples.iter_mut().zip(samples).enumerate() {
                match (place.is_nan(), value.is_nan()) {
                    (true, false) => *place = value,
                    (false, false) => {
                        let time = self.grid.time(self.part.first + index);
                        return Err(row.renamed(&name, &series, time, naming));
                    }
                    (_, true) => {}
                }
            }
            row.series.push(series);
            return Ok(());
        }
        self.rows.insert(name, Row { series: vec![series], samples });
        Ok(())
    }

    /// The rows, and how many series had no name.
    ///
    /// # Errors
    /// No series has the label.
    pub(crate) fn finish(self, naming: &Naming<'_>) -> Result<(Rows, usize), RowFault> {
        if let (true, Some(labels)) = (self.rows.is_empty(), &self.unnamed_labels) {
            let known: Vec<&str> =
                labels.keys().filter(|label| *label != "__name__").map(String::as_str).collect();
            return Err(RowFault::NoLabel {
                label: naming.labels.join(", "),
                known: if known.is_empty() { "none, as they have none,".into() } else { known.join(", ") },
            });
        }
        self.held.keep();
        Ok((self.rows.into_iter().map(|(name, row)| (name, row.samples)).collect(), self.unnamed))
    }
}

/// Labels as PromQL writes them, in short.
fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    let text = format!("{{{}}}", pairs.join(","));
    if text.chars().count() > 120 { text.chars().take(120).chain(['…']).collect() } else { text }
}

/// Puts the rows of parts, in any order, into rows over the whole grid and converts their unit. Points of a row that no
/// part brought are missing; so are infinite ones.
///
/// A single part is moved, not copied.
pub(crate) fn merge(grid: &TimeGrid, parts: Vec<(Part, Rows)>, factor: f64) -> Rows {
    let mut whole: Rows = BTreeMap::new();
    for (part, rows) in parts {
        for (name, samples) in rows {
            if samples.len() == grid.samples() {
                whole.insert(name, samples);
                continue;
            }
            let row = whole.entry(name).or_insert_with(|| vec![f64::NAN; grid.samples()]);
            row[part.first..part.first + part.points].copy_from_slice(&samples);
        }
    }
    for value in whole.values_mut().flatten() {
        let converted = *value * factor;
        *value = if converted.is_finite() { converted } else { f64::NAN };
    }
    // A service of which nothing but missing samples is known is not known.
    whole.retain(|_, samples| samples.iter().any(|value| !value.is_nan()));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> TimeGrid {
        TimeGrid::new(UnixMillis(10_000), 5000, 4).unwrap()
    }

    const ALL: Part = Part { first: 0, points: 4 };

    fn take(elements: &[&str], labels: &[&str]) -> Result<(Rows, usize), RowFault> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let rename = BTreeMap::from([("cart-v2".to_owned(), "cart".to_owned())]);
        let naming = Naming { labels: &labels, rename: &rename };
        let budget = SampleBudget::new(4, 256);
        let mut rows = PartRows::new(grid(), ALL, &budget);
        for element in elements {
            rows.take(element.as_bytes(), &naming)?;
        }
        rows.finish(&naming)
    }

    #[test]
    fn samples_go_to_their_points_and_gaps_stay_missing() {
        let (rows, unnamed) = take(
            &[
                r#"{"metric":{"s":"cart-v2"},"values":[[15,"7"],[25.0004,"9"]]}"#,
                r#"{"metric":{"s":""},"values":[[15,"7"]]}"#,
            ],
            &["s"],
        )
        .unwrap();
        assert_eq!(unnamed, 1);
        let row = &rows[&vec!["cart".to_owned()]];
        assert!(row[0].is_nan() && row[2].is_nan());
        assert_eq!((row[1], row[3]), (7.0, 9.0));
    }

    #[test]
    fn series_that_are_renamed_to_the_same_are_one_row_where_they_take_turns() {
        let old = r#"{"metric":{"s":"cart"},"values":[[10,"1"],[15,"2"],[20,"NaN"]]}"#;
        let new = r#"{"metric":{"s":"cart-v2"},"values":[[15,"NaN"],[20,"3"]]}"#;
        for elements in [[old, new], [new, old]] {
            let (rows, _) = take(&elements, &["s"]).unwrap();
            let row = &rows[&vec!["cart".to_owned()]];
            assert_eq!((row[..3].to_vec(), row[3].is_nan()), (vec![1.0, 2.0, 3.0], true));
        }
        let both = r#"{"metric":{"s":"cart-v2"},"values":[[15,"3"]]}"#;
        assert_eq!(
            take(&[old, both], &["s"]).unwrap_err().to_string(),
            "answered series of cart and cart-v2, all of which `rename` calls cart, and at 15 more than one of them has a \
             sample; rename one of them only, or aggregate them in the expression: sum by (s) (label_replace(…, \"s\", \
             \"cart\", \"s\", \"cart|cart-v2\"))"
        );
        let pair = |caller: &str| format!(r#"{{"metric":{{"a":"{caller}","b":"db"}},"values":[[10,"1"]]}}"#);
        let said = take(&[&pair("cart-v2"), &pair("cart")], &["a", "b"]).unwrap_err().to_string();
        assert!(said.contains("sum by (a, b) (label_replace(…, \"a\", \"cart\","), "{said}");
        let twice = take(&[new, both], &["s"]).unwrap_err().to_string();
        assert!(twice.contains("two series of cart, {s=\"cart-v2\"} and {s=\"cart-v2\"}"), "{twice}");
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_way_out() {
        let one = r#"{"metric":{"s":"a","pod":"1"},"values":[[10,"7"]]}"#;
        let other = r#"{"metric":{"s":"a","pod":"2"},"values":[[10,"7"]]}"#;
        let said = |elements: &[&str], label: &str| take(elements, &[label]).unwrap_err().to_string();
        assert_eq!(
            said(&[one, other], "s"),
            "answered two series of a, {pod=\"1\",s=\"a\"} and {pod=\"2\",s=\"a\"}; aggregate them: sum by (s) (…)"
        );
        assert_eq!(
            said(&[one], "service"),
            "answered series without the label service: name one of pod, s as the label, or aggregate: \
             sum by (service) (…)"
        );
        assert!(
            said(&[r#"{"metric":{"s":"a"},"values":[[11,"7"]]}"#], "s").contains("at 11, which is no point")
        );
        assert!(said(&[r#"{"metric":{"s":"a"},"values":[[30,"7"]]}"#], "s").contains("no point"));
        assert!(said(&[r#"{"metric":{"s":"a"},"value":[10,"7"]}"#], "s").contains("a vector"));
        let many: Vec<String> =
            (0..9).map(|index| format!(r#"{{"metric":{{"s":"{index}"}},"values":[]}}"#)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(said(&many, "s").contains("more series and samples than a frame"));
    }

    #[test]
    fn parts_are_merged_whatever_their_order_and_units_converted() {
        let name = vec!["a".to_owned()];
        let part = |first, samples: &[f64]| {
            let rows = BTreeMap::from([(name.clone(), samples.to_vec())]);
            (Part { first, points: samples.len() }, rows)
        };
        let merged = merge(&grid(), vec![part(2, &[3.0, f64::INFINITY]), part(0, &[1.0, f64::NAN])], 1e-3);
        let row = &merged[&name];
        assert_eq!((row[0], row[2]), (0.001, 0.003));
        assert!(row[1].is_nan() && row[3].is_nan());
        let nothing = merge(&grid(), vec![part(0, &[f64::NAN; 4])], 1.0);
        assert!(nothing.is_empty());
    }
}
