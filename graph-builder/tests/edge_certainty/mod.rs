//! What is known of the edges of a graph: their tests, and in how many resamples they stand.

use std::sync::atomic::{AtomicBool, Ordering};

use automap_graph_builder::{
    bootstrap::{FrameRows, Resampling, Tally, count_edges},
    build::{BuildOrder, Limits, build_within},
    stop::{Halt, Stopped},
};
use automap_proto::{load_removal::LoadRemoval, metric::MetricKind, settings::GraphSettings};

use super::{
    built_with,
    linear_gaussian::{Columns, Noise, shared_load},
    ordered, settings,
};

#[test]
fn edges_tell_their_tests_in_each_metric_type_when_asked() {
    let frame = shared_load(14, 150, 0.4, 17).frame();
    let rows: Vec<usize> = (0..150).collect();
    let never = AtomicBool::new(false);
    let bound = |max_tests| Limits { max_tests, halt: Halt::on(&never) };
    let tested = |settings: &GraphSettings, max_tests| {
        let order = ordered(&frame, &rows, settings, bound(max_tests));
        build_within(&BuildOrder { edge_tests: true, ..order }, &mut |_| {}).unwrap()
    };
    for removal in [LoadRemoval::Off, LoadRemoval::FrontEnd, LoadRemoval::Factor] {
        let freed = settings(0.05, 3, vec![]).with_load_removal(removal, "s000").unwrap();
        let (plain, told) = (built_with(&frame, &freed, None), tested(&freed, None));
        assert_eq!(
            (&told.graph.clone().without_tests(), told.tests),
            (&plain.graph, plain.tests),
            "{removal}"
        );
        assert_eq!(told.warnings, plain.warnings);
        assert!(told.graph.edges().len() > 5, "{removal}");
        for (from, to, weights) in told.graph.edges() {
            let metrics: Vec<MetricKind> =
                told.graph.tests(from, to).iter().map(|test| test.metric).collect();
            let positive = MetricKind::ALL.into_iter().filter(|kind| weights.weight(*kind) > 0.0);
            assert_eq!(metrics, positive.collect::<Vec<_>>());
            for test in told.graph.tests(from, to) {
                assert!(test.samples == 150 && test.p_value <= test.largest_p_value.unwrap(), "{test:?}");
                assert!(test.largest_p_value < Some(0.05), "{test:?}");
            }
        }
    }
    let two = settings(0.05, 3, vec![MetricKind::Cpu, MetricKind::Io]);
    let few = tested(&two, Some(2 * 14 * 13 / 2));
    assert!(few.graph.edges().all(|(from, to, _)| {
        few.graph.tests(from, to).iter().all(|test| test.largest_p_value.is_none() && test.p_value < 0.05)
    }));
    let told = few.warnings.last().unwrap();
    assert!(told.contains("given a neighbour, in cpu, io"), "{told}");
}

#[test]
fn strong_edges_stand_in_all_resamples_and_chance_in_few() {
    let mut noise = Noise::new(31);
    let a = noise.series(300);
    let b = noise.effect(&[(&a, 1.0)]);
    let (c, d) = (noise.series(300), noise.series(300));
    let mut columns = Columns::default();
    for (name, values) in [("a", a), ("b", b), ("c", c), ("d", d)] {
        columns.add(name, MetricKind::Cpu, values);
    }
    let (frame, rows, never) = (columns.frame(), (0..300).collect::<Vec<_>>(), AtomicBool::new(false));
    let cpu = settings(0.01, 2, vec![MetricKind::Cpu]);
    let count = |seed, threads, halt| -> Result<Tally, Stopped> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let resampling = Resampling { settings: &cpu, seed, most_tests: None, halt };
        pool.install(|| count_edges(&FrameRows { frame: &frame, rows: &rows }, &resampling, 100))
    };
    let shares = |seed, threads| count(seed, threads, Halt::on(&never)).unwrap().shares();
    let found = shares(1, 1);
    assert_eq!(found[&(0, 1)], 1.0);
    assert!(found.iter().all(|(pair, share)| *pair == (0, 1) || *share < 0.5), "{found:?}");
    assert_eq!(found, shares(1, 3));
    assert_ne!(found, shares(2, 1));
    // What was not done in time does not count.
    let up = AtomicBool::new(true);
    assert_eq!(count(1, 1, Halt::on(&never).or_at(&up)), Ok(Tally::default()));
    never.store(true, Ordering::Relaxed);
    assert_eq!(count(1, 1, Halt::on(&never)), Err(Stopped));
}
