//! Shards of a level, as other graph-builders ask for them.

use std::sync::atomic::AtomicBool;

use automap_graph_builder::{
    config::GraphBuilderConfig, load_removal::Load, prepared::Prepared, standardise::select,
};
use automap_proto::{
    frame::MetricFrame,
    frame_stream,
    load_removal::LoadRemoval,
    metric::MetricKind,
    settings::{Bins, CiTest, GraphSettings},
    v1::{self, put_input_request::Part as PutPart},
};
use automap_service_kit::error::{ErrorCode, ServiceError};

use crate::{
    linear_gaussian::shared_load,
    running::{Client, rows, start},
};

async fn put(
    client: &Client,
    frame: &MetricFrame,
    ranges: Vec<v1::RowRange>,
) -> Result<String, ServiceError> {
    let description = v1::InputDescription { frame: Some(frame_stream::header(frame)), rows: ranges };
    let messages: Vec<v1::PutInputRequest> = [PutPart::Description(description)]
        .into_iter()
        .chain(frame_stream::chunks(frame).map(PutPart::Chunk))
        .map(|part| v1::PutInputRequest { part: Some(part) })
        .collect();
    Ok(client.clone().put_input(futures::stream::iter(messages)).await?.into_inner().input_hash)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_tested_in_shards_gives_the_separations_of_a_local_run() {
    let service = start(GraphBuilderConfig::default()).await;
    let mut columns = shared_load(13, 90, 1.1, 7);
    columns.0[5].1[7] = f64::NAN;
    let frame = columns.frame();
    let input_hash = put(&service.client, &frame, rows(5, 85)).await.unwrap();
    assert_eq!(put(&service.client, &frame, rows(5, 85)).await.unwrap(), input_hash);

    for (metric, ci_test, removal) in [
        (MetricKind::Latency, CiTest::FisherZ, LoadRemoval::Off),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::Off),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::Factor),
        (MetricKind::Io, CiTest::FisherZ, LoadRemoval::FrontEnd),
        (MetricKind::Latency, CiTest::G2, LoadRemoval::Off),
        (MetricKind::Latency, CiTest::G2, LoadRemoval::Factor),
    ] {
        let selected: Vec<usize> = (5..85).collect();
        let settings = GraphSettings::new(ci_test, 0.05, 3, vec![metric])
            .unwrap()
            .with_bins(Bins::Two)
            .with_load_removal(removal, "s002")
            .unwrap();
        let load = Load::of(&frame, &selected, &settings);
        let prepared = Prepared::new(select(&frame, &selected, metric), &load, &settings);
        let local = prepared.learn(&settings, &AtomicBool::new(false), &mut |_, _| {}).unwrap();

        let mut adjacency: Vec<(u32, u32)> =
            (0..13).flat_map(|first| (first + 1..13).map(move |second| (first, second))).collect();
        let mut tests = 0;
        for level in 0..=3 {
            let mut separated = Vec::new();
            for shard in 0..3 {
                let answer = service
                    .client
                    .clone()
                    .test_edges(v1::TestEdgesRequest {
                        input_hash: input_hash.clone(),
                        metric: metric.to_wire().into(),
                        ci_test: ci_test.to_wire().into(),
                        alpha: 0.05,
                        level,
                        adjacency: adjacency
                            .iter()
                            .map(|&(first, second)| v1::ServicePair { first, second })
                            .collect(),
                        bins: 2,
                        shard: (0..adjacency.len() as u32).filter(|index| index % 3 == shard).collect(),
                        load_removal: removal.to_wire().into(),
                        load_service: settings.load_service().into(),
                        ..v1::TestEdgesRequest::default()
                    })
                    .await
                    .unwrap()
                    .into_inner();
                tests += answer.tests;
                for separation in answer.separations {
                    let pair = separation.pair.unwrap();
                    assert_eq!(
                        local.separating_set(pair.first as usize, pair.second as usize),
                        Some(separation.separating_set.as_slice())
                    );
                    separated.push((pair.first, pair.second));
                }
            }
            adjacency.retain(|pair| !separated.contains(pair));
        }
        assert_eq!(adjacency, local.pairs().collect::<Vec<_>>());
        assert_eq!(tests, local.tests());
        assert!(tests >= 70, "{tests}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_shards_are_refused_by_field_and_unknown_inputs_by_the_way_out() {
    let service = start(GraphBuilderConfig::default()).await;
    let frame = shared_load(3, 20, 1.0, 8).frame();
    let input_hash = put(&service.client, &frame, rows(0, 20)).await.unwrap();
    let pair = |first, second| v1::ServicePair { first, second };
    let good = v1::TestEdgesRequest {
        input_hash,
        metric: 1,
        ci_test: 1,
        alpha: 0.05,
        level: 1,
        adjacency: vec![pair(0, 1), pair(1, 2)],
        shard: vec![1],
        ..v1::TestEdgesRequest::default()
    };
    let ask = |request: v1::TestEdgesRequest| {
        let mut client = service.client.clone();
        async move { client.test_edges(request).await.map_err(ServiceError::from) }
    };
    assert!(ask(good.clone()).await.is_ok());
    let bad = |change: &dyn Fn(&mut v1::TestEdgesRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for (field, request) in [
        ("metric", bad(&|request| request.metric = 0)),
        ("ci_test", bad(&|request| request.ci_test = 77)),
        ("alpha", bad(&|request| request.alpha = 1.0)),
        ("bins", bad(&|request| request.bins = 4)),
        ("load_removal", bad(&|request| request.load_removal = 9)),
        ("load_service", bad(&|request| request.load_removal = v1::LoadRemoval::FrontEnd.into())),
        ("level", bad(&|request| request.level = 65)),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(2, 1))),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(1, 3))),
        ("adjacency[1]", bad(&|request| request.adjacency[1] = pair(0, 1))),
        ("shard[0]", bad(&|request| request.shard[0] = 2)),
        ("shard[1]", bad(&|request| request.shard.push(1))),
    ] {
        let error = ask(request).await.unwrap_err();
        assert_eq!((error.code(), error.field()), (ErrorCode::InvalidInput, Some(field)), "{error}");
    }
    let error = ask(bad(&|request| request.input_hash = "0".repeat(64))).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(error.message().contains("PutInput"), "{error}");

    let error = put(&service.client, &frame, rows(0, 21)).await.unwrap_err();
    assert_eq!(error.field(), Some("description.rows[0]"));
    let small = start(GraphBuilderConfig { input_cache_mib: 0, ..GraphBuilderConfig::default() }).await;
    let error = put(&small.client, &frame, rows(0, 20)).await.unwrap_err();
    assert!(error.message().contains("input-cache-mib"), "{error}");
}
