//! Progress on standard error, where a person watches and wants neither quiet nor log lines.

use std::time::Duration;

use automap_proto::v1;
use indicatif::{ProgressBar, ProgressStyle};

use crate::verbosity::Verbosity;

/// A line that says what is being done; hidden when standard error is no terminal.
#[derive(Debug)]
pub struct Spinner(ProgressBar);

impl Spinner {
    /// Begins with `text`.
    pub fn new(text: &str) -> Self {
        if Verbosity::chosen() != Verbosity::Normal {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows what a diagnosis is at.
    pub fn show(&self, progress: &v1::DiagnosisProgress) {
        self.0.set_message(progress.detail.clone());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A bar that counts `total` of `what`, with the time left; hidden when standard error is no terminal.
pub fn counting_bar(total: usize, what: &'static str) -> ProgressBar {
    if Verbosity::chosen() != Verbosity::Normal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

/// A bar over `seconds` of planned waiting; hidden when standard error is no terminal.
pub fn planned_bar(seconds: u64) -> ProgressBar {
    if Verbosity::chosen() != Verbosity::Normal {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(seconds);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}
