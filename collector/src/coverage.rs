//! Which of the metric types a frame holds, for a preflight.

use automap_proto::{frame::MetricFrame, metric::MetricKind, v1};

/// For how many services a metric type is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricCoverage {
    /// The type.
    pub metric: MetricKind,
    /// Services with a sample of this type.
    pub services: usize,
    /// All services of the frame.
    pub services_total: usize,
    /// Share of missing samples in the series of this type, 0 to 1; 1 where there is no series.
    pub missing_fraction: f64,
}

/// Coverage of all seven types, in order. O(series · samples).
pub fn coverage(frame: &MetricFrame) -> [MetricCoverage; automap_proto::metric::METRIC_COUNT] {
    MetricKind::ALL.map(|metric| {
        let (mut services, mut series, mut present) = (0, 0, 0);
        for service in 0..frame.services().len() {
            let range = frame.series_of_kind(service, metric);
            series += range.len();
            let found: usize =
                range.map(|index| frame.samples(index).iter().filter(|value| !value.is_nan()).count()).sum();
            services += usize::from(found > 0);
            present += found;
        }
        let all = series * frame.grid().samples();
        MetricCoverage {
            metric,
            services,
            services_total: frame.services().len(),
            missing_fraction: if all == 0 { 1.0 } else { (all - present) as f64 / all as f64 },
        }
    })
}

impl From<&MetricCoverage> for v1::MetricCoverage {
    fn from(coverage: &MetricCoverage) -> Self {
        let number = |services: usize| u32::try_from(services).unwrap_or(u32::MAX);
        Self {
            metric: coverage.metric.to_wire().into(),
            services: number(coverage.services),
            services_total: number(coverage.services_total),
            missing_fraction: coverage.missing_fraction,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{collect::read_frame, layout::RecordingDescription, limits::FrameLimits};

    #[test]
    fn coverage_counts_services_with_samples_and_missing_samples() {
        let csv = "timestamp,a_cpu,b_cpu,c_latency,c_throughput\n1,1,,0.5,2\n2,,,0.5,2\n";
        let description = RecordingDescription::new(None, "", None).unwrap();
        let collected = read_frame(csv.as_bytes(), &description, &FrameLimits::all_within(1 << 20)).unwrap();
        let found = coverage(&collected.frame);
        let cpu = found[MetricKind::Cpu.index()];
        assert_eq!((cpu.services, cpu.services_total), (1, 3));
        assert_eq!(cpu.missing_fraction, 0.75);
        let congestion = found[MetricKind::Congestion.index()];
        assert_eq!((congestion.services, congestion.missing_fraction), (1, 0.0));
        let memory = found[MetricKind::Memory.index()];
        assert_eq!((memory.services, memory.missing_fraction), (0, 1.0));
    }
}
