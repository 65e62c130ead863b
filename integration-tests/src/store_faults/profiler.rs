//! The server under test.

use std::{path::Path, time::Duration};

use automap_proto::v1::profiler_service_client::ProfilerServiceClient;
use automap_service_kit::client::{self, Channel};

use crate::processes::Service;

/// A profiler that does nothing of its own accord, with a checkpoint as soon as there is a little to put into it.
pub fn configuration(store: &Path) -> String {
    format!(
        "[profiler]\npath = {store:?}\nreserve-mib = 0\ncheckpoint-mib = 1\n\
         [profiler.schedule]\nhousekeeping-minutes = 0\nexport-hours = 0\n\
         [profiler.server]\nlisten = \"127.0.0.1:0\"\n"
    )
}

/// Starts it; `home` takes its configuration.
///
/// # Errors
/// It does not start; its log is in the error.
pub fn start(home: &Path, store: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Service> {
    Service::start_in(environment, home, "profiler", &configuration(store))
}

/// Starts it and kills it `after` so long; answers whether that was before it listened.
///
/// # Errors
/// It ended by itself before; its log is in the error.
pub fn kill_after(home: &Path, store: &Path, after: Duration) -> anyhow::Result<bool> {
    Service::kill_after(home, "profiler", &configuration(store), after)
}

/// A client of it with a connection of its own.
///
/// # Errors
/// None for a service that started.
pub fn connect(service: &Service) -> anyhow::Result<ProfilerServiceClient<Channel>> {
    Ok(ProfilerServiceClient::new(client::channel("address", &service.address)?))
}
