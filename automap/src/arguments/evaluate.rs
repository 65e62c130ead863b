//! Flags of `evaluate`.

use std::path::PathBuf;

use automap_proto::method::Method;
use clap::Args;

use super::{
    AnswerFormat,
    values::{parse_count, parse_delay, parse_factor, parse_resamples, parse_setting},
};
use crate::{evaluate::learning::Learning, named_value::NamedValue};

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Directories below which incidents with a label.json are found; a folder of incidents is one dataset.
    #[arg(required = true, value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Methods to compare; without it all of them.
    #[arg(
        long = "method",
        value_name = "METHOD",
        value_parser = NamedValue::<Method>::of(Method::ALL.map(Method::name))
    )]
    pub methods: Vec<Method>,
    /// Seeds every random choice.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Sets a parameter of the methods; may be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, String)>,
    /// The alert fires so many incident lengths late, or early when negative; the window ends when it did. An incident that
    /// has no row left after a late alert, or too few normal rows before an early one, is a miss. Of several, such as
    /// 0,0.5,-0.5, each is reported beside the first, with every incident's mean over all.
    #[arg(
        long = "delay",
        value_name = "FRACTION",
        default_value = "0",
        allow_hyphen_values = true,
        value_delimiter = ',',
        value_parser = parse_delay
    )]
    pub delays: Vec<f64>,
    /// Cut the normal window to so many incident lengths before the alert, earlier faults not counted. A recording with
    /// fewer than five other normal rows stays as it is.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    pub normal_window: Option<f64>,
    /// Shuffle the names in every call graph, to see how often a wrong one is noticed; so many times for each incident,
    /// once without a number.
    #[arg(
        long,
        value_name = "TIMES",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1",
        value_parser = parse_count,
        conflicts_with_all = ["scores", "compare"]
    )]
    pub shuffle_calls: Option<usize>,
    /// Give normal rows in place of the incident, to see how often a root cause is named where nothing was wrong: of each
    /// recording the last rows before its incident that follow each other, as many as the incident has.
    #[arg(long, conflicts_with_all = [
        "delays", "normal_window", "shuffle_calls", "learn", "history", "exclude", "report", "scores", "compare"
    ])]
    pub no_fault: bool,
    /// Also measure every variant of the default method with one of its steps changed or left out.
    #[arg(long)]
    pub ablations: bool,
    /// Also measure what confirmed incidents teach: leave-one-out (from all others of the dataset), folds=K, or rounds
    /// (each from earlier ones).
    #[arg(long, value_name = "FROM")]
    pub learn: Option<Learning>,
    /// Remember the normal times of all recordings first, so that --set evidence.history-rows=N brings rows back where the
    /// normal window is short; only rows from before an incident's own are.
    #[arg(long, conflicts_with_all = ["learn", "scores", "compare"])]
    pub history: bool,
    /// Report also a mean without this dataset; may be given many times.
    #[arg(long, value_name = "DATASET")]
    pub exclude: Vec<String>,
    /// Resamples of the incidents from which the 95 % intervals are taken.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = parse_resamples)]
    pub bootstrap: usize,
    /// Write a report for people as one HTML file.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write the scores of every incident, to compare a later evaluation with.
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,
    /// Fail with exit code 4 when a method is worse than in these scores, or in this JSON report.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// Incidents that run at once; 0 means one per core.
    #[arg(long, default_value_t = 0)]
    pub jobs: usize,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
