//! What is read, and what is borne with a warning.

use automap_collector::{
    collect::{CollectedFrame, read_frame},
    error::CollectErrorKind,
    limits::{FrameLimits, SampleBounds},
};
use automap_proto::{metric::MetricKind, time::UnixMillis};

use super::{PLENTY, collect, described, identity, samples};

#[test]
fn a_metrics_file_becomes_sorted_series_with_congestion() {
    let csv = "timestamp,web_latency,web_throughput,cart_mem\n60,0.5,10,7\n120,0.25,,8\n180,,0,\n";
    let CollectedFrame { frame, warnings, .. } = collect(csv).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(frame.grid().start(), UnixMillis(60_000));
    assert_eq!(frame.grid().step_ms(), 60_000);
    let names: Vec<_> = frame.series().iter().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["memory", "latency", "throughput", "congestion"]);
    let congestion = samples(&frame, "web", "congestion");
    assert_eq!(congestion[0], 20.0);
    assert!(congestion[1].is_nan());
    assert_eq!(congestion[2], 20.0);
    assert!(samples(&frame, "cart", "memory")[2].is_nan());
}

#[test]
fn rcaeval_files_become_the_same_kinds_of_series() {
    let csv = "time,a_workload,a_error,a_latency-50,a_latency-90,a_mem,a_diskio,time\n\
               10,4,1,0.5,0.9,7,1,10\n11,0,0,,,7,1,11\n";
    let frame = collect(csv).unwrap().frame;
    let kinds: Vec<_> = frame.series().iter().map(|key| (key.metric, key.name.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (MetricKind::Latency, "latency-50"),
            (MetricKind::Latency, "latency-90"),
            (MetricKind::Throughput, "throughput"),
            (MetricKind::Congestion, "congestion"),
            (MetricKind::Io, "diskio"),
            (MetricKind::Memory, "memory"),
            (MetricKind::Availability, "availability"),
        ]
    );
    assert_eq!(samples(&frame, "a", "congestion"), [8.0, 8.0]);
    let availability = samples(&frame, "a", "availability");
    assert_eq!(availability[0], 0.75);
    assert!(availability[1].is_nan());
}

#[test]
fn byte_order_marks_line_ends_quotes_and_blank_lines_change_nothing() {
    let plain = collect("timestamp,a_cpu,b_cpu\n1,2,3\n2,4,\n").unwrap().frame;
    for other in [
        "\u{feff}timestamp,a_cpu,b_cpu\n1,2,3\n2,4,\n",
        "timestamp,a_cpu,b_cpu\r\n1,2,3\r\n2,4,\r\n",
        "\"timestamp\",\"a_cpu\",b_cpu\n\n1,\"2\",3\n\n2, 4 ,nan",
        "timestamp, a_cpu , b_cpu\n1.0,2e0,+3\n2.000,4,NaN\n",
    ] {
        assert_eq!(identity(&collect(other).unwrap().frame), identity(&plain), "{other:?}");
    }
}

#[test]
fn unsorted_rows_are_sorted_with_one_warning() {
    let sorted = collect("timestamp,a_cpu\n1,10\n2,20\n3,30\n").unwrap();
    let shuffled = collect("timestamp,a_cpu\n3,30\n1,10\n2,20\n").unwrap();
    assert_eq!(identity(&shuffled.frame), identity(&sorted.frame));
    assert_eq!(shuffled.warnings, ["metrics.csv: 2 rows were out of order and were sorted by time"]);
}

#[test]
fn infinite_samples_are_missing_and_counted() {
    let collected = collect("timestamp,a_cpu,a_io\n1,inf,1\n2,-Infinity,2\n3,1e999,3\n").unwrap();
    assert!(samples(&collected.frame, "a", "cpu").iter().all(|value| value.is_nan()));
    assert_eq!(collected.warnings, ["metrics.csv: 3 samples were infinite and count as missing"]);
}

#[test]
fn a_file_of_missing_samples_only_is_a_frame_of_missing_samples() {
    let frame = collect("timestamp,a_cpu,b_latency\n1,,nan\n2,NaN,\n").unwrap().frame;
    assert!(frame.values().iter().all(|value| value.is_nan()));
    assert_eq!(frame.services(), ["a", "b"]);
}

#[test]
fn merged_rows_are_counted() {
    let csv = "timestamp,a_cpu\n0,1\n10,2\n14,3\n20,4\n";
    let collected = read_frame(csv.as_bytes(), &described(Some(10_000)), &PLENTY).unwrap();
    assert_eq!(samples(&collected.frame, "a", "cpu"), [1.0, 2.0, 4.0]);
    assert!(
        collected.warnings[0].starts_with("metrics.csv: 1 row was left out because another row is nearer")
    );
}

#[test]
fn only_rows_within_the_bounds_are_kept() {
    let csv = "timestamp,a_cpu\n10,1\n20,2\n30,3\n40,4\n";
    let within = |start: i64, end: i64| {
        let bounds = SampleBounds::new(Some(UnixMillis(start * 1000)), Some(UnixMillis(end * 1000))).unwrap();
        read_frame(csv.as_bytes(), &described(None), &FrameLimits { bounds, ..PLENTY })
    };
    assert_eq!(samples(&within(20, 30).unwrap().frame, "a", "cpu"), [2.0, 3.0]);
    let error = within(50, 60).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metrics.csv holds no row from 50 to 60; its rows are from 10 to 40 (unix seconds)"
    );
    assert_eq!(error.kind(), CollectErrorKind::TooLittleData);
}

#[test]
fn five_thousand_columns_are_read() {
    let header: Vec<String> = (0..5000).map(|index| format!("service-{index:04}_cpu")).collect();
    let mut csv = format!("timestamp,{}\n", header.join(","));
    for row in 0..40 {
        csv.push_str(&format!("{row}{}\n", ",0.25".repeat(5000)));
    }
    let frame = collect(csv).unwrap().frame;
    assert_eq!(frame.values().dim(), (5000, 40));
}
