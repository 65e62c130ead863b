//! Callers of a walker: one after the other, several at once, or as many a second as one likes.

use std::time::Duration;

use automap_proto::v1::{self, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client::{Channel, ClientConfig, Dialer},
    error::{ErrorCode, ServiceError},
};
use tokio::{task::JoinSet, time::Instant};

/// How calls ended.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// How long each answered one took, shortest first.
    pub answered: Vec<Duration>,
    /// Those that were refused for overload, with a hint when to come back.
    pub refused: usize,
    /// How long each refused one took, shortest first.
    pub refusals: Vec<Duration>,
    /// What the others failed with.
    pub failed: Vec<ServiceError>,
    /// From the first call to the last answer.
    pub took: Duration,
}

impl Calls {
    /// Of the answered ones, how long the one took that stands at this share of them; 0.5 is the median. Zero when none
    /// was answered.
    pub fn latency(&self, share: f64) -> Duration {
        at(&self.answered, share)
    }

    /// The same of the refused ones.
    pub fn refusal(&self, share: f64) -> Duration {
        at(&self.refusals, share)
    }

    /// Answered calls a second.
    pub fn rate(&self) -> f64 {
        self.answered.len() as f64 / self.took.as_secs_f64()
    }

    fn of(ended: Vec<(Duration, Result<(), ServiceError>)>, took: Duration) -> Self {
        let mut calls = Self { took, ..Self::default() };
        for (time, outcome) in ended {
            match outcome {
                Ok(()) => calls.answered.push(time),
                Err(error) if error.code() == ErrorCode::Overloaded && error.retry_delay().is_some() => {
                    calls.refused += 1;
                    calls.refusals.push(time);
                }
                Err(error) => calls.failed.push(error),
            }
        }
        calls.answered.sort_unstable();
        calls.refusals.sort_unstable();
        calls
    }
}

fn at(sorted: &[Duration], share: f64) -> Duration {
    let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// Calls one walker. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Caller {
    client: WalkerServiceClient<Channel>,
    request: v1::DiagnoseRequest,
}

impl Caller {
    /// Diagnoses `recording`, below the collector's recordings root, with the walker at `address`. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// The address cannot be parsed.
    pub fn new(address: &str, recording: &str) -> anyhow::Result<Self> {
        // One attempt: what is refused must be seen.
        let config = ClientConfig { attempts: 1, ..ClientConfig::default() };
        let channel = Dialer::new("client", &config, &[address])?.channel("address", address)?;
        let source = v1::metric_source::Source::Recording(recording.into());
        let request = v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(source) }),
            ..v1::DiagnoseRequest::default()
        };
        Ok(Self { client: WalkerServiceClient::new(channel), request })
    }

    /// One call, to its end.
    ///
    /// # Errors
    /// That of the call.
    pub async fn call(&self) -> Result<(), ServiceError> {
        let mut client = self.client.clone();
        let mut answers = client.diagnose(self.request.clone()).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    }

    async fn timed(&self) -> (Duration, Result<(), ServiceError>) {
        let began = Instant::now();
        let outcome = self.call().await;
        (began.elapsed(), outcome)
    }

    /// Calls for so long, and a few times at least, `at_once` at once: each next call begins when one has ended.
    pub async fn keep_calling(&self, at_once: usize, time: Duration) -> Calls {
        const FEWEST: usize = 6;
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for _ in 0..at_once {
            let caller = self.clone();
            callers.spawn(async move {
                let mut ended = Vec::new();
                while began.elapsed() < time || ended.len() < FEWEST {
                    ended.push(caller.timed().await);
                }
                ended
            });
        }
        let ended = callers.join_all().await.concat();
        Calls::of(ended, began.elapsed())
    }

    /// Calls for so long, so many times a second whether or not answers come.
    pub async fn call_at_rate(&self, a_second: f64, time: Duration) -> Calls {
        let began = Instant::now();
        let mut callers = JoinSet::new();
        let mut clock = tokio::time::interval(Duration::from_secs_f64(1.0 / a_second));
        while began.elapsed() < time {
            clock.tick().await;
            let caller = self.clone();
            callers.spawn(async move { caller.timed().await });
        }
        let ended = callers.join_all().await;
        Calls::of(ended, began.elapsed())
    }
}
