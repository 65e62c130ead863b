//! Preflight: can a server be asked, and what of a preset does it hold.

use std::collections::BTreeSet;

use automap_proto::{metric::MetricKind, time::UnixMillis};
use automap_service_kit::error::ServiceError;
use serde::Serialize;

use super::{
    api::Notes,
    fetch::{brief, count_instant},
    metric_names::metric_names,
    preset::{another, has_variables, shown},
    source::{QuerySource, RECENT_MS},
    terms::{if_told, unless_late},
    variables,
};

/// What a server holds of a preset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preflight {
    /// Its address.
    pub source: String,
    /// What it is.
    pub server: &'static str,
    /// The preset.
    pub preset: String,
    /// Its clock minus that of this machine, seconds; 0 when it does not tell.
    pub clock_ahead_seconds: f64,
    /// The newest time that is asked for, unix seconds.
    pub newest: f64,
    /// How often samples are taken, seconds, where that can be seen.
    pub scrape_interval_seconds: Option<f64>,
    /// The distance of samples that a diagnosis would have, seconds.
    pub step_seconds: f64,
    /// Over how long rates look back, seconds.
    pub rate_window_seconds: f64,
    /// How far back was looked for samples, seconds.
    pub history_seconds: f64,
    /// Whether there are samples that old, where the server said so in time.
    pub holds_history: Option<bool>,
    /// Every series of the preset.
    pub series: Vec<SeriesFinding>,
    /// Pairs of services that call each other, where the preset knows a way to tell and the server did in time.
    pub calls: Option<usize>,
    /// What the server said, and what a person should know.
    pub warnings: Vec<String>,
    /// What to change.
    pub advice: Vec<String>,
}

/// What was found of one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesFinding {
    /// Its name.
    pub series: String,
    /// The metric type it belongs to.
    pub metric: MetricKind,
    /// Services that have it now.
    pub services: usize,
    /// All services that any series of the preset names.
    pub services_total: usize,
    /// What is asked.
    pub expression: String,
    /// Metrics that the expression reads and the server does not have, where it said so.
    pub missing_metrics: Option<Vec<String>>,
    /// Why the expression fails, where it does.
    pub failure: Option<String>,
}

impl Preflight {
    /// Whether a diagnosis can be tried: some series has services.
    pub fn usable(&self) -> bool {
        self.series.iter().any(|found| found.services > 0)
    }
}

/// Asks the server what a diagnosis would ask, at its newest time, and whether it has samples `history_ms` older. What it does not
/// answer in time is named among the warnings, or with its series.
///
/// # Errors
/// The server cannot be reached, or refuses to be asked at all.
pub async fn check(source: &QuerySource, history_ms: u64) -> Result<Preflight, ServiceError> {
    let mut notes = Notes::new();
    source.greet(&mut notes).await?;
    let newest = source.newest()?;
    let seen = unless_late(source.seen_interval(newest).await, &mut notes)?.flatten();
    let scrape_ms = source.api.config().scrape_interval()?.or(seen);
    let start = UnixMillis(newest.0 - RECENT_MS);
    let terms = source.terms_of(scrape_ms, start, newest, None, &mut notes).await?;
    let answers = source.services_by_series(newest, terms.window_ms).await;
    let all: BTreeSet<&String> = answers.iter().flatten().flatten().collect();
    let services_total = all.len();
    let mut series = Vec::new();
    for (query, answer) in source.preset.series.iter().zip(&answers) {
        let services = answer.as_ref().map_or(0, BTreeSet::len);
        let missing_metrics = if services == 0 {
            let known = source.known_metrics([query.expression.as_str()].into_iter(), newest).await;
            let known = known.map_err(|fault| fault.context(&format!("metrics of {}", query.name)));
            let missing = |known: BTreeSet<String>| -> Vec<String> {
                metric_names(&query.expression).into_iter().filter(|name| !known.contains(name)).collect()
            };
            if_told(known, &mut notes).map(missing)
        } else {
            Some(Vec::new())
        };
        series.push(SeriesFinding {
            series: query.name.clone(),
            metric: query.metric,
            services,
            services_total,
            expression: brief(&variables::with_window(&query.expression, terms.window_ms)),
            missing_metrics,
            failure: answer.as_ref().err().map(ToString::to_string),
        });
    }
    let calls = match &source.preset.edges {
        None => None,
        Some(edges) => match edges.queries.iter().find(|(metric, ..)| *metric == MetricKind::Throughput) {
            None => None,
            Some((_, expression, _)) => {
                let expression = variables::with_window(expression, terms.window_ms);
                let asked = count_instant(&source.api, &expression, newest).await;
                let asked = asked.map_err(|fault| fault.context("calls between services"));
                unless_late(asked, &mut notes)?.map(|(pairs, _)| pairs)
            }
        },
    };
    let history = i64::try_from(history_ms).unwrap_or(i64::MAX);
    let past = UnixMillis(newest.0.saturating_sub(history));
    let probe = format!(
        "count(last_over_time({}[{}]))",
        source.preset.probe,
        variables::duration(RECENT_MS.unsigned_abs())
    );
    let asked =
        count_instant(&source.api, &probe, past).await.map_err(|fault| fault.context("older samples"));
    let holds_history = unless_late(asked, &mut notes)?.map(|(found, _)| found > 0);
    let facts = source.api.facts();
    let mut found = Preflight {
        source: source.api.shown().to_owned(),
        server: if facts.victoria_metrics { "VictoriaMetrics" } else { "Prometheus or alike" },
        preset: source.preset.name.clone(),
        clock_ahead_seconds: facts.ahead_ms.unwrap_or(0) as f64 / 1000.0,
        newest: newest.seconds(),
        scrape_interval_seconds: seen.map(|interval| interval as f64 / 1000.0),
        step_seconds: terms.grid.step_ms() as f64 / 1000.0,
        rate_window_seconds: terms.window_ms as f64 / 1000.0,
        history_seconds: history_ms as f64 / 1000.0,
        holds_history,
        series,
        calls,
        warnings: notes.into_iter().collect(),
        advice: Vec::new(),
    };
    found.advice = advice(&found);
    Ok(found)
}

/// What to change, in sentences.
fn advice(found: &Preflight) -> Vec<String> {
    let mut advice: Vec<String> =
        found.series.iter().filter_map(|series| advice_on(series, &found.preset)).collect();
    if found.holds_history == Some(false) && found.usable() {
        advice.push(format!(
            "no samples of {} s ago: a diagnosis needs normal behaviour before the incident; keep samples longer, or ask for \
             a shorter history",
            found.history_seconds
        ));
    }
    if found.calls == Some(0) {
        advice.push(
            "no calls between services were seen: without them services are compared by their throughput"
                .into(),
        );
    }
    if !found.usable() {
        advice.push(format!(
            "nothing of {} is there: choose {}, and if the server has tenants, set --header X-Scope-OrgID=TENANT (headers)",
            shown(&found.preset),
            another(&found.preset)
        ));
    }
    advice
}

/// How a series is given another expression: by a flag, or in the configuration.
fn another_expression(name: &str) -> String {
    format!("--expression {name}=PROMQL (expressions.{name})")
}

fn advice_on(series: &SeriesFinding, preset: &str) -> Option<String> {
    let name = &series.series;
    if let Some(failure) = &series.failure {
        return Some(format!(
            "{name}: its expression fails ({failure}); set another one with {}",
            another_expression(name)
        ));
    }
    if series.services == 0 {
        return Some(match &series.missing_metrics {
            Some(missing) if missing.is_empty() && !has_variables(preset) => format!(
                "{name}: its metrics are there, and their labels fit nothing; set another expression with {}",
                another_expression(name)
            ),
            Some(missing) if missing.is_empty() => format!(
                "{name}: its metrics are there, and their labels fit nothing; set variables of preset {preset} with --variable \
                 NAME=VALUE (variables.NAME), or another expression with {}",
                another_expression(name)
            ),
            Some(missing) => format!(
                "{name}: the server has no {}; scrape what exports it, or set another expression with {}",
                missing.join(", no "),
                another_expression(name)
            ),
            None => format!(
                "{name}: nothing fits, and the server did not say which metrics it has, as a warning tells; check again when it does"
            ),
        });
    }
    (series.services < series.services_total).then(|| {
        format!(
            "{name}: {} of {} services have it; where the others name theirs otherwise, set --label \
             {name}=LABEL (labels.{name}) or --rename VALUE=SERVICE (rename.VALUE)",
            series.services, series.services_total
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str, services: usize, missing: Option<&[&str]>, failure: Option<&str>) -> SeriesFinding {
        SeriesFinding {
            series: name.into(),
            metric: MetricKind::Cpu,
            services,
            services_total: 3,
            expression: String::new(),
            missing_metrics: missing.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
            failure: failure.map(str::to_owned),
        }
    }

    #[test]
    fn advice_names_the_series_and_the_setting() {
        let on = |finding: SeriesFinding| advice_on(&finding, "kubernetes");
        let none: Option<&[&str]> = Some(&[]);
        assert_eq!(on(series("cpu", 3, none, None)), None);
        let few = on(series("cpu", 2, none, None)).unwrap();
        assert!(few.starts_with("cpu: 2 of 3 services have it"), "{few}");
        for way_out in ["--label cpu=LABEL (labels.cpu)", "--rename VALUE=SERVICE (rename.VALUE)"] {
            assert!(few.contains(way_out), "{few}");
        }
        assert!(
            on(series("cpu", 0, Some(&["a_total"]), None)).unwrap().contains("the server has no a_total")
        );
        assert!(on(series("cpu", 0, none, None)).unwrap().contains("set variables of preset kubernetes"));
        let advice = advice_on(&series("cpu", 0, none, None), "none").unwrap();
        assert!(!advice.contains("variable"), "none has none: {advice}");
        assert!(on(series("cpu", 0, None, None)).unwrap().contains("did not say which metrics"));
        assert!(
            on(series("cpu", 0, none, Some("parse error")))
                .unwrap()
                .contains("--expression cpu=PROMQL (expressions.cpu)")
        );
    }
}
