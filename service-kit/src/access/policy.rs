//! What each RPC of a service demands of its caller.

use super::Role;

/// What a service demands of its callers: a table that holds every RPC of its contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Full name of the service, `automap.v1.WalkerService`.
    pub service: &'static str,
    /// The role that each RPC needs, by its name; by its whole path where it belongs to a service beside.
    pub roles: &'static [(&'static str, Role)],
    /// Whether the service tells systems apart. One that does not refuses callers who may know of some only.
    pub knows_systems: bool,
}

impl Policy {
    /// The name of the RPC that a path of HTTP/2 asks for, with the role that it needs.
    pub fn of<'a>(&self, path: &'a str) -> (&'a str, Role) {
        if let Some((_, role)) = self.roles.iter().find(|(known, _)| *known == path) {
            return (path.rsplit('/').next().unwrap_or(path), *role);
        }
        let method = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(self.service));
        let Some(name) = method.and_then(|rest| rest.strip_prefix('/')) else {
            return (path, Role::Admin);
        };
        (name, self.role(name))
    }

    /// The role that an RPC needs, by its name; what the table does not hold needs the highest.
    pub fn role(&self, rpc: &str) -> Role {
        self.roles.iter().find(|(known, _)| *known == rpc).map_or(Role::Admin, |(_, role)| *role)
    }

    /// RPCs of the contract that the table does not hold, and entries that the contract does not have. For tests.
    pub fn differences(&self) -> Vec<String> {
        let prefix = format!("/{}/", self.service);
        let methods = crate::telemetry::methods::served_by(self.service);
        let contract: Vec<&str> = methods.keys().filter_map(|path| path.strip_prefix(&prefix)).collect();
        let own = self.roles.iter().map(|(name, _)| *name).filter(|name| !name.starts_with('/'));
        let table: Vec<&str> = own.collect();
        let missing =
            contract.iter().filter(|name| !table.contains(name)).map(|name| format!("no role for {name}"));
        let foreign =
            table.iter().filter(|name| !contract.contains(name)).map(|name| format!("no RPC {name}"));
        missing.chain(foreign).collect()
    }
}
