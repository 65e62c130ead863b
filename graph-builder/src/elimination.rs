//! What is left of a pair and of the candidates once some services are conditioned on: Schur complements, one
//! pivot at a time, so that conditioning sets with a common beginning share its elimination.

use crate::correlation::Correlation;

/// A residual variance up to this (of 1) is none: what is conditioned on determines the variable.
pub(crate) const NO_VARIANCE: f64 = 1e-10;

/// Residual second moments of the pair given the services chosen so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PairMoments {
    pub(crate) first_variance: f64,
    pub(crate) second_variance: f64,
    pub(crate) covariance: f64,
    /// Fewest common rows among the pair and the chosen services.
    pub(crate) fewest_rows: u32,
}

impl PairMoments {
    /// Of a pair, given nothing.
    pub(crate) fn unconditional(correlation: &Correlation, (first, second): (u32, u32)) -> Self {
        let (first, second) = (first as usize, second as usize);
        Self {
            first_variance: 1.0,
            second_variance: 1.0,
            covariance: correlation.coefficient(first, second),
            fewest_rows: correlation.common_rows(first, second),
        }
    }
}

/// The elimination of one chosen service: residuals lose a factor times its row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pivot {
    /// Position among the candidates.
    pub(crate) position: usize,
    /// Its residual covariance with the first end, divided by its residual variance.
    pub(crate) to_first: f64,
    /// The same for the second end.
    pub(crate) to_second: f64,
    /// One over its residual variance; 0 when it has none and so adds nothing, as with a pseudo-inverse.
    pub(crate) inverse: f64,
}

/// The residuals at each depth of a search. All arrays are depth × candidates, row-major; at depth d the first d
/// pivots are eliminated, and only candidates after the last of them are kept up to date.
#[derive(Debug, Default)]
pub(crate) struct Elimination {
    candidates: Vec<u32>,
    /// Residual covariance with the first end of the pair.
    to_first: Vec<f64>,
    /// Residual covariance with the second end.
    to_second: Vec<f64>,
    /// Residual variance.
    variance: Vec<f64>,
    /// Fewest common rows of a candidate with the pair and the chosen services; empty when nothing is missing.
    fewest_rows: Vec<u32>,
    /// Residual covariances of each pivot with the candidates after it, given the pivots before it.
    pivot_rows: Vec<f64>,
    pivots: Vec<Pivot>,
}

impl Elimination {
    /// Starts over with new candidates for a pair, for up to `depths` pivots (at least one).
    pub(crate) fn start(
        &mut self,
        correlation: &Correlation,
        (first, second): (u32, u32),
        candidates: impl Iterator<Item = u32>,
        depths: usize,
    ) {
        self.candidates.clear();
        self.candidates.extend(candidates);
        let width = self.candidates.len();
        for buffer in [&mut self.to_first, &mut self.to_second, &mut self.variance, &mut self.pivot_rows] {
            buffer.clear();
            buffer.resize(depths * width, 0.0);
        }
        self.pivots.clear();
        self.pivots.resize(depths, Pivot::default());
        let (first, second) = (first as usize, second as usize);
        let (first_row, second_row) = (correlation.row(first), correlation.row(second));
        for (position, &candidate) in self.candidates.iter().enumerate() {
            self.to_first[position] = first_row[candidate as usize];
            self.to_second[position] = second_row[candidate as usize];
            self.variance[position] = 1.0;
        }
        self.fewest_rows.clear();
        if let (Some(first_counts), Some(second_counts)) =
            (correlation.count_row(first), correlation.count_row(second))
        {
            self.fewest_rows.resize(depths * width, 0);
            for (rows, &candidate) in self.fewest_rows.iter_mut().zip(&self.candidates) {
                *rows = first_counts[candidate as usize].min(second_counts[candidate as usize]);
            }
        }
    }

    /// The candidates, ascending.
    #[inline]
    pub(crate) fn candidates(&self) -> &[u32] {
        &self.candidates
    }

    /// The services chosen at the first `count` depths.
    pub(crate) fn chosen(&self, count: usize) -> impl Iterator<Item = u32> + '_ {
        self.pivots[..count].iter().map(|pivot| self.candidates[pivot.position])
    }

    /// Chooses the candidate at `position` as the pivot of `depth`, and answers it with the moments of the pair
    /// given it too. `None` when it leaves an end of the pair without residual variance.
    #[inline]
    pub(crate) fn choose(
        &mut self,
        moments: PairMoments,
        depth: usize,
        position: usize,
    ) -> Option<(Pivot, PairMoments)> {
        let cell = depth * self.candidates.len() + position;
        let variance = self.variance[cell];
        let inverse = if variance > NO_VARIANCE { 1.0 / variance } else { 0.0 };
        let (to_first, to_second) = (self.to_first[cell], self.to_second[cell]);
        let pivot = Pivot { position, to_first: to_first * inverse, to_second: to_second * inverse, inverse };
        let rest = PairMoments {
            first_variance: moments.first_variance - to_first * pivot.to_first,
            second_variance: moments.second_variance - to_second * pivot.to_second,
            covariance: moments.covariance - to_first * pivot.to_second,
            fewest_rows: self
                .fewest_rows
                .get(cell)
                .map_or(moments.fewest_rows, |rows| moments.fewest_rows.min(*rows)),
        };
        self.pivots[depth] = pivot;
        // Also false for NaN, which indefinite matrices may lead to.
        let both_vary = rest.first_variance > NO_VARIANCE && rest.second_variance > NO_VARIANCE;
        both_vary.then_some((pivot, rest))
    }

    /// Computes the row of the pivot of `depth` for the candidates `from..to`: their residual covariances with it,
    /// given the pivots before it.
    #[inline(always)]
    pub(crate) fn fill_pivot_row(&mut self, correlation: &Correlation, depth: usize, from: usize, to: usize) {
        let width = self.candidates.len();
        let pivot = self.pivots[depth];
        let (earlier, own) = self.pivot_rows.split_at_mut(depth * width);
        let row = &mut own[from..to];
        if pivot.inverse == 0.0 {
            row.fill(0.0);
            return;
        }
        let coefficients = correlation.row(self.candidates[pivot.position] as usize);
        for (residual, &candidate) in row.iter_mut().zip(&self.candidates[from..to]) {
            *residual = coefficients[candidate as usize];
        }
        for (earlier_row, earlier_pivot) in earlier.chunks_exact(width).zip(&self.pivots) {
            let factor = earlier_row[pivot.position] * earlier_pivot.inverse;
            for (residual, &value) in row.iter_mut().zip(&earlier_row[from..to]) {
                *residual -= factor * value;
            }
        }
    }

    /// Eliminates the pivot of `depth`, whose row is filled: carries the candidates after it to the next depth.
    pub(crate) fn eliminate(&mut self, correlation: &Correlation, depth: usize) {
        let width = self.candidates.len();
        let pivot = self.pivots[depth];
        let from = pivot.position + 1;
        let row = &self.pivot_rows[depth * width + from..(depth + 1) * width];
        let known = depth * width + from..(depth + 1) * width;
        for (buffer, factor) in [(&mut self.to_first, pivot.to_first), (&mut self.to_second, pivot.to_second)]
        {
            let (values, next) = buffer.split_at_mut((depth + 1) * width);
            let residuals = next[from..width].iter_mut().zip(&values[known.clone()]);
            for ((residual, &value), &along) in residuals.zip(row) {
                *residual = value - factor * along;
            }
        }
        let (values, next) = self.variance.split_at_mut((depth + 1) * width);
        let residuals = next[from..width].iter_mut().zip(&values[known.clone()]);
        for ((residual, &value), &along) in residuals.zip(row) {
            *residual = value - pivot.inverse * along * along;
        }
        if let Some(counts) = correlation.count_row(self.candidates[pivot.position] as usize) {
            let (values, next) = self.fewest_rows.split_at_mut((depth + 1) * width);
            let fewest = next[from..width].iter_mut().zip(&values[known]);
            for ((rows, &value), &candidate) in fewest.zip(&self.candidates[from..]) {
                *rows = value.min(counts[candidate as usize]);
            }
        }
    }

    /// Residuals of the candidates `from..to` at `depth`: covariances with the first and the second end, variances,
    /// and the row of the pivot of that depth.
    #[inline]
    pub(crate) fn residuals(&self, depth: usize, from: usize, to: usize) -> [&[f64]; 4] {
        let base = depth * self.candidates.len();
        [&self.to_first, &self.to_second, &self.variance, &self.pivot_rows]
            .map(|buffer| &buffer[base + from..base + to])
    }

    /// Fewest common rows of the candidates `from..to` with the pair and the services chosen before `depth`; `None`
    /// when nothing is missing.
    #[inline]
    pub(crate) fn fewest_rows(&self, depth: usize, from: usize, to: usize) -> Option<&[u32]> {
        let base = depth * self.candidates.len();
        self.fewest_rows.get(base + from..base + to)
    }
}
