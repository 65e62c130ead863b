//! Steps 1, 4, 5 and the placebo half of step 8, series by series: what the incident shows, and what normal times do.

use std::{ops::Range, sync::atomic::AtomicBool};

use automap_proto::{
    frame::MetricFrame,
    metric::{METRIC_COUNT, MetricKind},
};

use super::{
    callers_view::{self, ClientLatency},
    deload::Load,
    deviation::{Departure, ServiceDeviation, TypeEvidence},
    least_spread::LeastSpread,
    measured_calls::{CallDepartures, MeasuredCalls},
    series_values::{Compared, SeriesValues, WindowBuffer},
};
use crate::{
    parameters::EvidenceParameters,
    stop::{self, Stopped},
};

/// How far every service left its normal behaviour in one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowEvidence {
    /// One per service of the frame, types in the order of [`MetricKind::ALL`].
    pub services: Vec<[TypeEvidence; METRIC_COUNT]>,
    /// How far the latency that each service sees as a client rose: spreads of its normal range; zero where it did not
    /// or is not measured.
    pub client_rises: Vec<f64>,
    /// How far every measured call departed; `None` where none is measured.
    pub calls: Option<CallDepartures>,
}

impl WindowEvidence {
    fn new(services: usize) -> Self {
        Self {
            services: vec![[TypeEvidence::default(); METRIC_COUNT]; services],
            client_rises: vec![0.0; services],
            calls: None,
        }
    }

    /// F of every service.
    pub fn deviations(&self) -> Vec<ServiceDeviation> {
        self.services.iter().map(|types| types.map(|found| found.deviation())).collect()
    }
}

/// What was measured in the incident and in placebo windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The incident.
    pub incident: WindowEvidence,
    /// Normal windows as if each were the incident, in order of time.
    pub placebo: Vec<WindowEvidence>,
    /// Spread of the latency that each service sees as a client in normal times, seconds; `None` where it is not
    /// measured.
    pub client_spreads: Vec<Option<f64>>,
    /// Median throughput of each service in normal times, requests/s; `None` where it is not measured.
    pub throughput: Vec<Option<f64>>,
}

/// Measures every series of the frame and every measured call in the incident and in the placebo windows, which are
/// ranges of positions in `normal`.
///
/// # Complexity
/// O(series · rows · log rows), and per placebo window O(series · its rows · log rows).
///
/// # Errors
/// [`Stopped`] soon after `stop` was set.
pub fn measure(
    frame: &MetricFrame,
    (normal, incident): (&[usize], &[usize]),
    placebo_windows: &[Range<usize>],
    calls: Option<&MeasuredCalls<'_>>,
    parameters: &EvidenceParameters,
    stop: &AtomicBool,
) -> Result<Measured, Stopped> {
    let services = frame.services().len();
    let mut measured = Measured {
        incident: WindowEvidence::new(services),
        placebo: vec![WindowEvidence::new(services); placebo_windows.len()],
        client_spreads: vec![None; services],
        throughput: vec![None; services],
    };
    let mut buffer = WindowBuffer::default();
    for service in 0..services {
        stop::poll(stop)?;
        let throughput = frame.series_of_kind(service, MetricKind::Throughput).next();
        let has_own_latency = frame
            .series_of_kind(service, MetricKind::Latency)
            .any(|index| !callers_view::is_client(&frame.series()[index].name));
        let passed_on = |kind: MetricKind| calls?.passed_on(&frame.services()[service], kind);
        let (waiting, failing) = (passed_on(MetricKind::Latency), passed_on(MetricKind::Availability));
        for index in frame.series_of(service) {
            let key = &frame.series()[index];
            let load = throughput
                .filter(|_| parameters.deload && Load::applies_to(key.metric))
                .and_then(|calls| Load::fit(frame, index, calls, normal).map(|load| (load, calls)));
            let samples = frame.samples(index);
            let values = SeriesValues::new(normal, incident, |row| {
                let explained = match key.metric {
                    MetricKind::Latency => waiting.as_ref().map_or(0.0, |seconds| seconds[row]),
                    MetricKind::Availability => failing.as_ref().map_or(0.0, |share| -share[row]),
                    _ => load
                        .as_ref()
                        .map_or(0.0, |(load, calls)| load.part(frame.values()[[*calls, row]], samples[row])),
                };
                samples[row] - explained
            })
            .with_least_spread(LeastSpread::of_series(frame, index, normal));
            let Some(found) = values.incident() else {
                continue;
            };
            let role = Role::of(&key.name, key.metric, has_own_latency, parameters.client_latency);
            if Some(index) == throughput {
                measured.throughput[service] = Some(found.range.centre);
            }
            if role == Role::Client {
                let scale = found.range.scale(found.window.largest);
                measured.client_spreads[service].get_or_insert(scale);
            }
            let note = |window: &mut WindowEvidence, compared: &Compared| {
                let departure =
                    Departure::new(compared, key.metric, parameters.direction, parameters.statistic);
                match role {
                    Role::Own => window.services[service][key.metric.index()].take(index, &departure),
                    Role::Client => {
                        let rise = departure.strengths.iter().map(|one| one.exp_m1()).sum::<f64>() / 2.0;
                        let known = &mut window.client_rises[service];
                        *known = known.max(rise.min(f64::MAX));
                    }
                    Role::Ignored => {}
                }
            };
            note(&mut measured.incident, &found);
            for (window, positions) in measured.placebo.iter_mut().zip(placebo_windows) {
                if let Some(compared) = values.placebo(positions, &mut buffer) {
                    note(window, &compared);
                }
            }
        }
    }
    if let Some(calls) = calls {
        let (found, placebo) = calls.departures(normal, incident, placebo_windows, parameters);
        measured.incident.calls = Some(found);
        for (window, calls) in measured.placebo.iter_mut().zip(placebo) {
            window.calls = Some(calls);
        }
    }
    Ok(measured)
}

/// Of whom a series speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Of its own service.
    Own,
    /// Of the services that its service calls.
    Client,
    Ignored,
}

impl Role {
    fn of(name: &str, kind: MetricKind, has_own_latency: bool, client_latency: ClientLatency) -> Self {
        if kind != MetricKind::Latency || !callers_view::is_client(name) || !has_own_latency {
            return Self::Own;
        }
        match client_latency {
            ClientLatency::Own => Self::Own,
            ClientLatency::Callees => Self::Client,
            ClientLatency::Ignored => Self::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        stop::NEVER,
        test_frames::{TestSeries, frame_of},
    };

    fn series(metric: MetricKind, name: &'static str, samples: &[f64]) -> TestSeries {
        TestSeries { service: "cart", metric, name, samples: Array1::from(samples.to_vec()) }
    }

    fn deviations(frame: &MetricFrame, normal: usize, parameters: &EvidenceParameters) -> ServiceDeviation {
        let samples = frame.grid().samples();
        let (normal, incident): (Vec<usize>, Vec<usize>) = (0..samples).partition(|&row| row < normal);
        let rows = (normal.as_slice(), incident.as_slice());
        measure(frame, rows, &[], None, parameters, &NEVER).unwrap().incident.deviations()[0]
    }

    #[test]
    fn a_deviation_worked_by_hand() {
        // Normal 10 12 11 9 10: m 10, s 1.48·sqrt(1 + 20/5). Incident 20 30: P80 28, median 25.
        let frame = frame_of(&[series(MetricKind::Cpu, "cpu", &[10.0, 12.0, 11.0, 9.0, 10.0, 20.0, 30.0])]);
        let found = deviations(&frame, 5, &EvidenceParameters::default());
        let spread = 1.48 * 5.0_f64.sqrt();
        let expected = f64::midpoint((1.0 + 18.0 / spread).ln(), (1.0 + 15.0 / spread).ln());
        assert!((found[MetricKind::Cpu.index()] - expected).abs() < 1e-12);
    }

    #[test]
    fn cpu_that_follows_the_load_does_not_deviate() {
        let calls: Vec<f64> = (0..14).map(|row| f64::from(row % 4)).collect();
        let cpu: Vec<f64> = calls.iter().map(|call| 1.0 + 3.0 * call).collect();
        let mut busy = calls.clone();
        busy.extend([3.0, 3.0]);
        let mut used = cpu.clone();
        used.extend([10.0, 10.0]);
        let frame = frame_of(&[
            series(MetricKind::Throughput, "throughput", &busy),
            series(MetricKind::Cpu, "cpu", &used),
        ]);
        let with = deviations(&frame, 14, &EvidenceParameters::default())[MetricKind::Cpu.index()];
        let without = EvidenceParameters { deload: false, ..EvidenceParameters::default() };
        let without = deviations(&frame, 14, &without)[MetricKind::Cpu.index()];
        assert!(with < without, "{with} {without}");
    }

    #[test]
    fn what_a_service_sees_as_a_client_is_not_held_against_it() {
        let rising = [1.0, 2.0, 1.0, 2.0, 1.0, 9.0, 9.0];
        let frame = frame_of(&[
            series(MetricKind::Latency, "latency", &[1.0, 2.0, 1.0, 2.0, 1.0, 1.1, 1.1]),
            series(MetricKind::Latency, "client-latency", &rising),
        ]);
        let latency = |mode| {
            let parameters = EvidenceParameters { client_latency: mode, ..EvidenceParameters::default() };
            deviations(&frame, 5, &parameters)[MetricKind::Latency.index()]
        };
        assert!(latency(ClientLatency::Own) > 1.0);
        assert!(latency(ClientLatency::Callees) < 1.0);
        let alone = frame_of(&[series(MetricKind::Latency, "client-latency", &rising)]);
        let found = deviations(&alone, 5, &EvidenceParameters::default());
        assert!(found[MetricKind::Latency.index()] > 1.0, "all the latency there is");
    }

    #[test]
    fn a_series_with_one_value_or_none_is_no_evidence() {
        let nan = f64::NAN;
        let frame = frame_of(&[
            series(MetricKind::Cpu, "cpu", &[7.0; 7]),
            series(MetricKind::Io, "io", &[nan, nan, nan, nan, nan, nan, 3.0]),
            series(MetricKind::Memory, "memory", &[nan; 7]),
        ]);
        assert_eq!(deviations(&frame, 5, &EvidenceParameters::default()), [0.0; METRIC_COUNT]);
    }

    proptest! {
        #[test]
        fn every_deviation_is_finite_and_not_negative(
            samples in proptest::collection::vec(
                prop_oneof![any::<f64>(), Just(f64::NAN), Just(f64::MAX), Just(f64::MIN), Just(0.0), -1e3..1e3],
                24,
            ),
        ) {
            let frame = frame_of(&[
                series(MetricKind::Throughput, "throughput", &samples[..12]),
                series(MetricKind::Cpu, "cpu", &samples[12..]),
            ]);
            let rows: Vec<usize> = (0..12).collect();
            let (windows, parameters) = ([0..3, 3..6], EvidenceParameters::default());
            let found =
                measure(&frame, (&rows[..9], &rows[9..]), &windows, None, &parameters, &NEVER).unwrap();
            for window in found.placebo.iter().chain([&found.incident]) {
                for deviation in window.deviations().as_flattened() {
                    prop_assert!(deviation.is_finite() && *deviation >= 0.0);
                }
            }
        }

        #[test]
        fn a_change_of_unit_changes_nothing(
            samples in proptest::collection::vec(1.0..100.0_f64, 12),
            unit in prop_oneof![Just(1000.0), Just(0.001), Just(64.0)],
        ) {
            let one = frame_of(&[series(MetricKind::Memory, "memory", &samples)]);
            let scaled: Vec<f64> = samples.iter().map(|value| value * unit).collect();
            let other = frame_of(&[series(MetricKind::Memory, "memory", &scaled)]);
            let parameters = EvidenceParameters::default();
            let (one, other) = (deviations(&one, 8, &parameters), deviations(&other, 8, &parameters));
            prop_assert!((one[5] - other[5]).abs() < 1e-9);
        }
    }
}
