//! The decisions of the coordinator under faults: a simulated cluster on a simulated clock, everything drawn from a seed.
//!
//! `automap bench coordinator` runs it over many seeds.

mod nature;
mod resampled;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use self::{
    nature::{Breakdown, Nature},
    resampled::Resampled,
};
use super::{
    coordinator::{Coordinator, LeaseId, Order, ShardId, WorkerId},
    worker::{Fault, Millis},
};

const LOCAL: WorkerId = WorkerId(0);
/// Milliseconds after which an unreachable worker is noticed, at most.
const LONGEST_CALL: Millis = 400;
/// Times at which no shard is left to give out.
const BATCHES: Millis = 3;
/// A run that takes this many events has gone wrong.
const MOST_EVENTS: usize = 1_000_000;

/// What a run found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Run {
    /// Shards that were answered.
    pub shards: usize,
    /// Bootstrap resamples whose edges were counted as they are without workers.
    pub resamples: u32,
    /// Workers beside the local one.
    pub workers: usize,
    /// Simulated milliseconds until the last answer.
    pub took: Millis,
    /// Simulated milliseconds that the local worker would have taken alone.
    pub alone: Millis,
    /// Leases given beside another.
    pub hedges: u64,
    /// Answers that came and were not taken.
    pub late_answers: usize,
    /// Faults that workers had.
    pub faults: usize,
    /// A number that depends on every order: two runs with the same one went the same way.
    pub trace: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Joins(WorkerId),
    Leaves(WorkerId),
    Ends(LeaseId),
    Wakes,
}

struct World {
    random: ChaCha8Rng,
    now: Millis,
    events: BinaryHeap<Reverse<(Millis, u64, Event)>>,
    count: u64,
    natures: BTreeMap<WorkerId, Nature>,
    /// Of the shards of levels, then of those of resamples.
    costs: Vec<u64>,
    resampled: Resampled,
    /// Leases under way with their worker and what becomes of them.
    leases: BTreeMap<LeaseId, (WorkerId, ShardId, Option<Fault>)>,
    /// When each worker has worked off what it holds.
    busy_until: BTreeMap<WorkerId, Millis>,
    present: BTreeSet<WorkerId>,
    dismissed: BTreeSet<WorkerId>,
    run: Run,
}

/// Runs the coordinator against one random cluster until every shard is answered.
///
/// # Errors
/// What went against the promises of the coordinator, with the seed.
pub fn run(seed: u64) -> Result<Run, String> {
    let mut world = World::new(seed);
    world.play().map_err(|wrong| format!("seed {seed}: at {} ms {wrong}", world.now))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let workers = random.random_range(0..6_u32);
        let mut natures = BTreeMap::new();
        natures.insert(LOCAL, Nature::local(random.random_range(1..3)));
        for worker in 1..=workers {
            natures.insert(WorkerId(worker), Nature::draw(&mut random));
        }
        let mut costs: Vec<u64> =
            (0..random.random_range(1..120)).map(|_| random.random_range(1..400)).collect();
        let resampled = Resampled::draw(&mut random, costs.len());
        costs.extend(resampled.costs());
        Self {
            random,
            now: 0,
            events: BinaryHeap::new(),
            count: 0,
            natures,
            costs,
            resampled,
            leases: BTreeMap::new(),
            busy_until: BTreeMap::new(),
            present: BTreeSet::new(),
            dismissed: BTreeSet::new(),
            run: Run { workers: workers as usize, ..Run::default() },
        }
    }

    fn play(&mut self) -> Result<Run, String> {
        let local_helps = self.random.random::<f64>() < 0.8;
        let mut coordinator = Coordinator::new(local_helps);
        let natures: Vec<(WorkerId, Nature)> =
            self.natures.iter().map(|(id, nature)| (*id, nature.clone())).collect();
        for (worker, nature) in natures {
            self.schedule(nature.joins, Event::Joins(worker));
            match nature.breaks {
                Some((at, Breakdown::Dies)) => self.schedule(at + LONGEST_CALL, Event::Leaves(worker)),
                Some((at, Breakdown::Restarts(back))) => {
                    self.schedule(at, Event::Leaves(worker));
                    self.schedule(back, Event::Joins(worker));
                }
                _ => {}
            }
        }
        // Three batches: the levels of two metric types, the second when the first is under way, and then the resamples.
        let levels = self.resampled.first_shard();
        let mut submitted = 0;
        self.submit(&mut coordinator, &mut submitted, levels.div_ceil(2));
        let (mut answered, mut wakes) = (BTreeSet::new(), BTreeSet::new());
        self.schedule(0, Event::Wakes);
        for _ in 0..MOST_EVENTS {
            if answered.len() == self.costs.len() {
                return self.finish(&mut coordinator, local_helps);
            }
            let Some(Reverse((at, _, event))) = self.events.pop() else {
                return Err("nothing is left to happen, and shards are".into());
            };
            self.now = at;
            match event {
                Event::Joins(worker) => {
                    self.present.insert(worker);
                    coordinator.join(worker, self.natures[&worker].slots, worker == LOCAL);
                }
                Event::Leaves(worker) => {
                    self.present.remove(&worker);
                    coordinator.leave(worker);
                }
                Event::Ends(lease) => self.end(&mut coordinator, lease, &mut answered)?,
                Event::Wakes => {}
            }
            if submitted < levels && answered.len() * 3 >= submitted {
                self.submit(&mut coordinator, &mut submitted, levels);
            }
            if answered.len() == levels {
                self.submit(&mut coordinator, &mut submitted, self.costs.len());
            }
            self.obey(&mut coordinator)?;
            if let Some(at) = coordinator.wakes_at(self.now)
                && wakes.insert(at)
            {
                self.schedule(at, Event::Wakes);
            }
        }
        Err("it never ends".into())
    }

    /// Submits shards until there are so many.
    fn submit(&self, coordinator: &mut Coordinator, submitted: &mut usize, until: usize) {
        for &cost in &self.costs[*submitted..until.max(*submitted)] {
            coordinator.submit(cost);
        }
        *submitted = until.max(*submitted);
    }

    fn schedule(&mut self, at: Millis, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn end(
        &mut self,
        coordinator: &mut Coordinator,
        lease: LeaseId,
        answered: &mut BTreeSet<ShardId>,
    ) -> Result<(), String> {
        // A lease that was cancelled meanwhile brings nothing.
        let Some((worker, shard, fault)) = self.leases.remove(&lease) else { return Ok(()) };
        match fault {
            Some(fault) => {
                self.run.faults += 1;
                if fault == Fault::Untrusted {
                    self.dismissed.insert(worker);
                }
                coordinator.failed(lease, fault, self.now);
            }
            None => match coordinator.answered(lease, self.now) {
                Some(taken) if taken != shard => return Err(format!("{lease:?} answered another shard")),
                Some(taken) if !answered.insert(taken) => return Err(format!("{taken:?} was taken twice")),
                Some(taken) => self.resampled.take(taken.0 as usize),
                None => self.run.late_answers += 1,
            },
        }
        Ok(())
    }

    /// Does what the coordinator orders, and checks that it may be ordered.
    fn obey(&mut self, coordinator: &mut Coordinator) -> Result<(), String> {
        for order in coordinator.orders(self.now) {
            self.trace(order);
            match order {
                Order::Cancel { lease } => {
                    let holder = self.leases.remove(&lease).map(|(holder, ..)| holder);
                    if let Some(holder) = holder
                        && !self.leases.values().any(|(other, ..)| *other == holder)
                    {
                        self.busy_until.insert(holder, self.now);
                    }
                }
                Order::Start { lease, worker, shard } => {
                    let held = self.leases.values().filter(|(holder, ..)| *holder == worker).count();
                    if held >= self.natures[&worker].slots {
                        return Err(format!("{worker:?} got more than its slots"));
                    }
                    if !self.present.contains(&worker) || self.dismissed.contains(&worker) {
                        return Err(format!("{worker:?} is gone or dismissed and got a lease"));
                    }
                    let twice =
                        self.leases.values().any(|(holder, held, _)| *holder == worker && *held == shard);
                    if twice {
                        return Err(format!("{worker:?} got {shard:?} twice at once"));
                    }
                    self.start(lease, worker, shard);
                }
            }
        }
        Ok(())
    }

    fn trace(&mut self, order: Order) {
        let (kind, lease, worker) = match order {
            Order::Cancel { lease } => (1, lease.0, 0),
            Order::Start { lease, worker, .. } => (2, lease.0, u64::from(worker.0)),
        };
        for value in [kind, lease, worker, self.now] {
            self.run.trace = (self.run.trace ^ value).wrapping_mul(0x0100_0000_01B3).rotate_left(7);
        }
    }

    fn start(&mut self, lease: LeaseId, worker: WorkerId, shard: ShardId) {
        let nature = self.natures[&worker].clone();
        let cost = self.costs[shard.0 as usize] as f64;
        let begin = self.busy_until.get(&worker).copied().unwrap_or(0).max(self.now);
        let mut took = (cost / nature.speed).ceil() as Millis;
        let travel = if worker == LOCAL { 0 } else { self.random.random_range(0..5) };
        let mut fault = None;
        if self.random.random::<f64>() < nature.garbage {
            fault = Some(Fault::Untrusted);
        } else if self.random.random::<f64>() < nature.busy {
            fault = Some(Fault::Busy(self.random.random_range(0..3000)));
            took = 0;
        }
        let mut ends = begin + took + travel;
        if let Some((at, breakdown)) = nature.breaks
            && ends > at
        {
            match breakdown {
                Breakdown::Dies => {
                    fault = Some(Fault::Unreachable);
                    ends = self.now.max(at) + self.random.random_range(0..LONGEST_CALL);
                }
                Breakdown::Hangs => ends = Millis::MAX,
                Breakdown::Pauses(until) => {
                    ends = ends.max(until) + if begin < until { until - at } else { 0 }
                }
                Breakdown::Slows(times) => ends = begin + (took as f64 * times) as Millis + travel,
                Breakdown::Restarts(back) if self.now < back => {
                    fault = Some(Fault::Unreachable);
                    ends = at.max(self.now) + 1;
                }
                Breakdown::Restarts(_) => {}
            }
        }
        self.leases.insert(lease, (worker, shard, fault));
        if ends < Millis::MAX {
            self.busy_until.insert(worker, ends);
            self.schedule(ends, Event::Ends(lease));
        }
    }

    /// Everything is answered: nothing may be under way, and it may not have taken much longer than without peers.
    fn finish(&mut self, coordinator: &mut Coordinator, local_helps: bool) -> Result<Run, String> {
        self.obey(coordinator)?;
        if let Some(lease) = self.leases.keys().next() {
            return Err(format!("{lease:?} is still under way"));
        }
        if !coordinator.is_idle() {
            return Err("a shard is left".into());
        }
        self.run.resamples = self.resampled.check()?;
        let alone: u64 = self.costs.iter().sum();
        let longest = self.costs.iter().max().copied().unwrap_or(0);
        let slots: usize = self.natures.values().map(|nature| nature.slots).sum();
        self.run =
            Run { shards: self.costs.len(), took: self.now, alone, hedges: coordinator.hedges(), ..self.run };
        // What workers hold when no shard waits any more, done again here after it was seen to be late.
        let bound = alone + BATCHES * (longest + 4 * longest.max(500)) * (slots as u64 + 1);
        if local_helps && self.now > bound {
            return Err(format!("it took longer than {bound} ms, and alone {alone} ms"));
        }
        Ok(self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_is_answered_once_whatever_workers_do() {
        let mut total = Run::default();
        for seed in 0..200 {
            let run = run(seed).unwrap();
            total.hedges += run.hedges;
            total.resamples += run.resamples;
            total.faults += run.faults;
            total.late_answers += run.late_answers;
        }
        // The faults are not only drawn, they happen.
        assert!(total.hedges > 20 && total.faults > 200 && total.resamples > 1000, "{total:?}");
    }

    #[test]
    fn a_seed_always_goes_the_same_way() {
        for seed in 0..20 {
            assert_eq!(run(seed), run(seed));
        }
        let traces: BTreeSet<u64> = (0..20).map(|seed| run(seed).unwrap().trace).collect();
        assert_eq!(traces.len(), 20);
    }
}
