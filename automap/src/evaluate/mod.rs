//! `automap evaluate`: how often each method finds the root cause of labelled incidents.

pub mod alert;
pub mod case;
pub mod discover;
pub mod label;
pub mod precision;
pub mod recording_times;
pub mod report;

use std::time::Instant;

use automap_proto::{method::Method, v1};
use automap_walker::parameters::MethodParameters;
use futures::StreamExt as _;

use crate::{
    arguments::{AnswerFormat, EvaluateArgs},
    embedded::Embedded,
    failure::Failure,
    output::evaluation_table,
    progress::counting_bar,
    stdout,
    walker_client::WalkerClient,
};
use case::{Case, CaseSet, Handicap, read_cases};
use precision::expected_precision;
use report::{DatasetReport, MethodReport, Outcome, Report};

/// Most diagnoses at once: what the walker lets wait.
const MAX_JOBS: usize = 128;

/// Runs the command.
///
/// # Errors
/// No incident is found, a label cannot be read, or the services cannot start. An incident that cannot be diagnosed
/// is a miss, and is named.
pub async fn run(args: EvaluateArgs) -> Result<(), Failure> {
    let settings = args.settings.iter().cloned().collect();
    MethodParameters::default().with_overrides(&settings)?;
    let datasets = discover::datasets(&args.directories)?;
    let scratch = tempfile::tempdir()?;
    let handicap = Handicap { delay: args.delay, normal_window: args.normal_window };
    let sets = read_cases(&datasets, handicap, scratch.path())?;
    // History would make the answers depend on the order of the incidents: each evaluation begins with none.
    let memory = tempfile::tempdir()?;
    let services = Embedded::start(memory.path()).await?;
    let walker = WalkerClient::new(&services.addresses().walker)?;
    let report = evaluate(&args, &sets, &walker).await;
    services.stop().await?;
    let report = report?;
    match args.output {
        AnswerFormat::Json => stdout::print_json(&report),
        AnswerFormat::Table => stdout::print(&evaluation_table::render(&report)),
    }
}

async fn evaluate(args: &EvaluateArgs, sets: &[CaseSet], walker: &WalkerClient) -> Result<Report, Failure> {
    let methods = if args.methods.is_empty() { Method::ALL.to_vec() } else { args.methods.clone() };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if args.jobs == 0 { cores } else { args.jobs.min(MAX_JOBS) };
    let total = sets.iter().map(|set| set.cases.len()).sum::<usize>() * methods.len();
    let bar = counting_bar(total, "diagnoses");
    let mut reports = Vec::new();
    for set in sets {
        let mut rows = Vec::new();
        for &method in &methods {
            let runs = set.cases.iter().map(|case| async {
                let outcome = score(args, walker, method, case).await;
                bar.inc(1);
                outcome
            });
            // Ordered, so that sums do not depend on which diagnosis ended first.
            let outcomes: Vec<Result<Outcome, Failure>> =
                futures::stream::iter(runs).buffered(jobs).collect().await;
            let outcomes = outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
            rows.push(MethodReport::new(method, &outcomes));
        }
        reports.push(DatasetReport { name: set.name.clone(), incidents: set.cases.len(), methods: rows });
    }
    bar.finish_and_clear();
    Ok(Report::new(reports))
}

/// Diagnoses one incident and compares with its label.
async fn score(
    args: &EvaluateArgs,
    walker: &WalkerClient,
    method: Method,
    case: &Case,
) -> Result<Outcome, Failure> {
    let settings = v1::DiagnosisSettings {
        method: method.to_wire().into(),
        seed: args.seed,
        parameters: args.settings.iter().cloned().collect(),
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
    let seconds = began.elapsed().as_secs_f64();
    match answer {
        Ok(answer) => {
            let scored: Vec<(f64, bool)> = answer
                .ranking
                .services()
                .iter()
                .map(|ranked| (ranked.score, case.label.names(&ranked.service)))
                .collect();
            let precision = expected_precision(&scored, case.label.root_cause_services.len());
            Ok(Outcome { precision, seconds, refused: false })
        }
        // An incident may be refused; a service that fails says nothing about the method.
        Err(failure) if failure.is_of_service() => Err(failure),
        Err(failure) => {
            stdout::warning(&format!("{method} gave no answer to {}: {failure}", case.id));
            Ok(Outcome { precision: [0.0; precision::MAX_K], seconds, refused: true })
        }
    }
}
