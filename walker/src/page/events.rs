//! News of running diagnoses as server-sent events.

use std::{convert::Infallible, time::Duration};

use automap_proto::v1::{self, DiagnosisStage, DiagnosisState, walker_service_server::WalkerService as _};
use automap_service_kit::error::{ErrorCode, ServiceError};
use axum::{
    extract::State,
    http::Extensions,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};

use super::{Page, ask::rpc};
use crate::http::error::HttpError;

/// When a reader who found no place should try again.
const COME_BACK: Duration = Duration::from_secs(10);

/// News until the reader leaves or the walker stops.
pub(super) async fn stream(
    State(state): State<Page>,
    caller: Extensions,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, HttpError> {
    // Each holds a connection for as long as a page is open, and alerts need some, too.
    let place = state.watchers.try_acquire_owned().map_err(|_| {
        ServiceError::new(ErrorCode::Overloaded, "too many pages are open").retry_after(COME_BACK)
    })?;
    let request = v1::WatchDiagnosesRequest::default();
    let news = state.walker.watch_diagnoses(rpc(request, caller)).await?.into_inner();
    let events = news.filter_map(move |item| {
        let _held = &place;
        futures::future::ready(item.ok().map(|news| Ok(Event::default().data(told(&news).to_string()))))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn told(news: &v1::WatchDiagnosesResponse) -> Value {
    let state = match news.state() {
        DiagnosisState::Running => "running",
        DiagnosisState::Done => "done",
        DiagnosisState::Failed => "failed",
        _ => "cancelled",
    };
    let progress = news.progress.as_ref();
    json!({
        "id": news.diagnosis_id,
        "system": news.system,
        "state": state,
        "stage": progress.map(|progress| stage(progress.stage())),
        "detail": progress.map(|progress| &progress.detail),
    })
}

const fn stage(stage: DiagnosisStage) -> &'static str {
    match stage {
        DiagnosisStage::Collecting => "collecting",
        DiagnosisStage::Testing => "testing",
        DiagnosisStage::Weighing => "weighing",
        DiagnosisStage::Walking => "walking",
        DiagnosisStage::Recording => "recording",
        _ => "waiting",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_tell_state_and_progress() {
        let progress = v1::DiagnosisProgress {
            stage: DiagnosisStage::Walking.into(),
            detail: "ranking".into(),
            ..Default::default()
        };
        let news = v1::WatchDiagnosesResponse {
            diagnosis_id: "d".into(),
            system: "shop\n<b>".into(),
            state: DiagnosisState::Running.into(),
            progress: Some(progress),
        };
        let told = told(&news);
        assert_eq!(
            (&told["state"], &told["stage"], &told["detail"]),
            (&json!("running"), &json!("walking"), &json!("ranking"))
        );
        assert!(!told.to_string().contains('\n'), "a line break would end the event");
    }
}
