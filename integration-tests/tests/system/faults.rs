//! A bad network between the walker and its peers.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    faulty_proxy::{Fault, FaultyProxy},
    pki::Pki,
    processes::{FourProcesses, Service},
    recording,
    setup::Setup,
};
use automap_proto::v1::{self, diagnose_response::Part, walker_service_client::WalkerServiceClient};
use automap_service_kit::{
    client,
    error::{ErrorCode, ServiceError},
};
use tonic::Request;

/// Bytes after which a connection breaks: the opening of HTTP/2, and some of the first answer.
const SOME: usize = 100;

/// Most tries of a call with a deadline.
const TRIES: usize = 20;

/// Four services with a proxy between the walker and each of its peers.
struct Network {
    _four: FourProcesses,
    walker: Service,
    collector: FaultyProxy,
    graph_builder: FaultyProxy,
    profiler: FaultyProxy,
}

impl Network {
    fn start(home: &Path, setup: &Setup<'_>) -> Self {
        recording::demo_incident(home).unwrap();
        let four = setup.four(home, home).unwrap();
        let [collector, graph_builder, profiler] = [&four.collector, &four.graph_builder, &four.profiler]
            .map(|service| FaultyProxy::before(&service.address).unwrap());
        let peers = [&collector, &graph_builder, &profiler].map(|proxy| proxy.address.as_str());
        let walker = setup.walker(home, peers).unwrap();
        Self { _four: four, walker, collector, graph_builder, profiler }
    }

    fn proxies(&self) -> [(&'static str, &FaultyProxy); 3] {
        [("collector", &self.collector), ("graph-builder", &self.graph_builder), ("profiler", &self.profiler)]
    }
}

/// Diagnoses the demo's incident in clear and answers the diagnosis, or how it failed.
fn diagnose(walker: &Service, deadline: Option<Duration>) -> Result<v1::Diagnosis, ServiceError> {
    diagnose_by(v1::Method::Evidence, walker, deadline)
}

fn diagnose_by(
    method: v1::Method,
    walker: &Service,
    deadline: Option<Duration>,
) -> Result<v1::Diagnosis, ServiceError> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = WalkerServiceClient::new(client::channel("address", &walker.address).unwrap());
        let source = v1::metric_source::Source::Recording("incident".into());
        let mut request = Request::new(v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(source) }),
            settings: Some(v1::DiagnosisSettings {
                record: true,
                method: method.into(),
                ..Default::default()
            }),
            ..Default::default()
        });
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let mut answers = client.diagnose(request).await?.into_inner();
        let mut diagnosis = None;
        while let Some(message) = answers.message().await? {
            if let Some(Part::Diagnosis(found)) = message.part {
                diagnosis = Some(found);
            }
        }
        Ok(diagnosis.expect("an answer that ends without an error has a diagnosis"))
    })
}

fn assert_whole(diagnosis: &v1::Diagnosis) {
    assert_eq!(diagnosis.ranking[0].service, "cart");
    assert!(!diagnosis.incident_id.is_empty(), "the incident was kept: {:?}", diagnosis.warnings);
}

#[test]
fn connections_that_break_are_tried_again_and_one_try_tells_what_broke() {
    let home = tempfile::tempdir().unwrap();
    let network = Network::start(home.path(), &Setup::default().set("walker.client.attempts=4"));
    let undisturbed = diagnose(&network.walker, None).unwrap();
    assert_whole(&undisturbed);
    for (name, proxy) in network.proxies() {
        proxy.set(Fault::Cut { connections: 2, after: SOME });
        let before = proxy.opened();
        proxy.cut_all();
        let diagnosis = diagnose(&network.walker, None).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_whole(&diagnosis);
        assert_eq!(diagnosis.ranking, undisturbed.ranking, "{name}");
        assert!(proxy.opened() >= before + 3, "{name}: {} connections", proxy.opened() - before);
        proxy.set(Fault::None);
    }

    let once = Setup::default().set("walker.client.attempts=1");
    let peers = network.proxies().map(|(_, proxy)| proxy.address.as_str());
    let walker = once.walker(home.path(), peers).unwrap();
    for (name, proxy) in &network.proxies()[..2] {
        proxy.cut_all();
        proxy.set(Fault::Cut { connections: 1, after: SOME });
        let error = diagnose_by(v1::Method::Automap, &walker, None).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
        assert!(error.message().starts_with(&format!("{name}: ")), "{error}");
        assert!(error.message().contains("broke"), "{error}");
        assert_whole(&diagnose(&walker, None).unwrap());
    }
}

#[test]
fn corrupted_bytes_are_an_error_and_never_an_answer() {
    let home = tempfile::tempdir().unwrap();
    let network = Network::start(home.path(), &Setup::default());
    for (name, proxy) in &network.proxies()[..2] {
        proxy.set(Fault::Corrupt { connections: usize::MAX, after: SOME });
        proxy.cut_all();
        let error = diagnose_by(v1::Method::Automap, &network.walker, None).unwrap_err();
        println!("in clear: {error}");
        assert!(error.message().starts_with(&format!("{name}: ")), "{error}");
        assert_ne!(error.code(), ErrorCode::InvalidInput, "{error}");
        // One bad connection is not the end.
        proxy.set(Fault::Corrupt { connections: 1, after: SOME });
        proxy.cut_all();
        assert_whole(&diagnose(&network.walker, None).unwrap());
    }
}

#[test]
fn over_tls_any_changed_bit_ends_the_connection() {
    let home = tempfile::tempdir().unwrap();
    let pki = Pki::new(home.path()).unwrap();
    recording::demo_incident(home.path()).unwrap();
    let secure = Setup::default().mutual_tls(&pki);
    let four = secure.four(home.path(), home.path()).unwrap();
    let proxy = FaultyProxy::before(&four.collector.address).unwrap();
    let client = Setup::default()
        .set(format!("walker.client.tls.ca={}", pki.authority.file.display()))
        .set(format!("walker.client.tls.certificate={}", pki.client.certificate.display()))
        .set(format!("walker.client.tls.key={}", pki.client.key.display()));
    let peers = [&proxy.address, &four.graph_builder.address, &four.profiler.address];
    let walker = client.walker(home.path(), peers.map(String::as_str)).unwrap();
    assert_whole(&diagnose(&walker, None).unwrap());
    // In the handshake, and in the middle of the samples.
    for after in [10, 40_000] {
        proxy.set(Fault::Corrupt { connections: usize::MAX, after });
        proxy.cut_all();
        let error = diagnose(&walker, None).unwrap_err();
        println!("over TLS after {after} bytes: {error}");
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
        assert!(error.message().starts_with("collector: ") && error.message().contains("TLS"), "{error}");
    }
    proxy.set(Fault::Corrupt { connections: 1, after: 40_000 });
    proxy.cut_all();
    assert_whole(&diagnose(&walker, None).unwrap());
}

#[test]
fn a_slow_network_meets_the_deadline_and_a_silent_one_is_given_up_on() {
    let home = tempfile::tempdir().unwrap();
    let network = Network::start(home.path(), &Setup::default());
    for (_, proxy) in network.proxies() {
        proxy.set(Fault::Delay(Duration::from_millis(100)));
    }
    assert_whole(&diagnose(&network.walker, Some(Duration::from_secs(300))).unwrap());
    let late = |deadline: Duration| {
        let began = Instant::now();
        let error = diagnose(&network.walker, Some(deadline)).unwrap_err();
        if error.code() == ErrorCode::Unavailable {
            // A silent connection is given up on after some seconds, and tries on a busy machine take as long.
            return Duration::MAX;
        }
        assert_eq!(error.code(), ErrorCode::DeadlineExceeded, "{error}");
        began.elapsed().saturating_sub(deadline)
    };
    // The machine may be busy: the best of some tries counts.
    let meets = |deadline| {
        let mut tries = Vec::new();
        while tries.len() < TRIES && tries.last().is_none_or(|late| *late >= Duration::from_millis(200)) {
            tries.push(late(deadline));
        }
        assert!(tries.last().is_some_and(|late| *late < Duration::from_millis(200)), "{tries:?}");
    };
    meets(Duration::from_millis(150));

    network.collector.set(Fault::Silence);
    meets(Duration::from_secs(1));
    // Without a deadline a peer that answers no ping is given up on.
    let began = Instant::now();
    let error = diagnose(&network.walker, None).unwrap_err();
    println!("silent: {error} after {:?}", began.elapsed());
    assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
    assert!(error.message().starts_with("collector: "), "{error}");
    assert!(began.elapsed() < Duration::from_secs(180), "{:?}", began.elapsed());
    network.collector.set(Fault::None);
    network.collector.cut_all();
    assert_whole(&diagnose(&network.walker, None).unwrap());
}
