//! The incidents of an evaluation, read and checked before the first diagnosis.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use automap_proto::{
    incident::{IncidentContext, MIN_NORMAL_ROWS},
    time::UnixMillis,
};

use super::{
    alert::{NormalCut, delayed, incident_length},
    discover::Dataset,
    graph_doubts::{Shuffles, shuffled},
    label::Label,
    no_fault::NoFault,
    recording_times::{copy_rows, row_times},
};
use crate::{arguments::IncidentArgs, failure::Failure, incident_request::IncidentRequest};

/// How the person on call is worse off than the recording says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Handicap {
    /// Incident lengths by which the alert is late, or early when negative.
    pub delay: f64,
    /// Incident lengths of normal behaviour that are known; all there is when absent.
    pub normal_window: Option<f64>,
    /// How call graphs are shuffled, where they are.
    pub shuffled_calls: Option<Shuffles>,
}

impl Handicap {
    fn is_none(&self) -> bool {
        self.delay == 0.0 && self.normal_window.is_none() && self.shuffled_calls.is_none()
    }
}

/// One incident with its answer.
#[derive(Debug)]
pub struct Case {
    /// Dataset and directory: `shop/incident-7`.
    pub id: String,
    /// The answer.
    pub label: Label,
    /// What to ask, or why it cannot be asked: then every method misses.
    pub request: Result<IncidentRequest, Failure>,
}

/// The incidents of one folder.
#[derive(Debug)]
pub struct CaseSet {
    /// Name of the folder.
    pub name: String,
    /// Sorted by path.
    pub cases: Vec<Case>,
}

/// The windows without a fault of one folder.
#[derive(Debug)]
pub struct NoFaultSet {
    /// One per recording that has one.
    pub windows: CaseSet,
    /// Recordings that have none.
    pub skipped: usize,
    /// Distinct times among the windows: recordings of one day may show the same rows.
    pub times: usize,
}

/// One window without a fault per recording; the rows that may be seen are copied into `scratch`.
///
/// # Errors
/// As those of [`read_cases`]; an incident that cannot be read has no window.
pub fn read_no_fault(datasets: &[Dataset], scratch: &Path) -> Result<Vec<NoFaultSet>, Failure> {
    let none = Handicap { delay: 0.0, normal_window: None, shuffled_calls: None };
    let mut sets = Vec::new();
    for (number, set) in read_cases(datasets, none, scratch)?.into_iter().enumerate() {
        let recordings = set.cases.len();
        let (mut cases, mut times_seen) = (Vec::new(), BTreeSet::new());
        for (index, case) in set.cases.into_iter().enumerate() {
            let Ok(request) = case.request else { continue };
            let times = row_times(request.metrics_file())?;
            let found = NoFault::of(request.context(), &times)
                .map_err(|error| Failure::Usage(format!("{}: {error}", case.id)))?;
            let Some(NoFault { context, kept }) = found else { continue };
            let copy = scratch.join(format!("no-fault-{number}-{index}.csv"));
            copy_rows(request.metrics_file(), &copy, |time| kept.contains(&time))
                .with_context(|| format!("cannot copy the normal rows of {}", case.id))?;
            times_seen.insert((context.anomaly_start(), context.anomaly_end()));
            cases.push(Case { request: Ok(request.with(context, copy)), ..case });
        }
        let skipped = recordings - cases.len();
        let windows = CaseSet { name: set.name, cases };
        sets.push(NoFaultSet { windows, skipped, times: times_seen.len() });
    }
    Ok(sets)
}

/// Reads labels and descriptions of all incidents. Recordings whose normal window is cut are copied into `scratch`.
///
/// # Errors
/// A label cannot be read, two datasets have one name, the handicap has no unit for an incident, or it leaves no incident
/// enough rows. An incident that it leaves too few rows is one that cannot be asked.
pub fn read_cases(datasets: &[Dataset], handicap: Handicap, scratch: &Path) -> Result<Vec<CaseSet>, Failure> {
    let mut names = BTreeSet::new();
    let mut sets = Vec::new();
    let (mut asked, mut bereft) = (0, Vec::new());
    for dataset in datasets {
        if !names.insert(&dataset.name) {
            return Err(Failure::Usage(format!(
                "two folders of incidents are named {}; rename one, so that incidents can be told apart",
                dataset.name
            )));
        }
        let mut cases = Vec::new();
        for (index, incident) in dataset.incidents.iter().enumerate() {
            let directory = incident.file_name().unwrap_or(incident.as_os_str()).to_string_lossy();
            let id = format!("{}/{directory}", dataset.name);
            let label = Label::read(incident)?;
            for shuffle in 0..handicap.shuffled_calls.map_or(1, |shuffles| shuffles.count) {
                let copy = scratch.join(format!("{}-{index}-{shuffle}.csv", names.len()));
                let request = match IncidentRequest::new(incident, &IncidentArgs::default()) {
                    Ok(request) if !handicap.is_none() => handicapped(&id, request, handicap, shuffle, copy)?,
                    other => other,
                };
                asked += usize::from(request.is_ok());
                if let (false, Err(Failure::TooLittleData(sentence))) = (handicap.is_none(), &request) {
                    bereft.push(sentence.clone());
                }
                let id = if shuffle == 0 { id.clone() } else { format!("{id}, shuffle {}", shuffle + 1) };
                cases.push(Case { id, label: label.clone(), request });
            }
        }
        sets.push(CaseSet { name: dataset.name.clone(), cases });
    }
    match bereft.first() {
        Some(sentence) if asked == 0 => Err(Failure::Usage(format!(
            "--delay and --normal-window leave no incident enough rows: {sentence}; use a delay nearer to 0 or a wider \
             normal window"
        ))),
        _ => Ok(sets),
    }
}

/// The incident as it is asked with the handicap, or why it cannot be: too few rows are left.
fn handicapped(
    id: &str,
    request: IncidentRequest,
    handicap: Handicap,
    shuffle: usize,
    copy: PathBuf,
) -> Result<Result<IncidentRequest, Failure>, Failure> {
    let named = |error: automap_proto::invalid::Invalid| Failure::Usage(format!("{id}: {error}"));
    let Some(context) = delayed(request.context(), handicap.delay).map_err(named)? else {
        return Ok(Err(Failure::TooLittleData(format!("the alert comes after the end of {id}"))));
    };
    let context = match (handicap.shuffled_calls, context.call_graph()) {
        (Some(shuffles), Some(calls)) => {
            let wrong = shuffled(calls, shuffles.seed_of(id, shuffle)).map_err(named)?;
            context.with_calls(wrong)
        }
        _ => context,
    };
    let times = row_times(request.metrics_file())?;
    let cut = match handicap.normal_window {
        // With so little left a diagnosis takes earlier faults for normal, with a warning; there is nothing to cut.
        Some(_) if normal_rows(&context, &times) < MIN_NORMAL_ROWS => None,
        Some(factor) => {
            let length = incident_length(request.context()).map_err(named)?;
            Some(NormalCut::new(&context, (factor * length as f64).round() as i64))
        }
        None => None,
    };
    let kept: Vec<UnixMillis> =
        times.into_iter().filter(|&time| cut.as_ref().is_none_or(|cut| cut.keeps(time))).collect();
    if let Err(failure) = check_rows(id, &context, &kept) {
        return Ok(Err(failure));
    }
    let mut metrics_file = request.metrics_file().to_owned();
    if let Some(cut) = cut {
        copy_rows(&metrics_file, &copy, |time| cut.keeps(time))
            .with_context(|| format!("cannot cut the normal window of {id}"))?;
        metrics_file = copy;
    }
    Ok(Ok(request.with(context, metrics_file)))
}

/// Rows before the alert and outside of excluded intervals.
fn normal_rows(context: &IncidentContext, times: &[UnixMillis]) -> usize {
    let excluded = |time: UnixMillis| context.excluded().iter().any(|window| window.contains(time));
    times.iter().filter(|time| **time < context.anomaly_start() && !excluded(**time)).count()
}

/// Refuses what no method could answer for want of rows.
fn check_rows(id: &str, context: &IncidentContext, times: &[UnixMillis]) -> Result<(), Failure> {
    let start = context.anomaly_start();
    let normal = times.iter().filter(|time| **time < start).count();
    let incident = times
        .iter()
        .filter(|time| **time >= start && context.anomaly_end().is_none_or(|end| **time <= end))
        .count();
    let needed = context.min_incident_rows();
    if normal >= MIN_NORMAL_ROWS && incident >= needed {
        return Ok(());
    }
    Err(Failure::TooLittleData(format!(
        "{id} is left {normal} normal and {incident} incident rows, at least {MIN_NORMAL_ROWS} and {needed} are needed"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows at 0, 10, …, 190 s; the incident is 140 to 180 s.
    fn incident(root: &Path, path: &str) -> PathBuf {
        let directory = root.join(path);
        std::fs::create_dir_all(&directory).unwrap();
        let rows: String = (0..20).map(|row| format!("{},{}\n", row * 10, row % 3)).collect();
        std::fs::write(directory.join("metrics.csv"), format!("timestamp,web_cpu\n{rows}")).unwrap();
        let known = r#"{"front_end": "web", "anomaly_start": 140, "anomaly_end": 180}"#;
        std::fs::write(directory.join("incident.json"), known).unwrap();
        std::fs::write(directory.join("label.json"), r#"{"root_cause_services": ["web"]}"#).unwrap();
        directory
    }

    fn dataset(name: &str, incidents: Vec<PathBuf>) -> Dataset {
        Dataset { name: name.into(), incidents }
    }

    #[test]
    fn a_handicap_moves_the_window_and_cuts_the_file() {
        let home = tempfile::tempdir().unwrap();
        let sets = [dataset("shop", vec![incident(home.path(), "shop/a")])];
        let handicap = Handicap { delay: -0.5, normal_window: Some(1.5), shuffled_calls: None };
        let found = read_cases(&sets, handicap, home.path()).unwrap();
        let case = &found[0].cases[0];
        assert_eq!(case.id, "shop/a");
        let request = case.request.as_ref().unwrap();
        assert_eq!(request.context().anomaly_start(), UnixMillis(120_000));
        // 60 s before the alert at 120 s, the alert's row and the seven after it.
        assert_eq!(row_times(request.metrics_file()).unwrap().len(), 14);
    }

    #[test]
    fn a_recording_with_next_to_no_normal_rows_keeps_the_earlier_faults_it_has() {
        let home = tempfile::tempdir().unwrap();
        let directory = incident(home.path(), "shop/a");
        let known = r#"{"front_end": "web", "anomaly_start": 140, "anomaly_end": 180, "exclude_intervals": [[0, 99]]}"#;
        std::fs::write(directory.join("incident.json"), known).unwrap();
        let handicap = Handicap { delay: 0.0, normal_window: Some(1.5), shuffled_calls: None };
        let found = read_cases(&[dataset("shop", vec![directory])], handicap, home.path()).unwrap();
        let request = found[0].cases[0].request.as_ref().unwrap();
        assert_eq!(row_times(request.metrics_file()).unwrap().len(), 20);
    }

    #[test]
    fn handicaps_that_leave_no_incident_enough_rows_are_refused_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let sets = [dataset("shop", vec![incident(home.path(), "shop/a")])];
        for (delay, normal_window) in [(1.1, None), (-3.0, None), (0.0, Some(1.0))] {
            let error =
                read_cases(&sets, Handicap { delay, normal_window, shuffled_calls: None }, home.path())
                    .unwrap_err();
            assert!(
                matches!(&error, Failure::Usage(text) if text.contains("shop/a") && text.contains("nearer to 0"))
            );
        }
    }

    #[test]
    fn an_incident_that_is_left_too_few_rows_is_one_that_cannot_be_asked() {
        let home = tempfile::tempdir().unwrap();
        let (early, late) = (incident(home.path(), "shop/a"), incident(home.path(), "shop/b"));
        let known = r#"{"front_end": "web", "anomaly_start": 60, "anomaly_end": 100}"#;
        std::fs::write(early.join("incident.json"), known).unwrap();
        let handicap = Handicap { delay: -0.5, normal_window: None, shuffled_calls: None };
        let found = read_cases(&[dataset("shop", vec![early, late])], handicap, home.path()).unwrap();
        let refusal = found[0].cases[0].request.as_ref().unwrap_err();
        assert!(refusal.to_string().contains("shop/a is left 4 normal and 7 incident rows"), "{refusal}");
        assert!(found[0].cases[1].request.is_ok());
    }

    #[test]
    fn every_shuffle_is_a_case_with_a_graph_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let one = incident(home.path(), "shop/a");
        let calls: String = (1..12).map(|index| format!("s{:02},s{index:02}\n", index / 2)).collect();
        std::fs::write(one.join("call_graph.csv"), format!("caller,callee\n{calls}")).unwrap();
        let shuffled_calls = Some(Shuffles { seed: 0, count: 3 });
        let handicap = Handicap { delay: 0.0, normal_window: None, shuffled_calls };
        let found = read_cases(&[dataset("shop", vec![one])], handicap, home.path()).unwrap();
        let ids: Vec<&str> = found[0].cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids, ["shop/a", "shop/a, shuffle 2", "shop/a, shuffle 3"]);
        let graphs: Vec<_> = found[0]
            .cases
            .iter()
            .map(|case| case.request.as_ref().unwrap().context().call_graph().cloned())
            .collect();
        assert!(graphs[0] != graphs[1] && graphs[1] != graphs[2] && graphs[0] != graphs[2]);
    }

    #[test]
    fn a_window_without_a_fault_ends_before_it_and_recordings_without_one_are_counted() {
        let home = tempfile::tempdir().unwrap();
        let (long, short) = (incident(home.path(), "shop/a"), incident(home.path(), "shop/b"));
        let known = r#"{"front_end": "web", "anomaly_start": 120, "anomaly_end": 160}"#;
        std::fs::write(short.join("incident.json"), known).unwrap();
        let found = read_no_fault(&[dataset("shop", vec![long, short])], home.path()).unwrap();
        assert_eq!((found[0].windows.cases.len(), found[0].skipped, found[0].times), (1, 1, 1));
        let request = found[0].windows.cases[0].request.as_ref().unwrap();
        assert_eq!(request.context().anomaly_start(), UnixMillis(90_000));
        assert_eq!(row_times(request.metrics_file()).unwrap().last(), Some(&UnixMillis(130_000)));
    }

    #[test]
    fn incidents_must_be_told_apart_and_labels_are_read_first() {
        let home = tempfile::tempdir().unwrap();
        let one = incident(home.path(), "shop/a");
        let twice = [dataset("shop", vec![one.clone()]), dataset("shop", vec![])];
        let none = Handicap { delay: 0.0, normal_window: None, shuffled_calls: None };
        assert!(read_cases(&twice, none, home.path()).unwrap_err().to_string().contains("two folders"));
        std::fs::write(one.join("label.json"), "{}").unwrap();
        assert!(read_cases(&[dataset("shop", vec![one])], none, home.path()).is_err());
    }
}
