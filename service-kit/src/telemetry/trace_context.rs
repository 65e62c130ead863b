//! W3C trace context: which trace a call belongs to, and who its parent is.

use std::collections::HashMap;

use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator as _, RandomIdGenerator},
};

/// The parent that a caller named in `traceparent` and `tracestate`; an empty context when there is none or it cannot be
/// read.
pub(crate) fn extract(headers: &HeaderMap) -> Context {
    TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers))
}

/// Names `parent` to whoever is called.
pub(crate) fn inject(parent: &Context, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(parent, &mut HeaderInjector(headers));
}

/// The parent that the environment names in `TRACEPARENT` and `TRACESTATE`, as for a command that a traced job runs.
pub(crate) fn from_environment(get: impl Fn(&str) -> Option<String>) -> Context {
    let carrier: HashMap<String, String> = ["traceparent", "tracestate"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), get(&name.to_uppercase())?)))
        .collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// A parent whose caller decided that its trace is not kept; samplers that follow their parents, as the default does,
/// keep nothing below it, in this process and in those that it calls.
pub(crate) fn not_sampled() -> Context {
    let ids = RandomIdGenerator::default();
    let parent = SpanContext::new(
        ids.new_trace_id(),
        ids.new_span_id(),
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::default(),
    );
    Context::new().with_remote_span_context(parent)
}

/// The trace of a context as logs show it.
pub(crate) fn trace_id(context: &Context) -> Option<String> {
    let span = context.span();
    let found = span.span_context();
    found.is_valid().then(|| found.trace_id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_parent_survives_the_headers_of_a_call() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", PARENT.parse().unwrap());
        headers.insert("tracestate", "vendor=1".parse().unwrap());
        let parent = extract(&headers);
        assert_eq!(trace_id(&parent).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        let mut next = HeaderMap::new();
        inject(&parent, &mut next);
        assert_eq!(next.get("traceparent").unwrap(), PARENT);
        assert_eq!(next.get("tracestate").unwrap(), "vendor=1");
    }

    #[test]
    fn a_parent_that_cannot_be_read_is_none() {
        for text in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"] {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            assert_eq!(trace_id(&extract(&headers)), None, "{text}");
        }
    }

    #[test]
    fn a_parent_that_is_not_sampled_says_so_to_whoever_is_called() {
        let mut headers = HeaderMap::new();
        inject(&not_sampled(), &mut headers);
        let told = headers.get("traceparent").unwrap().to_str().unwrap();
        assert!(told.ends_with("-00"), "{told}");
    }

    #[test]
    fn a_command_has_the_parent_that_its_environment_names() {
        let parent = from_environment(|name| (name == "TRACEPARENT").then(|| PARENT.to_owned()));
        assert_eq!(trace_id(&parent).as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(trace_id(&from_environment(|_| None)), None);
    }
}
