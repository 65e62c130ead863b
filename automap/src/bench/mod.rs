//! `automap bench`: what computations cost on this machine.

pub mod call_graph;
pub mod concurrent;
pub mod coordinator;
pub mod diagnose;
pub mod graph;
pub mod incidents;
pub mod load;
pub mod meter;
pub mod report;
pub mod store;
pub mod workers;
