//! Step 5, calls that measure themselves: how far each call left its normal range, beyond what waiting explains.
//!
//! A caller that waits for its own callees is slow for no fault of its own. So what the calls of a service add is taken
//! off the latency of the calls *to* it, row by row, and off its own latency:
//!
//! ```text
//! waiting_x(t) = Σ_y n_xy · max(latency_xy(t) − median, 0)     n_xy = calls from x to y per call to x
//! ```
//!
//! n is the ratio of throughputs in normal times, 1 where they are not known. Availability goes the same way: a call
//! that failed because a call further down did is no fault of the service between.

use std::{collections::BTreeMap, ops::Range};

use automap_proto::{
    edge_frame::{EdgeFrame, EdgeMetric},
    metric::MetricKind,
};

use super::{
    deviation::Departure,
    least_spread::{self, LeastSpread},
    series_values::{Compared, SeriesValues, WindowBuffer},
};
use crate::parameters::EvidenceParameters;

/// Measured calls with what is normal for them.
#[derive(Debug, Clone)]
pub struct MeasuredCalls<'a> {
    edges: &'a EdgeFrame,
    /// Edges out of each service.
    by_caller: BTreeMap<&'a str, Vec<usize>>,
    /// Median latency and availability of each edge in normal times.
    normal: Vec<[Option<f64>; 2]>,
    /// n of each edge.
    per_call: Vec<f64>,
    /// Least spreads of latency and availability of each edge.
    least: Vec<[LeastSpread; 2]>,
}

/// ln(1 + spreads) by which each edge left its normal range in one window, beyond what waiting explains.
#[derive(Debug, Clone, PartialEq)]
pub struct CallDepartures {
    /// Latency upward.
    pub latency: Vec<f64>,
    /// Availability downward.
    pub availability: Vec<f64>,
}

impl<'a> MeasuredCalls<'a> {
    /// Looks at the rows `normal` of `edges`, which are `step_ms` apart. O(edges · rows · log rows).
    pub fn new(edges: &'a EdgeFrame, normal: &[usize], step_ms: u64) -> Self {
        let mut by_caller = BTreeMap::<&str, Vec<usize>>::new();
        let mut calls_to = BTreeMap::<&str, f64>::new();
        let middle = |edge: usize, metric: EdgeMetric| {
            let samples = edges.samples(edge, metric);
            least_spread::middle(normal.iter().map(|&row| samples[row]))
        };
        let rates: Vec<Option<f64>> =
            (0..edges.edges().len()).map(|edge| middle(edge, EdgeMetric::Throughput)).collect();
        for (edge, (caller, callee)) in edges.edges().iter().enumerate() {
            by_caller.entry(caller).or_default().push(edge);
            *calls_to.entry(callee).or_default() += rates[edge].unwrap_or(0.0);
        }
        let per_call = edges
            .edges()
            .iter()
            .zip(&rates)
            .map(|((caller, _), rate)| {
                let received = calls_to.get(caller.as_str()).copied().unwrap_or(0.0);
                rate.map_or(1.0, |rate| if received > 0.0 && rate > 0.0 { rate / received } else { 1.0 })
            })
            .collect();
        let normal = (0..edges.edges().len())
            .map(|edge| [EdgeMetric::Latency, EdgeMetric::Availability].map(|metric| middle(edge, metric)))
            .collect();
        let least = rates
            .iter()
            .map(|&rate| {
                [MetricKind::Latency, MetricKind::Availability]
                    .map(|kind| LeastSpread::new(kind, rate, step_ms))
            })
            .collect();
        Self { edges, by_caller, normal, per_call, least }
    }

    /// (caller, callee) of every edge.
    pub fn edges(&self) -> &'a [(String, String)] {
        self.edges.edges()
    }

    /// What the calls of `service` add to its latency (`Latency`, seconds) or take from its availability
    /// (`Availability`) at every row; `None` where it calls nobody or the measure is another. O(its calls · rows).
    pub fn passed_on(&self, service: &str, kind: MetricKind) -> Option<Vec<f64>> {
        let (metric, sign) = match kind {
            MetricKind::Latency => (EdgeMetric::Latency, 1.0),
            MetricKind::Availability => (EdgeMetric::Availability, -1.0),
            _ => return None,
        };
        let calls = self.by_caller.get(service)?;
        let mut sum = vec![0.0; self.edges.values().ncols()];
        for &edge in calls {
            let [latency, availability] = self.normal[edge];
            let Some(normal) = (if metric == EdgeMetric::Latency { latency } else { availability }) else {
                continue;
            };
            for (total, value) in sum.iter_mut().zip(self.edges.samples(edge, metric)) {
                let excess = sign * (value - normal);
                // A missing sample adds nothing; comparison with NaN is false.
                if excess > 0.0 {
                    *total += self.per_call[edge] * excess;
                }
            }
        }
        Some(sum)
    }

    /// How far every edge left its normal range in the incident and in each placebo window, which are ranges of
    /// positions in `normal`. O(edges · rows · (log rows + windows)).
    pub fn departures(
        &self,
        normal: &[usize],
        incident: &[usize],
        placebo_windows: &[Range<usize>],
        parameters: &EvidenceParameters,
    ) -> (CallDepartures, Vec<CallDepartures>) {
        let count = self.edges().len();
        let none = CallDepartures { latency: vec![0.0; count], availability: vec![0.0; count] };
        let (mut found, mut placebo) = (none.clone(), vec![none; placebo_windows.len()]);
        let mut buffer = WindowBuffer::default();
        for (edge, (_, callee)) in self.edges().iter().enumerate() {
            for (metric, kind, sign) in [
                (EdgeMetric::Latency, MetricKind::Latency, -1.0),
                (EdgeMetric::Availability, MetricKind::Availability, 1.0),
            ] {
                let samples = self.edges.samples(edge, metric);
                let passed = self.passed_on(callee, kind);
                let values = SeriesValues::new(normal, incident, |row| {
                    samples[row] + passed.as_ref().map_or(0.0, |passed| sign * passed[row])
                })
                .with_least_spread(self.least[edge][usize::from(kind == MetricKind::Availability)]);
                let slot = |window: &mut CallDepartures, compared: &Compared| {
                    let departure =
                        Departure::new(compared, kind, parameters.direction, parameters.statistic);
                    let list = if metric == EdgeMetric::Latency {
                        &mut window.latency
                    } else {
                        &mut window.availability
                    };
                    list[edge] = departure.strength();
                };
                if let Some(compared) = values.incident() {
                    slot(&mut found, &compared);
                }
                for (window, positions) in placebo.iter_mut().zip(placebo_windows) {
                    if let Some(compared) = values.placebo(positions, &mut buffer) {
                        slot(window, &compared);
                    }
                }
            }
        }
        (found, placebo)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// web calls cart, cart calls db; twelve rows, the last three the incident, in which db takes longer.
    fn chain(slower: f64, rates: [f64; 2]) -> EdgeFrame {
        let edges = vec![("web".to_owned(), "cart".to_owned()), ("cart".to_owned(), "db".to_owned())];
        let values = Array2::from_shape_fn((6, 12), |(row, column)| {
            let (noise, late) = ((column % 3) as f64 * 0.01, if column >= 9 { slower } else { 0.0 });
            match row {
                0 => 1.0 + noise + late * rates[1] / rates[0],
                1 => rates[0],
                3 => 0.1 + noise + late,
                4 => rates[1],
                _ => 1.0,
            }
        });
        EdgeFrame::new(edges, values).unwrap()
    }

    fn departures(edges: &EdgeFrame) -> CallDepartures {
        let normal: Vec<usize> = (0..9).collect();
        let calls = MeasuredCalls::new(edges, &normal, 5000);
        let (found, placebo) =
            calls.departures(&normal, &[9, 10, 11], &[0..3, 3..6], &EvidenceParameters::default());
        assert_eq!(placebo.len(), 2);
        assert!(placebo.iter().all(|window| window.latency.iter().all(|one| *one < 1.5)), "{placebo:?}");
        found
    }

    #[test]
    fn waiting_for_a_callee_is_no_departure_of_the_service_between() {
        let edges = chain(2.0, [5.0, 15.0]);
        let normal: Vec<usize> = (0..9).collect();
        let waiting =
            MeasuredCalls::new(&edges, &normal, 5000).passed_on("cart", MetricKind::Latency).unwrap();
        // Each call of cart makes three to db.
        assert!((waiting[10] - 6.0).abs() < 0.1 && waiting[0] < 0.1, "{waiting:?}");
        let found = departures(&edges);
        assert!(found.latency[0] > 4.0 && found.latency[1] < 1.0, "cart to db, web to cart: {found:?}");
        assert_eq!(found.availability, [0.0, 0.0]);
    }

    #[test]
    fn calls_that_fail_a_little_depart_by_the_least_spread_of_an_availability() {
        let failing = |rate: f64| {
            let edges = vec![("web".to_owned(), "cart".to_owned())];
            let values = Array2::from_shape_fn((3, 12), |(row, column)| match row {
                1 => rate,
                2 if column >= 9 => 0.95,
                _ => 1.0,
            });
            departures(&EdgeFrame::new(edges, values).unwrap()).availability[0]
        };
        assert!((failing(1000.0) - (1.0 + 0.05 / 0.015_f64).ln()).abs() < 1e-9, "{}", failing(1000.0));
        assert!(failing(0.8) < failing(1000.0) && failing(0.8) > 0.0, "{}", failing(0.8));
    }

    #[test]
    fn nobody_waits_for_what_he_does_not_call() {
        let edges = chain(2.0, [5.0, 5.0]);
        let calls = MeasuredCalls::new(&edges, &[0, 1, 2, 3, 4], 5000);
        assert_eq!(calls.passed_on("db", MetricKind::Latency), None);
        assert_eq!(calls.passed_on("cart", MetricKind::Cpu), None);
        assert_eq!(calls.edges().len(), 2);
    }
}
