//! What the server does on its own: retention, checkpoints, exports.

use std::{path::Path, sync::Arc, time::Duration};

use automap_proto::time::UnixMillis;
use automap_service_kit::work;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    config::ProfilerConfig,
    service::now,
    store::{ProfileStore, retention::Retention},
};

mod exports;
mod last_sweep;
#[cfg(test)]
mod tests;

pub use exports::{ExportPlace, export_name, prune};

/// How long after the start what is due is done: a server that is started again and again must come to it, and one that has
/// just started has other things to do.
const SETTLED: Duration = Duration::from_secs(60);

/// Longest time until an export that failed is tried again.
const AGAIN: Duration = Duration::from_secs(3600);

/// Runs the chores until `shutdown`. A sweep that fails is tried again at its next time, an export after an hour at most; both are
/// logged. Restarts put neither off, and a store that is never open for long is swept when it is closed, once a day.
pub async fn run(store: Arc<dyn ProfileStore>, config: ProfilerConfig, shutdown: CancellationToken) {
    let every =
        |length: u64, unit: Duration| unit.saturating_mul(u32::try_from(length.max(1)).unwrap_or(u32::MAX));
    let schedule = &config.schedule;
    let (sweeps, exports) = (schedule.housekeeping_minutes > 0, schedule.export_hours > 0);
    let housekeeping_period = every(schedule.housekeeping_minutes, Duration::from_secs(60));
    let export_period = every(schedule.export_hours, Duration::from_secs(3600));
    let place = ExportPlace::new(&config);
    let started = now();
    let (last_sweep, newest) = {
        let (place, path) = (place.clone(), config.path.clone());
        let look = move || (sweeps.then(|| last_sweep::known(&path, started)), place.newest(started));
        work::run(move |_| Ok(look())).await.unwrap_or_default()
    };
    let mut housekeeping = Instant::now() + until_due(last_sweep, started, housekeeping_period);
    let mut export = Instant::now() + until_due(newest, started, export_period);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = sleep_until(housekeeping), if sweeps => {
                housekeep(&store, config.retention, &config.path).await;
                housekeeping = Instant::now() + housekeeping_period;
            }
            () = sleep_until(export), if exports => {
                let (store, place) = (Arc::clone(&store), place.clone());
                let done = work::run(move |_| place.export(store.as_ref(), now())).await;
                let pause = match done {
                    Ok(file) => {
                        tracing::info!(file = %file.display(), "the store was exported");
                        export_period
                    }
                    Err(error) => {
                        tracing::error!(%error, "the scheduled export failed");
                        export_period.min(AGAIN)
                    }
                };
                export = Instant::now() + pause;
            }
        }
    }
    if sweeps && last_sweep::is_long_ago(&config.path, now()) {
        housekeep(&store, config.retention, &config.path).await;
    }
}

async fn housekeep(store: &Arc<dyn ProfileStore>, rules: Retention, path: &Path) {
    let store = Arc::clone(store);
    match work::run(move |_| Ok(store.housekeep(&rules, now())?)).await {
        Ok(done) => {
            last_sweep::remember(path, now());
            if done.removed > 0 {
                tracing::info!(removed = done.removed, "records outlived their time");
            }
            if done.damaged > 0 {
                tracing::error!(
                    damaged = done.damaged,
                    "records are damaged; a restart reads them from the journal"
                );
            }
        }
        Err(error) => tracing::error!(%error, "housekeeping failed"),
    }
}

/// How long after `now`, which is soon after the start, what was done `last` is due again.
fn until_due(last: Option<UnixMillis>, now: UnixMillis, period: Duration) -> Duration {
    let age = last.map(|at| Duration::from_millis(now.0.saturating_sub(at.0).unsigned_abs()));
    let left = age.map_or(Duration::ZERO, |age| period.saturating_sub(age));
    left.max(SETTLED.min(period))
}
