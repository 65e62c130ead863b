//! A diagnosis that is kept: checked where the profiler relies on it, otherwise as the walker sent it.

use automap_proto::{
    frame::check_name, invalid::Invalid, metric::METRIC_COUNT, ranking::Ranking, time::UnixMillis, v1,
};

use crate::{anomaly_profile::decode_graph, record_id::RecordId};

/// A diagnosis with the parts under which it is found.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagnosisRecord {
    id: RecordId,
    created_at: UnixMillis,
    wire: v1::Diagnosis,
}

impl DiagnosisRecord {
    /// Checks a diagnosis; fields are named from `diagnosis` on.
    ///
    /// # Errors
    /// Id, system, front end, state, creation time, ranking, metric weights or behaviour graph are invalid.
    pub fn new(wire: v1::Diagnosis) -> Result<Self, Invalid> {
        let inside = |error: Invalid| error.within("diagnosis");
        let id = RecordId::new("diagnosis.diagnosis_id", &wire.diagnosis_id)?;
        check_name("diagnosis.system", &wire.system)?;
        if !wire.front_end.is_empty() {
            check_name("diagnosis.front_end", &wire.front_end)?;
        }
        let created_at = UnixMillis::from_wire("diagnosis.created_at", wire.created_at)?;
        match v1::DiagnosisState::try_from(wire.state) {
            Ok(state) if state != v1::DiagnosisState::Unspecified => {}
            _ => {
                return Err(Invalid::new(
                    "diagnosis.state",
                    format!("{} is no state; send 1 to 4", wire.state),
                ));
            }
        }
        Ranking::try_from(wire.ranking.as_slice()).map_err(inside)?;
        let weights = &wire.metric_weights;
        let weighted =
            weights.len() == METRIC_COUNT && weights.iter().all(|weight| (0.0..=1.0).contains(weight));
        if !weights.is_empty() && !weighted {
            return Err(Invalid::new(
                "diagnosis.metric_weights",
                "must be none or seven numbers between 0 and 1",
            ));
        }
        if let Some(explained) = &wire.behavior_graph {
            let graph =
                explained.graph.as_ref().ok_or_else(|| Invalid::missing("diagnosis.behavior_graph.graph"))?;
            decode_graph("diagnosis.behavior_graph.graph", graph)?;
        }
        Ok(Self { id, created_at, wire })
    }

    /// Its id.
    pub const fn id(&self) -> &RecordId {
        &self.id
    }

    /// The application.
    pub fn system(&self) -> &str {
        &self.wire.system
    }

    /// When it was begun.
    pub const fn created_at(&self) -> UnixMillis {
        self.created_at
    }

    /// The diagnosis.
    pub const fn wire(&self) -> &v1::Diagnosis {
        &self.wire
    }

    /// The diagnosis.
    pub fn into_wire(self) -> v1::Diagnosis {
        self.wire
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis() -> v1::Diagnosis {
        v1::Diagnosis {
            diagnosis_id: "d-1".into(),
            system: "shop".into(),
            state: v1::DiagnosisState::Running.into(),
            created_at: Some(UnixMillis(0).to_wire()),
            ..Default::default()
        }
    }

    #[test]
    fn a_diagnosis_may_be_kept_while_it_runs() {
        assert_eq!(DiagnosisRecord::new(diagnosis()).unwrap().into_wire(), diagnosis());
    }

    #[test]
    fn bad_diagnoses_are_refused_by_field() {
        let graph = |graph| Some(v1::ExplainedGraph { graph, ..Default::default() });
        let hostile = v1::BehaviorGraph {
            services: vec!["a".into(), "b".into()],
            edges: vec![v1::BehaviorEdge {
                to: 1,
                bit_counts: vec![1; METRIC_COUNT],
                tests: vec![v1::EdgeTest { metric: 1, p_value: f64::NAN, ..Default::default() }],
                ..Default::default()
            }],
        };
        let unsorted = v1::BehaviorGraph { services: vec!["b".into(), "a".into()], edges: vec![] };
        for (wire, field) in [
            (v1::Diagnosis { diagnosis_id: String::new(), ..diagnosis() }, "diagnosis.diagnosis_id"),
            (v1::Diagnosis { system: String::new(), ..diagnosis() }, "diagnosis.system"),
            (v1::Diagnosis { state: 0, ..diagnosis() }, "diagnosis.state"),
            (v1::Diagnosis { state: 99, ..diagnosis() }, "diagnosis.state"),
            (v1::Diagnosis { created_at: None, ..diagnosis() }, "diagnosis.created_at"),
            (v1::Diagnosis { metric_weights: vec![0.5; 2], ..diagnosis() }, "diagnosis.metric_weights"),
            (v1::Diagnosis { behavior_graph: graph(None), ..diagnosis() }, "diagnosis.behavior_graph.graph"),
            (
                v1::Diagnosis { behavior_graph: graph(Some(unsorted)), ..diagnosis() },
                "diagnosis.behavior_graph.graph.services[1]",
            ),
            (
                v1::Diagnosis { behavior_graph: graph(Some(hostile)), ..diagnosis() },
                "diagnosis.behavior_graph.graph.edges[0].tests[0].p_value",
            ),
            (
                v1::Diagnosis { ranking: vec![v1::RankedService::default()], ..diagnosis() },
                "diagnosis.ranking[0].service",
            ),
        ] {
            assert_eq!(DiagnosisRecord::new(wire).unwrap_err().field(), field);
        }
    }
}
