//! More diagnoses than a sink has room for: none is lost.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    http,
    processes::{Service, all_on_free_ports},
    sink_server::SinkServer,
};
use automap_proto::v1::{self, DiagnosisState};
use futures::{StreamExt as _, stream};

use crate::walker_calls::{client_of, listed};

const PATIENCE: Duration = Duration::from_secs(180);

/// Far more than the sink's queue.
const BURST: usize = 300;

/// Opens the gate of a sink, at the latest when the test ends.
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

#[test]
fn a_burst_that_a_sink_has_no_room_for_arrives_whole_when_it_takes_messages_again() {
    let home = tempfile::tempdir().unwrap();
    let is_open = Arc::new(AtomicBool::new(false));
    let opened = Arc::clone(&is_open);
    let sink = SinkServer::start(Box::new(move |_, _| {
        while !opened.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        (200, String::new())
    }))
    .unwrap();
    let gate = Gate(is_open);
    let configuration = all_on_free_ports(home.path())
        .replace("[walker.server]\n", "[walker.server]\nadmin-listen = \"127.0.0.1:0\"\n")
        + &format!(
            "[walker]\nqueued-diagnoses = 1000\n[collector]\nrecordings-root = {:?}\n[walker.sinks.slow]\nurl = \"{}/burst\"\nqueue = 8\ntry-seconds = 600\n\
             only-from-alerts = false\nfailures = true\n",
            home.path(),
            sink.url
        );
    let service = Service::start(home.path(), "all", &configuration).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut client = runtime.block_on(async { client_of(&service) });
    let began = runtime.block_on(
        stream::iter(0..BURST)
            .map(|number| {
                // There is no such recording, so each fails at once.
                let source = v1::metric_source::Source::Recording("none".into());
                let request = v1::StartDiagnosisRequest {
                    request_id: format!("burst-{number}"),
                    diagnosis: Some(v1::DiagnoseRequest {
                        source: Some(v1::MetricSource { source: Some(source) }),
                        ..Default::default()
                    }),
                };
                let mut client = client.clone();
                async move { client.start_diagnosis(request).await.unwrap().into_inner().diagnosis_id }
            })
            .buffer_unordered(16)
            .collect::<BTreeSet<String>>(),
    );
    assert_eq!(began.len(), BURST);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = v1::WalkerServiceListDiagnosesRequest {
            states: vec![DiagnosisState::Failed.into()],
            page_size: 500,
            ..Default::default()
        };
        let answer = runtime.block_on(async { client.list_diagnoses(request).await });
        let ended = answer.unwrap().into_inner().diagnoses.len();
        if ended == BURST {
            break;
        }
        assert!(Instant::now() < deadline, "{ended} ended");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(runtime.block_on(listed(&mut client, &[DiagnosisState::Running])).is_empty());
    // A diagnosis is shown as ended a moment before it is handed to sinks.
    let admin = service.admin_address().unwrap();
    let waiting = format!("automap_sink_queued{{sink=\"slow\"}} {BURST}\n");
    loop {
        let metrics = http::get(&admin, "/metrics").unwrap().body;
        if metrics.contains(&waiting) {
            break;
        }
        assert!(Instant::now() < deadline, "the sink takes nothing yet: {metrics}");
        thread::sleep(Duration::from_millis(200));
    }
    let counted = format!("automap_diagnoses_total{{outcome=\"failed\"}} {BURST}\n");
    let metrics = http::get(&admin, "/metrics").unwrap().body;
    assert!(metrics.contains(&counted), "{metrics}");
    gate.open();
    let arrived = sink.wait_for("/burst", BURST, PATIENCE).unwrap();
    let told = |name: &str| -> BTreeSet<String> {
        arrived.iter().map(|one| one.json().unwrap()[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((arrived.len(), told("diagnosis_id")), (BURST, began));
    assert_eq!(told("state"), ["failed".to_owned()].into());
    let log = service.whole_log();
    assert!(!log.contains("was not sent to a sink"), "{log}");
}
