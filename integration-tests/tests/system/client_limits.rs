//! Limits of each client: whoever asks too often is refused with a time to come back, and nobody else is.

use std::{fs, path::Path};

use automap_integration_tests::{
    http,
    processes::{Service, all_on_free_ports},
    tokens::Tokens,
};
use automap_proto::v1;
use automap_service_kit::error::{ErrorCode, ServiceError};
use tonic::Request;

use crate::walker_calls::client_of;

async fn ask(service: &Service, token: &str) -> ServiceError {
    let mut request = Request::new(v1::WalkerServiceGetDiagnosisRequest { diagnosis_id: "none".into() });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    client_of(service).get_diagnosis(request).await.unwrap_err().into()
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back_on_both_ports_and_others_go_on() {
    let home = tempfile::tempdir().unwrap();
    let tokens = Tokens::new(home.path()).unwrap();
    let text = |file: &Path| fs::read_to_string(file).unwrap().trim().to_owned();
    let [often, other, reader] =
        ["often", "other", "reader"].map(|name| text(&tokens.issue(name, &["--role", "read"]).unwrap()));
    // Only a machine that stood still for a minute would let the second call pass.
    let settings =
        format!("[walker.server]\naccess.tokens = {:?}\naccess.calls-per-minute = 1\n", tokens.file);
    let configuration = all_on_free_ports(home.path()).replace("[walker.server]\n", &settings)
        + "[walker.http]\nlisten = \"127.0.0.1:0\"\n";
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let page = service.page_address().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let first = runtime.block_on(ask(&service, &often));
    assert_eq!(first.code(), ErrorCode::NotFound, "{first}");
    let refused = runtime.block_on(ask(&service, &often));
    assert_eq!(refused.code(), ErrorCode::Overloaded, "{refused}");
    assert!(refused.retry_delay().is_some() && refused.message().contains("calls-per-minute"), "{refused:?}");
    let read = |token: &str| {
        http::get_with(&page, "/diagnoses", &format!("authorization: Bearer {token}\r\n")).unwrap()
    };
    let answer = read(&often);
    assert!(answer.status == 429 && answer.head.contains("retry-after: "), "{answer:?}");
    assert_eq!(runtime.block_on(ask(&service, &other)).code(), ErrorCode::NotFound);
    assert_eq!(read(&reader).status, 200);
}
