//! Servers and clients of this crate against each other and against strangers, on loopback.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state facts; a failed unwrap is a failed test"
)]

mod access;
mod limits;
mod pki;
mod running;
mod strangers;
mod tls;
