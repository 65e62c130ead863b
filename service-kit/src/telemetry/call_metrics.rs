//! Rate, errors and duration of the calls that a server answers, under the names that dashboards of gRPC servers know.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use tonic::Code;

use super::methods::{Method, served_by};

/// Upper ends of the buckets of durations, seconds: from a look-up to a diagnosis of a whole cluster.
const BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    grpc_service: String,
    grpc_method: String,
    grpc_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    grpc_service: String,
    grpc_method: String,
    grpc_type: &'static str,
    grpc_code: &'static str,
}

/// The metrics of one server. Labels are methods of the contract and codes of gRPC, so their number is bounded.
#[derive(Debug)]
pub struct CallMetrics {
    by_path: BTreeMap<String, Arc<MethodMetrics>>,
    unknown: Arc<MethodMetrics>,
}

/// The metrics of one method.
#[derive(Debug)]
pub(crate) struct MethodMetrics {
    pub(crate) method: Method,
    started: Counter,
    handled: Family<EndLabels, Counter>,
    seconds: Histogram,
    in_flight: Gauge,
    received: Counter,
    sent: Counter,
}

impl CallMetrics {
    /// Registers the metrics of the server of `service`.
    pub fn new(service: &str, registry: &mut Registry) -> Self {
        let started = Family::<MethodLabels, Counter>::default();
        let handled = Family::<EndLabels, Counter>::default();
        let seconds = Family::<MethodLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let in_flight = Family::<MethodLabels, Gauge>::default();
        let received = Family::<MethodLabels, Counter>::default();
        let sent = Family::<MethodLabels, Counter>::default();
        registry.register("grpc_server_started", "Calls that began", started.clone());
        registry.register("grpc_server_handled", "Calls that ended, by code", handled.clone());
        registry.register_with_unit(
            "grpc_server_handling",
            "Time from the first byte of a call to its last",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register("grpc_server_in_flight", "Calls under way", in_flight.clone());
        registry.register_with_unit(
            "grpc_server_received",
            "Size of the messages that came in",
            Unit::Bytes,
            received.clone(),
        );
        registry.register_with_unit(
            "grpc_server_sent",
            "Size of the messages that went out",
            Unit::Bytes,
            sent.clone(),
        );
        let of = |method: Method| {
            let labels = MethodLabels {
                grpc_service: method.service.clone(),
                grpc_method: method.name.clone(),
                grpc_type: method.kind,
            };
            Arc::new(MethodMetrics {
                started: started.get_or_create(&labels).clone(),
                handled: handled.clone(),
                seconds: seconds.get_or_create(&labels).clone(),
                in_flight: in_flight.get_or_create(&labels).clone(),
                received: received.get_or_create(&labels).clone(),
                sent: sent.get_or_create(&labels).clone(),
                method,
            })
        };
        let by_path: BTreeMap<_, _> =
            served_by(service).into_iter().map(|(path, method)| (path, of(method))).collect();
        let metrics = Self { by_path, unknown: of(Method::unknown()) };
        for method in metrics.by_path.values().filter(|metrics| metrics.method.own) {
            // A series that appears with its first call has no increase of that call.
            method.handled(Code::Ok);
        }
        metrics
    }

    /// The metrics of the method at `path`.
    pub(crate) fn of(&self, path: &str) -> Arc<MethodMetrics> {
        Arc::clone(self.by_path.get(path).unwrap_or(&self.unknown))
    }
}

impl MethodMetrics {
    pub(crate) fn begin(&self) {
        self.started.inc();
        self.in_flight.inc();
    }

    pub(crate) fn end(&self, code: Code, took: Duration, received: u64, sent: u64) {
        self.in_flight.dec();
        self.seconds.observe(took.as_secs_f64());
        self.received.inc_by(received);
        self.sent.inc_by(sent);
        self.handled(code).inc();
    }

    fn handled(&self, code: Code) -> Counter {
        let labels = EndLabels {
            grpc_service: self.method.service.clone(),
            grpc_method: self.method.name.clone(),
            grpc_type: self.method.kind,
            grpc_code: code_name(code),
        };
        self.handled.get_or_create(&labels).clone()
    }
}

/// A code as dashboards of gRPC servers know it: `InvalidArgument`.
pub(crate) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_code_and_unknown_paths_share_one_series() {
        let mut registry = Registry::default();
        let metrics = CallMetrics::new("automap.v1.WalkerService", &mut registry);
        let diagnose = metrics.of("/automap.v1.WalkerService/Diagnose");
        diagnose.begin();
        diagnose.begin();
        diagnose.end(Code::InvalidArgument, Duration::from_millis(20), 7, 9);
        for index in 0..100 {
            metrics.of(&format!("/attack/{index}")).begin();
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let labels =
            r#"grpc_service="automap.v1.WalkerService",grpc_method="Diagnose",grpc_type="server_stream""#;
        for line in [
            format!("grpc_server_started_total{{{labels}}} 2"),
            format!("grpc_server_in_flight{{{labels}}} 1"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"InvalidArgument\"}} 1"),
            format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}} 0"),
            format!("grpc_server_handling_seconds_bucket{{le=\"0.025\",{labels}}} 1"),
            format!("grpc_server_handling_seconds_bucket{{le=\"0.01\",{labels}}} 0"),
            format!("grpc_server_received_bytes_total{{{labels}}} 7"),
            format!("grpc_server_sent_bytes_total{{{labels}}} 9"),
        ] {
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("attack"), "{text}");
        assert!(text.contains(r#"grpc_server_started_total{grpc_service="unknown""#), "{text}");
    }
}
