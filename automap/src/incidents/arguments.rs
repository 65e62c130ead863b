//! Arguments of `automap incidents`.

use automap_proto::metric::MetricKind;
use clap::{Args, Subcommand};

use crate::{arguments::AnswerFormat, named_value::NamedValue, profiler_client::StoreArgs};

/// Subcommands of `incidents`.
#[derive(Debug, Subcommand)]
pub enum IncidentsCommand {
    /// List past incidents, the one that was recorded last first.
    #[command(after_help = "\
Examples:
  automap incidents list
  automap incidents list --system shop --confirmed --limit 200
  automap incidents list --server http://profiler.automap:4313 --output json")]
    List(ListArgs),
    /// Show one incident: what was answered, and every confirmation with who gave it and when.
    #[command(after_help = "\
Examples:
  automap incidents show inc-3f9a12cc5d0e4b17
  automap incidents show inc-3f9a12cc5d0e4b17 --output json")]
    Show(ShowArgs),
    /// Name the root cause of an incident. A later confirmation replaces an earlier one; the history is kept.
    #[command(after_help = "\
Examples:
  automap incidents confirm inc-3f9a12cc5d0e4b17 cart
  automap incidents confirm inc-3f9a12cc5d0e4b17 cart db --metric cpu \\
      --note 'a loop in version 2.1' --by ada")]
    Confirm(ConfirmArgs),
    /// Say that the diagnosis was wrong, without naming a root cause. Takes back an earlier confirmation as well.
    #[command(after_help = "\
Examples:
  automap incidents reject inc-3f9a12cc5d0e4b17 --note 'the load test of Monday'")]
    Reject(RejectArgs),
    /// Find the past incidents that resemble one most.
    #[command(after_help = "\
Examples:
  automap incidents similar inc-3f9a12cc5d0e4b17
  automap incidents similar inc-3f9a12cc5d0e4b17 --confirmed --limit 3 \\
      --output json")]
    Similar(SimilarArgs),
    /// Remove incidents with their confirmations, for good.
    #[command(after_help = "\
Examples:
  automap incidents delete inc-3f9a12cc5d0e4b17")]
    Delete(DeleteArgs),
}

impl IncidentsCommand {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "incidents list",
            Self::Show(_) => "incidents show",
            Self::Confirm(_) => "incidents confirm",
            Self::Reject(_) => "incidents reject",
            Self::Similar(_) => "incidents similar",
            Self::Delete(_) => "incidents delete",
        }
    }
}

/// Arguments of `incidents list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only incidents of this application.
    #[arg(long)]
    pub system: Option<String>,
    /// Only incidents with a confirmed root cause.
    #[arg(long)]
    pub confirmed: bool,
    /// Most incidents that are listed.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `incidents show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Id of the incident.
    pub id: String,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Who judges, and what else is to be remembered.
#[derive(Debug, Args)]
pub struct JudgementArgs {
    /// Free text for those who read it later.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub note: String,
    /// Who says so.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "")]
    pub by: String,
}

/// Arguments of `incidents confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// Id of the incident.
    pub id: String,
    /// The services that caused it.
    #[arg(required = true, value_name = "SERVICE")]
    pub services: Vec<String>,
    /// The metric that showed the cause.
    #[arg(
        long,
        value_name = "METRIC",
        value_parser = NamedValue::<MetricKind>::of(MetricKind::ALL.map(MetricKind::name))
    )]
    pub metric: Option<MetricKind>,
    /// Who says so, and why.
    #[command(flatten)]
    pub judgement: JudgementArgs,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How the incident is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `incidents reject`.
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// Id of the incident.
    pub id: String,
    /// Who says so, and why.
    #[command(flatten)]
    pub judgement: JudgementArgs,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How the incident is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `incidents similar`.
#[derive(Debug, Args)]
pub struct SimilarArgs {
    /// Id of the incident.
    pub id: String,
    /// Most incidents that are found, up to 100.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Only incidents with a confirmed root cause.
    #[arg(long)]
    pub confirmed: bool,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `incidents delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Ids of the incidents.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Which memory.
    #[command(flatten)]
    pub place: StoreArgs,
}
