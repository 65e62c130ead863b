//! The diagnosis: evidence, walk, ranking, explanation.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ranker`] | one ranking, from frame and graph to ranked services: the pure core |
//! | [`ablations`] | the default method with one of its steps changed or left out |
//! | [`parameters`] | parameters of the methods, by type and by dotted name |
//! | [`evidence`] | the default method: how far each service left its own normal behaviour, walked along a graph |
//! | [`baselines`] | other methods, to compare with |
//! | [`service_evidence`] | what scorers find against a service |
//! | [`series_windows`] | the samples of a series in both windows |
//! | [`percentile`] | percentiles |
//! | [`automap_walk`] | the published walk over the anomaly behaviour graph |
//! | [`transition_matrix`] | where a walk goes |
//! | [`stationary`] | where it spends its time |
//! | [`walked_paths`] | on which path it reaches each service |
//! | [`walk_trace`] | every step of it, for whoever wants to see them |
//! | [`edge_rules`] | edges that an expert forces or forbids |
//! | [`rank`] | the ranking |
//! | [`explain`] | the ranking in sentences |
//! | [`report`] | a diagnosis as people see it: verdict, drawing, charts |
//! | `series_sketches` | the series behind the claims, small enough to be kept |
//! | [`stop`] | being asked to stop |
//! | [`window_summary`] | how much data a window had |
//! | [`normal_history`] | rows of normal times, remembered and brought back |
//! | [`graph_plan`] | which rows behaviour graphs are built from |
//! | `queried_window` | which samples are asked of a server that is queried |
//! | `order`, `pipeline`, `graph_findings`, `impact_graph`, `context_warnings`, `coverage`, `answer_size`, `peers`, `peer_versions`, `memory`, `listener`, `stages`, `time_share` | a request checked, carried out through the other services, remembered, reported and timed |
//! | [`service`], `policy` | the RPCs, and what each demands of its caller |
//! | [`alerts`], [`sinks`] | alerts that begin diagnoses, and where finished ones are sent |
//! | `metrics`, `newest_diagnoses` | the walker's own metrics, and what diagnoses found as metrics |
//! | `http`, `page` | the HTTP port, and the page that people look at |
//! | [`config`] | configuration |

pub mod ablations;
pub mod alerts;
mod answer_size;
pub mod automap_walk;
pub mod baselines;
pub mod config;
mod context_warnings;
mod coverage;
pub mod edge_rules;
pub mod evidence;
pub mod explain;
mod graph_findings;
pub mod graph_plan;
mod http;
mod impact_graph;
mod incident_record;
pub mod learning_window;
mod listener;
mod memory;
mod metrics;
mod newest_diagnoses;
pub mod normal_history;
mod order;
mod page;
pub mod parameters;
mod path_tally;
mod peer_versions;
mod peers;
pub mod percentile;
mod pipeline;
mod policy;
mod queried_window;
pub mod rank;
pub mod ranker;
pub mod report;
mod row_sampler;
mod schedule;
mod series_sketches;
pub mod series_windows;
pub mod service;
pub mod service_evidence;
pub mod sinks;
mod stages;
pub mod stationary;
pub mod stop;
mod time_share;
pub mod transition_matrix;
pub mod walk_trace;
pub mod walked_paths;
pub mod window_summary;

#[cfg(test)]
mod test_frames;

use std::time::Duration;

use automap_proto::v1::walker_service_server::WalkerServiceServer;
use automap_service_kit::{
    access::Access,
    server::{self, ServeError},
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::WalkerConfig;

use alerts::Alerts;
use metrics::WalkerMetrics;
use newest_diagnoses::NewestDiagnoses;
use sinks::Sinks;

/// Full name of the service, under which its health is reported.
pub const SERVICE_NAME: &str = "automap.v1.WalkerService";

/// Serves the walker on `listener` until `shutdown`.
///
/// # Errors
/// A setting is wrong, the HTTP port cannot be had, or the transport failed.
pub async fn serve(
    listener: TcpListener,
    config: WalkerConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let WalkerConfig { server, http, alerts, sinks, newest_diagnoses, .. } = config.clone();
    let walker = service::WalkerRpc::new(config, shutdown.clone())?;
    // One for both ports, so that a client is counted once.
    let access =
        Access::start("server", &server).map_err(|invalid| ServeError::from(invalid).within("walker"))?;
    let mut registry = Registry::default();
    let metrics = WalkerMetrics::new(&mut registry);
    metrics::register_load(walker.clone(), &mut registry);
    let newest = NewestDiagnoses::new(newest_diagnoses);
    if newest_diagnoses > 0 {
        registry.register_collector(Box::new(newest.clone()));
    }
    let alerts = Alerts::new(&alerts, metrics.clone())?;
    let sinks = Sinks::open(&sinks, http.external_url.clone(), &walker, |name| metrics.sink(name))?;
    walker.on_end({
        let (alerts, post) = (alerts.clone(), sinks.post());
        Box::new(move |diagnosis| {
            metrics.ended(diagnosis);
            newest.take(diagnosis);
            alerts.ended(diagnosis);
            post.hand_in(diagnosis);
        })
    });
    let page =
        http::open(&walker, alerts.clone(), (&http, access.clone()), server.drain_seconds, &shutdown).await?;
    let started = walker.started.clone();
    schedule::start(&walker, &shutdown);
    let beginning_ends = shutdown.child_token();
    let beginning = tokio::spawn(alerts::begin_all(alerts, walker.clone(), beginning_ends.clone()));
    // Other walkers must hear of diagnoses until the last one has ended.
    let exchanging = CancellationToken::new();
    let exchange = tokio::spawn(service::claims::exchange(walker.clone(), exchanging.clone()));
    let routes = Routes::new(WalkerServiceServer::new(walker));
    let served =
        server::serve_judged(listener, &server, (access, &policy::POLICY), routes, registry, shutdown).await;
    // The server may have ended by itself.
    beginning_ends.cancel();
    beginning.await.ok();
    // Diagnoses without a caller get the same time to end as those with one.
    started.close();
    let drain = Duration::from_secs(server.drain_seconds);
    if tokio::time::timeout(drain, started.wait()).await.is_err() {
        tracing::warn!(running = started.len(), "drain time is over, dropping started diagnoses");
    }
    exchanging.cancel();
    exchange.await.ok();
    sinks.end().await;
    if let Some(page) = page {
        page.ended().await;
    }
    served.map_err(|error| error.within("walker"))
}
