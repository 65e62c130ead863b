//! WeighMetrics: what sets an incident apart from normal behaviour, which past incidents resemble it, and what those
//! teach about the metrics.

use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::check_name,
    invalid::{Invalid, did_you_mean},
    metric::METRIC_COUNT,
    v1,
};
use automap_service_kit::error::ServiceError;

use super::{
    incidents::{excluded_incident, similar_to_wire},
    lessons::Lessons,
    normal_rows::known_abnormal,
    normals::window_count,
};
use crate::{
    algebra::KeptEdges,
    anomaly_profile::{AnomalyProfile, decode_graph},
    config::ProfilerConfig,
    normal_window::{NormalSelector, NormalSum, NormalWindow},
    similarity::RERANKED,
    store::{ProfileStore, SimilarIncident, SimilarityQuery},
    weights::{Vote, metric_weights},
};

/// What of normal behaviour is known for an incident.
struct Normal {
    /// The windows to subtract, if there are enough.
    sum: Option<NormalSum>,
    warnings: Vec<String>,
}

pub(super) fn weigh(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    lessons: &Lessons,
    request: &v1::WeighMetricsRequest,
) -> Result<v1::WeighMetricsResponse, ServiceError> {
    check_name("system", &request.system)?;
    let wire = request.incident_graph.as_ref().ok_or_else(|| Invalid::missing("incident_graph"))?;
    let incident = decode_graph("incident_graph", wire)?;
    check_front_end(&request.front_end, &incident)?;
    let limit = neighbours(request.neighbours, config)?;
    let exclude = excluded_incident(&request.exclude_incident_id)?;
    let normal = normal_behaviour(store, config, request)?;

    let kept =
        if request.literal_subtraction { KeptEdges::Intersection } else { KeptEdges::PositiveResidual };
    let behaviour = normal.sum.as_ref().map(NormalSum::graph);
    let profile = AnomalyProfile::of_incident(&incident, behaviour, kept, &config.classes)?;
    let vector = profile.similarity_vector();
    let learned = lessons.weights(store, &request.system, exclude.as_ref())?;
    let query =
        SimilarityQuery { system: request.system.clone(), profile, limit, confirmed_only: true, exclude };
    let similar = store.similar_incidents(&query)?;
    Ok(v1::WeighMetricsResponse {
        anomaly_graph: Some(query.profile.graph().into()),
        profiles: query.profile.profiles().iter().map(v1::ServiceProfile::from).collect(),
        normal_windows: window_count(normal.sum.as_ref().map_or(0, NormalSum::windows)),
        metric_weights: learnt_weights(&similar).to_vec(),
        similar: similar.iter().map(|found| similar_to_wire(store, found)).collect::<Result<_, _>>()?,
        similarity_vector: vector.cells().iter().map(|&cell| f64::from(cell)).collect(),
        warnings: normal.warnings,
        learned_weights: learned.as_ref().map(v1::LearnedWeights::from),
    })
}

/// The weights that confirmed incidents teach, most similar first.
fn learnt_weights(similar: &[SimilarIncident]) -> [f64; METRIC_COUNT] {
    let votes: Vec<Vote> = similar
        .iter()
        .filter_map(|incident| incident.verdict.as_ref())
        .map(|verdict| Vote { precision: verdict.precision, correlations: verdict.correlations })
        .collect();
    metric_weights(&votes)
}

fn check_front_end(front_end: &str, incident: &BehaviorGraph) -> Result<(), Invalid> {
    check_name("front_end", front_end)?;
    if incident.service_index(front_end).is_none() {
        let hint = did_you_mean(front_end, incident.services().iter().map(String::as_str))
            .map_or_else(String::new, |near| format!("; did you mean {near}?"));
        return Err(Invalid::new("front_end", format!("{front_end} is no service of incident_graph{hint}")));
    }
    Ok(())
}

fn neighbours(asked: u32, config: &ProfilerConfig) -> Result<usize, Invalid> {
    match asked as usize {
        0 => Ok(config.neighbours.clamp(1, RERANKED)),
        count if count <= RERANKED => Ok(count),
        count => Err(Invalid::new("neighbours", format!("is {count}; at most {RERANKED}"))),
    }
}

fn normal_behaviour(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::WeighMetricsRequest,
) -> Result<Normal, ServiceError> {
    let Some(wire) = &request.normal else {
        if request.normal_graphs.is_empty() {
            return Ok(Normal { sum: None, warnings: Vec::new() });
        }
        return Err(Invalid::new("normal", "is missing; it says which normal_graphs belong together").into());
    };
    let selector = NormalSelector::from_wire("normal", wire)?;
    if selector.group.system != request.system {
        return Err(Invalid::new("normal.system", format!("is not {}", request.system)).into());
    }
    let mut warnings = Vec::new();
    let beside = windows_beside(&selector, &request.normal_graphs)?;
    let unfit = request.normal_graphs.len() - beside.len();
    if unfit > 0 {
        warnings.push(format!(
            "{unfit} of {} normal windows have another length than {} s and were left out",
            request.normal_graphs.len(),
            selector.window_ms as f64 / 1000.0
        ));
    }
    let abnormal = known_abnormal(store, config, &request.system, &[])?;
    let sum = store.normal_sum(&selector, &beside, &abnormal)?;
    let enough = sum.windows() >= config.min_normal_windows.max(1);
    if !enough {
        warnings.push(format!(
            "{} normal windows are known and {} are needed: no normal behaviour was subtracted",
            sum.windows(),
            config.min_normal_windows.max(1)
        ));
    }
    Ok(Normal { sum: enough.then_some(sum), warnings })
}

/// The normal windows that came with the request and have the length that is asked for.
fn windows_beside(
    selector: &NormalSelector,
    graphs: &[v1::NormalGraph],
) -> Result<Vec<NormalWindow>, Invalid> {
    let mut beside = Vec::new();
    for (index, wire) in graphs.iter().enumerate() {
        let field = format!("normal_graphs[{index}]");
        let window = NormalWindow::try_from(wire).map_err(|error| {
            Invalid::new(error.field().replacen("normal_graph", &field, 1), error.problem())
        })?;
        if *window.group() != selector.group {
            return Err(Invalid::new(field, "has another system or other settings than normal"));
        }
        if selector.takes(window.window_ms()) {
            beside.push(window);
        }
    }
    Ok(beside)
}
