//! `automap bench`: what building behaviour graphs, and remembering incidents, costs on this machine.

pub mod call_graph;
pub mod coordinator;
pub mod graph;
pub mod incidents;
pub mod load;
pub mod meter;
pub mod report;
pub mod store;
pub mod workers;
