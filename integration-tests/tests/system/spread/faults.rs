//! Workers that are killed and stopped, and networks that fail.

use std::time::Duration;

use automap_integration_tests::faulty_proxy::{Fault, FaultyProxy};

use super::{Draws, RESAMPLES, build, coordinator, coordinator_of, heavy, worker};

/// Random moments at which a worker is killed or stopped; `AUTOMAP_FAULT_MOMENTS` asks for more.
const MOMENTS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_killed_or_stopped_at_any_moment_change_nothing() {
    let moments =
        std::env::var("AUTOMAP_FAULT_MOMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MOMENTS);
    let (home, frame) = (tempfile::tempdir().unwrap(), heavy());
    let honest = worker(home.path(), "honest");
    let begin = std::time::Instant::now();
    let expected = build(&coordinator(home.path(), "first", &[&honest]), &frame, RESAMPLES).await;
    let usual = begin.elapsed();
    let (mut draws, mut told) = (Draws(7), 0);
    for moment in 0..moments {
        let victim = worker(home.path(), &format!("victim-{moment}"));
        let pod = coordinator(home.path(), &format!("pod-{moment}"), &[&honest, &victim]);
        let wait = usual.mul_f64((draws.next() % 1000) as f64 / 1000.0);
        let signal = ["KILL", "STOP"][(draws.next() % 2) as usize];
        let (answer, ()) = tokio::join!(build(&pod, &frame, RESAMPLES), async {
            tokio::time::sleep(wait).await;
            victim.signal(signal).unwrap();
        });
        assert_eq!(answer.bytes(), expected.bytes(), "moment {moment}: {signal} after {wait:?}");
        told +=
            usize::from(answer.graph.warnings.iter().any(|warning| warning.contains("others did that work")));
    }
    println!("{moments} moments, {told} of them seen in the answer");
}

#[test]
fn a_network_that_delays_cuts_and_corrupts_changes_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (home, frame) = (tempfile::tempdir().unwrap(), heavy());
    let (near, far) = (worker(home.path(), "near"), worker(home.path(), "far"));
    let expected = runtime.block_on(build(&coordinator(home.path(), "plain", &[&near]), &frame, RESAMPLES));
    let bad_moments = [
        ("delays", Fault::Delay(Duration::from_millis(40))),
        ("cuts-early", Fault::Cut { connections: 1000, after: 300 }),
        ("cuts-late", Fault::Cut { connections: 1000, after: 3000 }),
        ("corrupts-early", Fault::Corrupt { connections: 1000, after: 300 }),
        ("corrupts-late", Fault::Corrupt { connections: 1000, after: 3000 }),
        ("is-silent", Fault::Silence),
    ];
    for (name, fault) in bad_moments {
        let proxy = FaultyProxy::before(&far.address).unwrap();
        proxy.set(fault);
        let pod = coordinator_of(home.path(), name, &[&proxy.address, &near.address]);
        let answer = runtime.block_on(build(&pod, &frame, RESAMPLES));
        assert_eq!(answer.bytes(), expected.bytes(), "{name}");
        assert!(proxy.opened() > 0, "{name}: the peer was never called");
    }
}
