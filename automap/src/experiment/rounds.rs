//! The rounds of an experiment: normal behaviour, fault, healing, recording, diagnoses.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, path::PathBuf, time::Duration};

use anyhow::Context as _;
use automap_proto::{metric::MetricKind, time::UnixMillis};
use automap_pymicro::fault::Fault;
use futures::FutureExt as _;

use super::{
    answering::Answering,
    driver::Driver,
    pacing::{Interrupted, Pacing},
    recording::{Application, Window, record},
    schedule::Choice,
    state::{ExperimentDirectory, Round, round_name},
};
use crate::{evaluate::label::Label, failure::Failure};

/// An experiment that is being run.
#[derive(Debug)]
pub struct Experiment {
    /// Its state and files.
    pub directory: ExperimentDirectory,
    /// What is done, round by round.
    pub rounds: Vec<Choice<Fault>>,
    /// The application.
    pub application: Application,
    /// Who diagnoses.
    pub answering: Answering,
    /// How long it takes.
    pub pacing: Pacing,
    /// Whether a fault was injected, so that there may be one to remove.
    pub harmed: bool,
}

impl Experiment {
    /// Runs the rounds that are not done yet with `driver`, and has it remove its faults and stop, however that ends: by an error, a
    /// signal or a panic. What a kill leaves behind is removed when the experiment goes on.
    ///
    /// # Errors
    /// The application, a service or a file failed, or the process was asked to end.
    pub async fn run(mut self, driver: &mut impl Driver) -> Result<(), Failure> {
        let ended = AssertUnwindSafe(self.all_rounds(driver)).catch_unwind().await;
        self.pacing.show("removing faults");
        let healed = if self.harmed { driver.heal().await } else { Ok(()) };
        let stopped = driver.stop().await;
        let answering = self.answering.stop().await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (ended, healed) {
            (Err(first), Err(left)) => Err(left.context(format!("after {first}")).into()),
            (ended, healed) => {
                healed?;
                ended?;
                stopped?;
                Ok(answering?)
            }
        }
    }

    async fn all_rounds(&mut self, driver: &mut impl Driver) -> Result<(), Failure> {
        self.pacing.show("preparing the application");
        tokio::select! {
            prepared = driver.prepare() => prepared?,
            // What was started by then dies with its place in the driver.
            () = self.pacing.stopped() => return Err(Interrupted.into()),
        }
        for index in 0..self.rounds.len() {
            self.pacing.check()?;
            if self.directory.state.rounds.len() == index {
                let round = self.harm(index, driver).await?;
                self.directory.state.rounds.push(round);
                self.directory.save()?;
                self.diagnose(index).await?;
                driver.verify_healed(Some(&self.rounds[index].service)).await?;
                let recovery = self.directory.state.plan.times.recovery.0;
                self.wait(index, recovery, "recovering").await?;
            } else if self.directory.state.rounds[index].outcomes.is_empty() {
                // Recorded, and interrupted before everybody had answered.
                self.diagnose(index).await?;
            }
        }
        Ok(())
    }

    /// Injects the fault of a round and records the incident.
    async fn harm(&mut self, index: usize, driver: &mut impl Driver) -> Result<Round, Failure> {
        let Choice { service, fault } = self.rounds[index].clone();
        let plan = self.directory.state.plan.clone();
        let number = index + 1;
        let normal_start = now();
        self.wait(index, plan.times.normal.0, "normal behaviour").await?;
        let anomaly_start = now();
        self.pacing.show(&format!("{}: injecting", self.title(index)));
        self.harmed = true;
        driver.inject(number, &service, &fault).await?;
        self.wait(index, plan.times.fault.0, "fault").await?;
        let anomaly_end = now();
        self.pacing.show(&format!("{}: healing", self.title(index)));
        driver.heal().await?;
        self.wait(index, plan.metrics.lag.0, "collecting").await?;
        let metric: MetricKind = fault.metric().parse().context("a fault of a metric type")?;
        let label = Label {
            root_cause_services: vec![service.clone()],
            root_cause_metric: Some(metric),
            fault_type: Some(fault.name().into()),
        };
        let place = self.incident(number);
        if place.exists() {
            // Left by a run that was killed before it had written its state.
            std::fs::remove_dir_all(&place)?;
        }
        let window = Window { normal_start, anomaly_start, anomaly_end };
        let source = driver.source().context("the application was not prepared")?;
        let warnings = record(source, &self.application, window, &label, &place).await?;
        Ok(Round {
            number,
            service,
            fault: fault.name().into(),
            metric,
            normal_start: normal_start.seconds(),
            anomaly_start: anomaly_start.seconds(),
            anomaly_end: anomaly_end.seconds(),
            warnings,
            outcomes: BTreeMap::new(),
        })
    }

    async fn diagnose(&mut self, index: usize) -> Result<(), Failure> {
        let number = index + 1;
        self.pacing.show(&format!("{}: diagnosing", self.title(index)));
        let name = round_name(number);
        let id = format!("{}/{name}", self.application.system);
        let outcomes =
            self.answering.answer(&id, &self.incident(number), &self.directory.answers(&name)).await?;
        let told: Vec<String> = outcomes
            .iter()
            .map(|(contender, outcome)| {
                let first = match outcome.first.len() {
                    0 => "no answer".into(),
                    1..=3 => outcome.first.join(" and "),
                    _ => "all alike".into(),
                };
                format!("{contender}: {first}")
            })
            .collect();
        self.directory.state.rounds[index].outcomes = outcomes;
        self.directory.save()?;
        self.pacing.note(&format!("{}: ranked first by {}", self.title(index), told.join("; ")));
        Ok(())
    }

    async fn wait(&mut self, index: usize, span: Duration, what: &str) -> Result<(), Interrupted> {
        let title = self.title(index);
        self.pacing.wait(span, &format!("{title}: {what}")).await
    }

    fn title(&self, index: usize) -> String {
        let Choice { service, fault } = &self.rounds[index];
        format!("round {} of {}, {} on {service}", index + 1, self.rounds.len(), fault.name())
    }

    fn incident(&self, number: usize) -> PathBuf {
        self.directory.path().join(&self.application.system).join(round_name(number))
    }
}

fn now() -> UnixMillis {
    UnixMillis(jiff::Timestamp::now().as_millisecond())
}

impl From<Interrupted> for Failure {
    fn from(_: Interrupted) -> Self {
        Self::Failed(anyhow::anyhow!(
            "interrupted; faults were removed, and the same command goes on where this one was"
        ))
    }
}
