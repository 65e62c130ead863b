//! `automap bench diagnose`: reading an incident beside everything that is done with it but building its graph.

use std::{fmt::Write as _, sync::atomic::AtomicBool};

use anyhow::{Context as _, ensure};
use automap_collector::{collect::read_frame, layout::RecordingDescription, limits::FrameLimits};
use automap_graph_builder::throughput::throughput_fit;
use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    call_graph::CallGraph,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    method::Method,
    metric::{METRIC_COUNT, MetricKind},
    throughput::ThroughputFit,
};
use automap_walker::{
    edge_rules::EdgeRules,
    evidence::{call_graph_fit::CiShares, judge::guarded_rows},
    parameters::MethodParameters,
    ranker::{GraphInput, RankInput, rank_services},
};
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::{
    load::Load,
    meter::{Cost, measure},
};
use crate::{
    arguments::{AnswerFormat, BenchDiagnoseArgs},
    failure::Failure,
    stdout,
};

/// One in that many samples belongs to the incident.
pub(super) const FAULT_SHARE: usize = 12;
/// What the fault adds to each sample of the culprit; their spread is 10.
const FAULT: f64 = 80.0;
/// Both computations run so often in turn, and the median of each counts.
const ROUNDS: usize = 3;

/// Runs the command.
///
/// # Errors
/// A flag is wrong, or the load cannot be diagnosed.
pub fn run(args: &BenchDiagnoseArgs) -> Result<(), Failure> {
    let load = Load {
        services: args.services,
        samples: args.samples,
        metrics: METRIC_COUNT,
        shared: false,
        seed: args.seed,
    };
    let report = bench(&load)?;
    match args.output {
        AnswerFormat::Table => stdout::print(&report.table()),
        AnswerFormat::Json => stdout::print_json(&report),
    }
}

/// Costs of reading an incident and of diagnosing it without building the graph, from one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Services.
    pub services: usize,
    /// Metric types, congestion derived.
    pub metrics: usize,
    /// Samples of each series.
    pub samples: usize,
    /// Size of the metrics file.
    pub file_bytes: usize,
    /// Time on cores of reading it into a frame, the median, seconds.
    pub read_cpu_seconds: f64,
    /// Of ranking, explaining and encoding, along a call graph that is tested first, seconds.
    pub along_calls_cpu_seconds: f64,
    /// The same along the throughput graph, seconds.
    pub along_throughput_cpu_seconds: f64,
    /// `along_calls_cpu_seconds` / `read_cpu_seconds`.
    pub along_calls_to_read: f64,
    /// `along_throughput_cpu_seconds` / `read_cpu_seconds`.
    pub along_throughput_to_read: f64,
    /// Whether the service at fault came first, along calls and along throughput.
    pub culprit_first: [bool; 2],
}

/// Reads and diagnoses a generated incident: one service in the middle of the calls departs in all its metrics.
///
/// # Errors
/// The load is too small for an incident.
pub fn bench(load: &Load) -> anyhow::Result<Report> {
    let incident_samples = load.samples / FAULT_SHARE;
    ensure!(incident_samples >= 3, "at least {} samples are needed", 3 * FAULT_SHARE);
    let alert = load.samples - incident_samples;
    let culprit = format!("s{:05}", load.services / 2);
    let file = metrics_file(&load.generate()?, &culprit, alert);
    let limits = FrameLimits::all_within(usize::MAX);
    let description = RecordingDescription::default();
    let read = || read_frame(file.as_bytes(), &description, &limits);
    let frame = read()?.frame;
    let context = |calls: Option<CallGraph>| {
        IncidentContext::new("bench", "s00000", frame.grid().time(alert), None, Vec::new(), calls)
    };
    let with_calls = context(Some(CallGraph::new(load.calls())?))?;
    let without_calls = context(None)?;
    let parameters = MethodParameters::default();
    let rows = WindowRows::divide(&frame, &with_calls)?;
    let normal = guarded_rows(&frame, &rows, &parameters.evidence).normal;
    // What the graph-builder answers is not measured here.
    let fit = throughput_fit(&frame, &normal);
    let names = fit.services.iter().map(|&service| frame.services()[service].clone()).collect();
    let graph = graph_input(&frame, &with_calls, ThroughputFit::new(names, fit.r_squared)?)?;
    let never = AtomicBool::new(false);
    let diagnose = |context: &IncidentContext| -> anyhow::Result<String> {
        let rows = WindowRows::divide(&frame, context)?;
        let ranked = rank_services(&RankInput {
            frame: &frame,
            rows: &rows,
            remembered: 0,
            context,
            edges: None,
            rules: &EdgeRules::default(),
            graph: Some(&graph),
            method: Method::Evidence,
            seed: load.seed,
            parameters: &parameters,
            learned: None,
            stop: &never,
            want_walk: false,
        })?;
        let encoded: Vec<automap_proto::v1::RankedService> =
            ranked.ranking.services().iter().map(Into::into).collect();
        encoded.into_iter().next().map(|first| first.service).context("nothing was ranked")
    };
    let (mut reading, mut along_calls, mut along_throughput) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = [String::new(), String::new()];
    for _ in 0..ROUNDS {
        let (answer, cost) = measure(read);
        answer?;
        reading.push(cost);
        let (answer, cost) = measure(|| diagnose(&with_calls));
        first[0] = answer?;
        along_calls.push(cost);
        let (answer, cost) = measure(|| diagnose(&without_calls));
        first[1] = answer?;
        along_throughput.push(cost);
    }
    let [read, calls, throughput] = [reading, along_calls, along_throughput].map(median_seconds);
    Ok(Report {
        services: load.services,
        metrics: load.kinds().len(),
        samples: load.samples,
        file_bytes: file.len(),
        read_cpu_seconds: read,
        along_calls_cpu_seconds: calls,
        along_throughput_cpu_seconds: throughput,
        along_calls_to_read: calls / read,
        along_throughput_to_read: throughput / read,
        culprit_first: first.map(|name| name == culprit),
    })
}

fn median_seconds(mut costs: Vec<Cost>) -> f64 {
    costs.sort_by_key(|cost| cost.cpu);
    costs.get(costs.len() / 2).map_or(0.0, |cost| cost.cpu.as_secs_f64())
}

/// The incident as a metrics file. Congestion is left to the collector.
pub(super) fn metrics_file(frame: &MetricFrame, culprit: &str, alert: usize) -> String {
    let columns: Vec<usize> = (0..frame.series().len())
        .filter(|&index| frame.series()[index].metric != MetricKind::Congestion)
        .collect();
    let mut file = String::from("timestamp");
    for &index in &columns {
        let key = &frame.series()[index];
        // Writing into a string cannot fail.
        let _ = write!(file, ",{}_{}", key.service, key.name);
    }
    file.push('\n');
    for row in 0..frame.grid().samples() {
        let _ = write!(file, "{}", frame.grid().time(row).seconds());
        for &index in &columns {
            let fault = if row >= alert && frame.series()[index].service == culprit { FAULT } else { 0.0 };
            let _ = write!(file, ",{:.4}", frame.values()[[index, row]] + fault);
        }
        file.push('\n');
    }
    file
}

/// What the graph-builder would answer, with the calls as edges in all metric types, so that the call graph fits.
fn graph_input(
    frame: &MetricFrame,
    context: &IncidentContext,
    throughput: ThroughputFit,
) -> anyhow::Result<GraphInput> {
    let mut graph = BehaviorGraph::new(frame.services().to_vec())?;
    let weights = EdgeWeights::from_counts([1; METRIC_COUNT]).context("seven bits")?;
    for (caller, callee) in context.call_graph().into_iter().flat_map(CallGraph::calls) {
        if let (Some(from), Some(to)) = (frame.service_index(caller), frame.service_index(callee)) {
            graph.set_edge(from, to, weights)?;
        }
    }
    Ok(GraphInput {
        shares: Some(CiShares::new(frame, &graph)),
        anomaly: graph,
        profiles: Vec::new(),
        correlations: std::array::from_fn(|_| vec![0.0; frame.services().len()]),
        weights: [1.0 / METRIC_COUNT as f64; METRIC_COUNT],
        throughput: Some(throughput),
    })
}

impl Report {
    /// The figures for a person.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header(["figure", "value"]);
        let load =
            format!("{} services x {} metrics x {} samples", self.services, self.metrics, self.samples);
        for (figure, value) in [
            ("load", load),
            ("metrics file, MB", format!("{:.0}", self.file_bytes as f64 / 1e6)),
            ("reading it, cpu s", format!("{:.3}", self.read_cpu_seconds)),
            ("diagnosis along calls, cpu s", format!("{:.3}", self.along_calls_cpu_seconds)),
            ("diagnosis along throughput, cpu s", format!("{:.3}", self.along_throughput_cpu_seconds)),
            ("along calls / reading", format!("{:.2}", self.along_calls_to_read)),
            ("along throughput / reading", format!("{:.2}", self.along_throughput_to_read)),
        ] {
            table.add_row([figure.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{table}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_incident_is_read_diagnosed_and_found() {
        let load = Load { services: 60, samples: 120, metrics: METRIC_COUNT, shared: false, seed: 1 };
        let report = bench(&load).unwrap();
        assert_eq!(report.culprit_first, [true, true]);
        assert!(report.read_cpu_seconds > 0.0 && report.along_calls_to_read > 0.0, "{report:?}");
        assert!(report.table().contains("60 services x 7 metrics x 120 samples"));
        assert!(bench(&Load { samples: 30, ..load }).is_err());
    }
}
