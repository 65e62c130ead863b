//! `automap bench call-graph`: how well the edges of behaviour graphs agree with call graphs that are known, and at what
//! cost, for each removal of load.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use anyhow::Context as _;
use automap_graph_builder::build::build;
use automap_proto::{
    behavior_graph::BehaviorGraph,
    call_graph::CallGraph,
    frame::MetricFrame,
    incident::WindowRows,
    load_removal::LoadRemoval,
    settings::{CiTest, GraphSettings},
};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::meter::measure;
use crate::{
    arguments::{AnswerFormat, IncidentArgs},
    embedded::Embedded,
    failure::Failure,
    graph::collect,
    incident_request::IncidentRequest,
    stdout,
};

/// The file that makes a directory count.
const CALL_GRAPH_FILE: &str = "call_graph.csv";
/// Levels of directories that are searched.
const MAX_DEPTH: usize = 4;

/// Arguments of `bench call-graph`.
#[derive(Debug, Args)]
pub struct CallGraphArgs {
    /// Directories below which recorded incidents with a call graph lie.
    #[arg(required = true)]
    pub directories: Vec<PathBuf>,
    /// Conditional independence test: fisher-z, chi2 or g2.
    #[arg(long, value_name = "TEST", default_value = "fisher-z")]
    pub ci_test: CiTest,
    /// Significance level of the tests; without it .05 for fisher-z, .01 for chi2 and g2.
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Largest number of services to condition on.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub max_condition: usize,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// How the graphs of one dataset agree with its call graphs, means over its incidents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Name of the folder.
    pub dataset: String,
    /// What was removed.
    pub load_removal: &'static str,
    /// Incidents.
    pub incidents: usize,
    /// Edges of a graph; an undirected edge counts once.
    pub edges: f64,
    /// Share of the edges that are calls.
    pub precision: f64,
    /// Share of the calls that are edges.
    pub recall: f64,
    /// Probability that a pair that calls has a larger share of its metric types connected than one that does not.
    pub area_under_curve: f64,
    /// Share of the pairs that call: the precision of chance.
    pub chance: f64,
    /// Conditional independence tests of a graph.
    pub tests: f64,
    /// Time on cores of a graph, seconds.
    pub cpu_seconds: f64,
}

/// One graph beside one call graph.
#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    edges: f64,
    precision: f64,
    recall: f64,
    area_under_curve: f64,
    chance: f64,
    tests: f64,
    cpu_seconds: f64,
}

/// Runs the command.
///
/// # Errors
/// A flag or a recording is wrong, or there is no recording with a call graph.
pub async fn run(args: CallGraphArgs) -> Result<(), Failure> {
    let alpha = args.alpha.unwrap_or(args.ci_test.default_alpha());
    let settings = GraphSettings::new(args.ci_test, alpha, args.max_condition, Vec::new())?;
    let mut folders: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    for root in &args.directories {
        let root = root.canonicalize().with_context(|| format!("cannot open {}", root.display()))?;
        find_incidents(&root, MAX_DEPTH, &mut folders)?;
    }
    if folders.is_empty() {
        return Err(Failure::Usage(format!("no {CALL_GRAPH_FILE} lies within {MAX_DEPTH} levels below")));
    }
    let scratch = tempfile::tempdir()?;
    let services = Embedded::start(scratch.path()).await?;
    let mut agreements = Vec::new();
    for (folder, incidents) in &folders {
        let mut figures: [Vec<Figures>; LoadRemoval::ALL.len()] = Default::default();
        for incident in incidents {
            let request = IncidentRequest::new(incident, &IncidentArgs::default())?;
            let frame = collect(&services.addresses().collector, &request).await?;
            let Some(calls) = request.context().call_graph() else { continue };
            let rows = WindowRows::divide(&frame, request.context())?.all();
            for (removal, found) in LoadRemoval::ALL.into_iter().zip(&mut figures) {
                let settings = settings.clone().with_load_removal(removal, request.context().front_end())?;
                found.extend(compare(&frame, &rows, &settings, calls)?);
            }
        }
        let dataset = folder.file_name().map_or_else(|| "/".into(), |name| name.to_string_lossy());
        for (removal, found) in LoadRemoval::ALL.into_iter().zip(&figures) {
            agreements.push(Agreement::new(&dataset, removal, found));
        }
    }
    services.stop().await?;
    match args.output {
        AnswerFormat::Table => stdout::print(&table(&agreements)),
        AnswerFormat::Json => stdout::print_json(&agreements),
    }
}

fn find_incidents(
    directory: &Path,
    depth: usize,
    folders: &mut BTreeMap<PathBuf, BTreeSet<PathBuf>>,
) -> anyhow::Result<()> {
    if directory.join(CALL_GRAPH_FILE).is_file() {
        let folder = directory.parent().unwrap_or(directory);
        folders.entry(folder.into()).or_default().insert(directory.into());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = directory.read_dir().with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            find_incidents(&path, depth - 1, folders)?;
        }
    }
    Ok(())
}

/// Builds one graph and compares it; `None` where the call graph names no pair of services of the frame, or all.
fn compare(
    frame: &MetricFrame,
    rows: &[usize],
    settings: &GraphSettings,
    calls: &CallGraph,
) -> anyhow::Result<Option<Figures>> {
    let never = AtomicBool::new(false);
    let (built, cost) = measure(|| build(frame, rows, settings, None, &never, &mut |_| {}));
    let built = built?;
    let pairs: BTreeSet<(usize, usize)> = calls
        .calls()
        .filter_map(|(caller, callee)| Some((frame.service_index(caller)?, frame.service_index(callee)?)))
        .map(|(caller, callee)| (caller.min(callee), caller.max(callee)))
        .collect();
    let figures = agreement(&built.graph, &pairs);
    Ok(figures.map(|figures| Figures {
        tests: built.tests as f64,
        cpu_seconds: cost.cpu.as_secs_f64(),
        ..figures
    }))
}

/// The agreement of a graph with pairs that call each other.
fn agreement(graph: &BehaviorGraph, calls: &BTreeSet<(usize, usize)>) -> Option<Figures> {
    let services = graph.services().len();
    let support = |pair: (usize, usize)| {
        let ways = [graph.edge(pair.0, pair.1), graph.edge(pair.1, pair.0)];
        ways.into_iter().flatten().map(|weights| weights.support()).max().unwrap_or(0)
    };
    let pairs = (0..services).flat_map(|first| (first + 1..services).map(move |second| (first, second)));
    let (calling, silent): (Vec<_>, Vec<_>) = pairs.partition(|pair| calls.contains(pair));
    if calling.is_empty() || silent.is_empty() {
        return None;
    }
    let count = |pairs: &[(usize, usize)]| {
        let mut by_support = [0_usize; 8];
        for &pair in pairs {
            by_support[support(pair)] += 1;
        }
        by_support
    };
    let (hits, others) = (count(&calling), count(&silent));
    let mut wins = 0.0;
    for (own, &mine) in hits.iter().enumerate() {
        for (other, &theirs) in others.iter().enumerate() {
            let share = if own > other {
                1.0
            } else if own == other {
                0.5
            } else {
                0.0
            };
            wins += share * (mine * theirs) as f64;
        }
    }
    let connected = |by_support: &[usize; 8]| by_support[1..].iter().sum::<usize>() as f64;
    let (right, wrong) = (connected(&hits), connected(&others));
    Some(Figures {
        edges: right + wrong,
        precision: if right > 0.0 { right / (right + wrong) } else { 0.0 },
        recall: right / calling.len() as f64,
        area_under_curve: wins / (calling.len() * silent.len()) as f64,
        chance: calling.len() as f64 / (calling.len() + silent.len()) as f64,
        ..Figures::default()
    })
}

impl Agreement {
    fn new(dataset: &str, removal: LoadRemoval, figures: &[Figures]) -> Self {
        let mean = |of: fn(&Figures) -> f64| figures.iter().map(of).sum::<f64>() / figures.len() as f64;
        Self {
            dataset: dataset.to_owned(),
            load_removal: removal.name(),
            incidents: figures.len(),
            edges: mean(|figures| figures.edges),
            precision: mean(|figures| figures.precision),
            recall: mean(|figures| figures.recall),
            area_under_curve: mean(|figures| figures.area_under_curve),
            chance: mean(|figures| figures.chance),
            tests: mean(|figures| figures.tests),
            cpu_seconds: mean(|figures| figures.cpu_seconds),
        }
    }
}

fn table(agreements: &[Agreement]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "dataset",
        "load removal",
        "incidents",
        "edges",
        "precision",
        "recall",
        "AUC",
        "chance",
        "tests",
        "cpu ms",
    ]);
    for row in agreements {
        table.add_row([
            row.dataset.clone(),
            row.load_removal.to_owned(),
            row.incidents.to_string(),
            format!("{:.1}", row.edges),
            format!("{:.3}", row.precision),
            format!("{:.3}", row.recall),
            format!("{:.3}", row.area_under_curve),
            format!("{:.3}", row.chance),
            format!("{:.0}", row.tests),
            format!("{:.2}", 1e3 * row.cpu_seconds),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::EdgeWeights;

    use super::*;

    #[test]
    fn pairs_that_call_are_compared_with_those_that_do_not() {
        let mut graph = BehaviorGraph::new(["a", "b", "c", "d"].map(String::from).to_vec()).unwrap();
        let mut connect = |from, to, metrics: usize| {
            let counts = std::array::from_fn(|metric| u32::from(metric < metrics));
            graph.set_edge(from, to, EdgeWeights::from_counts(counts).unwrap()).unwrap();
        };
        connect(0, 1, 7);
        connect(2, 1, 2);
        connect(1, 2, 2);
        connect(3, 0, 1);
        // Calls: a-b (7 metric types) and c-d (none); silent: b-c (2), a-d (1), a-c and b-d (none).
        let figures = agreement(&graph, &BTreeSet::from([(0, 1), (2, 3)])).unwrap();
        assert_eq!((figures.edges, figures.recall), (3.0, 0.5));
        assert!((figures.precision - 1.0 / 3.0).abs() < 1e-12);
        // a-b wins four times, c-d ties with two.
        assert!((figures.area_under_curve - 5.0 / 8.0).abs() < 1e-12);
        assert!((figures.chance - 1.0 / 3.0).abs() < 1e-12);
        assert!(agreement(&graph, &BTreeSet::new()).is_none());
    }
}
