//! The two figures by which methods are judged, per dataset and on the mean, with intervals.

use serde::Serialize;

use super::{
    bootstrap::{Estimate, Resamples},
    measured::Measured,
};

/// The figures of one contender, or the differences of two, on a dataset or a mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Headlines {
    /// Name of a dataset, `mean`, or `mean without …`.
    pub dataset: String,
    /// Of PR@1.
    pub ac1: Estimate,
    /// Of the mean of PR@1 to PR@5.
    pub avg5: Estimate,
}

/// What values of incidents are averaged over.
pub(super) struct Averages<'a> {
    names: Vec<&'a str>,
    resamples: Resamples,
    /// Datasets that are not excluded.
    kept: Vec<usize>,
    excluded: &'a [String],
}

impl<'a> Averages<'a> {
    /// `bootstrap` resamples of the incidents of `measured`.
    pub(super) fn new(measured: &'a Measured, excluded: &'a [String], bootstrap: usize, seed: u64) -> Self {
        let names: Vec<&str> = measured.sets.iter().map(|set| set.name.as_str()).collect();
        let kept = (0..names.len()).filter(|&set| !excluded.iter().any(|name| name == names[set])).collect();
        let resamples = Resamples::new(&measured.sizes(), bootstrap, seed);
        Self { names, resamples, kept, excluded }
    }

    /// The draws of incidents.
    pub(super) const fn resamples(&self) -> &Resamples {
        &self.resamples
    }

    /// Datasets that are not excluded.
    pub(super) fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// Per dataset, then `mean`, and where datasets are excluded `mean without …`. `values` are PR@1 and the mean of PR@1 to
    /// PR@5, per dataset and incident. O(resamples · incidents).
    pub(super) fn headlines(&self, [ac1, avg5]: &[Vec<Vec<f64>>; 2]) -> Vec<Headlines> {
        let all: Vec<usize> = (0..self.names.len()).collect();
        let over = |dataset: String, datasets: &[usize]| Headlines {
            dataset,
            ac1: self.resamples.mean_over(datasets, ac1),
            avg5: self.resamples.mean_over(datasets, avg5),
        };
        let mut on: Vec<Headlines> =
            all.iter().map(|&dataset| over(self.names[dataset].to_owned(), &[dataset])).collect();
        on.push(over("mean".into(), &all));
        if self.kept.len() < all.len() {
            on.push(over(format!("mean without {}", self.excluded.join(", ")), &self.kept));
        }
        on
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::test_measured::{measured, outcome};

    #[test]
    fn figures_stand_by_dataset_on_the_mean_and_on_the_mean_without_the_excluded() {
        let incidents = |count: usize| vec![vec![outcome(0.0); count]];
        let found = measured(&["evidence"], vec![incidents(2), incidents(1)]);
        let excluded = ["set1".to_owned()];
        let averages = Averages::new(&found, &excluded, 100, 0);
        let on = averages.headlines(&[vec![vec![0.0, 1.0], vec![1.0]], vec![vec![0.5, 0.5], vec![1.0]]]);
        let values: Vec<(&str, f64, f64)> =
            on.iter().map(|one| (one.dataset.as_str(), one.ac1.value, one.avg5.value)).collect();
        assert_eq!(
            values,
            [("set0", 0.5, 0.5), ("set1", 1.0, 1.0), ("mean", 0.75, 0.75), ("mean without set1", 0.5, 0.5)]
        );
        assert_eq!((on[0].avg5.low, on[0].avg5.high), (0.5, 0.5));
    }
}
