//! Step 5, services that are gone: one whose own series stop while others go on being measured has left its normal
//! behaviour further than any value could show.
//!
//! A killed process has no series to depart; only its callers would speak against it, and what it called would stand out
//! by the load that no longer comes. So a service *vanished* when
//!
//! - in normal times its cpu, memory or io, which no caller is needed for, was there in nearly all rows;
//! - none of them is in most rows of the incident, at least three in a row, and more than twice as long as it ever was
//!   away in normal times (batch jobs, services scaled to zero);
//! - at least half of the other such services, and two of them, are measured in those rows (else the collector was out);
//! - somebody still called it when it went, or calls to it fail since (else it was scaled to zero because nobody did);
//! - and nothing says that it still answers: no availability above one half, its own or of calls to it, and where none
//!   is known no calls at all (an exporter may be out that gave cpu and memory only).
//!
//! It counts as so many spreads of availability as `evidence.vanished-spreads` says. Where a newcomer with the same metric types
//! is measured since, it is the same service under another name: that is told, and no evidence.

use automap_proto::{
    edge_frame::{EdgeFrame, EdgeMetric},
    frame::MetricFrame,
    metric::MetricKind,
};

use super::{callers_view::is_client, guard::GuardedRows};

/// Types that are measured whether anybody calls or not.
const UNCALLED: [MetricKind; 3] = [MetricKind::Cpu, MetricKind::Io, MetricKind::Memory];
/// Share of the normal rows in which a service must have been there.
const NEARLY_ALL: f64 = 0.8;
/// Fewest rows on end without a sample: one or two may be scrapes that come late.
const MIN_ROWS: usize = 3;
/// Fewest others that must go on being measured.
const MIN_OTHERS: usize = 2;
/// How many times as long as ever in normal times a service must be away.
const LONGER_THAN_NORMAL: usize = 2;
/// Availability above which a service still answers.
const ANSWERS: f64 = 0.5;

/// A service that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished {
    /// Index of the service in the frame.
    pub service: usize,
    /// The first row without it.
    pub row: usize,
    /// The service that is measured in its place since, where there is one.
    pub successor: Option<usize>,
}

/// Services that vanished in the rows `incident`, in the frame's order. `edges` are calls over the same rows, where they are
/// measured.
///
/// # Complexity
/// O(series · rows), and of each service that is away in most rows O(measured calls + rows · its series and callers).
pub fn vanished(
    frame: &MetricFrame,
    edges: Option<&EdgeFrame>,
    rows: &GuardedRows,
    incident: &[usize],
) -> Vec<Vanished> {
    let presence = Presence::new(frame, &rows.normal);
    let span = rows.span();
    let mut gone: Vec<Vanished> = (0..frame.services().len())
        .filter(|&service| presence.steady[service] && presence.is_mostly_away(service, incident))
        .filter_map(|service| {
            let calls = calls_to(&frame.services()[service], edges);
            let absent = |row: usize| {
                presence.says_something(service, row).then(|| {
                    !presence.there[service][row]
                        && !answers(frame, edges.map(|edges| (edges, calls.as_slice())), service, row)
                })
            };
            let (row, length) = longest_absence(&span, absent);
            let first = rows.normal.iter().position(|&row| presence.there[service][row]).unwrap_or(0);
            let (_, before) = longest_absence(&rows.normal[first..], absent);
            let missing = incident.iter().filter(|&&row| absent(row) == Some(true)).count();
            let left =
                length >= MIN_ROWS && length > LONGER_THAN_NORMAL * before && 2 * missing > incident.len();
            let row = row.filter(|_| left)?;
            let failing = edges.is_some_and(|edges| fail_from(edges, &calls, row));
            let idle = presence.was_idle(frame, service, row) && !failing;
            (!idle).then_some(Vanished { service, row, successor: None })
        })
        .collect();
    presence.find_successors(frame, &mut gone, &span);
    gone
}

/// Where a service is measured by what needs no caller.
struct Presence {
    /// By service and row.
    there: Vec<Vec<bool>>,
    /// Whether the service is there in nearly all normal rows.
    steady: Vec<bool>,
    /// Whether it is there in no normal row.
    new: Vec<bool>,
    /// How many steady services there are.
    all: usize,
    /// How many of them are there, by row.
    measured: Vec<usize>,
}

impl Presence {
    fn new(frame: &MetricFrame, normal: &[usize]) -> Self {
        let rows = frame.grid().samples();
        let there: Vec<Vec<bool>> = (0..frame.services().len())
            .map(|service| {
                let mut there = vec![false; rows];
                for kind in UNCALLED {
                    for series in frame.series_of_kind(service, kind) {
                        for (known, value) in there.iter_mut().zip(frame.samples(series)) {
                            *known |= !value.is_nan();
                        }
                    }
                }
                there
            })
            .collect();
        let normal_rows = |there: &Vec<bool>| normal.iter().filter(|&&row| there[row]).count();
        let steady: Vec<bool> = there
            .iter()
            .map(|there| !normal.is_empty() && normal_rows(there) as f64 >= NEARLY_ALL * normal.len() as f64)
            .collect();
        let new = there.iter().map(|there| normal_rows(there) == 0).collect();
        let measured = (0..rows)
            .map(|row| there.iter().zip(&steady).filter(|(there, steady)| **steady && there[row]).count())
            .collect();
        let all = steady.iter().filter(|steady| **steady).count();
        Self { there, steady, new, all, measured }
    }

    fn is_mostly_away(&self, service: usize, rows: &[usize]) -> bool {
        2 * rows.iter().filter(|&&row| !self.there[service][row]).count() > rows.len()
    }

    /// Whether enough of the other services are measured in this row for an absence to be one.
    fn says_something(&self, service: usize, row: usize) -> bool {
        let others = self.all - usize::from(self.steady[service]);
        let own = usize::from(self.steady[service] && self.there[service][row]);
        let present = self.measured[row] - own;
        present >= MIN_OTHERS && 2 * present >= others
    }

    /// Whether its throughput was measured as zero when it was there for the last time before `row`.
    fn was_idle(&self, frame: &MetricFrame, service: usize, row: usize) -> bool {
        let last = (0..row).rev().find(|&row| self.there[service][row]);
        last.is_some_and(|last| {
            let series = frame.series_of_kind(service, MetricKind::Throughput);
            let calls = series.map(|index| frame.samples(index)[last]).filter(|calls| !calls.is_nan());
            calls.reduce(f64::max).is_some_and(|calls| calls <= 0.0)
        })
    }

    /// Gives each that is gone the newcomer most like it by name, each newcomer once: not there in normal times, in most of
    /// the rows since, and with every metric type of the one that is gone.
    fn find_successors(&self, frame: &MetricFrame, gone: &mut [Vanished], span: &[usize]) {
        let mut newcomers: Vec<usize> =
            (0..frame.services().len()).filter(|&service| self.new[service]).collect();
        let kinds = |service: usize, kind: MetricKind| !frame.series_of_kind(service, kind).is_empty();
        for one in gone {
            let since = &span[span.partition_point(|&row| row < one.row)..];
            let takes_its_place = |&newcomer: &usize| {
                let rows = since.iter().filter(|&&row| self.there[newcomer][row]).count();
                let same = MetricKind::ALL
                    .into_iter()
                    .all(|kind| !kinds(one.service, kind) || kinds(newcomer, kind));
                2 * rows > since.len() && same
            };
            let alike = |service: usize| {
                let pairs = frame.services()[service].chars().zip(frame.services()[one.service].chars());
                pairs.take_while(|(left, right)| left == right).count()
            };
            one.successor = newcomers
                .iter()
                .copied()
                .filter(takes_its_place)
                .max_by(|left, right| alike(*left).cmp(&alike(*right)).then(right.cmp(left)));
            newcomers.retain(|newcomer| Some(*newcomer) != one.successor);
        }
    }
}

/// First row and length of the longest run of rows for which `absent` is true; of equals the first. Rows that tell nothing
/// neither lengthen a run nor end it.
fn longest_absence(rows: &[usize], absent: impl Fn(usize) -> Option<bool>) -> (Option<usize>, usize) {
    let mut longest = (None, 0);
    let mut run = (None, 0);
    for &row in rows {
        match absent(row) {
            Some(true) => run = (run.0.or(Some(row)), run.1 + 1),
            Some(false) => run = (None, 0),
            None => {}
        }
        if run.1 > longest.1 {
            longest = run;
        }
    }
    longest
}

/// Measured calls to `service`.
fn calls_to(service: &str, edges: Option<&EdgeFrame>) -> Vec<usize> {
    let all = edges.map_or(&[][..], EdgeFrame::edges).iter().enumerate();
    all.filter(|(_, (_, callee))| callee == service).map(|(edge, _)| edge).collect()
}

/// Whether most of these calls fail at some row from `row` on.
fn fail_from(edges: &EdgeFrame, calls: &[usize], row: usize) -> bool {
    calls.iter().any(|&edge| {
        edges.samples(edge, EdgeMetric::Availability).iter().skip(row).any(|share| *share <= ANSWERS)
    })
}

/// Whether anything but its cpu, memory and io tells that the service answers most calls; `calls` are those to it.
fn answers(frame: &MetricFrame, calls: Option<(&EdgeFrame, &[usize])>, service: usize, row: usize) -> bool {
    let values = |kind: MetricKind| {
        let series = frame.series_of_kind(service, kind);
        series
            .filter(move |&index| !is_client(&frame.series()[index].name))
            .map(move |index| frame.samples(index)[row])
    };
    let called = values(MetricKind::Throughput).any(|calls| calls > 0.0)
        || values(MetricKind::Latency).any(|seconds| !seconds.is_nan());
    let own = answered(values(MetricKind::Availability), called);
    own || calls.is_some_and(|(edges, calls)| {
        calls.iter().any(|&edge| {
            let value = |metric: EdgeMetric| edges.samples(edge, metric)[row];
            let called = value(EdgeMetric::Throughput) > 0.0 || !value(EdgeMetric::Latency).is_nan();
            answered(std::iter::once(value(EdgeMetric::Availability)), called)
        })
    })
}

fn answered(availability: impl Iterator<Item = f64>, called: bool) -> bool {
    let known = availability.filter(|share| !share.is_nan()).reduce(f64::max);
    known.map_or(called, |share| share > ANSWERS)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2};

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    const ROWS: usize = 30;
    const NORMAL: usize = 20;

    fn series(service: &'static str, metric: MetricKind, there: impl Fn(usize) -> bool) -> TestSeries {
        let value = |row: usize| if there(row) { 1.0 + row as f64 } else { f64::NAN };
        TestSeries { service, metric, name: metric.name(), samples: Array1::from_iter((0..ROWS).map(value)) }
    }

    fn always(_: usize) -> bool {
        true
    }

    /// Four services, of which b is there where `b` says so, and whatever `more` is.
    fn frame(b: impl Fn(usize) -> bool, more: Vec<TestSeries>) -> MetricFrame {
        let mut all: Vec<TestSeries> =
            ["a", "c", "d"].into_iter().map(|name| series(name, MetricKind::Memory, always)).collect();
        all.push(series("b", MetricKind::Memory, b));
        all.extend(more);
        frame_of(&all)
    }

    fn found(frame: &MetricFrame, edges: Option<&EdgeFrame>) -> Vec<(String, usize, Option<String>)> {
        let rows = GuardedRows {
            normal: (0..NORMAL).collect(),
            guard: Vec::new(),
            incident: (NORMAL..ROWS).collect(),
        };
        let name = |service: usize| frame.services()[service].clone();
        vanished(frame, edges, &rows, &rows.incident)
            .into_iter()
            .map(|one| (name(one.service), one.row, one.successor.map(name)))
            .collect()
    }

    fn gone_at(row: usize) -> Vec<(String, usize, Option<String>)> {
        vec![("b".into(), row, None)]
    }

    #[test]
    fn a_service_whose_series_stop_while_others_go_on_vanished() {
        assert_eq!(found(&frame(|row| row < 22, vec![]), None), gone_at(22));
        assert_eq!(found(&frame(always, vec![]), None), []);
        assert_eq!(found(&frame(|row| !(21..28).contains(&row), vec![]), None), gone_at(21), "it came back");
    }

    #[test]
    fn rows_that_come_late_or_short_gaps_are_no_evidence() {
        assert_eq!(found(&frame(|row| row < 28, vec![]), None), []);
        assert_eq!(found(&frame(|row| row < NORMAL || row % 2 == 0, vec![]), None), []);
    }

    #[test]
    fn an_outage_of_the_collector_is_no_evidence() {
        let most = |row: usize| row < 22;
        let names = ["a", "b", "c", "d", "e"];
        let out = |left: usize| {
            let there = |index: usize| move |row: usize| index < left || most(row);
            let all: Vec<TestSeries> =
                (0..5).map(|index| series(names[index], MetricKind::Cpu, there(index))).collect();
            found(&frame_of(&all), None).len()
        };
        assert_eq!([0, 1, 2, 3, 4].map(out), [0, 0, 3, 2, 1]);
    }

    #[test]
    fn a_service_that_comes_and_goes_in_normal_times_does_not_vanish() {
        assert_eq!(
            found(&frame(|row| row < 22 && !(5..9).contains(&row), vec![]), None),
            [],
            "as long before"
        );
        assert_eq!(found(&frame(|row| row < 22 && row != 5, vec![]), None), gone_at(22));
        assert_eq!(found(&frame(|row| (10..22).contains(&row), vec![]), None), [], "a job of twelve rows");
        assert_eq!(found(&frame(|row| (2..22).contains(&row), vec![]), None), gone_at(22));
    }

    #[test]
    fn a_service_that_nobody_calls_lacks_latency_and_is_there() {
        let latency = series("b", MetricKind::Latency, |row| row < 22);
        let calls = series("b", MetricKind::Throughput, |row| row < 22);
        assert_eq!(found(&frame(always, vec![latency.clone(), calls.clone()]), None), []);
        let three = ["a", "c", "d"].map(|name| series(name, MetricKind::Latency, always));
        let without = frame_of(&[three.to_vec(), vec![latency, calls]].concat());
        assert_eq!(found(&without, None), [], "nothing is known of it but calls");
    }

    #[test]
    fn a_service_that_still_answers_lost_its_exporter_only() {
        let calls = series("b", MetricKind::Throughput, always);
        assert_eq!(found(&frame(|row| row < 22, vec![calls.clone()]), None), []);
        let failing = TestSeries {
            metric: MetricKind::Availability,
            name: "availability",
            samples: Array1::from_iter((0..ROWS).map(|row| if row < 22 { 1.0 } else { 0.0 })),
            ..calls.clone()
        };
        assert_eq!(found(&frame(|row| row < 22, vec![calls, failing]), None), gone_at(22));
    }

    #[test]
    fn a_service_that_nobody_called_any_more_was_scaled_to_zero() {
        let with_calls = |until: usize| {
            let calls = (0..ROWS).map(|row| if row < until { 3.0 } else { 0.0 });
            let samples = Array1::from_iter(
                calls.enumerate().map(|(row, calls)| if row < 24 { calls } else { f64::NAN }),
            );
            let calls =
                TestSeries { service: "b", metric: MetricKind::Throughput, name: "throughput", samples };
            frame(|row| row < 24, vec![calls])
        };
        assert_eq!(found(&with_calls(24), None), gone_at(24));
        assert_eq!(found(&with_calls(21), None), []);
        let failing = Array2::from_shape_fn(
            (3, ROWS),
            |(metric, row)| if metric == 2 && row >= 24 { 0.0 } else { 1.0 },
        );
        let edges = EdgeFrame::new(vec![("a".into(), "b".into())], failing).unwrap();
        assert_eq!(found(&with_calls(21), Some(&edges)), gone_at(24), "calls to it fail");
    }

    #[test]
    fn callers_tell_whether_it_answers() {
        let frame = frame(|row| row < 22, vec![]);
        let edges = |availability: f64| {
            let values = Array2::from_shape_fn((3, ROWS), |(metric, row)| match metric {
                0 | 1 => 2.0,
                _ => {
                    if row < 22 {
                        1.0
                    } else {
                        availability
                    }
                }
            });
            EdgeFrame::new(vec![("a".into(), "b".into())], values).unwrap()
        };
        assert_eq!(found(&frame, Some(&edges(0.0))), gone_at(22));
        assert_eq!(found(&frame, Some(&edges(0.9))), []);
    }

    #[test]
    fn a_newcomer_of_the_same_kind_is_the_same_service_under_another_name() {
        let renamed = |name, kind| series(name, kind, |row| row >= 22);
        let replaced =
            frame(|row| row < 22, vec![renamed("b-2", MetricKind::Memory), renamed("x", MetricKind::Memory)]);
        assert_eq!(found(&replaced, None), [("b".into(), 22, Some("b-2".into()))]);
        let job = frame(|row| row < 22, vec![renamed("job", MetricKind::Cpu)]);
        assert_eq!(found(&job, None), gone_at(22));
        let short = frame(|row| row < 22, vec![series("b-2", MetricKind::Memory, |row| row == 25)]);
        assert_eq!(found(&short, None), gone_at(22));
    }
}
