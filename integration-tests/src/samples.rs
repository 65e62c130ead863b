//! Samples that are put into metrics servers before a test: deterministic functions of time.

use std::fmt::Write as _;

/// Unix seconds at which the samples of tests begin; a multiple of every scrape interval that is used.
pub const START: i64 = 1_700_000_400;

/// Samples of many series.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// Series in the notation of PromQL, unix seconds, value.
    samples: Vec<(String, i64, f64)>,
}

impl Samples {
    /// Adds a sample of `series` (`name{label="value"}`) for each of `times` (seconds after [`START`]) at which `value`
    /// answers one.
    pub fn add(
        &mut self,
        series: &str,
        times: impl IntoIterator<Item = i64>,
        value: impl Fn(i64) -> Option<f64>,
    ) -> &mut Self {
        let sampled =
            times.into_iter().filter_map(|time| Some((series.to_owned(), START + time, value(time)?)));
        self.samples.extend(sampled);
        self
    }

    /// A counter that grows by `rate` per second from 0 on, and begins anew at 0 at `reset`.
    pub fn counter(
        &mut self,
        series: &str,
        times: impl IntoIterator<Item = i64>,
        rate: f64,
        reset: Option<i64>,
    ) -> &mut Self {
        self.add(series, times, |time| {
            let since = reset.filter(|reset| time >= *reset).unwrap_or(0);
            Some(rate * (time - since) as f64)
        })
    }

    /// A gauge that stays.
    pub fn gauge(&mut self, series: &str, times: impl IntoIterator<Item = i64>, value: f64) -> &mut Self {
        self.add(series, times, |_| Some(value))
    }

    /// All samples moved by `seconds`.
    #[must_use]
    pub fn moved(mut self, seconds: i64) -> Self {
        for (_, time, _) in &mut self.samples {
            *time += seconds;
        }
        self
    }

    /// As OpenMetrics, which promtool backfills: times in seconds.
    pub fn openmetrics(&self) -> String {
        self.text(|seconds| seconds.to_string(), "# EOF\n")
    }

    /// In the text format of Prometheus, which VictoriaMetrics imports: times in milliseconds.
    pub fn exposition(&self) -> String {
        self.text(|seconds| (seconds * 1000).to_string(), "")
    }

    fn text(&self, time: impl Fn(i64) -> String, end: &str) -> String {
        let mut text = String::new();
        for (series, seconds, value) in &self.samples {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{series} {value} {}", time(*seconds));
        }
        text + end
    }
}
