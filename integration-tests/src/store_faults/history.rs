//! Which versions of each record were asked for and acknowledged, and when.

use std::collections::BTreeMap;

use rustix::time::{ClockId, clock_gettime};

use super::records::{ABSENT, Record};

/// Nanoseconds of the clock that the shim reads, too.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// One write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// What it would make of the record.
    pub version: u32,
    /// When it was sent.
    pub asked: u64,
    /// When it was acknowledged, if it was.
    pub acknowledged: Option<u64>,
}

/// The writes to each record, in order: one client at a time writes to a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(BTreeMap<Record, Vec<Attempt>>);

/// What a record may be at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// Versions that it may have.
    pub versions: Vec<u32>,
    /// Whether it may not be there at all.
    pub absent: bool,
}

impl History {
    /// Adds a write that is being sent.
    pub fn ask(&mut self, record: &Record, version: u32) {
        let attempt = Attempt { version, asked: now(), acknowledged: None };
        self.0.entry(record.clone()).or_default().push(attempt);
    }

    /// The last write to a record was acknowledged.
    pub fn acknowledge(&mut self, record: &Record) {
        if let Some(last) = self.0.get_mut(record).and_then(|attempts| attempts.last_mut()) {
            last.acknowledged = Some(now());
        }
    }

    /// Takes the records of another history, which must be others.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Acknowledged writes up to a moment.
    pub fn acknowledged(&self, moment: u64) -> usize {
        let all = self.0.values().flatten();
        all.filter(|attempt| attempt.acknowledged.is_some_and(|at| at < moment)).count()
    }

    /// Every record with what it may be at `moment`: the last version that was acknowledged before, or one that was
    /// asked for after that.
    pub fn allowed(&self, moment: u64) -> impl Iterator<Item = (&Record, Allowed)> {
        self.0.iter().map(move |(record, attempts)| {
            let acknowledged =
                attempts.iter().rposition(|attempt| attempt.acknowledged.is_some_and(|at| at < moment));
            let since = attempts[acknowledged.unwrap_or(0)..].iter().filter(|attempt| attempt.asked < moment);
            let versions = since.map(|attempt| attempt.version).collect();
            (record, Allowed { versions, absent: acknowledged.is_none() })
        })
    }

    /// The record's last write, if there was one.
    pub fn last(&self, record: &Record) -> Option<&Attempt> {
        self.0.get(record).and_then(|attempts| attempts.last())
    }

    /// A server that was opened again shows a record in this version, or not at all. What it shows must stay.
    pub fn settle(&mut self, record: &Record, version: Option<u32>) {
        let at = now();
        let attempt = Attempt { version: version.unwrap_or(ABSENT), asked: at, acknowledged: Some(at) };
        self.0.entry(record.clone()).or_default().push(attempt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_was_acknowledged_last_or_asked_for_since() {
        let (record, mut history) = (Record::Diagnosis("d".into()), History::default());
        history.ask(&record, 1);
        let before = now();
        let of = |history: &History, moment| history.allowed(moment).next().map(|(_, allowed)| allowed);
        assert_eq!(of(&history, before), Some(Allowed { versions: vec![1], absent: true }));
        history.acknowledge(&record);
        history.ask(&record, 2);
        history.ask(&record, 3);
        assert_eq!(of(&history, now()), Some(Allowed { versions: vec![1, 2, 3], absent: false }));
        history.acknowledge(&record);
        assert_eq!(of(&history, now()), Some(Allowed { versions: vec![3], absent: false }));
        assert_eq!(of(&history, before), Some(Allowed { versions: vec![1], absent: true }));
        assert_eq!(history.acknowledged(now()), 2);
    }
}
