//! Normal behaviour in the profiler's memory.

use automap_proto::{frame::MetricFrame, incident::IncidentContext, time::UnixMillis, v1};
use automap_service_kit::error::ServiceError;

use crate::{normal_history, peers::Peers};

/// Values of one answer with remembered rows; eight bytes each, far below the largest message.
const MESSAGE_VALUES: usize = 256 << 10;
/// Series of a service that has many.
const SERIES_OF_SERVICE: usize = 32;

/// Has the graph of a normal window remembered; answers whether it was new.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn add_normal_graph(
    peers: &Peers,
    request: v1::AddNormalGraphRequest,
) -> Result<bool, ServiceError> {
    let answer = peers
        .ask_profiler(
            request,
            |mut profiler, request| async move { profiler.add_normal_graph(request).await },
        )
        .await?;
    Ok(answer.added)
}

/// Has rows of normal times remembered; answers how many were taken and how many were left out as not normal.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn add_normal_rows(
    peers: &Peers,
    system: &str,
    services: Vec<v1::ServiceRows>,
    abnormal: &[v1::TimeWindow],
) -> Result<v1::AddNormalRowsResponse, ServiceError> {
    let mut most = v1::AddNormalRowsResponse::default();
    for services in normal_history::in_messages(services) {
        let request =
            v1::AddNormalRowsRequest { system: system.to_owned(), services, abnormal: abnormal.to_vec() };
        let answer = peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.add_normal_rows(request).await },
            )
            .await?;
        // All services have the same rows.
        most.rows = most.rows.max(answer.rows);
        most.abnormal_rows = most.abnormal_rows.max(answer.abnormal_rows);
    }
    Ok(most)
}

/// Remembered rows of normal times that resemble the time of an incident, of the services of a frame and from before
/// its first row.
///
/// # Errors
/// The profiler refused or cannot be reached.
pub(crate) async fn normal_rows(
    peers: &Peers,
    context: &IncidentContext,
    frame: &MetricFrame,
    rows: usize,
) -> Result<Vec<v1::ServiceRows>, ServiceError> {
    let per_message = (MESSAGE_VALUES / (rows.max(1) * SERIES_OF_SERVICE)).max(1);
    let mut found = Vec::new();
    for services in frame.services().chunks(per_message) {
        let request = v1::GetNormalRowsRequest {
            system: context.system().into(),
            services: services.to_vec(),
            before: Some(frame.grid().time(0).to_wire()),
            at: Some(context.anomaly_start().to_wire()),
            rows: u32::try_from(rows).unwrap_or(u32::MAX),
        };
        let answer = peers
            .ask_profiler(
                request,
                |mut profiler, request| async move { profiler.get_normal_rows(request).await },
            )
            .await?;
        found.extend(answer.services);
    }
    Ok(found)
}

/// The wall clock, for the times at which things were recorded; nothing is computed from it.
pub(crate) fn now() -> UnixMillis {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
