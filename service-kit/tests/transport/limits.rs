//! Deadlines and the number of calls.

use std::time::Duration;

use automap_proto::v1::{self, collector_service_client::CollectorServiceClient};
use automap_service_kit::{
    client::Channel,
    deadline,
    error::{ErrorCode, ServiceError},
    server::ServerConfig,
    tls::ClientTlsConfig,
};
use tokio::time::Instant;
use tonic::Request;

use crate::running::{PATIENCE, Running, channel, check};

fn client(running: &Running) -> CollectorServiceClient<Channel> {
    CollectorServiceClient::new(channel(&running.url("http"), ClientTlsConfig::default()))
}

/// A call with a deadline that the caller tells and does not enforce.
fn within<T>(message: T, milliseconds: u64) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_millis(milliseconds));
    request
}

#[tokio::test]
async fn the_deadline_of_a_caller_reaches_the_handler_and_the_next_hop() {
    let running = Running::start(ServerConfig::default()).await;
    running.gate.open.notify_one();
    let answer = client(&running).list_services(within(v1::ListServicesRequest::default(), 600_000)).await;
    let left: u64 = answer.unwrap().into_inner().services[0].parse().unwrap();
    assert!((500_000..600_000).contains(&left), "{left} ms");
    // A call that is made while a deadline runs carries what is left of it.
    running.gate.open.notify_one();
    let until = Instant::now() + Duration::from_secs(300);
    let call = async { client(&running).list_services(v1::ListServicesRequest::default()).await };
    let left: u64 = deadline::within(until, call).await.unwrap().into_inner().services[0].parse().unwrap();
    assert!((200_000..300_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn a_call_ends_with_its_deadline_before_and_after_its_answer_began() {
    let running = Running::start(ServerConfig::default()).await;
    let error = client(&running).list_services(within(v1::ListServicesRequest::default(), 50)).await;
    let error = ServiceError::from(error.unwrap_err());
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
    running.gate.dropped.notified().await;

    let request = within(v1::CollectFrameRequest::default(), 3_000);
    let mut answer = client(&running).collect_frame(request).await.unwrap().into_inner();
    assert!(answer.message().await.unwrap().is_some());
    let error = ServiceError::from(answer.message().await.unwrap_err());
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
    running.gate.dropped.notified().await;
}

#[tokio::test]
async fn a_call_without_a_deadline_ends_with_that_of_the_server() {
    let running = Running::start(ServerConfig { max_call_seconds: 1, ..ServerConfig::default() }).await;
    let error = client(&running).list_services(v1::ListServicesRequest::default()).await.unwrap_err();
    assert_eq!(ServiceError::from(error).code(), ErrorCode::DeadlineExceeded);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_with_a_hint_and_health_still_answers() {
    let running = Running::start(ServerConfig { max_calls: 2, ..ServerConfig::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut answer =
            client(&running).collect_frame(v1::CollectFrameRequest::default()).await.unwrap().into_inner();
        assert!(answer.message().await.unwrap().is_some());
        held.push(answer);
    }
    let refused = client(&running).check_source(v1::CheckSourceRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(ServiceError::from(refused).retry_delay().is_some());
    check(&channel(&running.url("http"), ClientTlsConfig::default())).await.unwrap();
    held.pop();
    running.gate.dropped.notified().await;
    let began = Instant::now();
    while client(&running).check_source(v1::CheckSourceRequest::default()).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_stopping_server_finishes_what_it_has_and_takes_no_more() {
    let mut running = Running::start(ServerConfig::default()).await;
    let mut under_way = client(&running);
    let call = tokio::spawn(async move { under_way.list_services(v1::ListServicesRequest::default()).await });
    running.gate.began.notified().await;
    running.stop.cancel();
    let began = Instant::now();
    let late = loop {
        match check(&channel(&running.url("http"), ClientTlsConfig::default())).await {
            Ok(()) => assert!(began.elapsed() < PATIENCE, "it takes more"),
            Err(late) => break late,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(late.code(), ErrorCode::Unavailable, "{late}");
    running.gate.open.notify_one();
    call.await.unwrap().unwrap();
    (&mut running.ended).await.unwrap().unwrap();
}
