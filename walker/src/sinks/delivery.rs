//! Messages on their way to one sink: requests, tries, and what a refusal means.

use std::time::Duration;

use automap_proto::invalid::Invalid;
use automap_service_kit::{
    http_client::HttpClient,
    secret::{hidden, read},
};
use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use tokio::time::Instant;

use super::{
    config::{SinkConfig, SinkKind, check_url},
    message::Message,
    pagerduty, slack,
    template::Template,
};

/// Shortest pause before the second try; doubles with each further one, lengthened by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause that is not asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Longest pause that a sink may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);
/// Most bytes of a refusal that are told.
const TOLD_BYTES: usize = 200;
const JSON: &str = "application/json";

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{said}")]
pub(super) struct Fault {
    said: String,
    /// Whether another try may help.
    passes: bool,
    retry_after: Option<Duration>,
}

/// Delivers to one sink.
#[derive(Debug)]
pub(super) struct Delivery {
    config: SinkConfig,
    template: Option<Template>,
    client: HttpClient,
}

/// What one try needs, with the secrets that it takes along.
struct Request {
    url: reqwest::Url,
    token: Option<String>,
    body: String,
    secrets: Vec<String>,
}

impl Delivery {
    /// A sink that `table` configures. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting cannot be used, or a file.
    pub(super) fn new(table: &str, config: SinkConfig) -> Result<Self, Invalid> {
        config.check(table)?;
        let template = config
            .template_file
            .as_deref()
            .map(|file| Template::read(file, &config.content_type))
            .transpose()
            .map_err(|invalid| invalid.within(table))?;
        // Secrets that are missing are told at the start, and not when they are needed.
        let probe = |field: &str, problem: String| Invalid::new(format!("{table}.{field}"), problem);
        for (field, file) in [
            ("url-file", &config.url_file),
            ("bearer-token-file", &config.bearer_token_file),
            ("routing-key-file", &config.routing_key_file),
        ] {
            if let Some(file) = file {
                read(field, file).map_err(|problem| probe(field, problem))?;
            }
        }
        let secure = config.fixed_url().is_none_or(|url| url.starts_with("https://"));
        let tls =
            secure.then(|| config.tls.start_speaking(&format!("{table}.tls"), b"http/1.1")).transpose()?;
        let patience = Duration::from_secs(config.try_seconds);
        let client = HttpClient::new(tls, move |builder| Ok(builder.timeout(patience)))?;
        Ok(Self { config, template, client })
    }

    /// Delivers a message: tries until it is taken, refused for good, or until `until`. Each try reads its secrets anew.
    ///
    /// # Errors
    /// Why the last try failed.
    pub(super) async fn deliver(&self, message: &Message, until: Instant) -> Result<(), Fault> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter();
        (|| self.try_once(message))
            .retry(backoff)
            .when(|fault: &Fault| fault.passes)
            .adjust(move |fault: &Fault, pause| {
                let asked = fault.retry_after.unwrap_or_default().min(LONGEST_ASKED);
                // Chance goes on top of what is asked for.
                let pause = pause? + asked;
                (Instant::now() + pause < until).then_some(pause)
            })
            .notify(|fault: &Fault, pause| tracing::info!(%fault, ?pause, "a sink is tried again"))
            .await
    }

    async fn try_once(&self, message: &Message) -> Result<(), Fault> {
        let Request { url, token, body, secrets } = self.request(message)?;
        let content_type =
            if self.config.kind == SinkKind::Webhook { self.config.content_type.as_str() } else { JSON };
        let mut request = self
            .client
            .current()
            .map_err(|invalid| broken(invalid.to_string()))?
            .post(url)
            .header(CONTENT_TYPE, content_type)
            .header("idempotency-key", &message.dedup_key)
            .body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let broken = |error: reqwest::Error| Fault {
            // Addresses may be secrets.
            said: hidden(&cause(&error.without_url()), &secrets),
            passes: true,
            retry_after: None,
        };
        let mut response = request.send().await.map_err(broken)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let retry_after = asked(response.headers());
        let mut said = Vec::new();
        // A refusal without a reason is one all the same.
        while let Ok(Some(piece)) = response.chunk().await {
            said.extend_from_slice(&piece[..piece.len().min(TOLD_BYTES)]);
            if said.len() >= TOLD_BYTES {
                break;
            }
        }
        said.truncate(TOLD_BYTES);
        let reason: String =
            String::from_utf8_lossy(&said).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Err(Fault {
            said: hidden(&format!("answered {status}: {}", reason.trim()), &secrets),
            passes: may_pass(status),
            retry_after,
        })
    }

    fn request(&self, message: &Message) -> Result<Request, Fault> {
        // A secret that is being renewed may be back soon.
        let secret = |field: &str, file: &Option<std::path::PathBuf>| match file {
            None => Ok(None),
            Some(file) => {
                read(field, file).map(Some).map_err(|said| Fault { said, passes: true, retry_after: None })
            }
        };
        let address = secret("url-file", &self.config.url_file)?;
        let token = secret("bearer-token-file", &self.config.bearer_token_file)?;
        let key = secret("routing-key-file", &self.config.routing_key_file)?;
        let text = self.config.fixed_url().or(address.as_deref()).unwrap_or_default();
        let url = check_url("url-file", text).map_err(|invalid| broken(invalid.to_string()))?;
        let body = match (self.config.kind, &self.template) {
            (SinkKind::Slack, _) => slack::body(message).to_string(),
            (SinkKind::Pagerduty, _) => {
                let key = key.as_deref().unwrap_or_default();
                pagerduty::body(message, key, self.config.severity).to_string()
            }
            (SinkKind::Webhook, Some(template)) => {
                template.render(message).map_err(|error| broken(format!("template-file: {error:#}")))?
            }
            (SinkKind::Webhook, None) => {
                serde_json::to_string(message).map_err(|error| broken(error.to_string()))?
            }
        };
        let secrets = [address, token.clone(), key].into_iter().flatten().collect();
        Ok(Request { url, token, body, secrets })
    }
}

const fn broken(said: String) -> Fault {
    Fault { said, passes: false, retry_after: None }
}

/// Whether a sink that answers so may answer otherwise later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        )
}

/// When a sink wants to be asked again: seconds, or a date.
fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let pause = at.duration_since(jiff::Timestamp::now());
    Some(pause.try_into().unwrap_or_default())
}

/// An error with the innermost of its causes, which alone says what happened.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = None;
    let mut next = error.source();
    while let Some(source) = next {
        innermost = Some(source.to_string());
        next = source.source();
    }
    match innermost {
        Some(innermost) => format!("{error}: {innermost}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_may_pass_are_told_from_those_that_do_not() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [301, 302, 400, 401, 403, 404, 410, 413, 422] {
            assert!(!may_pass(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            asked(&headers)
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(after("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(3600));
        assert_eq!(after("soon"), None);
        assert_eq!(asked(&HeaderMap::new()), None);
    }
}
