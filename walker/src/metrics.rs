//! The walker's own metrics. Labels are of this program or of its configuration, never names of a user's services.

use std::{fmt, sync::Arc, time::Duration};

use automap_proto::{
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::service::WalkerRpc;

/// Upper ends of the buckets of durations, seconds.
const BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Names of stages that a diagnosis may tell; others have no series.
const STAGES: [&str; 5] = ["collect", "graph", "weigh", "rank", "record"];

/// How a diagnosis ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It names a root cause.
    Answered,
    /// It names none and says why.
    Abstained,
    Failed,
    Cancelled,
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AlertOutcome {
    /// It began a diagnosis.
    Began,
    /// It was attached to one.
    Attached,
    /// It was told before.
    Known,
    /// It is resolved.
    Resolved,
    /// It cannot be diagnosed.
    Refused,
    /// Too many wait; it should come again.
    Busy,
}

/// What became of a message to a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Delivered {
    Taken,
    /// Refused for good, or for too long.
    Refused,
    /// There was no room for it, or no time.
    Dropped,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByStage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySink {
    sink: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySinkAndOutcome {
    sink: String,
    outcome: &'static str,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Answered, Self::Abstained, Self::Failed, Self::Cancelled];

    const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Abstained => "abstained",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl AlertOutcome {
    const ALL: [Self; 6] =
        [Self::Began, Self::Attached, Self::Known, Self::Resolved, Self::Refused, Self::Busy];

    const fn name(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Attached => "attached",
            Self::Known => "known",
            Self::Resolved => "resolved",
            Self::Refused => "refused",
            Self::Busy => "busy",
        }
    }
}

impl Delivered {
    const ALL: [Self; 3] = [Self::Taken, Self::Refused, Self::Dropped];

    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }
}

/// The metrics of a walker; clones share their values.
#[derive(Debug, Clone)]
pub(crate) struct WalkerMetrics {
    diagnoses: Family<ByOutcome, Counter>,
    durations: Histogram,
    stages: Family<ByStage, Histogram>,
    notifications_refused: Counter,
    alerts: Family<ByOutcome, Counter>,
    alerts_waiting: Gauge,
    deliveries: Family<BySinkAndOutcome, Counter>,
    queued: Family<BySink, Gauge>,
}

/// Diagnoses that run and wait, counted at each scrape.
#[derive(Debug)]
struct Load(WalkerRpc);

impl Collector for Load {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (running, waiting) = self.0.load();
        for (name, help, number) in [
            ("automap_diagnoses_running", "Diagnoses that are made now", running),
            ("automap_diagnoses_waiting", "Diagnoses that wait for a turn", waiting),
        ] {
            let descriptor = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX)).encode(descriptor)?;
        }
        Ok(())
    }
}

/// Registers what is looked up at each scrape of `walker`.
pub(crate) fn register_load(walker: WalkerRpc, registry: &mut Registry) {
    registry.register_collector(Box::new(Load(walker)));
}

/// The metrics of one sink.
#[derive(Debug, Clone)]
pub(crate) struct SinkMetrics {
    outcomes: Arc<[(Delivered, Counter)]>,
    queued: Gauge,
}

impl WalkerMetrics {
    /// Registers them. Series whose labels are known have their zero from the start: one that appears with its first event has
    /// no increase of that event.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            diagnoses: Family::default(),
            durations: Histogram::new(BUCKETS),
            stages: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            notifications_refused: Counter::default(),
            alerts: Family::default(),
            alerts_waiting: Gauge::default(),
            deliveries: Family::default(),
            queued: Family::default(),
        };
        registry.register("automap_diagnoses", "Diagnoses that ended, by outcome", metrics.diagnoses.clone());
        registry.register_with_unit(
            "automap_diagnosis",
            "Time from the begin of a diagnosis to its answer, however it was begun",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register_with_unit(
            "automap_diagnosis_stage",
            "Time that diagnoses took, by stage",
            Unit::Seconds,
            metrics.stages.clone(),
        );
        registry.register(
            "automap_alert_notifications_refused",
            "Requests to the webhook that could not be read",
            metrics.notifications_refused.clone(),
        );
        registry.register("automap_alerts", "Alerts that came in, by outcome", metrics.alerts.clone());
        registry.register(
            "automap_alert_diagnoses_waiting",
            "Diagnoses that alerts ask for and that have not begun",
            metrics.alerts_waiting.clone(),
        );
        registry.register(
            "automap_sink_deliveries",
            "Diagnoses for sinks, by outcome",
            metrics.deliveries.clone(),
        );
        registry.register(
            "automap_sink_queued",
            "Diagnoses that a sink has not taken yet",
            metrics.queued.clone(),
        );
        for outcome in Outcome::ALL {
            drop(metrics.diagnoses.get_or_create(&ByOutcome { outcome: outcome.name() }));
        }
        for outcome in AlertOutcome::ALL {
            drop(metrics.alerts.get_or_create(&ByOutcome { outcome: outcome.name() }));
        }
        metrics
    }

    /// Counts a diagnosis that has ended.
    pub(crate) fn ended(&self, diagnosis: &v1::Diagnosis) {
        let abstained = diagnosis
            .assessment
            .as_ref()
            .is_some_and(|found| found.abstention() != v1::Abstention::Unspecified);
        let outcome = match diagnosis.state() {
            DiagnosisState::Done if abstained => Outcome::Abstained,
            DiagnosisState::Done => Outcome::Answered,
            DiagnosisState::Cancelled => Outcome::Cancelled,
            _ => Outcome::Failed,
        };
        self.diagnoses.get_or_create(&ByOutcome { outcome: outcome.name() }).inc();
        if diagnosis.state() == DiagnosisState::Done
            && let Some(took) = took(diagnosis)
        {
            self.durations.observe(took.as_secs_f64());
        }
        for time in &diagnosis.stages {
            let Some(stage) = STAGES.into_iter().find(|stage| *stage == time.stage) else { continue };
            let took = time.duration.and_then(|took| Duration::try_from(took).ok());
            self.stages.get_or_create(&ByStage { stage }).observe(took.unwrap_or_default().as_secs_f64());
        }
    }

    /// A request to the webhook was refused whole.
    pub(crate) fn notification_refused(&self) {
        self.notifications_refused.inc();
    }

    /// Something became of an alert.
    pub(crate) fn alert(&self, outcome: AlertOutcome) {
        self.alerts.get_or_create(&ByOutcome { outcome: outcome.name() }).inc();
    }

    /// So many diagnoses that alerts ask for wait.
    pub(crate) fn alerts_waiting(&self, waiting: usize) {
        self.alerts_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// The metrics of the sink `name`.
    pub(crate) fn sink(&self, name: &str) -> SinkMetrics {
        let of = |outcome: Delivered| {
            let labels = BySinkAndOutcome { sink: name.into(), outcome: outcome.name() };
            (outcome, self.deliveries.get_or_create(&labels).clone())
        };
        SinkMetrics {
            outcomes: Delivered::ALL.into_iter().map(of).collect(),
            queued: self.queued.get_or_create(&BySink { sink: name.into() }).clone(),
        }
    }
}

/// How long a diagnosis took, the wait for its turn included; nothing where the clock was put back meanwhile.
fn took(diagnosis: &v1::Diagnosis) -> Option<Duration> {
    let began = UnixMillis::from_wire("created_at", diagnosis.created_at).ok()?;
    let ended = UnixMillis::from_wire("ended_at", diagnosis.ended_at).ok()?;
    u64::try_from(ended.0 - began.0).ok().map(Duration::from_millis)
}

impl SinkMetrics {
    pub(crate) fn delivered(&self, outcome: Delivered) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(known, _)| *known == outcome) {
            counter.inc();
        }
    }

    pub(crate) fn queued(&self) {
        self.queued.inc();
    }

    pub(crate) fn unqueued(&self) {
        self.queued.dec();
    }
}
