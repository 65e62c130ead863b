//! What a recording says about its incident, as far as it says anything.

use automap_proto::{
    call_graph::CallGraph,
    incident::IncidentContext,
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
};

/// The pieces of an [`IncidentContext`] that are known; the rest is the caller's to add.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartialContext {
    /// The application.
    pub system: Option<String>,
    /// The service that alerts.
    pub front_end: Option<String>,
    /// When the incident began.
    pub anomaly_start: Option<UnixMillis>,
    /// When it ended; an incident may have no end.
    pub anomaly_end: Option<UnixMillis>,
    /// Sampling step of the metrics file, milliseconds.
    pub step_ms: Option<u64>,
    /// Earlier faults and the like.
    pub excluded: Vec<TimeWindow>,
    /// Who calls whom.
    pub call_graph: Option<CallGraph>,
}

impl PartialContext {
    /// The context, when system, front end and anomaly start are known.
    ///
    /// # Errors
    /// The pieces do not fit each other: the incident ends before it starts, or a name is bad.
    pub fn complete(&self) -> Result<Option<IncidentContext>, Invalid> {
        let (Some(system), Some(front_end), Some(start)) =
            (&self.system, &self.front_end, self.anomaly_start)
        else {
            return Ok(None);
        };
        IncidentContext::new(
            system,
            front_end,
            start,
            self.anomaly_end,
            self.excluded.clone(),
            self.call_graph.clone(),
        )
        .map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_is_complete_with_system_front_end_and_start() {
        let mut context = PartialContext {
            system: Some("shop".into()),
            anomaly_start: Some(UnixMillis(9)),
            ..PartialContext::default()
        };
        assert_eq!(context.complete(), Ok(None));
        context.front_end = Some("web".into());
        assert_eq!(context.complete().unwrap().unwrap().front_end(), "web");
        context.anomaly_end = Some(UnixMillis(8));
        assert_eq!(context.complete().unwrap_err().field(), "anomaly_end");
    }
}
