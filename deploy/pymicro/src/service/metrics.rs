//! What a service tells Prometheus. The scrape configuration adds the label `service`.

use std::time::Duration;

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tokio::time::Instant;

use crate::process_usage::ProcessUsage;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What nginx counts when the client has left before the answer.
const CLIENT_LEFT: u16 = 499;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    callee: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Callee {
    callee: &'static str,
}

/// The metrics of a service.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    durations: Histogram,
    requests: Family<Served, Counter>,
    call_durations: Family<Callee, Histogram, fn() -> Histogram>,
    calls: Family<Called, Counter>,
}

/// From 1 ms to 8 s.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 14))
}

impl Metrics {
    /// The status of a call without an answer.
    pub(super) const NO_ANSWER: u16 = 0;

    /// Metrics of a service that calls `callees`.
    pub(super) fn new(callees: &[&'static str]) -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            durations: durations(),
            requests: Family::default(),
            call_durations: Family::new_with_constructor(durations),
            calls: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register_with_unit(
            "pymicro_request_duration",
            "Time from a request to its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "pymicro_requests",
            "Requests that were answered, by status; 499: the caller did not wait for the answer",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "pymicro_client_request_duration",
            "Time from a call to its answer, or to giving up",
            Unit::Seconds,
            metrics.call_durations.clone(),
        );
        registry.register(
            "pymicro_client_requests",
            "Calls to other services, by status; 0: no answer",
            metrics.calls.clone(),
        );
        registry.register_collector(Box::new(ProcessUsage));
        // A rate needs the zero before the first.
        metrics.requests.get_or_create(&Served { status: 200 }).inc_by(0);
        for &callee in callees {
            metrics.calls.get_or_create(&Called { callee, status: 200 }).inc_by(0);
            drop(metrics.call_durations.get_or_create(&Callee { callee }));
        }
        metrics
    }

    /// Begins to measure a request.
    pub(super) fn begin(&self) -> Measured<'_> {
        Measured { metrics: self, started: Instant::now(), status: None }
    }

    /// Counts a call.
    pub(super) fn called(&self, callee: &'static str, status: u16, duration: Duration) {
        self.calls.get_or_create(&Called { callee, status: status.into() }).inc();
        self.call_durations.get_or_create(&Callee { callee }).observe(duration.as_secs_f64());
    }

    /// The answer to a scrape.
    pub(super) fn answer(&self) -> Response {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        }
    }
}

/// A request that is being served. It is counted when this is dropped, so that one whose caller has left counts, too.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    metrics: &'a Metrics,
    started: Instant,
    /// Its status; none while there is no answer.
    pub(super) status: Option<StatusCode>,
}

impl Drop for Measured<'_> {
    fn drop(&mut self) {
        let status = self.status.map_or(CLIENT_LEFT, |status| status.as_u16());
        self.metrics.durations.observe(self.started.elapsed().as_secs_f64());
        self.metrics.requests.get_or_create(&Served { status: status.into() }).inc();
    }
}
