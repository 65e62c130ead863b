//! Requests that are refused, each by its field.

use automap_graph_builder::config::GraphBuilderConfig;
use automap_proto::v1::{self, build_graph_request::Part as BuildPart};
use automap_service_kit::error::ErrorCode;

use crate::{
    linear_gaussian::shared_load,
    running::{call, description, narrow, request, rows, start, upload},
};

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_name_their_field_and_harm_nobody() {
    let config = GraphBuilderConfig { max_services: 8, ..narrow() };
    let service = start(config).await;
    let frame = shared_load(3, 20, 1.0, 4).frame();
    let good = || upload(description(&frame), &frame);
    let described = |change: &dyn Fn(&mut v1::GraphDescription)| {
        let mut description = description(&frame);
        change(&mut description);
        upload(description, &frame)
    };
    let with_header = |change: &dyn Fn(&mut v1::MetricFrameHeader)| {
        described(&|description| change(description.frame.as_mut().unwrap()))
    };
    let chunk = |bytes: usize| request(BuildPart::Chunk(v1::FrameChunk { data: vec![0; bytes].into() }));
    let head = || request(BuildPart::Description(description(&frame)));
    let large = shared_load(9, 20, 1.0, 4).frame();
    let cases = [
        ("description", vec![]),
        ("part", vec![v1::BuildGraphRequest { part: None }]),
        ("part", vec![chunk(8)]),
        ("part", vec![head(), head()]),
        ("part", vec![head(), v1::BuildGraphRequest { part: None }]),
        ("chunk.data", vec![head()]),
        ("chunk.data", vec![head(), chunk(21 * 20 * 8 - 1)]),
        ("chunk.data", vec![head(), chunk(21 * 20 * 8), chunk(1)]),
        ("description.frame", described(&|description| description.frame = None)),
        ("description.frame.services", upload(description(&large), &large)),
        ("description.frame.grid", with_header(&|header| header.grid = None)),
        (
            "description.frame.grid.samples",
            with_header(&|header| header.grid.as_mut().unwrap().samples = u64::MAX),
        ),
        ("description.frame", with_header(&|header| header.grid.as_mut().unwrap().samples = 1 << 24)),
        ("description.frame.series[0].service", with_header(&|header| header.series[0].service = u32::MAX)),
        ("description.frame.series[1].metric", with_header(&|header| header.series[1].metric = 99)),
        ("frame.series[0].service", with_header(&|header| header.services[0] = "\n".into())),
        (
            "description.settings.alpha",
            described(&|description| description.settings.as_mut().unwrap().alpha = f64::NAN),
        ),
        ("description.selections", described(&|description| description.selections.clear())),
        (
            "description.selections[1].name",
            described(&|description| description.selections.push(description.selections[0].clone())),
        ),
        (
            "description.selections[0].rows[0]",
            described(&|description| description.selections[0].rows = rows(5, 21)),
        ),
        (
            "description.throughput_rows[0]",
            described(&|description| description.throughput_rows = rows(5, 5)),
        ),
        ("description.front_end", described(&|description| description.front_end = "s00".into())),
    ];
    for (field, messages) in cases {
        let error = call(&service.client, messages).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{field}: {error}");
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(call(&service.client, good()).await.is_ok(), "after {field}");
    }
    let error = call(&service.client, described(&|description| description.front_end = "s01".into()))
        .await
        .err()
        .unwrap();
    assert!(error.message().contains("did you mean s00"), "{error}");
}
