//! Callers who disappear, keep silent, do not read, or have to share.

use std::time::{Duration, Instant};

use automap_graph_builder::config::GraphBuilderConfig;
use automap_proto::{
    frame::MetricFrame,
    v1::{self, build_graph_request::Part as BuildPart, build_graph_response::Part as AnswerPart},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    linear_gaussian::shared_load,
    running::{
        Client, assert_still_serves, call, connect, description, narrow, request, rows, selection, start,
        upload,
    },
};

type UnfinishedCall = tokio::task::JoinHandle<Result<(), ServiceError>>;

/// A call that has sent its description and keeps its stream open.
async fn begin_upload(
    client: &Client,
    frame: &MetricFrame,
) -> (mpsc::Sender<v1::BuildGraphRequest>, UnfinishedCall) {
    let (sender, receiver) = mpsc::channel(4);
    sender.send(request(BuildPart::Description(description(frame)))).await.unwrap();
    let mut client = client.clone();
    let call = tokio::spawn(async move {
        client.build_graph(ReceiverStream::new(receiver)).await?;
        Ok(())
    });
    (sender, call)
}

/// Calls until the only place is free again.
async fn wait_for_a_place(client: &Client) {
    let frame = shared_load(4, 60, 1.0, 1).frame();
    let begun = Instant::now();
    loop {
        match call(client, upload(description(&frame), &frame)).await {
            Ok(_) => return,
            Err(error) => assert_eq!(error.code(), ErrorCode::Overloaded, "{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "the place is never given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes the only place with an upload that does not end; also answers how another call is refused then.
async fn occupy(
    client: &Client,
    frame: &MetricFrame,
) -> (mpsc::Sender<v1::BuildGraphRequest>, UnfinishedCall, ServiceError) {
    loop {
        let (sender, unfinished) = begin_upload(client, frame).await;
        // The upload itself is refused when it arrives during one of these calls.
        while !unfinished.is_finished() {
            let refused = call(client, Vec::new()).await.err().unwrap();
            if refused.code() == ErrorCode::Overloaded && !unfinished.is_finished() {
                return (sender, unfinished, refused);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disappears_while_sending_gives_its_place_back() {
    let service = start(narrow()).await;
    let frame = shared_load(3, 20, 1.0, 5).frame();
    let (sender, unfinished, refused) = occupy(&service.client, &frame).await;
    assert!(refused.message().contains("queued-builds"), "{refused}");
    unfinished.abort();
    drop(sender);
    wait_for_a_place(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sends_nothing_loses_its_place() {
    let config = GraphBuilderConfig { patience_seconds: 1, ..narrow() };
    let service = start(config).await;
    let frame = shared_load(3, 20, 1.0, 5).frame();
    let (_sender, call) = begin_upload(&service.client, &frame).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded);
    assert_still_serves(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_with_an_error() {
    let config = GraphBuilderConfig { patience_seconds: 1, ..narrow() };
    let service = start(config).await;
    // 100 graphs of 40,000 edges are far more than the windows of the transport hold.
    let frame = shared_load(200, 60, 5.0, 9).frame();
    let mut asked = description(&frame);
    asked.settings.as_mut().unwrap().max_condition = 0;
    asked.selections = (0..100).map(|index| selection(&format!("normal-{index}"), rows(0, 60))).collect();
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut stream = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    // Another connection: the window of the first one is full.
    wait_for_a_place(&connect(&service.url)).await;
    let error = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a broken answer looks complete"),
            Err(status) => break ServiceError::from(status),
        }
    };
    assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_ends_when_its_caller_is_gone() {
    let service = start(narrow()).await;
    let frame = shared_load(60, 400, 3.0, 6).frame();
    let mut asked = description(&frame);
    // Left alone, this takes days.
    asked.settings.as_mut().unwrap().max_condition = u32::MAX;
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut stream = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    let first = stream.message().await.unwrap().unwrap().part.unwrap();
    assert!(matches!(first, AnswerPart::Progress(_)));
    drop(stream);
    wait_for_a_place(&service.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_graph_does_not_wait_for_a_large_one() {
    let config = GraphBuilderConfig {
        concurrent_builds: 2,
        queued_builds: 0,
        threads: 1,
        ..GraphBuilderConfig::default()
    };
    let service = start(config).await;
    let frame = shared_load(60, 400, 3.0, 6).frame();
    let mut asked = description(&frame);
    // Left alone, this takes days.
    (asked.settings.as_mut().unwrap().max_condition, asked.settings.as_mut().unwrap().alpha) =
        (u32::MAX, 0.999);
    let messages = futures::stream::iter(upload(asked, &frame));
    let mut large = service.client.clone().build_graph(messages).await.unwrap().into_inner();
    let first = large.message().await.unwrap().unwrap().part.unwrap();
    assert!(matches!(first, AnswerPart::Progress(_)));
    let small = assert_still_serves(&service.client);
    tokio::time::timeout(Duration::from_secs(120), small).await.expect("it waits for the large one");
}
