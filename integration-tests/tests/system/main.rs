//! The real command and the real services, as processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, also in the functions that tests share"
)]

mod admin_port;
mod bad_input;
mod bench;
mod causal_learn;
mod contract;
mod demo;
mod deployment;
mod evaluation;
mod foreign_clients;
mod graph;
mod hostile_messages;
mod incidents;
mod large_input;
mod lifecycle;
mod logs;
mod manners;
mod memory;
#[cfg(feature = "recorded-incidents")]
mod recorded_incidents;
mod store;
mod store_disk;
mod store_faults;
mod traces;
