//! The page: diagnoses for people, rendered on the server, readable without a script.

use axum::{Router, response::Redirect, routing::get};
use tokio_util::sync::CancellationToken;

use crate::service::WalkerRpc;

/// The routes of the page.
pub(crate) fn routes(walker: WalkerRpc, _shutdown: CancellationToken) -> Router {
    Router::new().route("/", get(async || Redirect::temporary("/diagnoses"))).with_state(walker)
}
