//! A diagnosis from collecting to recording: which service is asked when, and what happens when one is missing.

use std::sync::Arc;

use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::{Invalid, did_you_mean},
    metric::METRIC_COUNT,
    profile::ServiceProfile,
    v1::{self, DiagnosisStage},
};
use automap_service_kit::{error::ServiceError, work};

use crate::{
    graph_plan::{GraphPlan, INCIDENT_GRAPH, graph_settings, normal_graph_name},
    listener::Listener,
    memory::{incident_id, record_incident},
    order::{Input, Order},
    peers::{Collected, Peers, failed},
    ranker::{self, GraphInput, RankInput},
    stages::Stages,
    window_summary,
};

/// The behaviour graph of a diagnosis with all that was learned about it.
struct GraphFindings {
    input: GraphInput,
    tests: u64,
    normal_windows: u32,
    normal_graphs: Vec<v1::NormalGraph>,
    similar: Vec<v1::PastIncident>,
    warnings: Vec<String>,
}

/// Carries out an order.
///
/// # Errors
/// The order does not fit the data, the data hold too little, or the collector or the graph-builder failed. The
/// profiler is not needed: without it the answer has uniform weights and says so.
pub(crate) async fn diagnose(
    peers: &Peers,
    max_frame_bytes: usize,
    order: Order,
    listener: &dyn Listener,
) -> Result<v1::Diagnosis, ServiceError> {
    let mut stages = Stages::begin();
    let needs_graph = order.needs_graph();
    let Order { diagnosis_id, input, context, method, seed, parameters, record, .. } = order;

    listener.progress(DiagnosisStage::Collecting, "collecting metrics".into());
    let collected = match input {
        Input::Source(source) => peers.collect(source, max_frame_bytes).await?,
        Input::Upload(upload) => peers.collect_recording(upload, max_frame_bytes).await?,
    };
    stages.end("collect");
    let context = known_context(context, &collected)?;
    let Collected { frame, mut warnings, .. } = collected;
    let rows = WindowRows::divide(&frame, &context)?;
    check_front_end(&frame, &context)?;
    warnings.extend(context_warnings(&frame, &context, &rows));

    let frame = Arc::new(frame);
    let mut findings = None;
    if needs_graph {
        let built =
            graph_findings(peers, &frame, &context, &rows, &parameters.automap, listener, &mut stages)
                .await?;
        warnings.extend(built.warnings.iter().cloned());
        findings = Some(built);
    }

    listener.progress(
        DiagnosisStage::Walking,
        format!("ranking {} services by {method}", frame.services().len()),
    );
    let (ranked_frame, ranked_context) = (Arc::clone(&frame), context.clone());
    let (graph, rest) = findings.map_or((None, None), |found| {
        let GraphFindings { input, tests, normal_windows, normal_graphs, similar, .. } = found;
        (Some(input), Some((tests, normal_windows, normal_graphs, similar)))
    });
    let (ranking, graph, rows) = work::run({
        let parameters = parameters.clone();
        move |_stop| {
            let input = RankInput {
                frame: &ranked_frame,
                rows: &rows,
                context: &ranked_context,
                graph: graph.as_ref(),
                method,
                seed,
                parameters: &parameters,
            };
            Ok((ranker::rank_services(&input)?, graph, rows))
        }
    })
    .await?;
    stages.end("rank");

    let summary = |selected: &[usize]| {
        window_summary::summarise(&frame, selected).map(|window| v1::WindowSummary::from(&window))
    };
    let (tests, normal_windows, normal_graphs, similar) = rest.unwrap_or_default();
    let mut diagnosis = v1::Diagnosis {
        diagnosis_id,
        system: context.system().into(),
        front_end: context.front_end().into(),
        method: method.to_wire().into(),
        seed,
        window: summary(&rows.incident),
        normal_window: summary(&rows.normal),
        ranking: ranking.services().iter().map(v1::RankedService::from).collect(),
        metric_weights: ranker::metric_weights(method, graph.as_ref()),
        warnings,
        settings: parameters.flattened().into_iter().collect(),
        behavior_graph: graph.as_ref().map(|found| v1::ExplainedGraph {
            graph: Some((&found.anomaly).into()),
            tests,
            normal_windows,
        }),
        similar,
        state: v1::DiagnosisState::Done.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..v1::Diagnosis::default()
    };
    if record {
        listener.progress(DiagnosisStage::Recording, "recording the incident".into());
        match record_incident(peers, &context, &diagnosis, graph.as_ref(), &parameters.automap, normal_graphs)
            .await
        {
            Ok(incident_id) => diagnosis.incident_id = incident_id,
            Err(error) => diagnosis.warnings.push(format!("the incident was not recorded: {error}")),
        }
        stages.end("record");
    }
    diagnosis.stages = stages.into_wire();
    Ok(diagnosis)
}

/// What the caller knows, else what the source knows.
fn known_context(
    from_caller: Option<IncidentContext>,
    collected: &Collected,
) -> Result<IncidentContext, Invalid> {
    match (from_caller, &collected.context) {
        (Some(context), _) => Ok(context),
        (None, Some(context)) => IncidentContext::try_from(context),
        (None, None) => Err(Invalid::new(
            "context",
            "is missing and the source does not say; name the front end and the start of the anomaly",
        )),
    }
}

fn check_front_end(frame: &MetricFrame, context: &IncidentContext) -> Result<(), Invalid> {
    let name = context.front_end();
    if frame.service_index(name).is_some() {
        return Ok(());
    }
    let services = frame.services().iter().map(String::as_str);
    let hint = did_you_mean(name, services).map_or_else(
        || format!("; {} services have, such as {}", frame.services().len(), frame.services()[0]),
        |near| format!("; did you mean {near}?"),
    );
    Err(Invalid::new("front_end", format!("{name} is no service with metrics{hint}")))
}

/// What a person should know before trusting the answer.
fn context_warnings(frame: &MetricFrame, context: &IncidentContext, rows: &WindowRows) -> Vec<String> {
    let mut warnings = Vec::new();
    if rows.exclusions_ignored {
        warnings.push(format!(
            "excluded intervals were ignored: they would have left too few of {} normal rows",
            rows.normal.len()
        ));
    }
    if let Some(calls) = context.call_graph() {
        if calls.self_calls() > 0 {
            warnings.push(format!(
                "{} calls of a service to itself were left out of the call graph",
                calls.self_calls()
            ));
        }
        let silent: Vec<&str> =
            calls.services().into_iter().filter(|name| frame.service_index(name).is_none()).collect();
        if !silent.is_empty() {
            warnings.push(format!(
                "{} services of the call graph have no metrics and rank without evidence, such as {}",
                silent.len(),
                silent[0]
            ));
        }
    }
    warnings
}

async fn graph_findings(
    peers: &Peers,
    frame: &Arc<MetricFrame>,
    context: &IncidentContext,
    rows: &WindowRows,
    parameters: &crate::parameters::AutomapParameters,
    listener: &dyn Listener,
    stages: &mut Stages,
) -> Result<GraphFindings, ServiceError> {
    let plan = GraphPlan::new(rows);
    let settings = graph_settings(parameters);
    let mut selections = vec![(INCIDENT_GRAPH.to_owned(), plan.incident.clone())];
    selections.extend(
        plan.normal.iter().enumerate().map(|(index, window)| (normal_graph_name(index), window.clone())),
    );
    let mut graphs =
        peers.build_graphs(Arc::clone(frame), &settings, context.front_end(), &selections, listener).await?;
    let built = graphs
        .remove(INCIDENT_GRAPH)
        .ok_or_else(|| ServiceError::internal("the graph-builder left out the incident graph"))?;
    stages.end("graph");

    let normal_graphs: Vec<v1::NormalGraph> = plan
        .normal
        .iter()
        .enumerate()
        .filter_map(|(index, window_rows)| {
            let normal = graphs.get(&normal_graph_name(index))?;
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
    let request = v1::WeighMetricsRequest {
        system: context.system().into(),
        front_end: context.front_end().into(),
        incident_graph: Some((&built.graph).into()),
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
        },
        tests: built.tests,
        normal_windows: 0,
        normal_graphs,
        similar: Vec::new(),
        warnings: plan.warning.into_iter().collect(),
    };
    match peers.profiler.clone().weigh_metrics(request).await {
        Ok(answer) => findings.learn(answer.into_inner())?,
        Err(status) => findings.warnings.push(format!(
            "without memory: all metrics weigh the same and no normal behaviour is subtracted ({})",
            failed("profiler", status)
        )),
    }
    stages.end("weigh");
    Ok(findings)
}

impl GraphFindings {
    fn learn(&mut self, answer: v1::WeighMetricsResponse) -> Result<(), Invalid> {
        if let Some(graph) = &answer.anomaly_graph {
            let anomaly = BehaviorGraph::try_from(graph)?;
            if anomaly.services() != self.input.anomaly.services() {
                return Err(Invalid::new(
                    "anomaly_graph.services",
                    "differ from those of the incident graph",
                ));
            }
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
            })
            .collect();
        self.warnings.extend(answer.warnings);
        Ok(())
    }
}
