//! A front end that is no service: whoever asks is told what may have been meant, by call, by alert and on the page.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use automap_integration_tests::{
    http,
    metrics_server::MetricsServer,
    processes::{Service, all_on_free_ports},
    samples::START,
};
use automap_proto::{
    incident::IncidentContext,
    time::UnixMillis,
    v1::{self, DiagnosisState},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use serde_json::{Value, json};

use crate::{
    live_diagnosis::{LENGTH, samples},
    walker_calls::client_of,
};

const PATIENCE: Duration = Duration::from_secs(120);
const MEANT: &str = "did you mean frontend?";

#[test]
fn what_may_have_been_meant_is_told_to_callers_by_alerts_and_on_the_page() {
    let home = tempfile::tempdir().unwrap();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let moved = samples().moved(now - START - LENGTH);
    let server = MetricsServer::prometheus(home.path(), &moved, &[]).unwrap();
    let configuration = all_on_free_ports(home.path())
        + &format!(
            r#"
[collector.sources.shop]
url = {:?}
preset = "pymicro"
step = "15s"
scrape-interval = "15s"
proxy = "none"
rename = {{ web = "frontend" }}
[walker.http]
listen = "127.0.0.1:0"
[walker.alerts]
settle-seconds = 0
[[walker.alerts.rules]]
system = {{ label = "namespace" }}
front-end = {{ label = "service" }}
source = {{ default = "shop" }}
"#,
            server.url()
        );
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let address = service.page_address().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let start = UnixMillis(1000 * (now - 600));

    let error = runtime.block_on(async {
        let context = IncidentContext::new("shop", "fronted", start, None, Vec::new(), None).unwrap();
        let query = v1::QuerySource { name: "shop".into(), ..v1::QuerySource::default() };
        let request = v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(v1::metric_source::Source::Query(query)) }),
            context: Some((&context).into()),
            ..v1::DiagnoseRequest::default()
        };
        let mut answers = client_of(&service).diagnose(request).await.unwrap().into_inner();
        loop {
            match answers.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without an error"),
                Err(status) => break ServiceError::from(status),
            }
        }
    });
    assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
    assert!(error.field().is_some_and(|field| field.contains("front_end")), "{error:?}");
    assert!(error.message().contains(MEANT), "{error}");

    let alert = json!({
        "status": "firing", "endsAt": "0001-01-01T00:00:00Z",
        "startsAt": jiff::Timestamp::from_millisecond(start.0).unwrap().to_string(),
        "labels": {"alertname": "Slow", "namespace": "shop", "service": "fronted"},
    });
    let body =
        json!({"version": "4", "groupKey": "g", "truncatedAlerts": 0, "status": "firing", "alerts": [alert]});
    let answer = http::post(
        &address,
        "/api/v1/alerts",
        "content-type: application/json\r\n",
        body.to_string().as_bytes(),
    );
    let answer = answer.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    let receipt: Value = serde_json::from_str(&answer.body).unwrap();
    let id = receipt["diagnoses"][0].as_str().unwrap().to_owned();
    let deadline = Instant::now() + PATIENCE;
    let failed = loop {
        let request = v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: id.clone() };
        let answer = runtime.block_on(async { client_of(&service).get_diagnosis(request).await });
        let found = answer.ok().and_then(|answer| answer.into_inner().diagnosis);
        match found.filter(|found| found.state() == DiagnosisState::Failed) {
            Some(failed) => break failed,
            None => assert!(Instant::now() < deadline, "{id} has not failed"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(failed.failure.contains(MEANT), "{}", failed.failure);
    let page = http::get(&address, &format!("/diagnoses/{id}")).unwrap();
    assert!(page.status == 200 && page.body.contains(MEANT), "{}", page.body);
}
