//! Metrics files, good and bad, as frames or as sentences.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests state facts; a failed unwrap is a failed test")]

mod bad;
mod bounded;
mod good;
mod order;

use automap_collector::{
    collect::{CollectedFrame, read_frame},
    error::CollectError,
    layout::RecordingDescription,
    limits::FrameLimits,
};
use automap_proto::frame::MetricFrame;

const PLENTY: FrameLimits = FrameLimits::all_within(1 << 30);

fn described(step_ms: Option<u64>) -> RecordingDescription {
    RecordingDescription::new(None, "metrics.csv", step_ms).unwrap()
}

fn collect(csv: impl AsRef<[u8]>) -> Result<CollectedFrame, CollectError> {
    read_frame(csv.as_ref(), &described(None), &PLENTY)
}

fn sentence(csv: impl AsRef<[u8]>) -> String {
    collect(csv).unwrap_err().to_string()
}

fn samples(frame: &MetricFrame, service: &str, name: &str) -> Vec<f64> {
    let index = frame
        .series()
        .iter()
        .position(|key| key.service == service && key.name == name)
        .unwrap_or_else(|| panic!("no {name} of {service}"));
    frame.samples(index).to_vec()
}

/// What two frames must share to be the same, bit for bit.
fn identity(frame: &MetricFrame) -> (String, Vec<u64>) {
    let bits = frame.values().iter().map(|value| value.to_bits()).collect();
    (format!("{:?} {:?}", frame.grid(), frame.series()), bits)
}
