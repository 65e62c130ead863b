//! The load that services share, removed from every series before it is tested.

use automap_proto::{
    frame::MetricFrame, load_removal::LoadRemoval, metric::MetricKind, settings::GraphSettings,
};
use ndarray::{Array2, ArrayView1};
use rayon::prelude::*;

use crate::{
    correlation::MIN_COMMON_ROWS,
    elimination::NO_VARIANCE,
    standardise::{Standardised, select},
};

/// Fewest varying series that have a common factor: that of two says all about how they relate.
const MIN_SERIES: usize = 3;
/// Rounds after which the leading factor is taken as it is: where none leads, it does not matter which one is taken.
const MAX_ROUNDS: usize = 40;
/// Squared change of the factor (a unit vector) between two rounds at which it has settled.
const SETTLED: f64 = 1e-14;

/// What is removed from the series of one selection of rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// Nothing.
    Nothing,
    /// What follows one series, standardised; NaN where a sample is missing.
    Series(Vec<f64>),
    /// What follows the leading common factor of each metric type.
    Factor,
}

/// Series of one metric type, and how many conditioning variables their removed load stands for.
#[derive(Debug, Clone)]
pub struct Freed {
    /// The series, standardised.
    pub standardised: Standardised,
    /// 1 where a load was removed, else 0: what a test has to count as conditioned on beside its set.
    pub conditions: usize,
}

impl Load {
    /// The load that `settings` remove from the given rows. Where the throughput of the service is constant or
    /// missing, there is nothing to remove.
    pub fn of(frame: &MetricFrame, rows: &[usize], settings: &GraphSettings) -> Self {
        let throughput = |service| select(frame, rows, MetricKind::Throughput).row(service).to_owned();
        let series = || frame.service_index(settings.load_service()).map(throughput);
        Self::new(settings.load_removal(), || series().map(|series| series.to_vec()))
    }

    /// The load of a kind; `throughput` is asked for the series of its service, where it takes one.
    pub(crate) fn new(removal: LoadRemoval, throughput: impl FnOnce() -> Option<Vec<f64>>) -> Self {
        match removal {
            LoadRemoval::Off => Self::Nothing,
            LoadRemoval::Factor => Self::Factor,
            LoadRemoval::FrontEnd => {
                throughput().and_then(standard_series).map_or(Self::Nothing, Self::Series)
            }
        }
    }

    /// Standardises `selected` (services × rows) without what follows the load: each series is replaced by the
    /// residual of its least-squares regression on the load over the rows that both have. A series of which nothing
    /// is left, such as the load itself, counts as constant; one that shares fewer than four rows with the load, too.
    ///
    /// The factor is the first principal component of the standardised series, missing samples counted as means. It
    /// holds a share of every series, about one part in their number: with few series its removal makes independent
    /// ones depend on each other.
    ///
    /// # Complexity
    /// O(services · rows), for the factor up to 40 times that.
    pub fn remove_from(&self, selected: Array2<f64>) -> Freed {
        let standardised = Standardised::new(selected);
        let load = match self {
            Self::Nothing => return Freed { standardised, conditions: 0 },
            Self::Series(series) => series.clone(),
            Self::Factor if standardised.members().len() < MIN_SERIES => {
                return Freed { standardised, conditions: 0 };
            }
            Self::Factor => leading_factor(standardised.values()),
        };
        Freed { standardised: residuals(&standardised, &load), conditions: 1 }
    }
}

/// One series, standardised; `None` where it does not vary.
fn standard_series(samples: Vec<f64>) -> Option<Vec<f64>> {
    let is_missing: Vec<bool> = samples.iter().map(|value| value.is_nan()).collect();
    let lone = Array2::from_shape_vec((1, samples.len()), samples).ok()?;
    let standardised = Standardised::new(lone);
    let series = standardised.values().rows().into_iter().next()?;
    let values = series.iter().zip(is_missing);
    Some(values.map(|(&value, is_missing)| if is_missing { f64::NAN } else { value }).collect())
}

/// The first right singular vector of `values` (members × rows) by power iteration. It starts from a fixed vector over
/// the rows, so that the order of services does not matter.
fn leading_factor(values: &Array2<f64>) -> Vec<f64> {
    let mut factor: Vec<f64> = (0..values.ncols()).map(noise).collect();
    normalise(&mut factor);
    for _ in 0..MAX_ROUNDS {
        let mut next = vec![0.0; factor.len()];
        for series in values.rows() {
            let loading = series.dot(&ArrayView1::from(&factor));
            for (sum, value) in next.iter_mut().zip(series) {
                *sum += loading * value;
            }
        }
        normalise(&mut next);
        let change: f64 = next.iter().zip(&factor).map(|(new, old)| (new - old).powi(2)).sum();
        factor = next;
        if change < SETTLED {
            break;
        }
    }
    factor
}

/// A fixed number between −1 and 1 for each row, without a pattern that a series could share (the finaliser of
/// SplitMix64).
fn noise(row: usize) -> f64 {
    let mut bits = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn normalise(vector: &mut [f64]) {
    let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm > 0.0 {
        vector.iter_mut().for_each(|value| *value /= norm);
    }
}

/// Residuals of every member given `load` (NaN where missing), standardised again.
fn residuals(standardised: &Standardised, load: &[f64]) -> Standardised {
    let presence = standardised.presence();
    let residual = |member: usize| -> Option<Vec<f64>> {
        let series = standardised.values().row(member);
        let is_there =
            |row: usize| !load[row].is_nan() && presence.is_none_or(|presence| presence[[member, row]] > 0.0);
        let common: Vec<usize> = (0..load.len()).filter(|&row| is_there(row)).collect();
        if common.len() < MIN_COMMON_ROWS as usize {
            return None;
        }
        let size = common.len() as f64;
        let mean = common.iter().map(|&row| series[row]).sum::<f64>() / size;
        let mean_load = common.iter().map(|&row| load[row]).sum::<f64>() / size;
        let (mut products, mut load_squares, mut squares) = (0.0, 0.0, 0.0);
        for &row in &common {
            let (value, along) = (series[row] - mean, load[row] - mean_load);
            products += value * along;
            load_squares += along * along;
            squares += value * value;
        }
        let slope = if load_squares > 0.0 { products / load_squares } else { 0.0 };
        if squares - slope * products <= NO_VARIANCE * squares {
            return None;
        }
        let mut left = vec![f64::NAN; load.len()];
        for &row in &common {
            left[row] = series[row] - mean - slope * (load[row] - mean_load);
        }
        Some(left)
    };
    let members = standardised.members();
    let residuals: Vec<Option<Vec<f64>>> = (0..members.len()).into_par_iter().map(residual).collect();
    let mut left = Array2::from_elem((standardised.services(), standardised.rows()), f64::NAN);
    for (&service, residual) in members.iter().zip(residuals) {
        if let Some(values) = residual {
            left.row_mut(service).assign(&ArrayView1::from(&values));
        }
    }
    Standardised::new(left)
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;
    use crate::{
        correlation::Correlation,
        elimination::PairMoments,
        test_frames::{frame_of, key},
    };

    /// `services` series that follow one load of `rows` samples, each with noise of its own.
    fn following(services: usize, rows: usize) -> (Vec<f64>, Array2<f64>) {
        let load: Vec<f64> = (0..rows).map(noise).collect();
        let own = |service: usize, row: usize| noise(1000 * (service + 1) + row);
        let values =
            Array2::from_shape_fn((services, rows), |(service, row)| 5.0 + load[row] + own(service, row));
        (load, values)
    }

    /// r of two series given a third, by the textbook formula.
    fn partial(values: &Array2<f64>, load: &[f64]) -> f64 {
        let mut three = Array2::zeros((3, load.len()));
        three.row_mut(0).assign(&values.row(0));
        three.row_mut(1).assign(&values.row(1));
        three.row_mut(2).assign(&ArrayView1::from(load));
        let r = Correlation::new(&Standardised::new(three));
        let (xy, xz, yz) = (r.coefficient(0, 1), r.coefficient(0, 2), r.coefficient(1, 2));
        (xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt()
    }

    #[test]
    fn what_is_left_correlates_as_it_does_given_the_load() {
        let (load, values) = following(2, 300);
        let expected = partial(&values, &load);
        let series = standard_series(load).unwrap();
        let freed = Load::Series(series).remove_from(values);
        let left = PairMoments::unconditional(&Correlation::new(&freed.standardised), (0, 1)).covariance;
        assert!((left - expected).abs() < 1e-12, "{left} {expected}");
        assert_eq!(freed.conditions, 1);
    }

    #[test]
    fn the_factor_of_many_services_is_their_load() {
        let (load, values) = following(60, 300);
        let before = Correlation::new(&Standardised::new(values.clone()));
        let factor = leading_factor(Standardised::new(values.clone()).values());
        let along = ArrayView1::from(&factor).dot(&ArrayView1::from(&standard_series(load).unwrap()));
        assert!(along.abs() > 0.98, "{along}");
        let after = Correlation::new(&Load::Factor.remove_from(values).standardised);
        let mean = |r: &Correlation| (1..60).map(|other| r.coefficient(0, other).abs()).sum::<f64>() / 59.0;
        assert!(mean(&before) > 0.4 && mean(&after) < 0.08, "{} {}", mean(&before), mean(&after));
    }

    #[test]
    fn the_order_of_services_does_not_matter_to_the_factor() {
        let (_, values) = following(8, 60);
        let standard = |values: Array2<f64>| Standardised::new(values).values().clone();
        let turned = standard(values.select(Axis(0), &[7, 6, 5, 4, 3, 2, 1, 0]));
        for (left, right) in leading_factor(&standard(values)).iter().zip(leading_factor(&turned)) {
            assert!((left - right).abs() < 1e-9);
        }
    }

    #[test]
    fn missing_samples_of_either_side_stay_missing() {
        let (mut load, mut values) = following(2, 40);
        (load[3], values[[0, 5]]) = (f64::NAN, f64::NAN);
        let freed = Load::Series(standard_series(load).unwrap()).remove_from(values);
        let presence = freed.standardised.presence().unwrap();
        let missing =
            |member: usize| (0..40).filter(|&row| presence[[member, row]] == 0.0).collect::<Vec<_>>();
        assert_eq!((missing(0), missing(1)), (vec![3, 5], vec![3]));
    }

    #[test]
    fn the_load_itself_is_constant_and_a_load_that_is_constant_removes_nothing() {
        let (load, _) = following(1, 50);
        let series =
            vec![key("web", MetricKind::Throughput, "throughput"), key("db", MetricKind::Cpu, "cpu")];
        let mut values = Array2::zeros((2, 50));
        values.row_mut(1).assign(&ArrayView1::from(&load));
        let rows: Vec<usize> = (0..50).collect();
        // Services are sorted: db, web.
        let settings = GraphSettings::default().with_load_removal(LoadRemoval::FrontEnd, "web").unwrap();
        assert_eq!(Load::of(&frame_of(series.clone(), values.clone()), &rows, &settings), Load::Nothing);
        values.row_mut(0).assign(&ArrayView1::from(&load));
        let frame = frame_of(series, values);
        let found = Load::of(&frame, &rows, &settings);
        let freed = found.remove_from(select(&frame, &rows, MetricKind::Throughput));
        assert_eq!(freed.standardised.members(), [0_usize; 0]);
        let unknown = GraphSettings::default().with_load_removal(LoadRemoval::FrontEnd, "shop").unwrap();
        assert_eq!(Load::of(&frame, &rows, &unknown), Load::Nothing);
    }

    #[test]
    fn two_series_have_no_factor_to_remove() {
        let (_, values) = following(2, 50);
        let freed = Load::Factor.remove_from(values);
        assert_eq!((freed.conditions, freed.standardised.members().len()), (0, 2));
        assert_eq!(Load::Factor.remove_from(Array2::zeros((0, 0))).conditions, 0);
    }
}
