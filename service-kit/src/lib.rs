//! What every AutoMAP service process shares, and no algorithm.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | typed configuration in layers, with the origin of every setting |
//! | [`error`] | the one mapping of errors to gRPC status |
//! | [`server`] | a gRPC server with health, reflection, TLS, limits and a graceful end |
//! | [`http`] | an HTTP server with TLS, limits and a graceful end |
//! | [`client`] | channels to other services |
//! | `http_client`, [`secret`] | clients of HTTP servers of others (feature `http-client`), and what they must not tell |
//! | [`access`] | who calls, and what he may do: tokens, certificates, roles, limits per client |
//! | [`tls`] | certificates from files, followed when they change |
//! | [`deadline`] | the deadline of a call on its way over every hop |
//! | [`retry`] | another try of calls that may be repeated |
//! | [`shutdown`] | SIGTERM and SIGINT as a token |
//! | [`work`] | computation off the async threads that stops when its caller is gone |
//! | [`graph_upload`] | a frame on its way to the graph-builder |
//! | [`logging`], `log_fields` | log lines on standard error |
//! | [`telemetry`] | traces and metrics of calls |
//! | [`admin`], [`process_metrics`] | the port for Prometheus and probes, and what a process takes |

pub mod access;
pub mod admin;
pub mod client;
pub mod config;
pub mod deadline;
pub mod error;
pub mod graph_upload;
pub mod http;
#[cfg(feature = "http-client")]
pub mod http_client;
mod log_fields;
pub mod logging;
pub mod process_metrics;
pub mod retry;
pub mod secret;
pub mod server;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod work;
