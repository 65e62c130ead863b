//! Defence of readers whose browser is used by pages of others.
//!
//! A page of anybody may send requests to any address that the reader's browser reaches, and some come with what the
//! browser knows of the reader. What changes something is taken from this port's own pages only, or from callers that are no
//! browser: those send no `Origin`. On loopback the name that was asked for must be one of this machine: a stranger's name
//! may be made to point here (DNS rebinding), and then his page and this one have the same origin.

use std::net::SocketAddr;

use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    http::HttpConfig,
};
use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
            X_FRAME_OPTIONS,
        },
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::error::HttpError;

/// What a browser may load for an answer of this port: its own files, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What requests are judged by.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    loopback: bool,
    /// The host, and port where it has one, of the configured URL.
    outside: Option<String>,
}

impl Guard {
    pub(super) fn new(config: &HttpConfig, bound: SocketAddr) -> Self {
        let url = config.external_url.as_ref().and_then(|url| url.parse::<Uri>().ok());
        Self {
            loopback: bound.ip().is_loopback(),
            outside: url.and_then(|url| Some(url.authority()?.as_str().to_ascii_lowercase())),
        }
    }

    fn check(&self, request: &Request) -> Result<(), ServiceError> {
        let headers = request.headers();
        let host = text(headers, &HOST);
        let known = host == self.outside || host.as_deref().is_none_or(is_this_machine);
        if self.loopback && !known {
            return Err(refusal(
                "this port answers to the names of this machine; set walker.http.external-url to another",
            ));
        }
        if request.method().is_safe() {
            return Ok(());
        }
        let Some(origin) = text(headers, &ORIGIN) else {
            return Ok(());
        };
        // A proxy in front may have changed the host, and then the configured one counts.
        let of = origin.split_once("://").map(|(_, rest)| rest.to_owned());
        if of.is_some() && (of == host || of == self.outside) {
            return Ok(());
        }
        Err(refusal("the request comes from a page of another origin"))
    }
}

fn refusal(message: &str) -> ServiceError {
    ServiceError::new(ErrorCode::InvalidInput, message)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase())
}

/// Whether a host, with or without a port, is a name of the machine itself.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Refuses what comes from pages of others, and adds the headers that keep browsers strict to every answer.
pub(super) async fn judge(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => HttpError(error).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Without any referrer browsers would not name the origin of a form either.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What an answer says of a system is nothing for a disk, unless the answer itself says otherwise.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::StatusCode, middleware, routing::get};
    use tower::ServiceExt as _;

    use super::*;

    fn guard(bound: &str, outside: Option<&str>) -> Guard {
        let config = HttpConfig { external_url: outside.map(str::to_owned), ..HttpConfig::default() };
        Guard::new(&config, bound.parse().unwrap())
    }

    async fn answer(guard: Guard, method: &str, headers: &[(&str, &str)]) -> Response {
        let router = Router::new()
            .route("/", get(async || "read").post(async || "changed"))
            .layer(middleware::from_fn_with_state(guard, judge));
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn changes_come_from_own_pages_or_from_callers_that_are_no_browser() {
        let here = || guard("127.0.0.1:4314", Some("https://automap.example.org"));
        let ours = [("host", "127.0.0.1:4314"), ("origin", "http://127.0.0.1:4314")];
        let behind_a_proxy = [("host", "127.0.0.1:4314"), ("origin", "https://automap.example.org")];
        for good in [&ours[..], &behind_a_proxy, &ours[..1]] {
            assert_eq!(answer(here(), "POST", good).await.status(), StatusCode::OK, "{good:?}");
        }
        for origin in
            ["https://evil.example", "null", "http://127.0.0.1:4315", "http://127.0.0.1:4314.evil.example"]
        {
            let headers = [("host", "127.0.0.1:4314"), ("origin", origin)];
            assert_eq!(answer(here(), "POST", &headers).await.status(), StatusCode::BAD_REQUEST, "{origin}");
            assert_eq!(answer(here(), "GET", &headers).await.status(), StatusCode::OK, "{origin}");
        }
    }

    #[tokio::test]
    async fn on_loopback_a_name_of_others_is_refused() {
        for host in ["localhost:4314", "127.0.0.1", "[::1]:4314", "automap.localhost"] {
            let status = answer(guard("127.0.0.1:4314", None), "GET", &[("host", host)]).await.status();
            assert_eq!(status, StatusCode::OK, "{host}");
        }
        for host in ["rebound.example:4314", "127.0.0.1.example", "localhost.example"] {
            let status = answer(guard("127.0.0.1:4314", None), "GET", &[("host", host)]).await.status();
            assert_eq!(status, StatusCode::BAD_REQUEST, "{host}");
            let status = answer(guard("10.0.0.1:4314", None), "GET", &[("host", host)]).await.status();
            assert_eq!(status, StatusCode::OK, "{host}");
        }
    }

    #[tokio::test]
    async fn every_answer_keeps_browsers_strict() {
        for host in ["localhost", "rebound.example"] {
            let response = answer(guard("127.0.0.1:4314", None), "GET", &[("host", host)]).await;
            let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(response.headers()[REFERRER_POLICY], "same-origin");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}
