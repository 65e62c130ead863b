//! The addresses of a name, and which one is next.
//!
//! tower's balancer prefers the member with the fewest calls under way, and a channel that reconnects by itself is always
//! ready: a dead address, which has none under way, would get most calls. Here calls take turns, and an address that fails
//! rests for a while.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tonic::transport::Channel as Connection;

use super::{resolution::Target, told::Told};

/// Rest of an address after its first failure; doubles with each further one.
const FIRST_REST: Duration = Duration::from_millis(250);

/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(16);

/// Shortest time between two look-ups, however many calls fail.
const BREATH: Duration = Duration::from_millis(500);

/// One address with its connection.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) connection: Connection,
    /// Why the connection broke, where it told.
    pub(super) told: Told,
    rest: Mutex<Rest>,
}

#[derive(Debug, Default)]
struct Rest {
    failures: u32,
    until: Option<Instant>,
}

impl Member {
    fn new(address: SocketAddr, connect: &impl Fn(SocketAddr, Told) -> Connection) -> Arc<Self> {
        let told = Told::default();
        let connection = connect(address, told.clone());
        Arc::new(Self { address, connection, told, rest: Mutex::default() })
    }

    pub(super) fn worked(&self) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Rest::default();
    }

    fn failed(&self) {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = FIRST_REST.saturating_mul(1 << rest.failures.min(16)).min(LONGEST_REST);
        *rest = Rest { failures: rest.failures + 1, until: Some(Instant::now() + pause) };
    }

    fn rests(&self) -> bool {
        let rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.until.is_some_and(|until| Instant::now() < until)
    }
}

/// What the last look-up found: the members, or why there are none yet.
type Found = Result<Vec<Arc<Member>>, String>;

/// The members of a channel.
#[derive(Debug)]
pub(super) struct Members {
    found: watch::Receiver<Option<Found>>,
    next: AtomicUsize,
    look_again: Arc<Notify>,
}

impl Members {
    /// Looks the target up `every` so often and after failures, until the answer is dropped. Must be called within a tokio
    /// runtime.
    pub(super) fn start(
        target: Target,
        every: Duration,
        connect: impl Fn(SocketAddr, Told) -> Connection + Send + 'static,
    ) -> Arc<Self> {
        let look_again = Arc::new(Notify::new());
        let first = target.literal().map(|address| Ok(vec![Member::new(address, &connect)]));
        let is_name = first.is_none();
        let (sender, found) = watch::channel(first);
        if is_name {
            tokio::spawn(follow(target, every, connect, sender, Arc::clone(&look_again)));
        }
        Arc::new(Self { found, next: AtomicUsize::new(0), look_again })
    }

    /// One member, for good.
    pub(super) fn only(member: Arc<Member>) -> Arc<Self> {
        let (_, found) = watch::channel(Some(Ok(vec![member])));
        Arc::new(Self { found, next: AtomicUsize::new(0), look_again: Arc::new(Notify::new()) })
    }

    /// The members that the last look-up found.
    pub(super) fn known(&self) -> Vec<Arc<Member>> {
        match &*self.found.borrow() {
            Some(Ok(members)) => members.clone(),
            _ => Vec::new(),
        }
    }

    /// The member whose turn it is; one that rests only when all do.
    ///
    /// # Errors
    /// The name has no address.
    pub(super) async fn pick(&self) -> Result<Arc<Member>, String> {
        let mut found = self.found.clone();
        let found = match found.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Ok(Vec::new())),
            Err(_) => return Err("the client is being closed".into()),
        };
        let members = found.inspect_err(|_| self.look_again.notify_one())?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = |offset: usize| &members[(turn + offset) % members.len()];
        (0..members.len())
            .map(in_turn)
            .find(|member| !member.rests())
            .or_else(|| members.get(turn % members.len().max(1)))
            .cloned()
            .ok_or_else(|| "the name has no address".into())
    }

    /// Tells that a member failed.
    pub(super) fn failed(&self, member: &Member) {
        member.failed();
        self.look_again.notify_one();
    }
}

async fn follow(
    target: Target,
    every: Duration,
    connect: impl Fn(SocketAddr, Told) -> Connection + Send + 'static,
    sender: watch::Sender<Option<Found>>,
    look_again: Arc<Notify>,
) {
    loop {
        match target.look_up().await {
            Ok(addresses) => keep(&sender, &target, &addresses, &connect),
            Err(error) => {
                sender.send_if_modified(|found| {
                    // Known addresses stay: a name server that fails must not take working services with it.
                    if matches!(found, Some(Ok(_))) {
                        return false;
                    }
                    *found = Some(Err(format!("cannot look up {}: {error}", target.host())));
                    true
                });
            }
        }
        tokio::time::sleep(BREATH.min(every)).await;
        tokio::select! {
            () = tokio::time::sleep(every.saturating_sub(BREATH)) => {}
            () = look_again.notified() => {}
            () = sender.closed() => return,
        }
    }
}

/// Puts new addresses in and takes old ones out; calls under way on those end as they may.
fn keep(
    sender: &watch::Sender<Option<Found>>,
    target: &Target,
    addresses: &[SocketAddr],
    connect: &impl Fn(SocketAddr, Told) -> Connection,
) {
    sender.send_if_modified(|found| {
        let known: &[Arc<Member>] = match found {
            Some(Ok(members)) => members,
            _ => &[],
        };
        if known.iter().map(|member| &member.address).eq(addresses) {
            return false;
        }
        tracing::debug!(host = target.host(), ?addresses, "the addresses of a service changed");
        let members = addresses.iter().map(|&address| {
            let same = known.iter().find(|member| member.address == address);
            same.map_or_else(|| Member::new(address, connect), Arc::clone)
        });
        *found = Some(Ok(members.collect()));
        true
    });
}
