//! What an experiment has done so far, kept so that it goes on where it was interrupted.

use std::{
    collections::BTreeMap,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use automap_proto::metric::MetricKind;
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use crate::{evaluate::outcome::Outcome, failure::Failure, output_file::OutputFile};

const STATE_FILE: &str = "experiment.json";
const LOCK_FILE: &str = ".lock";
const FORMAT: &str = "automap-experiment";
const FORMAT_VERSION: u32 = 1;

/// Where the application runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum DriverKind {
    /// Processes of this machine.
    #[default]
    Local,
    /// Pods of a cluster, harmed by Chaos Mesh.
    Kubernetes,
}

/// One round whose incident is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// From 1.
    pub number: usize,
    /// The service that was harmed.
    pub service: String,
    /// What was done to it.
    pub fault: String,
    /// The metric type at fault.
    pub metric: MetricKind,
    /// When its normal behaviour begins, unix seconds.
    pub normal_start: f64,
    /// When the fault was injected.
    pub anomaly_start: f64,
    /// When it was removed.
    pub anomaly_end: f64,
    /// What a person should know about its metrics.
    pub warnings: Vec<String>,
    /// What each contender made of it; empty until all have answered.
    pub outcomes: BTreeMap<String, Outcome>,
}

impl Round {
    /// Name of its directories: `round-07`.
    pub fn name(&self) -> String {
        round_name(self.number)
    }
}

/// Name of the directories of a round.
pub fn round_name(number: usize) -> String {
    format!("round-{number:02}")
}

/// All that is known of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    format: String,
    format_version: u32,
    /// Where the application ran.
    pub driver: DriverKind,
    /// The plan.
    pub plan: Plan,
    /// Rounds that were recorded, in order.
    pub rounds: Vec<Round>,
}

impl State {
    /// Reads the state of the experiment in `directory`.
    ///
    /// # Errors
    /// There is none, or it is none of this version of the command.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        let file = directory.join(STATE_FILE);
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::Usage(format!(
                "{}: holds no experiment ({error}); run one with `automap experiment run --out {0}`",
                directory.display()
            ))
        })?;
        let state: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is no experiment", file.display()))?;
        ensure_format(&state).with_context(|| format!("{} cannot be read", file.display()))?;
        Ok(state)
    }
}

fn ensure_format(state: &State) -> anyhow::Result<()> {
    ensure!(
        state.format == FORMAT && state.format_version == FORMAT_VERSION,
        "it has format {} {}, this command knows {FORMAT} {FORMAT_VERSION}",
        state.format,
        state.format_version
    );
    Ok(())
}

/// The directory of a running experiment; no other process writes to it meanwhile.
#[derive(Debug)]
pub struct ExperimentDirectory {
    path: PathBuf,
    /// What is written there.
    pub state: State,
    _lock: File,
}

impl ExperimentDirectory {
    /// Opens the experiment in `path`, or begins one.
    ///
    /// # Errors
    /// The directory cannot be written, another process runs the experiment, or it has another plan.
    pub fn open(path: &Path, plan: &Plan, driver: DriverKind) -> Result<Self, Failure> {
        std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let place = path.join(LOCK_FILE);
        let lock = File::create(&place).with_context(|| format!("cannot write {}", place.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Usage(format!(
                    "--out {}: another process runs this experiment",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if path.join(STATE_FILE).exists() {
            let state = State::read(path)?;
            if &state.plan != plan || state.driver != driver {
                return Err(Failure::Usage(format!(
                    "--out {}: holds an experiment with another plan; go on with that plan, or name another directory",
                    path.display()
                )));
            }
            return Ok(Self { path: path.into(), state, _lock: lock });
        }
        let state = State {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            driver,
            plan: plan.clone(),
            rounds: Vec::new(),
        };
        let directory = Self { path: path.into(), state, _lock: lock };
        directory.save()?;
        Ok(directory)
    }

    /// Writes the state: the old one or the new one is there, whole, whenever the process ends.
    ///
    /// # Errors
    /// The disk is full or the directory is gone.
    pub fn save(&self) -> Result<(), Failure> {
        let file = OutputFile::prepare("--out", &self.path.join(STATE_FILE))?;
        let text = serde_json::to_string_pretty(&self.state).map_err(anyhow::Error::new)?;
        file.finish(&(text + "\n"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where memories of methods that learn are.
    pub fn memory(&self, contender: &str) -> PathBuf {
        self.path.join("memory").join(contender.replace(", ", "-"))
    }

    /// Where the answers to a round are.
    pub fn answers(&self, round: &str) -> PathBuf {
        self.path.join("answers").join(round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: usize) -> Round {
        Round {
            number,
            service: "b2".into(),
            fault: "cpu-stress".into(),
            metric: MetricKind::Cpu,
            normal_start: 1.5,
            anomaly_start: 91.5,
            anomaly_end: 136.25,
            warnings: vec!["late".into()],
            outcomes: BTreeMap::from([("evidence".into(), Outcome { seconds: 0.25, ..Outcome::default() })]),
        }
    }

    #[test]
    fn an_experiment_goes_on_where_it_was_and_nobody_else_may_run_it() {
        let home = tempfile::tempdir().unwrap();
        let out = home.path().join("run");
        let plan = Plan::parse("rounds = 3").unwrap();
        let mut first = ExperimentDirectory::open(&out, &plan, DriverKind::Local).unwrap();
        let error = ExperimentDirectory::open(&out, &plan, DriverKind::Local).unwrap_err();
        assert!(error.to_string().contains("another process runs"), "{error}");
        first.state.rounds.push(round(1));
        first.save().unwrap();
        let known = first.state.clone();
        drop(first);
        let again = ExperimentDirectory::open(&out, &plan, DriverKind::Local).unwrap();
        assert_eq!(again.state, known);
        assert_eq!(again.state.rounds[0].name(), "round-01");
    }

    #[test]
    fn another_plan_or_driver_is_another_experiment() {
        let home = tempfile::tempdir().unwrap();
        let plan = Plan::parse("rounds = 3").unwrap();
        drop(ExperimentDirectory::open(home.path(), &plan, DriverKind::Local).unwrap());
        let other = Plan::parse("rounds = 4").unwrap();
        for (plan, driver) in [(&other, DriverKind::Local), (&plan, DriverKind::Kubernetes)] {
            let error = ExperimentDirectory::open(home.path(), plan, driver).unwrap_err();
            assert!(error.to_string().contains("another plan"), "{error}");
        }
    }

    #[test]
    fn what_is_no_experiment_is_told_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let error = State::read(home.path()).unwrap_err().to_string();
        assert!(error.contains("automap experiment run"), "{error}");
        std::fs::write(home.path().join(STATE_FILE), "{}").unwrap();
        assert!(State::read(home.path()).unwrap_err().to_string().contains("is no experiment"));
    }
}
