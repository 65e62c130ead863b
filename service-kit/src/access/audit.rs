//! Who changed what is remembered: log lines of a target of their own.

use super::Caller;

/// The target of these lines; services write them whatever the filter of log lines says.
pub const TARGET: &str = "automap::audit";

/// Tells that a caller did something. `what` says what in the words of the RPC, `object` to which thing.
pub fn record(caller: &Caller, what: &str, object: &str) {
    let from = caller.address().map(|address| address.to_string()).unwrap_or_default();
    tracing::info!(
        target: TARGET,
        caller = caller.name(),
        proof = caller.proof().name(),
        role = caller.role().name(),
        from,
        what,
        object,
        "audit"
    );
}
