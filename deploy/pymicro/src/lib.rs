//! Pymicro: a small application of sixteen services that can be harmed on purpose, and a testbed that runs it on one
//! machine.
//!
//! | module | what it is |
//! |---|---|
//! | [`topology`] | who calls whom |
//! | [`service`] | one service: work, calls, metrics |
//! | [`load`] | requests of users, in a daily swing with noise |
//! | [`proxy`] | the network between services |
//! | [`fault`] | what can go wrong, how it shows, and its twin for Chaos Mesh |
//! | [`testbed`] | all of it with a real ZooKeeper and a real Prometheus, on loopback |
//! | [`tie`] | processes that die with their parent |
//!
//! The application is its own implementation of the published topology; it shares no code with AutoMAP's services and
//! knows nothing of them.

mod conditions;
pub mod fault;
mod http_client;
mod listening;
pub mod load;
mod process_usage;
pub mod proxy;
mod registry;
pub mod service;
pub mod testbed;
pub mod tie;
pub mod topology;
