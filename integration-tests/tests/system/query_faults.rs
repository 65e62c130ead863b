//! What is said when a source that is queried fails: by the real server where it can be brought to it.

use std::{io::Write as _, path::Path, time::Duration};

use automap_integration_tests::{
    command::{self, Ended},
    metrics_server::MetricsServer,
    preset_world::{LENGTH, times, world},
    samples::{START, Samples},
    scripted_server::{ScriptedServer, send},
};

fn collect(home: &Path, url: &str, more: &[&str]) -> Ended {
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let mut arguments = vec![
        "collect", "--source", url, "--preset", "pymicro", "--from", &from, "--to", &to, "--out", "incident",
    ];
    arguments.extend(more);
    command::run(home, &arguments).unwrap()
}

/// Runs into an error with this exit code, whose sentence holds all of these, and leaves nothing behind.
fn assert_fails(home: &Path, url: &str, more: &[&str], code: i32, said: &[&str]) {
    let ended = collect(home, url, more);
    assert_eq!(ended.code, code, "{}", ended.stderr);
    for part in said {
        assert!(ended.stderr.contains(part), "{part:?} is not said: {}", ended.stderr);
    }
    let left: Vec<_> = std::fs::read_dir(home)
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let incident = left.iter().any(|name| name.contains("incident") || name.ends_with(".part"));
    assert!(!incident, "{left:?}");
}

#[test]
fn a_source_that_is_down_is_named_with_the_cause() {
    let home = tempfile::tempdir().unwrap();
    // A port that nobody is given by chance.
    let closed = "http://127.0.0.1:1";
    assert_fails(home.path(), closed, &[], 1, &[closed, "cannot be reached", "is url right, and is it up?"]);
}

#[test]
fn who_asks_must_be_known_and_may_be() {
    let home = tempfile::tempdir().unwrap();
    // The password is `correct`, at the lowest cost of bcrypt.
    std::fs::write(
        home.path().join("web.yml"),
        "basic_auth_users:\n  me: $2b$04$Nx5j9cBsiLslmVcXVBeZdu5dKx.mVk/lgei/Ew/pLPYR.RoFZutKi\n",
    )
    .unwrap();
    let web = format!("--web.config.file={}", home.path().join("web.yml").display());
    let server = MetricsServer::prometheus(home.path(), &world(), &[&web]).unwrap();
    std::fs::write(home.path().join("password"), "wrong\n").unwrap();
    let password = ["--username", "me", "--password-file", "password"];
    assert_fails(home.path(), &server.url(), &[], 1, &["answered 401", "bearer-token-file", "X-Scope-OrgID"]);
    assert_fails(home.path(), &server.url(), &password, 1, &["answered 401"]);
    std::fs::write(home.path().join("password"), "correct\n").unwrap();
    let ended = collect(home.path(), &server.url(), &password);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_token_is_read_anew_and_a_tenant_is_told_by_a_header() {
    let home = tempfile::tempdir().unwrap();
    let server = MetricsServer::victoria_metrics(home.path(), &world()).unwrap();
    let users = format!("users:\n- bearer_token: \"secret\"\n  url_prefix: \"{}\"\n", server.url());
    let auth = MetricsServer::vmauth(home.path(), &users).unwrap();
    std::fs::write(home.path().join("token"), "old").unwrap();
    let token = ["--source-token-file", "token", "--header", "X-Scope-OrgID=shop"];
    assert_fails(home.path(), &auth.url(), &token, 1, &["Bearer ***", "does not know who asks"]);
    std::fs::write(home.path().join("token"), "secret\n").unwrap();
    let ended = collect(home.path(), &auth.url(), &token);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    std::fs::remove_dir_all(home.path().join("incident")).unwrap();
    let missing = ["--source-token-file", "no-token"];
    assert_fails(home.path(), &auth.url(), &missing, 1, &["bearer-token-file: no-token cannot be read"]);
}

#[test]
fn a_forgotten_path_prefix_is_hinted_at() {
    let home = tempfile::tempdir().unwrap();
    let server =
        MetricsServer::prometheus(home.path(), &world(), &["--web.route-prefix=/prometheus"]).unwrap();
    assert_fails(home.path(), &server.url(), &[], 1, &["answered 404", "path prefix"]);
    let ended = collect(home.path(), &format!("{}/prometheus/", server.url()), &[]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_query_of_too_many_samples_is_asked_in_parts_with_the_same_answer() {
    let home = tempfile::tempdir().unwrap();
    let samples = world();
    let server = MetricsServer::prometheus(home.path(), &samples, &[]).unwrap();
    assert_eq!(collect(home.path(), &server.url(), &["--step", "15s"]).code, 0);
    let whole = std::fs::read_to_string(home.path().join("incident/metrics.csv")).unwrap();
    drop(server);
    std::fs::remove_dir_all(home.path().join("incident")).unwrap();
    let data = home.path().join("prometheus");
    // The largest expression loads about 6000 samples for the whole hour.
    let server = MetricsServer::prometheus_of(home.path(), &data, &["--query.max-samples=1000"]).unwrap();
    let ended = collect(home.path(), &server.url(), &["--step", "15s"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(home.path().join("incident/metrics.csv")).unwrap(), whole);
    std::fs::remove_dir_all(home.path().join("incident")).unwrap();
    drop(server);
    let server = MetricsServer::prometheus_of(home.path(), &data, &["--query.max-samples=5"]).unwrap();
    assert_fails(home.path(), &server.url(), &[], 1, &["too many samples"]);
}

#[test]
fn a_window_of_more_points_than_a_query_may_have_is_asked_in_parts() {
    let home = tempfile::tempdir().unwrap();
    let mut samples = Samples::default();
    samples.add("process_resident_memory_bytes{service=\"a\"}", times(), |time| Some(1e6 + time as f64));
    let server = MetricsServer::prometheus(home.path(), &samples, &[]).unwrap();
    let ended = collect(home.path(), &server.url(), &["--step", "100ms", "--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["samples"], 36_001);
    assert_eq!(summary["series"][0]["missing_samples"], 0);
    assert!(ended.stdout.contains("shorter than the scrape interval of 15 s"), "{}", ended.stdout);
}

#[test]
fn a_preset_that_matches_nothing_is_told_by_metric_and_expression() {
    let home = tempfile::tempdir().unwrap();
    let mut samples = Samples::default();
    samples.gauge("process_resident_memory_bytes{app=\"a\"}", times(), 1e6);
    samples.gauge("pymicro_io_bytes_total{service=\"a\"}", times(), 5.0);
    let server = MetricsServer::prometheus(home.path(), &samples, &[]).unwrap();
    let ended = collect(home.path(), &server.url(), &["--output", "json"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    for said in [
        r#"latency: nothing matched sum by (service) (rate(pymicro_request_duration_seconds_sum{namespace=~\".*\"}[60s]))"#,
        "the source has no pymicro_request_duration_seconds_count, no pymicro_request_duration_seconds_sum",
        "memory: nothing matched",
        "its metrics are there, so its labels match nothing",
        "how often samples are taken cannot be seen",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {}", ended.stdout);
    }
    std::fs::remove_dir_all(home.path().join("incident")).unwrap();
    let nothing = ["--preset", "linkerd"];
    let (from, to) = (START.to_string(), (START + LENGTH).to_string());
    let url = server.url();
    let mut arguments = vec!["collect", "--source", &url, "--from", &from, "--to", &to, "--out", "incident"];
    arguments.extend(nothing);
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains("holds nothing of preset linkerd"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("run `automap check`") && !ended.stderr.contains(&from),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.chars().count() < 600, "{}", ended.stderr);
}

#[test]
fn labels_and_expressions_that_do_not_fit_are_told_with_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let server = MetricsServer::prometheus(home.path(), &world(), &[]).unwrap();
    let url = server.url();
    assert_fails(
        home.path(),
        &url,
        &["--label", "cpu=container"],
        1,
        &["cpu", "without the label container", "name one of service as the label"],
    );
    assert_fails(
        home.path(),
        &url,
        &["--expression", "memory=process_resident_memory_bytes{service!=\"\"}"],
        1,
        &["memory", "two series of cart", "aggregate them: sum by (service)"],
    );
    assert_fails(
        home.path(),
        &url,
        &["--expression", "cpu=sum by ("],
        1,
        &["cpu (sum by ()", "answered 400"],
    );
    assert_fails(home.path(), &url, &["--expression", "cpu=\"text\""], 1, &["cpu"]);
}

/// An answer to the questions before the metrics: the server is there.
fn greeting(target: &str) -> Option<&'static str> {
    target.starts_with("/api/v1/query?").then_some(
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]}]}}"#,
    )
}

/// Samples of a service and of a call, whatever was asked.
const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"service":"a","callee":"b"},"values":[[1700000400,"5"]]}]}}"#;

#[test]
fn passing_faults_are_borne_and_a_hint_is_believed() {
    let home = tempfile::tempdir().unwrap();
    let server = ScriptedServer::start(Box::new(|target, before, stream| {
        match (greeting(target), before) {
            (_, 0) => send(stream, "503 Service Unavailable", "retry-after: 1\r\n", ""),
            (Some(answer), _) => send(stream, "200 OK", "", answer),
            // A connection that is cut in the middle of an answer: what came is not taken for the whole.
            (None, 4 | 6) => write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{}",
                &MATRIX[..MATRIX.len() - 20]
            ),
            (None, 5) => send(stream, "429 Too Many Requests", "", ""),
            _ => send(stream, "200 OK", "", MATRIX),
        }
    }))
    .unwrap();
    let began = std::time::Instant::now();
    let ended = collect(home.path(), &server.url, &["--scrape-interval", "15s", "--step", "15s"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(began.elapsed() >= Duration::from_secs(1), "the hint was not believed");
    let text = std::fs::read_to_string(home.path().join("incident/metrics.csv")).unwrap();
    assert!(text.starts_with("timestamp,a_latency,"), "{text}");
    assert!(server.asked() >= 11, "{} requests", server.asked());
}

fn always(status: &'static str, headers: &'static str, body: &'static str) -> ScriptedServer {
    ScriptedServer::start(Box::new(move |target, _, stream| match greeting(target) {
        Some(answer) => send(stream, "200 OK", "", answer),
        None => send(stream, status, headers, body),
    }))
    .unwrap()
}

const KNOWN: [&str; 4] = ["--scrape-interval", "15s", "--step", "15s"];

#[test]
fn answers_that_are_none_are_refused_each_with_its_reason() {
    let home = tempfile::tempdir().unwrap();
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"service":"a"},"value":[1,"2"]}]}}"#;
    let partial = r#"{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}"#;
    for (status, headers, body, said) in [
        ("403 Forbidden", "", "no access", "may not read there"),
        ("302 Found", "location: http://elsewhere/\r\n", "", "http://elsewhere/"),
        ("200 OK", "", "<html>Please log in</html>", "begins with \"<html>Please log in</html>\""),
        ("200 OK", "", "{\"status\":\"success\",\"data\":nonsense}", "is not what the HTTP API"),
        ("200 OK", "", vector, "answered a vector where samples over time"),
        ("200 OK", "", partial, "answered in part only"),
        ("502 Bad Gateway", "", "upstream is gone", "answered 502 (upstream is gone)"),
    ] {
        let server = always(status, headers, body);
        assert_fails(home.path(), &server.url, &KNOWN, 1, &[said, &server.url]);
    }
}

#[test]
fn an_endless_answer_is_given_up() {
    let home = tempfile::tempdir().unwrap();
    // 500 MB: many small series, one endless series, an endless string, and nothing but spaces.
    let pieces: [(&str, &str); 4] = [
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":["#,
            r#"{"metric":{},"values":[[1700000400,"5"]]},"#,
        ),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":["#,
            r#"[1700000400,"5"],"#,
        ),
        ("{\"status\":\"", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
        ("", "                                              "),
    ];
    for (begin, again) in pieces {
        let server = ScriptedServer::start(Box::new(move |target, _, stream| {
            if let Some(answer) = greeting(target) {
                return send(stream, "200 OK", "", answer);
            }
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 500000000\r\n\r\n{begin}")?;
            let piece = again.repeat((1 << 16) / again.len());
            let mut sent = 0;
            while sent < 499_000_000 {
                stream.write_all(piece.as_bytes())?;
                sent += piece.len();
            }
            Ok(())
        }))
        .unwrap();
        // The limit for whole answers is lowered, so that the test need not read as much as is borne.
        let config = format!("[collector.sources.big]\nurl = {:?}\nmax-answer-mib = 8\n", server.url);
        std::fs::write(home.path().join("automap.toml"), config).unwrap();
        let named: Vec<&str> = KNOWN.into_iter().chain(["--config", "automap.toml"]).collect();
        let ended = collect(home.path(), "big", &named);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert!(ended.stderr.contains(" MiB"), "{}", ended.stderr);
    }
}

#[test]
fn a_server_whose_clock_is_off_is_told() {
    let home = tempfile::tempdir().unwrap();
    let server = ScriptedServer::start(Box::new(|target, _, stream| {
        let body = greeting(target).unwrap_or(MATRIX);
        send(stream, "200 OK", "date: Mon, 01 Jan 2024 00:00:00 GMT\r\n", body)
    }))
    .unwrap();
    let ended = collect(home.path(), &server.url, &KNOWN);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("the clock of") && ended.stderr.contains("behind"), "{}", ended.stderr);
}

#[test]
fn an_incident_without_data_before_it_has_too_little_data() {
    let home = tempfile::tempdir().unwrap();
    let mut samples = Samples::default();
    let late = || times().filter(|time| *time > 3000);
    samples.counter("pymicro_request_duration_seconds_count{service=\"web\"}", late(), 5.0, None);
    samples.counter("pymicro_request_duration_seconds_sum{service=\"web\"}", late(), 1.0, None);
    let server = MetricsServer::prometheus(home.path(), &samples, &[]).unwrap();
    let (at, url) = ((START + LENGTH).to_string(), server.url());
    let arguments = ["diagnose", "--source", &url, "--preset", "pymicro", "--front-end", "web", "--at", &at];
    let ended = command::run(home.path(), &arguments).unwrap();
    assert_eq!(ended.code, 3, "{}", ended.stderr);
}
