//! AddNormalGraph and GetNormalGraph.

use automap_proto::{invalid::Invalid, time::UnixMillis, v1};
use automap_service_kit::error::ServiceError;

use super::normal_rows::{CLOCK_SLACK_MS, known_abnormal};
use crate::{
    config::ProfilerConfig,
    normal_window::{NormalSelector, NormalWindow},
    service_profile::service_profiles,
    store::ProfileStore,
};

pub(super) fn add(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::AddNormalGraphRequest,
    now: UnixMillis,
) -> Result<v1::AddNormalGraphResponse, ServiceError> {
    let wire = request.normal_graph.as_ref().ok_or_else(|| Invalid::missing("normal_graph"))?;
    let window = NormalWindow::try_from(wire)?;
    if window.window().end().0 > now.0.saturating_add(CLOCK_SLACK_MS) {
        let problem = "ends in a time to come by the profiler's clock; compare the clocks";
        return Err(Invalid::new("normal_graph.window", problem).into());
    }
    let system = &window.group().system;
    if request.only_if_normal {
        let abnormal = known_abnormal(store, config, system, &request.abnormal)?;
        if abnormal.meet(window.window()) {
            let selector = NormalSelector { group: window.group().clone(), window_ms: window.window_ms() };
            let windows = window_count(store.normal_sum(&selector, &[], &abnormal)?.windows());
            return Ok(v1::AddNormalGraphResponse { added: false, windows });
        }
    }
    let outcome = store.add_normal_window(&window)?;
    Ok(v1::AddNormalGraphResponse { added: outcome.added, windows: window_count(outcome.windows) })
}

pub(super) fn get(
    store: &dyn ProfileStore,
    config: &ProfilerConfig,
    request: &v1::GetNormalGraphRequest,
) -> Result<v1::GetNormalGraphResponse, ServiceError> {
    let wire = request.selector.as_ref().ok_or_else(|| Invalid::missing("selector"))?;
    let selector = NormalSelector::from_wire("selector", wire)?;
    let abnormal = known_abnormal(store, config, &selector.group.system, &[])?;
    let sum = store.normal_sum(&selector, &[], &abnormal)?;
    let profiles = service_profiles(sum.graph().services(), sum.graph(), &config.classes);
    Ok(v1::GetNormalGraphResponse {
        graph: (sum.windows() > 0).then(|| sum.graph().into()),
        windows: window_count(sum.windows()),
        profiles: profiles.iter().map(v1::ServiceProfile::from).collect(),
    })
}

pub(super) fn window_count(windows: usize) -> u32 {
    u32::try_from(windows).unwrap_or(u32::MAX)
}
