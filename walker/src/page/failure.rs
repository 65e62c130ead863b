//! Errors for people.

use automap_service_kit::error::ServiceError;
use axum::response::{IntoResponse, Response};
use maud::html;
use tonic::Status;

use super::layout::{Live, Visitor, page};
use crate::http::error::HttpError;

/// An error that is answered as a page.
#[derive(Debug)]
pub(super) struct PageError(HttpError);

impl From<ServiceError> for PageError {
    fn from(error: ServiceError) -> Self {
        Self(error.into())
    }
}

impl From<Status> for PageError {
    fn from(status: Status) -> Self {
        Self(status.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let content = html! {
            h1 { (title) }
            p { (self.0.0.message()) }
            p { a href="/diagnoses" { "All diagnoses" } }
        };
        (status, page(title, Live::No, &Visitor::Any, &content)).into_response()
    }
}
