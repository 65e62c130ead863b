//! A source that answers some queries late, or all of them: what came is diagnosed, and the answer says what is missing.

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use automap_integration_tests::{
    command, http,
    metrics_server::MetricsServer,
    processes::{Service, all_on_free_ports},
    samples::{START, Samples},
    scripted_server::{ScriptedServer, send},
};
use automap_proto::{
    incident::IncidentContext,
    time::UnixMillis,
    v1::{self, diagnose_response::Part},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use tonic::Request;

use crate::{live_diagnosis, walker_calls::client_of};

/// What settles the step without asking for throughput.
pub(crate) const SETTLED: &str = "step = \"15s\"\nscrape-interval = \"15s\"\n";

/// A real Prometheus behind a server that passes on what it is asked, and keeps silent about some of it.
pub(crate) struct Slow {
    _prometheus: MetricsServer,
    pub(crate) server: ScriptedServer,
    ended: Arc<AtomicBool>,
}

impl Slow {
    pub(crate) fn start(home: &Path, about: fn(&str) -> bool) -> Self {
        Self::holding(home, &live_diagnosis::samples(), about)
    }

    fn holding(home: &Path, samples: &Samples, about: fn(&str) -> bool) -> Self {
        let prometheus = MetricsServer::prometheus(home, samples, &[]).unwrap();
        let address = prometheus.url().trim_start_matches("http://").to_owned();
        let ended = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&ended);
        let server = ScriptedServer::start(Box::new(move |target, _, stream| {
            while about(target) && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(50));
            }
            match http::get(&address, target) {
                Ok(answer) if answer.head.contains("transfer-encoding: chunked") => {
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
                    write!(stream, "{head}{}", answer.body)
                }
                Ok(answer) if answer.status == 200 => send(stream, "200 OK", "", &answer.body),
                _ => send(stream, "502 Bad Gateway", "", ""),
            }
        }))
        .unwrap();
        Self { _prometheus: prometheus, server, ended }
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// Whether a query asks for metrics over time, and not for what settles how to ask.
fn of_metrics(target: &str) -> bool {
    target.contains("/query_range?")
}

fn serve(home: &Path, url: &str, settings: &str) -> Service {
    let configuration = all_on_free_ports(home)
        + &format!(
            "[collector.sources.slow]\nurl = {url:?}\npreset = \"pymicro\"\nproxy = \"none\"\n{settings}"
        );
    Service::start(home, "all", &configuration).unwrap()
}

fn diagnose(walker: &Service, deadline: Option<Duration>) -> Result<v1::Diagnosis, ServiceError> {
    let at = |seconds: i64| UnixMillis(1000 * (START + seconds));
    let end = live_diagnosis::LENGTH;
    let context =
        IncidentContext::new("shop", "web", at(end - 600), Some(at(end)), Vec::new(), None).unwrap();
    let query = v1::QuerySource { name: "slow".into(), ..v1::QuerySource::default() };
    let mut request = Request::new(v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(v1::metric_source::Source::Query(query)) }),
        context: Some((&context).into()),
        ..v1::DiagnoseRequest::default()
    });
    if let Some(deadline) = deadline {
        request.set_timeout(deadline);
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut answers = client_of(walker).diagnose(request).await?.into_inner();
        let mut diagnosis = None;
        while let Some(message) = answers.message().await? {
            if let Some(Part::Diagnosis(found)) = message.part {
                diagnosis = Some(found);
            }
        }
        Ok(diagnosis.expect("an answer that ends without an error has a diagnosis"))
    })
}

fn assert_partial(diagnosis: &v1::Diagnosis, why: &str) {
    assert_eq!(diagnosis.ranking[0].service, "b", "{:?}", diagnosis.warnings);
    let told = |warning: &&String| warning.starts_with("the source is slow, left out is memory");
    let told = diagnosis.warnings.iter().find(told);
    assert!(told.is_some_and(|warning| warning.contains(why)), "{:?}", diagnosis.warnings);
    let memory = diagnosis.coverage.iter().find(|gap| gap.metric() == v1::MetricKind::Memory);
    assert_eq!(memory.map(|gap| gap.services), Some(0), "{:?}", diagnosis.coverage);
    let nothing_matched =
        diagnosis.warnings.iter().any(|warning| warning.contains("memory: nothing matched"));
    assert!(!nothing_matched, "{:?}", diagnosis.warnings);
}

#[test]
fn what_a_slow_source_answers_in_time_is_diagnosed_and_the_rest_is_named() {
    let home = tempfile::tempdir().unwrap();
    let slow = Slow::start(home.path(), |target| {
        of_metrics(target) && target.contains("process_resident_memory_bytes")
    });
    let patient = serve(home.path(), &slow.server.url, SETTLED);
    // Half of what the caller allows is waited for.
    let diagnosis = diagnose(&patient, Some(Duration::from_secs(36))).unwrap();
    assert_partial(&diagnosis, "in the time that the caller allows");
    drop(patient);
    let impatient = serve(home.path(), &slow.server.url, &format!("{SETTLED}query-seconds = 10\n"));
    assert_partial(&diagnose(&impatient, None).unwrap(), "did not answer within 10 s");
}

#[test]
fn a_source_that_answers_nothing_in_time_is_an_error() {
    let home = tempfile::tempdir().unwrap();
    let slow = Slow::start(home.path(), of_metrics);
    let service = serve(home.path(), &slow.server.url, SETTLED);
    let error = diagnose(&service, Some(Duration::from_secs(20))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
    assert!(error.message().contains("in the time that the caller allows"), "{error}");
}

#[test]
fn the_step_is_the_scrape_interval_where_the_throughput_that_it_is_found_by_is_late() {
    let home = tempfile::tempdir().unwrap();
    // Latency is asked for with both.
    let slow = Slow::start(home.path(), |target| {
        of_metrics(target)
            && target.contains("pymicro_request_duration_seconds_count")
            && !target.contains("pymicro_request_duration_seconds_sum")
    });
    let service = serve(home.path(), &slow.server.url, "");
    let diagnosis = diagnose(&service, Some(Duration::from_secs(36))).unwrap();
    assert_eq!(diagnosis.ranking[0].service, "b", "{:?}", diagnosis.warnings);
    for told in [
        "the source is slow, the step is the scrape interval of 15 s and not found by throughput",
        "the source is slow, left out is throughput",
    ] {
        let warning = diagnosis.warnings.iter().find(|warning| warning.starts_with(told));
        assert!(
            warning.is_some_and(|warning| warning.contains("in the time that the caller allows")),
            "{told}: {:?}",
            diagnosis.warnings
        );
    }
}

#[test]
fn a_check_of_a_slow_source_says_what_it_could_not_find_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    // A check looks at what is there now.
    let now = jiff::Timestamp::now().as_second();
    let interval = live_diagnosis::INTERVAL;
    let moved = now / interval * interval - START - live_diagnosis::LENGTH + 600;
    let samples = live_diagnosis::samples().moved(moved);
    let slow = Slow::holding(home.path(), &samples, |target| target.contains("last_over_time"));
    let configuration = format!(
        "[collector.sources.slow]\nurl = {:?}\npreset = \"pymicro\"\nproxy = \"none\"\nquery-seconds = 10\n",
        slow.server.url
    );
    fs::write(home.path().join("automap.toml"), configuration).unwrap();
    let check = |more: &[&str]| {
        let known = ["check", "--source", "slow", "--config", "automap.toml"];
        let ended = command::run(home.path(), &[&known[..], more].concat()).unwrap();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        ended.stdout
    };
    let (found, table) = thread::scope(|both| {
        let table = both.spawn(|| check(&[]));
        (check(&["--output", "json"]), table.join().unwrap())
    });
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert!(found["scrape_interval_seconds"].is_null() && found["holds_history"].is_null(), "{found:#}");
    assert!(found["step_seconds"].as_f64().unwrap() >= 15.0, "{found:#}");
    let series = found["series"].as_array().unwrap();
    assert!(series.iter().any(|one| one["series"] == "cpu" && one["services"] == 4), "{found:#}");
    let warnings = found["warnings"].to_string();
    for told in ["not known is the scrape interval: ", "not known is older samples: ", "15 s are assumed"] {
        assert!(warnings.contains(told), "{told}: {found:#}");
    }
    assert_eq!(warnings.matches("did not answer within 10 s").count(), 2, "{found:#}");
    assert!(table.contains("did not say in time whether it has samples"), "{table}");
}
