//! Scores by contender and incident, and whether they got worse.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::{
    bootstrap::{Estimate, Resamples},
    case::Handicap,
    figure::Figure,
    measured::Measured,
    precision::MAX_K,
};
use crate::failure::Failure;

/// What a file of scores, or a whole report, calls itself.
pub const FORMAT: &str = "automap-evaluation";
/// Raised when a field changes its meaning.
pub const FORMAT_VERSION: u32 = 1;

/// PR@1 to PR@5 by contender and incident.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scores(BTreeMap<String, BTreeMap<String, [f64; MAX_K]>>);

impl Scores {
    /// The scores of an evaluation.
    pub fn of(measured: &Measured) -> Self {
        let of_contender = |index: usize| {
            let ids = measured.sets.iter().flat_map(|set| set.cases.iter().map(|case| case.id.clone()));
            ids.zip(measured.outcomes(index).map(|outcome| outcome.precision)).collect()
        };
        let named = measured.contenders.iter().enumerate();
        Self(named.map(|(index, contender)| (contender.name.clone(), of_contender(index))).collect())
    }
}

/// A file that keeps nothing of an evaluation but its scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoresFile {
    /// What this file is.
    format: String,
    /// Raised when a field changes its meaning.
    format_version: u32,
    settings: ScoredSettings,
    scores: Scores,
}

/// What makes scores comparable.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct ScoredSettings {
    delay: f64,
    normal_window: Option<f64>,
}

/// A contender that scores otherwise than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its name.
    pub contender: String,
    /// Name of a dataset, or `mean`.
    pub dataset: String,
    /// What moved.
    pub figure: Figure,
    /// New minus old, paired by incident.
    pub change: Estimate,
    /// Whether the whole interval lies below 0.
    pub worse: bool,
}

impl std::fmt::Display for Change {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Estimate { value, low, high } = self.change;
        write!(
            formatter,
            "{} on {}: {} changed by {value:.3} ({low:.3} to {high:.3})",
            self.contender,
            self.dataset,
            self.figure.label()
        )
    }
}

impl ScoresFile {
    /// The scores of an evaluation as a file keeps them.
    pub fn new(measured: &Measured, handicap: Handicap) -> Self {
        Self {
            format: FORMAT.into(),
            format_version: FORMAT_VERSION,
            settings: ScoredSettings { delay: handicap.delay, normal_window: handicap.normal_window },
            scores: Scores::of(measured),
        }
    }

    /// One line per incident, so that a change of few is read as a change of few.
    pub fn to_text(&self) -> String {
        let mut contenders = Vec::new();
        for (contender, incidents) in &self.scores.0 {
            let lines: Vec<String> = incidents
                .iter()
                .map(|(id, precision)| {
                    let cells: Vec<String> =
                        precision.iter().map(|value| format!("{}", (value * 1e6).round() / 1e6)).collect();
                    format!("      {}: [{}]", quoted(id), cells.join(", "))
                })
                .collect();
            contenders.push(format!("    {}: {{\n{}\n    }}", quoted(contender), lines.join(",\n")));
        }
        let window = self.settings.normal_window.map_or("null".into(), |factor| factor.to_string());
        format!(
            "{{\n  \"format\": {},\n  \"format_version\": {},\n  \"settings\": {{\"delay\": {}, \"normal_window\": {window}}},\n  \
             \"scores\": {{\n{}\n  }}\n}}\n",
            quoted(&self.format),
            self.format_version,
            self.settings.delay,
            contenders.join(",\n")
        )
    }

    /// Reads a file of scores or a whole report, and checks that an evaluation of `contenders` on `incidents` can be
    /// held against it.
    ///
    /// # Errors
    /// The file cannot be read, is of another kind or version, was measured under other handicaps or on other
    /// incidents, or has none of the contenders.
    pub fn read(
        path: &Path,
        handicap: Handicap,
        contenders: &[&str],
        incidents: &[&str],
    ) -> Result<Self, Failure> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let wrong = |problem: String| Failure::Usage(format!("--compare {name}: {problem}"));
        let head: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| wrong(format!("is no JSON: {error}")))?;
        if head["format"] != FORMAT {
            return Err(wrong(
                "is no evaluation; write one with `automap evaluate --scores FILE` or `--output json`".into(),
            ));
        }
        if head["format_version"] != FORMAT_VERSION {
            return Err(wrong(format!(
                "has format version {}, this command reads {FORMAT_VERSION}; measure it again with this version",
                head["format_version"]
            )));
        }
        let file: Self =
            serde_json::from_value(head).map_err(|error| wrong(format!("is damaged: {error}")))?;
        let settings = ScoredSettings { delay: handicap.delay, normal_window: handicap.normal_window };
        if file.settings != settings {
            let window = |factor: Option<f64>| factor.map_or("all".into(), |factor| factor.to_string());
            return Err(wrong(format!(
                "was measured with delay {} and normal window {}, not {} and {}; give the same flags",
                file.settings.delay,
                window(file.settings.normal_window),
                settings.delay,
                window(settings.normal_window)
            )));
        }
        let known: Vec<&str> =
            contenders.iter().copied().filter(|contender| file.scores.0.contains_key(*contender)).collect();
        if known.is_empty() {
            let names: Vec<&str> = file.scores.0.keys().map(String::as_str).collect();
            return Err(wrong(format!("has none of the methods; it has {}", names.join(", "))));
        }
        for contender in known {
            let scored = &file.scores.0[contender];
            let unscored = incidents.iter().find(|incident| !scored.contains_key(**incident));
            let gone = scored.keys().find(|id| !incidents.contains(&id.as_str()));
            if let Some(id) = unscored.copied().or(gone.map(String::as_str)) {
                return Err(wrong(format!(
                    "was measured on other incidents: {id} is in one of both only; evaluate the same directories"
                )));
            }
        }
        Ok(file)
    }

    /// How contenders moved, on a dataset or on the mean, in PR@1 or the mean of PR@1 to PR@5. One got worse where the
    /// whole 95 % interval of the paired difference lies below 0. What did not move at all is left out.
    pub fn changes(&self, measured: &Measured, bootstrap: usize, seed: u64) -> Vec<Change> {
        let resamples = Resamples::new(&measured.sizes(), bootstrap, seed);
        let all: Vec<usize> = (0..measured.sets.len()).collect();
        let mut found = Vec::new();
        for (index, contender) in measured.contenders.iter().enumerate() {
            let Some(before) = self.scores.0.get(&contender.name) else {
                continue;
            };
            for figure in Figure::HEADLINES {
                let mut changes = measured.values(index, figure);
                for (set, values) in measured.sets.iter().zip(&mut changes) {
                    for (case, value) in set.cases.iter().zip(values) {
                        *value -= before.get(&case.id).map_or(0.0, |precision| figure.of(precision));
                        // Files keep six digits.
                        *value = (*value * 1e5).round() / 1e5;
                    }
                }
                let on = all.iter().map(|&dataset| (measured.sets[dataset].name.as_str(), vec![dataset]));
                for (dataset, over) in on.chain([("mean", all.clone())]) {
                    if over.iter().all(|&dataset| changes[dataset].iter().all(|change| *change == 0.0)) {
                        continue;
                    }
                    let change = resamples.mean_over(&over, &changes);
                    found.push(Change {
                        contender: contender.name.clone(),
                        dataset: dataset.into(),
                        figure,
                        change,
                        worse: change.high < 0.0,
                    });
                }
            }
        }
        found
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    const NONE: Handicap = Handicap { delay: 0.0, normal_window: None, shuffled_calls: None };

    fn ten(right: usize) -> Measured {
        let outcomes = (0..10).map(|incident| outcome(if incident < right { 1.0 } else { 0.0 }));
        measured(&["evidence"], vec![vec![outcomes.collect()]])
    }

    fn ids(measured: &Measured) -> Vec<&str> {
        measured.sets.iter().flat_map(|set| set.cases.iter().map(|case| case.id.as_str())).collect()
    }

    #[test]
    fn a_fall_beyond_the_interval_is_a_regression_and_one_incident_is_not() {
        let old = ScoresFile::new(&ten(8), NONE);
        assert!(old.changes(&ten(8), 500, 0).is_empty());
        let all_worse = |right: usize| old.changes(&ten(right), 500, 0).iter().all(|one| one.worse);
        assert!(!all_worse(10));
        assert!(!all_worse(7), "one of ten may be luck");
        let found = old.changes(&ten(2), 500, 0);
        assert_eq!(found.len(), 4, "both figures, on the dataset and on the mean");
        assert!(all_worse(2));
        assert!((found[0].change.value + 0.6).abs() < 1e-12);
        assert!(found[0].to_string().starts_with("evidence on set0: AC@1 changed by -0.600 ("));
    }

    #[test]
    fn a_file_of_scores_leads_back_to_itself() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("scores.json");
        let now = ten(3);
        let file =
            ScoresFile::new(&now, Handicap { delay: -0.5, normal_window: Some(1.5), shuffled_calls: None });
        std::fs::write(&path, file.to_text()).unwrap();
        let handicap = Handicap { delay: -0.5, normal_window: Some(1.5), shuffled_calls: None };
        let read = ScoresFile::read(&path, handicap, &["evidence", "random"], &ids(&now)).unwrap();
        assert_eq!(read, file);
    }

    #[test]
    fn files_that_cannot_be_compared_are_refused_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("scores.json");
        let now = ten(3);
        let text = ScoresFile::new(&now, NONE).to_text();
        let refused = |text: &str, handicap: Handicap, contender: &str, incidents: &[&str]| {
            std::fs::write(&path, text).unwrap();
            ScoresFile::read(&path, handicap, &[contender], incidents).unwrap_err().to_string()
        };
        let ids = ids(&now);
        let late = Handicap { delay: 0.5, normal_window: None, shuffled_calls: None };
        for (problem, part) in [
            (refused("{}", NONE, "evidence", &ids), "is no evaluation"),
            (refused("no", NONE, "evidence", &ids), "is no JSON"),
            (
                refused(&text.replace("version\": 1", "version\": 9"), NONE, "evidence", &ids),
                "format version 9",
            ),
            (refused(&text.replace("0, 0", "0, \"x\""), NONE, "evidence", &ids), "is damaged"),
            (refused(&text, late, "evidence", &ids), "give the same flags"),
            (refused(&text, NONE, "naive", &ids), "it has evidence"),
            (refused(&text, NONE, "evidence", &ids[1..]), "set0/0 is in one of both only"),
            (refused(&text, NONE, "evidence", &["set0/11"]), "other incidents"),
        ] {
            assert!(problem.contains(part), "{problem}");
        }
        assert!(ScoresFile::read(&home.path().join("no.json"), NONE, &[], &[]).is_err());
    }
}
