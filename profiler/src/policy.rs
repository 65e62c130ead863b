//! What each RPC of the profiler demands of its caller.

use automap_service_kit::access::{Policy, Role};

use crate::SERVICE_NAME;

/// Every RPC of the contract with the role that it needs.
pub(crate) const POLICY: Policy = Policy {
    service: SERVICE_NAME,
    roles: &[
        ("AddNormalGraph", Role::Confirm),
        ("GetNormalGraph", Role::Read),
        ("AddNormalRows", Role::Confirm),
        ("GetNormalRows", Role::Read),
        ("GetBaselines", Role::Read),
        ("WeighMetrics", Role::Read),
        ("FindSimilarIncidents", Role::Read),
        ("RecordIncident", Role::Diagnose),
        ("ConfirmRootCause", Role::Confirm),
        ("GetIncident", Role::Read),
        ("ListIncidents", Role::Read),
        ("DeleteIncident", Role::Admin),
        ("PutDiagnosis", Role::Diagnose),
        ("GetDiagnosis", Role::Read),
        ("ListDiagnoses", Role::Read),
        ("ExportStore", Role::Admin),
        ("ImportStore", Role::Admin),
        ("GetStoreStatistics", Role::Read),
        ("/automap.v1.DiagnosisClaimService/ClaimDiagnosis", Role::Diagnose),
        ("/automap.v1.DiagnosisClaimService/RenewClaims", Role::Diagnose),
        ("/automap.v1.DiagnosisClaimService/RequestCancellation", Role::Diagnose),
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
