//! Finished diagnoses on their way out, to any number of sinks.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | what is sent where |
//! | [`message`] | what sinks are told of a diagnosis |
//! | [`template`], [`slack`], [`pagerduty`] | the forms that it takes |
//! | [`delivery`] | requests, tries, and what a refusal means |
//!
//! Each sink has a queue and a task of its own, so that one that is down delays no other. A message is tried until it is taken,
//! refused for good, or too old: it arrives at least once, and every telling of one incident bears the same key.

pub mod config;
mod delivery;
mod message;
mod pagerduty;
mod slack;
mod template;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use automap_proto::{
    invalid::Invalid,
    v1::{self, DiagnosisState},
};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        mpsc,
    },
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::metrics::{Delivered, SinkMetrics};
use config::SinkConfig;
use delivery::Delivery;
use message::Message;

/// How long messages may still be tried when the walker ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// The sinks of a walker.
#[derive(Debug)]
pub(crate) struct Sinks {
    sinks: Vec<Sink>,
    external_url: Option<String>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Sink {
    name: String,
    config: SinkConfig,
    queue: mpsc::Sender<Arc<Message>>,
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
        metrics: impl Fn(&str) -> SinkMetrics,
    ) -> Result<Self, Invalid> {
        let mut tasks = JoinSet::new();
        let mut open = |(name, config): (&String, &SinkConfig)| {
            let delivery = Delivery::new(&format!("walker.sinks.{name}"), config.clone())?;
            let (queue, messages) = mpsc::channel(config.queue);
            let metrics = metrics(name);
            tasks.spawn(carry(name.clone(), delivery, messages, metrics.clone()));
            Ok(Sink { name: name.clone(), config: config.clone(), queue, metrics })
        };
        let sinks = configs.iter().map(&mut open).collect::<Result<_, Invalid>>()?;
        Ok(Self { sinks, external_url, tasks })
    }

    /// Sends every diagnosis of `finished` to the sinks that want it. At the `end` it sends those that are left, and waits a
    /// little for their deliveries.
    pub(crate) async fn send_all(
        mut self,
        mut finished: broadcast::Receiver<Arc<v1::Diagnosis>>,
        end: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                next = finished.recv() => next,
                () = end.cancelled() => break,
            };
            match next {
                Ok(diagnosis) => self.send(&diagnosis),
                Err(RecvError::Lagged(missed)) => {
                    tracing::error!(missed, "diagnoses ended faster than they could be sent to sinks");
                    self.sinks.iter().for_each(|sink| sink.metrics.delivered(Delivered::Dropped));
                }
                Err(RecvError::Closed) => break,
            }
        }
        // Without senders a queue ends when it is empty.
        self.sinks.clear();
        let delivered = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, delivered).await.is_err() {
            tracing::error!("ends with diagnoses that sinks have not taken");
        }
    }

    fn send(&self, diagnosis: &v1::Diagnosis) {
        let wanting: Vec<&Sink> = self.sinks.iter().filter(|sink| wants(&sink.config, diagnosis)).collect();
        if wanting.is_empty() {
            return;
        }
        let message = Arc::new(Message::new(diagnosis, self.external_url.as_deref()));
        for sink in wanting {
            sink.metrics.queued();
            if sink.queue.try_send(Arc::clone(&message)).is_err() {
                sink.metrics.delivered(Delivered::Dropped);
                sink.metrics.unqueued();
                tracing::error!(
                    sink = sink.name,
                    diagnosis = diagnosis.diagnosis_id,
                    "a sink has too many messages to deliver; this one is dropped"
                );
            }
        }
    }
}

/// Whether a sink wants a diagnosis.
fn wants(config: &SinkConfig, diagnosis: &v1::Diagnosis) -> bool {
    let ended_well = match diagnosis.state() {
        DiagnosisState::Done => true,
        DiagnosisState::Failed => config.failures,
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

/// Delivers the messages of one sink, one after the other.
async fn carry(
    name: String,
    delivery: Delivery,
    mut messages: mpsc::Receiver<Arc<Message>>,
    metrics: SinkMetrics,
) {
    while let Some(message) = messages.recv().await {
        let delivered = delivery.deliver(&message).await;
        metrics.unqueued();
        match delivered {
            Ok(()) => {
                metrics.delivered(Delivered::Taken);
                tracing::info!(sink = name, diagnosis = message.diagnosis_id, "a diagnosis was delivered");
            }
            Err(fault) => {
                metrics.delivered(Delivered::Refused);
                tracing::error!(sink = name, diagnosis = message.diagnosis_id, %fault, "a sink did not take a diagnosis");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
