//! Finished diagnoses on their way out, to any number of sinks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | what is sent where |
//! | [`message`] | what sinks are told of a diagnosis |
//! | [`outbox`] | what waits for a sink |
//! | [`template`], [`slack`], [`pagerduty`] | the forms that it takes |
//! | [`delivery`] | requests, tries, and what a refusal means |
//!
//! Each sink has a queue and a task of its own, so that one that is down delays no other. A message is tried until it is taken,
//! refused for good, or too old: it arrives at least once, and every telling of one incident bears the same key. Diagnoses are
//! put into the queues as they end, so that no burst outruns them; where more wait than a queue has room for, they are found
//! again where they are kept.

pub mod config;
mod delivery;
mod message;
mod outbox;
mod pagerduty;
mod slack;
mod template;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use automap_proto::{
    invalid::Invalid,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use backon::{ExponentialBuilder, Retryable as _};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    metrics::{Delivered, SinkMetrics},
    service::claims::is_lost,
};
use config::SinkConfig;
use delivery::Delivery;
use message::Message;
use outbox::{Outbox, Waiting};

/// How long messages may still be tried when the walker ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// Where diagnoses are found again after they ended.
pub(crate) trait Kept: Clone + Send + Sync + 'static {
    /// A diagnosis by its id.
    fn kept(&self, id: &str) -> impl Future<Output = Result<v1::Diagnosis, ServiceError>> + Send;
}

/// The sinks of a walker, and the tasks that deliver to them.
#[derive(Debug)]
pub(crate) struct Sinks {
    post: Post,
    tasks: JoinSet<()>,
}

/// Takes diagnoses for all sinks.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    sinks: Arc<[Sink]>,
    external_url: Option<Arc<str>>,
}

#[derive(Debug, Clone)]
struct Sink {
    name: Arc<str>,
    config: Arc<SinkConfig>,
    outbox: Arc<Outbox>,
    metrics: SinkMetrics,
}

impl Sinks {
    /// Opens the sinks, by their names. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A setting cannot be used, or a file that it names.
    pub(crate) fn open(
        configs: &BTreeMap<String, SinkConfig>,
        external_url: Option<String>,
        kept: &impl Kept,
        metrics: impl Fn(&str) -> SinkMetrics,
    ) -> Result<Self, Invalid> {
        let external_url: Option<Arc<str>> = external_url.map(Into::into);
        let mut tasks = JoinSet::new();
        let mut open = |(name, config): (&String, &SinkConfig)| {
            let delivery = Delivery::new(&format!("walker.sinks.{name}"), config.clone())?;
            let sink = Sink {
                name: name.as_str().into(),
                config: Arc::new(config.clone()),
                outbox: Arc::new(Outbox::new(config.queue)),
                metrics: metrics(name),
            };
            tasks.spawn(carry(sink.clone(), delivery, kept.clone(), external_url.clone()));
            Ok(sink)
        };
        let sinks = configs.iter().map(&mut open).collect::<Result<_, Invalid>>()?;
        Ok(Self { post: Post { sinks, external_url }, tasks })
    }

    /// Where diagnoses for them are handed in.
    pub(crate) fn post(&self) -> Post {
        self.post.clone()
    }

    /// Takes no more diagnoses, and waits a little for the deliveries of those that wait.
    pub(crate) async fn end(mut self) {
        self.post.sinks.iter().for_each(|sink| sink.outbox.close());
        let delivered = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, delivered).await.is_err() {
            tracing::error!("ends with diagnoses that sinks have not taken");
        }
    }
}

impl Post {
    /// Puts a diagnosis that has ended into the queues of the sinks that want it.
    pub(crate) fn hand_in(&self, diagnosis: &v1::Diagnosis) {
        let wanting: Vec<&Sink> = self.sinks.iter().filter(|sink| wants(&sink.config, diagnosis)).collect();
        if wanting.is_empty() {
            return;
        }
        let message = Arc::new(Message::new(diagnosis, self.external_url.as_deref()));
        for sink in wanting {
            sink.metrics.queued();
            if let Err(why) = sink.outbox.put(&message) {
                sink.lose(&message.diagnosis_id, why);
            }
        }
    }
}

impl Sink {
    /// Counts and tells a diagnosis that is not delivered.
    fn lose(&self, diagnosis: &str, why: &str) {
        self.metrics.delivered(Delivered::Dropped);
        self.metrics.unqueued();
        let sink = &*self.name;
        tracing::error!(sink, diagnosis, why, "a diagnosis was not sent to a sink");
    }
}

/// Whether a sink wants a diagnosis.
fn wants(config: &SinkConfig, diagnosis: &v1::Diagnosis) -> bool {
    let ended_well = match diagnosis.state() {
        DiagnosisState::Done => true,
        // One whose walker is gone, or that another walker took over, has not ended.
        DiagnosisState::Failed => config.failures && !is_lost(diagnosis),
        _ => false,
    };
    let of_system = config.systems.is_empty() || config.systems.contains(&diagnosis.system);
    let assessed = diagnosis.assessment.as_ref();
    let names_a_cause = assessed.is_some_and(|found| found.abstention() == v1::Abstention::Unspecified);
    let sure_enough = config.min_confidence <= 0.0
        || diagnosis.state() != DiagnosisState::Done
        || names_a_cause && assessed.is_some_and(|found| found.confidence >= config.min_confidence);
    ended_well && of_system && sure_enough && (!config.only_from_alerts || diagnosis.alerts.is_some())
}

/// Delivers what waits for one sink, one after the other, to the end.
async fn carry(sink: Sink, delivery: Delivery, kept: impl Kept, external_url: Option<Arc<str>>) {
    let name = &*sink.name;
    while let Some(next) = sink.outbox.take().await {
        // Finding it and sending it share the time that it has.
        let until = Instant::now() + Duration::from_secs(60 * sink.config.give_up_minutes);
        let message = match next {
            Waiting::Message(message) => message,
            Waiting::Named(id) => match found_again(&kept, &id, until).await {
                Ok(diagnosis) if wants(&sink.config, &diagnosis) => {
                    Arc::new(Message::new(&diagnosis, external_url.as_deref()))
                }
                // It runs anew, and its next end is told.
                Ok(_) => {
                    sink.metrics.unqueued();
                    continue;
                }
                Err(error) => {
                    sink.lose(&id, error.message());
                    continue;
                }
            },
        };
        let delivered = delivery.deliver(&message, until).await;
        sink.metrics.unqueued();
        match delivered {
            Ok(()) => {
                sink.metrics.delivered(Delivered::Taken);
                tracing::info!(sink = name, diagnosis = message.diagnosis_id, "a diagnosis was delivered");
            }
            Err(fault) => {
                sink.metrics.delivered(Delivered::Refused);
                tracing::error!(sink = name, diagnosis = message.diagnosis_id, %fault, "a sink did not take a diagnosis");
            }
        }
    }
}

/// A diagnosis from where it is kept; while that does not answer it is asked again, until `until`.
async fn found_again(kept: &impl Kept, id: &str, until: Instant) -> Result<v1::Diagnosis, ServiceError> {
    let backoff = ExponentialBuilder::default().without_max_times().with_jitter();
    (|| kept.kept(id))
        .retry(backoff)
        .adjust(move |_, pause| pause.filter(|pause| Instant::now() + *pause < until))
        .when(|error: &ServiceError| {
            matches!(
                error.code(),
                ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Overloaded
            )
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store that answers nothing for a while.
    #[derive(Clone)]
    struct Gone {
        back: Instant,
    }

    impl Kept for Gone {
        async fn kept(&self, id: &str) -> Result<v1::Diagnosis, ServiceError> {
            if Instant::now() < self.back {
                return Err(ServiceError::new(ErrorCode::Unavailable, "it is down"));
            }
            Ok(v1::Diagnosis { diagnosis_id: id.into(), ..v1::Diagnosis::default() })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_diagnosis_is_looked_for_until_its_time_is_over_and_no_longer() {
        let (now, minutes) = (Instant::now(), |count: u64| Duration::from_secs(60 * count));
        let found = found_again(&Gone { back: now + minutes(30) }, "d", now + minutes(60)).await.unwrap();
        assert_eq!(found.diagnosis_id, "d");
        assert!((minutes(30)..minutes(35)).contains(&now.elapsed()), "{:?}", now.elapsed());
        let now = Instant::now();
        let error = found_again(&Gone { back: now + minutes(90) }, "d", now + minutes(60)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        assert!((minutes(50)..minutes(60)).contains(&now.elapsed()), "{:?}", now.elapsed());
    }

    #[test]
    fn a_sink_gets_what_it_asked_for() {
        let diagnosis = message::tests::diagnosis();
        let wanted = |change: &dyn Fn(&mut SinkConfig), diagnosis: &v1::Diagnosis| {
            let mut config = SinkConfig::default();
            change(&mut config);
            wants(&config, diagnosis)
        };
        assert!(wanted(&|_| (), &diagnosis));
        assert!(!wanted(&|config| config.systems = vec!["books".into()], &diagnosis));
        assert!(wanted(&|config| config.systems = vec!["books".into(), "shop".into()], &diagnosis));
        assert!(wanted(&|config| config.min_confidence = 0.8, &diagnosis));
        assert!(!wanted(&|config| config.min_confidence = 0.81, &diagnosis));
        let by_hand = v1::Diagnosis { alerts: None, ..diagnosis.clone() };
        assert!(!wanted(&|_| (), &by_hand));
        assert!(wanted(&|config| config.only_from_alerts = false, &by_hand));
        let failed =
            v1::Diagnosis { state: DiagnosisState::Failed.into(), assessment: None, ..diagnosis.clone() };
        let ended_at = Some(automap_proto::time::UnixMillis(1).to_wire());
        let lost = v1::Diagnosis { ended_at: None, ..failed.clone() };
        let failed = v1::Diagnosis { ended_at, ..failed };
        assert!(!wanted(&|config| config.failures = true, &lost), "another walker has it");
        assert!(!wanted(&|_| (), &failed));
        assert!(wanted(&|config| (config.failures, config.min_confidence) = (true, 0.5), &failed));
        let cancelled = v1::Diagnosis { state: DiagnosisState::Cancelled.into(), ..diagnosis.clone() };
        assert!(!wanted(&|config| config.failures = true, &cancelled));
        let mut abstained = diagnosis;
        if let Some(found) = &mut abstained.assessment {
            found.set_abstention(v1::Abstention::NotUnusual);
        }
        assert!(wanted(&|_| (), &abstained));
        assert!(!wanted(&|config| config.min_confidence = 0.1, &abstained));
    }
}
