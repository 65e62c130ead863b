//! How a testbed is set up.

use std::{path::PathBuf, time::Duration};

use super::Error;
use crate::load::Traffic;

/// How a testbed is set up; [`Options::in_directory`] has the usual values.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where logs, data and samples lie.
    pub directory: PathBuf,
    /// The command `pymicro`. None: beside the running command, else the first one on `PATH`.
    pub binary: Option<PathBuf>,
    /// How often Prometheus asks every service, in whole milliseconds.
    pub scrape_interval: Duration,
    /// Requests to the front end.
    pub traffic: Traffic,
    /// Seed of the network's jitter and losses.
    pub seed: u64,
    /// After so long without signs of life ZooKeeper forgets a service; from 1 s to 10 s.
    pub session_timeout: Duration,
    /// How long it may take until everything is ready, and until it is well again after a fault.
    pub patience: Duration,
}

impl Options {
    /// A scrape every 5 s, 20 requests per second, 60 s of patience.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            binary: None,
            scrape_interval: Duration::from_secs(5),
            traffic: Traffic::default(),
            seed: 0,
            session_timeout: Duration::from_secs(4),
            patience: Duration::from_secs(60),
        }
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        let invalid = |what: &str| Err(Error::Invalid(what.to_owned()));
        self.traffic.validate().map_err(Error::Invalid)?;
        if self.scrape_interval < Duration::from_millis(100) {
            return invalid("the scrape interval is too short: give at least 100 ms");
        }
        if !(1..=10).contains(&self.session_timeout.as_secs()) {
            return invalid("the session timeout must be from 1 s to 10 s");
        }
        if self.patience < Duration::from_secs(1) {
            return invalid("the patience is too short: give at least 1 s");
        }
        Ok(())
    }
}
