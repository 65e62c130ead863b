//! The diagnoses of an evaluation.

use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;

use super::{
    case::{Case, CaseSet},
    contender::Contender,
    diagnosing::Diagnosing,
    learning::{self, Learning},
    measured::{Measured, Run},
    outcome::Outcome,
    peak_memory,
};
use crate::{failure::Failure, progress::counting_bar, walker_client::WalkerClient};

/// Most diagnoses at once: what the walker lets wait.
const MAX_JOBS: usize = 128;

/// Has every contender diagnose every incident, `jobs` at once, one per core when 0. Contenders that learn do so as
/// `learning` says, each with a memory of its own per dataset; the others have none.
///
/// # Errors
/// A service failed. An incident that is refused is a miss, and is named.
pub async fn measure(
    walker: &WalkerClient,
    sets: Vec<CaseSet>,
    contenders: Vec<Contender>,
    learning: Option<Learning>,
    seed: u64,
    jobs: usize,
) -> Result<Measured, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if jobs == 0 { cores } else { jobs.min(MAX_JOBS) };
    let passes = |contender: &Contender| match learning {
        Some(Learning::LeaveOneOut | Learning::Folds(_)) if contender.learns => 2,
        _ => 1,
    };
    let cases: usize = sets.iter().map(|set| set.cases.len()).sum();
    let bar = counting_bar(cases * contenders.iter().map(passes).sum::<usize>(), "diagnoses");
    let mut runs = Vec::new();
    for set in &sets {
        let mut of_set = Vec::new();
        for contender in &contenders {
            bar.set_message(format!("diagnoses, {} on {}", contender.name, set.name));
            peak_memory::reset();
            let outcomes = match learning.filter(|_| contender.learns) {
                Some(learning) => {
                    learning::outcomes(contender, &set.cases, learning, (seed, jobs), &bar).await?
                }
                None => outcomes(&Diagnosing { walker, contender, seed }, &set.cases, jobs, &bar).await?,
            };
            of_set.push(Run { outcomes, peak_bytes: peak_memory::peak_bytes() });
        }
        runs.push(of_set);
    }
    bar.finish_and_clear();
    Ok(Measured { sets, contenders, runs })
}

async fn outcomes(
    diagnosing: &Diagnosing<'_>,
    cases: &[Case],
    jobs: usize,
    bar: &ProgressBar,
) -> Result<Vec<Outcome>, Failure> {
    let diagnoses = cases.iter().map(|case| async {
        let (_, outcome) = diagnosing.diagnose(case, false).await?;
        bar.inc(1);
        Ok(outcome)
    });
    // Ordered, so that sums do not depend on which diagnosis ended first.
    futures::stream::iter(diagnoses).buffered(jobs).try_collect().await
}
