//! The profiler: graph algebra, service profiles, similarity of incidents, metric weights, and the store that
//! remembers normal behaviour, past incidents and what engineers confirmed.
//!
//! | module | what it holds |
//! |---|---|
//! | [`algebra`] | addition and subtraction of behaviour graphs |
//! | [`service_profile`] | p_i of every service |
//! | [`class_table`] | from the dominating metric to the class of a service |
//! | [`anomaly_profile`] | an anomaly graph whose services are labelled |
//! | [`similarity`] | the vector of 180 numbers, Sim of two of them and of graphs over the same services |
//! | [`precision`] | PR@K |
//! | [`weights`] | metric weights from the votes of confirmed incidents |
//! | [`evidence_features`] | what spoke against a service, by metric type and direction |
//! | [`conditional_logit`], [`evidence_learning`] | weights of evidence from confirmed incidents |
//! | [`normal_window`] | graphs of normal windows and their running sum |
//! | [`normal_rows`], [`abnormal`], [`baseline`], [`hour_of_week`] | samples of normal times, which times are not, and what is normal for a series |
//! | [`past_incident`], [`told_times`], [`confirmation`], [`diagnosis_record`], [`record_id`] | what is remembered, validated |
//! | [`store`] | the trait `ProfileStore` and its implementation in sled |
//! | [`service`] | the RPCs of `ProfilerService` |
//! | `store_metrics` | what the store takes of its volume |
//! | [`schedule`] | what the server does on its own |
//! | [`config`] | configuration |
//!
//! The modules up to `record_id` are pure: no clock, no file, no async.

pub mod abnormal;
pub mod algebra;
pub mod anomaly_profile;
pub mod baseline;
pub mod class_table;
pub mod conditional_logit;
pub mod config;
pub mod confirmation;
pub mod diagnosis_record;
pub mod evidence_features;
pub mod evidence_learning;
pub mod hour_of_week;
pub mod normal_rows;
pub mod normal_window;
pub mod past_incident;
mod policy;
pub mod precision;
pub mod record_id;
#[cfg(test)]
mod sample;
pub mod schedule;
pub mod service;
pub mod service_profile;
pub mod similarity;
pub mod store;
mod store_metrics;
pub mod told_times;
pub mod weights;

use std::sync::Arc;

use automap_proto::{
    invalid::Invalid,
    v1::{
        diagnosis_claim_service_server::DiagnosisClaimServiceServer,
        profiler_service_server::ProfilerServiceServer,
    },
};
use automap_service_kit::{
    error::ServiceError,
    server::{self, MAX_MESSAGE_BYTES, ServeError},
    work,
};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::ProfilerConfig;
use normal_rows::Decay;
use service::ProfilerRpc;
use store::{
    ProfileStore,
    error::StoreError,
    sled_store::{SledStore, StoreOptions},
};

/// Full name of the service, under which its health is reported.
pub const SERVICE_NAME: &str = "automap.v1.ProfilerService";

/// Opens the store of a profiler. Whoever announces a profiler opens its store first: a second process on the same store
/// must find it taken from then on.
///
/// # Errors
/// The store is in use or damaged.
pub async fn open_store(config: &ProfilerConfig) -> Result<Arc<dyn ProfileStore>, StoreError> {
    let path = config.path.clone();
    let options = StoreOptions {
        cache_mib: config.cache_mib,
        reserve_mib: config.reserve_mib,
        checkpoint_mib: config.checkpoint_mib,
        decay: Decay::days(config.normal_half_life_days),
    };
    // A store that takes long, or hangs with its disk, is told by the log.
    tracing::info!(store = %path.display(), "opening the store");
    let opened = work::run(move |_| Ok(SledStore::open(&path, options))).await;
    let store = opened.unwrap_or_else(|error| Err(StoreError::Failed(error.message().into())))?;
    Ok(Arc::new(store))
}

/// Serves `ProfilerService` from `store` on `listener` until `shutdown`, then lets running calls finish, writes the store
/// out and releases it: the same process may open it again at once.
///
/// # Errors
/// The store or the server failed.
pub async fn serve(
    listener: TcpListener,
    store: Arc<dyn ProfileStore>,
    config: ProfilerConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let server_config = config.server.clone();
    // Also when the server fails without being told to stop.
    let shutdown_chores = shutdown.child_token();
    let chores = tokio::spawn(schedule::run(Arc::clone(&store), config.clone(), shutdown_chores.clone()));
    let mut registry = Registry::default();
    store_metrics::register(&config.path, config.reserve_mib, &mut registry);
    let rpc = ProfilerRpc::new(Arc::clone(&store), config);
    let claims = DiagnosisClaimServiceServer::new(rpc.clone())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let rpc = ProfilerServiceServer::new(rpc)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let routes = Routes::new(rpc).add_service(claims);
    let served =
        server::serve_observed(listener, &server_config, &policy::POLICY, routes, registry, shutdown).await;
    // It ends with the shutdown; a chore that was begun is finished.
    shutdown_chores.cancel();
    let finished = chores.await;
    let closed = work::run(move |_| Ok(store.close()?)).await;
    served.map_err(|error| error.within("profiler"))?;
    finished.map_err(|error| unusable_store(ServiceError::internal(error.to_string())))?;
    closed.map_err(unusable_store)
}

impl From<StoreError> for ServeError {
    fn from(error: StoreError) -> Self {
        unusable_store(error.into())
    }
}

/// Whatever ails the store, the setting that chose it is where to look.
fn unusable_store(error: ServiceError) -> ServeError {
    Invalid::new("profiler.path", error.message()).into()
}
