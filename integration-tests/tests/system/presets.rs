//! Every preset's expressions, evaluated by a real Prometheus on series like those of its exporters.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use automap_integration_tests::{
    command,
    metrics_server::MetricsServer,
    preset_world::{INTERVAL, LENGTH, RESTART, world},
    samples::START,
    table::Table,
};

/// One Prometheus for all tests of this file that run at once; it stops with the last of them.
fn running() -> Arc<Running> {
    static RUNNING: Mutex<Weak<Running>> = Mutex::new(Weak::new());
    let mut known = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    known.upgrade().unwrap_or_else(|| {
        let home = tempfile::tempdir().unwrap();
        let server = MetricsServer::prometheus(home.path(), &world(), &[]).unwrap();
        let running = Arc::new(Running { server, _home: home });
        *known = Arc::downgrade(&running);
        running
    })
}

struct Running {
    server: MetricsServer,
    /// Goes after its server.
    _home: tempfile::TempDir,
}

/// A time at which nothing special happens, seconds after the start.
const STEADY: i64 = 1200;
/// Another one after the restart.
const LATER: i64 = 3000;

fn collect(preset: &str, more: &[&str]) -> (tempfile::TempDir, Table, String) {
    let (home, running) = (tempfile::tempdir().unwrap(), running());
    let url = running.server.url();
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let mut arguments = vec![
        "collect", "--source", &url, "--preset", preset, "--from", &from, "--to", &to, "--step", "15s",
        "--out", "incident",
    ];
    arguments.extend(more);
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let table = Table::read(&home.path().join("incident/metrics.csv")).unwrap();
    (home, table, ended.stderr)
}

fn assert_values(table: &Table, time: i64, expected: &[(&str, f64)]) {
    for (column, value) in expected {
        let found = table.at(column, START + time).unwrap();
        if value.is_nan() {
            assert!(found.is_nan(), "{column} is {found} at {time}");
        } else {
            assert!(
                (found - value).abs() <= 1e-9 * value.abs(),
                "{column} is {found} at {time}, not {value}"
            );
        }
    }
}

fn edges(home: &Path) -> Vec<Vec<String>> {
    Table::read(&home.join("incident/edges.csv")).unwrap().rows
}

fn calls(home: &Path) -> String {
    std::fs::read_to_string(home.join("incident/call_graph.csv")).unwrap()
}

#[test]
fn pymicro_is_read_with_two_pods_idle_services_and_services_without_failures() {
    let (home, table, _) = collect("pymicro", &[]);
    let steady = [
        ("web_latency", 0.2),
        ("web_throughput", 10.0),
        ("web_availability", 0.95),
        ("web_cpu", 0.5),
        ("web_io", 1024.0),
        ("web_memory", 123_456_789.0),
        // Two pods, the mean latency weighted by their calls.
        ("cart_latency", 0.2),
        ("cart_client-latency", 0.125),
        ("cart_throughput", 5.0),
        ("cart_availability", 0.95),
        ("cart_cpu", 0.375),
        ("cart_memory", 3e8),
        ("idle_throughput", 0.0),
        ("calm_availability", 1.0),
    ];
    assert_values(&table, STEADY, &steady);
    // Without calls there is nothing to take a mean or a share of.
    for column in ["idle_latency", "idle_availability"] {
        assert!(!table.columns.contains_key(column), "{column} holds a value");
    }
    // The second pod of the cart was replaced, and web restarted.
    assert_values(&table, LATER, &steady);
    assert!(!table.columns.keys().any(|column| column.starts_with('_')), "series of no service stay out");
    assert_eq!(calls(home.path()), "caller,callee\nweb,cart\n");
    assert_edge(&edges(home.path()), ["web", "cart"], [0.125, 4.0, 0.875]);
}

#[test]
fn pymicro_in_a_cluster_leaves_out_what_is_of_other_namespaces() {
    let operator = |more: &[&str]| {
        let (_home, table, _) = collect("pymicro", more);
        assert_values(&table, STEADY, &[("web_cpu", 0.5), ("cart_memory", 3e8), ("web_throughput", 10.0)]);
        (table.columns.contains_key("operator_cpu"), table.columns.contains_key("operator_memory"))
    };
    assert_eq!(operator(&[]), (true, true));
    // The application's own series have no such label here.
    assert_eq!(operator(&["--variable", "namespace=|pymicro"]), (false, false));
}

#[test]
fn a_restart_is_no_negative_rate_and_loses_at_most_what_nobody_saw() {
    let (_home, table, _) = collect("pymicro", &[]);
    // From the first whole window on: counters that begin at zero are not extrapolated below it.
    for time in (0..=LENGTH).step_by(INTERVAL as usize).skip(4) {
        let rate = table.at("web_throughput", START + time).unwrap();
        // What was counted between the last scrape and the restart is unknown: a quarter of the window.
        let lost = (RESTART..RESTART + 4 * INTERVAL).contains(&time);
        let expected = if lost { 7.5..=10.0 } else { 10.0 - 1e-9..=10.0 + 1e-9 };
        assert!(expected.contains(&rate) || (rate - 7.5).abs() < 1e-9, "{rate} at {time}");
        assert_values(&table, time, &[("web_latency", 0.2)]);
        // The third pod's first window begins before its first scrape.
        let cart = table.at("cart_throughput", START + time).unwrap();
        assert!((4.0 - 1e-9..=6.0).contains(&cart), "{cart} at {time}");
    }
}

#[test]
fn kubernetes_finds_workloads_by_their_owners() {
    let (_home, table, _) = collect("kubernetes", &[]);
    let steady = [
        ("cart_cpu", 1.125),
        ("cart_memory", 4.5e8),
        ("cart_io", 3600.0),
        ("cart_net-rx", 1280.0),
        ("cart_net-tx", 128.0),
        ("redis_cpu", 0.1875),
        ("redis_memory", 4.5e8),
        ("redis_availability", 1.0),
    ];
    assert_values(&table, STEADY, &steady);
    assert_values(&table, STEADY, &[("cart_availability", 1.0)]);
    assert_values(&table, LATER, &[("cart_availability", 0.5)]);
    let (_home, _, warnings) = collect("kubernetes", &["--variable", "namespace=shop|bank"]);
    assert!(!warnings.contains("nothing matched"), "{warnings}");
}

#[test]
fn istio_tells_servers_from_callers_and_who_calls_whom() {
    let (home, table, _) = collect("istio", &[]);
    let steady = [
        ("cart_latency", 0.1),
        ("cart_client-latency", 0.12),
        ("cart_throughput", 8.0),
        ("cart_availability", 0.75),
        ("cart_cpu", 1.125),
        ("web_throughput", 3.0),
    ];
    assert_values(&table, STEADY, &steady);
    assert_eq!(calls(home.path()), "caller,callee\nweb,cart\n");
    assert_edge(&edges(home.path()), ["web", "cart"], [0.12, 8.0, 0.75]);
}

fn assert_edge(rows: &[Vec<String>], pair: [&str; 2], expected: [f64; 3]) {
    let time = (START + STEADY).to_string();
    let row = rows.iter().find(|row| row[0] == time && row[1..3] == pair).unwrap();
    for (cell, value) in row[3..].iter().zip(expected) {
        let found: f64 = cell.parse().unwrap();
        assert!((found - value).abs() <= 1e-9, "{row:?}");
    }
}

#[test]
fn linkerd_tells_inbound_from_outbound() {
    let (home, table, warnings) = collect("linkerd", &[]);
    let steady =
        [("cart_latency", 0.04), ("cart_throughput", 5.0), ("cart_availability", 0.9), ("cart_cpu", 1.125)];
    assert_values(&table, STEADY, &steady);
    assert_eq!(calls(home.path()), "caller,callee\nweb,cart\n");
    assert_edge(&edges(home.path()), ["web", "cart"], [0.055, 5.0, 0.9]);
    assert!(!warnings.contains("nothing matched"), "{warnings}");
}

#[test]
fn opentelemetry_reads_both_names_of_http_and_rpc() {
    let (home, table, _) = collect("opentelemetry", &[]);
    let steady = [
        ("web_latency", 0.3),
        ("web_throughput", 4.0),
        ("web_availability", 0.75),
        ("old_latency", 0.08),
        ("old_availability", 0.75),
        ("rpc_latency", 0.02),
        ("rpc_throughput", 10.0),
        // NOT_FOUND is the caller's mistake, UNAVAILABLE is a failure.
        ("rpc_availability", 0.95),
        ("web_cpu", 0.375),
        ("web_io", 512.0),
        ("web_memory", 5e7),
    ];
    assert_values(&table, STEADY, &steady);
    assert_eq!(calls(home.path()), "caller,callee\nweb,rpc\n");
    assert_edge(&edges(home.path()), ["web", "rpc"], [0.05, 8.0, 0.75]);
}

#[test]
fn node_exporter_reads_hosts_and_rename_gives_them_the_names_of_services() {
    let (_home, table, _) = collect("node-exporter", &["--rename", "host:9100=shop"]);
    let steady = [
        ("shop_cpu", 0.5),
        ("shop_io", 42.0),
        ("shop_net-rx", 5000.0),
        ("shop_net-tx", 700.0),
        ("shop_memory", 0.75),
        ("shop_availability", 1.0),
    ];
    assert_values(&table, STEADY, &steady);
    assert_eq!(table.columns.len(), 1 + steady.len(), "other jobs are no hosts: {:?}", table.columns.keys());
}

#[test]
fn a_user_overrides_expressions_and_the_step_is_found() {
    let (home, running) = (tempfile::tempdir().unwrap(), running());
    let url = running.server.url();
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let expression =
        "cpu=sum by (service) (rate(process_cpu_seconds_total{service=~\"w.*\"}[$window])) * 100";
    let ended = command::run(
        home.path(),
        &[
            "collect",
            "--source",
            &url,
            "--preset",
            "pymicro",
            "--from",
            &from,
            "--to",
            &to,
            "--out",
            "incident",
            "--expression",
            expression,
            "--expression",
            "io=",
            "--output",
            "json",
        ],
    )
    .unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let table = Table::read(&home.path().join("incident/metrics.csv")).unwrap();
    assert_values(&table, STEADY, &[("web_cpu", 50.0)]);
    assert!(!table.columns.contains_key("web_io") && !table.columns.contains_key("cart_cpu"));
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    // Services are called far more often than they are scraped.
    assert_eq!(summary["step_seconds"], 15.0);
    let series = summary["series"].as_array().unwrap();
    let idle =
        series.iter().find(|series| series["service"] == "idle" && series["series"] == "throughput").unwrap();
    // The first sample has no earlier one to take a rate from.
    assert_eq!(idle["missing_samples"], 1);
    assert_eq!(summary["samples"], 241);
}
