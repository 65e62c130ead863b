//! The contract of AutoMAP: the generated code of package `automap.v1`, and the validated domain types that its
//! messages decode into.
//!
//! | module | what it holds |
//! |---|---|
//! | [`v1`] | generated messages, clients and servers |
//! | [`metric`] | the seven metric types |
//! | [`time`] | instants, the sampling grid, windows |
//! | [`frame`] | named series over one grid |
//! | [`edge_frame`] | what callers measure of their calls |
//! | [`frame_stream`] | both cut into chunks, and put together again |
//! | [`incident`] | what the person on call knows, and which rows that makes normal or part of the incident |
//! | [`budget`] | how much testing a graph may take |
//! | [`call_graph`] | who calls whom |
//! | [`behavior_graph`] | the graph G(V, E, W) |
//! | [`edge_test`] | how surely the ends of an edge depend on each other |
//! | [`profile`] | service profiles and classes |
//! | [`graph_stream`] | behaviour graphs cut into parts, and put together again |
//! | [`load_removal`] | what is removed from series before they are tested |
//! | [`method`] | ranking methods |
//! | [`throughput`] | how much of one service's throughput that of another explains |
//! | [`settings`] | how behaviour graphs are built |
//! | [`ranking`] | ranked services with their evidence |
//! | [`hop`] | who calls whom along the path to a service |
//! | [`learned_weights`] | weights of evidence that confirmed incidents taught |
//! | [`assessment`] | how far an answer can be trusted |
//! | [`invalid`] | the one error of decoding: which field, what is wrong, what would be right |
//!
//! Wire types stop here: services decode a message with `TryFrom` at their border and compute on domain types,
//! which cannot be invalid once built.

pub mod assessment;
pub mod behavior_graph;
pub mod budget;
pub mod call_graph;
pub mod edge_frame;
pub mod edge_test;
pub mod frame;
pub mod frame_stream;
pub mod graph_stream;
pub mod hop;
pub mod incident;
pub mod invalid;
pub mod learned_weights;
pub mod load_removal;
pub mod method;
pub mod metric;
pub mod profile;
pub mod ranking;
mod sample_bytes;
pub mod settings;
pub mod throughput;
pub mod time;

/// Messages, clients and servers generated from the .proto files.
#[allow(missing_docs, clippy::all, unreachable_pub, unused_qualifications, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("automap.v1");
}

/// The package of the contract.
pub const PACKAGE: &str = "automap.v1";

/// The encoded `FileDescriptorSet` of the contract, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/automap.v1.descriptors"));
