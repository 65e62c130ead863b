//! A caller that leaves: all work stops, on the workers too.

use std::time::{Duration, Instant};

use automap_integration_tests::processes::Service;
use automap_proto::{metric::MetricKind, v1::build_graph_response::Part};

use super::{PATIENCE, ask, coordinator, shared_load, worker};

/// So many that a shard of level 2 takes longer than the bound, and the level an hour.
const SERVICES: usize = 1000;

/// Most time on cores that a process may take after its caller has left. Each computes on one thread, so this is at most a
/// second of computing: and on a machine that is busy with other things, which delays everything, no more.
const BOUND: Duration = Duration::from_secs(1);

/// Time on cores by which a process is seen to be at work.
const AT_WORK: Duration = Duration::from_millis(500);

/// Time on cores that a process takes at most in a second in which it has nothing to do.
const IDLE: Duration = Duration::from_millis(50);

/// Seconds without work after which it is over: a process that others keep from the cores must not pass for one.
const QUIET_SECONDS: usize = 3;

fn cpu_times(services: &[&Service]) -> Vec<Duration> {
    services.iter().map(|service| service.cpu_time().unwrap()).collect()
}

/// Time on cores of each since `before`.
fn taken(services: &[&Service], before: &[Duration]) -> Vec<Duration> {
    cpu_times(services).iter().zip(before).map(|(now, before)| *now - *before).collect()
}

/// Waits until all have taken so much since `before`.
async fn wait_for_work(services: &[&Service], before: &[Duration]) {
    let began = Instant::now();
    while taken(services, before).iter().any(|taken| *taken < AT_WORK) {
        assert!(began.elapsed() < PATIENCE, "not all of them work: {:?}", taken(services, before));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until none of them works.
async fn wait_for_quiet(services: &[&Service]) {
    let began = Instant::now();
    let mut quiet = 0;
    while quiet < QUIET_SECONDS {
        let before = cpu_times(services);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let is_quiet = taken(services, &before).iter().all(|taken| *taken <= IDLE);
        quiet = if is_quiet { quiet + 1 } else { 0 };
        assert!(began.elapsed() < PATIENCE, "work goes on: {:?}", taken(services, &before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_ends_all_work_within_a_second_on_the_workers_too() {
    let (home, frame) = (tempfile::tempdir().unwrap(), shared_load(SERVICES, &[MetricKind::Cpu]));
    let workers = ["one", "two"].map(|name| worker(home.path(), name));
    let pod = coordinator(home.path(), "pod", &[&workers[0], &workers[1]]);
    let all = [&pod, &workers[0], &workers[1]];
    let mut answer = ask(&pod, &frame, 0).await.unwrap();
    let level_one = async {
        loop {
            match answer.message().await.unwrap().and_then(|message| message.part) {
                Some(Part::Progress(progress)) if progress.level == 1 => break,
                Some(Part::Progress(_)) => {}
                other => panic!("the graph ended before its second level: {other:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, level_one).await.expect("the first level hangs");
    let begun = cpu_times(&all);
    wait_for_work(&all, &begun).await;

    let left = cpu_times(&all);
    drop(answer);
    wait_for_quiet(&all).await;
    let taken = taken(&all, &left);
    println!("time on cores after the caller left, coordinator and workers: {taken:?}");
    assert!(taken.iter().all(|taken| *taken <= BOUND), "{taken:?}");
}
