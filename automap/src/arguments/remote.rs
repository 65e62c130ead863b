//! Flags that tell who is asked, and where what is learned stays.

use std::path::PathBuf;

use clap::Args;

/// A walker in another process.
#[derive(Debug, Default, Args)]
pub struct RemoteArgs {
    /// Ask this walker, http://host:port or https://host:port; without it the services run inside this process.
    #[arg(long, value_name = "URL", env = "AUTOMAP_SERVER")]
    pub server: Option<String>,
    /// How it is reached.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// How the service that `--server` names is reached.
#[derive(Debug, Default, Clone, Args)]
pub struct ConnectionArgs {
    /// Authorities that are trusted, PEM; without it those of the system.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CA", requires = "server")]
    pub ca: Option<PathBuf>,
    /// Certificate to show, PEM.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CERT", requires = "server")]
    pub cert: Option<PathBuf>,
    /// Key of the certificate, PEM.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_KEY", requires = "server")]
    pub key: Option<PathBuf>,
    /// Name that it must prove, where it is not the host of its address.
    #[arg(long, value_name = "NAME", requires = "server")]
    pub server_name: Option<String>,
    /// File with the token that says who calls.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_TOKEN_FILE", requires = "server")]
    pub token_file: Option<PathBuf>,
    /// Send the token also over http:// to another machine, where something else keeps it secret on the way.
    #[arg(long, requires = "token_file")]
    pub token_in_clear: bool,
}

/// Where the embedded profiler keeps its memory.
#[derive(Debug, Default, Args)]
pub struct MemoryArgs {
    /// Directory of the store; without it the user's state directory.
    #[arg(long, value_name = "DIR", env = "AUTOMAP_STORE", conflicts_with = "server")]
    pub store: Option<PathBuf>,
    /// Keep nothing of this incident.
    #[arg(long)]
    pub no_record: bool,
}
