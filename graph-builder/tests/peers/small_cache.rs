//! A peer whose memory for inputs is too small.

use automap_graph_builder::config::GraphBuilderConfig;
use automap_proto::{
    frame_stream,
    v1::{self, put_input_request::Part},
};
use automap_service_kit::error::{ErrorCode, ServiceError};
use futures::StreamExt as _;

use super::{PATIENCE, Pod, SAMPLES, alone, assert_same, build, heavy, quick};

async fn small() -> Pod {
    Pod::configured(GraphBuilderConfig { input_cache_mib: 0, ..quick() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_does_not_fit_is_refused_before_its_samples_are_sent() {
    let (pod, frame) = (small().await, heavy());
    let rows = vec![v1::RowRange { first: 0, end: SAMPLES as u64 }];
    let description = v1::InputDescription { frame: Some(frame_stream::header(&frame)), rows };
    let first = v1::PutInputRequest { part: Some(Part::Description(description)) };
    // The samples never come.
    let messages = futures::stream::iter([first]).chain(futures::stream::pending());
    let mut client = pod.client();
    let answer = tokio::time::timeout(PATIENCE, client.put_input(messages)).await.unwrap();
    let error = ServiceError::from(answer.unwrap_err());
    assert_eq!(
        (error.code(), error.field()),
        (ErrorCode::InvalidInput, Some("description.frame")),
        "{error}"
    );
    assert!(error.message().contains("raise input-cache-mib"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_cannot_keep_the_input_is_left_out_and_the_answer_says_why() {
    let frame = heavy();
    let expected = alone(&frame).await;
    let (small, honest) = (small().await, Pod::start(&[]).await);
    let coordinator = Pod::start(&[&small.url, &honest.url]).await;
    let answer = build(&coordinator.client(), &frame, None).await.unwrap();
    assert_same(&answer, &expected);
    let address = small.url.trim_start_matches("http://");
    assert!(answer.warns("raise input-cache-mib") && answer.warns(address), "{:?}", answer.graph.warnings);
    assert!(answer.shards_of(&honest) > 0 && answer.shards_of(&small) == 0, "{:?}", answer.spread);
}
