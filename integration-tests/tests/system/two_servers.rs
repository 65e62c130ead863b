//! The same samples in Prometheus and in VictoriaMetrics: what is the same, and how far the rest is apart.

use automap_integration_tests::{
    command,
    metrics_server::MetricsServer,
    preset_world::{INTERVAL, LENGTH, times, world},
    samples::{START, Samples},
    table::Table,
};

fn unix_seconds() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

fn collect(server: &MetricsServer, more: &[&str]) -> Table {
    let home = tempfile::tempdir().unwrap();
    let (from, to, url) = (START.to_string(), (START + LENGTH).to_string(), server.url());
    let mut arguments = vec![
        "collect", "--source", &url, "--preset", "pymicro", "--from", &from, "--to", &to, "--step", "15s",
        "--out", "incident",
    ];
    arguments.extend(more);
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    Table::read(&home.path().join("incident/metrics.csv")).unwrap()
}

/// Gauges with every digit, with gaps, and scraped off the grid; and the counters of the preset.
fn samples() -> Samples {
    let mut samples = world();
    for (service, phase) in [("jagged", 0), ("offset", 7)] {
        let value = move |time: i64| {
            let gap = (1000..1600).contains(&time);
            (!gap).then(|| (time as f64 * 0.618).sin() * 1e9 + 1e9 / 3.0)
        };
        let series = format!("process_resident_memory_bytes{{service=\"{service}\"}}");
        samples.add(&series, times().map(|time| time + phase), value);
    }
    samples
}

#[test]
fn gauges_are_equal_wherever_both_hold_one_and_rates_are_near() {
    let home = tempfile::tempdir().unwrap();
    let samples = samples();
    let prometheus = collect(&MetricsServer::prometheus(home.path(), &samples, &[]).unwrap(), &[]);
    let victoria = collect(&MetricsServer::victoria_metrics(home.path(), &samples).unwrap(), &[]);
    let shared = |column: &str| {
        let [one, other] = [&prometheus, &victoria].map(|table| &table.columns[column]);
        let times = &prometheus.columns["timestamp"];
        let rows = times.iter().zip(one.iter().zip(other)).filter(|(_, (a, b))| !a.is_nan() && !b.is_nan());
        rows.map(|(time, (a, b))| (*time as i64 - START, *a, *b)).collect::<Vec<_>>()
    };
    assert_eq!(prometheus.columns["timestamp"], victoria.columns["timestamp"]);
    for column in ["web_memory", "cart_memory", "jagged_memory", "offset_memory"] {
        let rows = shared(column);
        assert!(rows.len() > 150, "{column} has {} shared rows", rows.len());
        for (time, one, other) in rows {
            assert!((one - other).abs() <= 1e-12 * one.abs(), "{column} at {time}: {one} and {other}");
        }
    }
    // Away from the first window of a series and from restarts, rates of steady counters are the same. Within it,
    // VictoriaMetrics divides by the time that the samples cover and Prometheus by the window, of which a single step is a
    // quarter.
    for (column, rate) in
        [("web_throughput", 10.0), ("cart_throughput", 5.0), ("web_cpu", 0.5), ("web_io", 1024.0)]
    {
        let settled = |time: i64| time >= 120 && !(1800..1800 + 120).contains(&time);
        for (time, one, other) in shared(column) {
            if settled(time) {
                assert!((one - other).abs() <= 1e-9 * rate, "{column} at {time}: {one} and {other}");
            } else {
                assert!(
                    (one - other).abs() <= 0.75 * rate * (1.0 + 1e-9),
                    "{column} at {time}: {one} and {other}"
                );
            }
        }
    }
}

#[test]
fn what_is_newest_is_not_asked_of_victoria_metrics() {
    let home = tempfile::tempdir().unwrap();
    let now = unix_seconds().floor() as i64;
    // Samples reach some minutes beyond now, so that the test may take as long as it does.
    let mut samples = Samples::default();
    samples.gauge("process_resident_memory_bytes{service=\"a\"}", times(), 5.0);
    let samples = samples.moved(now / INTERVAL * INTERVAL - START - LENGTH + 600);
    let server = MetricsServer::victoria_metrics(home.path(), &samples).unwrap();
    let last = |offset: &[&str], out: &str| {
        let (from, to, url) = ((now - 900).to_string(), (now + 600).to_string(), server.url());
        let mut arguments = vec![
            "collect", "--source", &url, "--preset", "pymicro", "--from", &from, "--to", &to, "--step", "1s",
            "--out", out, "--output", "json",
        ];
        arguments.extend(offset);
        let before = unix_seconds();
        let ended = command::run(home.path(), &arguments).unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        let after = unix_seconds();
        let end = summary["end"].as_f64().unwrap();
        // How far the window ended behind the time at which it was asked.
        (before - end, after - end)
    };
    let (least, most) = last(&[], "one");
    assert!(least <= 31.0 && most >= 29.0, "{least} to {most}");
    let (least, most) = last(&["--end-offset", "5m"], "two");
    assert!(least <= 301.0 && most >= 299.0, "{least} to {most}");
}

#[test]
fn a_check_tells_what_is_there_and_what_to_change() {
    let home = tempfile::tempdir().unwrap();
    let now = unix_seconds().floor() as i64;
    let mut samples = Samples::default();
    for service in ["a", "b"] {
        samples.counter(
            &format!("pymicro_request_duration_seconds_count{{service=\"{service}\"}}"),
            times(),
            5.0,
            None,
        );
        samples.counter(
            &format!("pymicro_request_duration_seconds_sum{{service=\"{service}\"}}"),
            times(),
            1.0,
            None,
        );
    }
    samples.gauge("process_resident_memory_bytes{service=\"a\"}", times(), 5.0);
    samples.gauge("pymicro_io_bytes_total{app=\"a\"}", times(), 5.0);
    let samples = samples.moved(now / INTERVAL * INTERVAL - START - LENGTH + 600);
    let prometheus = MetricsServer::prometheus(home.path(), &samples, &[]).unwrap();
    let victoria = MetricsServer::victoria_metrics(home.path(), &samples).unwrap();
    for (server, kind) in [(&prometheus, "Prometheus or alike"), (&victoria, "VictoriaMetrics")] {
        let url = server.url();
        let check = |more: &[&str]| {
            let mut arguments = vec!["check", "--source", &url, "--preset", "pymicro"];
            arguments.extend(more);
            command::run(home.path(), &arguments).unwrap()
        };
        let ended = check(&["--output", "json", "--history", "30m"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let found: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(found["server"], kind);
        assert_eq!(found["scrape_interval_seconds"], 15.0);
        assert_eq!(found["holds_history"], true);
        let series = |name: &str| {
            found["series"]
                .as_array()
                .unwrap()
                .iter()
                .find(|series| series["series"] == name)
                .unwrap()
                .clone()
        };
        assert_eq!(
            (&series("latency")["services"], &series("latency")["services_total"]),
            (&2.into(), &2.into())
        );
        assert_eq!(series("memory")["services"], 1);
        assert_eq!(series("cpu")["missing_metrics"][0], "process_cpu_seconds_total");
        let advice = found["advice"].to_string();
        for said in [
            "cpu: the server has no process_cpu_seconds_total",
            "memory: 1 of 2 services have it",
            "availability: the server has no pymicro_requests_total",
        ] {
            assert!(advice.contains(said), "{said}: {advice}");
        }
        // Expressions of one's own are what is looked for, with a preset whose metrics are not there and without any.
        for preset in [&["--preset", "linkerd"][..], &[]] {
            let mut arguments = vec!["check", "--source", &url, "--output", "json", "--history", "30m"];
            arguments.extend([
                "--expression",
                "memory=process_resident_memory_bytes",
                "--label",
                "default=service",
            ]);
            arguments.extend(preset);
            let ended = command::run(home.path(), &arguments).unwrap();
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            let found: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
            let seen = (&found["scrape_interval_seconds"], &found["holds_history"]);
            assert_eq!(seen, (&15.0.into(), &true.into()), "{kind}, {preset:?}: {found:#}");
        }
        let table = check(&["--history", "24h"]);
        assert_eq!(table.code, 0, "{}", table.stderr);
        assert!(table.stdout.contains("has no samples of 86400 s ago"), "{}", table.stdout);
    }
    let nothing =
        command::run(home.path(), &["check", "--source", &prometheus.url(), "--preset", "linkerd"]).unwrap();
    assert_eq!(nothing.code, 3, "{}", nothing.stderr);
    assert!(nothing.stdout.contains("choose another preset"), "{}", nothing.stdout);
}
