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
//! | `query` | metrics by queries to Prometheus and its kin, by presets of expressions |
//! | [`source`] | the trait behind which metrics are kept, in files or elsewhere |
//! | [`error`] | why a recording cannot be collected, as a sentence |
//! | `serve`, `service`, `policy`, `upload`, `upload_pace`, `frame_answer`, `stop` | the RPCs around it |
//! | `config` | configuration |
//!
//! Without the feature `serve`, which is on by default, there are no queries, no service and no configuration: recordings are
//! read, and no client of HTTP is compiled.
//!
//! Nothing here opens the label of an incident.

pub mod call_graph;
pub mod collect;
#[cfg(feature = "serve")]
pub mod config;
pub mod coverage;
pub mod error;
pub mod layout;
pub mod limits;
#[cfg(feature = "serve")]
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
#[cfg(feature = "serve")]
mod frame_answer;
mod listing;
#[cfg(feature = "serve")]
mod policy;
mod row_order;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod service;
mod stop;
#[cfg(feature = "serve")]
mod upload;
#[cfg(feature = "serve")]
mod upload_pace;

#[cfg(feature = "serve")]
pub use self::{
    config::CollectorConfig,
    serve::{SERVICE_NAME, serve},
};
