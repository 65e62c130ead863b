//! A profiler to ask: one elsewhere, or one of this process on a store that no other process has open.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use automap_profiler::{
    ProfilerConfig,
    store::{care, error::StoreError},
};
use automap_proto::v1::profiler_service_client::ProfilerServiceClient;
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
    server,
};
use clap::Args;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::ConnectionArgs,
    failure::Failure,
    memory, store_place,
    walker_client::{is_of_another_role, remote_channel},
};

/// How long a local call may take, seconds: nobody waits for it but the person who typed the command.
const LOCAL_CALL_SECONDS: u64 = 7 * 24 * 3600;

/// Which store: in a directory, or that of a running profiler.
#[derive(Debug, Default, Clone, Args)]
pub struct StoreArgs {
    /// Directory of a store that no server has open; without it the user's state directory.
    #[arg(long, value_name = "DIR", env = "AUTOMAP_STORE", conflicts_with = "server")]
    pub store: Option<PathBuf>,
    /// Ask this running profiler, http://host:port or https://host:port.
    #[arg(long, value_name = "URL", env = "AUTOMAP_PROFILER")]
    pub server: Option<String>,
    /// How it is reached.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Whether a directory without a store will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A store that is there.
    Existing,
    /// One that is made when it is not there.
    Any,
}

/// A profiler that answers.
#[derive(Debug)]
pub struct Profiler {
    client: ProfilerServiceClient<Channel>,
    place: String,
    local: Option<Local>,
}

#[derive(Debug)]
struct Local {
    stop: CancellationToken,
    served: JoinHandle<Result<(), server::ServeError>>,
}

impl Profiler {
    /// The one that flags name.
    ///
    /// # Errors
    /// There is no such store, another process has it open, or an address or certificate cannot be used.
    pub async fn open(args: &StoreArgs, need: Need) -> Result<Self, Failure> {
        if let Some(url) = &args.server {
            let client = ProfilerServiceClient::new(remote_channel(url, &args.connection.client_config())?);
            return Ok(Self { client, place: format!("profiler at {url}"), local: None });
        }
        let path = directory(args.store.as_deref())?;
        if need == Need::Existing {
            care::require_store(&path).map_err(ServiceError::from)?;
        }
        Self::start(path).await
    }

    async fn start(path: PathBuf) -> Result<Self, Failure> {
        let mut config = ProfilerConfig { path, max_import_mib: usize::MAX, ..ProfilerConfig::default() };
        config.server.listen = "127.0.0.1:0".parse().context("an address")?;
        config.server.max_call_seconds = LOCAL_CALL_SECONDS;
        // A command does what it was asked to, and no chores.
        (config.schedule.housekeeping_minutes, config.schedule.export_hours) = (0, 0);
        let place = format!("store {}", config.path.display());
        // Before the first call, which would not wait for a store that takes its time.
        let store = automap_profiler::open_store(&config).await.map_err(|error| unopened(&error))?;
        let listener = server::bind(&config.server).await.map_err(anyhow::Error::new)?;
        let address = format!("http://{}", listener.local_addr()?);
        let client = ProfilerServiceClient::new(client::channel("server", &address)?);
        let stop = CancellationToken::new();
        let served = tokio::spawn(automap_profiler::serve(listener, store, config, stop.clone()));
        Ok(Self { client, place, local: Some(Local { stop, served }) })
    }

    /// Has `work` done with the client, ends a profiler of this process, and answers what the work brought.
    ///
    /// # Errors
    /// The work failed, or the store could not be opened or closed.
    pub async fn ask<T, F>(self, work: impl FnOnce(ProfilerServiceClient<Channel>) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let Self { client, place, local } = self;
        let answer = work(client).await;
        let Some(Local { stop, served }) = local else {
            return answer.map_err(|failure| elsewhere(failure, &place));
        };
        stop.cancel();
        served
            .await
            .context("the profiler of this process ended")?
            .map_err(|error| anyhow::anyhow!("{place}: {error}"))?;
        answer
    }
}

/// The directory that was named, else the user's store.
///
/// # Errors
/// The environment does not say where the user's store is.
pub fn directory(named: Option<&Path>) -> Result<PathBuf, Failure> {
    Ok(named.map_or_else(store_place::of_user, |path| Ok(path.to_owned()))?)
}

fn unopened(error: &StoreError) -> Failure {
    let hint = if matches!(error, StoreError::InUse(_)) { "; or ask it with --server URL" } else { "" };
    Failure::Failed(anyhow::anyhow!("{}{hint}", memory::problem(error)))
}

/// Names the profiler where it is the profiler that failed, and tells who was asked in its place.
fn elsewhere(failure: Failure, place: &str) -> Failure {
    let Failure::Failed(error) = failure else { return failure };
    match error.downcast::<ServiceError>() {
        Ok(error) if is_of_another_role(&error) => {
            let problem = format!("{place}: is no profiler; name the address of one (port 4313 by default)");
            Failure::Usage(problem)
        }
        Ok(error) => match error.code() {
            ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal => {
                error.context(place).into()
            }
            _ => error.into(),
        },
        Err(error) => Failure::Failed(error),
    }
}
