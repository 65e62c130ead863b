//! Graphs from data in which there is little or nothing to find: every one has a defined answer.

#![allow(clippy::unwrap_used, reason = "what fails to unwrap in a test fails the test")]

mod linear_gaussian;

use std::sync::atomic::AtomicBool;

use automap_graph_builder::build::{BuiltGraph, build};
use automap_proto::{
    load_removal::LoadRemoval,
    metric::MetricKind,
    settings::{CiTest, GraphSettings},
};
use linear_gaussian::{Columns, Noise, shared_load};

const SAMPLES: usize = 200;

/// Every test with every removal of load.
fn all_settings() -> Vec<GraphSettings> {
    let tests = [CiTest::FisherZ, CiTest::Chi2, CiTest::G2];
    tests
        .into_iter()
        .flat_map(|test| LoadRemoval::ALL.into_iter().map(move |removal| (test, removal)))
        .map(|(test, removal)| {
            let settings = GraphSettings::new(test, 0.01, 3, vec![]).unwrap();
            settings.with_load_removal(removal, "s0").unwrap()
        })
        .collect()
}

fn built(columns: &Columns, rows: usize, settings: &GraphSettings) -> BuiltGraph {
    let rows: Vec<usize> = (0..rows).collect();
    let never = AtomicBool::new(false);
    let built = build(&columns.frame(), &rows, settings, Some(0), &never, &mut |_| {}).unwrap();
    for (.., weights) in built.graph.edges() {
        assert!((weights.weights().iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
    for correlation in built.correlations.iter().flatten().flatten() {
        assert!((0.0..=1.0).contains(correlation), "{correlation}");
    }
    built
}

fn services(count: usize, metric: MetricKind, values: impl Fn(usize, &mut Noise) -> Vec<f64>) -> Columns {
    let (mut columns, mut noise) = (Columns::default(), Noise::new(3));
    for service in 0..count {
        columns.add(&format!("s{service}"), metric, values(service, &mut noise));
    }
    columns
}

fn edges(built: &BuiltGraph) -> usize {
    built.graph.drawn_edges().count()
}

#[test]
fn one_service_has_no_edge_and_two_have_at_most_one() {
    for settings in all_settings() {
        let lone = services(1, MetricKind::Cpu, |_, noise| noise.series(SAMPLES));
        assert_eq!(
            (edges(&built(&lone, SAMPLES, &settings)), built(&lone, SAMPLES, &settings).tests),
            (0, 0)
        );
        let mut pair = services(1, MetricKind::Cpu, |_, noise| noise.series(SAMPLES));
        let first = pair.0[0].1.clone();
        pair.add("s1", MetricKind::Cpu, Noise::new(9).effect(&[(&first, 2.0)]));
        let found = built(&pair, SAMPLES, &settings);
        assert_eq!((edges(&found), found.tests), (1, 1), "{settings:?}");
        assert!(found.graph.is_undirected(0, 1));
    }
}

#[test]
fn constant_and_missing_metrics_have_no_edge_and_no_test() {
    for settings in all_settings() {
        for value in [0.0, 7.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let flat = services(4, MetricKind::Availability, |_, _| vec![value; SAMPLES]);
            let found = built(&flat, SAMPLES, &settings);
            assert_eq!((edges(&found), found.tests), (0, 0), "{value}, {settings:?}");
        }
    }
}

#[test]
fn rows_too_few_for_the_conditioning_size_end_the_search_and_not_the_graph() {
    let columns = shared_load(6, SAMPLES, 3.0, 1);
    for settings in all_settings() {
        for rows in [0, 1, 3, 4, 5, 6, 7, 8] {
            let found = built(&columns, rows, &settings);
            assert!(edges(&found) <= 15);
            if rows < 4 {
                assert_eq!((edges(&found), found.tests), (0, 0), "{rows} rows, {settings:?}");
            }
        }
    }
}

#[test]
fn duplicates_stay_connected_with_each_other_and_with_what_they_are_connected_to() {
    let mut columns = services(2, MetricKind::Cpu, |_, noise| noise.series(SAMPLES));
    let (host, other) = (columns.0[0].1.clone(), columns.0[1].1.clone());
    columns.add("s2", MetricKind::Cpu, host.clone());
    columns.add("s3", MetricKind::Cpu, host.iter().map(|value| 1e6 * value - 4.0).collect());
    columns.add("s4", MetricKind::Cpu, Noise::new(5).effect(&[(&host, 1.0), (&other, 1.0)]));
    let settings = GraphSettings::new(CiTest::FisherZ, 0.01, 3, vec![]).unwrap();
    let found = built(&columns, SAMPLES, &settings);
    for (first, second) in [(0, 2), (0, 3), (2, 3), (0, 4), (2, 4), (3, 4)] {
        let stands = found.graph.edge(first, second).is_some() || found.graph.edge(second, first).is_some();
        assert!(stands, "{first} - {second}");
    }
}

#[test]
fn gaps_and_infinities_are_missing_samples() {
    let whole = services(5, MetricKind::Latency, |service, noise| {
        let mut values = noise.series(SAMPLES);
        if service > 0 {
            values.iter_mut().for_each(|value| *value *= 1.0 + service as f64);
        }
        values
    });
    let with = |hole: f64| {
        let mut columns = Columns::default();
        for (index, (key, values)) in whole.0.iter().enumerate() {
            let holed = values
                .iter()
                .enumerate()
                .map(|(row, &value)| if (row * 7 + index * 3) % 10 < 9 { hole } else { value })
                .collect();
            columns.add(&key.service, key.metric, holed);
        }
        columns
    };
    for settings in all_settings() {
        let found = built(&with(f64::NAN), SAMPLES, &settings);
        assert_eq!(found, built(&with(f64::INFINITY), SAMPLES, &settings));
        assert_eq!(found, built(&with(f64::NEG_INFINITY), SAMPLES, &settings));
    }
}

#[test]
fn samples_of_any_finite_size_have_an_answer() {
    const SIZES: [f64; 8] = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -5e-324, -0.0, 1e200, f64::NAN];
    for metric in [MetricKind::Throughput, MetricKind::Latency] {
        let columns = services(9, metric, |service, noise| {
            let scaled = |(row, value): (usize, f64)| match service {
                // All sizes in one series, then each by itself, with gaps.
                0 => SIZES[row % SIZES.len()],
                _ if row % 7 == service => SIZES[service - 1],
                _ => value * SIZES[service - 1],
            };
            noise.series(SAMPLES).into_iter().enumerate().map(scaled).collect()
        });
        for settings in all_settings() {
            built(&columns, SAMPLES, &settings);
        }
    }
}
