//! What is to be diagnosed: a request, checked.

use std::collections::BTreeMap;

use automap_proto::{
    incident::IncidentContext,
    invalid::Invalid,
    method::Method,
    time::{TimeWindow, UnixMillis},
    v1,
};
use automap_service_kit::access::Systems;
use tokio_stream::wrappers::ReceiverStream;

use crate::{alerts::MAX_LISTED, memory::now, parameters::MethodParameters};

/// Where the metrics come from.
pub(crate) enum Input {
    /// A source that the collector reaches itself, and which of its samples are wanted.
    Source(v1::MetricSource, Option<TimeWindow>),
    /// A recording that the caller uploads through this walker.
    Upload(ReceiverStream<v1::CollectRecordingRequest>),
}

/// A request, checked.
pub(crate) struct Order {
    pub(crate) diagnosis_id: String,
    /// When it came.
    pub(crate) created_at: UnixMillis,
    pub(crate) input: Input,
    /// What the caller knows; a source may know it too.
    pub(crate) context: Option<IncidentContext>,
    pub(crate) method: Method,
    pub(crate) seed: u64,
    pub(crate) parameters: MethodParameters,
    /// Whether the request itself names edges that are forced or forbidden.
    pub(crate) names_edges: bool,
    pub(crate) want_graph: bool,
    pub(crate) record: bool,
    pub(crate) want_walk: bool,
    /// Of which applications whoever ordered it may know.
    pub(crate) systems: Systems,
    /// The alerts that ask for it.
    pub(crate) alerts: Option<v1::AlertList>,
}

impl Order {
    /// Checks what does not depend on the metrics.
    ///
    /// # Errors
    /// A parameter is unknown or out of range, or the context is bad.
    pub(crate) fn new(
        diagnosis_id: String,
        input: Input,
        context: Option<&v1::IncidentContext>,
        settings: Option<v1::DiagnosisSettings>,
        defaults: &MethodParameters,
    ) -> Result<Self, Invalid> {
        let settings = settings.unwrap_or_default();
        let overrides: BTreeMap<String, String> = settings.parameters.into_iter().collect();
        Ok(Self {
            diagnosis_id,
            created_at: now(),
            input,
            context: context
                .map(IncidentContext::try_from)
                .transpose()
                .map_err(|error| error.within("context"))?,
            method: Method::from_wire("settings.method", settings.method)?,
            seed: settings.seed,
            parameters: defaults
                .with_overrides(&overrides)
                .map_err(|error| error.within("settings.parameters"))?,
            names_edges: overrides.keys().any(|name| name.starts_with("edges.")),
            want_graph: settings.want_graph,
            record: settings.record,
            want_walk: settings.want_walk,
            systems: Systems::All,
            alerts: None,
        })
    }

    /// The name of the server that is queried, where one is.
    pub(crate) fn queried_source(&self) -> Option<&str> {
        match &self.input {
            Input::Source(v1::MetricSource { source: Some(v1::metric_source::Source::Query(query)) }, _) => {
                Some(&query.name)
            }
            _ => None,
        }
    }

    /// The same, asked for by alerts.
    ///
    /// # Errors
    /// They are more than are kept.
    pub(crate) fn with_alerts(self, alerts: Option<v1::AlertList>) -> Result<Self, Invalid> {
        let listed = alerts.as_ref().map_or(0, |list| list.alerts.len());
        if listed > MAX_LISTED {
            let problem =
                format!("lists {listed}; list at most {MAX_LISTED} and count the others in left_out");
            return Err(Invalid::new("alerts", problem));
        }
        Ok(Self { alerts, ..self })
    }

    /// Whether the method, or the caller, needs the behaviour graph.
    pub(crate) fn needs_graph(&self) -> bool {
        self.want_graph || matches!(self.method, Method::Evidence | Method::Automap)
    }
}
