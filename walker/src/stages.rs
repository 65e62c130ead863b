//! How long each stage of a diagnosis took.

use std::time::{Duration, Instant};

use automap_proto::v1;

/// A stopwatch that is read at the end of each stage.
#[derive(Debug)]
pub(crate) struct Stages {
    began: Instant,
    ended: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// Starts the first stage.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), ended: Vec::new() }
    }

    /// Ends the running stage and starts the next.
    pub(crate) fn end(&mut self, stage: &'static str) {
        let now = Instant::now();
        self.ended.push((stage, now - self.began));
        self.began = now;
    }

    /// The times as the wire has them.
    pub(crate) fn into_wire(self) -> Vec<v1::StageTime> {
        let to_wire = |(stage, took): (&str, Duration)| v1::StageTime {
            stage: stage.into(),
            duration: prost_types::Duration::try_from(took).ok(),
        };
        self.ended.into_iter().map(to_wire).collect()
    }
}
