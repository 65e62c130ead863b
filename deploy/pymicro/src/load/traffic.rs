//! When requests come: a day's swing that is compressed in time, noise from minute to minute, and chance.

use std::{f64::consts::TAU, time::Duration};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Traffic of users.
///
/// The rate at a time is `requests_per_second · (1 + swing · day) · (1 + noise · n)`, at least a tenth of
/// `requests_per_second`. `day` is a wave with a second one of twice its frequency, as the traffic of a day has two peaks; `n` is
/// a stationary autoregressive process with variance 1 that forgets within about 10 s. Requests come by chance (a Poisson
/// process of that rate).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// Mean rate.
    pub requests_per_second: f64,
    /// How far the day swings, from 0 to 1.
    pub swing: f64,
    /// How long a day lasts.
    pub day: Duration,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// Seed of noise and chance.
    pub seed: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { requests_per_second: 20.0, swing: 0.4, day: Duration::from_secs(300), noise: 0.1, seed: 0 }
    }
}

/// What the noise keeps from one second to the next.
const MEMORY: f64 = 0.9;

impl Traffic {
    /// Whether it can be: what is wrong, otherwise.
    ///
    /// # Errors
    /// A number is not finite or not in its range; the message names it.
    pub fn validate(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            if value >= low && value <= high {
                Ok(())
            } else {
                Err(format!("{name} is {value}: give a number from {low} to {high}"))
            }
        };
        within("requests per second", self.requests_per_second, 0.1, 10_000.0)?;
        within("swing", self.swing, 0.0, 1.0)?;
        within("noise", self.noise, 0.0, 1.0)?;
        within("seconds of a day", self.day.as_secs_f64(), 1.0, 86_400.0)
    }

    /// The times at which requests come, since the begin, without end.
    pub(crate) fn arrivals(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        Arrivals {
            traffic: *self,
            chance: ChaCha8Rng::seed_from_u64(self.seed),
            second: 0,
            noise: 0.0,
            time: 0.0,
        }
    }

    /// The rate at `time` seconds with a noise of `noise` standard deviations.
    fn rate(&self, time: f64, noise: f64) -> f64 {
        let turn = TAU * time / self.day.as_secs_f64();
        let day = (turn.sin() + 0.5 * (2.0 * turn + 1.0).sin()) / 1.5;
        let rate = (1.0 + self.swing * day) * (1.0 + self.noise * noise);
        self.requests_per_second * rate.max(0.1)
    }
}

#[derive(Debug)]
struct Arrivals {
    traffic: Traffic,
    chance: ChaCha8Rng,
    /// The second for which `noise` was drawn.
    second: u64,
    noise: f64,
    time: f64,
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // The rate changes slowly against the time between two requests.
        let rate = self.traffic.rate(self.time, self.noise);
        let draw: f64 = self.chance.random();
        self.time += -(1.0 - draw).ln() / rate;
        while (self.second as f64) < self.time.floor() {
            self.second += 1;
            // Uniform on ±√3: variance 1.
            let shock = (2.0 * self.chance.random::<f64>() - 1.0) * 3_f64.sqrt();
            self.noise = MEMORY * self.noise + (1.0 - MEMORY * MEMORY).sqrt() * shock;
        }
        Some(Duration::from_secs_f64(self.time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(traffic: &Traffic, seconds: usize) -> Vec<f64> {
        let mut counts = vec![0.0; seconds];
        for arrival in traffic.arrivals() {
            match counts.get_mut(arrival.as_secs() as usize) {
                Some(count) => *count += 1.0,
                None => return counts,
            }
        }
        unreachable!("arrivals have no end")
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_and_another_gives_others() {
        let traffic = Traffic::default();
        let first: Vec<_> = traffic.arrivals().take(500).collect();
        assert_eq!(first, traffic.arrivals().take(500).collect::<Vec<_>>());
        assert_ne!(first, Traffic { seed: 1, ..traffic }.arrivals().take(500).collect::<Vec<_>>());
        assert!(first.is_sorted());
    }

    #[test]
    fn the_mean_rate_is_as_asked_and_the_day_is_seen() {
        let traffic = Traffic { requests_per_second: 50.0, ..Traffic::default() };
        let counts = counts(&traffic, 3000);
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        assert!((mean / 50.0 - 1.0).abs() < 0.05, "{mean}");
        // Ten days: the busiest minute of the mean day against its quietest.
        let minute =
            |m: usize| -> f64 { (0..10).flat_map(|day| &counts[day * 300 + m * 60..][..60]).sum::<f64>() };
        let minutes: Vec<f64> = (0..5).map(minute).collect();
        let (low, high) = minutes.iter().fold((f64::MAX, 0_f64), |(l, h), &m| (l.min(m), h.max(m)));
        assert!(high / low > 1.3, "{minutes:?}");
    }

    #[test]
    fn senseless_traffic_is_refused_by_name() {
        let named = |traffic: Traffic| traffic.validate().unwrap_err();
        let usual = Traffic::default();
        usual.validate().unwrap();
        assert!(named(Traffic { requests_per_second: f64::NAN, ..usual }).contains("requests"));
        assert!(named(Traffic { swing: 1.1, ..usual }).contains("swing"));
        assert!(named(Traffic { day: Duration::ZERO, ..usual }).contains("day"));
    }
}
