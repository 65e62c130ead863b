//! Configuration of a sink.

use std::path::PathBuf;

use automap_proto::invalid::Invalid;
use automap_service_kit::tls::ClientTlsConfig;
use reqwest::Url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where PagerDuty takes events.
const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// What a sink speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SinkKind {
    /// JSON, or what a template makes of it.
    #[default]
    Webhook,
    /// An incoming webhook of Slack, or of what understands the same: Mattermost, Rocket.Chat.
    Slack,
    /// PagerDuty's Events API v2, or what understands the same.
    Pagerduty,
}

/// How grave an event is to PagerDuty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The gravest.
    Critical,
    /// Grave.
    #[default]
    Error,
    /// To be looked at.
    Warning,
    /// To be known.
    Info,
}

/// Where finished diagnoses are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct SinkConfig {
    /// What it speaks.
    pub kind: SinkKind,
    /// Its address; of PagerDuty its own unless set.
    pub url: Option<String>,
    /// File with the address in place of url, where it is a secret as those of Slack are; read anew for every try.
    pub url_file: Option<PathBuf>,
    /// File with a bearer token, read anew for every try.
    pub bearer_token_file: Option<PathBuf>,
    /// File with the routing key of PagerDuty, read anew for every try.
    pub routing_key_file: Option<PathBuf>,
    /// How grave a diagnosis with a root cause is to PagerDuty; one without is info.
    pub severity: Severity,
    /// File with a template of a webhook's body, in the language of Jinja2; without it the message itself. A value is written
    /// as JSON, quotes included, where the content type is one of JSON.
    pub template_file: Option<PathBuf>,
    /// Content type of a webhook's body.
    pub content_type: String,
    /// Systems whose diagnoses are sent; empty for all.
    pub systems: Vec<String>,
    /// Least confidence of diagnoses that are sent; above 0 none that names no root cause is.
    pub min_confidence: f64,
    /// Send diagnoses that alerts began, and no others.
    pub only_from_alerts: bool,
    /// Send diagnoses that failed, too.
    pub failures: bool,
    /// How long a message is tried to be delivered, from its turn on, minutes.
    pub give_up_minutes: u64,
    /// How long one try may take, seconds.
    pub try_seconds: u64,
    /// Messages that may wait for a sink that does not take them. Further diagnoses wait by name, and are read from the profiler
    /// when it is their turn.
    pub queue: usize,
    /// Certificates.
    pub tls: ClientTlsConfig,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            kind: SinkKind::default(),
            url: None,
            url_file: None,
            bearer_token_file: None,
            routing_key_file: None,
            severity: Severity::default(),
            template_file: None,
            content_type: "application/json".into(),
            systems: Vec::new(),
            min_confidence: 0.0,
            only_from_alerts: true,
            failures: false,
            give_up_minutes: 60,
            try_seconds: 10,
            queue: 256,
            tls: ClientTlsConfig::default(),
        }
    }
}

impl SinkConfig {
    /// # Errors
    /// A setting cannot be used, or two contradict each other; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        let wrong = |field: &str, problem: &str| Err(Invalid::new(format!("{table}.{field}"), problem));
        match (&self.url, &self.url_file, self.kind) {
            (Some(_), Some(_), _) => return wrong("url", "stands beside url-file; set one of them"),
            (None, None, SinkKind::Webhook | SinkKind::Slack) => {
                return wrong("url", "is missing; set it, or url-file");
            }
            (Some(url), None, _) => _ = check_url(&format!("{table}.url"), url)?,
            _ => {}
        }
        let pagerduty = self.kind == SinkKind::Pagerduty;
        if pagerduty != self.routing_key_file.is_some() {
            let problem = if pagerduty {
                "is missing; PagerDuty needs it"
            } else {
                "is of use with kind pagerduty only"
            };
            return wrong("routing-key-file", problem);
        }
        if self.template_file.is_some() && self.kind != SinkKind::Webhook {
            return wrong("template-file", "is of use with kind webhook only");
        }
        if reqwest::header::HeaderValue::from_str(&self.content_type).is_err() {
            return wrong("content-type", "cannot be sent as a header");
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return wrong("min-confidence", "must lie between 0 and 1");
        }
        let limits = [
            ("give-up-minutes", self.give_up_minutes, 7 * 24 * 60),
            ("try-seconds", self.try_seconds, 600),
            ("queue", self.queue as u64, 1 << 16),
        ];
        for (name, value, most) in limits {
            if !(1..=most).contains(&value) {
                return wrong(name, &format!("is {value}; it must be 1 to {most}"));
            }
        }
        // What stands in a file may speak TLS.
        let url = self.url.as_deref().unwrap_or("https://");
        self.tls.check(&format!("{table}.tls"), &[url])
    }

    /// The address as configured; that of a file is read for each try.
    pub(super) fn fixed_url(&self) -> Option<&str> {
        match (&self.url, &self.url_file) {
            (Some(url), _) => Some(url),
            (None, None) => Some(PAGERDUTY_URL),
            (None, Some(_)) => None,
        }
    }
}

/// Reads an address; it is never in the error, as it may be a secret.
pub(super) fn check_url(field: &str, text: &str) -> Result<Url, Invalid> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        Invalid::new(field, "is no address of http or https, such as https://hooks.example.org/x")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut SinkConfig)) -> String {
        let mut config = SinkConfig { url: Some("http://localhost/x".into()), ..SinkConfig::default() };
        config.check("walker.sinks.a").unwrap();
        change(&mut config);
        config.check("walker.sinks.a").unwrap_err().to_string()
    }

    #[test]
    fn wrong_settings_are_named_and_secrets_are_not_told() {
        assert!(refused(|config| config.url = None).starts_with("field `walker.sinks.a.url`: is missing"));
        assert!(refused(|config| config.url_file = Some("x".into())).contains("beside url-file"));
        let told = refused(|config| config.url = Some("hooks.slack.com/T0/secret".into()));
        assert!(told.contains("no address") && !told.contains("secret"), "{told}");
        assert!(refused(|config| config.kind = SinkKind::Pagerduty).contains("routing-key-file"));
        assert!(refused(|config| config.routing_key_file = Some("x".into())).contains("pagerduty only"));
        assert!(refused(|config| config.min_confidence = f64::NAN).contains("min-confidence"));
        assert!(refused(|config| config.queue = 0).contains("queue"));
        assert!(refused(|config| config.tls.ca = Some("ca.pem".into())).contains("tls.ca"));
        let pagerduty = SinkConfig {
            kind: SinkKind::Pagerduty,
            routing_key_file: Some("key".into()),
            ..SinkConfig::default()
        };
        pagerduty.check("x").unwrap();
        assert_eq!(pagerduty.fixed_url(), Some(PAGERDUTY_URL));
    }
}
