//! Skeletons against those of causal-learn.

use automap_integration_tests::skeletons::{Edges, Skeleton, SkeletonCase, by_causal_learn};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A sparse tree of services that follow their caller, each with a memory of its own; no two have a tie.
fn call_tree(services: usize, samples: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut series: Vec<Vec<f64>> = Vec::new();
    for service in 0..services {
        let caller = (service > 0).then(|| random.random_range(service.saturating_sub(6)..service));
        let (strength, memory) = (random.random_range(0.4..1.2), random.random_range(0.0..0.5));
        let mut last = 0.0;
        let own = (0..samples).map(|row| {
            let noise: f64 = (0..6).map(|_| random.random_range(-1.0..1.0)).sum();
            last = memory * last + noise + caller.map_or(0.0, |caller: usize| strength * series[caller][row]);
            last
        });
        let own = own.collect();
        series.push(own);
    }
    series
}

/// By which p of both may differ: causal-learn takes it as a difference from 1.
const ROUNDING: f64 = 1e-9;

/// The same edges with the same p-values.
fn assert_same(case: &SkeletonCase, own: &Skeleton, expected: &Skeleton) {
    let (test, services) = (case.ci_test, case.series.len());
    assert_eq!(own.edges(), expected.edges(), "{test} of {services} services");
    let difference = own.largest_difference(expected);
    assert!(difference < ROUNDING, "{test} of {services} services: p differs by {difference}");
}

pub(crate) fn assert_same_skeletons(cases: &[SkeletonCase]) {
    let home = tempfile::tempdir().unwrap();
    let plain = by_causal_learn(&cases.iter().map(|case| (case, false)).collect::<Vec<_>>()).unwrap();
    for (case, expected) in cases.iter().zip(plain) {
        assert!(!expected.0.is_empty());
        let own = case.by_automap(home.path()).unwrap();
        assert!(own.0.values().all(Option::is_some), "{own:?}");
        assert_same(case, &own, &expected);
    }
}

/// automap's skeletons, after they were found equal to those of causal-learn under the rule for thin tables; with
/// those of causal-learn without it.
pub(crate) fn compare_with_rule(cases: &[SkeletonCase]) -> Vec<(Edges, Edges)> {
    let home = tempfile::tempdir().unwrap();
    let both: Vec<(&SkeletonCase, bool)> =
        cases.iter().flat_map(|case| [(case, true), (case, false)]).collect();
    let found = by_causal_learn(&both).unwrap();
    let pairs = cases.iter().zip(found.chunks_exact(2)).map(|(case, found)| {
        let own = case.by_automap(home.path()).unwrap();
        assert_same(case, &own, &found[0]);
        (own.edges(), found[1].edges())
    });
    pairs.collect()
}

#[test]
fn fisher_z_has_the_skeletons_of_causal_learn() {
    let case = |services, samples, alpha| SkeletonCase {
        series: call_tree(services, samples, services as u64),
        ci_test: "fisher-z",
        alpha,
        max_condition: 3,
        bins: 3,
    };
    assert_same_skeletons(&[case(8, 100, 0.05), case(16, 720, 0.01), case(50, 720, 0.01)]);
}

#[test]
fn tables_with_enough_samples_have_the_skeletons_of_causal_learn() {
    let case = |ci_test, services, bins, max_condition| SkeletonCase {
        series: call_tree(services, 1440, 100 + services as u64),
        ci_test,
        alpha: 0.01,
        max_condition,
        bins,
    };
    // At most 3⁴ = 81 cells, or 2⁵ = 32, or 5³ = 125, of 1440 / 5 = 288.
    assert_same_skeletons(&[
        case("chi2", 16, 3, 2),
        case("g2", 16, 3, 2),
        case("g2", 16, 2, 3),
        case("chi2", 16, 5, 1),
        case("g2", 50, 3, 2),
    ]);
}

/// Where causal-learn differs, it is because it also judges tables with hardly a sample per cell: with the rule that
/// leaves them untested it gives the same skeleton.
#[test]
fn thin_tables_explain_every_other_difference() {
    let cases: Vec<SkeletonCase> =
        [("g2", 12, 120, 3), ("chi2", 16, 90, 3), ("g2", 20, 200, 5), ("chi2", 12, 60, 2)]
            .into_iter()
            .map(|(ci_test, services, samples, bins)| SkeletonCase {
                series: call_tree(services, samples, samples as u64),
                ci_test,
                alpha: 0.01,
                max_condition: 3,
                bins,
            })
            .collect();
    let skeletons = compare_with_rule(&cases);
    // The rule matters here, or the comparison above says nothing about it.
    assert!(skeletons.iter().any(|(own, plain)| own != plain));
}
