//! The figures of an evaluation.

use std::collections::BTreeMap;

use automap_proto::{assessment::Abstention, metric::MetricKind};
use serde::Serialize;

use super::{
    bootstrap::{Estimate, Resamples, mean},
    confidence_report::ConfidenceReport,
    confusion::Confusion,
    contender::Contender,
    fault_report::{FaultReport, by_fault},
    figure::Figure,
    graph_doubts::GraphDoubts,
    knowable::{self, Knowable},
    learning::Learning,
    learning_report::LearningReport,
    measured::{Measured, Run},
    metric_report::MetricReport,
    outcome::Outcome,
    precision::MAX_K,
    scores::{Change, FORMAT, FORMAT_VERSION, Scores},
};

/// Most services named where several tie for the first place.
const MAX_NAMED: usize = 3;

/// How an evaluation was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Seeds every random choice, the bootstrap's too.
    pub seed: u64,
    /// Incident lengths by which alerts were late, or early when negative.
    pub delay: f64,
    /// Incident lengths of normal behaviour that were known; all when absent.
    pub normal_window: Option<f64>,
    /// Whether call graphs were shuffled, to see how often that is noticed.
    pub shuffled_calls: bool,
    /// Resamples of each interval.
    pub bootstrap: usize,
    /// Datasets that do not count in `mean_without`.
    pub exclude: Vec<String>,
    /// From which incidents contenders learned; reported in `learning`.
    #[serde(skip)]
    pub learn: Option<Learning>,
}

/// What `automap evaluate` reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What this file is.
    pub format: &'static str,
    /// Raised when a field changes its meaning.
    pub format_version: u32,
    /// Version of the command.
    pub automap_version: &'static str,
    /// How it was made.
    pub settings: Settings,
    /// Who was compared; the first is held against all others.
    pub contenders: Vec<Contender>,
    /// In order of their paths.
    pub datasets: Vec<DatasetReport>,
    /// Mean over datasets, each counting the same.
    pub mean: Vec<MeanReport>,
    /// The same without the excluded datasets; empty when none is excluded.
    pub mean_without: Vec<MeanReport>,
    /// What the first contender gains on each other, incident by incident.
    pub gains: Vec<GainReport>,
    /// What learning from confirmed incidents is worth; absent when nobody learned.
    pub learning: Option<LearningReport>,
    /// By what was done to the root cause.
    pub fault_types: Vec<FaultReport>,
    /// What confidence is worth, for contenders that state it.
    pub confidence: Vec<ConfidenceReport>,
    /// How often the metric at fault was named, where labels name it.
    pub root_cause_metric: Vec<MetricReport>,
    /// How often call graphs were doubted; shuffled ones are wrong, others are taken to be right.
    pub call_graph_doubts: Vec<GraphDoubts>,
    /// Root cause by first answer, of the first contender.
    pub confusion: Vec<ConfusionReport>,
    /// Every incident.
    pub incidents: Vec<IncidentReport>,
    /// What moved since the scores that it was compared with; absent when it was compared with none.
    pub changes: Option<Vec<Change>>,
    /// PR@1 to PR@5 by contender and incident: what a later evaluation is compared with.
    pub scores: Scores,
}

/// The figures of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetReport {
    /// Name of its folder.
    pub name: String,
    /// Incidents that were diagnosed.
    pub incidents: usize,
    /// Incidents in which nobody could have known; absent when no scorer of single series was run.
    pub knowable: Option<Knowable>,
    /// In the order of the contenders.
    pub methods: Vec<MethodReport>,
}

/// The figures of one contender on one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// Name of the contender.
    pub method: String,
    /// How often the root causes were found.
    #[serde(flatten)]
    pub figures: Figures,
    /// Wall-clock seconds of one diagnosis, with as many at once as were asked for.
    pub seconds_per_incident: f64,
    /// The largest resident set of the whole process meanwhile, the four services and the client together, bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Incidents without an answer; each counts as a miss.
    pub refused: usize,
    /// Answers that said that they name no root cause; their rankings count as they are.
    pub abstained: usize,
    /// Those of them that said that no service left its normal behaviour.
    pub nothing_departed: usize,
}

/// The figures of one contender over datasets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanReport {
    /// Name of the contender.
    pub method: String,
    /// Mean over datasets.
    #[serde(flatten)]
    pub figures: Figures,
}

/// PR@1, PR@3, PR@5 and the mean of PR@1 to PR@5. With one root cause per incident PR@K is AC@K.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Figures {
    /// PR@1.
    pub ac1: f64,
    /// PR@3.
    pub ac3: f64,
    /// PR@5.
    pub ac5: f64,
    /// Mean of PR@1 to PR@5.
    pub avg5: f64,
    /// Their 95 % intervals.
    pub intervals: Intervals,
}

/// 95 % intervals: low and high.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Intervals {
    /// Of PR@1.
    pub ac1: [f64; 2],
    /// Of PR@3.
    pub ac3: [f64; 2],
    /// Of PR@5.
    pub ac5: [f64; 2],
    /// Of the mean of PR@1 to PR@5.
    pub avg5: [f64; 2],
}

/// What the first contender gains on another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GainReport {
    /// The other.
    pub over: String,
    /// Per dataset, then `mean`, and where datasets are excluded `mean without …`.
    pub on: Vec<Gain>,
}

/// A paired difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gain {
    /// Name of a dataset, or `mean`.
    pub dataset: String,
    /// Of PR@1.
    pub ac1: Estimate,
    /// Of the mean of PR@1 to PR@5.
    pub avg5: Estimate,
}

/// A confusion matrix of one dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConfusionReport {
    /// Name of the dataset.
    pub dataset: String,
    /// Root cause by the service answered first.
    pub services: Confusion,
    /// Metric at fault by the metric answered first, over incidents whose label names one.
    pub metrics: Confusion,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IncidentReport {
    /// Dataset and directory.
    pub id: String,
    /// Who was at fault.
    pub root_causes: Vec<String>,
    /// The metric at fault, where known.
    pub root_cause_metric: Option<MetricKind>,
    /// What was done, where known.
    pub fault_type: Option<String>,
    /// Whether nobody could have known.
    pub unknowable: Option<bool>,
    /// By name of the contender.
    pub answers: BTreeMap<String, AnswerReport>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnswerReport {
    /// The service ranked first; several, but at most three, where they tie.
    pub first: Vec<String>,
    /// How many tie for the first place.
    pub tied: usize,
    /// PR@1 to PR@5.
    pub precision: [f64; MAX_K],
    /// Where the method says it.
    pub confidence: Option<f64>,
    /// Whether it said that it names no root cause.
    pub abstained: bool,
    /// Why it did.
    pub abstention: Option<Abstention>,
    /// The metric types at fault in its eyes.
    pub metrics: Vec<MetricKind>,
    /// Why there was no answer.
    pub refused: Option<String>,
}

impl Figures {
    /// One estimate for each of [`Figure::ALL`].
    fn new(estimate: impl Fn(Figure) -> Estimate) -> Self {
        let [ac1, ac3, ac5, avg5] = Figure::ALL.map(estimate);
        let ends = |one: Estimate| [one.low, one.high];
        Self {
            ac1: ac1.value,
            ac3: ac3.value,
            ac5: ac5.value,
            avg5: avg5.value,
            intervals: Intervals { ac1: ends(ac1), ac3: ends(ac3), ac5: ends(ac5), avg5: ends(avg5) },
        }
    }

    /// A figure with its interval.
    pub const fn estimate(&self, figure: Figure) -> Estimate {
        let (value, [low, high]) = match figure {
            Figure::Ac1 => (self.ac1, self.intervals.ac1),
            Figure::Ac3 => (self.ac3, self.intervals.ac3),
            Figure::Ac5 => (self.ac5, self.intervals.ac5),
            Figure::Avg5 => (self.avg5, self.intervals.avg5),
        };
        Estimate { value, low, high }
    }
}

impl Report {
    /// Computes all figures. O(contenders · resamples · incidents).
    pub fn new(measured: &Measured, settings: Settings) -> Self {
        let resamples = Resamples::new(&measured.sizes(), settings.bootstrap, settings.seed);
        let all: Vec<usize> = (0..measured.sets.len()).collect();
        let kept: Vec<usize> = all
            .iter()
            .copied()
            .filter(|&index| !settings.exclude.contains(&measured.sets[index].name))
            .collect();
        let unknowable = knowable::unknowable(measured);
        let means = |over: &[usize]| -> Vec<MeanReport> {
            let report = |(index, contender): (usize, &Contender)| MeanReport {
                method: contender.name.clone(),
                figures: Figures::new(|figure| resamples.mean_over(over, &measured.values(index, figure))),
            };
            measured.contenders.iter().enumerate().map(report).collect()
        };
        Self {
            format: FORMAT,
            format_version: FORMAT_VERSION,
            automap_version: env!("CARGO_PKG_VERSION"),
            contenders: measured.contenders.clone(),
            datasets: dataset_reports(measured, &resamples, unknowable.as_deref()),
            mean: means(&all),
            mean_without: if kept.len() < all.len() { means(&kept) } else { Vec::new() },
            gains: gains(measured, &resamples, &kept, &settings.exclude),
            learning: settings.learn.map(|learning| {
                LearningReport::new(measured, learning, &resamples, &kept, &settings.exclude)
            }),
            fault_types: by_fault(measured, unknowable.as_deref(), settings.bootstrap, settings.seed),
            confidence: ConfidenceReport::all(measured),
            root_cause_metric: MetricReport::all(measured),
            call_graph_doubts: GraphDoubts::all(measured),
            confusion: confusions(measured),
            incidents: incidents(measured, unknowable.as_deref()),
            changes: None,
            scores: Scores::of(measured),
            settings,
        }
    }

    /// Incidents of all datasets.
    pub fn incident_count(&self) -> usize {
        self.datasets.iter().map(|dataset| dataset.incidents).sum()
    }
}

fn dataset_reports(
    measured: &Measured,
    resamples: &Resamples,
    unknowable: Option<&[Vec<bool>]>,
) -> Vec<DatasetReport> {
    let found_by_nobody = knowable::found_by_nobody(measured);
    let count = |incidents: &[bool]| incidents.iter().filter(|one| **one).count();
    let method = |dataset: usize, contender: usize, run: &Run| MethodReport {
        method: measured.contenders[contender].name.clone(),
        figures: Figures::new(|figure| {
            resamples.dataset(dataset, &measured.values(contender, figure)[dataset])
        }),
        seconds_per_incident: mean(&run.outcomes.iter().map(|outcome| outcome.seconds).collect::<Vec<_>>()),
        peak_memory_bytes: run.peak_bytes,
        refused: run.outcomes.iter().filter(|outcome| outcome.refused.is_some()).count(),
        abstained: run.outcomes.iter().filter(|outcome| outcome.abstention.is_some()).count(),
        nothing_departed: run
            .outcomes
            .iter()
            .filter(|outcome| outcome.abstention == Some(Abstention::NothingDeparted))
            .count(),
    };
    measured
        .sets
        .iter()
        .enumerate()
        .map(|(dataset, set)| DatasetReport {
            name: set.name.clone(),
            incidents: set.cases.len(),
            knowable: unknowable.map(|unseen| Knowable {
                unknowable: count(&unseen[dataset]),
                found_by_nobody: count(&found_by_nobody[dataset]),
                scorers: knowable::asked(measured).into_iter().map(|(_, name)| name).collect(),
            }),
            methods: measured.runs[dataset]
                .iter()
                .enumerate()
                .map(|(contender, run)| method(dataset, contender, run))
                .collect(),
        })
        .collect()
}

fn gains(measured: &Measured, resamples: &Resamples, kept: &[usize], excluded: &[String]) -> Vec<GainReport> {
    let all: Vec<usize> = (0..measured.sets.len()).collect();
    let over = |other: usize| {
        let [ac1, avg5] = Figure::HEADLINES.map(|figure| measured.gains(0, other, figure));
        let mean_over = |name: String, datasets: &[usize]| Gain {
            dataset: name,
            ac1: resamples.mean_over(datasets, &ac1),
            avg5: resamples.mean_over(datasets, &avg5),
        };
        let mut on: Vec<Gain> =
            all.iter().map(|&dataset| mean_over(measured.sets[dataset].name.clone(), &[dataset])).collect();
        on.push(mean_over("mean".into(), &all));
        if kept.len() < all.len() {
            on.push(mean_over(format!("mean without {}", excluded.join(", ")), kept));
        }
        GainReport { over: measured.contenders[other].name.clone(), on }
    };
    // What learning is worth has a table of its own.
    let others = (1..measured.contenders.len()).filter(|&other| !measured.contenders[other].learns);
    others.map(over).collect()
}

fn confusions(measured: &Measured) -> Vec<ConfusionReport> {
    let of_set = |(set, runs): (&super::case::CaseSet, &Vec<Run>)| {
        let outcomes = &runs[0].outcomes;
        let services: Vec<(&[String], &[String])> = set
            .cases
            .iter()
            .zip(outcomes)
            .map(|(case, outcome)| (case.label.root_cause_services.as_slice(), outcome.first.as_slice()))
            .collect();
        let name = |kind: Option<&MetricKind>| kind.map(|kind| kind.name().to_owned()).into_iter().collect();
        let metrics: Vec<(Vec<String>, Vec<String>)> = set
            .cases
            .iter()
            .zip(outcomes)
            .filter(|(case, _)| case.label.root_cause_metric.is_some())
            .map(|(case, outcome)| {
                (name(case.label.root_cause_metric.as_ref()), name(outcome.metrics.first()))
            })
            .collect();
        let metrics: Vec<(&[String], &[String])> =
            metrics.iter().map(|(actual, answered)| (actual.as_slice(), answered.as_slice())).collect();
        ConfusionReport {
            dataset: set.name.clone(),
            services: Confusion::new(&services),
            metrics: Confusion::new(&metrics),
        }
    };
    measured.sets.iter().zip(&measured.runs).map(of_set).collect()
}

fn incidents(measured: &Measured, unknowable: Option<&[Vec<bool>]>) -> Vec<IncidentReport> {
    let answer = |outcome: &Outcome| AnswerReport {
        first: outcome.first.iter().take(MAX_NAMED).cloned().collect(),
        tied: outcome.first.len(),
        precision: outcome.precision,
        confidence: outcome.confidence,
        abstained: outcome.abstention.is_some(),
        abstention: outcome.abstention,
        metrics: outcome.metrics.clone(),
        refused: outcome.refused.clone(),
    };
    let mut reports = Vec::new();
    for (dataset, set) in measured.sets.iter().enumerate() {
        for (index, case) in set.cases.iter().enumerate() {
            let answers = measured.contenders.iter().enumerate().map(|(contender, named)| {
                (named.name.clone(), answer(&measured.runs[dataset][contender].outcomes[index]))
            });
            reports.push(IncidentReport {
                id: case.id.clone(),
                root_causes: case.label.root_cause_services.clone(),
                root_cause_metric: case.label.root_cause_metric,
                fault_type: case.label.fault_type.clone(),
                unknowable: unknowable.map(|unseen| unseen[dataset][index]),
                answers: answers.collect(),
            });
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    fn settings(exclude: &[&str]) -> Settings {
        Settings {
            seed: 1,
            delay: 0.0,
            normal_window: None,
            shuffled_calls: false,
            bootstrap: 200,
            exclude: exclude.iter().map(|&name| name.to_owned()).collect(),
            learn: None,
        }
    }

    #[test]
    fn refusals_count_as_misses_and_datasets_count_alike() {
        let mut refused = outcome(0.0);
        refused.refused = Some("too little data".into());
        let found = Report::new(
            &measured(&["evidence"], vec![vec![vec![outcome(1.0), refused]], vec![vec![outcome(1.0)]]]),
            settings(&[]),
        );
        assert_eq!(found.datasets[0].methods[0].figures.ac1, 0.5);
        assert_eq!(found.datasets[0].methods[0].refused, 1);
        assert_eq!(found.mean[0].figures.avg5, 0.75);
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["mean"][0]["method"], "evidence");
        assert_eq!(json["datasets"][1]["methods"][0]["ac3"], 1.0);
        assert_eq!(json["datasets"][1]["methods"][0]["intervals"]["ac3"], serde_json::json!([1.0, 1.0]));
    }

    #[test]
    fn an_excluded_dataset_is_measured_and_counts_in_one_of_two_means() {
        let runs =
            vec![vec![vec![outcome(1.0)], vec![outcome(0.5)]], vec![vec![outcome(0.0)], vec![outcome(0.5)]]];
        let found = Report::new(&measured(&["evidence", "random"], runs), settings(&["set1"]));
        assert_eq!((found.mean[0].figures.ac1, found.mean_without[0].figures.ac1), (0.5, 1.0));
        let gains: Vec<(&str, f64)> =
            found.gains[0].on.iter().map(|gain| (gain.dataset.as_str(), gain.ac1.value)).collect();
        assert_eq!(gains, [("set0", 0.5), ("set1", -0.5), ("mean", 0.0), ("mean without set1", 0.5)]);
    }

    #[test]
    fn nobody_could_have_known_when_no_scorer_saw_three_spreads() {
        let mut seen = outcome(0.0);
        seen.root_spreads = 3.0;
        let mut barely = outcome(0.0);
        barely.root_spreads = 2.9;
        let runs = vec![vec![vec![barely.clone(), barely.clone()], vec![seen, barely]]];
        let found = Report::new(&measured(&["evidence", "baro"], runs), settings(&[]));
        let knowable = found.datasets[0].knowable.as_ref().unwrap();
        assert_eq!((knowable.unknowable, knowable.scorers.as_slice()), (1, &["evidence", "baro"][..]));
        assert_eq!(knowable.found_by_nobody, 2);
        assert_eq!(found.incidents[1].unknowable, Some(true));
        let runs = vec![vec![vec![outcome(1.0)]]];
        assert_eq!(Report::new(&measured(&["naive"], runs), settings(&[])).datasets[0].knowable, None);
    }
}
