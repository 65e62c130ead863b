//! The service over a real loopback listener. Every fault is followed by a call that succeeds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests state facts; a failed unwrap is a failed test")]

mod recordings;
mod running;
mod uploads;
