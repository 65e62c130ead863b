//! From a metric frame to behaviour graphs: which services influence which, and through which metric types.
//!
//! | module | what it holds |
//! |---|---|
//! | [`standardise`] | one series per service and metric type, freed of location and scale |
//! | [`load_removal`] | the load that services share, removed from their series |
//! | [`correlation`] | Pearson correlation of every pair, also with missing samples |
//! | [`discretise`] | series in bins of equal frequency, as bit planes |
//! | [`independence`] | what a conditional independence test must offer |
//! | [`partial_correlation`], [`fisher_z`] | the test of linearly related Gaussian series |
//! | [`table_test`], [`contingency`] | χ² and G² of series in bins |
//! | [`skeleton`] | PC-stable: which pairs of one metric type nothing separates |
//! | [`level`], `test_estimate` | what a level took, and what it may take |
//! | [`set_range`] | part of the sets of a pair, for budgets |
//! | `set_search`, `elimination`, `last_member` | Fisher's search for a separating set, from the outside in |
//! | [`edge_tests`] | how surely the ends of an edge depend on each other: p-values |
//! | [`graph`] | skeletons of all metric types to one graph with weights |
//! | [`orient`] | colliders and Meek's rules |
//! | [`front_end`], [`throughput`] | by-products: correlations with the front end, R² of throughput |
//! | [`prepared`] | one metric type made ready for its test |
//! | `edge_report` | those of all metric types, told to the graph |
//! | [`build`] | all of this in one call |
//! | [`bootstrap`], [`resample_share`] | the share of resamples in which an edge stands, and what they may take |
//! | [`build_id`], [`checksum`] | peers of another build and damaged answers are told |
//! | [`peer_input`] | what a peer needs to test a shard |
//! | [`sharding`] | the tests of a build spread over peers: the decisions |
//! | [`service`], [`config`] | the shell: RPC to algorithm |
//!
//! The method is section 2 of the paper as described in the project's documentation. Everything outside the shell is
//! pure: no clock, no environment, no randomness; the same frame, rows and settings give the same bytes on any number
//! of threads.

mod bit_matrix;
pub mod bootstrap;
pub mod build;
pub mod build_id;
pub mod checksum;
pub mod config;
pub mod contingency;
pub mod correlation;
pub mod discretise;
mod edge_report;
pub mod edge_tests;
mod elimination;
pub mod fisher_z;
pub mod front_end;
pub mod graph;
pub mod independence;
mod last_member;
pub mod level;
pub mod load_removal;
pub mod orient;
pub mod partial_correlation;
pub mod peer_input;
pub mod policy;
pub mod prepared;
pub mod resample_share;
pub mod service;
pub mod set_range;
mod set_search;
pub mod sharding;
pub mod skeleton;
pub mod standardise;
pub mod stop;
pub mod table_test;
mod test_estimate;
pub mod throughput;
mod untried;

#[cfg(test)]
mod test_frames;

use automap_proto::v1::graph_builder_service_server::GraphBuilderServiceServer;
use automap_service_kit::server::{self, ServeError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::GraphBuilderConfig;
use service::GraphBuilderService;

/// Full name of the service, under which health is reported.
pub const SERVICE_NAME: &str = "automap.v1.GraphBuilderService";

/// Serves the graph-builder on `listener` until `shutdown`.
///
/// # Errors
/// A setting is wrong, or reflection or the transport failed.
pub async fn serve(
    listener: TcpListener,
    config: GraphBuilderConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let service = GraphBuilderService::new(&config)?;
    let mut registry = Registry::default();
    service.register(&mut registry);
    let routes = Routes::new(GraphBuilderServiceServer::new(service));
    let served =
        server::serve_observed(listener, &config.server, &policy::POLICY, routes, registry, shutdown).await;
    served.map_err(|error| error.within("graph-builder"))
}
