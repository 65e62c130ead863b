//! The same incidents under alerts at several times: whether it matters when the alert fires, and figures averaged over that
//! chance, whose paired differences are steadier than those of one time.

use serde::Serialize;

use super::{
    contender::Contender,
    figure::Figure,
    gain_report::GainReport,
    headlines::{Averages, Headlines},
    measured::{Measured, differences},
};

/// What such a file is.
pub const FORMAT: &str = "automap-evaluation-of-alerts";
/// Raised when a field changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// How an evaluation over several alerts was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertsSettings {
    /// Seeds every random choice, the bootstrap's too.
    pub seed: u64,
    /// Incident lengths by which alerts were late, or early when negative; the others are held against the first.
    pub delays: Vec<f64>,
    /// Incident lengths of normal behaviour that were known; all when absent.
    pub normal_window: Option<f64>,
    /// Resamples of each interval.
    pub bootstrap: usize,
    /// Datasets that do not count in `mean without …`.
    pub exclude: Vec<String>,
    /// From which incidents contenders learned: `leave-one-out`, `folds=5`, `rounds`.
    pub learn: Option<String>,
}

/// What `automap evaluate` reports of several delays.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertsReport {
    /// What this file is.
    pub format: &'static str,
    /// Raised when a field changes its meaning.
    pub format_version: u32,
    /// Version of the command.
    pub automap_version: &'static str,
    /// How it was made.
    pub settings: AlertsSettings,
    /// Who was compared; the first is held against all others.
    pub contenders: Vec<Contender>,
    /// Incidents, each of which was diagnosed once for each delay.
    pub incidents: usize,
    /// Datasets; so many figures stand before those of means.
    pub datasets: usize,
    /// In the order of the contenders.
    pub methods: Vec<MethodOverAlerts>,
    /// What the first contender gains on each other that learned nothing: each incident's mean over the alerts.
    pub gains: Vec<GainReport>,
    /// What learning from confirmed incidents is worth: each incident's mean over the alerts.
    pub learning: Vec<LearnedOverAlerts>,
}

/// One contender under all alerts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodOverAlerts {
    /// Its name.
    pub method: String,
    /// In the order of the delays.
    pub alerts: Vec<MethodAt>,
    /// Of each incident's mean over the alerts.
    pub all: Vec<Headlines>,
}

/// One contender under alerts at one time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodAt {
    /// Incident lengths by which the alert was late, or early when negative.
    pub delay: f64,
    /// Its figures.
    pub on: Vec<Headlines>,
    /// What they gain on those of the first delay, incident by incident.
    pub moved: Vec<Headlines>,
    /// Incidents without an answer.
    pub refused: usize,
}

/// What one contender gained by learning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedOverAlerts {
    /// The contender that learned.
    pub method: String,
    /// The same without learning.
    pub without: String,
    /// Paired differences, under the alerts in the order of the delays.
    pub alerts: Vec<Vec<Headlines>>,
    /// Of each incident's mean over the alerts.
    pub all: Vec<Headlines>,
}

/// A figure of every incident, per dataset.
type Values = Vec<Vec<f64>>;

impl AlertsReport {
    /// `measured` are the same contenders on the same incidents, once for each delay.
    ///
    /// O(delays · contenders · resamples · incidents). Nothing measured has an empty report.
    pub fn new(measured: &[Measured], settings: AlertsSettings) -> Self {
        let mut report = Self {
            format: FORMAT,
            format_version: FORMAT_VERSION,
            automap_version: env!("CARGO_PKG_VERSION"),
            contenders: Vec::new(),
            incidents: 0,
            datasets: 0,
            methods: Vec::new(),
            gains: Vec::new(),
            learning: Vec::new(),
            settings,
        };
        let Some(first) = measured.first() else {
            return report;
        };
        let (exclude, bootstrap, seed) =
            (report.settings.exclude.clone(), report.settings.bootstrap, report.settings.seed);
        let averages = Averages::new(first, &exclude, bootstrap, seed);
        let of_all =
            |values: &dyn Fn(&Measured, Figure) -> Values| {
                averages.headlines(&Figure::HEADLINES.map(|figure| {
                    mean_of(&measured.iter().map(|one| values(one, figure)).collect::<Vec<_>>())
                }))
            };
        let between =
            |one: &Measured, contender: usize, other: (&Measured, usize)| {
                averages.headlines(&Figure::HEADLINES.map(|figure| {
                    differences(&one.values(contender, figure), &other.0.values(other.1, figure))
                }))
            };
        report.contenders.clone_from(&first.contenders);
        report.incidents = first.sizes().iter().sum();
        report.datasets = first.sets.len();
        for (index, contender) in first.contenders.iter().enumerate() {
            let at = |(one, delay): (&Measured, &f64)| MethodAt {
                delay: *delay,
                on: averages.headlines(&Figure::HEADLINES.map(|figure| one.values(index, figure))),
                moved: between(one, index, (first, index)),
                refused: one.outcomes(index).filter(|outcome| outcome.refused.is_some()).count(),
            };
            report.methods.push(MethodOverAlerts {
                method: contender.name.clone(),
                alerts: measured.iter().zip(&report.settings.delays).map(at).collect(),
                all: of_all(&|one, figure| one.values(index, figure)),
            });
            if let Some(base) = first.contenders.iter().position(|one| contender.is_learned_form_of(one)) {
                report.learning.push(LearnedOverAlerts {
                    method: contender.name.clone(),
                    without: first.contenders[base].name.clone(),
                    alerts: measured.iter().map(|one| between(one, index, (one, base))).collect(),
                    all: of_all(&|one, figure| one.gains(index, base, figure)),
                });
            } else if index > 0 {
                report.gains.push(GainReport {
                    over: contender.name.clone(),
                    on: of_all(&|one, figure| one.gains(0, index, figure)),
                });
            }
        }
        report
    }
}

/// The mean of values that stand at the same incident.
fn mean_of(values: &[Values]) -> Values {
    let mut sum: Values = values.first().cloned().unwrap_or_default();
    for more in values.iter().skip(1) {
        for (sum, more) in sum.iter_mut().flatten().zip(more.iter().flatten()) {
            *sum += more;
        }
    }
    for value in sum.iter_mut().flatten() {
        *value /= values.len() as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{
        outcome::Outcome,
        test_measured::{measured, outcome},
    };

    fn settings(delays: &[f64]) -> AlertsSettings {
        AlertsSettings {
            seed: 0,
            delays: delays.to_vec(),
            normal_window: None,
            bootstrap: 200,
            exclude: Vec::new(),
            learn: None,
        }
    }

    fn under(evidence: [f64; 2], learned: [f64; 2], random: [f64; 2]) -> Measured {
        let outcomes = |values: [f64; 2]| values.map(outcome).to_vec();
        let names = ["evidence", "evidence, learned", "random"];
        let mut found = measured(&names, vec![vec![outcomes(evidence), outcomes(learned), outcomes(random)]]);
        found.contenders[1].learns = true;
        found
    }

    #[test]
    fn each_incident_counts_with_its_mean_over_the_alerts() {
        let on_time = under([1.0, 0.0], [1.0, 1.0], [0.0, 0.0]);
        let late = under([0.5, 0.0], [0.5, 0.0], [0.5, 0.5]);
        let found = AlertsReport::new(&[on_time, late], settings(&[0.0, 0.5]));
        assert_eq!((found.incidents, found.datasets), (2, 1));
        let mean = |on: &[Headlines]| on.last().unwrap().avg5.value;
        let evidence = &found.methods[0];
        assert_eq!(evidence.alerts.iter().map(|at| mean(&at.on)).collect::<Vec<_>>(), [0.5, 0.25]);
        assert_eq!(evidence.alerts.iter().map(|at| mean(&at.moved)).collect::<Vec<_>>(), [0.0, -0.25]);
        assert_eq!(mean(&evidence.all), 0.375);
        assert_eq!((found.gains.len(), mean(&found.gains[0].on)), (1, 0.125));
        assert_eq!(found.gains[0].over, "random");
        let learning = &found.learning[0];
        assert_eq!((learning.without.as_str(), mean(&learning.all)), ("evidence", 0.25));
        assert_eq!(learning.alerts.iter().map(|on| mean(on)).collect::<Vec<_>>(), [0.5, 0.0]);
    }

    #[test]
    fn chance_that_alerts_do_not_share_widens_no_interval() {
        // Both alerts lose one of two incidents, each another one: every incident's mean is one half.
        let found = AlertsReport::new(
            &[under([1.0, 0.0], [0.0; 2], [0.0; 2]), under([0.0, 1.0], [0.0; 2], [0.0; 2])],
            settings(&[0.0, 0.5]),
        );
        let all = found.methods[0].all.last().unwrap().avg5;
        assert_eq!((all.low, all.value, all.high), (0.5, 0.5, 0.5));
        let alone = found.methods[0].alerts[0].on.last().unwrap().avg5;
        assert_eq!((alone.low, alone.high), (0.0, 1.0));
    }

    #[test]
    fn refusals_are_counted_and_are_misses() {
        let refused = Outcome { refused: Some("no rows".into()), ..Outcome::default() };
        let early = measured(&["evidence"], vec![vec![vec![outcome(1.0), refused]]]);
        let found = AlertsReport::new(&[early], settings(&[-0.5]));
        assert_eq!(found.methods[0].alerts[0].refused, 1);
        assert_eq!(found.methods[0].all[0].ac1.value, 0.5);
        assert!(AlertsReport::new(&[], settings(&[])).methods.is_empty());
    }
}
