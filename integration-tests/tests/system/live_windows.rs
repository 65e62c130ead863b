//! Windows of a live source that are too long, lie in the future or have no length: what is asked and kept is bounded.

use std::path::Path;

use automap_integration_tests::{
    http,
    metrics_server::MetricsServer,
    processes::Service,
    samples::{START, Samples},
    setup::Setup,
    usage,
};
use automap_proto::{
    time::{TimeGrid, TimeWindow, UnixMillis},
    v1::{
        self, collector_service_client::CollectorServiceClient, frame_part::Part,
        walker_service_client::WalkerServiceClient,
    },
};
use automap_service_kit::{
    client::{self, Channel},
    error::{ErrorCode, ServiceError},
};

const DAY: i64 = 86_400;
const YEAR: i64 = 366 * DAY;
/// Services that live a few minutes each, all of them within the first hours.
const SHORT_LIVED: i64 = 300;

fn samples() -> Samples {
    let mut samples = Samples::default();
    for index in 0..SHORT_LIVED {
        for name in ["pymicro_request_duration_seconds_count", "pymicro_request_duration_seconds_sum"] {
            let times = (0..300).step_by(15).map(|time| time + 60 * index);
            samples.counter(&format!("{name}{{service=\"s{index}\"}}"), times, 5.0, None);
        }
    }
    samples
}

/// How many range queries Prometheus was asked so far.
fn range_queries(prometheus: &MetricsServer) -> f64 {
    let text = http::get(&prometheus.address, "/metrics").unwrap().body;
    let counted = text.lines().filter(|line| {
        line.starts_with("prometheus_http_requests_total{") && line.contains("/api/v1/query_range\"")
    });
    counted.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

fn source(step_seconds: i64) -> Option<v1::MetricSource> {
    let step = prost_types::Duration { seconds: step_seconds, nanos: 0 };
    let query = v1::QuerySource { name: "prod".into(), step: Some(step), ..Default::default() };
    Some(v1::MetricSource { source: Some(v1::metric_source::Source::Query(query)) })
}

fn window(from: i64, to: i64) -> TimeWindow {
    TimeWindow::new("window", UnixMillis(from * 1000), UnixMillis(to * 1000)).unwrap()
}

/// Collects a window; answers how many rows and samples of each the frame has.
async fn collect(
    collector: &mut CollectorServiceClient<Channel>,
    window: TimeWindow,
    step_seconds: i64,
) -> Result<(usize, usize), ServiceError> {
    let request = v1::CollectFrameRequest {
        source: source(step_seconds),
        start: Some(window.start().to_wire()),
        end: Some(window.end().to_wire()),
    };
    let mut parts = collector.collect_frame(request).await?.into_inner();
    let mut shape = None;
    while let Some(message) = parts.message().await? {
        if let Some(Part::Header(header)) = message.part.and_then(|part| part.part) {
            let grid = TimeGrid::try_from(header.grid.as_ref().unwrap()).unwrap();
            shape = Some((header.series.len(), grid.samples()));
        }
    }
    Ok(shape.expect("a frame has a header"))
}

async fn diagnose(
    walker: &mut WalkerServiceClient<Channel>,
    window: TimeWindow,
    step_seconds: i64,
) -> Result<(), ServiceError> {
    let context = v1::IncidentContext {
        system: "shop".into(),
        front_end: "s0".into(),
        anomaly_start: Some(window.start().to_wire()),
        ..Default::default()
    };
    let request = v1::DiagnoseRequest {
        source: source(step_seconds),
        context: Some(context),
        window: Some(window.to_wire()),
        ..Default::default()
    };
    let mut answers = walker.diagnose(request).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

fn start_collector(home: &Path, prometheus: &MetricsServer) -> Service {
    let configuration = format!(
        "[collector.server]\nlisten = \"127.0.0.1:0\"\n\
         [collector.sources.prod]\nurl = {:?}\npreset = \"pymicro\"\nscrape-interval = \"15s\"\n",
        prometheus.url()
    );
    let setup = Setup::default().set("collector.server.max-frame-mib=64");
    setup.service(home, "collector", &configuration).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_years_of_the_future_and_of_no_length_have_defined_answers_and_bounded_memory() {
    let home = tempfile::tempdir().unwrap();
    let prometheus = MetricsServer::prometheus(home.path(), &samples(), &[]).unwrap();
    let service = start_collector(home.path(), &prometheus);
    let mut collector = CollectorServiceClient::new(client::channel("address", &service.address).unwrap());
    let listen =
        |role: &str, more: &str| format!("[{role}]\n{more}[{role}.server]\nlisten = \"127.0.0.1:0\"\n");
    let builder = Service::start(home.path(), "graph-builder", &listen("graph-builder", "")).unwrap();
    let store = format!("path = {:?}\n", home.path().join("store"));
    let profiler = Service::start(home.path(), "profiler", &listen("profiler", &store)).unwrap();
    let peers = [&service, &builder, &profiler].map(|peer| peer.address.as_str());
    let walker = Setup::default().walker(home.path(), peers).unwrap();
    let mut walker = WalkerServiceClient::new(client::channel("address", &walker.address).unwrap());

    // Ten years at 15 s: refused before anything of it is asked, by the field and with two ways out.
    let ten_years = window(START - 5 * YEAR, START + 5 * YEAR);
    for error in [
        collect(&mut collector, ten_years, 15).await.unwrap_err(),
        diagnose(&mut walker, ten_years, 15).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
        assert_eq!(error.field(), Some("end"), "{error}");
        let said = error.to_string();
        assert!(said.contains("ask for a window of at most 191.0 days, or set a step of at least"), "{said}");
    }
    let future = window(START + 200 * YEAR, START + 201 * YEAR);
    let instant = window(START + 1, START + 1);
    for (name, window, said) in
        [("future", future, "wait, or move it back"), ("instant", instant, "widen it")]
    {
        let alone = collect(&mut collector, window, 15).await.unwrap_err();
        let walked = diagnose(&mut walker, window, 15).await.unwrap_err();
        for error in [alone, walked] {
            assert!(
                matches!(error.code(), ErrorCode::InvalidInput | ErrorCode::TooLittleData),
                "{name}: {error}"
            );
            assert!(error.to_string().contains(said), "{name}: {error}");
        }
    }
    assert_eq!(range_queries(&prometheus), 0.0, "nothing was asked of what is refused");

    // A grid that may be asked for, on which rows of three hundred services would take 2.5 GB: the first eight are too many.
    let two_years = window(START, START + 759 * DAY);
    let error = collect(&mut collector, two_years, 60).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidInput, "{error}");
    let said = error.to_string();
    assert!(said.contains("1092961 samples over the whole window") && said.contains("larger step"), "{said}");
    let (_, peak) = usage::memory(service.id()).unwrap();
    assert!(peak < 600 << 20, "the collector took {} MiB", peak >> 20);
    println!("{} queries until it was refused", range_queries(&prometheus));

    // With a larger step the same window is answered, whole.
    let (series, samples) = collect(&mut collector, two_years, 86_400).await.unwrap();
    println!("{series} series of {samples} samples; peak {} MiB", peak >> 20);
    assert!((758..=760).contains(&samples) && series > 0, "{series} of {samples}");
}
