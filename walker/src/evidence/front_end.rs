//! Whether the front end left its normal range at all, as whoever alerts on it would see.
//!
//! The walk asks what a service added of its own, so that waiting for others and load are taken off. An alert does not:
//! a front end whose calls all fail because a callee does has every reason to alert.

use automap_proto::frame::MetricFrame;

use super::{deviation::Departure, least_spread::LeastSpread, series_values::SeriesValues};
use crate::parameters::EvidenceParameters;

/// The largest ln(1 + spreads) by which any series of `service` left its normal range, nothing taken off; `None` when
/// none of its series counts. O(its series · rows · log rows).
pub fn departure_as_measured(
    frame: &MetricFrame,
    service: &str,
    (normal, incident): (&[usize], &[usize]),
    parameters: &EvidenceParameters,
) -> Option<f64> {
    let service = frame.service_index(service)?;
    let of_series = |index: usize| {
        let samples = frame.samples(index);
        let values = SeriesValues::new(normal, incident, |row| samples[row]);
        let compared = values.with_least_spread(LeastSpread::of_series(frame, index, normal)).incident()?;
        let kind = frame.series()[index].metric;
        Some(Departure::new(&compared, kind, parameters.direction, parameters.statistic).strength())
    };
    frame.series_of(service).filter_map(of_series).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use automap_proto::metric::MetricKind;
    use ndarray::Array1;

    use super::*;
    use crate::test_frames::{TestSeries, frame_of};

    #[test]
    fn the_series_that_departed_furthest_counts_and_silence_is_not_calm() {
        let series = |service, metric: MetricKind, samples: [f64; 7]| TestSeries {
            service,
            metric,
            name: metric.name(),
            samples: Array1::from(samples.to_vec()),
        };
        let frame = frame_of(&[
            series("web", MetricKind::Cpu, [10.0, 12.0, 11.0, 9.0, 10.0, 11.0, 10.0]),
            series("web", MetricKind::Availability, [1.0, 0.9, 1.0, 0.9, 1.0, 0.1, 0.1]),
            series("db", MetricKind::Cpu, [f64::NAN; 7]),
        ]);
        let rows = (0..7).collect::<Vec<_>>();
        let of = |service| {
            departure_as_measured(&frame, service, (&rows[..5], &rows[5..]), &EvidenceParameters::default())
        };
        // m 1, s sigma/4 = .012 or (P97.5 - P2.5)/4 = .025, widened by sqrt(5): .9 below.
        assert!(
            (of("web").unwrap() - (1.0 + 0.9 / (0.025 * 5.0_f64.sqrt())).ln()).abs() < 1e-9,
            "{:?}",
            of("web")
        );
        assert_eq!((of("db"), of("stranger")), (None, None));
    }
}
