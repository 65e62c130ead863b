//! What the server learns on its own: normal behaviour, again and again.

use std::time::Duration;

use automap_proto::{
    time::{TimeWindow, UnixMillis, duration_to_wire},
    v1::{self, metric_source::Source},
};
use automap_service_kit::error::ServiceError;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{
    config::LearnJob,
    learning_window::{begin_of, learning_parts},
    memory::now,
    service::WalkerRpc,
};

/// Until the next try after one that failed: at the start the collector may not be there yet.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// How much more than the time since the last turn is asked of a server: samples may come late. What was learned already
/// counts once.
const OVERLAP_MS: i64 = 5 * 60_000;

/// Starts every job of the configuration; they end with `shutdown`.
pub(crate) fn start(walker: &WalkerRpc, shutdown: &CancellationToken) {
    for (name, job) in walker.learn_jobs() {
        walker.started.spawn(run(walker.clone(), name.clone(), job.clone(), shutdown.clone()));
    }
}

/// Learns at once and then every so many minutes. A time that fails is logged, and the next one tries again.
async fn run(walker: WalkerRpc, name: String, job: LearnJob, shutdown: CancellationToken) {
    let minutes = u32::try_from(job.every_minutes).unwrap_or(u32::MAX);
    let mut ticks = interval(Duration::from_secs(60).saturating_mul(minutes));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut learned_to = None;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let until = now();
        let learned = tokio::select! {
            () = shutdown.cancelled() => return,
            learned = learn(&walker, &job, learned_to, until) => learned,
        };
        match learned {
            Ok(learned) => {
                learned_to = Some(until);
                tracing::info!(
                    job = name,
                    system = learned.system,
                    rows = learned.rows,
                    abnormal_rows = learned.abnormal_rows,
                    graphs = learned.graphs,
                    "normal behaviour was learned"
                );
            }
            Err(error) => {
                tracing::warn!(job = name, %error, "normal behaviour could not be learned");
                ticks.reset_after(AFTER_FAILURE);
            }
        }
    }
}

/// One turn: all of a recording, or of a server what is newer than the last turn.
async fn learn(
    walker: &WalkerRpc,
    job: &LearnJob,
    learned_to: Option<UnixMillis>,
    until: UnixMillis,
) -> Result<v1::Learned, ServiceError> {
    let request = |source, window: Option<TimeWindow>| v1::LearnSourceRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        system: job.system.clone().unwrap_or_default(),
        abnormal: Vec::new(),
        window: window.map(TimeWindow::to_wire),
        graph_window: graph_window_ms(job).map(duration_to_wire),
    };
    let Some(name) = &job.source else {
        let recording = job.recording.clone().unwrap_or_default();
        return walker.learn_source_of(request(Source::Recording(recording), None)).await;
    };
    let query =
        v1::QuerySource { name: name.clone(), preset: job.preset.clone().unwrap_or_default(), step: None };
    let mut learned = v1::Learned::default();
    for part in learning_parts(window(job, learned_to, until)?, graph_window_ms(job)) {
        let found = walker.learn_source_of(request(Source::Query(query.clone()), Some(part))).await?;
        learned = v1::Learned {
            rows: learned.rows.saturating_add(found.rows),
            abnormal_rows: learned.abnormal_rows.saturating_add(found.abnormal_rows),
            graphs: learned.graphs.saturating_add(found.graphs),
            ..found
        };
    }
    Ok(learned)
}

fn graph_window_ms(job: &LearnJob) -> Option<u64> {
    job.graph_window_minutes.map(|minutes| minutes.saturating_mul(60_000))
}

/// From a little before the last turn that learned, or the time between two turns ago, at most a week. Where normal graphs are
/// learned it begins where one of their windows does, so that each is asked for as a whole once it has ended.
fn window(
    job: &LearnJob,
    learned_to: Option<UnixMillis>,
    until: UnixMillis,
) -> Result<TimeWindow, ServiceError> {
    let minutes = |minutes: u64| i64::try_from(minutes.saturating_mul(60_000)).unwrap_or(i64::MAX);
    let graph_window = job.graph_window_minutes.unwrap_or_default();
    let first = minutes(job.every_minutes.max(graph_window));
    let from = learned_to.unwrap_or(UnixMillis(until.0.saturating_sub(first)));
    let oldest = until.0.saturating_sub(minutes(LearnJob::MAX_MINUTES));
    // A clock that was set back must not end a window before it begins.
    let start = UnixMillis(from.0.saturating_sub(OVERLAP_MS).clamp(oldest, until.0));
    let start = graph_window_ms(job).map_or(start, |length| begin_of(start, length));
    Ok(TimeWindow::new("window", start, until)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_asks_for_what_is_newer_than_the_last_and_a_little_more() {
        const MINUTE: i64 = 60_000;
        let job = LearnJob { every_minutes: 30, ..LearnJob::default() };
        let start = |learned_to: Option<i64>, until: i64| {
            window(&job, learned_to.map(UnixMillis), UnixMillis(until)).unwrap().start().0
        };
        let now = 100_000 * MINUTE;
        assert_eq!(start(None, now), now - 35 * MINUTE);
        assert_eq!(start(Some(now - 90 * MINUTE), now), now - 95 * MINUTE, "after turns that failed");
        assert_eq!(start(Some(0), now), now - 7 * 24 * 60 * MINUTE);
        assert_eq!(start(Some(now + 10 * MINUTE), now), now, "a clock that was set back");
    }

    #[test]
    fn the_window_of_each_normal_graph_is_asked_for_as_a_whole() {
        let minutes = |from: u64, to: u64| (from * 60_000, to * 60_000);
        for (every, length) in [(60, 10), (15, 30), (15, 180), (60, 60), (7, 11)] {
            let job =
                LearnJob { every_minutes: every, graph_window_minutes: Some(length), ..LearnJob::default() };
            let begin = 1_000_000_u64.next_multiple_of(length) + 3;
            let mut learned_to = None;
            let mut whole = std::collections::BTreeSet::new();
            for turn in 0..40 {
                let until = UnixMillis(i64::try_from((begin + turn * every) * 60_000).unwrap());
                let asked = window(&job, learned_to, until).unwrap();
                for part in learning_parts(asked, graph_window_ms(&job)) {
                    let (from, to) = (part.start().0.unsigned_abs(), part.end().0.unsigned_abs());
                    let first = from.div_ceil(length * 60_000);
                    whole.extend((first..to / (length * 60_000)).map(|number| number * length));
                }
                learned_to = Some(until);
            }
            let last = begin + 39 * every;
            let wanted: Vec<u64> = (0..)
                .map(|number| begin - 3 + number * length)
                .take_while(|start| minutes(*start, start + length).1 <= last * 60_000)
                .collect();
            assert!(wanted.iter().all(|start| whole.contains(start)), "{every} {length}");
        }
    }
}
