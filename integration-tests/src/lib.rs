//! A harness that runs the real command and the real services as processes of their own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | the command `automap`, run to its end |
//! | [`processes`] | services on free loopback ports, as one process or as four |
//! | [`recording`] | incident directories for tests |
//! | [`answers`] | JSON answers without what may differ from run to run |

pub mod answers;
pub mod command;
pub mod processes;
pub mod recording;
