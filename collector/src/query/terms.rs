//! What is settled before metrics are asked for: whether the server answers, up to when, how often samples are taken, and
//! the grid.

use automap_proto::{
    invalid::Invalid,
    metric::MetricKind,
    time::{TimeGrid, UnixMillis},
};
use automap_service_kit::error::ServiceError;
use tokio::time::Instant;

use super::{
    api::{Notes, local_now},
    config::Step,
    fault::{FaultKind, QueryFault},
    fetch::{Query, ask_instant, brief, count_instant, fetch, in_time},
    rows::Naming,
    series_answer::Labels,
    source::QuerySource,
    step::{ASSUMED_INTERVAL_MS, aligned_grid, call_weighted_step, rate_window, scrape_interval},
    variables,
};

/// How long VictoriaMetrics keeps samples from being seen (its search.latencyOffset).
const VICTORIA_OFFSET_MS: i64 = 30_000;
/// Clocks apart by more are told.
const SKEW_MS: u64 = 5000;
/// Over how long samples are looked at to see the scrape interval.
const PROBE_SPAN_MS: u64 = 600_000;
/// By how many series it is seen.
const PROBED_SERIES: usize = 4;
/// Points at which throughput is read to find the step.
const RATE_POINTS: u64 = 60;
/// What is settled before metrics are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) grid: TimeGrid,
    pub(crate) window_ms: u64,
}

impl QuerySource {
    /// Makes sure that the server answers, and notes its clock and kind.
    pub(crate) async fn greet(&self, notes: &mut Notes) -> Result<(), QueryFault> {
        let (_, said) = count_instant(&self.api, "vector(1)", local_now()).await?;
        notes.extend(said);
        if let Some(apart) = self.api.facts().ahead_ms.filter(|apart| apart.unsigned_abs() > SKEW_MS) {
            let direction = if apart > 0 { "ahead of" } else { "behind" };
            notes.insert(format!(
                "the clock of {} is {} s {direction} that of this machine; times of this machine may miss the incident",
                self.api.shown(),
                apart.unsigned_abs() / 1000
            ));
        }
        Ok(())
    }

    /// The newest time whose samples are all visible.
    pub(crate) fn newest(&self) -> Result<UnixMillis, Invalid> {
        let configured = self.api.config().end_offset()?.and_then(|offset| i64::try_from(offset).ok());
        let natural = if self.api.facts().victoria_metrics { VICTORIA_OFFSET_MS } else { 0 };
        Ok(UnixMillis(self.api.now().0 - configured.unwrap_or(natural)))
    }

    /// How often samples are taken near `end`, milliseconds; `None` when there are none to see it by.
    pub(crate) async fn seen_interval(&self, end: UnixMillis) -> Result<Option<u64>, QueryFault> {
        let seen = async {
            let span = variables::duration(PROBE_SPAN_MS);
            let few = format!("topk({PROBED_SERIES}, last_over_time({}[{span}]))", self.preset.probe);
            let keep = |series: &mut Vec<Labels>, labels, _| series.push(labels);
            let (series, _) = ask_instant(&self.api, &few, end, PROBED_SERIES, keep).await?;
            let mut times = Vec::new();
            for labels in series.iter().filter(|labels| labels.contains_key("__name__")) {
                let raw = format!("{}[{span}]", selector(labels));
                let keep = |times: &mut Vec<Vec<f64>>, _, samples: Vec<(f64, f64)>| {
                    times.push(samples.into_iter().map(|(time, _)| time).collect());
                };
                times.extend(ask_instant(&self.api, &raw, end, 1, keep).await?.0);
            }
            Ok(scrape_interval(&times))
        };
        seen.await.map_err(|fault: QueryFault| fault.context("the scrape interval"))
    }

    /// Settles grid and windows of rates between `start` and `end`. What is not answered in time, or not `until` then, is done
    /// without, and noted.
    pub(crate) async fn terms(
        &self,
        start: UnixMillis,
        end: UnixMillis,
        until: Option<Instant>,
        notes: &mut Notes,
    ) -> Result<Terms, ServiceError> {
        let scrape_ms = match self.api.config().scrape_interval()? {
            None => {
                let asked = in_time(self.seen_interval(end), until, "the scrape interval").await;
                unless_late(asked, notes)?.flatten()
            }
            given => given,
        };
        self.terms_of(scrape_ms, start, end, until, notes).await
    }

    /// The same where samples are taken every `scrape_ms` milliseconds, as far as that is known.
    pub(crate) async fn terms_of(
        &self,
        scrape_ms: Option<u64>,
        start: UnixMillis,
        end: UnixMillis,
        until: Option<Instant>,
        notes: &mut Notes,
    ) -> Result<Terms, ServiceError> {
        let scrape_ms = scrape_ms.unwrap_or_else(|| {
            notes.insert(format!(
                "how often samples are taken cannot be seen by {}; {} s are assumed: set \
                 --scrape-interval (scrape-interval)",
                brief(&self.preset.probe),
                ASSUMED_INTERVAL_MS / 1000
            ));
            ASSUMED_INTERVAL_MS
        });
        let step_ms = match self.step {
            Step::Fixed(step) => {
                if step < scrape_ms {
                    notes.insert(format!(
                        "the step of {} s is shorter than the scrape interval of {} s: samples repeat",
                        step as f64 / 1000.0,
                        scrape_ms as f64 / 1000.0
                    ));
                }
                step
            }
            Step::Auto => self.call_weighted(start, end, scrape_ms, until, notes).await?,
        };
        let grid = aligned_grid(start, end, step_ms, self.most_points())?;
        Ok(Terms { grid, window_ms: rate_window(step_ms, scrape_ms) })
    }

    /// The call-weighted step, from the mean throughput of each service over the window; the scrape interval where that is
    /// late.
    async fn call_weighted(
        &self,
        start: UnixMillis,
        end: UnixMillis,
        scrape_ms: u64,
        until: Option<Instant>,
        notes: &mut Notes,
    ) -> Result<u64, ServiceError> {
        let plain = MetricKind::Throughput.name();
        let Some(throughput) = self.preset.series.iter().find(|query| query.name == plain) else {
            return Ok(scrape_ms);
        };
        let coarse = (end.0.abs_diff(start.0) / RATE_POINTS / 1000 * 1000).max(scrape_ms);
        let grid = aligned_grid(start, end, coarse, self.most_points())?;
        let labels = [throughput.label.clone()];
        let query = Query {
            purpose: "throughput".into(),
            expression: variables::with_window(&throughput.expression, rate_window(coarse, scrape_ms)),
            naming: Naming { labels: &labels, rename: &self.api.config().rename },
            factor: throughput.unit.factor(),
        };
        let answers = fetch(&self.api, &grid, &[query], until, self.max_samples(), &mut Notes::new()).await?;
        let rows = match answers.into_iter().next().transpose() {
            Ok(answered) => answered.unwrap_or_default().rows,
            Err(fault) => {
                notes.insert(format!(
                    "the source is slow, the step is the scrape interval of {} s and not found by {fault}",
                    scrape_ms as f64 / 1000.0
                ));
                return Ok(scrape_ms);
            }
        };
        let mean = |samples: &Vec<f64>| {
            let known = samples.iter().filter(|value| !value.is_nan());
            let (count, sum) = known.fold((0_u32, 0.0), |(count, sum), value| (count + 1, sum + value));
            sum / f64::from(count.max(1))
        };
        Ok(call_weighted_step(&rows.values().map(mean).collect::<Vec<_>>(), scrape_ms))
    }
}

/// What was answered, or `None` and a note where it was not: for what is told beside metrics, and worth none of them.
pub(crate) fn if_told<T>(answered: Result<T, QueryFault>, notes: &mut Notes) -> Option<T> {
    answered
        .map_err(|fault| {
            tracing::warn!(%fault, "a look-up beside the metrics failed");
            let slow = if fault.kind == FaultKind::Timeout { "the source is slow, " } else { "" };
            notes.insert(format!("{slow}not known is {fault}"))
        })
        .ok()
}

/// What was answered, or `None` and a note where it came too late.
///
/// # Errors
/// It failed in another way.
pub(crate) fn unless_late<T>(
    answered: Result<T, QueryFault>,
    notes: &mut Notes,
) -> Result<Option<T>, QueryFault> {
    match answered {
        Err(fault) if fault.kind == FaultKind::Timeout => {
            notes.insert(format!("the source is slow, not known is {fault}"));
            Ok(None)
        }
        answered => answered.map(Some),
    }
}

/// A selector of exactly one series.
fn selector(labels: &Labels) -> String {
    let quoted = |value: &str| {
        format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    let pairs: Vec<String> =
        labels.iter().map(|(label, value)| format!("{label}={}", quoted(value))).collect();
    format!("{{{}}}", pairs.join(","))
}
