//! Normal behaviour learned from metrics, without any incident.

use automap_proto::{
    incident::IncidentContext,
    invalid::Invalid,
    time::{TimeWindow, UnixMillis},
    v1::{self, learn_recording_request},
};
use automap_service_kit::error::ServiceError;
use tonic::Streaming;

use super::{WalkerRpc, forward, learn_graphs::graph_window};
use crate::{
    listener::Nobody,
    memory::{add_normal_rows, now},
    normal_history,
    order::Input,
};

/// How long an incident is taken to last whose end the source does not say: beyond any frame.
const ENDLESS_MS: i64 = 366 * 24 * 3_600_000;
/// What is learned of a server that is queried, unless the caller says which window, milliseconds.
const DEFAULT_QUERY_MS: i64 = 3_600_000;
/// Rows that go to the profiler in one turn.
const ROWS_AT_ONCE: usize = 2_000;

impl WalkerRpc {
    /// Reads the first message of an upload and learns from the rest.
    pub(super) async fn learn_upload(
        &self,
        mut upload: Streaming<v1::LearnRecordingRequest>,
    ) -> Result<v1::Learned, ServiceError> {
        use learn_recording_request::Part;
        let first = upload.message().await.map_err(ServiceError::from)?;
        let Some(Part::Recording(recording)) = first.and_then(|message| message.part) else {
            return Err(Invalid::new("part", "the first message must hold the recording").into());
        };
        let description = recording.description.ok_or_else(|| Invalid::missing("recording.description"))?;
        let requests = forward(upload, description, |message| match message.part {
            Some(Part::Data(bytes)) => Some(v1::collect_recording_request::Part::Data(bytes)),
            _ => None,
        });
        let graphs = graph_window(recording.graph_window.as_ref())?;
        self.learn(Input::Upload(requests), recording.system, recording.abnormal, graphs).await
    }

    /// Learns from what the collector can reach.
    ///
    /// # Errors
    /// The source is missing, or as those of [`Self::learn`].
    pub(crate) async fn learn_source_of(
        &self,
        request: v1::LearnSourceRequest,
    ) -> Result<v1::Learned, ServiceError> {
        let v1::LearnSourceRequest { source, system, abnormal, window, graph_window: graphs } = request;
        let graphs = graph_window(graphs.as_ref())?;
        let source = source.ok_or_else(|| Invalid::missing("source"))?;
        let window = match (&window, &source.source) {
            (Some(window), _) => Some(TimeWindow::from_wire("window", window)?),
            (None, Some(v1::metric_source::Source::Query(_))) => {
                let end = now();
                Some(TimeWindow::new("window", UnixMillis(end.0 - DEFAULT_QUERY_MS), end)?)
            }
            (None, _) => None,
        };
        let system = match &source.source {
            Some(v1::metric_source::Source::Query(query)) if system.is_empty() => query.name.clone(),
            _ => system,
        };
        self.learn(Input::Source(source, window), system, abnormal, graphs).await
    }

    /// Has the normal rows of an input remembered, and the behaviour graphs of its windows of `graph_window` milliseconds.
    ///
    /// # Errors
    /// Nobody names the system, or the collector, the graph-builder or the profiler failed.
    pub(crate) async fn learn(
        &self,
        input: Input,
        system: String,
        mut abnormal: Vec<v1::TimeWindow>,
        graph_window: Option<u64>,
    ) -> Result<v1::Learned, ServiceError> {
        let max_frame_bytes = self.config.server.max_frame_bytes();
        let collected = match input {
            Input::Source(source, window) => {
                self.peers.collect(source, window, max_frame_bytes, &Nobody).await?
            }
            Input::Upload(upload) => self.peers.collect_recording(upload, max_frame_bytes, &Nobody).await?,
        };
        let known = collected.context.as_ref().map(IncidentContext::try_from).transpose()?;
        let system = match (&known, system) {
            (_, system) if !system.is_empty() => system,
            (Some(context), _) => context.system().to_owned(),
            (None, _) => {
                return Err(Invalid::new("system", "is missing and the source does not say; name it").into());
            }
        };
        if let Some(context) = &known {
            abnormal.extend(context.excluded().iter().map(|window| window.to_wire()));
            let start = context.anomaly_start();
            let end = context.anomaly_end().unwrap_or(UnixMillis(start.0.saturating_add(ENDLESS_MS)));
            abnormal.push(TimeWindow::new("anomaly_end", start, end)?.to_wire());
        }
        let frame = collected.frame;
        let present = frame.rows_with_samples();
        let rows: Vec<usize> = (0..present.len()).filter(|&row| present[row]).collect();
        let mut learned = v1::Learned {
            system,
            services: u32::try_from(frame.services().len()).unwrap_or(u32::MAX),
            warnings: collected.warnings,
            ..v1::Learned::default()
        };
        for few in rows.chunks(ROWS_AT_ONCE) {
            let services = normal_history::rows_to_wire(&frame, few);
            let taken = add_normal_rows(&self.peers, &learned.system, services, &abnormal).await?;
            learned.rows = learned.rows.saturating_add(taken.rows);
            learned.abnormal_rows = learned.abnormal_rows.saturating_add(taken.abnormal_rows);
        }
        if let Some(length) = graph_window {
            learned.graphs = self.learn_graphs(&learned.system, frame, &rows, (length, &abnormal)).await?;
        }
        Ok(learned)
    }
}
