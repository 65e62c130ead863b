//! The service over a real connection.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap in a test fails the test")]

mod answers;
mod bad_requests;
mod callers;
#[path = "../linear_gaussian/mod.rs"]
mod linear_gaussian;
mod running;
mod shards;
