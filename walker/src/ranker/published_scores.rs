//! Scores and paths of the published walk, laid over all services of a ranking.

use automap_proto::invalid::Invalid;

use super::RankInput;
use crate::{
    automap_walk::{AutomapInput, automap_walk},
    walk_trace::WalkTrace,
    walked_paths::WalkedPath,
};

/// Score of a service that no walk reached and that does not move with the front end, see [`automap_walk`].
const NEVER_REACHED: f64 = -2.0;

/// Scores and paths, one per service.
type Scored = (Vec<f64>, Vec<Option<WalkedPath>>);

/// Visits of the published walk. A service that only the call graph knows is not in the behaviour graph: never reached
/// and without correlation, it scores as such.
pub(super) fn by_automap(
    input: &RankInput<'_>,
    services: &[String],
    trace: &mut WalkTrace,
) -> Result<Scored, Invalid> {
    let graph = input.graph.ok_or_else(|| Invalid::missing("behavior_graph"))?;
    let names = graph.anomaly.services();
    if names != input.frame.services() {
        return Err(Invalid::new("behavior_graph.services", "are not the services of the frame"));
    }
    let front_end = graph
        .anomaly
        .service_index(input.context.front_end())
        .ok_or_else(|| Invalid::new("front_end", "is no service of the behaviour graph"))?;
    let walk = AutomapInput {
        graph: &graph.anomaly,
        correlations: &graph.correlations,
        weights: &graph.weights,
        front_end,
    };
    let parameters = input.parameters;
    let answer = automap_walk(&walk, &parameters.automap, &parameters.paths, input.seed, trace)?;
    let positions: Vec<Option<usize>> = names.iter().map(|name| services.binary_search(name).ok()).collect();
    *trace = std::mem::take(trace).renamed(&positions);
    let mut scores = vec![NEVER_REACHED; services.len()];
    let mut paths = vec![None; services.len()];
    for (index, (score, path)) in answer.scores.into_iter().zip(answer.paths).enumerate() {
        let Some(position) = positions[index] else {
            continue;
        };
        scores[position] = score;
        paths[position] = path.map(|walked| WalkedPath {
            services: walked.services.iter().filter_map(|&step| positions[step]).collect(),
            ..walked
        });
    }
    Ok((scores, paths))
}
