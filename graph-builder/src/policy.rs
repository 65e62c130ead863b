//! What each RPC of the graph-builder demands of its caller.

use automap_service_kit::access::{Policy, Role};

use crate::SERVICE_NAME;

/// Every RPC of the contract with the role that it needs.
pub const POLICY: Policy = Policy {
    service: SERVICE_NAME,
    roles: &[
        ("BuildGraph", Role::Diagnose),
        ("PutInput", Role::Diagnose),
        ("TestEdges", Role::Diagnose),
        ("TestResamples", Role::Diagnose),
        ("CheckPeer", Role::Diagnose),
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
