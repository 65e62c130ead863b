//! A server that is queried, as a source of metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use automap_proto::{frame::SeriesKey, invalid::Invalid, time::UnixMillis};
use automap_service_kit::{deadline, error::ServiceError};
use tokio::time::Instant;

use super::{
    api::{Api, Notes},
    config::{QuerySourceConfig, Step},
    edges::{call_graph, edge_frame},
    failures::Failures,
    fault::QueryFault,
    fetch::{Fetched, Query, ask_instant, brief, fetch, in_time},
    metric_names::metric_names,
    parts::MAX_WINDOW_POINTS,
    presence::presence_warnings,
    preset::{Preset, another},
    rows::Naming,
    series_answer::Labels,
    terms::{Terms, if_told},
    variables,
};
use crate::{
    collect::frame_of,
    error::{CollectError, CollectErrorKind},
    limits::SampleBounds,
    source::{MetricSource, SourceFrame},
};

/// How far back services are listed and metrics are checked.
pub(crate) const RECENT_MS: i64 = 300_000;

/// What the name of a service takes in a list of them, bytes.
const NAME_BYTES: usize = 128;

/// What the look-up of which metrics there are is called.
const NAMES: &str = "names of metrics";

/// Share of the caller's time that metrics may take: what follows them needs some of it.
const SHARE: f64 = 0.5;

/// A server with the HTTP API of Prometheus.
#[derive(Debug, Clone)]
pub struct QuerySource {
    pub(crate) api: Arc<Api>,
    pub(crate) preset: Arc<Preset>,
    pub(super) step: Step,
    max_bytes: usize,
}

/// The servers that a collector may ask; each keeps its connections.
#[derive(Debug, Clone)]
pub struct QueryServer {
    api: Arc<Api>,
    max_bytes: usize,
}

impl QueryServer {
    /// The server that `config` names, which the configuration holds at `table`; frames beyond `max_bytes` of samples are
    /// refused. Nothing is asked yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting cannot be used, or a file of certificates.
    pub fn new(table: &str, config: QuerySourceConfig, max_bytes: usize) -> Result<Self, Invalid> {
        Self::counting(table, config, max_bytes, Failures::default())
    }

    /// The same, whose failures are counted in `failures`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn counting(
        table: &str,
        config: QuerySourceConfig,
        max_bytes: usize,
        failures: Failures,
    ) -> Result<Self, Invalid> {
        Ok(Self { api: Arc::new(Api::new(table, config, failures)?), max_bytes })
    }

    /// This server asked with a preset (the configured one when empty) and a step (the configured one when `None`).
    ///
    /// # Errors
    /// There is no such preset, or it does not have what is configured of it.
    pub fn source(&self, preset: &str, step: Option<Step>) -> Result<QuerySource, Invalid> {
        let config = self.api.config();
        Ok(QuerySource {
            preset: Arc::new(config.preset(preset)?),
            step: step.map_or_else(|| config.step(), Ok)?,
            api: Arc::clone(&self.api),
            max_bytes: self.max_bytes,
        })
    }
}

impl QuerySource {
    /// The frame of the last minutes, for a look at what is there.
    ///
    /// # Errors
    /// The server cannot be asked, or holds nothing that the preset asks for.
    pub(crate) async fn recent_frame(&self) -> Result<SourceFrame, ServiceError> {
        self.greet(&mut Notes::new()).await?;
        let newest = self.newest()?;
        self.collect(UnixMillis(newest.0 - RECENT_MS), newest).await
    }

    pub(super) fn max_samples(&self) -> usize {
        self.max_bytes / size_of::<f64>()
    }

    /// Most points of a window: one series of them must fit into a frame.
    pub(super) fn most_points(&self) -> usize {
        MAX_WINDOW_POINTS.min(self.max_samples())
    }

    /// Asks every expression of the preset.
    async fn collect(&self, start: UnixMillis, end: UnixMillis) -> Result<SourceFrame, ServiceError> {
        let mut notes = Notes::new();
        self.greet(&mut notes).await?;
        let newest = self.newest()?;
        if newest < start {
            return Err(CollectError::new(
                CollectErrorKind::TooLittleData,
                format!(
                    "{} shows samples up to {} only, and the window starts at {}; wait, or move it back",
                    self.api.shown(),
                    moment(newest),
                    moment(start)
                ),
            )
            .into());
        }
        // What the step is found by may not take the time of the metrics themselves.
        let (of_terms, until) = (deadline::share(SHARE / 2.0), deadline::share(SHARE));
        let terms = self.terms(start, end.min(newest), of_terms, &mut notes).await?;
        let rename = &self.api.config().rename;
        let labels: Vec<[String; 1]> = self.preset.series.iter().map(|query| [query.label.clone()]).collect();
        let pair = self.preset.edges.as_ref().map(|edges| [edges.caller.clone(), edges.callee.clone()]);
        let mut queries: Vec<Query<'_>> = self
            .preset
            .series
            .iter()
            .zip(&labels)
            .map(|(query, labels)| Query {
                purpose: query.name.clone(),
                expression: variables::with_window(&query.expression, terms.window_ms),
                naming: Naming { labels, rename },
                factor: query.unit.factor(),
            })
            .collect();
        if let (Some(edges), Some(pair)) = (&self.preset.edges, &pair) {
            queries.extend(edges.queries.iter().map(|(metric, expression, unit)| Query {
                purpose: format!("{metric} between services"),
                expression: variables::with_window(expression, terms.window_ms),
                naming: Naming { labels: pair, rename },
                factor: unit.factor(),
            }));
        }
        let asked = fetch(&self.api, &terms.grid, &queries, until, self.max_samples(), &mut notes).await?;
        let mut left_out = Notes::new();
        let mut answers = without_late(asked, self.preset.series.len(), &mut left_out)?;
        let of_edges: Vec<Fetched> =
            answers.split_off(self.preset.series.len()).into_iter().map(Option::unwrap_or_default).collect();
        let metrics =
            self.preset.edges.iter().flat_map(|edges| edges.queries.iter().map(|(metric, ..)| *metric));
        let edges = edge_frame(terms.grid.samples(), metrics.zip(of_edges))?;
        let calls = edges.as_ref().map(call_graph).transpose()?.flatten();
        self.tell_absent(&answers, &terms, until, &mut notes).await?;
        for (query, fetched) in self.preset.series.iter().zip(&answers) {
            let Some(fetched) = fetched else { continue };
            if fetched.unnamed > 0 {
                left_out.insert(format!(
                    "{}: {} series without the label {} were left out",
                    query.name, fetched.unnamed, query.label
                ));
            }
        }
        let mut series = Vec::new();
        for (query, fetched) in self.preset.series.iter().zip(answers) {
            for (name, samples) in fetched.unwrap_or_default().rows {
                let service = name.concat();
                series.push((SeriesKey { service, metric: query.metric, name: query.name.clone() }, samples));
            }
        }
        let frame = frame_of(self.api.shown(), terms.grid, series, self.max_bytes)?;
        let slack = terms.window_ms.div_ceil(terms.grid.step_ms()) as usize + 1;
        notes.extend(left_out.iter().cloned());
        let mut warnings: Vec<String> = notes.into_iter().collect();
        warnings.extend(presence_warnings(&frame, slack));
        let left_out = left_out.into_iter().collect();
        Ok(SourceFrame { edges, left_out, call_graph: calls, ..SourceFrame::new(frame, warnings, None) })
    }

    /// Notes which series matched nothing, by which expression, and which of its metrics the server does not have. What came
    /// too late is none of these.
    ///
    /// # Errors
    /// Nothing matched at all.
    async fn tell_absent(
        &self,
        answers: &[Option<Fetched>],
        terms: &Terms,
        until: Option<Instant>,
        notes: &mut Notes,
    ) -> Result<(), ServiceError> {
        let empty: Vec<_> = self
            .preset
            .series
            .iter()
            .zip(answers)
            .filter(|(_, fetched)| fetched.as_ref().is_some_and(|fetched| fetched.rows.is_empty()))
            .map(|(query, _)| query)
            .collect();
        if empty.is_empty() {
            return Ok(());
        }
        let found = |fetched: &Fetched| !fetched.rows.is_empty();
        if !answers.iter().flatten().any(found) {
            let names: Vec<&str> = empty.iter().map(|query| query.name.as_str()).collect();
            return Err(CollectError::new(
                CollectErrorKind::TooLittleData,
                format!(
                    "{} holds nothing of {} from {} to {}: nothing matched its expressions of {}; run `automap check` \
                     with the same flags to see why, or choose {} or another time",
                    self.api.shown(),
                    self.preset.shown(),
                    moment(terms.grid.start()),
                    moment(terms.grid.last()),
                    names.join(", "),
                    another(&self.preset.name)
                ),
            )
            .into());
        }
        let asked = async {
            let expressions = empty.iter().map(|query| query.expression.as_str());
            let known = self.known_metrics(expressions, terms.grid.last()).await;
            known.map_err(|fault| fault.context(NAMES))
        };
        // A reason is not worth the answer, whatever keeps it from being known.
        let known = if_told(in_time(asked, until, NAMES).await, notes);
        let sentences = empty.iter().map(|query| {
            let missing = |known: &BTreeSet<String>| -> Vec<String> {
                metric_names(&query.expression).into_iter().filter(|name| !known.contains(name)).collect()
            };
            let why = match known.as_ref().map(missing) {
                None => "the source did not say which metrics it has".to_owned(),
                Some(missing) if missing.is_empty() => {
                    "its metrics are there, so its labels match nothing".to_owned()
                }
                Some(missing) => format!("the source has no {}", missing.join(", no ")),
            };
            let asked = brief(&variables::with_window(&query.expression, terms.window_ms));
            format!("{}: nothing matched {asked}; {why}", query.name)
        });
        notes.extend(sentences);
        Ok(())
    }

    /// Which of the metrics that the expressions read exist at `time`.
    pub(crate) async fn known_metrics<'e>(
        &self,
        expressions: impl Iterator<Item = &'e str>,
        time: UnixMillis,
    ) -> Result<BTreeSet<String>, QueryFault> {
        let names: BTreeSet<String> = expressions.flat_map(metric_names).collect();
        if names.is_empty() {
            return Ok(names);
        }
        let any = names.iter().map(String::as_str).collect::<Vec<_>>().join("|");
        let counted = format!("count by (__name__) ({{__name__=~\"{any}\"}})");
        let keep = |known: &mut BTreeSet<String>, mut labels: Labels, _| {
            known.extend(labels.remove("__name__"));
        };
        Ok(ask_instant(&self.api, &counted, time, names.len(), keep).await?.0)
    }

    /// Services by the series of the preset that name them now, and how many each series has.
    pub(crate) async fn services_by_series(
        &self,
        time: UnixMillis,
        window_ms: u64,
    ) -> Vec<Result<BTreeSet<String>, QueryFault>> {
        let mut found = Vec::new();
        for query in &self.preset.series {
            let expression = variables::with_window(&query.expression, window_ms);
            let rename: &BTreeMap<String, String> = &self.api.config().rename;
            let keep = |names: &mut BTreeSet<String>, mut labels: Labels, _| {
                let name = labels.remove(&query.label).filter(|name| !name.is_empty());
                names.extend(name.map(|name| rename.get(&name).cloned().unwrap_or(name)));
            };
            let answer = ask_instant(&self.api, &expression, time, self.max_bytes / NAME_BYTES, keep).await;
            found.push(answer.map(|(names, _)| names));
        }
        found
    }
}

/// What was answered in time; what was not is noted. The first `series` are those of services.
///
/// # Errors
/// Some of these were late, and the others hold nothing.
fn without_late(
    asked: Vec<Result<Fetched, QueryFault>>,
    series: usize,
    notes: &mut Notes,
) -> Result<Vec<Option<Fetched>>, QueryFault> {
    let of_services = || asked.iter().take(series);
    let found = |answered: &Result<Fetched, QueryFault>| {
        answered.as_ref().is_ok_and(|fetched| !fetched.rows.is_empty())
    };
    // What matched nothing is soon answered: the server may still have all of it.
    if !of_services().any(found)
        && let Some(fault) = of_services().find_map(|answered| answered.as_ref().err())
    {
        return Err(fault.clone());
    }
    let answered = asked.into_iter().map(|answered| {
        answered.map_err(|fault| notes.insert(format!("the source is slow, left out is {fault}"))).ok()
    });
    Ok(answered.collect())
}

/// A time as a person reads it.
fn moment(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

impl MetricSource for QuerySource {
    async fn frame(&self, bounds: SampleBounds) -> Result<SourceFrame, ServiceError> {
        let needed = |field: &str| {
            Invalid::new(field, "is missing: a source that is queried needs the window that is wanted")
        };
        let start = bounds.start().ok_or_else(|| needed("start"))?;
        let end = bounds.end().ok_or_else(|| needed("end"))?;
        self.collect(start, end).await
    }

    async fn services(&self) -> Result<Vec<String>, ServiceError> {
        let mut notes = Notes::new();
        self.greet(&mut notes).await?;
        let newest = self.newest()?;
        let start = UnixMillis(newest.0 - RECENT_MS);
        let terms = self.terms(start, newest, deadline::share(SHARE / 2.0), &mut notes).await?;
        let mut services = BTreeSet::new();
        for names in self.services_by_series(newest, terms.window_ms).await {
            services.extend(names?);
        }
        Ok(services.into_iter().collect())
    }
}
