//! The diagnoses of an evaluation.

use std::time::Instant;

use anyhow::Context as _;
use automap_proto::{assessment::Assessment, v1};
use futures::StreamExt as _;
use indicatif::ProgressBar;

use super::{
    case::{Case, CaseSet},
    contender::Contender,
    measured::{Measured, Run},
    outcome::Outcome,
    peak_memory,
};
use crate::{failure::Failure, progress::counting_bar, stdout, walker_client::WalkerClient};

/// Most diagnoses at once: what the walker lets wait.
const MAX_JOBS: usize = 128;

/// Has every contender diagnose every incident, `jobs` at once, one per core when 0.
///
/// # Errors
/// A service failed. An incident that is refused is a miss, and is named.
pub async fn measure(
    walker: &WalkerClient,
    sets: Vec<CaseSet>,
    contenders: Vec<Contender>,
    seed: u64,
    jobs: usize,
) -> Result<Measured, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if jobs == 0 { cores } else { jobs.min(MAX_JOBS) };
    let total = sets.iter().map(|set| set.cases.len()).sum::<usize>() * contenders.len();
    let bar = counting_bar(total, "diagnoses");
    let mut runs = Vec::new();
    for set in &sets {
        let mut of_set = Vec::new();
        for contender in &contenders {
            bar.set_message(format!("diagnoses, {} on {}", contender.name, set.name));
            peak_memory::reset();
            let outcomes = outcomes(walker, contender, &set.cases, seed, jobs, &bar).await?;
            of_set.push(Run { outcomes, peak_bytes: peak_memory::peak_bytes() });
        }
        runs.push(of_set);
    }
    bar.finish_and_clear();
    Ok(Measured { sets, contenders, runs })
}

async fn outcomes(
    walker: &WalkerClient,
    contender: &Contender,
    cases: &[Case],
    seed: u64,
    jobs: usize,
    bar: &ProgressBar,
) -> Result<Vec<Outcome>, Failure> {
    let diagnoses = cases.iter().map(|case| async {
        let outcome = score(walker, contender, case, seed).await;
        bar.inc(1);
        outcome
    });
    // Ordered, so that sums do not depend on which diagnosis ended first.
    let outcomes: Vec<Result<Outcome, Failure>> =
        futures::stream::iter(diagnoses).buffered(jobs).collect().await;
    outcomes.into_iter().collect()
}

/// Diagnoses one incident and compares with its label.
async fn score(
    walker: &WalkerClient,
    contender: &Contender,
    case: &Case,
    seed: u64,
) -> Result<Outcome, Failure> {
    let settings = v1::DiagnosisSettings {
        method: contender.method.to_wire().into(),
        seed,
        parameters: contender.parameters.clone().into_iter().collect(),
        want_graph: false,
        record: false,
    };
    let began = Instant::now();
    let answer = match &case.request {
        Ok(request) => {
            let (message, metrics_file) = request.clone().into_message(settings);
            walker.diagnose(message, &metrics_file, &|_| {}).await
        }
        Err(failure) => Err(Failure::Usage(failure.to_string())),
    };
    match answer {
        Ok(answer) => {
            let seconds = began.elapsed().as_secs_f64();
            let assessment = answer.wire.assessment.as_ref().map(Assessment::try_from).transpose();
            let assessment = assessment.context("the walker's answer is not valid")?;
            Ok(Outcome::new(&answer.ranking, assessment.as_ref(), &case.label, seconds))
        }
        // An incident may be refused; a service that fails says nothing about the method.
        Err(failure) if failure.is_of_service() => Err(failure),
        Err(failure) => {
            stdout::warning(&format!("{} gave no answer to {}: {failure}", contender.name, case.id));
            Ok(Outcome::refusal(&case.label, failure.to_string()))
        }
    }
}
