//! The route that Alertmanager calls.

use automap_service_kit::access::Caller;
use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};

use super::{Alerts, notification::MAX_BYTES};
use crate::{http::error::HttpError, memory::now, service::WalkerRpc};

/// `POST /api/v1/alerts`: version 4 of Alertmanager's webhook. Answers 202 before anything is diagnosed.
pub(crate) fn routes(alerts: Alerts, walker: WalkerRpc) -> Router {
    Router::new()
        .route("/api/v1/alerts", post(take))
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .with_state((alerts, walker))
}

async fn take(
    State((alerts, walker)): State<(Alerts, WalkerRpc)>,
    caller: Option<Extension<Caller>>,
    body: Bytes,
) -> Response {
    match alerts.take(caller.as_deref(), &body, now(), &walker).await {
        Ok(receipt) => (StatusCode::ACCEPTED, Json(receipt)).into_response(),
        Err(error) => HttpError(error).into_response(),
    }
}
