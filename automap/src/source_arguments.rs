//! Flags about servers that are queried: which, with what preset, and over which time.

use std::path::PathBuf;

use automap_collector::query::preset;
use clap::{Args, ValueEnum};

use crate::{
    arguments::{AnswerFormat, parse_pair},
    named_value::NamedValue,
};

/// Examples of `collect`.
pub const COLLECT_EXAMPLES: &str = "\
Examples:
  automap collect --source http://prometheus:9090 --preset istio \\
      --from 2026-03-01T09:00:00Z --to 2026-03-01T10:30:00Z --out incident
  automap collect --source prod --config automap.toml --from 1772355600 \\
      --to 1772361000 --out incident --front-end web \\
      --anomaly-start 2026-03-01T10:20:00Z
  automap collect --source http://victoria:8428 --preset kubernetes \\
      --variable namespace=shop --from … --to … --out arrays --format npy

The directory is one that `automap diagnose` reads: metrics.csv, incident.json,
and where the source knows who calls whom call_graph.csv and edges.csv
(timestamp,caller,callee,latency,throughput,availability). With --format npy it
holds an array per series, services x time, and services.txt, timestamps.npy.

Exit codes: 0 collected, 1 failed, 2 wrong usage, 3 the source holds nothing of
the preset";

/// Examples of `check`.
pub const CHECK_EXAMPLES: &str = "\
Examples:
  automap check --source http://prometheus:9090 --preset kubernetes
  automap check --source https://mimir.example/prometheus --preset istio \\
      --source-token-file token --header X-Scope-OrgID=shop
  automap check --source prod --config automap.toml --output json

Tells whether the server answers and knows who asks, how often samples are
taken, whether it has history, which series of the preset exist for how many
services, and what to change for the rest.

Exit codes: 0 a diagnosis can be tried, 1 failed, 2 wrong usage, 3 the source
holds nothing of the preset";

/// A server that is queried. Flags override what a configuration file says of it.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// Address of a server with the HTTP API of Prometheus (what comes before /api/v1), or the name of one in the
    /// configuration (collector.sources.NAME).
    #[arg(long, value_name = "URL|NAME")]
    pub source: Option<String>,
    /// Preset of expressions; not needed where expressions of your own are given.
    #[arg(long, value_name = "PRESET", requires = "source", value_parser = NamedValue::<String>::of(preset::names()))]
    pub preset: Option<String>,
    /// Expression of a series in place of the preset's, such as latency='avg by (app) (my_latency{})'; an empty one leaves
    /// the series out; may be given many times.
    #[arg(long = "expression", value_name = "SERIES=PROMQL", requires = "source", value_parser = parse_pair)]
    pub expressions: Vec<(String, String)>,
    /// Label that names the service, of one series or of default.
    #[arg(long = "label", value_name = "SERIES=LABEL", requires = "source", value_parser = parse_pair)]
    pub labels: Vec<(String, String)>,
    /// Variable of the preset, such as namespace=shop.
    #[arg(long = "variable", value_name = "NAME=VALUE", requires = "source", value_parser = parse_pair)]
    pub variables: Vec<(String, String)>,
    /// Name of a service in place of the value of its label.
    #[arg(long = "rename", value_name = "VALUE=SERVICE", requires = "source", value_parser = parse_pair)]
    pub renames: Vec<(String, String)>,
    /// How often the server takes samples, such as 15s; without it seen from the samples.
    #[arg(long, value_name = "DURATION", requires = "source")]
    pub scrape_interval: Option<String>,
    /// How far behind now a window ends; without it 0s, and 30s of VictoriaMetrics.
    #[arg(long, value_name = "DURATION", requires = "source")]
    pub end_offset: Option<String>,
    /// File with a bearer token for that server.
    #[arg(long, value_name = "FILE", requires = "source")]
    pub source_token_file: Option<PathBuf>,
    /// User name of basic authentication.
    #[arg(long, value_name = "NAME", requires = "source")]
    pub username: Option<String>,
    /// File with the password of basic authentication.
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// Header of every query, such as X-Scope-OrgID=shop; may be given many times.
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "source", value_parser = parse_pair)]
    pub headers: Vec<(String, String)>,
    /// Proxy through which the server is reached, or none; without it as HTTPS_PROXY and NO_PROXY say.
    #[arg(long, value_name = "URL", requires = "source")]
    pub proxy: Option<String>,
    /// Authorities that the server's certificate may be of, PEM; without it those of the system.
    #[arg(long, value_name = "FILE", requires = "source")]
    pub source_ca: Option<PathBuf>,
    /// Certificate to show to the server, PEM.
    #[arg(long, value_name = "FILE", requires = "source_key")]
    pub source_cert: Option<PathBuf>,
    /// Key of that certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "source_cert")]
    pub source_key: Option<PathBuf>,
    /// Configuration file in which sources are named, TOML.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CONFIG")]
    pub config: Option<PathBuf>,
}

/// The window of a diagnosis whose metrics are queried.
#[derive(Debug, Clone, Args)]
pub struct WindowArgs {
    /// When the incident was seen, or ended: unix seconds, or a time such as 2026-03-01T10:20:00Z; without it now.
    #[arg(long, value_name = "TIME", requires = "source")]
    pub at: Option<String>,
    /// How long before that the incident is taken to have begun, unless --anomaly-start says.
    #[arg(long, value_name = "DURATION", requires = "source", default_value = "10m")]
    pub incident_length: String,
    /// How much normal behaviour is collected before the incident.
    #[arg(long, value_name = "DURATION", requires = "source", default_value = "60m")]
    pub normal_length: String,
}

impl Default for WindowArgs {
    fn default() -> Self {
        Self { at: None, incident_length: "10m".into(), normal_length: "60m".into() }
    }
}

/// Arguments of `collect`.
#[derive(Debug, Args)]
pub struct CollectArgs {
    /// The server.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Start of the window: unix seconds, or a time such as 2026-03-01T10:20:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// End of the window.
    #[arg(long, value_name = "TIME")]
    pub to: String,
    /// New directory in which the metrics are put.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How they are put there.
    #[arg(long, value_enum, default_value_t)]
    pub format: RecordingFormat,
    /// Distance of samples, such as 15s; auto is the call-weighted interval, but at least the scrape interval.
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// The service that alerts, where it is known.
    #[arg(long, value_name = "SERVICE")]
    pub front_end: Option<String>,
    /// When the anomaly began, where it is known.
    #[arg(long, value_name = "TIME")]
    pub anomaly_start: Option<String>,
    /// When it ended.
    #[arg(long, value_name = "TIME", requires = "anomaly_start")]
    pub anomaly_end: Option<String>,
    /// Name of the application.
    #[arg(long)]
    pub system: Option<String>,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// How collected metrics are put into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum RecordingFormat {
    /// metrics.csv, as `automap diagnose` reads it.
    #[default]
    Csv,
    /// An array per series, services x time, as numpy reads it.
    Npy,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The server.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Distance of samples, such as 15s, or auto.
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// How far back there must be samples: the normal behaviour before an incident.
    #[arg(long, value_name = "DURATION", default_value = "70m")]
    pub history: String,
    /// How the findings are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
