//! p-values of Fisher's z against the textbook formulas; those of tables are beside the tables.

use std::{f64::consts::SQRT_2, sync::atomic::AtomicBool};

use ndarray::Array2;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use statrs::function::erf::erfc;

use super::*;
use crate::{
    correlation::Correlation, prepared::Prepared, skeleton::learn_within, standardise::Standardised,
};

const SERVICES: usize = 9;
const ROWS: usize = 80;
const ALPHA: f64 = 0.05;
const DEPTH: Depth = Depth { max_condition: 3, max_tests: None };

/// Services that follow the one before them and a load, with noise and gaps.
fn series(seed: u64, load: f64, gaps: f64) -> Array2<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut values = Array2::zeros((SERVICES, ROWS));
    for row in 0..ROWS {
        let shared: f64 = random.random_range(-1.0..1.0);
        let mut before = 0.0;
        for service in 0..SERVICES {
            before = 0.5 * before + load * shared + random.random_range(-1.0..1.0);
            let is_missing = random.random_bool(gaps);
            values[[service, row]] = if is_missing { f64::NAN } else { before };
        }
    }
    values
}

/// r of two series and their common rows.
fn textbook(values: &Array2<f64>, first: u32, second: u32) -> (f64, u32) {
    let (first, second) = (values.row(first as usize), values.row(second as usize));
    let common: Vec<(f64, f64)> = first
        .iter()
        .zip(second)
        .map(|pair| (*pair.0, *pair.1))
        .filter(|pair| (pair.0 + pair.1).is_finite())
        .collect();
    let size = common.len() as f64;
    let mean = |of: &dyn Fn(&(f64, f64)) -> f64| common.iter().map(of).sum::<f64>() / size;
    let (one, other) = (mean(&|pair| pair.0), mean(&|pair| pair.1));
    let covariance = mean(&|pair| (pair.0 - one) * (pair.1 - other));
    let variances = mean(&|pair| (pair.0 - one).powi(2)) * mean(&|pair| (pair.1 - other).powi(2));
    (covariance / variances.sqrt(), common.len() as u32)
}

/// p given nothing or one service, and the rows it is told from.
fn by_definition(
    values: &Array2<f64>,
    (first, second): (u32, u32),
    given: Option<u32>,
    removed: usize,
) -> (f64, u32) {
    let (r, rows) = textbook(values, first, second);
    let (r, rows) = given.map_or((r, rows), |given| {
        let ((to_first, first_rows), (to_second, second_rows)) =
            (textbook(values, first, given), textbook(values, second, given));
        let residual = ((1.0 - to_first * to_first) * (1.0 - to_second * to_second)).sqrt();
        ((r - to_first * to_second) / residual, rows.min(first_rows).min(second_rows))
    });
    let freedom = f64::from(rows) - (usize::from(given.is_some()) + removed + 3) as f64;
    let z = freedom.sqrt() * ((1.0 + r) / (1.0 - r)).ln() / 2.0;
    (erfc(z.abs() / SQRT_2), rows)
}

fn prepared(values: &Array2<f64>, conditions: usize) -> Prepared {
    Prepared::Correlated { correlation: Correlation::new(&Standardised::new(values.clone())), conditions }
}

fn learned(prepared: &Prepared, depth: Depth) -> Skeleton {
    let never = AtomicBool::new(false);
    let test = prepared.at(ALPHA);
    learn_within(&test, depth.max_condition, depth.max_tests, Halt::on(&never), &mut |_, _| {}).unwrap()
}

fn p_values(prepared: &Prepared, skeleton: &Skeleton, depth: Depth) -> SkeletonPValues {
    let never = AtomicBool::new(false);
    prepared.at(ALPHA).edges_of(skeleton, depth, Halt::on(&never)).unwrap()
}

#[test]
fn p_of_every_edge_is_below_the_level_and_follows_the_definition() {
    let (mut edges, mut conditioned) = (0, 0);
    for seed in 0..60 {
        let (load, gaps) = ([0.0, 0.7, 2.0][seed as usize % 3], [0.0, 0.15][seed as usize % 2]);
        let conditions = usize::from(seed % 5 == 0);
        let values = series(seed, load, gaps);
        let data = prepared(&values, conditions);
        let skeleton = learned(&data, DEPTH);
        let found = p_values(&data, &skeleton, DEPTH);
        assert!(!found.lacks_tests && found.lacks_time == 0);
        let pairs: Vec<(u32, u32)> = found.edges.iter().map(|edge| edge.pair).collect();
        assert_eq!(pairs, skeleton.pairs().collect::<Vec<_>>());
        for EdgePValues { pair, given_nothing, largest_p_value } in found.edges {
            let (p, rows) = by_definition(&values, pair, None, conditions);
            assert!(
                (given_nothing.p_value - p).abs() < 1e-9 && given_nothing.samples == rows,
                "{given_nothing:?} {p}"
            );
            let others = [pair.0, pair.1].map(|end| skeleton.neighbours()[end as usize].clone()).concat();
            let given_one = others
                .into_iter()
                .filter(|&other| other != pair.0 && other != pair.1)
                .map(|other| by_definition(&values, pair, Some(other), conditions).0);
            let expected = given_one.fold(p, f64::max);
            let largest = largest_p_value.unwrap();
            assert!((largest - expected).abs() < 1e-9, "{largest} {expected}");
            assert!(given_nothing.p_value <= largest && largest < ALPHA, "{largest}");
            edges += 1;
            conditioned += usize::from(expected > p);
        }
    }
    // The comparison says something only where there are edges with neighbours.
    assert!(edges > 200 && conditioned > 100, "{edges} {conditioned}");
}

#[test]
fn threads_do_not_matter() {
    let data = prepared(&series(3, 1.0, 0.1), 0);
    let skeleton = learned(&data, DEPTH);
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| p_values(&data, &skeleton, DEPTH))
    };
    assert!(on(1).edges.len() > 5);
    assert_eq!(on(1), on(3));
}

#[test]
fn a_spent_budget_and_a_graph_without_conditions_tell_p_given_nothing_alone() {
    let data = prepared(&series(4, 1.0, 0.0), 0);
    let whole = learned(&data, DEPTH);
    let given_nothing = |found: &SkeletonPValues| {
        assert!(found.edges.iter().all(|edge| edge.largest_p_value.is_none()));
        found.edges.len()
    };
    let spent = Depth { max_tests: Some(whole.tests()), ..DEPTH };
    let found = p_values(&data, &whole, spent);
    assert!(found.lacks_tests && given_nothing(&found) > 5);
    // Of a pair whose search was cut, a set that nobody looked at may separate the ends.
    let cut = Depth { max_tests: Some(40), ..DEPTH };
    let skeleton = learned(&data, cut);
    assert!(skeleton.levels().iter().any(|level| level.cut_pairs > 0));
    let found = p_values(&data, &skeleton, Depth { max_tests: None, ..cut });
    assert!(found.lacks_tests && given_nothing(&found) == skeleton.pairs().count());
    let shallow = Depth { max_condition: 0, ..DEPTH };
    let skeleton = learned(&data, shallow);
    let found = p_values(&data, &skeleton, shallow);
    assert!(!found.lacks_tests && given_nothing(&found) == skeleton.pairs().count());
}

#[test]
fn copies_and_few_rows_leave_p_as_it_is() {
    let mut values = series(5, 0.0, 0.0);
    let copy = values.row(0).to_owned();
    values.row_mut(8).assign(&copy);
    let data = prepared(&values, 0);
    let skeleton = learned(&data, DEPTH);
    let found = p_values(&data, &skeleton, DEPTH);
    let edge = found.edges.iter().find(|edge| edge.pair == (0, 8)).unwrap();
    assert!(edge.given_nothing.p_value < 1e-300 && edge.largest_p_value < Some(ALPHA));

    // Of five rows a test given nothing has a degree of freedom or two, and one given a service and a load none.
    let short = Array2::from_shape_fn((SERVICES, 5), |cell| values[cell]);
    let data = prepared(&short, 1);
    let skeleton = learned(&data, DEPTH);
    let found = p_values(&data, &skeleton, DEPTH);
    assert!(!found.edges.is_empty());
    assert!(found.edges.iter().all(|edge| edge.largest_p_value == Some(edge.given_nothing.p_value)));
}

#[test]
fn it_stops_when_asked_and_tells_what_the_time_left_out() {
    let data = prepared(&series(6, 1.0, 0.0), 0);
    let skeleton = learned(&data, DEPTH);
    let (never, set) = (AtomicBool::new(false), AtomicBool::new(true));
    assert_eq!(data.at(ALPHA).edges_of(&skeleton, DEPTH, Halt::on(&set)), Err(Stopped));
    let found = data.at(ALPHA).edges_of(&skeleton, DEPTH, Halt::on(&never).or_at(&set)).unwrap();
    assert_eq!((found.edges.len(), found.lacks_time), (0, skeleton.pairs().count()));
}
