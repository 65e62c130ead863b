//! What each RPC of the walker demands of its caller.

use automap_service_kit::access::{Policy, Role};

use crate::SERVICE_NAME;

/// Every RPC of the contract with the role that it needs.
pub(crate) const POLICY: Policy = Policy {
    service: SERVICE_NAME,
    roles: &[
        ("Diagnose", Role::Diagnose),
        ("DiagnoseRecording", Role::Diagnose),
        ("StartDiagnosis", Role::Diagnose),
        ("GetDiagnosis", Role::Read),
        ("ListDiagnoses", Role::Read),
        ("CancelDiagnosis", Role::Diagnose),
        ("WatchDiagnoses", Role::Read),
        ("ExplainService", Role::Read),
        ("LearnRecording", Role::Confirm),
        ("LearnSource", Role::Confirm),
        ("ConfirmRootCause", Role::Confirm),
    ],
    knows_systems: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_has_a_role() {
        assert_eq!(POLICY.differences(), Vec::<String>::new());
    }
}
