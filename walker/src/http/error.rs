//! Errors as JSON with the HTTP status that belongs to them; readers of pages are shown them as pages (`page::failure`).

use automap_service_kit::error::{ErrorCode, ServiceError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tonic::{Code, Status};

/// The error of an answer, among its extensions.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) ServiceError);

/// An error on its way to a caller over HTTP: `{"error": {"code", "message", "field"}}`.
#[derive(Debug)]
pub(crate) struct HttpError(pub(crate) ServiceError);

impl HttpError {
    pub(crate) fn not_found(message: &str) -> Self {
        Self(ServiceError::new(ErrorCode::NotFound, message))
    }

    /// The status that belongs to the error.
    pub(crate) fn status(&self) -> StatusCode {
        match self.0.code().grpc() {
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::Aborted | Code::AlreadyExists => StatusCode::CONFLICT,
            Code::FailedPrecondition => StatusCode::UNPROCESSABLE_ENTITY,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ServiceError> for HttpError {
    fn from(error: ServiceError) -> Self {
        Self(error)
    }
}

impl From<Status> for HttpError {
    fn from(status: Status) -> Self {
        Self(status.into())
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let error = &self.0;
        let body = json!({"error": {
            "code": error.code().reason(),
            "message": error.message(),
            "field": error.field(),
        }});
        let mut response = (self.status(), Json(body)).into_response();
        if let Some(delay) = error.retry_delay() {
            let seconds = HeaderValue::from(delay.as_secs().max(1));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Told(self.0));
        response
    }
}
