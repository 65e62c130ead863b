//! What the coordinator knows of one worker.

/// Milliseconds since the coordinator began.
pub type Millis = u64;

/// Rest after a worker's first failure; doubles with each further one in a row.
const FIRST_REST: Millis = 250;
/// Longest rest.
const LONGEST_REST: Millis = 16_000;
/// Weight of the newest shard in what is known of a worker's speed.
const NEWEST: f64 = 0.3;

/// Why a lease ended without an answer to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The worker cannot be reached, or failed: it may come back.
    Unreachable,
    /// The worker is overloaded and says for how long it wants to be left alone.
    Busy(Millis),
    /// The worker answered what cannot be, or runs another version: it is not asked again.
    Untrusted,
}

/// What happened to one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerReport {
    /// Shards whose answer was taken from it.
    pub shards: u64,
    /// Leases that failed because it could not be reached.
    pub failures: u64,
    /// Leases that were taken from it because it did not answer in time.
    pub timeouts: u64,
    /// Times it was overloaded.
    pub refusals: u64,
    /// Whether it answered what cannot be, or runs another version.
    pub is_dismissed: bool,
    /// Whether it is there.
    pub is_present: bool,
}

/// One worker as the coordinator sees it.
#[derive(Debug, Clone)]
pub(super) struct Worker {
    /// Leases it may hold at once.
    pub(super) slots: usize,
    pub(super) leases: usize,
    pub(super) is_local: bool,
    pub(super) report: WorkerReport,
    failures_in_a_row: u32,
    rests_until: Millis,
    /// Cost of a shard that it works off in a millisecond.
    speed: Option<f64>,
}

impl Worker {
    pub(super) fn new(slots: usize, is_local: bool) -> Self {
        Self {
            slots,
            leases: 0,
            is_local,
            report: WorkerReport { is_present: true, ..WorkerReport::default() },
            failures_in_a_row: 0,
            rests_until: 0,
            speed: None,
        }
    }

    /// Whether it may be given a lease, slots aside.
    pub(super) const fn is_usable(&self, now: Millis) -> bool {
        self.report.is_present && !self.report.is_dismissed && self.rests_until <= now
    }

    pub(super) const fn has_free_slot(&self) -> bool {
        self.leases < self.slots
    }

    /// When it may be given a lease again, where that is not now.
    pub(super) fn wakes_at(&self, now: Millis) -> Option<Millis> {
        let rests = self.report.is_present && !self.report.is_dismissed && self.rests_until > now;
        rests.then_some(self.rests_until)
    }

    pub(super) fn answered(&mut self, cost: u64, took: Millis) {
        self.failures_in_a_row = 0;
        self.report.shards += 1;
        let speed = cost as f64 / took.max(1) as f64;
        self.speed = Some(self.speed.map_or(speed, |known| known + NEWEST * (speed - known)));
    }

    pub(super) fn failed(&mut self, fault: Fault, now: Millis) {
        match fault {
            Fault::Unreachable => {
                self.report.failures += 1;
                self.rest(now);
            }
            Fault::Busy(time) => {
                self.report.refusals += 1;
                self.rests_until = now + time.clamp(FIRST_REST, LONGEST_REST);
            }
            Fault::Untrusted => self.report.is_dismissed = true,
        }
    }

    pub(super) fn timed_out(&mut self, now: Millis) {
        self.report.timeouts += 1;
        self.rest(now);
    }

    fn rest(&mut self, now: Millis) {
        let rest = FIRST_REST.saturating_mul(1 << self.failures_in_a_row.min(16)).min(LONGEST_REST);
        self.failures_in_a_row += 1;
        self.rests_until = now + rest;
    }

    /// How long it will take for so much, as far as it is known.
    pub(super) fn expected(&self, cost: u64) -> Option<Millis> {
        self.speed.map(|speed| (cost as f64 / speed.max(1e-9)).min(1e12) as Millis)
    }
}
