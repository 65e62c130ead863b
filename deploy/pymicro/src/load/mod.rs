//! The generator of requests: as many come as the traffic has it, however long the answers take.

mod traffic;

use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::get,
};
use http::Method;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until},
};

use crate::{
    http_client::HttpClient,
    listening::{self, Ready},
};
pub use traffic::Traffic;

/// A user waits no longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the generator is set up.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// What is requested, `http://host:port/`.
    pub target: String,
    /// Where `/healthz` and `/metrics` are.
    pub listen: SocketAddr,
    /// The address that requests come from; none: as the system has it.
    pub source: Option<IpAddr>,
    /// When requests come.
    pub traffic: Traffic,
    /// Requests under way at once; those beyond are left out and counted.
    pub concurrency: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    status: u32,
}

/// Requests until `stop` ends.
///
/// # Errors
/// The address cannot be bound.
pub async fn run(options: LoadOptions, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    let outcomes = Family::<Outcome, Counter>::default();
    let left_out = Counter::<u64>::default();
    registry.register("pymicro_load_requests", "Requests, by status; 0: no answer", outcomes.clone());
    registry.register(
        "pymicro_load_left_out",
        "Requests that were left out as too many were under way",
        left_out.clone(),
    );
    let listener = listening::bind(options.listen).await?;
    let listen = listener.local_addr()?;
    let router = Router::new()
        .route("/healthz", get(|| async { "requesting\n" }))
        .route("/metrics", get(scrape))
        .with_state(Arc::new(registry));
    Ready { listen, control: None }.tell()?;
    tokio::select! {
        served = listening::serve(listener, router, std::future::pending()) => Ok(served?),
        () = request(&options, &outcomes, &left_out) => Ok(()),
        () = stop => Ok(()),
    }
}

/// Requests for ever.
async fn request(options: &LoadOptions, outcomes: &Family<Outcome, Counter>, left_out: &Counter) {
    let client = HttpClient::from_address(options.source);
    let places = Arc::new(Semaphore::new(options.concurrency));
    let begun = Instant::now();
    for arrival in options.traffic.arrivals() {
        sleep_until(begun + arrival).await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            left_out.inc();
            continue;
        };
        let (client, target, outcomes) = (client.clone(), options.target.clone(), outcomes.clone());
        tokio::spawn(async move {
            let status = match client.call(Method::GET, &target, "", PATIENCE).await {
                Ok((status, _)) => status.as_u16(),
                Err(error) => {
                    tracing::debug!(%error, "a request had no answer");
                    0
                }
            };
            outcomes.get_or_create(&Outcome { status: status.into() }).inc();
            drop(place);
        });
    }
}

async fn scrape(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
