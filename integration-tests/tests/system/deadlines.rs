//! Work that nobody waits for any more: it ends in all services.

use std::time::{Duration, Instant};

use automap_integration_tests::{processes::FourProcesses, recording};
use automap_proto::v1::{self, DiagnosisStage, diagnose_response::Part};
use tonic::{Code, Request, Status, Streaming};

use crate::walker_calls::client_of;

/// Each is tried so often, and the best try counts: other programs on the machine make some late.
const TRIES: usize = 20;

/// How long services are watched for work that goes on. What goes on takes most of it, and what is idle nearly nothing.
const WATCHED: Duration = Duration::from_secs(1);

/// Time on cores, of all four services together, that idle ones may take in that time.
const IDLE: Duration = Duration::from_millis(60);

/// How long it may take on a busy machine until work is seen.
const PATIENCE: Duration = Duration::from_secs(120);

fn request(recording: &str, method: v1::Method) -> Request<v1::DiagnoseRequest> {
    let source = v1::metric_source::Source::Recording(recording.into());
    Request::new(v1::DiagnoseRequest {
        source: Some(v1::MetricSource { source: Some(source) }),
        settings: Some(v1::DiagnosisSettings { method: method.into(), ..Default::default() }),
        ..Default::default()
    })
}

fn cpu_time(four: &FourProcesses) -> Duration {
    four.all().into_iter().map(|service| service.cpu_time().unwrap()).sum()
}

/// Whether there was something to stop at a deadline, where it leaves the time to begin.
fn at_work(deadline: Duration, stopped: &[Duration]) -> bool {
    deadline < Duration::from_secs(1) || stopped.iter().any(|taken| *taken > 2 * IDLE)
}

/// Time on cores that the services take in a while that begins a second from now.
async fn taken_a_second_later(four: &FourProcesses) -> Duration {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = cpu_time(four);
    tokio::time::sleep(WATCHED).await;
    cpu_time(four) - before
}

/// Reads answers until they end.
async fn to_the_end(mut answers: Streaming<v1::DiagnoseResponse>) -> Result<(), Status> {
    while answers.message().await?.is_some() {}
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_long_diagnosis_in_time_and_in_all_services() {
    let home = tempfile::tempdir().unwrap();
    recording::shared_load_incident(home.path(), "long", 300, 600).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    for deadline in [50, 700, 3000].map(Duration::from_millis) {
        let (mut late, mut stopped, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TRIES {
            let (cpu, began) = (cpu_time(&four), Instant::now());
            let mut asked = request("long", v1::Method::Automap);
            asked.set_timeout(deadline);
            let ended = match client_of(&four.walker).diagnose(asked).await {
                Ok(answers) => to_the_end(answers.into_inner()).await,
                Err(status) => Err(status),
            };
            late.push(began.elapsed().saturating_sub(deadline));
            let status = ended.expect_err("the diagnosis takes longer than its deadline");
            assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
            stopped.push(cpu_time(&four) - cpu);
            idle.push(taken_a_second_later(&four).await);
            if late.iter().any(|late| *late < Duration::from_millis(200))
                && at_work(deadline, &stopped)
                && idle.iter().any(|taken| *taken <= IDLE)
            {
                break;
            }
        }
        println!("deadline {deadline:?}: late by {late:?}, taken a second later {idle:?}");
        assert!(late.iter().any(|late| *late < Duration::from_millis(200)), "{deadline:?}: late by {late:?}");
        assert!(at_work(deadline, &stopped), "{deadline:?}: nothing to stop: {stopped:?}");
        assert!(idle.iter().any(|taken| *taken <= IDLE), "{deadline:?}: work goes on: {idle:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_stops_the_graph_and_the_ranking() {
    let home = tempfile::tempdir().unwrap();
    recording::shared_load_incident(home.path(), "graph", 300, 600).unwrap();
    recording::shared_load_incident(home.path(), "ranking", 2000, 100).unwrap();
    let four = FourProcesses::start(home.path(), home.path()).unwrap();
    for (recording, method, stage) in [
        ("graph", v1::Method::Automap, DiagnosisStage::Testing),
        ("ranking", v1::Method::Naive, DiagnosisStage::Walking),
    ] {
        let mut idle = Vec::new();
        for _ in 0..TRIES {
            let mut answers =
                client_of(&four.walker).diagnose(request(recording, method)).await.unwrap().into_inner();
            loop {
                let message = answers.message().await.unwrap();
                match message.and_then(|message| message.part) {
                    Some(Part::Progress(progress)) if progress.stage() == stage => break,
                    Some(Part::Progress(_)) => {}
                    other => panic!("{recording} ended before it was at {stage:?}: {other:?}"),
                }
            }
            // Work goes on as long as somebody waits for it.
            let (before, began) = (cpu_time(&four), Instant::now());
            while cpu_time(&four) - before <= IDLE {
                assert!(began.elapsed() < PATIENCE, "{recording}: nothing to stop");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            drop(answers);
            idle.push(taken_a_second_later(&four).await);
            if idle.iter().any(|taken| *taken <= IDLE) {
                break;
            }
        }
        println!("{recording}: taken a second after the caller left {idle:?}");
        assert!(idle.iter().any(|taken| *taken <= IDLE), "{recording}: work goes on: {idle:?}");
    }
}
