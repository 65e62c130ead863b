//! The decisions: which shard goes to which worker, when one is given to a second, and whose answer counts.

mod lateness;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::worker::{Fault, Millis, Worker, WorkerReport};

/// Names a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// Names a shard, in the order in which shards were submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u64);

/// Names one worker's work on one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Have `worker` test `shard`.
    Start {
        /// The name of this work.
        lease: LeaseId,
        /// Who.
        worker: WorkerId,
        /// What.
        shard: ShardId,
    },
    /// Nobody wants the answer of this lease any more.
    Cancel {
        /// Which.
        lease: LeaseId,
    },
}

#[derive(Debug)]
struct Shard {
    cost: u64,
    leases: BTreeSet<LeaseId>,
}

#[derive(Debug)]
struct Lease {
    worker: WorkerId,
    shard: ShardId,
    since: Millis,
}

/// Shards, the workers that test them, and the leases between them.
///
/// Each submitted shard is answered exactly once, whatever workers do, as long as the worker of this process goes on:
/// the first answer counts, and the leases beside it are cancelled. Shards go out in the order in which they were
/// submitted. A shard is given to a second worker only when none waits for a first.
#[derive(Debug)]
pub struct Coordinator {
    workers: BTreeMap<WorkerId, Worker>,
    waiting: VecDeque<ShardId>,
    shards: BTreeMap<ShardId, Shard>,
    leases: BTreeMap<LeaseId, Lease>,
    next_shard: u64,
    next_lease: u64,
    /// Whether the worker of this process also works while others can.
    local_helps: bool,
    cancelled: Vec<LeaseId>,
    hedges: u64,
}

impl Coordinator {
    /// Without workers. Those of this process work beside others when `local_helps`, and in any case when no other can.
    pub const fn new(local_helps: bool) -> Self {
        Self {
            workers: BTreeMap::new(),
            waiting: VecDeque::new(),
            shards: BTreeMap::new(),
            leases: BTreeMap::new(),
            next_shard: 0,
            next_lease: 0,
            local_helps,
            cancelled: Vec::new(),
            hedges: 0,
        }
    }

    /// A worker is there, for the first time or again, and takes `slots` leases at once.
    pub fn join(&mut self, worker: WorkerId, slots: usize, is_local: bool) {
        self.workers
            .entry(worker)
            .and_modify(|known| (known.slots, known.report.is_present) = (slots, true))
            .or_insert_with(|| Worker::new(slots, is_local));
    }

    /// A worker is gone: what it held waits for another.
    pub fn leave(&mut self, worker: WorkerId) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.report.is_present = false;
        }
        let held: Vec<LeaseId> =
            self.leases.iter().filter(|(_, lease)| lease.worker == worker).map(|(id, _)| *id).collect();
        for lease in held {
            self.cancelled.push(lease);
            self.release(lease);
        }
    }

    /// Takes a shard whose work is `cost`, in any unit that all shards share.
    pub fn submit(&mut self, cost: u64) -> ShardId {
        let id = ShardId(self.next_shard);
        self.next_shard += 1;
        self.shards.insert(id, Shard { cost: cost.max(1), leases: BTreeSet::new() });
        self.waiting.push_back(id);
        id
    }

    /// A lease brought an answer that can be. Names the shard when the answer is to be taken: it is the first.
    pub fn answered(&mut self, lease: LeaseId, now: Millis) -> Option<ShardId> {
        let ended = self.release(lease)?;
        let shard = self.shards.remove(&ended.shard)?;
        if let Some(worker) = self.workers.get_mut(&ended.worker) {
            worker.answered(shard.cost, now.saturating_sub(ended.since));
        }
        self.waiting.retain(|waiting| *waiting != ended.shard);
        for other in shard.leases {
            self.cancelled.push(other);
            self.release(other);
        }
        Some(ended.shard)
    }

    /// A lease ended without an answer.
    pub fn failed(&mut self, lease: LeaseId, fault: Fault, now: Millis) {
        let Some(ended) = self.release(lease) else { return };
        let Some(worker) = self.workers.get_mut(&ended.worker) else { return };
        worker.failed(fault, now);
        if worker.report.is_dismissed {
            // Whatever else it holds cannot be trusted either.
            let present = worker.report.is_present;
            self.leave(ended.worker);
            if let Some(worker) = self.workers.get_mut(&ended.worker) {
                worker.report.is_present = present;
            }
        }
    }

    /// What is to be done at `now`.
    pub fn orders(&mut self, now: Millis) -> Vec<Order> {
        self.take_from_the_lost(now);
        let mut orders: Vec<Order> =
            std::mem::take(&mut self.cancelled).into_iter().map(|lease| Order::Cancel { lease }).collect();
        while let Some(&shard) = self.waiting.front() {
            let Some(worker) = self.next_worker(now, |_| true) else { break };
            self.waiting.pop_front();
            orders.push(self.lease(worker, shard, now));
        }
        while self.waiting.is_empty()
            && let Some((shard, worker)) = self.hedge(now)
        {
            self.hedges += 1;
            orders.push(self.lease(worker, shard, now));
        }
        orders
    }

    /// When orders may be different though nothing happened until then; `None` for never.
    pub fn wakes_at(&self, now: Millis) -> Option<Millis> {
        let due = self.leases.values().flat_map(|lease| {
            [self.overdue_at(lease), self.lost_at(lease)].into_iter().filter(|at| *at > now)
        });
        let rested = self.workers.values().filter_map(|worker| worker.wakes_at(now));
        due.chain(rested).min()
    }

    /// Whether no shard is left.
    pub fn is_idle(&self) -> bool {
        self.shards.is_empty()
    }

    /// Forgets a shard whose answer nobody wants any more.
    pub fn withdraw(&mut self, shard: ShardId) {
        self.waiting.retain(|waiting| *waiting != shard);
        for lease in self.shards.remove(&shard).into_iter().flat_map(|shard| shard.leases) {
            self.cancelled.push(lease);
            self.release(lease);
        }
    }

    /// What happened to each worker.
    pub fn reports(&self) -> impl Iterator<Item = (WorkerId, WorkerReport)> + '_ {
        self.workers.iter().map(|(id, worker)| (*id, worker.report))
    }

    /// Leases that were given beside another on the same shard.
    pub const fn hedges(&self) -> u64 {
        self.hedges
    }

    fn lease(&mut self, worker: WorkerId, shard: ShardId, now: Millis) -> Order {
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        self.leases.insert(lease, Lease { worker, shard, since: now });
        if let Some(shard) = self.shards.get_mut(&shard) {
            shard.leases.insert(lease);
        }
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.leases += 1;
        }
        Order::Start { lease, worker, shard }
    }

    /// Ends a lease; a shard that no one else holds waits again, before those that were never given out.
    fn release(&mut self, lease: LeaseId) -> Option<Lease> {
        let ended = self.leases.remove(&lease)?;
        if let Some(worker) = self.workers.get_mut(&ended.worker) {
            worker.leases -= 1;
        }
        if let Some(shard) = self.shards.get_mut(&ended.shard) {
            shard.leases.remove(&lease);
            if shard.leases.is_empty() {
                self.waiting.push_front(ended.shard);
            }
        }
        Some(ended)
    }

    /// A worker with a free slot that may have a lease: the least busy one.
    fn next_worker(&self, now: Millis, suits: impl Fn(WorkerId) -> bool) -> Option<WorkerId> {
        let others_can = self.workers.values().any(|worker| !worker.is_local && worker.is_usable(now));
        let may_work = |worker: &Worker| !worker.is_local || self.local_helps || !others_can;
        self.workers
            .iter()
            .filter(|(id, worker)| {
                worker.is_usable(now) && worker.has_free_slot() && may_work(worker) && suits(**id)
            })
            .min_by_key(|(id, worker)| (worker.leases, **id))
            .map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests;
