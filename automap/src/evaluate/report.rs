//! The figures of an evaluation.

use serde::Serialize;

use super::{
    confidence_report::ConfidenceReport,
    confusion_report::{ConfusionReport, confusions},
    contender::Contender,
    fault_report::{FaultReport, by_fault},
    figures_report::{DatasetReport, Figures, MeanReport, dataset_reports},
    gain_report::{GainReport, gains},
    graph_doubts::GraphDoubts,
    headlines::Averages,
    incident_report::{IncidentReport, incidents},
    knowable,
    learning::Learning,
    learning_report::LearningReport,
    measured::Measured,
    metric_report::MetricReport,
    scores::{Change, FORMAT, FORMAT_VERSION, Scores},
};

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

impl Report {
    /// Computes all figures. O(contenders · resamples · incidents).
    pub fn new(measured: &Measured, settings: Settings) -> Self {
        let averages = Averages::new(measured, &settings.exclude, settings.bootstrap, settings.seed);
        let (resamples, kept) = (averages.resamples(), averages.kept());
        let all: Vec<usize> = (0..measured.sets.len()).collect();
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
            datasets: dataset_reports(measured, resamples, unknowable.as_deref()),
            mean: means(&all),
            mean_without: if kept.len() < all.len() { means(kept) } else { Vec::new() },
            gains: gains(measured, &averages),
            learning: settings.learn.map(|learning| LearningReport::new(measured, learning, &averages)),
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
