//! Skeletons by `automap graph` and by causal-learn, of the same series.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{command, python};

/// Pairs of positions, first < second.
pub type Edges = BTreeSet<(usize, usize)>;

/// A skeleton by either of the two: of each edge p given nothing, and the largest p given nothing or one neighbour of either
/// end. An edge that stands without a test given nothing has none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Skeleton(pub BTreeMap<(usize, usize), Option<[f64; 2]>>);

impl Skeleton {
    /// Its edges.
    pub fn edges(&self) -> Edges {
        self.0.keys().copied().collect()
    }

    /// The largest difference of two p of the same edge, over the edges that both have p of.
    pub fn largest_difference(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().filter_map(|(edge, p)| Some(((*p)?, (*other.0.get(edge)?)?)));
        pairs.flat_map(|(left, right)| [0, 1].map(|at| (left[at] - right[at]).abs())).fold(0.0, f64::max)
    }
}

/// Series of equal length without gaps, and how a skeleton is learned from them.
#[derive(Debug, Clone)]
pub struct SkeletonCase {
    /// Samples of each service.
    pub series: Vec<Vec<f64>>,
    /// fisher-z, chi2 or g2.
    pub ci_test: &'static str,
    /// Significance level.
    pub alpha: f64,
    /// Largest conditioning set.
    pub max_condition: usize,
    /// Bins of chi2 and g2.
    pub bins: usize,
}

impl SkeletonCase {
    /// The skeleton by `automap graph`, from a metrics file in `home`.
    ///
    /// # Errors
    /// The command failed.
    pub fn by_automap(&self, home: &Path) -> anyhow::Result<Skeleton> {
        let samples = self.series.first().context("a case has series")?.len();
        let mut file = String::from("timestamp");
        for service in 0..self.series.len() {
            write!(file, ",s{service:04}_cpu")?;
        }
        for row in 0..samples {
            write!(file, "\n{}", row * 60)?;
            for series in &self.series {
                write!(file, ",{}", series[row])?;
            }
        }
        fs::write(home.join("metrics.csv"), file)?;
        let incident = ((samples - samples / 4) * 60).to_string();
        let (alpha, depth, bins) =
            (self.alpha.to_string(), self.max_condition.to_string(), self.bins.to_string());
        let arguments = [
            &["graph", "metrics.csv", "--metrics", "cpu", "--window", "all", "--output", "json"][..],
            &["--front-end", "s0000", "--anomaly-start", &incident, "--step", "60"],
            &["--ci-test", self.ci_test, "--alpha", &alpha, "--max-condition", &depth, "--bins", &bins],
        ]
        .concat();
        let ended = command::run(home, &arguments)?;
        ensure!(ended.code == 0, "automap graph failed: {}", ended.stderr);
        let graph: Value = serde_json::from_str(&ended.stdout)?;
        let position = |end: &Value| -> anyhow::Result<usize> {
            Ok(end
                .as_str()
                .and_then(|name| name.strip_prefix('s'))
                .context("services are numbered")?
                .parse()?)
        };
        let edges = graph["edges"].as_array().context("the graph has edges")?;
        let told = |test: &Value| Some([test["p_value"].as_f64()?, test["largest_p_value"].as_f64()?]);
        let found = edges.iter().map(|edge| {
            let (from, to) = (position(&edge["from"])?, position(&edge["to"])?);
            Ok(((from.min(to), from.max(to)), told(&edge["tests"][0])))
        });
        Ok(Skeleton(found.collect::<anyhow::Result<_>>()?))
    }
}

/// The skeletons of all cases by causal-learn. With `rule`, tables that have no degree of freedom or fewer than five
/// samples per cell are left untested, as automap does and causal-learn alone does not.
///
/// # Errors
/// causal-learn failed or was not set up.
pub fn by_causal_learn(cases: &[(&SkeletonCase, bool)]) -> anyhow::Result<Vec<Skeleton>> {
    let input = cases.iter().map(|(case, rule)| {
        json!({
            "series": case.series,
            "ci_test": case.ci_test,
            "alpha": case.alpha,
            "max_condition": case.max_condition,
            "bins": case.bins,
            "rule": rule,
        })
    });
    let answer = python::run("skeletons.py", &input.collect())?;
    let skeletons: Vec<Vec<(usize, usize, f64, f64)>> = serde_json::from_value(answer)?;
    ensure!(skeletons.len() == cases.len(), "a skeleton is missing");
    let skeleton = |edges: Vec<(usize, usize, f64, f64)>| {
        Skeleton(
            edges.into_iter().map(|(one, other, p, largest)| ((one, other), Some([p, largest]))).collect(),
        )
    };
    Ok(skeletons.into_iter().map(skeleton).collect())
}
