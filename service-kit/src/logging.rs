//! Log lines on standard error; standard output belongs to results.

use std::io::IsTerminal as _;

use automap_proto::invalid::did_you_mean;
use serde::{Deserialize, Serialize};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    registry::LookupSpan,
};

use crate::{access::audit, log_fields::HumanFields};

/// The variable that sets the filter of log lines.
pub const FILTER_VARIABLE: &str = "AUTOMAP_LOG";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// A filter of log lines that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{FILTER_VARIABLE} {problem}; use a level such as info, or targets with levels such as warn,automap_walker=debug"
)]
pub struct FilterError {
    problem: String,
}

/// Reads a filter: directives separated by commas, each a level or `target=level`.
///
/// A word that is no level is refused, although the library takes it for a target: `AUTOMAP_LOG=inof` would silence
/// everything without a word.
///
/// # Errors
/// A directive cannot be read.
pub fn parse_filter(text: &str) -> Result<EnvFilter, FilterError> {
    let mut directives = vec![text];
    // A filter on fields of spans may hold commas of its own.
    if !text.contains('[') {
        directives = text.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
        for word in directives.iter().filter(|directive| !directive.contains('=')) {
            if !LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)) {
                let hint = did_you_mean(word, LEVELS)
                    .map_or_else(String::new, |near| format!(", did you mean {near}?"));
                return Err(FilterError { problem: format!("has {word}, which is no level{hint}") });
            }
        }
    }
    EnvFilter::builder()
        .parse(directives.join(","))
        .map_err(|error| FilterError { problem: format!("cannot be read: {error}") })
}

/// Lines that a service writes whatever the filter says: who changed what is remembered.
fn is_audit(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.target() == audit::TARGET
}

/// Writes log lines that pass `filter` to standard error, and those of the audit where `audited`. Colours appear on a terminal unless the variable `NO_COLOR` is
/// set.
pub(crate) fn layer<S>(format: LogFormat, filter: EnvFilter, audited: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let audit = filter_fn(move |metadata| audited && is_audit(metadata)).with_max_level_hint(Level::INFO);
    let filter = filter.or(audit);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours());
    match format {
        LogFormat::Human => layer.fmt_fields(HumanFields).with_filter(filter).boxed(),
        LogFormat::Json => layer.json().with_span_list(false).with_filter(filter).boxed(),
    }
}

fn colours() -> bool {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !forbidden && std::io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_targets_are_read() {
        for text in [
            "",
            "info",
            "WARN",
            "warn,automap_walker=debug",
            "off, automap=trace",
            "[call{role=walker}]=info",
        ] {
            assert!(parse_filter(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused_with_the_way_out() {
        for (text, part) in [
            ("inof", "did you mean info?"),
            ("automap_walker", "no level"),
            ("automap_walker=loud", "cannot be read"),
            ("a=b=c", "cannot be read"),
        ] {
            let error = parse_filter(text).unwrap_err().to_string();
            assert!(error.starts_with("AUTOMAP_LOG "), "{error}");
            assert!(error.contains(part) && error.contains("use a level such as info"), "{text}: {error}");
        }
    }
}
