//! Reads metrics, recorded or queried, and aligns them into one frame of named series.
//!
//! | module | what it holds |
//! |---|---|
//! | [`recording`] | a recorded incident on disk: its metrics file and what it says about itself |
//! | [`layout`] | how columns are named; the description of a metrics file |
//! | [`collect`] | from the bytes of a metrics file to a frame: [`collect::read_frame`] |
//! | [`limits`] | which samples are wanted, and how many are borne |
//! | `column`, `column_plan` | what a column means, and which are kept |
//! | `bounded_lines`, `csv_records`, `csv_reader` | rows read one by one in bounded memory |
//! | `row_order`, `align` | rows sorted by time and put onto a uniform grid |
//! | `congestion`, `availability` | the series that are derived |
//! | [`call_graph`] | who calls whom, from a file |
//! | [`coverage`] | which metric types a frame holds |
//! | [`query`] | metrics by queries to Prometheus and its kin, by presets of expressions |
//! | [`source`] | the trait behind which metrics are kept, in files or elsewhere |
//! | [`error`] | why a recording cannot be collected, as a sentence |
//! | `service`, `upload`, `upload_pace`, `frame_answer`, `stop` | the RPCs around it |
//! | [`config`] | configuration |
//!
//! Nothing here opens the label of an incident.

pub mod call_graph;
pub mod collect;
pub mod config;
pub mod coverage;
pub mod error;
pub mod layout;
pub mod limits;
pub mod query;
pub mod recording;
pub mod source;

mod align;
mod availability;
mod bounded_lines;
mod column;
mod column_plan;
mod congestion;
mod csv_reader;
mod csv_records;
mod edges;
mod frame_answer;
mod listing;
mod policy;
mod row_order;
mod service;
mod stop;
mod upload;
mod upload_pace;

use automap_proto::v1::collector_service_server::CollectorServiceServer;
use automap_service_kit::server::{self, ServeError};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::CollectorConfig;

use query::failures::Failures;
use service::Collector;

/// Full name of the service, under which its health is reported.
pub const SERVICE_NAME: &str = "automap.v1.CollectorService";

/// Serves the collector on `listener` until `shutdown`.
///
/// # Errors
/// A setting is wrong, or the transport failed.
pub async fn serve(
    listener: TcpListener,
    config: CollectorConfig,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let server = config.server.clone();
    let (failures, mut registry) = (Failures::default(), Registry::default());
    failures.register(&mut registry);
    let collector = Collector::new(config, &failures).map_err(ServeError::Configuration)?;
    let routes = Routes::new(CollectorServiceServer::new(collector));
    let served = server::serve_observed(listener, &server, &policy::POLICY, routes, registry, shutdown).await;
    served.map_err(|error| error.within("collector"))
}
