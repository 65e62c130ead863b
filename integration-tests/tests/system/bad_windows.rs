//! Windows and systems that hold nothing to diagnose, or next to nothing, and what a caller hears of one that does.

use std::fs;

use automap_integration_tests::{processes::FourProcesses, recording};
use automap_proto::{
    metric::MetricKind,
    time::{TimeWindow, UnixMillis},
    v1::{self, diagnose_response::Part, walker_service_client::WalkerServiceClient},
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
};

const YEAR_MS: i64 = 366 * 24 * 3_600_000;

async fn diagnose(
    walker: &mut WalkerServiceClient<Channel>,
    request: v1::DiagnoseRequest,
) -> Result<v1::Diagnosis, ServiceError> {
    listen(walker, request).await.map(|(diagnosis, _)| diagnosis)
}

/// A diagnosis, and what was told of it on its way.
async fn listen(
    walker: &mut WalkerServiceClient<Channel>,
    request: v1::DiagnoseRequest,
) -> Result<(v1::Diagnosis, Vec<v1::DiagnosisProgress>), ServiceError> {
    let mut answers = walker.diagnose(request).await?.into_inner();
    let (mut diagnosis, mut told) = (None, Vec::new());
    while let Some(message) = answers.message().await? {
        match message.part {
            Some(Part::Diagnosis(found)) => diagnosis = Some(found),
            Some(Part::Progress(progress)) => told.push(progress),
            _ => {}
        }
    }
    Ok((diagnosis.expect("an answer that ends without an error has a diagnosis"), told))
}

/// While graphs are tested, a caller hears which graph and metric type, at which level, and how many tests there were.
fn assert_levels_are_told(told: &[v1::DiagnosisProgress]) {
    let testing: Vec<_> = told.iter().filter(|one| one.stage() == v1::DiagnosisStage::Testing).collect();
    // What comes first of a stage is always told, and no metric type begins above level 0.
    assert_eq!(testing.first().and_then(|first| first.level), Some(0), "{told:?}");
    for one in testing {
        let metric = MetricKind::from_wire("metric", one.metric).unwrap();
        let (graph, level, tests) = (&one.graph, one.level.unwrap(), one.tests);
        assert!(!graph.is_empty() && level <= 3, "{one:?}");
        let sentence =
            format!("{graph} graph: tested {} at level {level}, {tests} tests so far", metric.name());
        assert_eq!(one.detail, sentence);
    }
}

fn request(recording: &str, window: Option<v1::TimeWindow>) -> v1::DiagnoseRequest {
    let source = v1::metric_source::Source::Recording(recording.into());
    v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        window,
        ..v1::DiagnoseRequest::default()
    }
}

fn window(start: i64, end: i64) -> Option<v1::TimeWindow> {
    TimeWindow::new("window", UnixMillis(start), UnixMillis(end)).ok().map(TimeWindow::to_wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_without_an_incident_and_systems_of_one_service_have_defined_answers() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let alone = home.path().join("alone");
    fs::create_dir_all(&alone).unwrap();
    let mut metrics = String::from("timestamp,web_latency,web_cpu\n");
    for row in 0..60 {
        let fault = if row < 48 { 0 } else { 90 };
        metrics.push_str(&format!("{},{},{}\n", 5 * row, 10 + row % 3 + fault, 20 + row % 5));
    }
    fs::write(alone.join("metrics.csv"), metrics).unwrap();
    fs::write(alone.join("incident.json"), r#"{"front_end": "web", "anomaly_start": 240}"#).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    let mut walker = WalkerServiceClient::new(client::channel("address", &four.walker.address).unwrap());

    let (whole, told) = listen(&mut walker, request("incident", None)).await.unwrap();
    assert_eq!(whole.ranking[0].service, "cart");
    assert_levels_are_told(&told);
    let alert = UnixMillis::from_wire("start", whole.window.as_ref().unwrap().start).unwrap().0;

    let years = diagnose(&mut walker, request("incident", window(alert - 5 * YEAR_MS, alert + 5 * YEAR_MS)))
        .await
        .unwrap();
    assert_eq!(years.ranking, whole.ranking, "ten years hold no more than the recording");
    for (name, window) in [
        ("in the future", window(alert + YEAR_MS, alert + 2 * YEAR_MS)),
        ("of zero length", window(alert, alert)),
        ("before the incident", window(alert - 1_800_000, alert - 900_000)),
    ] {
        assert!(window.is_some(), "{name}");
        let error = diagnose(&mut walker, request("incident", window)).await.unwrap_err();
        println!("{name}: {:?} {error}", error.code());
        assert!(
            matches!(error.code(), ErrorCode::InvalidInput | ErrorCode::TooLittleData),
            "{name}: {:?} {error}",
            error.code()
        );
    }
    let turned = v1::TimeWindow {
        start: Some(UnixMillis(alert).to_wire()),
        end: Some(UnixMillis(alert - 1000).to_wire()),
    };
    let error = diagnose(&mut walker, request("incident", Some(turned))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
    assert!(error.field().is_some_and(|field| field.starts_with("window")), "{error:?}");

    for method in [v1::Method::Evidence, v1::Method::Automap, v1::Method::MonitorRank] {
        let settings = Some(v1::DiagnosisSettings { method: method.into(), ..Default::default() });
        let asked = v1::DiagnoseRequest { settings, ..request("alone", None) };
        let only = diagnose(&mut walker, asked).await.unwrap_or_else(|error| panic!("{method:?}: {error}"));
        assert_eq!(only.ranking.len(), 1, "{method:?}");
        assert_eq!(only.ranking[0].service, "web", "{method:?}");
    }
}
