//! A diagnosis from collecting to recording: which service is asked when, and what happens when one is missing.

use std::{collections::BTreeSet, sync::Arc};

use automap_proto::{
    call_graph::CallGraph,
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    invalid::Invalid,
    method::Method,
    v1::{self, DiagnosisStage},
};
use automap_service_kit::{
    error::{ErrorCode, ServiceError},
    server::MAX_MESSAGE_BYTES,
    telemetry::sizes,
    work,
};
use tracing::Instrument as _;

use crate::{
    answer_size,
    context_warnings::context_warnings,
    coverage::coverage,
    edge_rules::EdgeRules,
    evidence::confidence::naming_unread,
    graph_findings::{GraphFindings, GraphSource, WithoutGraph, graph_findings},
    impact_graph::impact_graph,
    incident_record::{OfGraph, keep_incident},
    listener::Listener,
    memory::normal_rows,
    normal_history::{self, Extended},
    order::{Input, Order},
    peers::{Collected, Peers, is_missing},
    ranker::{self, GraphInput, RankError, RankInput},
    series_sketches::sketches,
    stages::Stages,
    time_share::within_share,
    window_summary,
};

/// Room for what wraps a diagnosis in a message.
const ENVELOPE_BYTES: usize = 64 << 10;

/// A diagnosis that is done.
pub(crate) struct Finished {
    pub(crate) diagnosis: v1::Diagnosis,
    /// Whether the profiler, as far as it was asked, answers.
    pub(crate) memory_answers: bool,
    /// The steps of the simulated walks, where the order wants them.
    pub(crate) walk: Vec<v1::WalkSteps>,
}

/// Carries out an order.
///
/// # Errors
/// The order does not fit the data, the data hold too little, or the collector failed, or the graph-builder where the method
/// is `automap` or `cloud-ranger`. Other methods rank without it, and without the profiler weights are uniform; the answer
/// says so.
pub(crate) async fn diagnose(
    peers: &Peers,
    max_frame_bytes: usize,
    order: Order,
    listener: &dyn Listener,
) -> Result<Finished, ServiceError> {
    let mut stages = Stages::begin();
    let needs_graph = order.needs_graph();
    let Order {
        diagnosis_id,
        input,
        context,
        method,
        seed,
        parameters,
        names_edges,
        record,
        want_walk,
        systems,
        alerts,
        ..
    } = order;

    listener.progress(DiagnosisStage::Collecting, "collecting metrics".into());
    let collected = match input {
        Input::Source(source, window) => peers.collect(source, window, max_frame_bytes, listener).await?,
        Input::Upload(upload) => peers.collect_recording(upload, max_frame_bytes, listener).await?,
    };
    stages.end("collect");
    if let Some(of_source) = &collected.context {
        systems.require(&of_source.system, "the source")?;
    }
    let context = known_context(context, &collected)?;
    systems.require(context.system(), "the incident")?;
    listener.identified(&context);
    let Collected { frame, edges, mut warnings, left_out: unread, .. } = collected;
    sizes::record_frame(&frame);
    let rows = WindowRows::divide(&frame, &context)?;
    context.check_front_end(&frame)?;
    warnings.extend(context_warnings(&frame, &context, &rows));
    let (rules, left_out) =
        EdgeRules::new(&parameters.edges, &known_services(&frame, &context, edges.as_ref()), names_edges)?;
    warnings.extend(left_out);

    let frame = Arc::new(frame);
    let mut findings = None;
    let mut without_graph = None;
    if method == Method::CloudRanger {
        let built =
            impact_graph(peers, &frame, &context, &rows, &parameters.automap, listener, &mut stages).await?;
        findings = Some(built);
    } else if needs_graph {
        let fate = if method == Method::Automap { WithoutGraph::Fails } else { WithoutGraph::Ranks };
        let source = GraphSource { frame: &frame, rows: &rows, seed, without_graph: fate };
        match graph_findings(peers, source, &context, &parameters, listener, &mut stages).await {
            Ok(built) => {
                warnings.extend(built.warnings.iter().cloned());
                findings = Some(built);
            }
            Err(error) if fate == WithoutGraph::Ranks && is_missing(&error) => {
                stages.end("graph");
                without_graph = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(found) = &mut findings {
        rules.apply(&mut found.input.anomaly, &frame)?;
    }

    listener.progress(
        DiagnosisStage::Walking,
        format!("ranking {} services by {method}", frame.services().len()),
    );
    let took_part = match &findings {
        Some(found) if found.compared => &["collector", "graph-builder", "profiler"][..],
        Some(_) => &["collector", "graph-builder"][..],
        None => &["collector"][..],
    };
    let mut memory_answers = findings.as_ref().is_none_or(|found| found.memory_answers);
    let ranked_context = context.clone();
    let compared = findings.as_ref().map_or(without_graph.is_some(), |found| found.compared);
    let extended = if method == Method::Evidence && compared {
        remembered_rows(peers, &context, &frame, &rows, parameters.evidence.history_rows, &mut warnings).await
    } else {
        None
    };
    warnings.extend(without_graph.as_ref().map(|error| {
        format!(
            "without the behaviour graph: ranked by {method} alone, and nothing is compared with past incidents ({error})"
        )
    }));
    let (graph, rest) = findings.map_or((None, None), |found| {
        let GraphFindings { input, tests, normal_windows, normal_graphs, similar, learned, compared, .. } =
            found;
        (Some(input), Some((tests, normal_windows, normal_graphs, similar, learned, compared)))
    });
    let (tests, normal_windows, normal_graphs, similar, learned, compared) = rest.unwrap_or_default();
    let learned = learned.filter(|_| method == Method::Evidence && parameters.evidence.learn);
    let weights = learned.clone();
    let (ranked, graph, rows) = work::run({
        let (parameters, frame) = (parameters.clone(), Arc::clone(&frame));
        move |stop| {
            let (ranked_frame, ranked_rows) =
                extended.as_ref().map_or((&*frame, &rows), |longer| (&longer.frame, &longer.rows));
            let edges = match &extended {
                Some(longer) => edges.map(|edges| edges.after_missing(longer.remembered)),
                None => edges,
            };
            let input = RankInput {
                frame: ranked_frame,
                rows: ranked_rows,
                remembered: extended.as_ref().map_or(0, |longer| longer.remembered),
                context: &ranked_context,
                edges: edges.as_ref(),
                rules: &rules,
                graph: graph.as_ref(),
                method,
                seed,
                parameters: &parameters,
                learned: weights.as_ref(),
                stop,
                want_walk,
            };
            Ok((ranker::rank_services(&input)?, graph, rows))
        }
    })
    .instrument(tracing::info_span!("rank"))
    .await?;
    stages.end("rank");
    warnings.extend(ranked.warnings);
    let assessment = ranked.assessment.map(|assessment| naming_unread(assessment, &unread));

    let summary = |selected: &[usize]| {
        window_summary::summarise(&frame, selected).map(|window| v1::WindowSummary::from(&window))
    };
    let mut diagnosis = v1::Diagnosis {
        diagnosis_id,
        system: context.system().into(),
        front_end: context.front_end().into(),
        method: method.to_wire().into(),
        seed,
        window: summary(&rows.incident),
        normal_window: summary(&rows.normal),
        ranking: ranked.ranking.services().iter().map(v1::RankedService::from).collect(),
        metric_weights: ranker::metric_weights(method, graph.as_ref()),
        warnings,
        settings: parameters.flattened().into_iter().collect(),
        behavior_graph: graph.as_ref().map(|found| v1::ExplainedGraph {
            graph: Some((&found.anomaly).into()),
            tests,
            normal_windows,
            ci_shares: ci_shares(found),
        }),
        similar,
        assessment: assessment.as_ref().map(v1::Assessment::from),
        counterfactuals: ranked.counterfactuals,
        sketches: sketches(&frame, &rows, ranked.ranking.services()),
        state: v1::DiagnosisState::Done.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        learned_weights: learned.as_ref().map(v1::LearnedWeights::from),
        coverage: coverage(&frame, &rows.incident),
        versions: peers
            .versions
            .of(took_part)
            .chain([("walker".to_owned(), env!("CARGO_PKG_VERSION").to_owned())])
            .collect(),
        alerts,
        ..v1::Diagnosis::default()
    };
    // A baseline's ranking would replace what a better method remembered of the same incident.
    let worth_keeping = matches!(method, Method::Evidence | Method::Automap);
    if record && worth_keeping {
        listener.progress(DiagnosisStage::Recording, "recording the incident".into());
        // A graph that was not compared with normal behaviour is no anomaly profile to keep.
        if compared || graph.is_none() {
            let of_graph =
                graph.as_ref().map(|found| OfGraph { found, parameters: &parameters.automap, normal_graphs });
            memory_answers &= keep_incident(peers, &context, &mut diagnosis, of_graph).await;
        }
        stages.end("record");
    }
    answer_size::fit(&mut diagnosis, MAX_MESSAGE_BYTES - ENVELOPE_BYTES);
    diagnosis.stages = stages.into_wire();
    Ok(Finished { diagnosis, memory_answers, walk: ranked.walk })
}

impl From<RankError> for ServiceError {
    fn from(error: RankError) -> Self {
        match error {
            RankError::Invalid(invalid) => invalid.into(),
            RankError::Stopped(stopped) => Self::new(ErrorCode::Cancelled, stopped.to_string()),
        }
    }
}

/// Share of the time left that the memory may take, so that there is an answer without it.
const MEMORY_SHARE: f64 = 0.5;

/// The frame with remembered rows before its own, where its normal window is short and something is remembered.
async fn remembered_rows(
    peers: &Peers,
    context: &IncidentContext,
    frame: &MetricFrame,
    rows: &WindowRows,
    wanted: usize,
    warnings: &mut Vec<String>,
) -> Option<Extended> {
    let missing = wanted.checked_sub(rows.normal.len()).filter(|missing| *missing > 0)?;
    let asking = normal_rows(peers, context, frame, missing);
    let found = match within_share("profiler", MEMORY_SHARE, asking).await {
        Ok(remembered) => {
            normal_history::extend(frame, rows, &remembered, missing).map_err(ServiceError::from)
        }
        Err(error) => Err(error),
    };
    match found {
        Ok(longer) => {
            warnings.extend(longer.as_ref().map(|longer| {
                format!(
                    "normal behaviour is short: {} remembered rows of normal times were added to {} of these metrics",
                    longer.remembered,
                    rows.normal.len()
                )
            }));
            longer
        }
        Err(error) => {
            warnings.push(format!("without remembered rows of normal times: {error}"));
            None
        }
    }
}

/// The CI share of each edge of the behaviour graph.
fn ci_shares(graph: &GraphInput) -> Vec<f64> {
    let edges = graph.anomaly.edges();
    graph
        .shares
        .as_ref()
        .map_or_else(Vec::new, |shares| edges.map(|(from, to, _)| shares.between(from, to)).collect())
}

/// Services that have metrics, stand in the call graph or are met in measured calls.
fn known_services<'a>(
    frame: &'a MetricFrame,
    context: &'a IncidentContext,
    edges: Option<&'a EdgeFrame>,
) -> BTreeSet<&'a str> {
    let told = context.call_graph().map(CallGraph::services).unwrap_or_default();
    let measured = edges.map_or(&[][..], EdgeFrame::edges).iter();
    let met = measured.flat_map(|(caller, callee)| [caller.as_str(), callee.as_str()]);
    frame.services().iter().map(String::as_str).chain(told).chain(met).collect()
}

/// What the caller knows, else what the source knows.
fn known_context(
    from_caller: Option<IncidentContext>,
    collected: &Collected,
) -> Result<IncidentContext, Invalid> {
    let context = match (from_caller, &collected.context) {
        (Some(context), _) => context,
        (None, Some(context)) => IncidentContext::try_from(context)?,
        (None, None) => {
            return Err(Invalid::new(
                "context",
                "is missing and the source does not say; name the front end and the start of the anomaly",
            ));
        }
    };
    match (context.call_graph(), &collected.call_graph) {
        (None, Some(measured)) => Ok(context.calling(CallGraph::try_from(measured)?)),
        _ => Ok(context),
    }
}
