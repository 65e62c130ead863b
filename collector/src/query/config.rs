//! Configuration of a source that is queried.

use std::{collections::BTreeMap, path::PathBuf, str::FromStr, time::Duration};

use automap_proto::{invalid::Invalid, time::TimeGrid};
use automap_service_kit::tls::ClientTlsConfig;
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    preset::{Overrides, Preset},
    unit::Unit,
};

/// A server with the HTTP API of Prometheus: Prometheus itself, VictoriaMetrics, Thanos, Mimir.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct QuerySourceConfig {
    /// Address of the server with its path prefix, if any: what comes before /api/v1.
    pub url: String,
    /// Preset of expressions: istio, kubernetes, linkerd, node-exporter, opentelemetry or pymicro.
    pub preset: String,
    /// Expressions of series in place of the preset's, or beside them; an empty one leaves the series out.
    pub expressions: BTreeMap<String, String>,
    /// Units of expressions, where they are not those of the preset.
    pub units: BTreeMap<String, Unit>,
    /// Labels that name the service, by series; `default` is that of all others.
    pub labels: BTreeMap<String, String>,
    /// Variables of the preset, such as namespace.
    pub variables: BTreeMap<String, String>,
    /// Names of services in place of the values of their labels. Several values may have one name where they take turns: a
    /// service that changed its name is one row.
    pub rename: BTreeMap<String, String>,
    /// Distance of samples: a duration such as 15s, or auto, the call-weighted interval but at least the scrape interval.
    pub step: String,
    /// How often samples are taken, a duration; seen from the samples unless set.
    pub scrape_interval: Option<String>,
    /// How far a window ends before now, a duration, as what is newest may not be visible yet; without it none, and 30s of
    /// VictoriaMetrics.
    pub end_offset: Option<String>,
    /// File with a bearer token, read anew for every query.
    pub bearer_token_file: Option<PathBuf>,
    /// User name of basic authentication.
    pub username: Option<String>,
    /// File with the password of basic authentication, read anew for every query.
    pub password_file: Option<PathBuf>,
    /// Headers of every query, such as X-Scope-OrgID.
    #[schemars(extend("writeOnly" = true))]
    pub headers: BTreeMap<String, String>,
    /// Proxy through which the server is reached, or none; without it as HTTPS_PROXY and NO_PROXY say.
    pub proxy: Option<String>,
    /// Certificates.
    pub tls: ClientTlsConfig,
    /// How long connecting may take, seconds.
    pub connect_seconds: u64,
    /// How long a query may take, seconds.
    pub query_seconds: u64,
    /// Queries under way at once, those of all diagnoses together.
    pub concurrent_queries: usize,
    /// Tries of a query whose failure may pass, the first one included.
    pub attempts: usize,
    /// Largest answer to a query, MiB.
    pub max_answer_mib: u64,
    /// Take an answer to which some of the server's stores did not contribute, with a warning.
    pub accept_partial: bool,
}

impl Default for QuerySourceConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            preset: String::new(),
            expressions: BTreeMap::new(),
            units: BTreeMap::new(),
            labels: BTreeMap::new(),
            variables: BTreeMap::new(),
            rename: BTreeMap::new(),
            step: "auto".into(),
            scrape_interval: None,
            end_offset: None,
            bearer_token_file: None,
            username: None,
            password_file: None,
            headers: BTreeMap::new(),
            proxy: None,
            tls: ClientTlsConfig::default(),
            connect_seconds: 5,
            query_seconds: 120,
            concurrent_queries: 4,
            attempts: 4,
            max_answer_mib: 256,
            accept_partial: false,
        }
    }
}

/// The distance of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Found from how often services are called and scraped.
    Auto,
    /// Given, milliseconds.
    Fixed(u64),
}

impl FromStr for Step {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let duration = parse_duration("step", text)?;
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 || milliseconds > TimeGrid::MAX_STEP_MS {
            return Err(Invalid::new("step", format!("{text} must lie between 1ms and 366d, or be auto")));
        }
        Ok(Self::Fixed(milliseconds))
    }
}

/// A duration as Prometheus writes it: 15s, 500ms, 1h30m. A bare number counts seconds.
///
/// # Errors
/// It is none; `field` is named.
pub fn parse_duration(field: &str, text: &str) -> Result<Duration, Invalid> {
    const UNITS: [(&str, u64); 6] =
        [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let wrong =
        || Invalid::new(field, format!("{text:?} is no duration; write one such as 15s, 500ms or 1h30m"));
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let letters = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &after[..letters]).ok_or_else(wrong)?;
        total = number.checked_mul(*unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = &after[letters..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(total)) }
}

impl QuerySourceConfig {
    /// # Errors
    /// A setting cannot be used, or two contradict each other; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        let within = |invalid: Invalid| invalid.within(table);
        self.base().map_err(within)?;
        if !self.preset.is_empty() || !self.expressions.is_empty() {
            self.preset("").map_err(within)?;
        }
        self.step().map_err(within)?;
        self.scrape_interval().map_err(within)?;
        self.end_offset().map_err(within)?;
        self.check_authentication().map_err(within)?;
        self.header_map().map_err(within)?;
        let limits = [
            ("connect-seconds", self.connect_seconds),
            ("query-seconds", self.query_seconds),
            ("concurrent-queries", self.concurrent_queries as u64),
            ("attempts", self.attempts as u64),
            ("max-answer-mib", self.max_answer_mib),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, number)| *number == 0) {
            return Err(Invalid::new(format!("{table}.{name}"), "is 0; it must be at least 1"));
        }
        self.tls.check(&format!("{table}.tls"), &[&self.url])
    }

    /// The preset `name`, or the configured one when it is empty, with what is configured of it; without either, the expressions
    /// that are configured.
    ///
    /// # Errors
    /// No preset is named, or it does not have what is changed of it.
    pub fn preset(&self, name: &str) -> Result<Preset, Invalid> {
        let name = if name.is_empty() { &self.preset } else { name };
        let overrides = Overrides {
            expressions: self.expressions.clone(),
            units: self.units.clone(),
            labels: self.labels.clone(),
            variables: self.variables.clone(),
        };
        if !name.is_empty() {
            return Preset::new(name, &overrides);
        }
        if overrides.expressions.values().any(|expression| !expression.trim().is_empty()) {
            return Preset::of_expressions(&overrides);
        }
        let names = super::preset::names().join(", ");
        Err(Invalid::new(
            "preset",
            format!("is not named; use one of {names}, or set expressions of your own"),
        ))
    }

    /// # Errors
    /// The step is no duration.
    pub fn step(&self) -> Result<Step, Invalid> {
        self.step.parse()
    }

    pub(crate) fn scrape_interval(&self) -> Result<Option<u64>, Invalid> {
        milliseconds("scrape-interval", self.scrape_interval.as_deref()).and_then(|found| match found {
            Some(0) => {
                Err(Invalid::new("scrape-interval", "is 0; leave it out, or set how often samples are taken"))
            }
            Some(other) if other > TimeGrid::MAX_STEP_MS => {
                Err(Invalid::new("scrape-interval", "is longer than 366d; set how often samples are taken"))
            }
            other => Ok(other),
        })
    }

    pub(crate) fn end_offset(&self) -> Result<Option<u64>, Invalid> {
        let found = milliseconds("end-offset", self.end_offset.as_deref())?;
        if found.is_some_and(|offset| offset > TimeGrid::MAX_STEP_MS) {
            let problem = "is longer than 366d; set how long samples take until they can be seen";
            return Err(Invalid::new("end-offset", problem));
        }
        Ok(found)
    }

    /// The address that paths are put behind.
    pub(crate) fn base(&self) -> Result<Url, Invalid> {
        let wrong = |problem: &str| {
            Invalid::new("url", format!("{:?} {problem}; write one such as http://prometheus:9090", self.url))
        };
        let url = Url::parse(&self.url).map_err(|_| wrong("is no address"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("is no address of http or https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Invalid::new("url", "holds credentials; set username and password-file instead"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("holds more than host, port and path"));
        }
        if url.path().contains("/api/v1") {
            return Err(wrong("goes beyond the prefix: leave out /api/v1 and what follows"));
        }
        Ok(url)
    }

    pub(crate) fn header_map(&self) -> Result<Vec<(HeaderName, HeaderValue)>, Invalid> {
        let parse = |(name, value): (&String, &String)| {
            let wrong = || Invalid::new(format!("headers.{name}"), "cannot be sent as a header");
            let header = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.as_str()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            Ok((header, value))
        };
        self.headers.iter().map(parse).collect()
    }

    fn check_authentication(&self) -> Result<(), Invalid> {
        match (&self.bearer_token_file, &self.username, &self.password_file) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(Invalid::new(
                "bearer-token-file",
                "stands beside username or password-file; set one way to authenticate",
            )),
            (None, None, Some(_)) => Err(Invalid::new("password-file", "needs username beside it; set both")),
            _ => Ok(()),
        }
    }
}

fn milliseconds(field: &str, text: Option<&str>) -> Result<Option<u64>, Invalid> {
    let parse = |text| Ok(u64::try_from(parse_duration(field, text)?.as_millis()).unwrap_or(u64::MAX));
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut QuerySourceConfig)) -> Result<(), Invalid> {
        let mut config = QuerySourceConfig {
            url: "http://prometheus:9090/prefix".into(),
            preset: "pymicro".into(),
            ..QuerySourceConfig::default()
        };
        change(&mut config);
        config.check("collector.sources.prod")
    }

    #[test]
    fn wrong_settings_are_named_with_their_table() {
        config(|_| {}).unwrap();
        let refused = |change: fn(&mut QuerySourceConfig)| config(change).unwrap_err().to_string();
        assert!(
            refused(|config| config.url = "prometheus".into())
                .starts_with("field `collector.sources.prod.url`")
        );
        assert!(refused(|config| config.url = "http://p/api/v1/query".into()).contains("leave out /api/v1"));
        assert!(refused(|config| config.url = "http://me:pw@p/".into()).contains("password-file"));
        assert!(refused(|config| config.step = "fast".into()).contains("is no duration"));
        assert!(refused(|config| config.step = "0s".into()).contains("between 1ms"));
        for long in ["1e19", "367d"] {
            let scrapes = config(|config| config.scrape_interval = Some(long.into())).unwrap_err();
            assert_eq!(scrapes.field(), "collector.sources.prod.scrape-interval");
            let offset = config(|config| config.end_offset = Some(long.into())).unwrap_err();
            assert_eq!(offset.field(), "collector.sources.prod.end-offset");
        }
        assert!(refused(|config| config.preset = "pymicr".into()).contains("did you mean pymicro?"));
        assert!(refused(|config| config.attempts = 0).contains("attempts"));
        assert!(refused(|config| config.password_file = Some("x".into())).contains("needs username"));
        assert!(
            refused(|config| _ = config.headers.insert("a b".into(), "x".into())).contains("headers.a b")
        );
        assert!(refused(|config| config.tls.ca = Some("ca.pem".into())).contains("tls.ca"));
    }

    #[test]
    fn durations_are_read_as_prometheus_writes_them() {
        let read = |text: &str| parse_duration("x", text).map(|duration| duration.as_millis());
        assert_eq!(read("15s"), Ok(15_000));
        assert_eq!(read("1h30m"), Ok(5_400_000));
        assert_eq!(read("500ms"), Ok(500));
        assert_eq!(read("2.5"), Ok(2500));
        for wrong in ["", "s", "15", "1x", "-1", "1h-3m", "99999999999999999999s", "nan"] {
            assert_eq!(read(wrong).is_err(), wrong != "15", "{wrong}");
        }
    }
}
