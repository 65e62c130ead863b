//! Recordings below the configured root.

use std::fs;

use automap_proto::{incident::IncidentContext, time::UnixMillis, v1};
use automap_service_kit::error::ErrorCode;
use futures::stream;

use crate::running::{Running, messages, named, recording, request};

#[tokio::test]
async fn a_recorded_incident_is_collected_with_its_context() {
    let running = Running::start().await;
    let (frame, summary) = running.collect(request("shop-1")).await.unwrap();
    assert_eq!(frame.services(), ["cart", "web"]);
    assert_eq!(frame.grid().samples(), 9);
    let context = IncidentContext::try_from(&summary.context.unwrap()).unwrap();
    assert_eq!(context.front_end(), "web");
    assert_eq!(context.call_graph().unwrap().calls().collect::<Vec<_>>(), [("web", "cart")]);
    let bounded = v1::CollectFrameRequest {
        start: Some(UnixMillis(60_000).to_wire()),
        end: Some(UnixMillis(240_000).to_wire()),
        ..request("shop-1")
    };
    let (frame, _) = running.collect(bounded).await.unwrap();
    assert_eq!((frame.grid().start(), frame.grid().samples()), (UnixMillis(60_000), 4));
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn a_preflight_tells_services_and_coverage() {
    let running = Running::start().await;
    let services = running
        .client
        .clone()
        .list_services(v1::ListServicesRequest { source: named("shop-1") })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(services.services, ["cart", "web"]);
    let check = running
        .client
        .clone()
        .check_source(v1::CheckSourceRequest { source: named("shop-1") })
        .await
        .unwrap()
        .into_inner();
    let counts: Vec<u32> = check.coverage.iter().map(|metric| metric.services).collect();
    assert_eq!(counts, [1, 1, 1, 1, 0, 0, 0]);
    assert_eq!(check.coverage[2].metric(), v1::MetricKind::Congestion);
    assert_eq!(check.grid.unwrap().samples, 9);
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_its_frame_holds_up_nobody() {
    let running = Running::start().await;
    let csv = recording(4000, 1000);
    fs::write(running.root.path().join("shop-1/metrics.csv"), csv).unwrap();
    let unread = running.client.clone().collect_frame(request("shop-1")).await.unwrap();
    let (frame, _) = running.upload(stream::iter(messages(&recording(9, 0)))).await.unwrap();
    assert_eq!(frame.grid().samples(), 9);
    drop(unread);
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn names_that_leave_the_root_are_refused() {
    let running = Running::start().await;
    std::os::unix::fs::symlink("/etc", running.root.path().join("way-out")).unwrap();
    for name in ["", "..", "../shop-1", "/etc", "shop-1/../../etc", "way-out", "shop-1/label.json"] {
        let error = running.collect(request(name)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{name}: {error}");
        assert_eq!(error.field(), Some("source.recording"));
    }
    let error = running.collect(request("shop-2")).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(error.message(), "recording \"shop-2\": there is no such file or directory");
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn without_a_root_the_setting_is_named() {
    let running = Running::with(|_, _| ()).await;
    let error = running.collect(request("shop-1")).await.unwrap_err();
    assert_eq!(error.field(), Some("source.recording"));
    assert!(error.message().contains("set recordings-root"), "{error}");
    let error = running.collect(v1::CollectFrameRequest::default()).await.unwrap_err();
    assert_eq!(error.field(), Some("source"));
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn bounds_that_end_before_they_start_are_refused() {
    let running = Running::start().await;
    let backwards = v1::CollectFrameRequest {
        start: Some(UnixMillis(2000).to_wire()),
        end: Some(UnixMillis(1000).to_wire()),
        ..request("shop-1")
    };
    let error = running.collect(backwards).await.unwrap_err();
    assert_eq!(error.field(), Some("end"));
    let elsewhere =
        v1::CollectFrameRequest { start: Some(UnixMillis(9_000_000).to_wire()), ..request("shop-1") };
    let error = running.collect(elsewhere).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLittleData);
    running.still_works_and_stops().await;
}
