//! Leases that take too long: which are taken from their workers, and which shards are given to a second one.

use std::collections::BTreeSet;

use super::{Coordinator, Lease, LeaseId, Shard, ShardId, WorkerId};
use crate::sharding::worker::{Millis, Worker};

/// A lease is overdue, and its shard may be given to a second worker, after so many times what the fastest worker would
/// take and at least so long.
const OVERDUE: (u64, Millis) = (2, 500);
/// A lease is taken from its worker, which then rests, after so many times what this worker was seen to take and at least
/// so long.
const LOST: (u64, Millis) = (10, 5_000);
/// Workers that may hold the same shard at once, beside the one of this process.
const MOST_LEASES: usize = 3;
/// Milliseconds that a shard is expected to take before any was answered.
const FIRST_GUESS: Millis = 1_000;

impl Coordinator {
    pub(super) fn take_from_the_lost(&mut self, now: Millis) {
        let is_lost = |lease: &Lease| {
            let is_local = self.workers.get(&lease.worker).is_none_or(|worker| worker.is_local);
            !is_local && now >= self.lost_at(lease)
        };
        let lost: Vec<(LeaseId, WorkerId)> = self
            .leases
            .iter()
            .filter(|(_, lease)| is_lost(lease))
            .map(|(id, lease)| (*id, lease.worker))
            .collect();
        let workers: BTreeSet<WorkerId> = lost.iter().map(|(_, worker)| *worker).collect();
        for (lease, _) in lost {
            self.cancelled.push(lease);
            self.release(lease);
        }
        for id in workers {
            if let Some(worker) = self.workers.get_mut(&id) {
                worker.timed_out(now);
            }
        }
    }

    pub(super) fn overdue_at(&self, lease: &Lease) -> Millis {
        let cost = self.cost(lease);
        self.after(lease, self.workers.values().filter_map(|worker| worker.expected(cost)).min(), OVERDUE)
    }

    pub(super) fn lost_at(&self, lease: &Lease) -> Millis {
        let cost = self.cost(lease);
        let own = self.workers.get(&lease.worker).and_then(|worker| worker.expected(cost));
        let slowest = || self.workers.values().filter_map(|worker| worker.expected(cost)).max();
        self.after(lease, own.or_else(slowest), LOST)
    }

    fn cost(&self, lease: &Lease) -> u64 {
        self.shards.get(&lease.shard).map_or(1, |shard| shard.cost)
    }

    fn after(&self, lease: &Lease, expected: Option<Millis>, (times, least): (u64, Millis)) -> Millis {
        // A worker works on all that it holds.
        let together = self.workers.get(&lease.worker).map_or(1, |worker| worker.leases.max(1) as u64);
        let expected = expected.unwrap_or(FIRST_GUESS).saturating_mul(together);
        lease.since.saturating_add(expected.saturating_mul(times).max(least))
    }

    /// The shard that is overdue for longest with all its workers, and a worker that holds nothing; where there is no other,
    /// that of this process, whether it otherwise helps or not.
    pub(super) fn hedge(&self, now: Millis) -> Option<(ShardId, WorkerId)> {
        let newest = |shard: &Shard| {
            shard.leases.iter().filter_map(|id| self.leases.get(id)).max_by_key(|lease| lease.since)
        };
        let mut overdue: Vec<(Millis, ShardId)> = self
            .shards
            .iter()
            .filter_map(|(id, shard)| Some((newest(shard)?, *id)))
            .filter(|(lease, _)| now >= self.overdue_at(lease))
            .map(|(lease, id)| (lease.since, id))
            .collect();
        overdue.sort_unstable();
        overdue.into_iter().find_map(|(_, shard)| {
            let leases = &self.shards.get(&shard)?.leases;
            let is_idle = |worker: WorkerId| {
                let holds =
                    leases.iter().any(|id| self.leases.get(id).is_some_and(|lease| lease.worker == worker));
                !holds && self.workers.get(&worker).is_some_and(|worker| worker.leases == 0)
            };
            let another = (leases.len() < MOST_LEASES).then(|| self.next_worker(now, is_idle)).flatten();
            let worker = another.or_else(|| {
                let local = |(id, worker): &(&WorkerId, &Worker)| worker.is_local && is_idle(**id);
                self.workers.iter().find(local).map(|(id, _)| *id)
            });
            Some((shard, worker?))
        })
    }
}
