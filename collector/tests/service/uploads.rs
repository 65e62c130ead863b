//! Recordings that a client uploads.

use std::time::Duration;

use automap_proto::{
    metric::MetricKind,
    v1::{self, collect_recording_request::Part, collector_service_client::CollectorServiceClient},
};
use automap_service_kit::{client, error::ErrorCode};
use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::running::{Running, data, description, messages, recording};

#[tokio::test]
async fn a_large_upload_comes_back_as_a_frame() {
    let running = Running::start().await;
    let csv = recording(600, 1000);
    let (frame, summary) = running.upload(stream::iter(messages(&csv))).await.unwrap();
    assert!(csv.len() > 5 << 20);
    assert_eq!(frame.values().dim(), (1004, 600));
    let cart = frame.series_of_kind(frame.service_index("cart").unwrap(), MetricKind::Cpu);
    assert!(frame.samples(cart.start).iter().all(|value| *value == 0.25));
    assert_eq!(summary.warnings, Vec::<String>::new());
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn a_cut_off_upload_is_refused_by_its_last_line() {
    let running = Running::start().await;
    let csv = recording(9, 3);
    let cut = &csv[..csv.len() - 15];
    let error = running.upload(stream::iter(messages(cut))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput);
    assert_eq!(
        error.message(),
        "metrics.csv line 10: has 6 cells where the header names 7 columns; was the file cut off?"
    );
    let nothing = running.upload(stream::iter([description()])).await.unwrap_err();
    assert!(nothing.message().starts_with("metrics.csv is empty"), "{nothing}");
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn an_early_fault_is_answered_while_the_rest_still_arrives() {
    let running = Running::start().await;
    let mut csv = recording(2, 0);
    csv.push_str("180,oops,1,1\n");
    let head = messages(&csv);
    let endless = stream::repeat(data(&vec![b'\n'; 1 << 20]));
    let error = running.upload(stream::iter(head).chain(endless)).await.unwrap_err();
    assert_eq!(
        error.message(),
        "metrics.csv line 4, column web_latency: \"oops\" is no number; leave the cell empty for a missing sample"
    );
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn messages_out_of_order_are_refused_by_field() {
    let running = Running::start().await;
    let empty = v1::CollectRecordingRequest { part: None };
    let strange = v1::CollectRecordingRequest {
        part: Some(Part::Description(v1::RecordingDescription { layout: 99, ..Default::default() })),
    };
    for (sent, field) in [
        (vec![], "part"),
        (vec![data(b"timestamp")], "part"),
        (vec![empty.clone()], "part"),
        (vec![description(), description()], "part"),
        (vec![description(), empty], "part"),
        (vec![description(), data(&vec![b'x'; (1 << 20) + 1])], "data"),
        (vec![strange], "description.layout"),
    ] {
        let error = running.upload(stream::iter(sent)).await.unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)));
    }
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn hostile_headers_are_refused() {
    let running = Running::with(|config, _| config.server.max_frame_mib = 1).await;
    let endless_name = stream::iter([description()]).chain(stream::repeat(data(&vec![b'x'; 1 << 16])));
    let error = running.upload(endless_name).await.unwrap_err();
    assert!(error.message().contains("is longer than 65536 bytes"), "{error}");
    let endless_rows = stream::iter([description(), data(b"timestamp,a_cpu\n")])
        .chain(stream::iter(0..).map(|row: u32| data(format!("{row},1\n").as_bytes())));
    let error = running.upload(endless_rows).await.unwrap_err();
    assert!(error.message().contains("raise collector.server.max-frame-mib"), "{error}");
    for header in ["\0\0\0\n", "timestamp,\u{7f}_cpu\n1,1\n", "\"\"\"\"\n", ",,,,\n"] {
        let error = running.upload(stream::iter(messages(header))).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{header:?}");
    }
    running.still_works_and_stops().await;
}

#[tokio::test]
async fn a_client_that_disappears_ends_its_upload() {
    let running = Running::start().await;
    for _ in 0..4 {
        let own = CollectorServiceClient::new(client::channel("test", &running.url).unwrap());
        let (sender, receiver) = mpsc::channel(4);
        let call = tokio::spawn({
            let mut leaving = own.clone();
            async move { leaving.collect_recording(ReceiverStream::new(receiver)).await.map(drop) }
        });
        sender.send(description()).await.unwrap();
        sender.send(data(recording(9, 0).as_bytes())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        call.abort();
    }
    // The runtime of this test ends only when no thread parses any more, and the server drains only when no call
    // is left.
    running.still_works_and_stops().await;
}
