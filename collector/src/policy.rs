//! What each RPC of the collector demands of its caller.

use automap_service_kit::access::{Policy, Role};

use crate::serve::SERVICE_NAME;

/// Every RPC of the contract with the role that it needs.
pub(crate) const POLICY: Policy = Policy {
    service: SERVICE_NAME,
    roles: &[
        ("CollectFrame", Role::Diagnose),
        ("CollectRecording", Role::Diagnose),
        ("ListServices", Role::Read),
        ("CheckSource", Role::Diagnose),
    ],
    knows_systems: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_a_role() {
        assert_eq!(POLICY.differences(), Vec::<String>::new());
    }
}
