//! Services announce themselves in ZooKeeper and look for others there.
//!
//! Each instance has an ephemeral node `/pymicro/services/SERVICE/instance-NUMBER` whose data is its address, `host:port`.
//! A connection that is lost, or a node that is gone because the session expired, ends the session here: another one is
//! opened, and everything is announced and looked up anew. Meanwhile the addresses that were known last stay in use.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    net::lookup_host,
    sync::watch,
    time::{interval, sleep, timeout},
};
use tokio_zookeeper::{Acl, CreateMode, ZooKeeper, ZooKeeperBuilder, error};

const ROOT: &str = "/pymicro/services";

/// How long ZooKeeper may take for one answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Where the instances of services are, as ZooKeeper told last.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    known: Mutex<BTreeMap<String, Vec<String>>>,
    turn: AtomicUsize,
}

impl Addresses {
    /// The next instance of `service`, in turn; none when none is announced.
    pub(crate) fn next(&self, service: &str) -> Option<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let instances = known.get(service).filter(|instances| !instances.is_empty())?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        instances.get(turn % instances.len()).cloned()
    }

    fn replace(&self, service: &str, mut instances: Vec<String>) {
        // A session that was replaced leaves its node until it expires.
        instances.sort();
        instances.dedup();
        tracing::info!(service, ?instances, "resolved");
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(service.to_owned(), instances);
    }
}

/// What one process does in ZooKeeper.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// `host:port` of ZooKeeper.
    pub(crate) zookeeper: String,
    /// A session without signs of life ends after so long; ZooKeeper may allow only longer or shorter ones.
    pub(crate) session_timeout: Duration,
    /// What to announce: a service and its address. None: look only.
    pub(crate) announced: Option<(String, String)>,
    /// The services to look for.
    pub(crate) wanted: Vec<String>,
}

/// A membership that is kept until this is left.
#[derive(Debug)]
pub(crate) struct Member {
    /// Where the wanted services are.
    pub(crate) addresses: Arc<Addresses>,
    announced: watch::Receiver<bool>,
    leave: watch::Sender<bool>,
}

impl Member {
    /// Begins to announce and to look.
    pub(crate) fn join(membership: Membership) -> Self {
        let addresses = Arc::<Addresses>::default();
        let (tell, announced) = watch::channel(false);
        let (leave, leaving) = watch::channel(false);
        tokio::spawn(keep(membership, Arc::clone(&addresses), tell, leaving));
        Self { addresses, announced, leave }
    }

    /// Whether the present session has announced and looked up everything.
    pub(crate) fn is_announced(&self) -> bool {
        *self.announced.borrow()
    }

    /// Takes the announcement back.
    pub(crate) async fn leave(&self) {
        self.leave.send_replace(true);
        let mut announced = self.announced.clone();
        // Whoever announces drops the other end when he is done.
        let left = async { while announced.changed().await.is_ok() {} };
        if timeout(ANSWER, left).await.is_err() {
            tracing::warn!("ZooKeeper did not confirm that the announcement was taken back");
        }
    }
}

async fn keep(
    membership: Membership,
    addresses: Arc<Addresses>,
    tell: watch::Sender<bool>,
    mut leaving: watch::Receiver<bool>,
) {
    let mut pause = Duration::from_millis(100);
    loop {
        match session(&membership, &addresses, &tell, &mut leaving).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the session with ZooKeeper ended"),
        }
        pause = if *tell.borrow() { Duration::from_millis(100) } else { (pause * 2).min(ANSWER) };
        tell.send_replace(false);
        tokio::select! {
            () = sleep(pause) => {}
            () = told(&mut leaving) => return,
        }
    }
}

/// One session, until it is lost or `leaving` is told.
async fn session(
    membership: &Membership,
    addresses: &Addresses,
    tell: &watch::Sender<bool>,
    leaving: &mut watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let name = &membership.zookeeper;
    let address = lookup_host(name).await.with_context(|| format!("{name} cannot be looked up"))?.next();
    let address = address.with_context(|| format!("{name} has no address"))?;
    let mut builder = ZooKeeperBuilder::default();
    builder.set_timeout(membership.session_timeout);
    let (zookeeper, _events) = answered(builder.connect(&address)).await.context("cannot connect")?;

    let own = match &membership.announced {
        Some((service, address)) => Some(announce(&zookeeper, service, address).await?),
        None => None,
    };
    let mut changes = FuturesUnordered::new();
    for service in &membership.wanted {
        make(&zookeeper, &format!("{ROOT}/{service}")).await?;
        changes.push(look(&zookeeper, service, addresses).await?);
    }
    tell.send_replace(true);

    // A connection that is half open looks alive until something is asked.
    let mut signs_of_life = interval(membership.session_timeout / 3);
    loop {
        tokio::select! {
            Some(changed) = changes.next(), if !changes.is_empty() => {
                let service: &str = changed?;
                changes.push(look(&zookeeper, service, addresses).await?);
            }
            _ = signs_of_life.tick() => {
                let path = own.as_deref().unwrap_or(ROOT);
                if answered(zookeeper.exists(path)).await?.is_none() {
                    bail!("{path} is gone: the session expired");
                }
            }
            () = told(leaving) => {
                if let Some(own) = &own {
                    // It may have expired at this very moment; gone it is in any case.
                    answered(zookeeper.delete(own, None)).await?.ok();
                }
                return Ok(());
            }
        }
    }
}

/// Ends when it is time to leave.
async fn told(leaving: &mut watch::Receiver<bool>) {
    // Without a sender there is nobody left to announce for.
    leaving.wait_for(|leaving| *leaving).await.ok();
}

/// An answer within [`ANSWER`].
async fn answered<T>(asked: impl Future<Output = Result<T, error::Error>>) -> anyhow::Result<T> {
    Ok(timeout(ANSWER, asked).await.context("ZooKeeper does not answer")??)
}

/// Makes the persistent node `path` and those above it.
async fn make(zookeeper: &ZooKeeper, path: &str) -> anyhow::Result<()> {
    let ends = path.char_indices().skip(1).filter(|(_, letter)| *letter == '/').map(|(at, _)| at);
    for end in ends.chain([path.len()]) {
        let made = zookeeper.create(&path[..end], &b""[..], Acl::open_unsafe(), CreateMode::Persistent);
        match answered(made).await? {
            Ok(_) | Err(error::Create::NodeExists) => {}
            Err(error) => bail!("cannot make {}: {error}", &path[..end]),
        }
    }
    Ok(())
}

/// Announces an instance; the path of its node.
async fn announce(zookeeper: &ZooKeeper, service: &str, address: &str) -> anyhow::Result<String> {
    let parent = format!("{ROOT}/{service}");
    make(zookeeper, &parent).await?;
    let data = address.as_bytes().to_vec();
    let path = format!("{parent}/instance-");
    let made = zookeeper.create(&path, data, Acl::open_unsafe(), CreateMode::EphemeralSequential);
    let own = answered(made).await?.with_context(|| format!("cannot announce {service}"))?;
    tracing::info!(own, address, "announced");
    Ok(own)
}

/// Looks a service up; what is returned ends when its instances change, or fails when the session is lost.
async fn look<'a>(
    zookeeper: &ZooKeeper,
    service: &'a str,
    addresses: &Addresses,
) -> anyhow::Result<impl Future<Output = anyhow::Result<&'a str>> + use<'a>> {
    let parent = format!("{ROOT}/{service}");
    let children = answered(zookeeper.with_watcher().get_children(&parent)).await?;
    let (changed, children) = children.with_context(|| format!("{parent} is gone"))?;
    let mut instances = Vec::new();
    for child in children {
        // One that left between the two questions is none.
        if let Some((data, _)) = answered(zookeeper.get_data(&format!("{parent}/{child}"))).await? {
            instances.push(String::from_utf8(data).with_context(|| format!("{child} has no address"))?);
        }
    }
    addresses.replace(service, instances);
    Ok(async move { changed.await.map(|_| service).context("the connection with ZooKeeper was lost") })
}
