//! A harness that runs the real command and the real services as processes of their own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | the command `automap`, run to its end |
//! | [`processes`] | services on free loopback ports, as one process or as four |
//! | [`otlp_receiver`] | a receiver of spans |
//! | [`foreign`] | clients that others wrote |
//! | [`http`] | requests to admin ports |
//! | [`recording`] | incident directories for tests |
//! | [`skeletons`] | skeletons by the command and by causal-learn |
//! | [`python`] | scripts around other implementations |
//! | [`browser`] | a browser without a window, and what it fetches |
//! | [`store_faults`] | kills, power failures and damage, on the real server |
//! | [`answers`] | JSON answers without what may differ from run to run |

pub mod answers;
pub mod browser;
pub mod command;
pub mod foreign;
pub mod http;
pub mod otlp_receiver;
pub mod processes;
pub mod python;
pub mod recording;
pub mod skeletons;
pub mod store_faults;
