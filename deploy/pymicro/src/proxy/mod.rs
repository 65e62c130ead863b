//! The network between services, as one TCP proxy in which it can be slow and lossy.
//!
//! Each instance is announced at an address of the proxy. What passes is slowed by the conditions of whoever *sends*: an
//! answer by those of the service that is called, a request by those of its caller, whom the proxy knows by the address
//! that the connection comes from. A pod whose outgoing packets are delayed by Chaos Mesh is seen like this from within
//! and from without.
//!
//! A proxy cannot lose a packet of a TCP connection, for the kernels at both ends would never miss it. It does what a loss
//! looks like to a program: the piece comes later by the time after which the sender would have sent it again, and
//! everything behind it waits (see [`passage`]).

mod passage;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, put},
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, task::AbortHandle};

use crate::{
    conditions::NetworkConditions,
    listening::{self, Ready},
};

/// What a testbed tells the proxy of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// Where its process listens; none: it is away, and connections to it are refused.
    pub(crate) upstream: Option<SocketAddr>,
    /// The address that its own calls come from.
    pub(crate) source: IpAddr,
    /// Whether the proxy listens for it at another port from now on, as a new pod has another address.
    #[serde(default)]
    pub(crate) moved: bool,
}

/// What the proxy answers: where it listens for the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Routed {
    pub(crate) listen: SocketAddr,
}

/// How the proxy is set up.
#[derive(Debug, Clone, Copy)]
pub struct ProxyOptions {
    /// Where it is told routes and conditions; it must be an address of loopback. Routes listen at the same host.
    pub control: SocketAddr,
    /// Seed of jitter and losses.
    pub seed: u64,
}

/// Runs until `stop` ends.
///
/// `PUT /routes/SERVICE` makes or changes a route, `PUT /conditions/SERVICE` changes what happens to what a service sends,
/// `GET /conditions` tells it for all services that have any, and `DELETE /conditions` ends them all.
///
/// # Errors
/// The control address cannot be bound or is not of loopback.
pub async fn run(options: ProxyOptions, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let control = options.control;
    anyhow::ensure!(control.ip().is_loopback(), "the control address {control} is not of loopback");
    let listener = listening::bind(control).await?;
    let control = listener.local_addr()?;
    let network = Arc::new(Network {
        host: control.ip(),
        state: Mutex::default(),
        chance: Mutex::new(ChaCha8Rng::seed_from_u64(options.seed)),
    });
    let router = Router::new()
        .route("/routes/{service}", put(route))
        .route("/conditions", get(tell).delete(heal))
        .route("/conditions/{service}", put(change))
        .with_state(network);
    Ready { listen: control, control: Some(control) }.tell()?;
    tokio::select! {
        served = listening::serve(listener, router, std::future::pending()) => Ok(served?),
        () = stop => Ok(()),
    }
}

/// All routes and their conditions.
#[derive(Debug)]
struct Network {
    host: IpAddr,
    state: Mutex<Routes>,
    chance: Mutex<ChaCha8Rng>,
}

#[derive(Debug, Default)]
struct Routes {
    routes: BTreeMap<String, Open>,
    conditions: BTreeMap<String, NetworkConditions>,
}

/// A route with its listener.
#[derive(Debug)]
struct Open {
    route: Route,
    listen: SocketAddr,
    accepting: AbortHandle,
}

impl Network {
    fn state(&self) -> MutexGuard<'_, Routes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The conditions of what `service` sends.
    fn conditions(&self, service: &str) -> NetworkConditions {
        self.state().conditions.get(service).copied().unwrap_or_default()
    }

    /// The service whose calls come from `source`.
    fn caller(&self, source: IpAddr) -> Option<String> {
        let state = self.state();
        let found = state.routes.iter().find(|(_, open)| open.route.source == source);
        found.map(|(service, _)| service.clone())
    }

    fn upstream(&self, service: &str) -> Option<SocketAddr> {
        self.state().routes.get(service)?.route.upstream
    }
}

type Refusal = (StatusCode, String);

fn parsed<'a, T: Deserialize<'a>>(body: &'a Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn told<T: Serialize>(value: &T) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn route(
    State(network): State<Arc<Network>>,
    Path(service): Path<String>,
    body: Bytes,
) -> Result<String, Refusal> {
    let route: Route = parsed(&body)?;
    if !route.moved
        && let Some(open) = network.state().routes.get_mut(&service)
    {
        open.route = route;
        return told(&Routed { listen: open.listen });
    }
    let bound = TcpListener::bind((network.host, 0)).await;
    let bound = bound.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (listen, listener) =
        bound.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("cannot listen: {error}")))?;
    let accepting = tokio::spawn(accept(Arc::clone(&network), service.clone(), listener)).abort_handle();
    let former = network.state().routes.insert(service, Open { route, listen, accepting });
    if let Some(former) = former {
        former.accepting.abort();
    }
    told(&Routed { listen })
}

async fn change(
    State(network): State<Arc<Network>>,
    Path(service): Path<String>,
    body: Bytes,
) -> Result<(), Refusal> {
    let conditions: NetworkConditions = parsed(&body)?;
    if !conditions.is_possible() {
        return Err((StatusCode::BAD_REQUEST, format!("these conditions cannot be: {conditions:?}")));
    }
    let mut state = network.state();
    if !state.routes.contains_key(&service) {
        return Err((StatusCode::NOT_FOUND, format!("there is no route to `{service}`")));
    }
    tracing::info!(service, ?conditions, "conditions changed");
    if conditions == NetworkConditions::default() {
        state.conditions.remove(&service);
    } else {
        state.conditions.insert(service, conditions);
    }
    Ok(())
}

async fn tell(State(network): State<Arc<Network>>) -> Result<String, Refusal> {
    told(&network.state().conditions)
}

async fn heal(State(network): State<Arc<Network>>) {
    network.state().conditions.clear();
}

/// Accepts connections to one service.
async fn accept(network: Arc<Network>, service: String, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => {
                tokio::spawn(passage::pass(Arc::clone(&network), service.clone(), client, peer.ip()));
            }
            Err(error) => {
                tracing::warn!(%error, service, "cannot accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
