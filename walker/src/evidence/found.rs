//! What a window shows against every service of the walk: its own series, and what others see of it.

use std::{borrow::Cow, collections::BTreeSet};

use automap_proto::{
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    learned_weights::Deviations,
    metric::{METRIC_COUNT, MetricKind},
    ranking::{Direction, Evidence},
    time::UnixMillis,
};

use super::{
    callers_view::CallersView,
    deviation::{ServiceDeviation, TypeEvidence, service_evidence, total},
    edges_view::{CallEvidence, EdgesView},
    judge::EvidenceInput,
    measure::{Measured, WindowEvidence},
    vanished::Vanished,
    walk::walked_services,
};
use crate::{explain::stopped_at, service_evidence::ServiceEvidence};

/// Fewest services of which it can be said that most of them departed at once.
const MIN_GLOBAL_SERVICES: usize = 4;
/// What the evidence of callers is called where a series is named.
const SEEN_BY_CALLERS: &str = "client-latency of callers";
/// The same where single calls are measured: those that a service answers, and those that it makes.
const CALLS_OF_CALLERS: &str = "calls of its callers";
const OWN_CALLS: &str = "calls to its callees";
/// What falls with the calls that no longer come.
const FALLS_WITH_CALLS: [MetricKind; 4] =
    [MetricKind::Throughput, MetricKind::Congestion, MetricKind::Cpu, MetricKind::Io];

/// The services of the walk and where those of the frame stand among them.
pub(crate) struct States {
    pub(crate) names: Vec<String>,
    /// State of each service of the frame.
    pub(crate) of_frame: Vec<usize>,
    /// Calls that are measured, between states, in the order in which they are.
    pub(crate) measured: Vec<(usize, usize)>,
}

impl States {
    pub(crate) fn new(input: &EvidenceInput<'_>, edges: Option<&EdgeFrame>) -> Self {
        let measured = edges.map_or(&[][..], EdgeFrame::edges);
        let names = walked_services(input.frame.services(), input.context.call_graph(), measured);
        let state = |name: &String| names.binary_search(name).ok();
        let of_frame = input.frame.services().iter().filter_map(state).collect();
        let measured = measured.iter().filter_map(|(caller, callee)| Some((state(caller)?, state(callee)?)));
        Self { of_frame, measured: measured.collect(), names }
    }

    /// Values of the frame's services laid over all states.
    pub(crate) fn spread<T: Clone>(&self, values: impl IntoIterator<Item = T>, other: T) -> Vec<T> {
        let mut all = vec![other; self.names.len()];
        for (state, value) in self.of_frame.iter().zip(values) {
            all[*state] = value;
        }
        all
    }

    /// The evidence of a window over all states, with what callers see where calls are known.
    pub(crate) fn lay_out(
        &self,
        window: &WindowEvidence,
        measured: &Measured,
        calls: Option<&[(usize, usize)]>,
    ) -> Found {
        let mut found = Found {
            types: self.spread(window.services.iter().copied(), Default::default()),
            deviations: self.spread(window.deviations(), Default::default()),
            outside: vec![Outside::default(); self.names.len()],
            stopped: vec![None; self.names.len()],
        };
        if let Some(departures) = &window.calls {
            let seen = |departures: &[f64]| {
                EdgesView { calls: &self.measured, departures }.evidence(self.names.len())
            };
            found.take_calls(MetricKind::Latency, &seen(&departures.latency));
            found.take_calls(MetricKind::Availability, &seen(&departures.availability));
        } else if let Some(calls) = calls {
            let view = CallersView {
                calls,
                throughput: &self.spread(measured.throughput.iter().copied(), None),
                spreads: &self.spread(measured.client_spreads.iter().copied(), None),
                rises: &self.spread(window.client_rises.iter().copied(), 0.0),
            };
            found.take_callers_view(&view);
        }
        found
    }
}

/// Where others say more than a service's own series do, by metric type: what is named in their place, and which way it went.
type Outside = [Option<(Cow<'static, str>, Direction)>; METRIC_COUNT];

/// What a window shows against every state.
pub(crate) struct Found {
    pub(crate) types: Vec<[TypeEvidence; METRIC_COUNT]>,
    pub(crate) deviations: Vec<ServiceDeviation>,
    /// Where others say more than the service's own series do.
    outside: Vec<Outside>,
    /// When the series of a service stopped that vanished.
    pub(crate) stopped: Vec<Option<UnixMillis>>,
}

impl Found {
    pub(crate) fn take_callers_view(&mut self, view: &CallersView<'_>) {
        const LATENCY: usize = MetricKind::Latency.index();
        let (seen, explained) = (view.evidence(), view.explained());
        for (state, deviation) in self.deviations.iter_mut().enumerate() {
            let own = (deviation[LATENCY] - explained[state]).max(0.0);
            deviation[LATENCY] = own + seen[state];
            if seen[state] > own {
                self.outside[state][LATENCY] = Some((SEEN_BY_CALLERS.into(), Direction::Up));
            }
        }
    }

    /// Measured calls count as one more series of their type: the largest leads.
    pub(crate) fn take_calls(&mut self, kind: MetricKind, evidence: &[CallEvidence]) {
        let direction = if kind == MetricKind::Latency { Direction::Up } else { Direction::Down };
        for (state, calls) in evidence.iter().enumerate() {
            let (seen, series) = if calls.as_callee >= calls.as_caller {
                (calls.as_callee, CALLS_OF_CALLERS)
            } else {
                (calls.as_caller, OWN_CALLS)
            };
            let known = &mut self.deviations[state][kind.index()];
            if seen > *known {
                *known = seen;
                self.outside[state][kind.index()] = Some((series.into(), direction));
            }
        }
    }

    /// A service that vanished counts as so many spreads of availability, or more where that was found already; when its series
    /// stopped is named in either case. What falls with the calls is not held against services that it called, directly or
    /// through others.
    pub(crate) fn take_vanished(
        &mut self,
        gone: &[Vanished],
        (states, frame): (&States, &MetricFrame),
        calls: Option<&[(usize, usize)]>,
        spreads: f64,
    ) {
        const AVAILABILITY: usize = MetricKind::Availability.index();
        let mut left: Vec<usize> = Vec::new();
        for one in gone.iter().filter(|one| one.successor.is_none()) {
            let state = states.of_frame[one.service];
            let known = &mut self.deviations[state][AVAILABILITY];
            *known = known.max(spreads.ln_1p());
            let time = frame.grid().time(one.row);
            self.outside[state][AVAILABILITY] = Some((stopped_at(time).into(), Direction::Down));
            self.stopped[state] = Some(time);
            left.push(state);
        }
        let mut reached: BTreeSet<usize> = left.iter().copied().collect();
        while let Some(caller) = left.pop() {
            for &(_, callee) in calls.unwrap_or(&states.measured).iter().filter(|call| call.0 == caller) {
                if !reached.insert(callee) {
                    continue;
                }
                left.push(callee);
                for kind in FALLS_WITH_CALLS {
                    if self.types[callee][kind.index()].direction() == Some(Direction::Down) {
                        self.deviations[callee][kind.index()] = 0.0;
                    }
                }
            }
        }
    }

    pub(crate) fn totals(&self) -> Vec<f64> {
        self.deviations.iter().map(total).collect()
    }

    /// Deviations with their directions, as confirmed incidents weigh them.
    pub(crate) fn directed(&self) -> Vec<Deviations> {
        let of_state = |state: usize| {
            MetricKind::ALL.map(|kind| {
                let outside = self.outside[state][kind.index()].as_ref().map(|(_, direction)| *direction);
                let direction = outside.or_else(|| self.types[state][kind.index()].direction());
                (self.deviations[state][kind.index()], direction.unwrap_or(Direction::Up))
            })
        };
        (0..self.deviations.len()).map(of_state).collect()
    }

    pub(crate) fn evidence(&self, frame: &MetricFrame) -> Vec<ServiceEvidence> {
        (0..self.deviations.len())
            .map(|state| {
                let mut own = self.deviations[state];
                for (deviation, outside) in own.iter_mut().zip(&self.outside[state]) {
                    *deviation = if outside.is_some() { 0.0 } else { *deviation };
                }
                let mut found = service_evidence(frame, &own, &self.types[state]);
                for metric in MetricKind::ALL {
                    if let Some((series, direction)) = &self.outside[state][metric.index()] {
                        let deviation = self.deviations[state][metric.index()];
                        let series = series.clone().into_owned();
                        found.evidence.push(Evidence { metric, series, deviation, direction: *direction });
                    }
                }
                found.evidence.sort_by(|left, right| right.deviation.total_cmp(&left.deviation));
                found.total = total(&self.deviations[state]);
                found
            })
            .collect()
    }

    /// Whether at least `share` of the measured services left their normal range, by so many spreads.
    pub(crate) fn is_global(&self, states: &States, share: f64, spreads: f64) -> bool {
        let departed =
            |state: &usize| self.deviations[*state].iter().any(|deviation| *deviation >= spreads.ln_1p());
        let measured = states.of_frame.len();
        let count = states.of_frame.iter().filter(|state| departed(state)).count();
        measured >= MIN_GLOBAL_SERVICES && count as f64 >= share * measured as f64
    }
}
