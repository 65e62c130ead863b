//! `automap evaluate`: how often each method finds the root cause of labelled incidents, and how sure that is.
//!
//! | module | what it holds |
//! |---|---|
//! | [`discover`], [`label`], [`case`] | incidents, their answers, and both checked before the first diagnosis |
//! | [`alert`], [`recording_times`] | alerts that are late or early, and normal windows that are cut |
//! | [`contender`] | what is compared |
//! | [`run`], [`diagnosing`], [`outcome`], [`measured`] | the diagnoses, scored |
//! | [`learning`], [`learning_report`] | what confirmed incidents are worth |
//! | [`precision`], [`figure`], [`bootstrap`] | PR@K, the figures of it, and their intervals |
//! | [`confidence_curves`], [`confusion`], [`graph_doubts`], [`knowable`] | what else is counted |
//! | [`score_interval`] | the interval of a share of few answers |
//! | [`no_fault`], [`no_fault_report`] | what is named where nothing was wrong |
//! | [`figures_report`], [`gain_report`], [`confidence_report`], [`fault_report`], [`metric_report`], [`confusion_report`], [`incident_report`] | parts of the report |
//! | [`report`] | all of it together |
//! | [`alerts_report`], [`headlines`] | the same under alerts at several times |
//! | [`scores`] | what a later evaluation is held against |
//! | [`peak_memory`] | what it cost |

pub mod alert;
pub mod alerts_report;
pub mod bootstrap;
pub mod case;
pub mod confidence_curves;
pub mod confidence_report;
pub mod confusion;
pub mod confusion_report;
pub mod contender;
pub mod diagnosing;
pub mod discover;
pub mod fault_report;
pub mod figure;
pub mod figures_report;
pub mod gain_report;
pub mod graph_doubts;
pub mod headlines;
pub mod incident_report;
pub mod knowable;
pub mod label;
pub mod learning;
pub mod learning_report;
pub mod measured;
pub mod metric_report;
pub mod no_fault;
pub mod no_fault_report;
pub mod outcome;
pub mod peak_memory;
pub mod precision;
pub mod recording_times;
pub mod report;
pub mod run;
pub mod score_interval;
pub mod scores;

#[cfg(test)]
mod learning_tests;
#[cfg(test)]
pub(crate) mod test_measured;

use std::path::Path;

use automap_proto::invalid::did_you_mean;

use crate::{
    arguments::{AnswerFormat, EvaluateArgs},
    embedded::Embedded,
    failure::Failure,
    learn,
    output::{alerts_table, evaluation_page, evaluation_table, no_fault_table},
    output_file::OutputFile,
    stdout,
    walker_client::WalkerClient,
};
use alerts_report::{AlertsReport, AlertsSettings};
use case::{CaseSet, Handicap, NoFaultSet, read_cases, read_no_fault};
use contender::Contender;
use discover::Dataset;
use graph_doubts::Shuffles;
use no_fault_report::{NoFaultReport, WindowCounts};
use report::{Report, Settings};
use scores::ScoresFile;

impl EvaluateArgs {
    const fn handicap(&self, delay: f64) -> Handicap {
        let shuffled_calls = match self.shuffle_calls {
            Some(count) => Some(Shuffles { seed: self.seed, count }),
            None => None,
        };
        Handicap { delay, normal_window: self.normal_window, shuffled_calls }
    }

    fn alerts_settings(&self) -> AlertsSettings {
        AlertsSettings {
            seed: self.seed,
            delays: self.delays.clone(),
            normal_window: self.normal_window,
            bootstrap: self.bootstrap,
            exclude: self.exclude.clone(),
            learn: self.learn.map(|learning| learning.to_string()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// No incident is found, a label cannot be read, a flag does not fit the incidents, a file cannot be written, or the
/// services cannot start: all told before the first diagnosis. A contender got worse than in the scores that it is
/// compared with. An incident that cannot be diagnosed is a miss, and is named.
pub async fn run(args: EvaluateArgs) -> Result<(), Failure> {
    let settings = args.settings.iter().cloned().collect();
    let contenders = contender::contenders(&args.methods, &settings, args.ablations, args.learn.is_some())?;
    if let (Some(learning), true) = (args.learn, contenders.iter().all(|contender| !contender.learns)) {
        return Err(Failure::Usage(format!(
            "--learn {learning}: none of the methods learns; add --method evidence or --method automap"
        )));
    }
    check_delays(&args)?;
    let scratch = tempfile::tempdir()?;
    if args.no_fault {
        let datasets = discover::datasets(&args.directories)?;
        return without_fault(&args, &datasets, contenders, scratch.path()).await;
    }
    let handicaps: Vec<Handicap> = args.delays.iter().map(|&delay| args.handicap(delay)).collect();
    let datasets = discover::datasets(&args.directories)?;
    let mut alerts = Vec::new();
    for (index, &handicap) in handicaps.iter().enumerate() {
        let directory = scratch.path().join(index.to_string());
        std::fs::create_dir(&directory)?;
        alerts.push(read_cases(&datasets, handicap, &directory)?);
    }
    let (Some(&handicap), Some(sets)) = (handicaps.first(), alerts.first()) else {
        return Err(Failure::Usage("--delay needs a value".into()));
    };
    check_excluded(&args.exclude, sets)?;
    let old = match &args.compare {
        None => None,
        Some(path) => {
            let names: Vec<&str> = contenders.iter().map(|contender| contender.name.as_str()).collect();
            let incidents: Vec<&str> =
                sets.iter().flat_map(|set| set.cases.iter().map(|case| case.id.as_str())).collect();
            Some(ScoresFile::read(path, handicap, &names, &incidents)?)
        }
    };
    let page = args.report.as_deref().map(|path| OutputFile::prepare("--report", path)).transpose()?;
    let scores_file = args.scores.as_deref().map(|path| OutputFile::prepare("--scores", path)).transpose()?;

    // History would make the answers depend on the order of the incidents: without --learn there is none.
    let memory = tempfile::tempdir()?;
    let services = Embedded::start(memory.path()).await?;
    let walker = WalkerClient::new(&services.addresses().walker)?;
    let measured = async {
        if args.history {
            let recordings = datasets.iter().flat_map(|dataset| dataset.incidents.iter().cloned()).collect();
            learn::remember(&walker, recordings).await?;
        }
        let mut measured = Vec::new();
        for sets in alerts {
            let contenders = contenders.clone();
            measured.push(run::measure(&walker, sets, contenders, args.learn, args.seed, args.jobs).await?);
        }
        Ok::<_, Failure>(measured)
    };
    let measured = measured.await;
    services.stop().await?;
    let measured = measured?;

    let [measured] = &measured[..] else {
        let report = AlertsReport::new(&measured, args.alerts_settings());
        return match args.output {
            AnswerFormat::Json => Ok(stdout::print_json(&report)?),
            AnswerFormat::Table => Ok(stdout::print(&alerts_table::render(&report))?),
        };
    };
    let settings = Settings {
        seed: args.seed,
        delay: handicap.delay,
        normal_window: args.normal_window,
        shuffled_calls: args.shuffle_calls.is_some(),
        bootstrap: args.bootstrap,
        exclude: args.exclude.clone(),
        learn: args.learn,
    };
    let mut report = Report::new(measured, settings);
    report.changes = old.map(|old| old.changes(measured, args.bootstrap, args.seed));
    let printed = match args.output {
        AnswerFormat::Json => stdout::print_json(&report),
        AnswerFormat::Table => stdout::print(&evaluation_table::render(&report)),
    };
    // Behind what was printed, for a file may be standard output; and whether or not somebody read it.
    if let Some(file) = page {
        file.finish(&evaluation_page::render(&report)?)?;
    }
    if let Some(file) = scores_file {
        file.finish(&ScoresFile::new(measured, handicap).to_text())?;
    }
    printed?;
    let worse: String = report
        .changes
        .iter()
        .flatten()
        .filter(|change| change.worse)
        .map(|change| format!("\n  {change}"))
        .collect();
    if worse.is_empty() { Ok(()) } else { Err(Failure::Worse(worse)) }
}

/// Windows without a fault in place of the incidents.
///
/// # Errors
/// As [`run`], and where no recording has such a window.
async fn without_fault(
    args: &EvaluateArgs,
    datasets: &[Dataset],
    contenders: Vec<Contender>,
    scratch: &Path,
) -> Result<(), Failure> {
    let (sets, counts): (Vec<CaseSet>, Vec<WindowCounts>) = read_no_fault(datasets, scratch)?
        .into_iter()
        .map(|NoFaultSet { windows, skipped, times }| (windows, WindowCounts { skipped, times }))
        .unzip();
    if sets.iter().all(|set| set.cases.is_empty()) {
        return Err(Failure::Usage(
            "--no-fault: no recording has as many normal rows in a row as its incident, with eight before them".into(),
        ));
    }
    let memory = tempfile::tempdir()?;
    let services = Embedded::start(memory.path()).await?;
    let walker = WalkerClient::new(&services.addresses().walker)?;
    let measured = run::measure(&walker, sets, contenders, None, args.seed, args.jobs).await;
    services.stop().await?;
    let report = NoFaultReport::new(&measured?, &counts, args.seed);
    match args.output {
        AnswerFormat::Json => Ok(stdout::print_json(&report)?),
        AnswerFormat::Table => Ok(stdout::print(&no_fault_table::render(&report))?),
    }
}

/// # Errors
/// A delay is given twice, or several beside what holds those of one.
fn check_delays(args: &EvaluateArgs) -> Result<(), Failure> {
    let twice = args.delays.iter().enumerate().find(|(index, delay)| args.delays[..*index].contains(delay));
    if let Some((_, delay)) = twice {
        return Err(Failure::Usage(format!("--delay {delay} is given twice; give each once")));
    }
    let single = [
        ("--scores", args.scores.is_some()),
        ("--compare", args.compare.is_some()),
        ("--report", args.report.is_some()),
        ("--shuffle-calls", args.shuffle_calls.is_some()),
    ];
    match single.into_iter().find(|(_, given)| *given && args.delays.len() > 1) {
        None => Ok(()),
        Some((flag, _)) => {
            Err(Failure::Usage(format!("{flag} takes one --delay; give one, or leave {flag} out")))
        }
    }
}

/// # Errors
/// A dataset to leave out is none of those found, or none would be left.
fn check_excluded(excluded: &[String], sets: &[CaseSet]) -> Result<(), Failure> {
    let names = || sets.iter().map(|set| set.name.as_str());
    if let Some(unknown) = excluded.iter().find(|name| !names().any(|known| known == name.as_str())) {
        let hint = did_you_mean(unknown, names()).map_or_else(
            || format!("; the datasets are {}", names().collect::<Vec<_>>().join(", ")),
            |near| format!("; did you mean {near}?"),
        );
        return Err(Failure::Usage(format!("--exclude {unknown}: is no dataset{hint}")));
    }
    if names().all(|name| excluded.iter().any(|other| other == name)) {
        return Err(Failure::Usage("--exclude leaves no dataset; exclude fewer".into()));
    }
    Ok(())
}
