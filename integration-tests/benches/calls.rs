//! What calls take: under overload, and with a receiver of spans that is gone.
//!
//! ```text
//! cargo bench --workspace --bench calls
//! ```
//!
//! All figures that are compared come from one run, in turns, so that other work on the machine slows both sides alike.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its figures, and ends where it cannot go on"
)]

use std::{net::TcpListener, path::Path, time::Duration};

use automap_integration_tests::{
    load::{Caller, Calls},
    processes::{FourProcesses, Service},
    recording,
    setup::Setup,
    usage,
};

/// How long each kind of load lasts, and how often they take turns.
const SPELL: Duration = Duration::from_secs(8);
const TURNS: usize = 5;

/// How many times what the walker can answer is asked of it.
const TIMES: f64 = 10.0;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let home = tempfile::tempdir().unwrap();
        recording::demo_incident(home.path()).unwrap();
        recording::shared_load_incident(home.path(), "larger", 40, 400).unwrap();
        for incident in ["incident", "larger"] {
            overload(home.path(), incident).await;
        }
        for endpoint in ["refusing", "silent"] {
            lost_receiver(home.path(), endpoint).await;
        }
    });
}

/// The three figures of latencies, in milliseconds.
fn milliseconds(calls: &Calls) -> String {
    let [half, most, nearly_all] =
        [0.5, 0.9, 0.99].map(|share| format!("{:.1}", 1e3 * calls.latency(share).as_secs_f64()));
    format!("median {half}, p90 {most}, p99 {nearly_all} ms")
}

fn memory(four: &FourProcesses, which: fn((u64, u64)) -> u64) -> u64 {
    four.all().into_iter().map(|service| which(usage::memory(service.id()).unwrap())).sum()
}

/// Ten times what the services can answer, as they are configured by default.
async fn overload(home: &Path, incident: &str) {
    let store = tempfile::tempdir_in(home).unwrap();
    let four = Setup::default().four(store.path(), home).unwrap();
    let caller = Caller::new(&four.walker.address, incident).unwrap();
    caller.keep_calling(1, Duration::from_secs(2)).await;
    let before = memory(&four, |(now, _)| now);
    let mut ratios = Vec::new();
    println!("\noverload, {incident}:");
    for _ in 0..3 {
        let alone = caller.keep_calling(1, SPELL).await;
        // As many callers as cores and a few more keep the services busy; who is refused asks again.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let busy = caller.keep_calling(cores, SPELL).await;
        let flooded = caller.call_at_rate(TIMES * busy.rate(), SPELL).await;
        let ratio = |share| flooded.latency(share).as_secs_f64() / alone.latency(share).as_secs_f64();
        println!("  alone:     {}, {:.1} a second", milliseconds(&alone), alone.rate());
        println!("  {cores} at once: {}, {:.1} a second", milliseconds(&busy), busy.rate());
        println!(
            "  flooded:   {}, {:.1} a second of {:.0} asked; {} refused with a hint (median {:.1} ms), {} failed",
            milliseconds(&flooded),
            flooded.rate(),
            TIMES * busy.rate(),
            flooded.refused,
            1e3 * flooded.refusal(0.5).as_secs_f64(),
            flooded.failed.len()
        );
        println!(
            "  latency of answered calls, flooded / alone: median {:.2}, p90 {:.2}, p99 {:.2}",
            ratio(0.5),
            ratio(0.9),
            ratio(0.99)
        );
        if let Some(error) = flooded.failed.first() {
            println!("  first failure: {error}");
        }
        ratios.push(ratio(0.5));
    }
    let grown = memory(&four, |(_, peak)| peak).saturating_sub(before);
    println!("  memory of the four services: {} MiB before, at most {} MiB more", before >> 20, grown >> 20);
    ratios.sort_by(f64::total_cmp);
    println!("  ratio of medians, the middle of {}: {:.2}", ratios.len(), ratios[ratios.len() / 2]);
}

/// The same calls with export off and with export to a receiver that refuses or never answers.
async fn lost_receiver(home: &Path, kind: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let _silent = (kind == "silent").then_some(listener);
    let start = |environment: &[(&str, &str)]| {
        let store = tempfile::tempdir_in(home).unwrap();
        let four = Setup::default().environment(environment).four(store.path(), home).unwrap();
        (four, store)
    };
    let (off, _off_store) = start(&[]);
    let (lost, _lost_store) = start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())]);
    let mut ratios: [Vec<f64>; 2] = Default::default();
    println!("\na receiver of spans that is {kind}, export to it / export off:");
    for _ in 0..TURNS {
        let measured = async |four: &FourProcesses| {
            let caller = Caller::new(&four.walker.address, "incident").unwrap();
            caller.call().await.unwrap();
            let cpu = |four: &FourProcesses| -> Duration {
                four.all().into_iter().map(|service: &Service| service.cpu_time().unwrap()).sum()
            };
            let before = cpu(four);
            let calls = caller.keep_calling(1, SPELL).await;
            let cpu_of_a_call = (cpu(four) - before).as_secs_f64() / calls.answered.len() as f64;
            (calls.latency(0.5).as_secs_f64(), cpu_of_a_call)
        };
        let (plain, exporting) = (measured(&off).await, measured(&lost).await);
        ratios[0].push(exporting.0 / plain.0);
        ratios[1].push(exporting.1 / plain.1);
    }
    for (name, mut ratios) in ["median latency", "time on cores"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        println!(
            "  {name}: {:.3} (from {:.3} to {:.3} in {TURNS} turns)",
            ratios[TURNS / 2],
            ratios[0],
            ratios[TURNS - 1]
        );
    }
}
