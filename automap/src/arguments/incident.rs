//! Flags that tell what is known of an incident.

use std::path::PathBuf;

use clap::Args;

/// What is known of an incident; each flag overrides the recording.
#[derive(Debug, Default, Args)]
pub struct IncidentArgs {
    /// The service that alerts.
    #[arg(long, value_name = "SERVICE")]
    pub front_end: Option<String>,
    /// When the anomaly began: unix seconds, or a time such as 2026-03-01T10:20:00Z.
    #[arg(long, value_name = "TIME")]
    pub anomaly_start: Option<String>,
    /// The anomaly may have begun before --anomaly-start, the time of an alert: one row since then is enough.
    #[arg(long)]
    pub late_alert: bool,
    /// When it ended; without it, with the data.
    #[arg(long, value_name = "TIME")]
    pub anomaly_end: Option<String>,
    /// Name of the application, under which normal behaviour and past incidents are kept; without it that of incident.json, else
    /// of the recording's directory, or `default` with --source: the answer then says so.
    #[arg(long)]
    pub system: Option<String>,
    /// Sampling step, such as 15s; with auto, or where nothing says it, the median distance of the timestamps.
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,
    /// File with the call graph (caller,callee).
    #[arg(long, value_name = "FILE")]
    pub call_graph: Option<PathBuf>,
    /// File with what callers measured of their calls (timestamp,caller,callee,latency,throughput,availability).
    #[arg(long, value_name = "FILE")]
    pub edges: Option<PathBuf>,
}
