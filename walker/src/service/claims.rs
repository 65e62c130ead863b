//! Several walkers behind one name: what each runs is told to the profiler that they share, and what others run is heard
//! from it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use automap_proto::{invalid::Invalid, v1};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    telemetry::background_span,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::broadcast::{Receiver, error::TryRecvError},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use super::WalkerRpc;

/// Longest time between two calls while anything runs or is watched.
const PACE: Duration = Duration::from_secs(1);

/// How long the profiler may take to answer about claims; a diagnosis begins without it after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// A name for this walker: that of its host, and a part that differs from start to start.
pub(super) fn walker_name() -> Arc<str> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // Its end is by chance, its beginning the time.
    let id = Uuid::now_v7().simple().to_string();
    let host = Some(host.trim()).filter(|host| !host.is_empty()).unwrap_or("walker");
    format!("{host}-{}", &id[20..]).into()
}

/// SHA-256 of a request, hexadecimal: the same whatever the order of its parameters.
pub(super) fn request_digest(request: &v1::DiagnoseRequest) -> String {
    let mut rest = request.clone();
    let parameters = rest.settings.as_mut().map(|settings| std::mem::take(&mut settings.parameters));
    let sorted: BTreeMap<String, String> = parameters.unwrap_or_default().into_iter().collect();
    let mut hash = Sha256::new();
    hash.update(rest.encode_length_delimited_to_vec());
    for (name, value) in sorted {
        for part in [name, value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a second request under an id that another one has. The id of a diagnosis that alerts began says by itself what
/// was asked for, so one of a version that kept no digest is taken for the same.
///
/// # Errors
/// `known` was started by another request than `asked`.
pub(super) fn same_request(known: &v1::Diagnosis, asked: &v1::Diagnosis) -> Result<(), ServiceError> {
    let older = known.request_digest.is_empty() && known.alerts.is_some() && asked.alerts.is_some();
    if older || known.request_digest == asked.request_digest {
        return Ok(());
    }
    let message = format!("request_id {} belongs to another request; choose another one", known.diagnosis_id);
    Err(ServiceError::new(ErrorCode::AlreadyExists, message).of_field("request_id"))
}

impl WalkerRpc {
    /// How long a diagnosis stays with a walker that is not heard of.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.config.lease_seconds)
    }

    fn pace(&self) -> Duration {
        PACE.min(self.lease() / 4)
    }

    /// Asks for a diagnosis; answers it as it is kept where another walker has it or it has ended.
    ///
    /// # Errors
    /// The profiler refused, or cannot be reached in time.
    pub(super) async fn claim(&self, outline: v1::Diagnosis) -> Result<Option<v1::Diagnosis>, ServiceError> {
        let request = v1::ClaimDiagnosisRequest {
            diagnosis: Some(outline),
            lease: prost_types::Duration::try_from(self.lease()).ok(),
        };
        let asking = self
            .peers
            .ask_claims(request, |mut claims, request| async move { claims.claim_diagnosis(request).await });
        let answer = timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
            Err(ServiceError::new(ErrorCode::DeadlineExceeded, "profiler: it does not answer"))
        })?;
        if answer.claimed {
            return Ok(None);
        }
        Ok(Some(answer.diagnosis.ok_or_else(|| Invalid::missing("diagnosis"))?))
    }

    /// Waits until a diagnosis that another walker runs has ended, or that walker is gone; true when it is this walker's
    /// then.
    pub(super) async fn inherit(&self, outline: v1::Diagnosis) -> bool {
        loop {
            tokio::time::sleep(self.pace()).await;
            match self.claim(outline.clone()).await {
                Ok(None) => return true,
                Ok(Some(known)) if known.state() != v1::DiagnosisState::Running && !is_lost(&known) => {
                    return false;
                }
                Ok(Some(_)) => {}
                Err(error) => tracing::debug!(%error, "a diagnosis of another walker could not be asked for"),
            }
        }
    }

    /// Asks whichever walker runs a diagnosis to stop it.
    pub(super) async fn cancel_elsewhere(&self, id: &str) -> Result<(), ServiceError> {
        let request = v1::RequestCancellationRequest { diagnosis_id: id.into() };
        self.peers
            .ask_claims(
                request,
                |mut claims, request| async move { claims.request_cancellation(request).await },
            )
            .await?;
        Ok(())
    }

    /// Tells the profiler what runs here.
    pub(super) async fn tell_running(
        &self,
        news: Vec<v1::WatchDiagnosesResponse>,
        position: u64,
    ) -> Result<v1::RenewClaimsResponse, ServiceError> {
        let request = v1::RenewClaimsRequest {
            walker: self.name.to_string(),
            lease: prost_types::Duration::try_from(self.lease()).ok(),
            running: self.registry.all_running(),
            news,
            position,
        };
        timeout(PATIENCE, self.peers.renew_claims(request)).await.unwrap_or_else(|_| {
            Err(ServiceError::new(ErrorCode::DeadlineExceeded, "profiler: it does not answer"))
        })
    }
}

/// Whether a diagnosis is shown as failed because its walker is gone: then it may be had with the next call.
pub(crate) fn is_lost(known: &v1::Diagnosis) -> bool {
    known.state() == v1::DiagnosisState::Failed && known.ended_at.is_none()
}

/// Tells and hears while anything runs here or is watched, until `stop`.
pub(crate) async fn exchange(walker: WalkerRpc, stop: CancellationToken) {
    let mut ticks = interval(walker.pace());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut own = walker.registry.watch_own();
    let (mut position, mut waiting, mut answers, mut hears) = (0, BTreeMap::new(), true, false);
    let mut late = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        while late.try_join_next().is_some() {}
        drain(&mut own, &mut waiting);
        let watched = walker.registry.is_watched();
        if waiting.is_empty() && !watched && !walker.registry.has_work() {
            // News begin when somebody watches.
            (position, hears) = (0, false);
            continue;
        }
        let news = waiting.values().cloned().collect();
        let telling = walker.tell_running(news, if watched { position } else { 0 });
        match telling.instrument(background_span()).await {
            Ok(heard) => {
                waiting.clear();
                position = heard.position;
                if watched && !hears {
                    tracing::info!("hears of other walkers");
                }
                hears = watched;
                for id in &heard.cancelled {
                    walker.registry.cancel(id);
                }
                walker.registry.relay(heard.news);
                // A profiler whose disk is full takes its time to say so, and claims must not lapse meanwhile.
                if late.is_empty() {
                    let walker = walker.clone();
                    late.spawn(async move { walker.keep_late().await });
                }
                answers = true;
            }
            Err(error) => {
                if std::mem::take(&mut answers) {
                    tracing::warn!(%error, "other walkers do not hear of this one");
                }
            }
        }
    }
    timeout(PATIENCE, late.join_next()).await.ok();
}

/// Takes what happened here; of each diagnosis the newest counts.
fn drain(
    own: &mut Receiver<v1::WatchDiagnosesResponse>,
    waiting: &mut BTreeMap<String, v1::WatchDiagnosesResponse>,
) {
    loop {
        match own.try_recv() {
            Ok(news) => {
                waiting.insert(news.diagnosis_id.clone(), news);
            }
            // What was missed has been replaced by what follows.
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(parameters: &[(&str, &str)]) -> v1::DiagnoseRequest {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        v1::DiagnoseRequest {
            settings: Some(v1::DiagnosisSettings {
                seed: 7,
                parameters: parameters.collect(),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_digest_is_of_the_request_and_not_of_the_order_of_its_parameters() {
        let one = request_digest(&request(&[("a", "1"), ("b", "2"), ("c", "3")]));
        assert_eq!(one, request_digest(&request(&[("c", "3"), ("b", "2"), ("a", "1")])));
        assert_ne!(one, request_digest(&request(&[("a", "1"), ("b", "2"), ("c", "4")])));
        assert_ne!(one, request_digest(&request(&[("a", "1b"), ("2", "c"), ("c", "3")])));
    }

    #[test]
    fn an_id_is_of_one_request_and_one_of_alerts_that_kept_no_digest_is_the_same() {
        let of = |digest: &str, alerts: Option<v1::AlertList>| v1::Diagnosis {
            request_digest: digest.into(),
            alerts,
            ..Default::default()
        };
        let alerts = || Some(v1::AlertList::default());
        for (known, asked) in [
            (of("one", None), of("one", None)),
            (of("one", alerts()), of("one", alerts())),
            (of("", alerts()), of("one", alerts())),
        ] {
            assert_eq!(same_request(&known, &asked), Ok(()));
        }
        for (known, asked) in [
            (of("one", None), of("other", None)),
            (of("one", alerts()), of("other", alerts())),
            (of("", None), of("one", None)),
            (of("", None), of("one", alerts())),
            (of("", alerts()), of("one", None)),
        ] {
            let refused = same_request(&known, &asked).unwrap_err();
            assert_eq!((refused.code(), refused.field()), (ErrorCode::AlreadyExists, Some("request_id")));
        }
    }

    #[test]
    fn walkers_on_one_host_have_different_names() {
        assert_ne!(walker_name(), walker_name());
    }
}
