//! Processes of services, and their place in the network.

use std::net::SocketAddr;

use tokio::time::Instant;

use super::{Error, Ground, child::Child, questions::parsed};
use crate::{
    proxy::{Route, Routed},
    topology::FRONT_END,
};

/// A process of a service.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) child: Child,
    /// Where it listens, past the network.
    pub(super) listen: SocketAddr,
    /// Where faults can be had.
    pub(super) control: SocketAddr,
}

impl Ground {
    /// Starts a process of `service`, again where one listened before; it is in the network once it is admitted.
    pub(super) async fn launch(&self, service: &str, listened: Option<SocketAddr>) -> Result<Child, Error> {
        let host = self.addresses.service(service);
        // A new pod has a new address, which the others have to find; the front end's users know but one.
        let moved = listened.is_some() && service != FRONT_END;
        let announced = self.route(service, None, moved).await?;
        let data = self.options.directory.join("data").join(service);
        let listen = listened.unwrap_or_else(|| SocketAddr::new(host, 0));
        let arguments = [
            "service".to_owned(),
            format!("--control={host}:0"),
            format!("--source={host}"),
            format!("--session-timeout-seconds={}", self.options.session_timeout.as_secs_f64()),
        ];
        let variables = [
            ("PYMICRO_SERVICE", service.to_owned()),
            ("PYMICRO_LISTEN", listen.to_string()),
            ("PYMICRO_ZOOKEEPER", self.zookeeper.address.to_string()),
            ("PYMICRO_ADVERTISE", announced.to_string()),
            ("PYMICRO_DATA", data.display().to_string()),
        ];
        self.program.pymicro(service, &arguments, variables)
    }

    /// Waits until a process that was launched listens, and opens the network for it.
    pub(super) async fn admit(
        &self,
        service: &str,
        mut child: Child,
        deadline: Instant,
    ) -> Result<Instance, Error> {
        let told = child.ready(deadline).await?;
        let control = told.control.ok_or_else(|| child.not_ready("has no control address"))?;
        self.route(service, Some(told.listen), false).await?;
        Ok(Instance { child, listen: told.listen, control })
    }

    /// Tells the network where the process of `service` listens; the address that others reach it at.
    pub(super) async fn route(
        &self,
        service: &str,
        upstream: Option<SocketAddr>,
        moved: bool,
    ) -> Result<SocketAddr, Error> {
        let route = Route { upstream, source: self.addresses.service(service), moved };
        let path = format!("/routes/{service}");
        let answer = self.questions.put(self.network, &path, &route).await?;
        let routed: Routed = parsed(self.network, &path, &answer)?;
        Ok(routed.listen)
    }
}
