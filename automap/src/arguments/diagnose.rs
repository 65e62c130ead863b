//! Flags of `diagnose`.

use std::path::PathBuf;

use automap_proto::method::Method;
use clap::Args;

use super::{AnswerFormat, IncidentArgs, MemoryArgs, RemoteArgs, values::parse_setting};
use crate::{
    named_value::NamedValue,
    source_arguments::{SourceArgs, WindowArgs},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  automap diagnose incident
  automap diagnose incident --output json --graph graph.svg
  automap diagnose incident --graph answer.html --trace walk.jsonl
  automap diagnose --source http://prometheus:9090 --preset istio \\
      --front-end web
  automap diagnose --source http://prometheus:9090 --preset istio \\
      --front-end web --at 2026-03-01T10:30:00Z
  automap diagnose metrics.csv --front-end web \\
      --anomaly-start 2026-03-01T10:20:00Z
  zcat metrics.csv.gz | automap diagnose - --front-end web \\
      --anomaly-start 2026-03-01T10:20:00Z
  automap diagnose incident --method automap --set automap.alpha=0.01
  automap diagnose incident --server http://walker.automap:4310
  automap diagnose incident --server https://walker.automap:4310 --ca ca.pem \\
      --cert me.pem --key me.key

A directory holds metrics.csv (`timestamp`, then one column per series named
<service>_<metric>, split at the last underscore; metrics are latency,
throughput, cpu, io, memory, availability and variants such as latency-p99 or
io-read), and may hold incident.json (system, front_end, anomaly_start,
anomaly_end, step_seconds, exclude_intervals), call_graph.csv (caller,callee)
and edges.csv (timestamp,caller,callee,latency,throughput,availability). RCAEval
directories are read as they are.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 too little data to answer";

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// Directory of a recorded incident, or a lone metrics file, - for one on standard input; none with --source.
    #[arg(required_unless_present = "source", conflicts_with = "source")]
    pub path: Option<PathBuf>,
    /// What is known of the incident.
    #[command(flatten)]
    pub incident: IncidentArgs,
    /// The server whose metrics are asked, in place of a recording.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which of its samples.
    #[command(flatten)]
    pub window: WindowArgs,
    /// How services are ranked: evidence, automap, or a baseline.
    #[arg(long, default_value = "evidence", value_parser = NamedValue::<Method>::of(Method::ALL.map(Method::name)))]
    pub method: Method,
    /// Print only the first N services of the ranking table; JSON always has all.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Seeds every random choice.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Sets a parameter of the methods, such as automap.alpha=0.01; may be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, String)>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
    /// Tell of each edge of the behaviour graph the share of B bootstrap resamples in which it stands; as
    /// --set automap.bootstrap=B.
    #[arg(long, value_name = "B")]
    pub bootstrap_edges: Option<u32>,
    /// Draw the behaviour graph with the walked paths; the name ends in .svg, .dot, or .html for a page with the answer.
    #[arg(long, value_name = "FILE")]
    pub graph: Option<PathBuf>,
    /// Write every step of the simulated walks, one JSON object per line.
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The walker that is asked.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// What is remembered.
    #[command(flatten)]
    pub memory: MemoryArgs,
}
