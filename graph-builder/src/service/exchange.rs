//! The shards of one build on their way to workers and back: what the coordinator decides, done.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use automap_proto::{frame::MetricFrame, v1};
use automap_service_kit::{deadline, error::ServiceError, work};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use super::{
    job::{Batch, Delivery, Failure},
    peers::{PeerClient, Peers, Refused, SharedInput},
    workers::Team,
};
use crate::{
    build_id::build_id,
    sharding::{
        coordinator::{Coordinator, LeaseId, Order, ShardId, WorkerId},
        worker::{Fault, Millis},
    },
    stop::Halt,
};

/// This process.
const LOCAL: WorkerId = WorkerId(0);
/// Shards that a worker holds at once: one that it tests and one that waits, so that it never waits for the wire.
const SLOTS: usize = 2;
/// How often the addresses of the peers are looked at, and those that could not be reached are tried again.
const LOOK: Duration = Duration::from_millis(500);
/// What every exchange of this service uses.
#[derive(Debug, Clone)]
pub(super) struct Means {
    pub(super) peers: Arc<Peers>,
    pub(super) team: Team,
}

/// One build's exchange, from its first batch to its last.
pub(super) struct Exchange {
    means: Means,
    time_up: Arc<AtomicBool>,
    input: Option<Arc<SharedInput>>,
    coordinator: Coordinator,
    began: Instant,
    shards: BTreeMap<ShardId, (Arc<Batch>, usize)>,
    leases: JoinSet<(LeaseId, Ended)>,
    running: BTreeMap<LeaseId, (AbortHandle, WorkerId, ShardId)>,
    arrivals: JoinSet<(SocketAddr, Result<u64, Refused>)>,
    members: BTreeMap<SocketAddr, Member>,
    bytes_shipped: u64,
    first_shard: Option<Duration>,
    /// Shards of resamples whose answer was taken from each worker.
    resample_shards: BTreeMap<WorkerId, u64>,
}

/// A peer as it is known here.
struct Member {
    id: WorkerId,
    client: PeerClient,
    state: State,
    dismissed: String,
}

#[derive(PartialEq, Eq)]
enum State {
    /// It is being made ready.
    Arriving,
    /// It may get shards.
    Ready,
    /// It was not ready, and is tried again.
    Absent,
    /// It gets none: it is this process, cannot be trusted, or does not take the input.
    Never,
}

/// How a lease ended: with what its shard found and the bytes that were sent.
type Ended = Result<(Delivery, u64), Failure>;

impl Exchange {
    pub(super) fn new(means: Means, time_up: Arc<AtomicBool>) -> Self {
        let mut coordinator = Coordinator::new(means.peers.local_helps);
        coordinator.join(LOCAL, SLOTS, true);
        Self {
            means,
            time_up,
            input: None,
            coordinator,
            began: Instant::now(),
            shards: BTreeMap::new(),
            leases: JoinSet::new(),
            running: BTreeMap::new(),
            arrivals: JoinSet::new(),
            members: BTreeMap::new(),
            bytes_shipped: 0,
            first_shard: None,
            resample_shards: BTreeMap::new(),
        }
    }

    /// Works off batches until nobody can send one any more, and answers what happened; `None` when there was no batch.
    ///
    /// # Errors
    /// A computation here failed.
    pub(super) async fn run(
        mut self,
        frame: Arc<MetricFrame>,
        rows: Vec<usize>,
        mut batches: mpsc::Receiver<Batch>,
    ) -> Result<Option<v1::SpreadStatistics>, ServiceError> {
        let Some(first) = batches.recv().await else { return Ok(None) };
        self.began = Instant::now();
        self.take(first);
        // The worker of this process begins at once, the others when they have the input.
        self.obey();
        self.input = Some(Arc::new(SharedInput::new(frame, rows).await?));
        let mut look = tokio::time::interval(LOOK);
        loop {
            self.withdraw();
            self.obey();
            let wakes = self.coordinator.wakes_at(self.now());
            let wake = wakes.map_or(Duration::MAX, |at| Duration::from_millis(at.saturating_sub(self.now())));
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.take(batch),
                    None => break,
                },
                Some(ended) = self.leases.join_next() => match ended {
                    Ok((lease, ended)) => self.end(lease, ended)?,
                    // Its order was to be cancelled.
                    Err(error) if error.is_cancelled() => {}
                    Err(_) => return Err(ServiceError::internal("testing a shard panicked; the log says where")),
                },
                Some(Ok((address, arrived))) = self.arrivals.join_next() => self.arrive(address, arrived),
                _ = look.tick() => self.look(),
                () = tokio::time::sleep(wake.min(LOOK)) => {}
            }
        }
        Ok(Some(self.statistics()))
    }

    fn now(&self) -> Millis {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn take(&mut self, batch: Batch) {
        let batch = Arc::new(batch);
        for (position, cost) in batch.costs.iter().enumerate() {
            let shard = self.coordinator.submit(*cost);
            self.shards.insert(shard, (Arc::clone(&batch), position));
        }
    }

    /// Drops the shards whose verdicts nobody wants any more.
    fn withdraw(&mut self) {
        let unwanted = |(batch, _): &(Arc<Batch>, usize)| batch.withdrawn.load(Ordering::Relaxed);
        let shards: Vec<ShardId> =
            self.shards.iter().filter(|(_, shard)| unwanted(shard)).map(|(id, _)| *id).collect();
        for shard in shards {
            self.shards.remove(&shard);
            self.coordinator.withdraw(shard);
        }
    }

    fn obey(&mut self) {
        for order in self.coordinator.orders(self.now()) {
            match order {
                Order::Cancel { lease } => {
                    if let Some((handle, ..)) = self.running.remove(&lease) {
                        handle.abort();
                    }
                }
                Order::Start { lease, worker, shard } => self.start(lease, worker, shard),
            }
        }
    }

    fn start(&mut self, lease: LeaseId, worker: WorkerId, shard: ShardId) {
        let Some((batch, position)) = self.shards.get(&shard) else { return };
        let (job, position) = (Arc::clone(&batch.job), *position);
        let peer =
            self.members.values().find(|member| member.id == worker).map(|member| member.client.clone());
        let handle = match (peer, &self.input) {
            (Some(peer), Some(input)) => {
                let input = Arc::clone(input);
                self.leases.spawn(deadline::carry(async move {
                    (lease, job.there(position, peer, input.hash()).await)
                }))
            }
            _ => {
                let (team, time_up) = (self.means.team.clone(), Arc::clone(&self.time_up));
                self.leases.spawn(deadline::carry(async move {
                    let found = work::run(move |stop| {
                        let halt = Halt::on(stop).or_at(&time_up);
                        team.run(|| job.here(position, halt)).map_err(ServiceError::from)
                    });
                    let ended = match found.await {
                        Ok(delivery) => Ok((delivery, 0)),
                        Err(error) => Err(Failure::Fault(Fault::Unreachable, error.to_string())),
                    };
                    (lease, ended)
                }))
            }
        };
        self.running.insert(lease, (handle, worker, shard));
    }

    fn end(&mut self, lease: LeaseId, ended: Ended) -> Result<(), ServiceError> {
        let Some((_, worker, _)) = self.running.remove(&lease) else { return Ok(()) };
        let now = self.now();
        match ended {
            Ok((delivery, bytes)) => {
                self.bytes_shipped += bytes;
                if worker != LOCAL && self.first_shard.is_none() {
                    self.first_shard = Some(self.began.elapsed());
                }
                let taken =
                    self.coordinator.answered(lease, now).and_then(|shard| self.shards.remove(&shard));
                if let Some((batch, _)) = taken {
                    let of_resamples = self.resample_shards.entry(worker).or_default();
                    *of_resamples += u64::from(batch.job.is_of_resamples());
                    delivery();
                }
            }
            Err(Failure::Fault(_, reason)) if worker == LOCAL => return Err(ServiceError::internal(reason)),
            Err(Failure::Fault(fault, reason)) => {
                if let Some((address, member)) =
                    self.members.iter_mut().find(|(_, member)| member.id == worker)
                {
                    tracing::info!(%address, ?fault, reason, "a shard failed and goes to another worker");
                    if fault == Fault::Untrusted {
                        (member.state, member.dismissed) = (State::Never, reason);
                    }
                }
                self.coordinator.failed(lease, fault, now);
            }
            Err(Failure::NoInput) => {
                self.coordinator.failed(lease, Fault::Unreachable, now);
                self.coordinator.leave(worker);
                if let Some(member) = self.members.values_mut().find(|member| member.id == worker) {
                    member.state = State::Absent;
                }
            }
        }
        Ok(())
    }

    /// Looks who is there, and makes those ready that are not.
    fn look(&mut self) {
        let Some(input) = &self.input else { return };
        let found = self.means.peers.members();
        for (address, member) in &mut self.members {
            if !found.contains_key(address) && member.state != State::Never {
                member.state = State::Absent;
                self.coordinator.leave(member.id);
            }
        }
        for (address, client) in found {
            let next = WorkerId(u32::try_from(self.members.len() + 1).unwrap_or(u32::MAX));
            let member = self.members.entry(address).or_insert_with(|| Member {
                id: next,
                client,
                state: State::Absent,
                dismissed: String::new(),
            });
            if member.state != State::Absent {
                continue;
            }
            member.state = State::Arriving;
            let (peers, input, client) =
                (Arc::clone(&self.means.peers), Arc::clone(input), member.client.clone());
            self.arrivals
                .spawn(deadline::carry(async move { (address, peers.prepare(client, &input).await) }));
        }
    }

    fn arrive(&mut self, address: SocketAddr, arrived: Result<u64, Refused>) {
        let Some(member) = self.members.get_mut(&address) else { return };
        match arrived {
            Ok(bytes) => {
                self.bytes_shipped += bytes;
                member.state = State::Ready;
                self.coordinator.join(member.id, SLOTS, false);
            }
            Err(Refused::Myself) => member.state = State::Never,
            Err(Refused::OtherBuild(build)) => {
                member.state = State::Never;
                member.dismissed = format!(
                    "it runs build {build}, and this pod {}: another version, or on another kind of processor",
                    build_id()
                );
                tracing::warn!(%address, build, "a peer of another build gets no work");
            }
            Err(Refused::Unfit(error)) => {
                member.state = State::Never;
                tracing::warn!(%address, %error, "a peer does not take the input and gets no work");
                member.dismissed = format!("it does not take the input: {error}");
            }
            Err(Refused::NotNow(error)) => {
                tracing::debug!(%address, %error, "a peer is not ready");
                member.state = State::Absent;
            }
        }
    }

    fn statistics(&self) -> v1::SpreadStatistics {
        let reports: BTreeMap<WorkerId, _> = self.coordinator.reports().collect();
        let local = (String::new(), LOCAL, String::new());
        let peers = self
            .members
            .iter()
            .map(|(address, member)| (address.to_string(), member.id, member.dismissed.clone()));
        let workers = std::iter::once(local).chain(peers).filter_map(|(address, id, dismissed)| {
            let report = reports.get(&id).copied().unwrap_or_default();
            let is_worth_telling = reports.contains_key(&id) || !dismissed.is_empty();
            is_worth_telling.then_some(v1::WorkerStatistics {
                address,
                shards: report.shards,
                failures: report.failures,
                timeouts: report.timeouts,
                refusals: report.refusals,
                dismissed,
                resample_shards: self.resample_shards.get(&id).copied().unwrap_or(0),
            })
        });
        v1::SpreadStatistics {
            workers: workers.collect(),
            bytes_shipped: self.bytes_shipped,
            hedged_shards: self.coordinator.hedges(),
            seconds_to_first_shard: self.first_shard.unwrap_or_default().as_secs_f64(),
        }
    }
}
