//! The decisions: which shard goes to which worker, when one is given to a second, and whose answer counts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::worker::{Fault, Millis, Worker, WorkerReport};

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

    fn take_from_the_lost(&mut self, now: Millis) {
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

    fn overdue_at(&self, lease: &Lease) -> Millis {
        let cost = self.cost(lease);
        self.after(lease, self.workers.values().filter_map(|worker| worker.expected(cost)).min(), OVERDUE)
    }

    fn lost_at(&self, lease: &Lease) -> Millis {
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

    /// The shard that is overdue for longest with all its workers, and a worker that holds nothing; where there is no other,
    /// that of this process, whether it otherwise helps or not.
    fn hedge(&self, now: Millis) -> Option<(ShardId, WorkerId)> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: WorkerId = WorkerId(0);
    const PEER: WorkerId = WorkerId(1);

    fn starts(orders: &[Order]) -> Vec<(WorkerId, ShardId)> {
        orders
            .iter()
            .filter_map(|order| match order {
                Order::Start { worker, shard, .. } => Some((*worker, *shard)),
                Order::Cancel { .. } => None,
            })
            .collect()
    }

    fn lease_of(orders: &[Order], wanted: WorkerId) -> LeaseId {
        orders
            .iter()
            .find_map(|order| match order {
                Order::Start { lease, worker, .. } if *worker == wanted => Some(*lease),
                _ => None,
            })
            .unwrap()
    }

    fn two_workers(shards: usize) -> Coordinator {
        let mut coordinator = Coordinator::new(true);
        coordinator.join(LOCAL, 1, true);
        coordinator.join(PEER, 1, false);
        for _ in 0..shards {
            coordinator.submit(100);
        }
        coordinator
    }

    #[test]
    fn shards_go_out_in_order_and_each_is_answered_once() {
        let mut coordinator = two_workers(3);
        let orders = coordinator.orders(0);
        assert_eq!(starts(&orders), [(LOCAL, ShardId(0)), (PEER, ShardId(1))]);
        let lease = lease_of(&orders, PEER);
        assert_eq!(coordinator.answered(lease, 10), Some(ShardId(1)));
        assert_eq!(coordinator.answered(lease, 11), None);
        assert_eq!(starts(&coordinator.orders(11)), [(PEER, ShardId(2))]);
        assert_eq!(coordinator.orders(12), []);
        assert!(!coordinator.is_idle());
    }

    #[test]
    fn a_shard_of_a_worker_that_fails_goes_elsewhere_and_the_worker_rests() {
        let mut coordinator = two_workers(2);
        let orders = coordinator.orders(0);
        coordinator.failed(lease_of(&orders, PEER), Fault::Unreachable, 5);
        assert_eq!(starts(&coordinator.orders(5)), []);
        assert_eq!(coordinator.wakes_at(5), Some(255));
        coordinator.answered(lease_of(&orders, LOCAL), 6);
        assert_eq!(starts(&coordinator.orders(6)), [(LOCAL, ShardId(1))]);
        coordinator.submit(1);
        assert_eq!(starts(&coordinator.orders(254)), []);
        assert_eq!(starts(&coordinator.orders(255)), [(PEER, ShardId(2))]);
    }

    #[test]
    fn an_overdue_shard_is_given_to_an_idle_worker_and_the_first_answer_counts() {
        let mut coordinator = two_workers(2);
        let orders = coordinator.orders(0);
        let hanging = lease_of(&orders, PEER);
        assert_eq!(coordinator.answered(lease_of(&orders, LOCAL), 10), Some(ShardId(0)));
        assert_eq!(coordinator.orders(499), []);
        let hedge = coordinator.orders(500);
        assert_eq!(starts(&hedge), [(LOCAL, ShardId(1))]);
        assert_eq!(coordinator.hedges(), 1);
        assert_eq!(coordinator.answered(lease_of(&hedge, LOCAL), 510), Some(ShardId(1)));
        assert!(coordinator.is_idle());
        assert_eq!(coordinator.orders(510), [Order::Cancel { lease: hanging }]);
        assert_eq!(coordinator.answered(hanging, 520), None);
    }

    #[test]
    fn a_worker_that_hangs_loses_its_lease_and_rests() {
        let mut coordinator = two_workers(4);
        let orders = coordinator.orders(0);
        let hanging = lease_of(&orders, PEER);
        coordinator.answered(lease_of(&orders, LOCAL), 10);
        // The local worker is busy all the time, so that there is no hedge.
        coordinator.orders(10);
        let later = coordinator.orders(5_000);
        assert!(later.contains(&Order::Cancel { lease: hanging }), "{later:?}");
        assert_eq!(starts(&later), []);
        let report = coordinator.reports().find(|(id, _)| *id == PEER).unwrap().1;
        assert_eq!((report.timeouts, report.shards), (1, 0));
    }

    #[test]
    fn who_cannot_be_trusted_is_not_asked_again() {
        let mut coordinator = two_workers(3);
        let orders = coordinator.orders(0);
        coordinator.failed(lease_of(&orders, PEER), Fault::Untrusted, 5);
        coordinator.join(PEER, 1, false);
        assert_eq!(starts(&coordinator.orders(100_000)), []);
        coordinator.answered(lease_of(&orders, LOCAL), 100_001);
        assert_eq!(starts(&coordinator.orders(100_001)), [(LOCAL, ShardId(1))]);
    }

    #[test]
    fn a_local_worker_that_only_stands_by_works_when_no_other_can() {
        let mut coordinator = Coordinator::new(false);
        coordinator.join(LOCAL, 1, true);
        coordinator.join(PEER, 1, false);
        coordinator.submit(1);
        let orders = coordinator.orders(0);
        assert_eq!(starts(&orders), [(PEER, ShardId(0))]);
        coordinator.leave(PEER);
        let orders = coordinator.orders(1);
        assert_eq!(starts(&orders), [(LOCAL, ShardId(0))]);
        assert_eq!(orders.len(), 2, "{orders:?}");
    }

    #[test]
    fn what_is_withdrawn_is_cancelled() {
        let mut coordinator = two_workers(3);
        let leases = [LOCAL, PEER].map(|worker| lease_of(&two_workers(3).orders(0), worker));
        coordinator.orders(0);
        for shard in 0..3 {
            coordinator.withdraw(ShardId(shard));
        }
        assert_eq!(coordinator.orders(1), leases.map(|lease| Order::Cancel { lease }));
        assert!(coordinator.is_idle());
        assert_eq!(coordinator.wakes_at(1), None);
    }
}
