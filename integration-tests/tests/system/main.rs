//! The real command and the real services, as processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed unwrap is a failed test, also in the functions that tests share"
)]

mod access;
mod admin_port;
mod alerting;
mod alerts_again;
mod alerts_shared;
mod alerts_storm;
mod bad_input;
mod bad_windows;
mod bench;
mod calls;
mod causal_learn;
mod client_limits;
mod command_settings;
mod configuration;
mod contract;
mod deadlines;
mod demo;
mod deployment;
mod documented_settings;
mod edge_tests;
mod evaluation;
mod experiment;
mod faults;
mod foreign_clients;
mod graph;
mod hostile_connections;
mod hostile_messages;
mod incidents;
mod large_input;
mod learning;
mod lifecycle;
mod live_diagnosis;
mod live_windows;
mod logs;
mod manners;
mod memory;
mod normal_history;
mod overload;
mod page;
mod page_login;
mod peers_down;
mod presets;
mod profiler_restart;
mod pymicro;
mod query_faults;
#[cfg(feature = "recorded-incidents")]
mod recorded_incidents;
mod rotation;
mod several_hosts;
mod several_walkers;
mod sink_burst;
mod slow_source;
mod spread;
mod started_diagnoses;
mod store;
mod store_disk;
mod store_faults;
mod terminal;
mod tls;
mod told_in_time;
mod traces;
mod two_servers;
mod unknown_front_end;
mod walker_calls;
mod without_a_store;
mod wrong_turns;
