//! A past incident: its anomaly profile, what was answered, and what engineers confirmed.

use std::collections::BTreeSet;

use automap_proto::{
    frame::check_name,
    incident::IncidentContext,
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    settings::GraphSettings,
    time::UnixMillis,
    v1,
};

use crate::{
    anomaly_profile::AnomalyProfile,
    confirmation::Confirmation,
    evidence_features::{IncidentEvidence, evidence_from_wire, evidence_to_wire},
    precision::precision_at,
    record_id::RecordId,
    told_times::ToldTimes,
    weights::mean_correlations,
};

/// K of the precision with which an incident votes.
pub const VOTING_PRECISION_AT: usize = 3;

/// |Pearson| with the front end: per metric, one number for each service of the anomaly graph; empty where unknown.
pub type FrontEndCorrelations = [Vec<f64>; METRIC_COUNT];

/// A past incident.
#[derive(Debug, Clone, PartialEq)]
pub struct PastIncident {
    /// Its id.
    pub id: RecordId,
    /// What the person on call knew.
    pub context: IncidentContext,
    /// How its graph was built.
    pub settings: Option<GraphSettings>,
    /// Its anomaly profile; absent in listings, and where no graph was built.
    pub profile: Option<AnomalyProfile>,
    /// Correlations of the profile's services with the front end.
    pub correlations: FrontEndCorrelations,
    /// The services in the order in which they were ranked.
    pub ranked_services: Vec<String>,
    /// When it was recorded.
    pub recorded_at: UnixMillis,
    /// Oldest first; the last one counts.
    pub confirmations: Vec<Confirmation>,
    /// What spoke against its services; empty in listings.
    pub evidence: IncidentEvidence,
    /// When it began and ended, as its diagnoses tell. Not part of its wire form; empty in listings.
    pub told: ToldTimes,
}

/// The root causes that count for an incident, with what they teach.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The confirmed root causes, at least one.
    pub root_causes: Vec<String>,
    /// PR@3 of the ranking that was given, 0..1.
    pub precision: f64,
    /// Mean over the root causes of c(rc, fe, k), each 0..1.
    pub correlations: [f64; METRIC_COUNT],
}

impl PastIncident {
    /// The services known to be part of the incident: those ranked and those of its graph.
    pub fn services(&self) -> BTreeSet<&str> {
        let graphed = self.profile.iter().flat_map(|profile| profile.graph().services());
        self.ranked_services.iter().chain(graphed).map(String::as_str).collect()
    }

    /// What the last confirmation says; `None` when there is none, or it rejected the diagnosis without a cause.
    ///
    /// A root cause that has no correlations (it was ranked and is not in the graph) is left out of their mean.
    pub fn verdict(&self) -> Option<Verdict> {
        let last = self.confirmations.last().filter(|last| !last.root_causes.is_empty())?;
        let correlations: Vec<_> =
            last.root_causes.iter().filter_map(|cause| self.correlations_of(cause)).collect();
        Some(Verdict {
            root_causes: last.root_causes.clone(),
            precision: precision_at(VOTING_PRECISION_AT, &self.ranked_services, &last.root_causes),
            correlations: mean_correlations(&correlations),
        })
    }

    fn correlations_of(&self, service: &str) -> Option<[f64; METRIC_COUNT]> {
        let index = self.profile.as_ref()?.graph().service_index(service)?;
        Some(std::array::from_fn(|metric| self.correlations[metric].get(index).copied().unwrap_or_default()))
    }
}

impl TryFrom<&v1::Incident> for PastIncident {
    type Error = Invalid;

    /// Fields are named from `incident` on.
    fn try_from(wire: &v1::Incident) -> Result<Self, Invalid> {
        let inside = |error: Invalid| error.within("incident");
        let context = wire.context.as_ref().ok_or_else(|| Invalid::missing("incident.context"))?;
        let settings = wire.settings.as_ref().map(GraphSettings::try_from).transpose();
        let profile = match &wire.anomaly_graph {
            Some(graph) => Some(AnomalyProfile::from_wire(graph, &wire.profiles).map_err(inside)?),
            None if wire.profiles.is_empty() && wire.correlations.is_empty() => None,
            None => {
                return Err(Invalid::new(
                    "incident.anomaly_graph",
                    "is missing, and profiles or correlations speak of it",
                ));
            }
        };
        let services = profile.as_ref().map_or(0, |known| known.graph().services().len());
        check_ranked_services(&wire.ranked_services)?;
        Ok(Self {
            id: RecordId::new("incident.incident_id", &wire.incident_id)?,
            context: IncidentContext::try_from(context).map_err(|error| error.within("incident.context"))?,
            settings: settings.map_err(|error| error.within("incident.settings"))?,
            correlations: correlations_from_wire(&wire.correlations, services)?,
            profile,
            ranked_services: wire.ranked_services.clone(),
            recorded_at: UnixMillis::from_wire("incident.recorded_at", wire.recorded_at)?,
            confirmations: wire
                .confirmations
                .iter()
                .map(Confirmation::try_from)
                .collect::<Result<_, _>>()
                .map_err(inside)?,
            evidence: evidence_from_wire(&wire.evidence).map_err(inside)?,
            told: ToldTimes::default(),
        })
    }
}

impl From<&PastIncident> for v1::Incident {
    fn from(incident: &PastIncident) -> Self {
        let correlations = MetricKind::ALL
            .into_iter()
            .zip(&incident.correlations)
            .filter(|(_, absolute)| !absolute.is_empty())
            .map(|(metric, absolute)| v1::FrontEndCorrelation {
                metric: metric.to_wire().into(),
                absolute: absolute.clone(),
            });
        let profile = incident.profile.as_ref();
        Self {
            incident_id: incident.id.as_str().to_owned(),
            context: Some((&incident.context).into()),
            settings: incident.settings.as_ref().map(v1::GraphSettings::from),
            anomaly_graph: profile.map(|known| known.graph().into()),
            profiles: profile
                .map(|known| known.profiles().iter().map(v1::ServiceProfile::from).collect())
                .unwrap_or_default(),
            correlations: correlations.collect(),
            ranked_services: incident.ranked_services.clone(),
            recorded_at: Some(incident.recorded_at.to_wire()),
            confirmations: incident.confirmations.iter().map(v1::Confirmation::from).collect(),
            evidence: evidence_to_wire(&incident.evidence),
        }
    }
}

fn check_ranked_services(ranked: &[String]) -> Result<(), Invalid> {
    let mut seen = BTreeSet::new();
    for (index, service) in ranked.iter().enumerate() {
        let field = format!("incident.ranked_services[{index}]");
        check_name(&field, service)?;
        if !seen.insert(service) {
            return Err(Invalid::new(field, format!("{service} stands twice")));
        }
    }
    Ok(())
}

fn correlations_from_wire(
    rows: &[v1::FrontEndCorrelation],
    services: usize,
) -> Result<FrontEndCorrelations, Invalid> {
    let mut correlations = FrontEndCorrelations::default();
    for (index, row) in rows.iter().enumerate() {
        let field = format!("incident.correlations[{index}]");
        let metric = MetricKind::from_wire(&format!("{field}.metric"), row.metric)?.index();
        let valid =
            row.absolute.len() == services && row.absolute.iter().all(|value| (0.0..=1.0).contains(value));
        if !valid {
            return Err(Invalid::new(
                format!("{field}.absolute"),
                format!("must hold a number between 0 and 1 for each of {services} services"),
            ));
        }
        if !correlations[metric].is_empty() {
            return Err(Invalid::new(format!("{field}.metric"), "stands twice"));
        }
        correlations[metric].clone_from(&row.absolute);
    }
    Ok(correlations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn incidents_survive_the_wire() {
        let wire = sample::confirmed_incident("inc-1", 100, &["db", "cart", "front"], &["cart"]);
        assert_eq!(v1::Incident::from(&PastIncident::try_from(&wire).unwrap()), wire);
        let bare = v1::Incident {
            anomaly_graph: None,
            profiles: vec![],
            correlations: vec![],
            settings: None,
            ..wire
        };
        assert_eq!(v1::Incident::from(&PastIncident::try_from(&bare).unwrap()), bare);
    }

    #[test]
    fn the_verdict_is_the_last_confirmation_with_precision_and_mean_correlations() {
        let wire =
            sample::confirmed_incident("inc-1", 100, &["db", "front", "ghost", "cart"], &["cart", "db"]);
        let verdict = PastIncident::try_from(&wire).unwrap().verdict().unwrap();
        assert_eq!(verdict.root_causes, ["cart", "db"]);
        assert_eq!(verdict.precision, 0.5);
        // The sample correlates cart by .2 and db by .4 with the front end in latency, by half of that in cpu.
        assert!((verdict.correlations[0] - 0.3).abs() < 1e-12);
        assert!((verdict.correlations[3] - 0.15).abs() < 1e-12);
        assert_eq!(verdict.correlations[1], 0.0);
    }

    #[test]
    fn a_root_cause_outside_the_graph_does_not_thin_the_mean() {
        let wire = sample::confirmed_incident("inc-1", 100, &["ghost", "db"], &["db", "ghost"]);
        let verdict = PastIncident::try_from(&wire).unwrap().verdict().unwrap();
        assert!((verdict.correlations[0] - 0.4).abs() < 1e-12);
        assert_eq!(verdict.precision, 1.0);
    }

    #[test]
    fn a_rejection_withdraws_the_verdict() {
        let wire = sample::confirmed_incident("inc-1", 100, &["db"], &["db"]);
        let mut incident = PastIncident::try_from(&wire).unwrap();
        let mut rejection = incident.confirmations[0].clone();
        rejection.root_causes.clear();
        incident.confirmations.push(rejection);
        assert_eq!(incident.verdict(), None);
    }

    #[test]
    fn bad_incidents_are_refused_by_field() {
        let good = || sample::incident("inc-1", 100, &["db", "cart"]);
        for (wire, field) in [
            (v1::Incident { context: None, ..good() }, "incident.context"),
            (v1::Incident { incident_id: "a/b".into(), ..good() }, "incident.incident_id"),
            (v1::Incident { anomaly_graph: None, ..good() }, "incident.anomaly_graph"),
            (v1::Incident { profiles: vec![], ..good() }, "incident.profiles"),
            (v1::Incident { recorded_at: None, ..good() }, "incident.recorded_at"),
            (
                v1::Incident { evidence: vec![v1::ServiceEvidence::default()], ..good() },
                "incident.evidence[0].service",
            ),
            (
                v1::Incident { ranked_services: vec!["a".into(), "a".into()], ..good() },
                "incident.ranked_services[1]",
            ),
            (
                v1::Incident {
                    correlations: vec![v1::FrontEndCorrelation { metric: 1, absolute: vec![0.5; 9] }],
                    ..good()
                },
                "incident.correlations[0].absolute",
            ),
            (
                v1::Incident {
                    correlations: vec![v1::FrontEndCorrelation { metric: 1, absolute: vec![f64::NAN; 3] }],
                    ..good()
                },
                "incident.correlations[0].absolute",
            ),
            (
                v1::Incident {
                    correlations: vec![v1::FrontEndCorrelation { metric: 1, absolute: vec![0.5; 3] }; 2],
                    ..good()
                },
                "incident.correlations[1].metric",
            ),
        ] {
            assert_eq!(PastIncident::try_from(&wire).unwrap_err().field(), field);
        }
    }
}
