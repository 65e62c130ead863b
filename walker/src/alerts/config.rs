//! Configuration of what alerts begin.

use std::collections::BTreeMap;

use automap_proto::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Rules;

/// Which alerts begin a diagnosis, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AlertsConfig {
    /// Rules `[[walker.alerts.rules]]`, in order: the first one whose conditions an alert meets, and which finds a system, a
    /// front end and a source for it, says what is diagnosed. Each has `where` (regular expressions by label, all of which
    /// must match the whole value) and `system`, `front-end`, `source` and `preset`, each of which is a table of `label`,
    /// `regex` (its first group is the value, else all that matches) and `default`. Without rules no alert begins anything.
    pub rules: Vec<AlertRule>,
    /// How long after the start of an alert its diagnosis waits, seconds: for samples of the incident, and for the alerts that
    /// belong to it. At least two steps of the source.
    pub settle_seconds: u64,
    /// For so long after its first alert every alert of a system belongs to one diagnosis, minutes.
    pub gather_minutes: u64,
    /// Alerts that fired longer ago than this begin nothing, minutes.
    pub max_age_minutes: u64,
    /// Systems whose diagnosis may wait to begin; alerts of more are refused, and Alertmanager sends them again.
    pub max_waiting: usize,
    /// Diagnoses that alerts may begin within a minute; more of them wait.
    pub max_per_minute: usize,
}

/// What alerts of one kind ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct AlertRule {
    /// Regular expressions by label, each of which must match the whole value; a label that is absent has the empty value.
    #[serde(rename = "where")]
    pub conditions: BTreeMap<String, String>,
    /// The application.
    pub system: FromLabel,
    /// The service that alerts.
    pub front_end: FromLabel,
    /// The server that is asked (collector.sources.NAME).
    pub source: FromLabel,
    /// The preset of its expressions; without it the one that the collector is configured with.
    pub preset: FromLabel,
}

/// A value that a label tells, or a fixed one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FromLabel {
    /// The label whose value is taken.
    pub label: Option<String>,
    /// What its whole value must match; the first group is taken, else all of it.
    pub regex: Option<String>,
    /// The value where the label is absent or does not match.
    pub default: Option<String>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            settle_seconds: 45,
            gather_minutes: 10,
            max_age_minutes: 24 * 60,
            max_waiting: 64,
            max_per_minute: 10,
        }
    }
}

impl AlertsConfig {
    /// Longest time that a setting may name: a week, in minutes.
    const MAX_MINUTES: u64 = 7 * 24 * 60;

    /// # Errors
    /// A setting cannot be used; `table` is where they are.
    pub fn check(&self, table: &str) -> Result<(), Invalid> {
        Rules::new(&self.rules).map_err(|invalid| invalid.within(table))?;
        let limits = [
            ("settle-seconds", self.settle_seconds, 0, 3600),
            ("gather-minutes", self.gather_minutes, 1, Self::MAX_MINUTES),
            ("max-age-minutes", self.max_age_minutes, 1, Self::MAX_MINUTES),
            ("max-waiting", self.max_waiting as u64, 1, 4096),
            ("max-per-minute", self.max_per_minute as u64, 1, 10_000),
        ];
        for (name, value, least, most) in limits {
            if !(least..=most).contains(&value) {
                return Err(Invalid::new(
                    format!("{table}.{name}"),
                    format!("is {value}; it must be {least} to {most}"),
                ));
            }
        }
        Ok(())
    }
}
