//! The least spread of a series that is believed: one that was calm for an hour may yet move a little.

use automap_proto::{frame::MetricFrame, metric::MetricKind};

use super::series_values::clamped;
use crate::percentile::median;

/// Share of |m| below which no spread is believed.
const LEAST_SHARE: f64 = 0.02;
/// The same of an availability: of a service that never failed, 4.5 % of failed calls are three spreads.
const LEAST_AVAILABILITY_SHARE: f64 = 0.015;

/// Below what no spread is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeastSpread {
    /// Share of |m|.
    share: f64,
    /// Calls behind each value, where values are shares of so many.
    calls: Option<f64>,
}

impl LeastSpread {
    /// Of a quantity: 2 % of |m|.
    pub const USUAL: Self = Self { share: LEAST_SHARE, calls: None };

    /// Of a series of `kind`, whose service has `rate` calls a second, where that is known, each of them in one row of
    /// `step_ms`. That of an availability p is 1.5 % of it, or the sampling error √(p(1 − p)/calls) where it is more.
    pub fn new(kind: MetricKind, rate: Option<f64>, step_ms: u64) -> Self {
        if kind != MetricKind::Availability {
            return Self::USUAL;
        }
        let calls = rate.map(|rate| rate * step_ms as f64 / 1000.0).filter(|calls| *calls > 0.0);
        Self { share: LEAST_AVAILABILITY_SHARE, calls }
    }

    /// Of series `index` of the frame, by the throughput of its service over the `normal` rows. O(rows · log rows).
    pub fn of_series(frame: &MetricFrame, index: usize, normal: &[usize]) -> Self {
        let key = &frame.series()[index];
        let service = frame.service_index(&key.service).filter(|_| key.metric == MetricKind::Availability);
        let rate = service
            .and_then(|service| frame.series_of_kind(service, MetricKind::Throughput).next())
            .and_then(|series| middle(normal.iter().map(|&row| frame.samples(series)[row])));
        Self::new(key.metric, rate, frame.grid().step_ms())
    }

    /// That of `values` normal values around `centre`, in their unit.
    pub(crate) fn around(&self, centre: f64, values: usize) -> f64 {
        let share = self.share * centre.abs();
        match self.calls {
            Some(calls) if (0.0..=1.0).contains(&centre) && values > 0 => {
                // Of calls that never failed half a one may have: nobody knows a share better than that.
                let failing = (1.0 - centre).max(0.5 / (calls * values as f64)).min(1.0);
                share.max((failing * (1.0 - failing) / calls).sqrt())
            }
            _ => share,
        }
    }
}

/// The median of the values that are there.
pub(crate) fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut known = clamped(values);
    known.sort_unstable_by(f64::total_cmp);
    (!known.is_empty()).then(|| median(&known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_believed_to_two_percent_and_an_availability_to_one_and_a_half() {
        assert_eq!(LeastSpread::new(MetricKind::Cpu, Some(5.0), 1000).around(-3.0, 9), 0.06);
        let of = |rate| LeastSpread::new(MetricKind::Availability, rate, 5000);
        assert_eq!(of(None).around(1.0, 40), 0.015);
        assert_eq!(of(Some(0.0)).around(1.0, 40), 0.015);
        assert_eq!(of(Some(1000.0)).around(1.0, 40), 0.015);
    }

    #[test]
    fn the_share_of_few_calls_strays_by_its_sampling_error() {
        let of_25_calls = LeastSpread::new(MetricKind::Availability, Some(5.0), 5000);
        // .9: sqrt(.9 · .1 / 25).
        assert!((of_25_calls.around(0.9, 40) - 0.06).abs() < 1e-12);
        // Three rows of four calls, none of which failed: half a one of twelve may have.
        let of_4_calls = LeastSpread::new(MetricKind::Availability, Some(0.8), 5000);
        let failing = 0.5 / 12.0;
        assert!((of_4_calls.around(1.0, 3) - (failing * (1.0 - failing) / 4.0_f64).sqrt()).abs() < 1e-12);
    }
}
