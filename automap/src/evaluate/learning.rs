//! What confirmed incidents are worth: the same incidents diagnosed with and without a memory of others.
//!
//! Every dataset has a memory of its own, as a deployment has, and the label plays the engineer who confirms. A
//! diagnosis never learns from its own incident: the profiler leaves it out.

use std::{fmt, str::FromStr};

use anyhow::Context as _;
use automap_proto::{
    time::UnixMillis,
    v1::{self, walker_service_client::WalkerServiceClient},
};
use automap_service_kit::client::{self, Channel};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;

use super::{case::Case, contender::Contender, diagnosing::Diagnosing, label::Label, outcome::Outcome};
use crate::{answer::Answer, embedded::Embedded, failure::Failure, walker_client::WalkerClient};

/// Most parts into which a dataset can be divided.
const MAX_FOLDS: usize = 100;

/// From which incidents a diagnosis may learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learning {
    /// From all others of its dataset.
    LeaveOneOut,
    /// From those of the other parts, of so many.
    Folds(usize),
    /// From those that began earlier.
    Rounds,
}

impl fmt::Display for Learning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaveOneOut => formatter.write_str("leave-one-out"),
            Self::Folds(count) => write!(formatter, "folds={count}"),
            Self::Rounds => formatter.write_str("rounds"),
        }
    }
}

/// A text that names no way of learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be leave-one-out, rounds, or folds=K with K from 2 to {MAX_FOLDS}")]
pub struct UnknownLearning;

impl FromStr for Learning {
    type Err = UnknownLearning;

    fn from_str(text: &str) -> Result<Self, UnknownLearning> {
        let folds = |text: &str| text.strip_prefix("folds=")?.parse().ok();
        match text {
            "leave-one-out" => Ok(Self::LeaveOneOut),
            "rounds" => Ok(Self::Rounds),
            _ => folds(text)
                .filter(|count| (2..=MAX_FOLDS).contains(count))
                .map(Self::Folds)
                .ok_or(UnknownLearning),
        }
    }
}

/// Diagnoses the incidents of one dataset with a memory that begins empty; outcomes are in the order of `cases`.
///
/// # Errors
/// A service failed.
pub async fn outcomes(
    contender: &Contender,
    cases: &[Case],
    learning: Learning,
    (seed, jobs): (u64, usize),
    bar: &ProgressBar,
) -> Result<Vec<Outcome>, Failure> {
    let memory = tempfile::tempdir()?;
    let services = Embedded::start(memory.path()).await?;
    let address = &services.addresses().walker;
    let school = School {
        diagnosing: Diagnosing { walker: &WalkerClient::new(address)?, contender, seed },
        confirming: WalkerServiceClient::new(client::channel("server", address)?),
        jobs,
        bar,
    };
    let found = match learning {
        Learning::LeaveOneOut => {
            let known = school.record_all(cases).await?;
            school.teach(cases, &known, |_| true).await?;
            school.examine(cases, (0..cases.len()).collect()).await
        }
        Learning::Folds(count) => school.in_folds(cases, count).await,
        Learning::Rounds => school.in_rounds(cases).await,
    };
    services.stop().await?;
    let mut found = found?;
    found.sort_by_key(|(index, _)| *index);
    Ok(found.into_iter().map(|(_, outcome)| outcome).collect())
}

/// A contender with the services that remember for it.
struct School<'a> {
    diagnosing: Diagnosing<'a>,
    confirming: WalkerServiceClient<Channel>,
    jobs: usize,
    bar: &'a ProgressBar,
}

impl School<'_> {
    /// Has every incident remembered, none confirmed; the answers, `None` for those refused. One after the other: what
    /// is remembered of normal behaviour grows with each.
    async fn record_all(&self, cases: &[Case]) -> Result<Vec<Option<Answer>>, Failure> {
        let mut known: Vec<Option<Answer>> = cases.iter().map(|_| None).collect();
        for index in by_time(cases) {
            (known[index], _) = self.record(&cases[index]).await?;
        }
        Ok(known)
    }

    async fn record(&self, case: &Case) -> Result<(Option<Answer>, Outcome), Failure> {
        let found = self.diagnosing.diagnose(case, true).await?;
        self.bar.inc(1);
        Ok(found)
    }

    /// Diagnoses the incidents at `indices` and has none remembered.
    async fn examine(&self, cases: &[Case], indices: Vec<usize>) -> Result<Vec<(usize, Outcome)>, Failure> {
        let examined = indices.into_iter().map(|index| async move {
            let (_, outcome) = self.diagnosing.diagnose(&cases[index], false).await?;
            self.bar.inc(1);
            Ok((index, outcome))
        });
        // Ordered, so that nothing depends on which diagnosis ended first.
        futures::stream::iter(examined).buffered(self.jobs).try_collect().await
    }

    async fn in_folds(&self, cases: &[Case], count: usize) -> Result<Vec<(usize, Outcome)>, Failure> {
        let known = self.record_all(cases).await?;
        let mut found = Vec::new();
        for fold in 0..count {
            self.teach(cases, &known, |index| index % count != fold).await?;
            let examined = (0..cases.len()).filter(|index| index % count == fold).collect();
            found.extend(self.examine(cases, examined).await?);
        }
        Ok(found)
    }

    async fn in_rounds(&self, cases: &[Case]) -> Result<Vec<(usize, Outcome)>, Failure> {
        let mut found = Vec::new();
        for index in by_time(cases) {
            let case = &cases[index];
            let (answer, outcome) = self.record(case).await?;
            found.push((index, outcome));
            if let Some(answer) = &answer {
                confirm(&self.confirming, answer, &case.label, true).await?;
            }
        }
        Ok(found)
    }

    /// Confirms the recorded incidents that `taught` says and withdraws what was confirmed of the others.
    async fn teach(
        &self,
        cases: &[Case],
        known: &[Option<Answer>],
        taught: impl Fn(usize) -> bool,
    ) -> Result<(), Failure> {
        for (index, (case, answer)) in cases.iter().zip(known).enumerate() {
            if let Some(answer) = answer {
                confirm(&self.confirming, answer, &case.label, taught(index)).await?;
            }
        }
        Ok(())
    }
}

/// Confirms to the walker what `label` says of an incident that it answered, or withdraws it unless `taught`. A root cause that was
/// not ranked cannot be confirmed and teaches nothing.
///
/// # Errors
/// The walker does not take the confirmation.
pub async fn confirm(
    walker: &WalkerServiceClient<Channel>,
    answer: &Answer,
    label: &Label,
    taught: bool,
) -> Result<(), Failure> {
    let ranked = |cause: &&String| answer.ranking.services().iter().any(|one| one.service == **cause);
    let root_causes: Vec<String> =
        label.root_cause_services.iter().filter(|cause| taught && ranked(cause)).cloned().collect();
    let confirmation = v1::Confirmation {
        root_causes,
        metric: label.root_cause_metric.map_or(0, |metric| metric.to_wire().into()),
        ..v1::Confirmation::default()
    };
    let request = v1::WalkerServiceConfirmRootCauseRequest {
        diagnosis_id: answer.wire.diagnosis_id.clone(),
        confirmation: Some(confirmation),
    };
    let answered = walker.clone().confirm_root_cause(request).await;
    answered.context("the walker did not take a confirmation")?;
    Ok(())
}

/// Positions of the incidents by the time of their alert, then as they stand. One that cannot be asked comes first.
pub fn by_time(cases: &[Case]) -> Vec<usize> {
    let start = |index: &usize| -> Option<UnixMillis> {
        cases[*index].request.as_ref().ok().map(|request| request.context().anomaly_start())
    };
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(start);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_of_learning_are_named_as_they_are_read() {
        for learning in [Learning::LeaveOneOut, Learning::Folds(2), Learning::Folds(10), Learning::Rounds] {
            assert_eq!(learning.to_string().parse(), Ok(learning));
        }
        for text in ["", "folds", "folds=1", "folds=101", "folds=x", "all"] {
            assert_eq!(text.parse::<Learning>(), Err(UnknownLearning), "{text}");
        }
    }
}
