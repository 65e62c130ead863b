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

use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use automap_integration_tests::{
    load::{Caller, Calls},
    processes::FourProcesses,
    recording,
    setup::Setup,
    usage,
};

/// How long each kind of load lasts.
const SPELL: Duration = Duration::from_secs(8);

/// How often a ratio is taken, and from how many pairs of calls each time.
const TURNS: usize = 5;
const PAIRS: usize = 100;

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
    println!("  ratio of medians, the middle of {}: {:.2}", ratios.len(), middle(&mut ratios));
}

/// The same calls with export off and with export to a receiver that refuses or never answers, one by one in turns.
async fn lost_receiver(home: &Path, kind: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let _silent = (kind == "silent").then_some(listener);
    let stores = [(); 2].map(|()| tempfile::tempdir_in(home).unwrap());
    let export: &[(&str, &str)] = &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)];
    let [off, lost] = [(&export[..0], &stores[0]), (export, &stores[1])].map(|(environment, store)| {
        let four = Setup::default().environment(environment).four(store.path(), home).unwrap();
        let caller = Caller::new(&four.walker.address, "incident").unwrap();
        (four, caller)
    });
    let cpu = |four: &FourProcesses| -> Duration {
        four.all().into_iter().map(|service| service.cpu_time().unwrap()).sum()
    };
    let mut ratios: [Vec<f64>; 2] = Default::default();
    println!("\na receiver of spans that is {kind}, export to it / export off:");
    for _ in 0..TURNS {
        let (before_off, before_lost) = (cpu(&off.0), cpu(&lost.0));
        let (mut with_off, mut with_lost) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            let mut both = [(&off.1, &mut with_off), (&lost.1, &mut with_lost)];
            // Who comes second finds warmer caches, so each does as often.
            both.rotate_left(pair % 2);
            for (caller, times) in both {
                let began = Instant::now();
                caller.call().await.unwrap();
                times.push(began.elapsed().as_secs_f64());
            }
        }
        let (cpu_off, cpu_lost) = (cpu(&off.0) - before_off, cpu(&lost.0) - before_lost);
        ratios[0].push(middle(&mut with_lost) / middle(&mut with_off));
        ratios[1].push(cpu_lost.as_secs_f64() / cpu_off.as_secs_f64());
    }
    for (name, mut ratios) in ["median latency", "time on cores"].into_iter().zip(ratios) {
        let middle = middle(&mut ratios);
        println!(
            "  {name}: {middle:.3} (from {:.3} to {:.3} in {TURNS} turns)",
            ratios[0],
            ratios[TURNS - 1]
        );
    }
}

/// The median; sorts.
fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
