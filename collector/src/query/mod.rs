//! Metrics by queries: a server with the HTTP API of Prometheus as a source.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | which server, how it is reached, and what is asked |
//! | [`preset`], `variables`, [`unit`] | expressions per series, from small files; a user overrides each |
//! | `step`, `parts` | the grid: its step, the window of rates, and parts that a server answers |
//! | `answer_stream`, `series_answer`, `rows` | an answer read as it arrives, its series, and rows per service |
//! | `sample_budget` | how many samples a collection may hold |
//! | `edges` | who calls whom, and how each call goes |
//! | `metric_names`, `presence` | what is told of expressions that match nothing, and of services that come and go |
//! | `api`, `fault` | the HTTP API: authentication, tries, and what each failure means |
//! | [`failures`] | how often queries failed |
//! | `terms` | up to when a server shows samples, how often they are taken, and the grid that follows |
//! | `fetch` | expressions asked over a grid, several at once |
//! | [`source`] | all of it as a source of metrics |
//! | [`preflight`] | can the server be asked, and what of a preset does it hold |
//!
//! All but `api`, `fetch`, `terms`, `source` and `preflight` is pure.

pub mod config;
pub mod failures;
pub mod preflight;
pub mod preset;
pub mod source;
pub mod unit;

mod answer_stream;
mod api;
mod edges;
mod fault;
mod fetch;
mod metric_names;
mod parts;
mod presence;
mod rows;
mod sample_budget;
mod series_answer;
mod step;
mod terms;
mod variables;
