//! Association of two discrete variables within strata: Pearson's χ² and the likelihood ratio G².

use std::sync::OnceLock;

use automap_proto::settings::CiTest;
use statrs::distribution::{ChiSquared, ContinuousCDF as _};

/// Fewest samples per cell, on average over the cells of all strata, of a table that is tested: with fewer the
/// distribution of the statistic is not near χ² (I. Tsamardinos, L. Brown and C. Aliferis, *The max-min hill-climbing
/// Bayesian network structure learning algorithm*, 2006, use the same five).
pub const MIN_SAMPLES_PER_CELL: u64 = 5;

/// Where the statistic is so near its critical value, relatively, the p-value itself decides.
const NEAR: f64 = 1e-6;

/// How association is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// Σ (O − E)² / E (K. Pearson, 1900).
    Chi2,
    /// 2 Σ O ln(O / E) (S. S. Wilks, 1938).
    G2,
}

impl Statistic {
    /// The statistic of a test; `None` for tests without tables.
    pub const fn of(test: CiTest) -> Option<Self> {
        match test {
            CiTest::FisherZ => None,
            CiTest::Chi2 => Some(Self::Chi2),
            CiTest::G2 => Some(Self::G2),
        }
    }
}

/// Association of two variables, summed over strata.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Association {
    /// The sum of the strata's statistics.
    pub statistic: f64,
    /// Σ (rows − 1)(columns − 1), counting in each stratum the rows and columns that are not empty.
    pub degrees_of_freedom: usize,
    /// Σ rows · columns, counted in the same way.
    pub cells: u64,
    /// Samples of all strata.
    pub samples: u64,
}

impl Association {
    /// Whether the table says anything: it has a degree of freedom and at least [`MIN_SAMPLES_PER_CELL`] samples per
    /// cell.
    pub const fn is_testable(&self) -> bool {
        self.degrees_of_freedom > 0 && self.samples >= MIN_SAMPLES_PER_CELL * self.cells
    }

    /// Probability of an association at least so strong if there is none; 1 without a degree of freedom.
    pub fn p_value(&self) -> f64 {
        p_value(self.statistic, self.degrees_of_freedom)
    }
}

pub(crate) fn p_value(statistic: f64, degrees_of_freedom: usize) -> f64 {
    match ChiSquared::new(degrees_of_freedom as f64) {
        Ok(distribution) if statistic > 0.0 => distribution.sf(statistic),
        _ => 1.0,
    }
}

/// Adds strata up. Keeps x ln x for all counts, so that G² takes no logarithm for a cell.
#[derive(Debug, Clone)]
pub struct Tabulation {
    statistic: Statistic,
    /// x ln x for x = 0..=samples; empty for χ².
    entropy: Vec<f64>,
}

impl Tabulation {
    /// For tables of at most `samples` samples.
    pub fn new(statistic: Statistic, samples: usize) -> Self {
        let entropy = match statistic {
            Statistic::Chi2 => Vec::new(),
            Statistic::G2 => (0..=samples)
                .map(|count| if count == 0 { 0.0 } else { count as f64 * (count as f64).ln() })
                .collect(),
        };
        Self { statistic, entropy }
    }

    /// Adds one stratum: counts by row, each of `columns` columns. Counts beyond the samples announced are ignored
    /// by G².
    ///
    /// # Complexity
    /// O(counts).
    pub fn add(&self, total: &mut Association, counts: &[u32], columns: usize) {
        let sums = Margins::of(counts, columns);
        if sums.samples == 0 {
            return;
        }
        total.samples += u64::from(sums.samples);
        total.cells += (sums.rows * sums.columns) as u64;
        total.degrees_of_freedom += (sums.rows - 1) * (sums.columns - 1);
        if sums.rows < 2 || sums.columns < 2 {
            return;
        }
        total.statistic += match self.statistic {
            Statistic::Chi2 => chi2(counts, columns, &sums),
            Statistic::G2 => self.g2(counts, &sums),
        };
    }

    fn g2(&self, counts: &[u32], sums: &Margins) -> f64 {
        let entropy = |counts: &[u32]| -> f64 {
            counts.iter().map(|count| self.entropy.get(*count as usize).copied().unwrap_or(0.0)).sum()
        };
        let joint = entropy(counts) + entropy(&[sums.samples]);
        2.0 * (joint - entropy(&sums.by_row[..]) - entropy(&sums.by_column[..])).max(0.0)
    }
}

/// Most rows or columns of a table.
const MAX_SIDE: usize = 5;

/// Sums of one stratum.
struct Margins {
    by_row: [u32; MAX_SIDE],
    by_column: [u32; MAX_SIDE],
    samples: u32,
    /// Rows that are not empty.
    rows: usize,
    /// Columns that are not empty.
    columns: usize,
}

impl Margins {
    fn of(counts: &[u32], columns: usize) -> Self {
        let (mut by_row, mut by_column) = ([0; MAX_SIDE], [0; MAX_SIDE]);
        for (row, sum) in counts.chunks_exact(columns).zip(&mut by_row) {
            for (&count, column) in row.iter().zip(&mut by_column) {
                *sum += count;
                *column += count;
            }
        }
        let filled = |sums: &[u32]| sums.iter().filter(|sum| **sum > 0).count();
        let (rows, columns) = (filled(&by_row), filled(&by_column));
        Self { samples: by_row.iter().sum(), rows, columns, by_row, by_column }
    }
}

fn chi2(counts: &[u32], columns: usize, sums: &Margins) -> f64 {
    let samples = f64::from(sums.samples);
    let mut statistic = 0.0;
    for (row, &row_sum) in counts.chunks_exact(columns).zip(&sums.by_row) {
        for (&count, &column_sum) in row.iter().zip(&sums.by_column) {
            let expected = f64::from(row_sum) * f64::from(column_sum) / samples;
            if expected > 0.0 {
                let difference = f64::from(count) - expected;
                statistic += difference * difference / expected;
            }
        }
    }
    statistic
}

/// Critical values of one significance level, each found when it is first asked for.
#[derive(Debug)]
pub(crate) struct CriticalValues {
    alpha: f64,
    by_freedom: Vec<OnceLock<f64>>,
}

impl CriticalValues {
    /// For up to `most` degrees of freedom.
    pub(crate) fn new(alpha: f64, most: usize) -> Self {
        Self { alpha, by_freedom: (0..=most).map(|_| OnceLock::new()).collect() }
    }

    /// α.
    pub(crate) const fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Whether p ≥ α.
    pub(crate) fn accepts_independence(&self, association: &Association) -> bool {
        let freedom = association.degrees_of_freedom;
        let critical = self.by_freedom.get(freedom).map(|slot| *slot.get_or_init(|| self.at(freedom)));
        match critical {
            Some(critical) if (association.statistic - critical).abs() > NEAR * critical => {
                association.statistic < critical
            }
            _ => association.p_value() >= self.alpha,
        }
    }

    /// The statistic whose p-value is α, by bisection of the survival function: through 1 − α a small level would
    /// round away.
    pub(crate) fn at(&self, freedom: usize) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        while p_value(high, freedom) >= self.alpha && high < f64::MAX / 2.0 {
            low = high;
            high *= 2.0;
        }
        while high - low > NEAR / 16.0 * high {
            let middle = f64::midpoint(low, high);
            if p_value(middle, freedom) >= self.alpha {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn association(statistic: Statistic, strata: &[&[u32]], columns: usize) -> Association {
        let samples = strata.iter().flat_map(|counts| *counts).map(|count| *count as usize).sum();
        let tabulation = Tabulation::new(statistic, samples);
        let mut total = Association::default();
        for counts in strata {
            tabulation.add(&mut total, counts, columns);
        }
        total
    }

    #[test]
    fn statistics_of_a_textbook_table() {
        // Expected counts 18.6, 12.4, 11.4 and 7.6: every difference is 1.4.
        let table: &[u32] = &[20, 11, 10, 9];
        let found = association(Statistic::Chi2, &[table], 2);
        assert!((found.statistic - 0.693_265_421_6).abs() < 1e-9, "{found:?}");
        assert_eq!((found.degrees_of_freedom, found.cells, found.samples), (1, 4, 50));
        let found = association(Statistic::G2, &[table], 2);
        assert!((found.statistic - 0.690_010_010_2).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn empty_rows_and_columns_and_strata_do_not_count() {
        let full = association(Statistic::Chi2, &[&[9, 3, 4, 8]], 2);
        let with_gaps = association(Statistic::Chi2, &[&[9, 0, 3, 0, 0, 0, 4, 0, 8], &[0; 9]], 3);
        assert_eq!(full, with_gaps);
        let one_row = association(Statistic::G2, &[&[9, 3, 0, 0]], 2);
        assert_eq!((one_row.degrees_of_freedom, one_row.statistic, one_row.p_value()), (0, 0.0, 1.0));
        assert!(!one_row.is_testable());
    }

    #[test]
    fn strata_add_up_and_thin_tables_are_not_tested() {
        let twice = association(Statistic::G2, &[&[9, 3, 4, 8], &[9, 3, 4, 8]], 2);
        let once = association(Statistic::G2, &[&[9, 3, 4, 8]], 2);
        assert!((twice.statistic - 2.0 * once.statistic).abs() < 1e-12);
        assert_eq!(twice.degrees_of_freedom, 2);
        assert!(once.is_testable());
        assert!(association(Statistic::G2, &[&[5, 5, 5, 5]], 2).is_testable());
        assert!(!association(Statistic::G2, &[&[5, 5, 5, 4]], 2).is_testable());
    }

    #[test]
    fn decisions_are_those_of_the_p_value_at_any_level() {
        for alpha in [f64::MIN_POSITIVE, 1e-12, 0.01, 0.05, 0.5, 1.0 - f64::EPSILON] {
            let critical = CriticalValues::new(alpha, 9);
            for freedom in [1, 2, 4, 9, 50] {
                for step in 0..400 {
                    let statistic = f64::from(step) * 0.37;
                    let found = Association { statistic, degrees_of_freedom: freedom, cells: 4, samples: 99 };
                    assert_eq!(
                        critical.accepts_independence(&found),
                        found.p_value() >= alpha,
                        "{alpha} {found:?}"
                    );
                }
            }
        }
    }
}
