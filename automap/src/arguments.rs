//! The command line: subcommands, flags, and the help that explains them.

use std::path::PathBuf;

use automap_proto::{
    budget::TestBudget,
    load_removal::LoadRemoval,
    method::Method,
    metric::{METRIC_COUNT, MetricKind},
    settings::{Bins, CiTest},
};
use automap_service_kit::logging::LogFormat;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::{
    bench::{call_graph::CallGraphArgs, coordinator::CoordinatorArgs},
    evaluate::learning::Learning,
    experiment::arguments::ExperimentCommand,
    incidents::arguments::IncidentsCommand,
    named_value::NamedValue,
    source_arguments::{CHECK_EXAMPLES, COLLECT_EXAMPLES, CheckArgs, CollectArgs, SourceArgs, WindowArgs},
    store::arguments::StoreCommand,
};

const EXIT_CODES: &str = "\
Exit codes:
  0  answered
  1  failed: a file, a source or a service
  2  wrong usage: an unknown flag, front end or parameter
  3  too little data to answer
  4  `evaluate --compare` found a method worse than before
  5  a store is damaged, or not all of it could be salvaged";

/// Finds the root cause of a misbehaving microservice application from its metrics alone.
#[derive(Debug, Parser)]
#[command(name = "automap", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How much is told.
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}

/// How much is told on standard error; results go to standard output.
#[derive(Debug, Clone, Copy, Args)]
pub struct VerbosityArgs {
    /// Tell nothing but errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Tell what is being done; twice for details. The variable AUTOMAP_LOG sets a finer filter.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Diagnose a bundled incident: no cluster, no network, no arguments.
    #[command(after_help = "\
Examples:
  automap demo
  automap demo --incident simulated                # a made-up shop in place of what was recorded
  automap demo --export incident                   # write the incident as files, to try `automap diagnose incident`
  automap demo --incident all --export incidents   # all that were recorded, with their answers, for `automap evaluate`

The recorded incidents are rounds of `automap experiment run` on this project's own test application.")]
    Demo(DemoArgs),
    /// Diagnose an incident, recorded or live, and rank the services that may have caused it.
    #[command(after_help = DIAGNOSE_EXAMPLES)]
    Diagnose(Box<DiagnoseArgs>),
    /// Collect the metrics of a window from Prometheus or VictoriaMetrics into a directory.
    #[command(after_help = COLLECT_EXAMPLES)]
    Collect(Box<CollectArgs>),
    /// Check what a Prometheus or VictoriaMetrics holds for a diagnosis, and what to change.
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArgs>),
    /// Diagnose labelled incidents and report how often the root cause was ranked first.
    #[command(after_help = "\
Examples:
  automap evaluate incidents
  automap evaluate incidents --method evidence --method n-sigma --method random --output json
  automap evaluate incidents --ablations --report report.html
  automap evaluate incidents --delay 0.5 --normal-window 1.5      # an alert that is late, little normal behaviour
  automap evaluate incidents --method evidence --learn rounds     # what confirmed incidents teach
  automap evaluate incidents --scores scores.json                 # keep, to compare with later:
  automap evaluate incidents --compare scores.json

A folder of incident directories is one dataset; each holds what `automap diagnose` reads, and label.json:
{\"root_cause_services\": [\"cart\"], \"root_cause_metric\": \"cpu\", \"fault_type\": \"cpu_contention\"}, the last two optional.

Exit codes: 0 measured, 1 failed, 2 wrong usage, 4 worse than the scores of --compare")]
    Evaluate(EvaluateArgs),
    /// Harm a demonstration application on purpose and see who finds the root cause.
    #[command(subcommand)]
    Experiment(ExperimentCommand),
    /// Build the behaviour graph of a recorded incident, without a diagnosis.
    #[command(after_help = "\
Examples:
  automap graph incident --output svg > graph.svg
  automap graph incident --window normal --metrics latency,cpu --alpha 0.01 --output json")]
    Graph(GraphArgs),
    /// Remember the normal behaviour that recordings or a server show, without a diagnosis.
    #[command(after_help = "\
Examples:
  automap learn recordings                       # every recording below
  automap learn day.csv --system shop
  automap learn recordings --server http://walker.automap:4310
  automap learn --source http://prometheus:9090 --preset istio --system shop --from 2026-03-01T00:00:00Z

Rows of an incident that a recording knows, of the intervals that it excludes, of incidents that are remembered, and of
their aftermath are left out. Of each service a bounded sample of rows is kept in which newer rows are likelier; the same
row counts once. A diagnosis adds them to its own normal rows where these are few and evidence.history-rows says so.

Exit codes: 0 learned, 1 failed, 2 wrong usage")]
    Learn(Box<LearnArgs>),
    /// Measure what computations cost on this machine.
    #[command(subcommand)]
    Bench(BenchCommand),
    /// Run one of the services, or all of them in one process.
    #[command(after_help = "\
Examples:
  automap serve all
  automap serve walker --config automap.toml
  automap serve walker --set walker.server.listen=0.0.0.0:4310
  AUTOMAP_WALKER__SERVER__LISTEN=0.0.0.0:4310 automap serve walker")]
    Serve(ServeArgs),
    /// Look at past incidents, and say what caused them.
    #[command(subcommand)]
    Incidents(IncidentsCommand),
    /// Verify, export, import, back up, compact or salvage the profiler's memory.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show what services are configured with, and what can be configured.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completion script of a shell.
    #[command(after_help = "\
Examples:
  automap completions bash > ~/.local/share/bash-completion/completions/automap
  automap completions zsh > ~/.zfunc/_automap
  automap completions fish > ~/.config/fish/completions/automap.fish")]
    Completions(CompletionsArgs),
    /// Print the manual page.
    #[command(after_help = "\
Examples:
  automap man | man -l -
  automap man --directory ~/.local/share/man/man1   # with the pages of the subcommands")]
    Man(ManArgs),
}

impl Command {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Demo(_) => "demo",
            Self::Diagnose(_) => "diagnose",
            Self::Collect(_) => "collect",
            Self::Check(_) => "check",
            Self::Evaluate(_) => "evaluate",
            Self::Experiment(command) => command.name(),
            Self::Graph(_) => "graph",
            Self::Learn(_) => "learn",
            Self::Bench(_) => "bench",
            Self::Serve(_) => "serve",
            Self::Incidents(command) => command.name(),
            Self::Store(command) => command.name(),
            Self::Config(_) => "config",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

const DIAGNOSE_EXAMPLES: &str = "\
Examples:
  automap diagnose incident
  automap diagnose incident --output json --graph graph.svg
  automap diagnose incident --graph answer.html --trace walk.jsonl
  automap diagnose --source http://prometheus:9090 --preset istio --front-end web
  automap diagnose --source http://prometheus:9090 --preset istio --front-end web --at 2026-03-01T10:30:00Z
  automap diagnose metrics.csv --front-end web --anomaly-start 2026-03-01T10:20:00Z
  automap diagnose incident --method automap --set automap.alpha=0.01
  automap diagnose incident --server http://walker.automap:4310
  automap diagnose incident --server https://walker.automap:4310 --ca ca.pem --cert me.pem --key me.key

A directory holds metrics.csv (`timestamp`, then one column per series named <service>_<metric>, split at the last
underscore; metrics are latency, throughput, cpu, io, memory, availability and variants such as latency-p99 or io-read),
and may hold incident.json (system, front_end, anomaly_start, anomaly_end, step_seconds, exclude_intervals),
call_graph.csv (caller,callee) and edges.csv (timestamp,caller,callee,latency,throughput,availability). RCAEval directories are read as they are.

Exit codes: 0 answered, 1 failed, 2 wrong usage, 3 too little data to answer";

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which incident: round-01 and so on as they were recorded, simulated, or all (only to export them).
    #[arg(long, value_name = "NAME", default_value = crate::demo::DEFAULT_INCIDENT)]
    pub incident: String,
    /// Write the incident as files into this new directory, in place of diagnosing it.
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
    /// Where the drawing of the behaviour graph goes.
    #[arg(long, value_name = "FILE", default_value = "automap-demo.svg")]
    pub graph: PathBuf,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// Directory of a recorded incident, or a lone metrics file; none with --source.
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
    /// Name of the application, under which normal behaviour and past incidents are kept.
    #[arg(long)]
    pub system: Option<String>,
    /// Sampling step, seconds; without it the median distance of the timestamps.
    #[arg(long, value_name = "SECONDS")]
    pub step: Option<f64>,
    /// File with the call graph (caller,callee).
    #[arg(long, value_name = "FILE")]
    pub call_graph: Option<PathBuf>,
    /// File with what callers measured of their calls (timestamp,caller,callee,latency,throughput,availability).
    #[arg(long, value_name = "FILE")]
    pub edges: Option<PathBuf>,
}

/// A walker in another process.
#[derive(Debug, Default, Args)]
pub struct RemoteArgs {
    /// Ask this walker, http://host:port or https://host:port; without it the services run inside this process.
    #[arg(long, value_name = "URL", env = "AUTOMAP_SERVER")]
    pub server: Option<String>,
    /// Authorities that are trusted, PEM; without it those of the system.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CA", requires = "server")]
    pub ca: Option<PathBuf>,
    /// Certificate to show, PEM.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CERT", requires = "server")]
    pub cert: Option<PathBuf>,
    /// Key of the certificate, PEM.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_KEY", requires = "server")]
    pub key: Option<PathBuf>,
    /// Name that the walker must prove, where it is not the host of its address.
    #[arg(long, value_name = "NAME", requires = "server")]
    pub server_name: Option<String>,
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
    /// has no row left after a late alert, or too few normal rows before an early one, is a miss.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.0, allow_hyphen_values = true, value_parser = parse_delay)]
    pub delay: f64,
    /// Cut the normal window to so many incident lengths before the alert, earlier faults not counted. A recording with
    /// fewer than five other normal rows stays as it is.
    #[arg(long, value_name = "FACTOR", value_parser = parse_factor)]
    pub normal_window: Option<f64>,
    /// Shuffle the names in every call graph, to see how often a wrong one is noticed.
    #[arg(long, conflicts_with_all = ["scores", "compare"])]
    pub shuffle_calls: bool,
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

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Recordings, or directories below which they are found; none with --source.
    #[arg(required_unless_present = "source", conflicts_with = "source", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Name of the application; without it the one that each recording names, or `default`.
    #[arg(long)]
    pub system: Option<String>,
    /// The server whose metrics are asked, in place of recordings.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Start of what is learned of a server: unix seconds, or a time such as 2026-03-01T10:20:00Z; without it a day
    /// before its end.
    #[arg(long, value_name = "TIME", requires = "source")]
    pub from: Option<String>,
    /// End of what is learned of a server; without it now.
    #[arg(long, value_name = "TIME", requires = "source")]
    pub to: Option<String>,
    /// Remember also the behaviour graphs of windows of this length, such as 10m: the usual length of incidents.
    #[arg(long, value_name = "DURATION")]
    pub graph_window: Option<String>,
    /// Distance of a server's samples, such as 15s; use that of diagnoses.
    #[arg(long, value_name = "DURATION", requires = "source")]
    pub step: Option<String>,
    /// Directory of the store; without it the user's state directory.
    #[arg(long, value_name = "DIR", env = "AUTOMAP_STORE", conflicts_with = "server")]
    pub store: Option<PathBuf>,
    /// The walker that is asked.
    #[command(flatten)]
    pub remote: RemoteArgs,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// Directory of a recorded incident, or a lone metrics file.
    pub path: PathBuf,
    /// What is known of the incident.
    #[command(flatten)]
    pub incident: IncidentArgs,
    /// Conditional independence test.
    #[arg(
        long,
        value_name = "TEST",
        default_value = "fisher-z",
        value_parser = NamedValue::<CiTest>::of(CiTest::ALL.map(CiTest::name))
    )]
    pub ci_test: CiTest,
    /// Significance level of the tests; without it .05 for fisher-z, .01 for chi2 and g2.
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Bins of equal frequency for chi2 and g2.
    #[arg(
        long,
        value_name = "N",
        default_value_t,
        value_parser = NamedValue::<Bins>::of(Bins::ALL.map(Bins::name))
    )]
    pub bins: Bins,
    /// Largest number of services to condition on.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_condition: usize,
    /// The load that services share, removed before testing: off, front-end (what follows the front end's
    /// throughput) or factor (what follows the leading common factor of the metric type).
    #[arg(
        long,
        value_name = "LOAD",
        default_value = "off",
        value_parser = NamedValue::<LoadRemoval>::of(LoadRemoval::ALL.map(LoadRemoval::name))
    )]
    pub load_removal: LoadRemoval,
    /// How much testing the graph may take: none, a number of tests such as 500M, or a time such as 30s. Pairs beyond it
    /// keep their edges.
    #[arg(long, value_name = "TESTS|TIME", default_value_t)]
    pub budget: TestBudget,
    /// Tell of each edge the share of B bootstrap resamples in which it stands; 0 for none, at most 1000.
    #[arg(long, value_name = "B", default_value_t = 0)]
    pub bootstrap_edges: u32,
    /// Seeds the resamples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Rows to build from.
    #[arg(long, value_enum, default_value_t)]
    pub window: GraphWindow,
    /// Metric types to test, separated by commas; without it all seven.
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "METRIC",
        value_parser = NamedValue::<MetricKind>::of(MetricKind::ALL.map(MetricKind::name))
    )]
    pub metrics: Vec<MetricKind>,
    /// How the graph is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: GraphFormat,
}

/// Subcommands of `bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Build behaviour graphs of a generated load, beside the bare matrix products of the same size.
    #[command(after_help = "\
Examples:
  automap bench graph --services 1000
  automap bench graph --services 300 --shared-load --output json")]
    Graph(BenchGraphArgs),
    /// Compare the edges of behaviour graphs with known call graphs, with and without the load that services share.
    #[command(after_help = "\
Example:
  automap bench call-graph recordings/ --max-condition 1")]
    CallGraph(CallGraphArgs),
    /// Let the coordinator that spreads tests over peers meet faults, in simulated clusters.
    Coordinator(CoordinatorArgs),
    /// Fill a store with generated incidents, and measure opening it, finding similar ones, and memory.
    #[command(after_help = "\
Examples:
  automap bench store
  automap bench store --incidents 10000 --output json")]
    Store(BenchStoreArgs),
    /// Read a generated incident, beside everything that a diagnosis does with it but building its graph.
    #[command(after_help = "\
Examples:
  automap bench diagnose
  automap bench diagnose --services 500 --output json")]
    Diagnose(BenchDiagnoseArgs),
}

/// Arguments of `bench store`.
#[derive(Debug, Args)]
pub struct BenchStoreArgs {
    /// Incidents.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = parse_count)]
    pub incidents: usize,
    /// Keep the store in this directory, and measure the one that is there already; without it a scratch one.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Seeds the incidents.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Measure a filled store in this process.
    #[arg(long, hide = true, value_name = "DIR")]
    pub measure: Option<PathBuf>,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `bench graph`.
#[derive(Debug, Args)]
pub struct BenchGraphArgs {
    /// Services.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = parse_count)]
    pub services: usize,
    /// Samples of each series.
    #[arg(long, value_name = "T", default_value_t = 720, value_parser = parse_count)]
    pub samples: usize,
    /// Metric types, 1 to 7.
    #[arg(long, value_name = "M", default_value_t = 7, value_parser = parse_metric_count)]
    pub metrics: usize,
    /// Let all series follow one load, as where all requests come in through one front end.
    #[arg(long)]
    pub shared_load: bool,
    /// Conditional independence test.
    #[arg(
        long,
        value_name = "TEST",
        default_value = "fisher-z",
        value_parser = NamedValue::<CiTest>::of(CiTest::ALL.map(CiTest::name))
    )]
    pub ci_test: CiTest,
    /// Significance level of the tests; without it .01, whichever the test.
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Bins of equal frequency for chi2 and g2.
    #[arg(
        long,
        value_name = "N",
        default_value_t,
        value_parser = NamedValue::<Bins>::of(Bins::ALL.map(Bins::name))
    )]
    pub bins: Bins,
    /// Largest number of services to condition on.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_condition: usize,
    /// The load that services share, removed before testing: off, front-end (what follows the throughput of the
    /// first service) or factor (what follows the leading common factor of the metric type).
    #[arg(
        long,
        value_name = "LOAD",
        default_value = "off",
        value_parser = NamedValue::<LoadRemoval>::of(LoadRemoval::ALL.map(LoadRemoval::name))
    )]
    pub load_removal: LoadRemoval,
    /// How much testing a build may take: none, a number of tests such as 500M, or a time such as 30s.
    #[arg(long, value_name = "TESTS|TIME", default_value_t)]
    pub budget: TestBudget,
    /// Also tell of each edge the share of B bootstrap resamples in which it stands; at most 1000.
    #[arg(long, value_name = "B", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1000))]
    pub bootstrap_edges: u32,
    /// Threads that build.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = parse_count)]
    pub threads: usize,
    /// Also build with so many worker processes of one thread each.
    #[arg(long, value_name = "W", default_value_t = 0)]
    pub workers: usize,
    /// Seeds the load and the resamples.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `bench diagnose`.
#[derive(Debug, Args)]
pub struct BenchDiagnoseArgs {
    /// Services, of seven metric types each.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = parse_count)]
    pub services: usize,
    /// Samples of each series, of which one in twelve belongs to the incident.
    #[arg(long, value_name = "T", default_value_t = 720, value_parser = parse_count)]
    pub samples: usize,
    /// Seeds the load.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Which service.
    #[arg(value_enum)]
    pub role: Role,
    /// Where settings come from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How log lines look.
    #[arg(long, value_parser = parse_log_format, default_value = "human")]
    pub log_format: LogFormat,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the page, and one for each subcommand, into this directory.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Where the settings of services come from; environment variables stand between the file and the flags.
#[derive(Debug, Default, Args)]
pub struct ConfigArgs {
    /// Configuration, TOML: a table per role.
    #[arg(long, value_name = "FILE", env = "AUTOMAP_CONFIG")]
    pub config: Option<PathBuf>,
    /// Sets a setting, such as walker.server.listen=0.0.0.0:4310; may be given many times.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = parse_setting)]
    pub settings: Vec<(String, String)>,
}

/// Subcommands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting with its value and where it was set, after checking them all.
    #[command(after_help = "\
Examples:
  automap config show walker --config automap.toml
  automap config show --output json")]
    Show(ShowArgs),
    /// Show which settings there are, with their types, defaults and meaning; JSON is a JSON schema.
    #[command(after_help = "\
Examples:
  automap config schema
  automap config schema --output json > automap.schema.json   # for editors that complete and check TOML")]
    Schema(SchemaArgs),
}

/// Arguments of `config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Whose settings.
    #[arg(value_enum, default_value = "all")]
    pub role: Role,
    /// Where settings come from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// How they are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `config schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Reads metrics.
    Collector,
    /// Builds behaviour graphs.
    GraphBuilder,
    /// Remembers normal behaviour and incidents.
    Profiler,
    /// Diagnoses.
    Walker,
    /// All four in one process.
    All,
}

impl Role {
    /// The name of one service; `None` for all of them.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Collector => Some("collector"),
            Self::GraphBuilder => Some("graph-builder"),
            Self::Profiler => Some("profiler"),
            Self::Walker => Some("walker"),
            Self::All => None,
        }
    }
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum AnswerFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// How a graph is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GraphFormat {
    /// Nodes and edges for programs.
    #[default]
    Json,
    /// Graphviz.
    Dot,
    /// A drawing.
    Svg,
}

/// Rows of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum GraphWindow {
    /// The incident's rows.
    #[default]
    Incident,
    /// The normal rows.
    Normal,
    /// Both.
    All,
}

pub(crate) fn parse_setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().into(), value.trim().into())),
        _ => Err("write KEY=VALUE, such as automap.alpha=0.01".into()),
    }
}

fn parse_delay(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|delay: &f64| delay.abs() <= 10.0)
        .ok_or_else(|| "must be a number of incident lengths from -10 to 10, such as 0.5".into())
}

pub(crate) fn parse_resamples(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (100..=100_000).contains(count))
        .ok_or_else(|| "must be a whole number from 100 to 100000; fewer resamples give no interval".into())
}

fn parse_factor(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|factor: &f64| *factor > 0.0 && *factor <= 1e6)
        .ok_or_else(|| "must be a positive number of incident lengths, such as 1.5".into())
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=100_000).contains(&count) => Ok(count),
        _ => Err("use a whole number from 1 to 100000".into()),
    }
}

fn parse_metric_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=METRIC_COUNT).contains(&count) => Ok(count),
        _ => Err(format!("use a whole number from 1 to {METRIC_COUNT}")),
    }
}

fn parse_log_format(name: &str) -> Result<LogFormat, String> {
    match name {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("use human or json".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn flags_and_help_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_need_a_key_and_an_equals_sign() {
        assert_eq!(parse_setting("a.b = 1"), Ok(("a.b".into(), "1".into())));
        assert!(parse_setting("a.b").is_err() && parse_setting("=1").is_err());
    }

    #[test]
    fn delays_and_factors_are_numbers_of_incident_lengths() {
        assert_eq!((parse_delay("-0.5"), parse_factor("1.5")), (Ok(-0.5), Ok(1.5)));
        assert!(["NaN", "11", "half", "inf"].iter().all(|text| parse_delay(text).is_err()));
        assert!(["0", "-1", "inf", "NaN", ""].iter().all(|text| parse_factor(text).is_err()));
        assert_eq!(parse_resamples("2000"), Ok(2000));
        assert!(["0", "99", "-5", "1e6", "many"].iter().all(|text| parse_resamples(text).is_err()));
    }
}
