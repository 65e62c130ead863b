//! Behaviour graphs of normal windows, learned without any incident.

use std::sync::Arc;

use automap_proto::{frame::MetricFrame, invalid::Invalid, time::TimeWindow, v1};
use automap_service_kit::error::ServiceError;

use super::WalkerRpc;
use crate::{
    graph_plan::{GraphPlan, MAX_NORMAL_WINDOWS, graph_settings, normal_graph_name, whole_windows},
    listener::Nobody,
    memory::add_normal_graph,
    peers::GraphOrder,
};

/// Longest window, milliseconds: a week.
const MAX_WINDOW_MS: u64 = 7 * 24 * 3_600_000;

/// Decodes the length of the windows that a request wants, milliseconds.
///
/// # Errors
/// It is zero, or longer than a week.
pub(super) fn graph_window(wire: Option<&prost_types::Duration>) -> Result<Option<u64>, Invalid> {
    let Some(length) = wire else {
        return Ok(None);
    };
    let seconds = u64::try_from(length.seconds).ok();
    let milliseconds = seconds.and_then(|seconds| {
        seconds.checked_mul(1000)?.checked_add(u64::try_from(length.nanos).ok()? / 1_000_000)
    });
    milliseconds
        .filter(|milliseconds| (1..=MAX_WINDOW_MS).contains(milliseconds))
        .map(Some)
        .ok_or_else(|| Invalid::new("graph_window", "must be longer than nothing and at most a week"))
}

impl WalkerRpc {
    /// Has the behaviour graphs of whole normal windows built, as diagnoses build theirs, and remembered; answers how many
    /// were new. `rows` of the frame ascend and have samples.
    ///
    /// # Errors
    /// The settings of diagnoses need a front end, or the graph-builder or the profiler failed.
    pub(super) async fn learn_graphs(
        &self,
        system: &str,
        frame: MetricFrame,
        rows: &[usize],
        (length_ms, abnormal): (u64, &[v1::TimeWindow]),
    ) -> Result<u32, ServiceError> {
        let known: Vec<TimeWindow> =
            abnormal.iter().map(|one| TimeWindow::from_wire("abnormal", one)).collect::<Result<_, _>>()?;
        let settings = graph_settings(&self.config.parameters.automap, "")?;
        let frame = Arc::new(frame);
        let front_end = frame.services().first().cloned().unwrap_or_default();
        let mut new = 0;
        for windows in whole_windows(frame.grid(), rows, length_ms, &known).chunks(MAX_NORMAL_WINDOWS) {
            let named = windows.iter().enumerate();
            let order = GraphOrder {
                settings: settings.clone(),
                front_end: &front_end,
                selections: named.map(|(index, rows)| (normal_graph_name(index), rows.clone())).collect(),
                budget: self.config.parameters.automap.budget,
                ..GraphOrder::default()
            };
            let (graphs, _) = self.peers.build_graphs(Arc::clone(&frame), order, &Nobody).await?;
            for (index, rows) in windows.iter().enumerate() {
                // Edges that were not tested are no normal behaviour.
                let built = graphs.get(&normal_graph_name(index)).filter(|built| !built.is_cut);
                let (Some(built), Some(window)) = (built, GraphPlan::window(frame.grid(), rows)) else {
                    continue;
                };
                let normal_graph = v1::NormalGraph {
                    system: system.to_owned(),
                    window: Some(window.to_wire()),
                    settings: Some((&settings).into()),
                    graph: Some((&built.graph).into()),
                    window_ms: length_ms,
                };
                let request = v1::AddNormalGraphRequest {
                    normal_graph: Some(normal_graph),
                    only_if_normal: true,
                    abnormal: abnormal.to_vec(),
                };
                new += u32::from(add_normal_graph(&self.peers, request).await?);
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::time::duration_to_wire;

    use super::*;

    #[test]
    fn windows_are_longer_than_nothing_and_at_most_a_week() {
        let read = |milliseconds| graph_window(Some(&duration_to_wire(milliseconds)));
        assert_eq!(read(600_500), Ok(Some(600_500)));
        assert_eq!(graph_window(None), Ok(None));
        assert_eq!(read(0).unwrap_err().field(), "graph_window");
        assert!(read(MAX_WINDOW_MS + 1).is_err());
        assert!(graph_window(Some(&prost_types::Duration { seconds: -1, nanos: 0 })).is_err());
    }
}
