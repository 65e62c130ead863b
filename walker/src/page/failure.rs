//! Errors for people: pages as all others, from which they log in or out.

use automap_service_kit::error::ServiceError;
use axum::{
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use tonic::Status;

use super::layout::{Live, Visitor, page};
use crate::http::error::{HttpError, Told};

/// An error that is answered as a page whoever asks.
#[derive(Debug)]
pub(super) struct PageError(HttpError);

/// Marks such an answer.
#[derive(Debug, Clone, Copy)]
struct ForAnybody;

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
        let mut response = self.0.into_response();
        response.extensions_mut().insert(ForAnybody);
        response
    }
}

/// Whether whoever asks reads pages, as browsers say.
pub(crate) fn reads_pages(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accepts.is_some_and(|kinds| kinds.contains("text/html"))
}

/// Shows errors as pages to those who read pages. What their header offers is told by the [`Visitor`] among the extensions of
/// the answer.
pub(crate) async fn show(request: Request, next: Next) -> Response {
    let reader = reads_pages(request.headers());
    let response = next.run(request).await;
    let told = response.extensions();
    let for_people = reader || told.get::<ForAnybody>().is_some();
    let Some(Told(error)) = told.get().filter(|_| for_people) else { return response };
    let page = failure(response.status(), error, &Visitor::of(told)).into_string();
    let (mut head, _) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(head, Body::from(page))
}

fn failure(status: StatusCode, error: &ServiceError, visitor: &Visitor) -> Markup {
    let title = status.canonical_reason().unwrap_or("Error");
    let content = html! {
        h1 { (title) }
        @match visitor {
            // What a program would send is nothing that a reader could.
            Visitor::MayLogIn { onward } if status == StatusCode::UNAUTHORIZED => {
                p { a href={ "/login?next=" (onward) } { "Log in" } " with a token to go on." }
            }
            _ => { p { (error.message()) } }
        }
        p { a href="/diagnoses" { "All diagnoses" } }
    };
    page(title, Live::No, visitor, &content)
}
