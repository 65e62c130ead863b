//! `automap experiment report`: the answers of an experiment, counted as `automap evaluate` counts.

use anyhow::Context as _;
use serde::Serialize;

use super::{
    arguments::ReportArgs,
    state::{DriverKind, State},
};
use crate::{
    arguments::AnswerFormat,
    evaluate::{
        case::{CaseSet, Handicap, read_cases},
        discover::Dataset,
        learning::Learning,
        measured::{Measured, Run},
        outcome::Outcome,
        report::{Report, Settings},
    },
    failure::Failure,
    output::{evaluation_page, evaluation_table, experiment_section},
    output_file::OutputFile,
    stdout,
};

/// An experiment with its figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReport {
    /// What was done.
    pub experiment: ExperimentSummary,
    /// What came of it: a report of `automap evaluate` on answers that were given during the experiment.
    pub evaluation: Report,
}

/// What was done in an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentSummary {
    /// Where the application ran.
    pub driver: DriverKind,
    /// Rounds that were planned.
    pub planned: usize,
    /// Seconds of normal behaviour before each fault, and of the fault.
    pub normal_seconds: f64,
    /// Seconds that a fault lasted.
    pub fault_seconds: f64,
    /// Distance of samples, seconds.
    pub step_seconds: f64,
    /// Seed of the choice of services and faults.
    pub seed: u64,
    /// In order.
    pub rounds: Vec<RoundSummary>,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundSummary {
    /// Name of its directory.
    pub name: String,
    /// The service that was harmed.
    pub service: String,
    /// What was done to it.
    pub fault: String,
    /// When, unix seconds.
    pub anomaly_start: f64,
    /// Until when.
    pub anomaly_end: f64,
    /// What a person should know about its metrics.
    pub warnings: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The directory holds no experiment, no round of it is done, an incident is gone, or a file cannot be written.
pub fn run(args: &ReportArgs) -> Result<(), Failure> {
    let page = args.html.as_deref().map(|path| OutputFile::prepare("--html", path)).transpose()?;
    let state = State::read(&args.directory)?;
    let measured = measured(&state, &args.directory)?;
    let settings = Settings {
        seed: state.plan.seed,
        delay: 0.0,
        normal_window: None,
        shuffled_calls: false,
        bootstrap: args.bootstrap,
        exclude: Vec::new(),
        learn: state.plan.learn.then_some(Learning::Rounds),
    };
    let report =
        ExperimentReport { experiment: summary(&state), evaluation: Report::new(&measured, settings) };
    let printed = match args.output {
        AnswerFormat::Json => stdout::print_json(&report),
        AnswerFormat::Table => stdout::print(&evaluation_table::render(&report.evaluation)),
    };
    // Behind what was printed, for a file may be standard output; and whether or not somebody read it.
    if let Some(file) = page {
        let section = experiment_section::section(&report.experiment, &report.evaluation);
        file.finish(&evaluation_page::render_with(&report.evaluation, &section)?)?;
    }
    printed
}

/// The answers of the rounds that are done, with their incidents.
fn measured(state: &State, directory: &std::path::Path) -> Result<Measured, Failure> {
    let done: Vec<_> = state.rounds.iter().filter(|round| !round.outcomes.is_empty()).collect();
    if done.is_empty() {
        return Err(Failure::TooLittleData(format!("{}: no round is done yet", directory.display())));
    }
    let folder = directory.join(super::PYMICRO);
    let incidents = done.iter().map(|round| folder.join(round.name())).collect();
    let dataset = Dataset { name: super::PYMICRO.into(), incidents };
    let handicap = Handicap { delay: 0.0, normal_window: None, shuffled_calls: None };
    let sets: Vec<CaseSet> = read_cases(&[dataset], handicap, directory)?;
    let contenders = state.plan.contenders()?;
    let mut runs = Vec::new();
    for contender in &contenders {
        let outcome = |round: &&super::state::Round| -> anyhow::Result<Outcome> {
            let found = round.outcomes.get(&contender.name);
            found.cloned().with_context(|| format!("{} has no answer of {}", round.name(), contender.name))
        };
        let outcomes = done.iter().map(outcome).collect::<anyhow::Result<Vec<Outcome>>>()?;
        runs.push(Run { outcomes, peak_bytes: None });
    }
    Ok(Measured { sets, contenders, runs: vec![runs] })
}

fn summary(state: &State) -> ExperimentSummary {
    let plan = &state.plan;
    ExperimentSummary {
        driver: state.driver,
        planned: plan.rounds,
        normal_seconds: plan.times.normal.0.as_secs_f64(),
        fault_seconds: plan.times.fault.0.as_secs_f64(),
        step_seconds: plan.metrics.step.0.as_secs_f64(),
        seed: plan.seed,
        rounds: state
            .rounds
            .iter()
            .map(|round| RoundSummary {
                name: round.name(),
                service: round.service.clone(),
                fault: round.fault.clone(),
                anomaly_start: round.anomaly_start,
                anomaly_end: round.anomaly_end,
                warnings: round.warnings.clone(),
            })
            .collect(),
    }
}
