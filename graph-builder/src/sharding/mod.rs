//! Spreading the tests of a build over peers: what goes where, and what to do when a peer fails. Pure: time is a number
//! that is passed in, and what is decided comes out as orders.
//!
//! | module | what it holds |
//! |---|---|
//! | [`coordinator`] | shards, leases, hedging: the decisions |
//! | [`worker`] | what the coordinator knows of one worker |
//! | [`cost`] | when shipping pays, and how large shards are |
//! | [`resamples`] | bootstrap resamples in shards |
//! | [`skeleton_code`] | skeletons as bits |
//! | [`simulation`] | the decisions under faults, thousands of times |

pub mod coordinator;
pub mod cost;
pub mod resamples;
pub mod simulation;
pub mod skeleton_code;
pub mod worker;
