//! The service over a real loopback listener.

mod claims;
mod learning;
mod normal_behaviour;
mod records;
mod refusals;
mod renewal;
mod running;
mod transfer;
