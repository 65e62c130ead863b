//! The search against partial correlations from plain matrix inversion.

use std::sync::atomic::AtomicBool;

use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::{fisher_z::FisherZ, standardise::Standardised};

const SERVICES: usize = 8;
const ALPHA: f64 = 0.05;

/// Inverse by Gauss-Jordan elimination; `None` unless the matrix is positive definite by a margin.
fn invert(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let unit = |row: usize| (0..size).map(|column| if row == column { 1.0 } else { 0.0 }).collect();
    let mut inverse: Vec<Vec<f64>> = (0..size).map(unit).collect();
    for column in 0..size {
        let scale = matrix[column][column];
        if scale < 1e-3 {
            return None;
        }
        for cell in matrix[column].iter_mut().chain(&mut inverse[column]) {
            *cell /= scale;
        }
        for row in (0..size).filter(|&row| row != column) {
            let factor = matrix[row][column];
            for cell in 0..size {
                matrix[row][cell] -= factor * matrix[column][cell];
                inverse[row][cell] -= factor * inverse[column][cell];
            }
        }
    }
    Some(inverse)
}

/// Subsets of `items` of one size, in lexicographic order.
fn subsets(items: &[u32], size: usize) -> Vec<Vec<u32>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let mut found = Vec::new();
    for (index, &item) in items.iter().enumerate() {
        for mut rest in subsets(&items[index + 1..], size - 1) {
            rest.insert(0, item);
            found.push(rest);
        }
    }
    found
}

/// The definition, set by set. `None` when a set is too close to singular or to the critical value to compare.
fn by_definition(
    correlation: &Correlation,
    test: FisherZ,
    pair: (u32, u32),
    lists: [&[u32]; 2],
    level: usize,
) -> Option<Verdict> {
    if level == 0 && !correlation.is_testable(pair.0 as usize, pair.1 as usize) {
        // Nothing speaks for an edge between two series that cannot be compared.
        return Some(Verdict { separating_set: Some(Vec::new()), tests: 0, spent: 0, is_cut: false });
    }
    let without_ends = |list: &[u32]| -> Vec<u32> {
        list.iter().copied().filter(|&candidate| candidate != pair.0 && candidate != pair.1).collect()
    };
    let mut sets = subsets(&without_ends(lists[0]), level);
    for set in subsets(&without_ends(lists[1]), level) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let mut tests = 0;
    for set in sets {
        let variables: Vec<usize> =
            [pair.0, pair.1].iter().chain(&set).map(|&index| index as usize).collect();
        let rows = variables
            .iter()
            .flat_map(|&left| variables.iter().map(move |&right| (left, right)))
            .filter(|(left, right)| left != right)
            .map(|(left, right)| correlation.common_rows(left, right))
            .min()?;
        let Some(critical) = test.critical_correlation(rows, level) else {
            continue;
        };
        let matrix = variables
            .iter()
            .map(|&left| variables.iter().map(|&right| correlation.coefficient(left, right)).collect())
            .collect();
        let precision = invert(matrix)?;
        let partial = -precision[0][1] / (precision[0][0] * precision[1][1]).sqrt();
        if (partial.abs() - critical).abs() < 1e-6 {
            return None;
        }
        tests += 1;
        if partial.abs() < critical {
            return Some(Verdict { separating_set: Some(set), tests, spent: tests, is_cut: false });
        }
    }
    Some(Verdict { separating_set: None, tests, spent: tests, is_cut: false })
}

/// One search, `size` sets at a time.
fn in_parts(test: &LevelTest<'_>, pair: (u32, u32), lists: [&[u32]; 2], size: u64) -> Verdict {
    let (never, mut buffers, mut tests) = (AtomicBool::new(false), SetSearch::default(), 0);
    for part in 0.. {
        let range = SetRange { skip: size.saturating_mul(part), most: size };
        let verdict = buffers.search(test, pair, lists, range, Halt::on(&never)).unwrap();
        tests += verdict.tests;
        if !verdict.is_cut {
            return Verdict { tests, spent: tests, ..verdict };
        }
        assert!(part < 100_000, "a search never ends");
    }
    unreachable!()
}

fn search(
    correlation: &Correlation,
    test: FisherZ,
    pair: (u32, u32),
    lists: [&[u32]; 2],
    level: usize,
) -> Verdict {
    let limits = test.limits(correlation.most_common_rows(), level);
    let level_test = LevelTest::new(correlation, limits, level);
    let whole = in_parts(&level_test, pair, lists, u64::MAX);
    // Looked at in parts of any size, the sets are the same.
    for size in [1, 3, 10] {
        assert_eq!(in_parts(&level_test, pair, lists, size), whole, "parts of {size}");
    }
    whole
}

/// Each service follows the shared load and the one before it.
fn data(noise: &[f64], load: f64, gaps: &[bool], rows: usize) -> Array2<f64> {
    let mut values = Array2::zeros((SERVICES, rows));
    for row in 0..rows {
        let mut before = 0.0;
        for service in 0..SERVICES {
            let value = noise[service * rows + row] + load * noise[SERVICES * rows + row] + 0.6 * before;
            before = value;
            values[[service, row]] = if gaps[service * rows + row] { f64::NAN } else { value };
        }
    }
    values
}

const ROWS: usize = 26;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn first_separating_set_and_number_of_tests_follow_the_definition(
        noise in proptest::collection::vec(-1.0..1.0_f64, (SERVICES + 1) * ROWS),
        load in 0.0..1.0_f64,
        gap_draws in proptest::collection::vec(0.0..1.0_f64, SERVICES * ROWS),
        gap_rates in proptest::collection::vec(prop_oneof![Just(0.0), Just(0.1), Just(0.4)], SERVICES),
        with_gaps in any::<bool>(),
        first_list in proptest::bits::u8::ANY,
        second_list in proptest::bits::u8::ANY,
        level in 0_usize..=5,
        pair in (0_u32..SERVICES as u32, 1_u32..SERVICES as u32),
    ) {
        let gaps: Vec<bool> = gap_draws
            .iter()
            .enumerate()
            .map(|(cell, draw)| with_gaps && *draw < gap_rates[cell / ROWS])
            .collect();
        let correlation = Correlation::new(&Standardised::new(data(&noise, load, &gaps, ROWS)));
        let members = |bits: u8| -> Vec<u32> { (0..8).filter(|index| bits >> index & 1 == 1).collect() };
        let (first, second) = (pair.0, (pair.0 + pair.1) % SERVICES as u32);
        let pair = (first.min(second), first.max(second));
        let lists = [members(first_list | 1 << second), members(second_list | 1 << first)];
        let lists = [lists[0].as_slice(), lists[1].as_slice()];
        let test = FisherZ::new(ALPHA);
        if let Some(expected) = by_definition(&correlation, test, pair, lists, level) {
            prop_assert_eq!(search(&correlation, test, pair, lists, level), expected);
        }
    }

    #[test]
    fn any_matrix_and_any_level_have_an_answer(
        cells in proptest::collection::vec(prop_oneof![Just(f64::NAN), Just(0.0), Just(1.0), -1.0..1.0_f64], SERVICES * 9),
        level in 0_usize..=9,
    ) {
        let values = Array2::from_shape_vec((SERVICES, 9), cells).unwrap();
        let correlation = Correlation::new(&Standardised::new(values));
        let everyone: Vec<u32> = (0..SERVICES as u32).collect();
        let verdict = search(&correlation, FisherZ::new(ALPHA), (0, 1), [&everyone, &everyone], level);
        if let Some(set) = verdict.separating_set {
            prop_assert_eq!(set.len(), level);
            prop_assert!(set.is_sorted() && !set.contains(&0) && !set.contains(&1));
        }
    }
}

/// Rows of a wave, distinct for each seed.
fn wave(seed: f64) -> Vec<f64> {
    (0..60).map(|row| (f64::from(row) * (0.37 + seed) + seed * seed).sin()).collect()
}

fn correlate(series: &[Vec<f64>]) -> Correlation {
    let values = Array2::from_shape_fn((series.len(), series[0].len()), |(row, column)| series[row][column]);
    Correlation::new(&Standardised::new(values))
}

fn sum(left: &[f64], right: &[f64], weight: f64) -> Vec<f64> {
    left.iter().zip(right).map(|(left, right)| left + weight * right).collect()
}

#[test]
fn a_copy_of_an_end_never_separates() {
    let (cause, noise) = (wave(1.0), wave(2.0));
    let follower = sum(&cause, &noise, 0.4);
    let correlation = correlate(&[cause.clone(), follower, cause.iter().map(|value| 3.0 - value).collect()]);
    let verdict = search(&correlation, FisherZ::new(ALPHA), (0, 1), [&[1, 2], &[0, 2]], 1);
    assert_eq!(verdict, Verdict::default());
}

#[test]
fn a_candidate_that_repeats_an_earlier_one_adds_nothing() {
    let root = wave(1.0);
    let (left, right) = (sum(&root, &wave(2.0), 0.5), sum(&root, &wave(5.0), 0.5));
    let correlation = correlate(&[left, right, root.clone(), root.iter().map(|value| 2.0 * value).collect()]);
    let test = FisherZ::new(ALPHA);
    assert_eq!(search(&correlation, test, (0, 1), [&[2], &[2]], 1).separating_set, Some(vec![2]));
    assert_eq!(search(&correlation, test, (0, 1), [&[2, 3], &[]], 2).separating_set, Some(vec![2, 3]));
}

#[test]
fn a_set_that_determines_an_end_does_not_separate() {
    let (left, right) = (wave(1.0), wave(2.0));
    let total = sum(&left, &right, 1.0);
    let other = sum(&total, &wave(5.0), 0.5);
    let correlation = correlate(&[total, other, left, right]);
    let verdict = search(&correlation, FisherZ::new(ALPHA), (0, 1), [&[2, 3], &[]], 2);
    assert_eq!(verdict.separating_set, None);
}

#[test]
fn the_search_stops_when_asked() {
    let correlation = correlate(&[wave(1.0), wave(2.0)]);
    let limits = FisherZ::new(ALPHA).limits(60, 0);
    let test = LevelTest::new(&correlation, limits, 0);
    let stopped = SetSearch::default().search(
        &test,
        (0, 1),
        [&[], &[]],
        SetRange::ALL,
        Halt::on(&AtomicBool::new(true)),
    );
    assert_eq!(stopped, Err(Stopped));
}
