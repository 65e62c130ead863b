//! How simulated workers behave.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::sharding::worker::Millis;

/// How a simulated worker behaves.
#[derive(Debug, Clone)]
pub(super) struct Nature {
    /// Cost that it works off in a millisecond.
    pub(super) speed: f64,
    /// It is there from then on.
    pub(super) joins: Millis,
    /// It breaks down then.
    pub(super) breaks: Option<(Millis, Breakdown)>,
    /// It answers what cannot be with this probability.
    pub(super) garbage: f64,
    /// It refuses with this probability.
    pub(super) busy: f64,
    pub(super) slots: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Breakdown {
    /// Its calls fail from then on, and it is seen to be gone.
    Dies,
    /// It answers nothing any more.
    Hangs,
    /// It answers nothing until then.
    Pauses(Millis),
    /// It is so many times slower from then on.
    Slows(f64),
    /// It goes and comes back then.
    Restarts(Millis),
}

impl Nature {
    /// The worker of the coordinator itself, which never fails.
    pub(super) const fn local(slots: usize) -> Self {
        Self { speed: 1.0, joins: 0, breaks: None, garbage: 0.0, busy: 0.0, slots }
    }

    /// Any other one.
    pub(super) fn draw(random: &mut ChaCha8Rng) -> Self {
        let at = random.random_range(0..8_000);
        let later = at + random.random_range(1..10_000);
        let breaks = match random.random_range(0..10) {
            0 | 1 => Some((at, Breakdown::Dies)),
            2 => Some((at, Breakdown::Hangs)),
            3 => Some((at, Breakdown::Pauses(later))),
            4 => Some((at, Breakdown::Slows(random.random_range(2.0..50.0)))),
            5 => Some((at, Breakdown::Restarts(later))),
            _ => None,
        };
        Self {
            speed: random.random_range(0.2..4.0),
            joins: if random.random::<f64>() < 0.7 { 0 } else { random.random_range(0..5_000) },
            breaks,
            garbage: if random.random::<f64>() < 0.15 { 0.1 } else { 0.0 },
            busy: if random.random::<f64>() < 0.2 { 0.3 } else { 0.0 },
            slots: random.random_range(1..3),
        }
    }
}
