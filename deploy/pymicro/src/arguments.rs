//! What can be typed.

use std::{
    ffi::OsString,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use automap_pymicro::{
    load::{LoadOptions, Traffic},
    proxy::ProxyOptions,
    service::ServiceOptions,
    testbed::Options,
};
use clap::{Args, Parser, Subcommand};

/// A small application of sixteen services that can be harmed on purpose.
#[derive(Debug, Parser)]
#[command(name = "pymicro", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs one service.
    Service(ServiceArguments),
    /// Requests the front end, with a daily swing and noise.
    Load(LoadArguments),
    /// Runs the network between the services of a testbed.
    Proxy(ProxyArguments),
    /// Runs all services on this machine, with ZooKeeper and Prometheus, until Ctrl-C.
    Testbed(TestbedArguments),
    /// Starts a program that dies with its parent.
    #[command(hide = true)]
    Tie {
        /// The parent's process id.
        #[arg(long)]
        parent: u32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ServiceArguments {
    /// Which service: view, a to c, a1 to c3, db1 to db3.
    #[arg(long, env = "PYMICRO_SERVICE")]
    service: String,
    /// Address and port of requests, /healthz and /metrics.
    #[arg(long, env = "PYMICRO_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// ZooKeeper, host:port.
    #[arg(long, env = "PYMICRO_ZOOKEEPER", default_value = "127.0.0.1:2181")]
    zookeeper: String,
    /// The address that is announced; without a port, that of --listen is.
    #[arg(long, env = "PYMICRO_ADVERTISE", default_value = "127.0.0.1")]
    advertise: String,
    /// A directory for the disk work of requests.
    #[arg(long, env = "PYMICRO_DATA", default_value = "/tmp/pymicro")]
    data: PathBuf,
    /// The address that calls come from.
    #[arg(long)]
    source: Option<IpAddr>,
    /// Lets faults be put on the process at this address, which must be of loopback.
    #[arg(long)]
    control: Option<SocketAddr>,
    /// After so many seconds without signs of life ZooKeeper forgets the service.
    #[arg(long, env = "PYMICRO_SESSION_TIMEOUT_SECONDS", default_value = "5", value_parser = seconds)]
    session_timeout_seconds: Duration,
}

impl From<ServiceArguments> for ServiceOptions {
    fn from(arguments: ServiceArguments) -> Self {
        Self {
            service: arguments.service,
            listen: arguments.listen,
            zookeeper: arguments.zookeeper,
            advertise: arguments.advertise,
            data: arguments.data,
            source: arguments.source,
            control: arguments.control,
            session_timeout: arguments.session_timeout_seconds,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TrafficArguments {
    /// Mean rate of requests.
    #[arg(long, env = "PYMICRO_REQUESTS_PER_SECOND", default_value_t = Traffic::default().requests_per_second)]
    requests_per_second: f64,
    /// How far the day swings, from 0 to 1.
    #[arg(long, default_value_t = Traffic::default().swing)]
    swing: f64,
    /// How long a day lasts, in seconds.
    #[arg(long, default_value = "300", value_parser = seconds)]
    day_seconds: Duration,
    /// Standard deviation of the noise, from 0 to 1.
    #[arg(long, default_value_t = Traffic::default().noise)]
    noise: f64,
    /// Seed of noise and chance.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl From<TrafficArguments> for Traffic {
    fn from(arguments: TrafficArguments) -> Self {
        Self {
            requests_per_second: arguments.requests_per_second,
            swing: arguments.swing,
            day: arguments.day_seconds,
            noise: arguments.noise,
            seed: arguments.seed,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct LoadArguments {
    /// What is requested.
    #[arg(long, env = "PYMICRO_TARGET", default_value = "http://127.0.0.1:8080/")]
    target: String,
    /// Address and port of /healthz and /metrics.
    #[arg(long, env = "PYMICRO_LISTEN", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// The address that requests come from.
    #[arg(long)]
    source: Option<IpAddr>,
    /// Requests under way at once.
    #[arg(long, default_value_t = 100)]
    concurrency: usize,
    #[command(flatten)]
    traffic: TrafficArguments,
}

impl TryFrom<LoadArguments> for LoadOptions {
    type Error = anyhow::Error;

    fn try_from(arguments: LoadArguments) -> anyhow::Result<Self> {
        let traffic = Traffic::from(arguments.traffic);
        traffic.validate().map_err(anyhow::Error::msg)?;
        Ok(Self {
            target: arguments.target,
            listen: arguments.listen,
            source: arguments.source,
            traffic,
            concurrency: arguments.concurrency,
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct ProxyArguments {
    /// Where it is told routes and conditions; an address of loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Seed of jitter and losses.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl From<ProxyArguments> for ProxyOptions {
    fn from(arguments: ProxyArguments) -> Self {
        Self { control: arguments.control, seed: arguments.seed }
    }
}

#[derive(Debug, Args)]
pub(crate) struct TestbedArguments {
    /// Where logs, data and samples lie.
    #[arg(long)]
    directory: PathBuf,
    /// How often Prometheus asks every service, in seconds.
    #[arg(long, default_value = "5", value_parser = seconds)]
    scrape_interval_seconds: Duration,
    /// How long it may take until everything is ready, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    patience_seconds: Duration,
    #[command(flatten)]
    traffic: TrafficArguments,
}

impl From<TestbedArguments> for Options {
    fn from(arguments: TestbedArguments) -> Self {
        let seed = arguments.traffic.seed;
        Self {
            scrape_interval: arguments.scrape_interval_seconds,
            traffic: arguments.traffic.into(),
            seed,
            patience: arguments.patience_seconds,
            ..Self::in_directory(arguments.directory)
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
