//! The search against tables counted row by row.

use std::{collections::BTreeMap, sync::atomic::AtomicBool};

use automap_proto::settings::Bins;
use ndarray::Array2;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{skeleton::learn, standardise::Standardised};

const SERVICES: usize = 6;
const ROWS: usize = 150;
const ALPHA: f64 = 0.05;

fn discretised(values: Array2<f64>, bins: Bins) -> Discretised {
    Discretised::new(&Standardised::new(values), bins)
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

/// The association of a pair given a set, by the definition: a table per combination of bins that occurs.
fn by_definition(data: &Discretised, statistic: Statistic, pair: (u32, u32), set: &[u32]) -> Association {
    let mut strata: BTreeMap<Vec<usize>, BTreeMap<(usize, usize), f64>> = BTreeMap::new();
    for row in 0..data.rows() {
        let bin = |service: u32| data.bin(service as usize, row);
        let stratum: Option<Vec<usize>> = set.iter().map(|&service| bin(service)).collect();
        if let (Some(stratum), Some(first), Some(second)) = (stratum, bin(pair.0), bin(pair.1)) {
            *strata.entry(stratum).or_default().entry((first, second)).or_default() += 1.0;
        }
    }
    let mut total = Association::default();
    for table in strata.values() {
        let (mut by_row, mut by_column) = (BTreeMap::new(), BTreeMap::new());
        for (&(row, column), &count) in table {
            *by_row.entry(row).or_insert(0.0) += count;
            *by_column.entry(column).or_insert(0.0) += count;
        }
        let samples: f64 = by_row.values().sum();
        for (row, row_sum) in &by_row {
            for (column, column_sum) in &by_column {
                let expected = row_sum * column_sum / samples;
                let observed = table.get(&(*row, *column)).copied().unwrap_or(0.0);
                total.statistic += match statistic {
                    Statistic::Chi2 => (observed - expected) * (observed - expected) / expected,
                    Statistic::G2 if observed > 0.0 => 2.0 * observed * (observed / expected).ln(),
                    Statistic::G2 => 0.0,
                };
            }
        }
        total.samples += samples as u64;
        total.cells += (by_row.len() * by_column.len()) as u64;
        total.degrees_of_freedom += (by_row.len() - 1) * (by_column.len() - 1);
    }
    total
}

/// By the definition; `spent` is the most that it may be.
fn expected(
    data: &Discretised,
    statistic: Statistic,
    pair: (u32, u32),
    lists: [&[u32]; 2],
    size: usize,
) -> Verdict {
    let without_ends = |list: &[u32]| -> Vec<u32> {
        list.iter().copied().filter(|&candidate| candidate != pair.0 && candidate != pair.1).collect()
    };
    let mut sets = subsets(&without_ends(lists[0]), size);
    for set in subsets(&without_ends(lists[1]), size) {
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    let most = sets.len() as u64;
    let mut tests = 0;
    for set in sets {
        let found = by_definition(data, statistic, pair, &set);
        if found.degrees_of_freedom == 0 || found.samples < 5 * found.cells {
            continue;
        }
        tests += 1;
        if found.p_value() >= ALPHA {
            return Verdict { separating_set: Some(set), tests, spent: most, is_cut: false };
        }
    }
    Verdict { separating_set: None, tests, spent: most, is_cut: false }
}

/// One search, `size` sets at a time.
fn in_parts(level: TableLevel<'_>, pair: (u32, u32), lists: [&[u32]; 2], size: u64) -> Verdict {
    let (never, mut buffers, mut tests, mut spent) = (AtomicBool::new(false), TableSearch::default(), 0, 0);
    for part in 0.. {
        let range = SetRange { skip: size.saturating_mul(part), most: size };
        let verdict = buffers.search(level, pair, lists, range, Halt::on(&never)).unwrap();
        tests += verdict.tests;
        spent += verdict.spent;
        assert!(verdict.tests <= verdict.spent && verdict.spent <= size);
        if !verdict.is_cut {
            return Verdict { tests, spent, ..verdict };
        }
        assert!(part < 100_000, "a search never ends");
    }
    unreachable!()
}

fn data(noise: &[f64], load: f64, gaps: &[f64], gap_rate: f64, bins: Bins) -> Discretised {
    let mut values = Array2::zeros((SERVICES, ROWS));
    for row in 0..ROWS {
        let mut before = 0.0;
        for service in 0..SERVICES {
            let value = noise[service * ROWS + row] + load * noise[SERVICES * ROWS + row] + 0.8 * before;
            before = value;
            let is_missing = gaps[service * ROWS + row] < gap_rate;
            // Rounded, so that there are ties.
            values[[service, row]] = if is_missing { f64::NAN } else { (value * 8.0).round() };
        }
    }
    discretised(values, bins)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn first_separating_set_and_number_of_tests_follow_the_definition(
        noise in proptest::collection::vec(-1.0..1.0_f64, (SERVICES + 1) * ROWS),
        load in 0.0..1.0_f64,
        gaps in proptest::collection::vec(0.0..1.0_f64, SERVICES * ROWS),
        gap_rate in prop_oneof![Just(0.0), Just(0.05), Just(0.4)],
        bins in prop_oneof![Just(Bins::Two), Just(Bins::Three), Just(Bins::Five)],
        statistic in prop_oneof![Just(Statistic::Chi2), Just(Statistic::G2)],
        lists in [proptest::bits::u8::between(0, SERVICES), proptest::bits::u8::between(0, SERVICES)],
        size in 1_usize..=3,
        pair in (0_u32..SERVICES as u32, 1_u32..SERVICES as u32),
    ) {
        let data = data(&noise, load, &gaps, gap_rate, bins);
        let members = |bits: u8| -> Vec<u32> { (0..8).filter(|index| bits >> index & 1 == 1).collect() };
        let (first, second) = (pair.0, (pair.0 + pair.1) % SERVICES as u32);
        let pair = (first.min(second), first.max(second));
        let lists = [members(lists[0] | 1 << second), members(lists[1] | 1 << first)];
        let test = TableTest::new(&data, statistic, ALPHA);
        let level = test.level(size).unwrap();
        let found = in_parts(level, pair, [&lists[0], &lists[1]], u64::MAX);
        // Looked at in parts of any size, the sets are the same.
        for part in [1, 4] {
            prop_assert_eq!(&in_parts(level, pair, [&lists[0], &lists[1]], part), &found);
        }
        let expected = expected(&data, statistic, pair, [&lists[0], &lists[1]], size);
        prop_assert!(found.spent <= expected.spent);
        let spent = found.spent;
        prop_assert_eq!(found, Verdict { spent, ..expected });
    }
}

/// Seeded noise, uniform from -1 to 1.
fn noise(seed: u64, rows: usize) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..rows).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn skeleton_of(series: &[Vec<f64>], bins: Bins) -> Vec<(u32, u32)> {
    let rows = series[0].len();
    let cells = series.concat();
    let data = discretised(Array2::from_shape_vec((series.len(), rows), cells).unwrap(), bins);
    let test = TableTest::new(&data, Statistic::G2, 0.01);
    learn(&test, 3, &AtomicBool::new(false), &mut |_, _| {}).unwrap().pairs().collect()
}

#[test]
fn a_middle_separates_its_ends() {
    let (left, own) = (noise(1, 900), noise(2, 900));
    let other = noise(3, 900);
    // Categories, so that the middle explains all: bins of a continuous middle leave some dependence.
    let middle: Vec<f64> =
        left.iter().zip(&own).map(|(left, own)| f64::from(u8::from(left + 0.6 * own > 0.0))).collect();
    let right: Vec<f64> = middle.iter().zip(&other).map(|(middle, other)| middle + 0.8 * other).collect();
    assert_eq!(skeleton_of(&[left, middle, right], Bins::Three), [(0, 1), (1, 2)]);
}

#[test]
fn what_only_a_table_sees_is_seen() {
    let left = noise(1, 600);
    // Uncorrelated with the left one, and determined by it.
    let squared = left.iter().map(|value| value * value).collect();
    assert_eq!(skeleton_of(&[left, squared], Bins::Three), [(0, 1)]);
}

#[test]
fn copies_do_not_separate_each_other_from_the_rest() {
    let host = noise(1, 400);
    let own = noise(2, 400);
    let other = host.iter().zip(&own).map(|(host, own)| host + 0.3 * own).collect();
    assert_eq!(skeleton_of(&[host.clone(), host, other], Bins::Two), [(0, 1), (0, 2), (1, 2)]);
}

#[test]
fn pairs_without_enough_samples_stay_and_those_without_variance_go() {
    let rows = 3 * 3 * 5;
    assert_eq!(skeleton_of(&[noise(1, rows), noise(2, rows)], Bins::Three), []);
    assert_eq!(skeleton_of(&[noise(1, rows - 1), noise(2, rows - 1)], Bins::Three), [(0, 1)]);
    assert_eq!(skeleton_of(&[noise(1, rows), vec![4.0; rows]], Bins::Three), []);
    assert_eq!(skeleton_of(&[noise(1, 3), noise(2, 3)], Bins::Three), []);
    assert_eq!(skeleton_of(&[vec![], vec![]], Bins::Five), []);
}

#[test]
fn the_search_stops_when_asked() {
    let data = discretised(Array2::zeros((2, 9)), Bins::Two);
    let test = TableTest::new(&data, Statistic::Chi2, ALPHA);
    let level = test.level(0).unwrap();
    let stopped = TableSearch::default().search(
        level,
        (0, 1),
        [&[], &[]],
        SetRange::ALL,
        Halt::on(&AtomicBool::new(true)),
    );
    assert_eq!(stopped, Err(Stopped));
}

#[test]
fn p_values_follow_the_definition() {
    use rand::RngExt as _;

    use crate::{
        edge_tests::{Depth, EdgePValues, test_edges},
        skeleton::{Here, learn_within},
    };
    let never = AtomicBool::new(false);
    let (mut edges, mut untested, mut conditioned) = (0, 0, 0);
    for seed in 0..40 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut noise = |count| -> Vec<f64> { (0..count).map(|_| random.random_range(-1.0..1.0)).collect() };
        let (noise, gaps) = (noise((SERVICES + 1) * ROWS), noise(SERVICES * ROWS));
        let bins = Bins::ALL[seed as usize % 3];
        let data = data(&noise, 0.5, &gaps, if seed % 2 == 0 { -1.0 } else { -0.8 }, bins);
        let statistic = if seed % 4 < 2 { Statistic::Chi2 } else { Statistic::G2 };
        let test = TableTest::new(&data, statistic, ALPHA);
        let depth = Depth { max_condition: 2, max_tests: None };
        let skeleton = learn_within(&Here(&test), 2, None, Halt::on(&never), &mut |_, _| {}).unwrap();
        let found = test_edges(&test, &skeleton, depth, Halt::on(&never)).unwrap();
        // 150 rows are too few for tables of 25 cells only with gaps; where they are, the edge stands without p.
        let is_testable = |pair: &(u32, u32)| by_definition(&data, statistic, *pair, &[]).is_testable();
        let (testable, rest): (Vec<_>, Vec<_>) = skeleton.pairs().partition(is_testable);
        assert_eq!(found.edges.iter().map(|edge| edge.pair).collect::<Vec<_>>(), testable);
        untested += rest.len();
        for EdgePValues { pair, given_nothing, largest_p_value } in found.edges {
            let p = by_definition(&data, statistic, pair, &[]);
            assert!((given_nothing.p_value - p.p_value()).abs() < 1e-9, "{given_nothing:?} {p:?}");
            assert_eq!(u64::from(given_nothing.samples), p.samples);
            let others = [pair.0, pair.1].map(|end| skeleton.neighbours()[end as usize].clone()).concat();
            let expected = others
                .into_iter()
                .filter(|&other| other != pair.0 && other != pair.1)
                .map(|other| by_definition(&data, statistic, pair, &[other]))
                .filter(Association::is_testable)
                .map(|association| association.p_value())
                .fold(p.p_value(), f64::max);
            let largest = largest_p_value.unwrap();
            assert!((largest - expected).abs() < 1e-9, "{largest} {expected}");
            assert!(given_nothing.p_value <= largest && largest < ALPHA, "{largest}");
            edges += 1;
            conditioned += usize::from(expected > p.p_value());
        }
    }
    assert!(edges > 100 && conditioned > 20 && untested > 0, "{edges} {conditioned} {untested}");
}
