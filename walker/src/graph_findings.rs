//! The behaviour graph of an incident, compared with normal behaviour and with the past.

use std::{collections::BTreeMap, sync::Arc};

use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::Invalid,
    learned_weights::LearnedWeights,
    metric::METRIC_COUNT,
    profile::ServiceProfile,
    v1::{self, DiagnosisStage},
};
use automap_service_kit::{error::ServiceError, server::MAX_MESSAGE_BYTES, telemetry::sizes};
use prost::Message as _;

use crate::{
    evidence::{call_graph_fit::CiShares, judge::guarded_rows},
    graph_plan::{
        GraphPlan, INCIDENT_GRAPH, SKELETON_GRAPH, SKELETON_LEVEL, graph_settings, normal_graph_name,
        skeleton_settings,
    },
    incident_record::incident_id,
    listener::Listener,
    parameters::MethodParameters,
    peers::{GraphOrder, Peers, is_missing},
    ranker::GraphInput,
    stages::Stages,
    time_share::within_share,
};

/// The behaviour graph of a diagnosis with all that was learned about it.
pub(crate) struct GraphFindings {
    pub(crate) input: GraphInput,
    pub(crate) tests: u64,
    pub(crate) normal_windows: u32,
    pub(crate) normal_graphs: Vec<v1::NormalGraph>,
    pub(crate) similar: Vec<v1::PastIncident>,
    /// Weights of evidence that confirmed incidents taught.
    pub(crate) learned: Option<LearnedWeights>,
    /// Whether the profiler compared the graph with normal behaviour; without that it is no anomaly profile to keep.
    pub(crate) compared: bool,
    /// Whether the profiler answers at all; waiting once more for one that hangs would only double the delay.
    pub(crate) memory_answers: bool,
    pub(crate) warnings: Vec<String>,
}

/// What the graphs of a diagnosis are built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GraphSource<'a> {
    pub(crate) frame: &'a Arc<MetricFrame>,
    pub(crate) rows: &'a WindowRows,
    /// Seeds the resamples.
    pub(crate) seed: u64,
    /// What becomes of the diagnosis when the graph-builder does not answer.
    pub(crate) without_graph: WithoutGraph,
}

/// What becomes of a diagnosis without a behaviour graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutGraph {
    /// The method cannot do without.
    Fails,
    /// It ranks all the same.
    Ranks,
}

/// Shares of the time left that the graph and then the memory may take, so that there is an answer without them.
const GRAPH_SHARE: f64 = 0.7;
const MEMORY_SHARE: f64 = 0.5;

/// Builds the graphs of a diagnosis and has them compared with normal behaviour and past incidents.
///
/// The throughput fit is taken over the rows that are surely normal, the CI shares over all.
///
/// # Errors
/// The graph-builder failed, or the profiler answered what cannot be. Without the profiler the findings carry uniform
/// weights and a warning.
pub(crate) async fn graph_findings(
    peers: &Peers,
    GraphSource { frame, rows, seed, without_graph }: GraphSource<'_>,
    context: &IncidentContext,
    parameters: &MethodParameters,
    listener: &dyn Listener,
    stages: &mut Stages,
) -> Result<GraphFindings, ServiceError> {
    let normal = &guarded_rows(frame, rows, &parameters.evidence).normal;
    let parameters = &parameters.automap;
    let plan = GraphPlan::new(rows);
    let settings = graph_settings(parameters, context.front_end())?;
    let mut selections = vec![(INCIDENT_GRAPH.to_owned(), plan.incident.clone())];
    selections.extend(
        plan.normal.iter().enumerate().map(|(index, window)| (normal_graph_name(index), window.clone())),
    );
    let graph_count = selections.len() + 1;
    let of_skeleton = skeleton_settings(parameters, context.front_end())?;
    // An answer has one set of settings: with others the skeleton is asked for by itself.
    let alone = settings != of_skeleton;
    let skeleton = vec![(SKELETON_GRAPH.to_owned(), rows.all())];
    let level = BTreeMap::from([(SKELETON_GRAPH.to_owned(), SKELETON_LEVEL)]);
    let skeleton_order = alone.then(|| GraphOrder {
        settings: of_skeleton,
        front_end: context.front_end(),
        selections: skeleton.clone(),
        max_conditions: level.clone(),
        seed,
        budget: parameters.budget,
        ..GraphOrder::default()
    });
    if !alone {
        selections.extend(skeleton);
    }
    let order = GraphOrder {
        settings: settings.clone(),
        front_end: context.front_end(),
        selections,
        max_conditions: if alone { BTreeMap::new() } else { level },
        resamples: BTreeMap::from([(INCIDENT_GRAPH.to_owned(), parameters.bootstrap)]),
        seed,
        tested: INCIDENT_GRAPH,
        budget: parameters.budget,
        throughput_rows: normal,
    };
    let building = async {
        let (mut graphs, throughput) = peers.build_graphs(Arc::clone(frame), order, listener).await?;
        if let Some(order) = skeleton_order {
            graphs.extend(peers.build_graphs(Arc::clone(frame), order, listener).await?.0);
        }
        Ok::<_, ServiceError>((graphs, throughput))
    };
    let (mut graphs, throughput) = match without_graph {
        WithoutGraph::Fails => building.await?,
        WithoutGraph::Ranks => within_share("graph-builder", GRAPH_SHARE, building).await?,
    };
    // Edges that were not tested say nothing of a call graph.
    let (cut, skeleton) = match graphs.remove(SKELETON_GRAPH) {
        Some(skeleton) if skeleton.is_cut => (true, None),
        other => (false, other),
    };
    let shares = skeleton.map(|skeleton| CiShares::new(frame, &skeleton.graph));
    let built = graphs
        .remove(INCIDENT_GRAPH)
        .ok_or_else(|| ServiceError::internal("the graph-builder left out the incident graph"))?;
    sizes::record_graphs(graph_count, built.graph.edges().len(), built.tests);
    stages.end("graph");

    let normal_graphs: Vec<v1::NormalGraph> = plan
        .normal
        .iter()
        .enumerate()
        .filter_map(|(index, window_rows)| {
            // Edges that were not tested are no normal behaviour.
            let normal = graphs.get(&normal_graph_name(index)).filter(|normal| !normal.is_cut)?;
            Some(v1::NormalGraph {
                system: context.system().into(),
                window: Some(GraphPlan::window(frame.grid(), window_rows)?.to_wire()),
                settings: Some((&settings).into()),
                graph: Some((&normal.graph).into()),
                window_ms: plan.window_ms(frame.grid()),
            })
        })
        .collect();
    listener.progress(DiagnosisStage::Weighing, "comparing with normal behaviour and past incidents".into());
    let mut request = v1::WeighMetricsRequest {
        system: context.system().into(),
        front_end: context.front_end().into(),
        incident_graph: Some(built.graph.to_wire_without_tests()),
        normal: plan.warning.is_none().then(|| v1::NormalGraphSelector {
            system: context.system().into(),
            settings: Some((&settings).into()),
            window_ms: plan.window_ms(frame.grid()),
        }),
        literal_subtraction: parameters.literal_subtraction,
        neighbours: u32::try_from(parameters.neighbours).unwrap_or(u32::MAX),
        exclude_incident_id: incident_id(context),
        normal_graphs: normal_graphs.clone(),
    };
    let mut findings = GraphFindings {
        input: GraphInput {
            anomaly: built.graph,
            profiles: Vec::new(),
            correlations: built.correlations,
            weights: [1.0 / METRIC_COUNT as f64; METRIC_COUNT],
            throughput,
            shares,
        },
        tests: built.tests,
        normal_windows: 0,
        normal_graphs,
        similar: Vec::new(),
        learned: None,
        compared: false,
        memory_answers: true,
        warnings: plan.warning.into_iter().chain(built.warnings).collect(),
    };
    findings.warnings.extend((cut && context.call_graph().is_some()).then(|| {
        "whether the call graph fits the metrics was not tested: the budget ended first".to_owned()
    }));
    findings.warnings.extend(shrink(&mut request));
    let answer = peers
        .ask_profiler(request, |mut profiler, request| async move { profiler.weigh_metrics(request).await });
    match within_share("profiler", MEMORY_SHARE, answer).await {
        Ok(answer) => findings.learn(answer)?,
        Err(error) => {
            findings.memory_answers = !is_missing(&error);
            findings.warnings.push(format!(
                "without memory: all metrics weigh the same, no normal behaviour is subtracted, and the \
                 incident is not recorded ({error})"
            ));
        }
    }
    stages.end("weigh");
    Ok(findings)
}

/// Leaves out the oldest normal windows until the request fits into a message.
fn shrink(request: &mut v1::WeighMetricsRequest) -> Option<String> {
    let windows = request.normal_graphs.len();
    while request.encoded_len() > MAX_MESSAGE_BYTES && !request.normal_graphs.is_empty() {
        request.normal_graphs.remove(0);
    }
    let left_out = windows - request.normal_graphs.len();
    (left_out > 0).then(|| {
        format!(
            "{left_out} of {windows} normal windows were left out: their graphs are too large for one message"
        )
    })
}

impl GraphFindings {
    fn learn(&mut self, answer: v1::WeighMetricsResponse) -> Result<(), Invalid> {
        self.compared = true;
        if let Some(graph) = &answer.anomaly_graph {
            let mut anomaly = BehaviorGraph::try_from(graph)?;
            if anomaly.services() != self.input.anomaly.services() {
                return Err(Invalid::new(
                    "anomaly_graph.services",
                    "differ from those of the incident graph",
                ));
            }
            // What is left of an edge is as sure as the edge was.
            anomaly.inherit(&self.input.anomaly);
            self.input.anomaly = anomaly;
        }
        self.input.profiles =
            answer.profiles.iter().map(ServiceProfile::try_from).collect::<Result<_, _>>()?;
        self.input.weights = <[f64; METRIC_COUNT]>::try_from(answer.metric_weights.as_slice())
            .ok()
            .filter(|weights| weights.iter().all(|weight| (0.0..=1.0).contains(weight)))
            .ok_or_else(|| Invalid::new("metric_weights", "must be seven numbers between 0 and 1"))?;
        self.normal_windows = answer.normal_windows;
        self.similar = answer
            .similar
            .into_iter()
            .map(|incident| v1::PastIncident {
                incident_id: incident.incident_id,
                similarity: incident.similarity,
                root_causes: incident.root_causes,
                metric: incident.metric,
            })
            .collect();
        self.learned = answer.learned_weights.as_ref().map(LearnedWeights::try_from).transpose()?;
        self.warnings.extend(answer.warnings);
        Ok(())
    }
}
