//! The HTTP API of a server: requests, authentication, tries, and answers read as they arrive.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use automap_proto::{invalid::Invalid, time::UnixMillis};
use automap_service_kit::{http_client::HttpClient, secret};
use backon::{ExponentialBuilder, Retryable as _};
use reqwest::{
    ClientBuilder, Method, Proxy, RequestBuilder, Response, Url,
    header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use tokio::sync::Semaphore;

use super::{
    answer_stream::{AnswerStream, Envelope, beginning},
    config::QuerySourceConfig,
    failures::Failures,
    fault::{FaultKind, QueryFault, refusal},
};

/// What VictoriaMetrics puts into every answer.
const VICTORIA_HEADER: &str = "x-server-hostname";

/// Addresses longer than this are refused by many a proxy; a longer query goes into the body.
const LONGEST_ADDRESS: usize = 3000;

/// Shortest pause before the second try; doubles with each further one, lengthened by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause, also where the server asks for more: whoever is on call waits for an answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Most bytes of an answer that is no success.
const REFUSAL_BYTES: usize = 64 << 10;

/// What a server told about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ServerFacts {
    /// It is VictoriaMetrics.
    pub(crate) victoria_metrics: bool,
    /// Its clock minus that of this machine, milliseconds, when it told.
    pub(crate) ahead_ms: Option<i64>,
}

/// Sentences that answers carried; each once.
pub(crate) type Notes = std::collections::BTreeSet<String>;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Api {
    base: Url,
    config: QuerySourceConfig,
    headers: HeaderMap,
    client: HttpClient,
    facts: Mutex<ServerFacts>,
    failures: Failures,
    /// A place for each query under way, whichever collection asks it. Taken in the order of asking, so that no collection
    /// waits for all queries of another, and given back when the query ends or whoever asked is gone.
    places: Semaphore,
}

impl Api {
    /// A client of the server that `config` names, which `table` holds. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting cannot be used, or a file of certificates.
    pub(crate) fn new(table: &str, config: QuerySourceConfig, failures: Failures) -> Result<Self, Invalid> {
        config.check(table)?;
        let mut base = config.base()?;
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let tls = (base.scheme() == "https")
            .then(|| config.tls.start_speaking(&format!("{table}.tls"), b"http/1.1"))
            .transpose()?;
        let headers = config.header_map()?.into_iter().collect();
        let settings = config.clone();
        let client = HttpClient::new(tls, move |builder| configured(&settings, builder))?;
        let places = Semaphore::new(config.concurrent_queries.min(Semaphore::MAX_PERMITS));
        Ok(Self { base, config, headers, client, facts: Mutex::default(), failures, places })
    }

    pub(crate) const fn config(&self) -> &QuerySourceConfig {
        &self.config
    }

    /// The address as messages show it.
    pub(crate) fn shown(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What the last answer told about the server.
    pub(crate) fn facts(&self) -> ServerFacts {
        *self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the server's clock, as far as it told; else on this machine's.
    pub(crate) fn now(&self) -> UnixMillis {
        UnixMillis(local_now().0 + self.facts().ahead_ms.unwrap_or(0))
    }

    /// Asks `path` below /api/v1 and hands each element of the result to `each`, which `begin` makes for every try anew.
    /// Answers what stood around the elements, and what the last `begin` made.
    ///
    /// # Errors
    /// The server cannot be reached, refuses, or its answer is not whole, after all tries where it may pass.
    pub(crate) async fn ask<T>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        begin: impl Fn() -> T,
        each: impl Fn(&mut T, &[u8]) -> Result<(), QueryFault>,
    ) -> Result<(T, Envelope), QueryFault> {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(self.config.attempts.saturating_sub(1))
            .with_jitter();
        (|| async {
            let mut taken = begin();
            let envelope = self.ask_once(path, parameters, |element| each(&mut taken, element)).await?;
            Ok::<_, QueryFault>((taken, envelope))
        })
        .retry(backoff)
        .when(QueryFault::may_pass)
        .adjust(|fault: &QueryFault, pause| {
            pause.map(|pause| pause.max(fault.retry_after.unwrap_or_default().min(LONGEST_PAUSE)))
        })
        .notify(|fault: &QueryFault, pause| tracing::debug!(%fault, ?pause, "asking again"))
        .await
        .map_err(|fault| {
            self.failures.count(fault.kind);
            fault.context(self.shown())
        })
    }

    async fn ask_once(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        mut each: impl FnMut(&[u8]) -> Result<(), QueryFault>,
    ) -> Result<Envelope, QueryFault> {
        // Held until the answer is read; not while another try is waited for.
        let _place = self.places.acquire().await;
        let mut response =
            self.request(path, parameters)?.send().await.map_err(|error| self.broken(&error))?;
        self.learn(&response);
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let mut answer = AnswerStream::new(self.config.max_answer_mib << 20);
        while let Some(piece) = response.chunk().await.map_err(|error| self.broken(&error))? {
            answer.push(&piece, &mut each)?;
            if let std::ops::ControlFlow::Break(fault) = answer.plausible() {
                return Err(fault.into());
            }
        }
        let envelope = answer.finish()?;
        if envelope.status != "success" {
            return Err(refusal(400, self.shown(), &envelope.error, None));
        }
        if envelope.is_partial && !self.config.accept_partial {
            return Err(QueryFault::new(
                FaultKind::Busy,
                "answered in part only, as some of its stores do not answer; wait for them, or set accept-partial",
            ));
        }
        Ok(envelope)
    }

    fn request(&self, path: &str, parameters: &[(&str, &str)]) -> Result<RequestBuilder, QueryFault> {
        let wrong = |what: &str| QueryFault::new(FaultKind::Refused, format!("url: {what}"));
        let plain = self.base.join(&format!("api/v1/{path}")).map_err(|error| wrong(&error.to_string()))?;
        let mut address = plain.clone();
        if !parameters.is_empty() {
            address.query_pairs_mut().extend_pairs(parameters);
        }
        let client = self.client.current();
        let client = client.map_err(|invalid| QueryFault::new(FaultKind::Refused, invalid.to_string()))?;
        let request = if address.as_str().len() <= LONGEST_ADDRESS {
            client.request(Method::GET, address)
        } else {
            let body = address.query().unwrap_or_default().to_owned();
            client
                .request(Method::POST, plain)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(body)
        };
        let request = request.headers(self.headers.clone());
        if let Some(file) = &self.config.bearer_token_file {
            return Ok(request.bearer_auth(credential("bearer-token-file", file)?));
        }
        if let Some(username) = &self.config.username {
            let password = self
                .config
                .password_file
                .as_deref()
                .map(|file| credential("password-file", file))
                .transpose()?;
            return Ok(request.basic_auth(username, password));
        }
        Ok(request)
    }

    fn learn(&self, response: &Response) {
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.victoria_metrics |= response.headers().contains_key(VICTORIA_HEADER);
        if let Some(theirs) = date {
            // A date has whole seconds, and was written a little before it was read.
            let apart = theirs - local_now().0;
            facts.ahead_ms = Some(if (-2000..=1000).contains(&apart) { 0 } else { apart });
        }
    }

    fn broken(&self, error: &reqwest::Error) -> QueryFault {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        if error.is_timeout() && !error.is_connect() {
            return QueryFault::new(
                FaultKind::Timeout,
                format!(
                    "did not answer within {} s; ask for a shorter window or a larger step, or raise query-seconds \
                     of the source in the configuration (collector.sources.NAME)",
                    self.config.query_seconds
                ),
            );
        }
        if error.is_connect() {
            let hint = if self.base.scheme() == "https" {
                "is url right, is it up, and is its certificate of an authority in tls.ca?"
            } else {
                "is url right, and is it up?"
            };
            return QueryFault::new(FaultKind::Unreachable, format!("cannot be reached: {cause}; {hint}"));
        }
        QueryFault::new(
            FaultKind::Unreachable,
            format!("the connection broke before the answer was whole: {cause}"),
        )
    }

    async fn refused(&self, mut response: Response) -> QueryFault {
        let status = response.status().as_u16();
        let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let location = text(LOCATION).map(str::to_owned);
        let retry_after = text(RETRY_AFTER).and_then(|value| {
            let seconds = value.parse().ok().map(Duration::from_secs);
            seconds
                .or_else(|| Some(Duration::from_millis((http_date(value)? - local_now().0).try_into().ok()?)))
        });
        let mut body = Vec::new();
        while let Ok(Some(piece)) = response.chunk().await {
            body.extend_from_slice(&piece[..piece.len().min(REFUSAL_BYTES - body.len())]);
            if body.len() == REFUSAL_BYTES {
                break;
            }
        }
        let said = match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) if !envelope.error.is_empty() => envelope.error,
            _ => beginning(&body),
        };
        let said = secret::hidden(&said, self.credentials());
        refusal(status, self.shown(), &said, location.as_deref()).after(retry_after)
    }

    /// What files hold that no message may.
    fn credentials(&self) -> impl Iterator<Item = String> {
        let files = [&self.config.bearer_token_file, &self.config.password_file];
        files.into_iter().flatten().filter_map(|file| secret::read("credentials", file).ok())
    }
}

fn configured(config: &QuerySourceConfig, builder: ClientBuilder) -> Result<ClientBuilder, Invalid> {
    let builder = builder
        .connect_timeout(Duration::from_secs(config.connect_seconds))
        .timeout(Duration::from_secs(config.query_seconds));
    Ok(match config.proxy.as_deref() {
        None => builder,
        Some("none") => builder.no_proxy(),
        Some(url) => builder.proxy(
            Proxy::all(url)
                .map_err(|error| Invalid::new("proxy", format!("{url} cannot be used: {error}")))?,
        ),
    })
}

/// A secret in a file; read for every query, as mounted secrets change.
fn credential(field: &str, file: &Path) -> Result<String, QueryFault> {
    secret::read(field, file).map_err(|problem| QueryFault::new(FaultKind::Refused, problem))
}

pub(crate) fn local_now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Milliseconds of a date as HTTP writes it.
fn http_date(text: &str) -> Option<i64> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(date.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_000));
        assert_eq!(http_date("120"), None);
    }
}
