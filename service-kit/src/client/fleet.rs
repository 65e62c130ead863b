//! Every address of a list of names on its own, for callers that choose whom to call.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use super::{Channel, balanced::Balanced, members::Members, token::ShownToken};
use crate::telemetry::client_calls::ObservedClient;

/// All addresses behind a list of URLs, each with a channel of its own. Names are looked up again and again, so that an
/// address added is found and one taken away is dropped. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Fleet {
    names: Vec<Arc<Members>>,
    token: Option<ShownToken>,
}

impl Fleet {
    pub(super) const fn new(names: Vec<Arc<Members>>, token: Option<ShownToken>) -> Self {
        Self { names, token }
    }

    /// The addresses that are known now, each once, with a channel that calls that one only. A channel taken again calls
    /// over the same connection.
    pub fn members(&self) -> BTreeMap<SocketAddr, Channel> {
        let members = self.names.iter().flat_map(|name| name.known());
        let calling = |member| Balanced::new(Members::only(member), self.token.clone());
        members.map(|member| (member.address, ObservedClient::new(calling(member)))).collect()
    }
}
