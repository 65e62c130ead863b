//! A diagnosis as the walker answered it, checked.

use automap_proto::{
    assessment::Assessment, behavior_graph::BehaviorGraph, invalid::Invalid, learned_weights::LearnedWeights,
    method::Method, ranking::Ranking, time::UnixMillis, v1,
};

/// A moment that people know of an incident, beside which its beginning is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// When.
    pub time: UnixMillis,
    /// What, such as `the alert`: it stands behind `before` and `after`.
    pub name: &'static str,
}

impl Reference {
    /// The time of the alert.
    pub const fn alert(time: UnixMillis) -> Self {
        Self { time, name: "the alert" }
    }

    /// Whether it is the time of the alert.
    pub fn is_alert(&self) -> bool {
        *self == Self::alert(self.time)
    }

    /// The first of the alerts that began a diagnosis; `None` where none did, or their times are not known.
    fn of_alerts(wire: &v1::Diagnosis) -> Option<Self> {
        let alerts = wire.alerts.iter().flat_map(|list| &list.alerts);
        let times = alerts.filter_map(|alert| UnixMillis::from_wire("alert.starts_at", alert.starts_at).ok());
        times.min().map(Self::alert)
    }
}

/// A diagnosis whose parts were decoded and checked.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The message itself.
    pub wire: v1::Diagnosis,
    /// How services were ranked.
    pub method: Method,
    /// The ranking.
    pub ranking: Ranking,
    /// How far it can be trusted, where the method tells.
    pub assessment: Option<Assessment>,
    /// The anomaly behaviour graph, where one was built.
    pub graph: Option<BehaviorGraph>,
    /// Weights of evidence that confirmed incidents taught, where they were used.
    pub learned: Option<LearnedWeights>,
    /// The moment that people know of the incident; the message itself only knows that of alerts.
    pub reference: Option<Reference>,
    /// The steps of the simulated walks, where they were wanted.
    pub walk: Vec<v1::WalkSteps>,
}

impl Answer {
    /// Seconds that each stage took, in order.
    pub fn stage_seconds(&self) -> impl Iterator<Item = (&str, f64)> {
        self.wire.stages.iter().map(|stage| {
            let took = stage.duration.unwrap_or_default();
            (stage.stage.as_str(), took.seconds as f64 + f64::from(took.nanos) / 1e9)
        })
    }
}

impl TryFrom<v1::Diagnosis> for Answer {
    type Error = Invalid;

    fn try_from(wire: v1::Diagnosis) -> Result<Self, Invalid> {
        let graph = wire.behavior_graph.as_ref().and_then(|explained| explained.graph.as_ref());
        Ok(Self {
            method: Method::from_wire("diagnosis.method", wire.method)?,
            ranking: Ranking::try_from(wire.ranking.as_slice())?,
            assessment: wire.assessment.as_ref().map(Assessment::try_from).transpose()?,
            graph: graph.map(BehaviorGraph::try_from).transpose()?,
            learned: wire.learned_weights.as_ref().map(LearnedWeights::try_from).transpose()?,
            reference: Reference::of_alerts(&wire),
            walk: Vec::new(),
            wire,
        })
    }
}
