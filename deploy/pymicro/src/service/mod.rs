//! One service of Pymicro.
//!
//! Each request to `/` does a little work, calls all callees at once and answers 200, 502 when a callee failed, or 500
//! when a fault wants that. `/healthz` answers 200 once the service is announced, and `/metrics` for Prometheus. Nothing but
//! the control address, which is closed unless asked for, can harm it.

mod calls;
mod control;
mod metrics;
mod stress;
mod work;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use tokio::time::sleep;

use crate::{
    conditions::ProcessConditions,
    listening::{self, Ready},
    registry::{Member, Membership},
    topology,
};
use calls::Calls;
use metrics::Metrics;
use work::Work;

/// How a service is set up.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// Which of [`topology::SERVICES`].
    pub service: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// `host:port` of ZooKeeper.
    pub zookeeper: String,
    /// The address that is announced, `host` or `host:port`; without a port that of `listen`.
    pub advertise: String,
    /// A directory for the disk work of requests.
    pub data: PathBuf,
    /// The address that calls come from; none: as the system has it.
    pub source: Option<IpAddr>,
    /// Where faults can be had: an address of loopback; none: nowhere.
    pub control: Option<SocketAddr>,
    /// After so long without signs of life ZooKeeper forgets the service.
    pub session_timeout: Duration,
}

/// What requests share.
#[derive(Debug)]
pub(crate) struct Service {
    calls: Calls,
    callees: &'static [&'static str],
    conditions: Mutex<ProcessConditions>,
    metrics: Metrics,
    /// Requests that were served, so that a share of them can fail evenly.
    served: AtomicU64,
    work: Work,
}

/// Serves until `stop` ends, then takes the announcement back and lets running requests end.
///
/// # Errors
/// The service is unknown, an address cannot be bound, the control address is not of loopback, or the data directory
/// cannot be written.
pub async fn run(
    options: ServiceOptions,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    ensure!(
        topology::is_service(&options.service),
        "`{}` is no service: name one of {}",
        options.service,
        topology::SERVICES.join(", ")
    );
    let callees = topology::callees(&options.service);
    let listener = listening::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let announced = with_port(&options.advertise, address.port());
    let member = Member::join(Membership {
        zookeeper: options.zookeeper.clone(),
        session_timeout: options.session_timeout,
        announced: Some((options.service.clone(), announced)),
        wanted: callees.iter().map(|&callee| callee.to_owned()).collect(),
    });
    let metrics = Metrics::new(callees);
    let service = Arc::new(Service {
        calls: Calls::new(options.source, Arc::clone(&member.addresses)),
        callees,
        conditions: Mutex::default(),
        metrics,
        served: AtomicU64::new(0),
        work: Work::open(&options.data, &options.service)
            .with_context(|| format!("cannot write into {}", options.data.display()))?,
    });
    let member = Arc::new(member);
    let control = match options.control {
        Some(control) => Some(control::open(control, Arc::clone(&service), options.data.clone()).await?),
        None => None,
    };
    let router = Router::new()
        .route("/", get(answer))
        .route("/healthz", get(health))
        .route("/metrics", get(scrape))
        .with_state(Shared { service, member: Arc::clone(&member) });
    Ready { listen: address, control: control.as_ref().map(control::Control::address) }.tell()?;
    listening::serve(listener, router, async move {
        stop.await;
        // Callers should go elsewhere before this address stops to answer.
        member.leave().await;
    })
    .await?;
    Ok(())
}

/// `address` as it is when it has a port, else with `port`.
fn with_port(address: &str, port: u16) -> String {
    match address.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) if address.contains(':') => address.to_owned(),
        Err(_) => format!("{address}:{port}"),
    }
}

#[derive(Debug, Clone)]
struct Shared {
    service: Arc<Service>,
    member: Arc<Member>,
}

async fn health(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.member.is_announced() {
        (StatusCode::OK, "announced\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not announced in ZooKeeper\n")
    }
}

async fn scrape(State(shared): State<Shared>) -> axum::response::Response {
    shared.service.metrics.answer()
}

async fn answer(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    let service = &shared.service;
    let mut measured = service.metrics.begin();
    let status = match service.serve().await {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!(%error, "the work of a request failed");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    measured.status = Some(status);
    (status, status.canonical_reason().unwrap_or_default())
}

impl Service {
    async fn serve(&self) -> io::Result<StatusCode> {
        let conditions = self.conditions();
        self.work.compute();
        let disk = Duration::from_secs_f64(conditions.disk.delay_ms / 1e3);
        sleep(disk).await;
        let written = self.work.write()?;
        sleep(disk).await;
        self.work.read(written)?;
        let well = futures::future::join_all(
            self.callees.iter().map(|callee| self.calls.call(callee, &self.metrics)),
        )
        .await
        .into_iter()
        .all(|well| well);
        if self.fails(conditions.error_share) {
            Ok(StatusCode::INTERNAL_SERVER_ERROR)
        } else if well {
            Ok(StatusCode::OK)
        } else {
            Ok(StatusCode::BAD_GATEWAY)
        }
    }

    /// Whether the next request is of the share that fails: evenly spread, so that a share is seen in few requests.
    fn fails(&self, share: f64) -> bool {
        let before = self.served.fetch_add(1, Ordering::Relaxed);
        // Exact up to 2⁵³ requests.
        let failed = |served: u64| (served as f64 * share).floor();
        failed(before + 1) > failed(before)
    }

    pub(crate) fn conditions(&self) -> ProcessConditions {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_conditions(&self, conditions: ProcessConditions) {
        *self.conditions.lock().unwrap_or_else(PoisonError::into_inner) = conditions;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_announced_with_a_port() {
        assert_eq!(with_port("10.0.0.7", 8080), "10.0.0.7:8080");
        assert_eq!(with_port("10.0.0.7:81", 8080), "10.0.0.7:81");
        assert_eq!(with_port("fd00::7", 8080), "[fd00::7]:8080");
        assert_eq!(with_port("shop", 8080), "shop:8080");
    }
}
