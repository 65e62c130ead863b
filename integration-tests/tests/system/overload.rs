//! Many more calls than a walker can answer.

use std::{process::Stdio, time::Duration};

use automap_integration_tests::{command, load::Caller, recording, setup::Setup, usage};

/// Most tries to be measured.
const TRIES: usize = 8;
/// How many times what the walker can answer is asked of it.
const TIMES: f64 = 10.0;

#[tokio::test(flavor = "multi_thread")]
async fn beyond_capacity_calls_are_refused_at_once_and_the_others_stay_fast() {
    let home = tempfile::tempdir().unwrap();
    recording::shared_load_incident(home.path(), "incident", 12, 400).unwrap();
    // One runs and one waits, so that the bound holds on any number of cores.
    let four = Setup::default()
        .set("walker.concurrent-diagnoses=1")
        .set("walker.waiting-callers=1")
        .four(home.path(), home.path())
        .unwrap();
    let caller = Caller::new(&four.walker.address, "incident").unwrap();
    caller.keep_calling(1, Duration::from_secs(1)).await;
    let memory = |which: fn((u64, u64)) -> u64| -> u64 {
        four.all().into_iter().map(|service| which(usage::memory(service.id()).unwrap())).sum()
    };
    let before = memory(|(now, _)| now);
    // The machine may be busy with other work for a while: the best of some tries counts.
    let mut seen = Vec::new();
    for _ in 0..TRIES {
        let alone = caller.keep_calling(1, Duration::from_secs(3)).await;
        assert!(alone.failed.is_empty() && alone.refused == 0, "{alone:?}");
        let time = Duration::from_secs(4).max(8 * alone.latency(0.5));
        let flooded = caller.call_at_rate(TIMES * alone.rate(), time).await;
        assert!(flooded.failed.is_empty(), "{:?}", flooded.failed);
        if flooded.answered.len() < 6 || flooded.refused < 3 * flooded.answered.len() {
            println!("the machine changed its speed: {flooded:?}");
            continue;
        }
        let slower = flooded.latency(0.5).as_secs_f64() / alone.latency(0.5).as_secs_f64();
        let refusal = flooded.refusal(0.5).as_secs_f64() / alone.latency(0.5).as_secs_f64();
        println!("answered {slower:.2} times slower, refused within {refusal:.2} of an answer's time");
        seen.push((slower, refusal));
        if slower < 3.0 && refusal < 1.0 {
            break;
        }
    }
    assert!(seen.iter().any(|(slower, refusal)| *slower < 3.0 && *refusal < 1.0), "{seen:?}");
    let grown = memory(|(_, peak)| peak).saturating_sub(before);
    assert!(grown < 256 << 20, "{} MiB", grown >> 20);
    // And once the flood is over, calls are answered as before.
    let after = caller.keep_calling(1, Duration::from_secs(1)).await;
    assert!(after.failed.is_empty() && after.refused == 0, "{after:?}");
}

#[test]
fn commands_that_find_the_walker_full_come_back_when_it_says() {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let four = Setup::default()
        .set("walker.concurrent-diagnoses=1")
        .set("walker.waiting-callers=0")
        .four(home.path(), home.path())
        .unwrap();
    let commands = [(); 2].map(|()| {
        let mut command = command::automap(home.path()).unwrap();
        command.args(["diagnose", "incident", "--no-record", "--server", &four.walker.address]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    });
    for command in commands {
        let ended = command.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
}
