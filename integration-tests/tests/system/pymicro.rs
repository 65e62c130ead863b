//! The testbed: sixteen processes that find each other through a real ZooKeeper, harmed and healed, seen by a real
//! Prometheus.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use automap_integration_tests::{command, testbed};
use automap_pymicro::{
    fault::{Fault, FaultKind},
    testbed::{Error, Testbed},
    topology::{self, SERVICES},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;

/// Testbeds take their turns: two at once are slow on a small machine.
static TURN: Mutex<()> = Mutex::new(());

const PATIENCE: Duration = Duration::from_secs(120);

const NONE: Vec<(i32, String)> = Vec::new();

/// The turn to run a testbed.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "in time: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// What a fault on a service moves, as a query, and by how much at least.
#[derive(Debug)]
struct Movement {
    service: &'static str,
    kind: FaultKind,
    query: String,
    least: f64,
}

impl Movement {
    fn of(service: &'static str, kind: FaultKind) -> Self {
        let label = format!("{{service=\"{service}\"}}");
        let latency = format!(
            "sum(rate(pymicro_request_duration_seconds_sum{label}[3s])) / sum(rate(pymicro_request_duration_seconds_count{label}[3s]))"
        );
        let failed = |name: &str, labels: &str| {
            format!("sum(rate({name}{{{labels},status=~\"5..|0\"}}[3s])) / sum(rate({name}{{{labels}}}[3s]))")
        };
        let (query, least) = match kind {
            FaultKind::MemoryStress => (format!("sum(process_resident_memory_bytes{label})"), 120e6),
            FaultKind::CpuStress => (format!("sum(rate(process_cpu_seconds_total{label}[3s]))"), 0.1),
            FaultKind::IoStress => (format!("sum(rate(pymicro_io_bytes_total{label}[3s]))"), 4e6),
            FaultKind::NetworkDelay => (latency, 0.07),
            FaultKind::NetworkLoss => (latency, 0.02),
            FaultKind::HttpErrors => {
                let label = format!("service=\"{service}\"");
                (failed("pymicro_requests_total", &label), 0.8)
            }
            FaultKind::PodKill => {
                (failed("pymicro_client_requests_total", &format!("callee=\"{service}\"")), 0.8)
            }
        };
        // A share of failures is missing, not zero, where none was ever counted.
        Self { service, kind, query: format!("({query}) or vector(0)"), least }
    }

    fn value(&self, bed: &Testbed) -> f64 {
        testbed::value(&bed.prometheus_url(), &self.query).unwrap().unwrap_or(f64::NAN)
    }
}

#[test]
fn each_fault_moves_the_metric_that_it_names_and_is_gone_when_it_is_healed() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let mut bed = runtime.block_on(testbed::start(home.path())).unwrap();
    // Of the services none calls another, so that each moves by its own fault.
    let movements = [
        Movement::of("b2", FaultKind::MemoryStress),
        Movement::of("a1", FaultKind::CpuStress),
        Movement::of("db3", FaultKind::IoStress),
        Movement::of("a2", FaultKind::NetworkDelay),
        Movement::of("b1", FaultKind::NetworkLoss),
        Movement::of("c2", FaultKind::HttpErrors),
        Movement::of("c1", FaultKind::PodKill),
    ];
    assert_eq!(movements.len(), FaultKind::ALL.len());
    let rates = "count(rate(pymicro_requests_total{status=\"200\"}[3s]) > 1) or vector(0)";
    let busy = || testbed::value(&bed.prometheus_url(), rates).unwrap() == Some(SERVICES.len() as f64);
    until("requests reach all services", busy);
    let before: Vec<f64> = movements.iter().map(|movement| movement.value(&bed)).collect();

    for movement in &movements {
        runtime.block_on(bed.inject(movement.service, &movement.kind.usual())).unwrap();
    }
    for (movement, before) in movements.iter().zip(&before) {
        let mut seen = Vec::new();
        let deadline = Instant::now() + PATIENCE;
        loop {
            seen.push(movement.value(&bed));
            if seen.last().is_some_and(|now| now - before > movement.least) {
                break;
            }
            assert!(Instant::now() < deadline, "{movement:?} was {before}, then {seen:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
    runtime.block_on(bed.check()).unwrap_err();

    runtime.block_on(bed.heal()).unwrap();
    runtime.block_on(bed.verify_healed()).unwrap();
    for (movement, before) in movements.iter().zip(&before) {
        until(&format!("{movement:?} is as before, {before}"), || {
            movement.value(&bed) - before < movement.least / 2.0
        });
    }
    // Once more changes nothing.
    runtime.block_on(bed.heal()).unwrap();
    runtime.block_on(bed.verify_healed()).unwrap();

    runtime.block_on(bed.stop()).unwrap();
    assert_eq!(testbed::processes(home.path()), NONE);
}

#[test]
fn services_are_found_again_and_nothing_is_left_of_a_killed_testbed() {
    let _turn = turn();
    let home = tempfile::tempdir().unwrap();
    // The command is killed, without a chance to end its processes.
    let mut command = Command::new(command::binary().unwrap().with_file_name("pymicro"))
        .args(["testbed", "--scrape-interval-seconds", "1", "--patience-seconds", "120", "--directory"])
        .arg(home.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(command.stderr.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take(1).collect();
    assert!(said.iter().any(|line| line.contains("Prometheus: http://127.")), "{said:?}");
    assert_eq!(testbed::processes(home.path()).len(), SERVICES.len() + 4);
    command.kill().unwrap();
    command.wait().unwrap();
    until("all processes have ended", || testbed::processes(home.path()).is_empty());

    // In the same directory another one starts, and no second one beside it.
    let runtime = Runtime::new().unwrap();
    let mut bed = runtime.block_on(testbed::start(home.path())).unwrap();
    let second = runtime.block_on(testbed::start(home.path())).unwrap_err();
    assert!(matches!(second.downcast_ref(), Some(Error::InUse(_))), "{second:?}");

    // All that the preset asks for is there, for all services.
    let url = bed.prometheus_url();
    let ready = || {
        let check = ["check", "--source", &url, "--preset", "pymicro", "--output", "json", "--history", "1m"];
        let found = command::run(home.path(), &check).unwrap();
        let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap_or_default();
        let series = found["series"].as_array().cloned().unwrap_or_default();
        // Nobody in the application calls the front end.
        let expected = |name: &serde_json::Value| SERVICES.len() - usize::from(name == "client-latency");
        series.len() >= 7 && series.iter().all(|series| series["services"] == expected(&series["series"]))
    };
    until("the preset finds all metrics of all services", ready);

    // A process that stands still for longer than its session announces itself anew when it goes on.
    let stopped = Pid::from_raw(testbed::process(home.path(), "db1").unwrap()).unwrap();
    kill_process(stopped, Signal::STOP).unwrap();
    until("ZooKeeper forgets who stands still", || resolved(home.path(), "db1").is_empty());
    kill_process(stopped, Signal::CONT).unwrap();
    until("it is found again", || resolved(home.path(), "db1").len() == 1);
    runtime.block_on(bed.verify_healed()).unwrap();

    until("db2 is registered", || resolved(home.path(), "db2").len() == 1);
    let before = resolved(home.path(), "db2");
    runtime.block_on(bed.inject("db2", &Fault::PodKill {})).unwrap();
    let again = runtime.block_on(bed.inject("db2", &Fault::PodKill {}));
    assert!(matches!(again, Err(Error::Invalid(_))), "{again:?}");
    until("ZooKeeper forgets it", || resolved(home.path(), "db2").is_empty());
    runtime.block_on(bed.heal()).unwrap();
    runtime.block_on(bed.verify_healed()).unwrap();
    let after = resolved(home.path(), "db2");
    assert!(after.len() == 1 && after != before, "{before:?}, then {after:?}");

    let unknown = runtime.block_on(bed.inject("d", &Fault::PodKill {})).unwrap_err().to_string();
    assert!(unknown.contains("name one of view, a"), "{unknown}");
    runtime.block_on(bed.stop()).unwrap();
    assert_eq!(testbed::processes(home.path()), NONE);
}

/// Where the first caller of `service` has found it, as its log says.
fn resolved(directory: &Path, service: &str) -> Vec<String> {
    let caller = SERVICES.into_iter().find(|caller| topology::callees(caller).contains(&service)).unwrap();
    let log = fs::read_to_string(directory.join(format!("logs/{caller}.log"))).unwrap();
    let wanted = format!("resolved service=\"{service}\" instances=[");
    let last = log.lines().rev().find_map(|line| line.split_once(&wanted)).unwrap().1;
    let instances = last.trim_end_matches(']');
    instances.split(", ").filter(|instance| !instance.is_empty()).map(str::to_owned).collect()
}
