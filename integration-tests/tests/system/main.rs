//! The real command and the real services, as processes.

mod bad_input;
mod demo;
mod deployment;
mod graph;
mod hostile_messages;
mod large_input;
mod lifecycle;
mod memory;
#[cfg(feature = "recorded-incidents")]
mod recorded_incidents;
