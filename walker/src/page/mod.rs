//! The page: diagnoses for people, rendered on the server, readable without a script, with nothing fetched from elsewhere.
//!
//! | module | what it holds |
//! |---|---|
//! | [`list`] | all diagnoses, newest first |
//! | [`diagnosis`] | one of them |
//! | [`confirm`] | what engineers say of it |
//! | [`events`] | news of those that run |
//! | [`layout`], [`assets`] | what is around the content, and the files that pages load |
//! | [`failure`] | errors |
//! | [`ask`] | how pages ask |

mod ask;
mod assets;
mod confirm;
mod diagnosis;
mod events;
pub(crate) mod failure;
pub(crate) mod layout;
mod list;

use std::sync::Arc;

use axum::{
    Router,
    response::Redirect,
    routing::{get, post},
};
use tokio::sync::Semaphore;

use crate::service::WalkerRpc;

/// Pages that may follow news at once.
const WATCHERS: usize = 128;

/// What all pages need.
#[derive(Debug, Clone)]
struct Page {
    walker: WalkerRpc,
    watchers: Arc<Semaphore>,
}

/// The routes of the page.
pub(crate) fn routes(walker: WalkerRpc) -> Router {
    Router::new()
        .route("/", get(async || Redirect::temporary("/diagnoses")))
        .route("/diagnoses", get(list::show))
        .route("/diagnoses/{id}", get(diagnosis::show))
        .route("/diagnoses/{id}/confirmations", post(confirm::take))
        .route("/events", get(events::stream))
        .route("/assets/{name}", get(assets::serve))
        .with_state(Page { walker, watchers: Arc::new(Semaphore::new(WATCHERS)) })
}
