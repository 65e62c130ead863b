//! Baselines: other published methods, each from its paper, and what is often met in place of a method.
//!
//! An evaluation without them says nothing. They are written to be compared with and not to be run in production:
//! what a paper leaves open is decided by the simplest reading, and the documentation of each module says so.
//!
//! | module | what it holds |
//! |---|---|
//! | [`n_sigma`] | the largest distance from the normal mean in standard deviations |
//! | [`baro`] | the largest rise above the normal median in interquartile ranges |
//! | [`epsilon_diagnosis`] | a two-sample test of every series, by energy distance |
//! | [`monitor_rank`] | a walk over the call graph towards correlation with the front end |
//! | [`cloud_ranger`] | a walk of second order over the impact graph of latency |
//! | [`naive`] | a walk over pairs whose histograms look dependent |
//! | [`front_end_similarity`] | how far the latency of each service moves with the front end's |

pub mod baro;
pub mod cloud_ranger;
pub mod epsilon_diagnosis;
pub mod front_end_similarity;
pub mod monitor_rank;
pub mod n_sigma;
pub mod naive;

use automap_proto::{invalid::Invalid, method::Method};

use crate::ranker::{RankError, RankInput};

/// Score of a service that a simulated walk cannot have met: below one that it met.
const NEVER_MET: f64 = -1.0;

/// Scores of a baseline that is more than evidence per service, one for each of `services`: sorted, those of the
/// frame and of the call graph. `None` for every other method. A service without metrics scores below or like the
/// least of those that have some.
///
/// # Errors
/// The method is `cloud-ranger` and its graph is missing or not one of the frame's services.
pub fn scores(input: &RankInput<'_>, services: &[String]) -> Result<Option<Vec<f64>>, RankError> {
    let front_end = |names: &[String]| names.iter().position(|name| name == input.context.front_end());
    let frame = input.frame;
    let similarity =
        || front_end_similarity::front_end_similarity(frame, input.rows, input.context.front_end());
    let of_frame = match input.method {
        Method::MonitorRank => {
            let similarity = over(services, frame.services(), &similarity(), 0.0);
            let calls = input.context.call_graph().filter(|calls| !calls.is_empty());
            return Ok(Some(monitor_rank::monitor_rank(services, &similarity, calls, front_end(services))));
        }
        Method::CloudRanger => {
            let graph = input.graph.ok_or_else(|| Invalid::missing("behavior_graph"))?;
            if graph.anomaly.services() != frame.services() {
                return Err(
                    Invalid::new("behavior_graph.services", "are not the services of the frame").into()
                );
            }
            let start = front_end(frame.services());
            cloud_ranger::cloud_ranger(&graph.anomaly, &similarity(), start, input.seed)
        }
        Method::EpsilonDiagnosis => {
            epsilon_diagnosis::epsilon_diagnosis(frame, input.rows, input.seed, input.stop)?
        }
        Method::Naive => {
            naive::naive(frame, input.rows, front_end(frame.services()), input.seed, input.stop)?
        }
        Method::Evidence | Method::Automap | Method::NSigma | Method::Baro | Method::Random => {
            return Ok(None);
        }
    };
    Ok(Some(over(services, frame.services(), &of_frame, NEVER_MET)))
}

/// Values of `names` in the order of `services`, both sorted; `missing` for the others.
fn over(services: &[String], names: &[String], values: &[f64], missing: f64) -> Vec<f64> {
    let value = |name: &String| names.binary_search(name).ok().and_then(|index| values.get(index)).copied();
    services.iter().map(|name| value(name).unwrap_or(missing)).collect()
}
