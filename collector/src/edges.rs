//! `edges.csv`: what callers measure of their calls, placed onto the time grid of a frame.

use std::{collections::BTreeMap, io::Read};

use automap_proto::{
    edge_frame::{EdgeFrame, EdgeMetric},
    frame::{MetricFrame, check_name},
    invalid::did_you_mean,
    time::{TimeGrid, UnixMillis},
};
use ndarray::Array2;

use crate::{
    csv_records::Records,
    error::{CollectError, CollectErrorKind},
    limits::FrameLimits,
    listing::count,
};

/// What messages call an uploaded file of measured calls.
pub(crate) const EDGES_FILE: &str = "edges.csv";
/// Names of the time column.
const TIME: [&str; 2] = ["timestamp", "time"];
const NAMES: [&str; 2] = ["caller", "callee"];
/// The measures, in the order of [`EdgeMetric::ALL`]; one of them must be there.
const MEASURES: [&str; 3] = ["latency", "throughput", "availability"];

/// Measured calls, and what a person should know about them.
#[derive(Debug, Clone)]
pub(crate) struct CollectedEdges {
    /// `None` where no row lies within the frame.
    pub(crate) edges: Option<EdgeFrame>,
    pub(crate) warnings: Vec<String>,
}

/// Reads measured calls and places them onto the grid of `frame`: each row at the nearest point, of two on one point
/// the nearer, and of equals the later.
///
/// An empty cell and NaN are missing samples, and so is an infinity. A service that has no metrics of its own is
/// taken: its callers may be all that is known of it.
///
/// # Errors
/// A column is missing, a cell is no number or no name, an edge stands twice at one time, or there are more samples
/// than the limits allow; the sentence names file and line.
///
/// # Complexity
/// O(bytes + rows · log edges + edges · samples).
pub(crate) fn read_edges(
    source: impl Read,
    file: &str,
    frame: &MetricFrame,
    limits: &FrameLimits,
) -> Result<CollectedEdges, CollectError> {
    let mut records = Records::new(source, file, limits);
    let header = records.header()?;
    let columns = Columns::find(file, &header)?;
    let mut placed = Placed::new(*frame.grid(), limits.max_bytes);
    while records.advance()? {
        records.check_width(header.len())?;
        let time = records.time(columns.time.0, &columns.time.1)?;
        let mut names = [String::new(), String::new()];
        for ((name, position), column) in names.iter_mut().zip(columns.names).zip(NAMES) {
            *name = records.cell(position, column)?.to_owned();
            check_name(column, name).map_err(|error| {
                CollectError::malformed(format!("{}: the {column} {}", records.place(), error.problem()))
            })?;
        }
        let mut measures = [f64::NAN; MEASURES.len()];
        for ((value, position), column) in measures.iter_mut().zip(columns.measures).zip(MEASURES) {
            if let Some(position) = position {
                *value = records.number(position, column)?;
            }
        }
        if limits.bounds.contains(time) {
            placed.take(names.into(), time, measures, &|| records.place())?;
        }
    }
    let warnings = placed.warnings(file, frame);
    Ok(CollectedEdges { edges: placed.finish()?, warnings })
}

struct Columns {
    time: (usize, String),
    names: [usize; 2],
    measures: [Option<usize>; 3],
}

impl Columns {
    fn find(file: &str, header: &[String]) -> Result<Self, CollectError> {
        let place = |wanted: &str| header.iter().position(|name| name == wanted);
        let time = TIME.into_iter().find_map(|name| Some((place(name)?, name.to_owned())));
        let measures = MEASURES.map(place);
        match (time, NAMES.map(place)) {
            (Some(time), [Some(caller), Some(callee)]) if measures.iter().any(Option::is_some) => {
                Ok(Self { time, names: [caller, callee], measures })
            }
            _ => Err(CollectError::malformed(format!(
                "{file} line 1: the header must be timestamp,caller,callee,latency,throughput,availability; one of the \
                 last three is enough"
            ))),
        }
    }
}

/// What a call takes while it is placed beside its names and samples, bytes: its place among the others, the blocks of its
/// names and samples, and their copy when the frame is made.
const EDGE_BYTES: usize = 384;

#[derive(Debug)]
struct PlacedEdge {
    /// When the row on each grid point was measured.
    taken: Vec<Option<UnixMillis>>,
    /// Three rows of samples.
    values: Vec<f64>,
}

/// What a call takes on a grid of so many points, bytes.
const fn bytes_of(edge: &(String, String), points: usize) -> usize {
    const POINT: usize = size_of::<Option<UnixMillis>>() + EdgeMetric::ALL.len() * size_of::<f64>();
    EDGE_BYTES.saturating_add(edge.0.len() + edge.1.len()).saturating_add(points.saturating_mul(POINT))
}

#[derive(Debug)]
struct Placed {
    grid: TimeGrid,
    max_bytes: usize,
    /// What the edges take.
    bytes: usize,
    edges: BTreeMap<(String, String), PlacedEdge>,
    outside: usize,
    merged: usize,
    infinite: usize,
    self_calls: usize,
}

impl Placed {
    fn new(grid: TimeGrid, max_bytes: usize) -> Self {
        Self {
            grid,
            max_bytes,
            bytes: 0,
            edges: BTreeMap::new(),
            outside: 0,
            merged: 0,
            infinite: 0,
            self_calls: 0,
        }
    }

    /// The nearest grid point; `None` outside of the grid.
    fn point(&self, time: UnixMillis) -> Option<usize> {
        let step = i128::from(self.grid.step_ms());
        let offset = i128::from(time.0) - i128::from(self.grid.time(0).0);
        let index = (2 * offset + step).div_euclid(2 * step);
        usize::try_from(index).ok().filter(|index| *index < self.grid.samples())
    }

    fn too_large(&self, place: &str) -> CollectError {
        CollectError::new(
            CollectErrorKind::TooLarge,
            format!(
                "{place}: {} callers and callees with {} samples of each take more than the limit of {} MiB; leave calls out, \
                 narrow start and end, widen the step, or raise collector.server.max-frame-mib",
                self.edges.len() + 1,
                self.grid.samples(),
                self.max_bytes >> 20
            ),
        )
    }

    fn take(
        &mut self,
        edge: (String, String),
        time: UnixMillis,
        mut measures: [f64; 3],
        place: &dyn Fn() -> String,
    ) -> Result<(), CollectError> {
        if edge.0 == edge.1 {
            self.self_calls += 1;
            return Ok(());
        }
        let Some(point) = self.point(time) else {
            self.outside += 1;
            return Ok(());
        };
        for value in &mut measures {
            self.infinite += usize::from(value.is_infinite());
            *value = if value.is_finite() { *value } else { f64::NAN };
        }
        let (samples, at) = (self.grid.samples(), self.grid.time(point));
        if !self.edges.contains_key(&edge) {
            self.bytes = self.bytes.saturating_add(bytes_of(&edge, samples));
            if self.bytes > self.max_bytes {
                return Err(self.too_large(&place()));
            }
        }
        let known = self.edges.entry(edge).or_insert_with_key(|_| PlacedEdge {
            taken: vec![None; samples],
            values: vec![f64::NAN; samples * EdgeMetric::ALL.len()],
        });
        let earlier = known.taken[point];
        self.merged += usize::from(earlier.is_some());
        if let Some(earlier) = earlier {
            if earlier == time {
                return Err(CollectError::malformed(format!(
                    "{}: the same caller and callee stand at {} on an earlier line; give each call once per time",
                    place(),
                    time.seconds()
                )));
            }
            if at.0.abs_diff(earlier.0) < at.0.abs_diff(time.0) {
                return Ok(());
            }
        }
        known.taken[point] = Some(time);
        for (metric, value) in measures.into_iter().enumerate() {
            known.values[metric * samples + point] = value;
        }
        Ok(())
    }

    fn warnings(&self, file: &str, frame: &MetricFrame) -> Vec<String> {
        let mut warnings = Vec::new();
        for (number, noun, what) in [
            (self.infinite, "sample", "infinite and counted as missing"),
            (self.outside, "row", "left out: outside of the time of the metrics"),
            (self.merged, "row", "left out because another is nearer to the same point of the grid"),
            (self.self_calls, "row", "left out: a service that calls itself"),
        ] {
            if number > 0 {
                let were = if number == 1 { "was" } else { "were" };
                warnings.push(format!("{file}: {} {were} {what}", count(number, noun)));
            }
        }
        let mut unknown: Vec<&str> = self
            .edges
            .keys()
            .flat_map(|(caller, callee)| [caller.as_str(), callee.as_str()])
            .filter(|name| frame.service_index(name).is_none())
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        if let [first, ..] = unknown[..] {
            let hint = did_you_mean(first, frame.services().iter().map(String::as_str))
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            warnings.push(format!(
                "{file}: {} no metrics of its own, such as {first}{hint}",
                if unknown.len() == 1 {
                    "1 service has".to_owned()
                } else {
                    format!("{} services have", unknown.len())
                }
            ));
        }
        if self.edges.is_empty() {
            warnings.push(format!("{file}: holds no call within the time of the metrics"));
        }
        warnings
    }

    fn finish(self) -> Result<Option<EdgeFrame>, CollectError> {
        if self.edges.is_empty() {
            return Ok(None);
        }
        let shape = (self.edges.len() * EdgeMetric::ALL.len(), self.grid.samples());
        let (mut edges, mut values) =
            (Vec::with_capacity(self.edges.len()), Vec::with_capacity(shape.0 * shape.1));
        for (edge, placed) in self.edges {
            edges.push(edge);
            values.extend_from_slice(&placed.values);
        }
        let values = Array2::from_shape_vec(shape, values)
            .map_err(|error| CollectError::malformed(format!("the calls do not fit their grid: {error}")))?;
        Ok(Some(EdgeFrame::new(edges, values)?))
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{frame::SeriesKey, metric::MetricKind};

    use super::*;

    /// Services cart and web, five points of 10 s from 100 s on.
    fn frame() -> MetricFrame {
        let key = |service: &str| SeriesKey {
            service: service.into(),
            metric: MetricKind::Cpu,
            name: "cpu".into(),
        };
        let grid = TimeGrid::new(UnixMillis(100_000), 10_000, 5).unwrap();
        MetricFrame::new(grid, vec![key("cart"), key("web")], Array2::zeros((2, 5))).unwrap()
    }

    fn read(text: &str) -> Result<CollectedEdges, String> {
        read_edges(text.as_bytes(), "edges.csv", &frame(), &FrameLimits::all_within(1 << 20))
            .map_err(|error| error.to_string())
    }

    fn row(edges: &EdgeFrame, edge: usize, metric: EdgeMetric) -> Vec<String> {
        edges.samples(edge, metric).iter().map(|value| value.to_string()).collect()
    }

    #[test]
    fn rows_go_to_the_nearest_point_and_gaps_stay() {
        let found = read(
            "timestamp,caller,callee,latency,throughput,availability\n\
             104,web,cart,1,5,\n106,web,cart,2,6,0.5\n140,web,cart,3,NaN,1\n101,cart,web,9,9,inf\n",
        )
        .unwrap();
        let edges = found.edges.unwrap();
        assert_eq!(edges.edges()[1], ("web".to_owned(), "cart".to_owned()));
        assert_eq!(row(&edges, 1, EdgeMetric::Latency), ["1", "2", "NaN", "NaN", "3"]);
        assert_eq!(row(&edges, 1, EdgeMetric::Throughput), ["5", "6", "NaN", "NaN", "NaN"]);
        assert_eq!(found.warnings, ["edges.csv: 1 sample was infinite and counted as missing"]);
    }

    #[test]
    fn of_two_rows_on_a_point_the_nearer_stays_and_strangers_are_told() {
        let found = read(
            "time,callee,caller,latency\n112,crt,web,1\n109,crt,web,2\n90,crt,web,7\n500,crt,web,7\n110,web,web,1\n",
        )
        .unwrap();
        let edges = found.edges.unwrap();
        assert_eq!(row(&edges, 0, EdgeMetric::Latency), ["NaN", "2", "NaN", "NaN", "NaN"]);
        assert_eq!(
            found.warnings,
            [
                "edges.csv: 2 rows were left out: outside of the time of the metrics",
                "edges.csv: 1 row was left out because another is nearer to the same point of the grid",
                "edges.csv: 1 row was left out: a service that calls itself",
                "edges.csv: 1 service has no metrics of its own, such as crt; did you mean cart?",
            ]
        );
        let none = read("timestamp,caller,callee,latency\n").unwrap();
        assert!(none.edges.is_none() && none.warnings[0].contains("holds no call"));
    }

    #[test]
    fn what_is_wrong_is_named_by_line() {
        for (text, sentence) in [
            ("", "edges.csv is empty; its first line must name the columns"),
            ("timestamp,caller,callee\n", "edges.csv line 1: the header must be timestamp,caller,callee,"),
            ("timestamp,caller,callee,latency\n100,web\n", "edges.csv line 2: has 2 cells where"),
            ("timestamp,caller,callee,latency\n100,,web,1\n", "edges.csv line 2: the caller is empty"),
            (
                "timestamp,caller,callee,latency\n100,a,b,fast\n",
                "edges.csv line 2, column latency: \"fast\" is no number",
            ),
            (
                "timestamp,caller,callee,latency\n1e20,a,b,1\n",
                "edges.csv line 2, column timestamp: \"1e20\" is no time",
            ),
            (
                "timestamp,caller,callee,latency\n100,a,b,1\n100,a,b,1\n",
                "edges.csv line 3: the same caller and callee stand at 100 on an earlier line",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(sentence), "{error}");
        }
    }

    #[test]
    fn calls_that_take_more_than_the_limit_are_refused_by_line_and_number() {
        let edge = |index: usize| format!("100,caller-{index},callee-{index},1\n");
        let text = "timestamp,caller,callee,latency\n".to_owned() + &(0..5000).map(edge).collect::<String>();
        let read = |max_bytes| {
            let limits = FrameLimits::all_within(max_bytes);
            read_edges(text.as_bytes(), "edges.csv", &frame(), &limits).map_err(|error| error.to_string())
        };
        // Five points take 200 bytes, their names at most 22.
        assert_eq!(read(5000 * (EDGE_BYTES + 222)).unwrap().edges.unwrap().edges().len(), 5000);
        let error = read(1 << 20).unwrap_err();
        let number = (1 << 20) / (EDGE_BYTES + 222) + 1;
        assert!(number.abs_diff(1740) < 20, "{number}");
        let refused = (number..number + 12).find(|number| {
            error.starts_with(&format!(
                "edges.csv line {}: {number} callers and callees with 5 samples",
                number + 1
            ))
        });
        assert!(refused.is_some() && error.contains("raise collector.server.max-frame-mib"), "{error}");
    }
}
