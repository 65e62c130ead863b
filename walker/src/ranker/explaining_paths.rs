//! On which path each service is reached: a walk that explains a ranking and does not make it.

use automap_proto::{call_graph::CallGraph, edge_frame::EdgeFrame};

use super::RankInput;
use crate::{
    walk_trace::WalkTrace,
    walked_paths::{WalkedPath, along_behavior, along_calls, walk_paths},
};

/// One path per service of the ranking, empty without a front end among them or anything to walk along.
pub(super) fn explaining_paths(
    input: &RankInput<'_>,
    services: &[String],
    totals: &[f64],
    calls: Option<&[(usize, usize)]>,
    trace: &mut WalkTrace,
) -> Vec<Option<WalkedPath>> {
    let Ok(front_end) = services.binary_search_by(|name| name.as_str().cmp(input.context.front_end())) else {
        return Vec::new();
    };
    let matrix = match (calls, input.graph) {
        (Some(calls), _) => along_calls(totals, calls, services.len(), &input.parameters.evidence),
        (None, Some(graph)) => along_behavior(services, &graph.anomaly),
        (None, None) => return Vec::new(),
    };
    walk_paths(&matrix, front_end, &input.parameters.paths, input.seed, trace)
}

/// Calls that were told, measured or forced, none of them forbidden, between services, sorted; `None` where there is none.
pub(super) fn known_calls(input: &RankInput<'_>, services: &[String]) -> Option<Vec<(usize, usize)>> {
    let state = |name: &str| services.binary_search_by(|service| service.as_str().cmp(name)).ok();
    let told = input.context.call_graph().into_iter().flat_map(CallGraph::calls);
    let measured = input.edges.map_or(&[][..], EdgeFrame::edges).iter();
    let calls: Vec<(usize, usize)> = told
        .chain(measured.map(|(caller, callee)| (caller.as_str(), callee.as_str())))
        .filter_map(|(caller, callee)| Some((state(caller)?, state(callee)?)))
        .collect();
    Some(input.rules.indexed(services).applied(&calls)).filter(|calls| !calls.is_empty())
}
