//! The RPCs that a service knows, from the contract: names for spans, and labels for metrics that no caller can invent.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// One RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Full name of its service, `automap.v1.WalkerService`.
    pub service: String,
    /// Its name, `Diagnose`.
    pub name: String,
    /// `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    pub kind: &'static str,
    /// Whether it belongs to the service itself, as opposed to health and reflection, which are called all the time.
    pub own: bool,
}

impl Method {
    /// `automap.v1.WalkerService/Diagnose`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.service, self.name)
    }

    /// What every path stands for that the service does not know.
    pub fn unknown() -> Self {
        Self { service: "unknown".into(), name: "unknown".into(), kind: "unary", own: false }
    }
}

/// Services, and what is served beside them: called all the time, too.
const BESIDE: [(&str, &str); 1] = [("automap.v1.ProfilerService", "automap.v1.DiagnosisClaimService")];

/// The RPCs of a server by their path, `/automap.v1.WalkerService/Diagnose`: those of `service`, of health and of
/// reflection.
pub fn served_by(service: &str) -> BTreeMap<String, Method> {
    let mut methods = BTreeMap::new();
    let sets = [
        automap_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    for bytes in sets {
        // They were encoded when this was built; one that cannot be read leaves its calls without a name.
        for file in FileDescriptorSet::decode(bytes).unwrap_or_default().file {
            let package = file.package();
            for described in &file.service {
                let full_name = format!("{package}.{}", described.name());
                let own = full_name == service;
                let beside = BESIDE.contains(&(service, &full_name));
                if package == automap_proto::PACKAGE && !own && !beside {
                    continue;
                }
                for method in &described.method {
                    let kind = match (method.client_streaming(), method.server_streaming()) {
                        (false, false) => "unary",
                        (true, false) => "client_stream",
                        (false, true) => "server_stream",
                        (true, true) => "bidi_stream",
                    };
                    methods.insert(
                        format!("/{full_name}/{}", method.name()),
                        Method { service: full_name.clone(), name: method.name().into(), kind, own },
                    );
                }
            }
        }
    }
    methods
}

/// The role of a service: `automap.v1.GraphBuilderService` is `graph-builder`.
pub fn role(service: &str) -> String {
    let name = service.rsplit('.').next().unwrap_or(service);
    let name = name.strip_suffix("Service").unwrap_or(name);
    let mut role = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !role.is_empty() {
            role.push('-');
        }
        role.extend(letter.to_lowercase());
    }
    role
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_knows_its_own_methods_and_those_of_health_and_reflection() {
        let methods = served_by("automap.v1.WalkerService");
        let diagnose = &methods["/automap.v1.WalkerService/Diagnose"];
        assert_eq!((diagnose.kind, diagnose.own), ("server_stream", true));
        assert_eq!(diagnose.full_name(), "automap.v1.WalkerService/Diagnose");
        assert_eq!(methods["/automap.v1.WalkerService/DiagnoseRecording"].kind, "bidi_stream");
        assert_eq!(methods["/automap.v1.WalkerService/GetDiagnosis"].kind, "unary");
        assert!(!methods["/grpc.health.v1.Health/Check"].own);
        assert!(methods.contains_key("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
        assert!(methods.contains_key("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
        assert!(methods.keys().all(|path| !path.contains("ProfilerService")));
        let claims =
            &served_by("automap.v1.ProfilerService")["/automap.v1.DiagnosisClaimService/RenewClaims"];
        assert!(!claims.own && !methods.keys().any(|path| path.contains("DiagnosisClaimService")));
    }

    #[test]
    fn roles_are_the_names_that_people_type() {
        assert_eq!(role("automap.v1.WalkerService"), "walker");
        assert_eq!(role("automap.v1.GraphBuilderService"), "graph-builder");
    }
}
