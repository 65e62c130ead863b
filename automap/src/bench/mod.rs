//! `automap bench`: what building behaviour graphs costs on this machine.

pub mod graph;
pub mod load;
pub mod meter;
pub mod report;
