//! Services on several hosts, found by name.

use std::time::{Duration, Instant};

use automap_integration_tests::{
    command::{self, Ended},
    hosts::Hosts,
    processes::Service,
    recording,
    setup::Setup,
};

/// The host of the walker; the collectors are on the others.
const WALKER: usize = 0;

/// Port of each collector, and of its metrics: each host has its own ports.
const COLLECTOR: u16 = 4311;
const ADMIN: u16 = 9311;

/// The name by which the walker knows the collectors.
const NAME: &str = "collectors.test";

/// How long a change of names may take to be seen.
const PATIENCE: Duration = Duration::from_secs(180);

/// Gives the name of the collectors these hosts.
fn know(hosts: &Hosts, known: &[usize]) {
    let names: Vec<(&str, usize)> = known.iter().map(|&host| (NAME, host)).collect();
    hosts.know(WALKER, &names).unwrap();
}

struct Cluster {
    hosts: Hosts,
    home: tempfile::TempDir,
    walker: Service,
    collectors: Vec<Service>,
    _others: [Service; 2],
}

impl Cluster {
    /// A walker that knows the collectors on `known`, and a collector on each other host.
    fn start(hosts: usize, known: &[usize]) -> Self {
        let home = tempfile::tempdir().unwrap();
        recording::demo_incident(home.path()).unwrap();
        let (count, hosts) = (hosts, Hosts::new(hosts).unwrap());
        let collectors = (1..count).map(|host| {
            let address = hosts.address(host);
            let configuration = format!(
                "[collector.server]\nlisten = \"{address}:{COLLECTOR}\"\nadmin-listen = \"{address}:{ADMIN}\"\n"
            );
            Setup::default().on(&hosts, host).service(home.path(), "collector", &configuration).unwrap()
        });
        let collectors = collectors.collect();
        know(&hosts, known);
        let local = Setup::default().on(&hosts, WALKER).set("walker.client.resolve-seconds=1");
        let on_loopback =
            |role: &str, more: &str| format!("[{role}]\n{more}[{role}.server]\nlisten = \"127.0.0.1:0\"\n");
        let start =
            |role: &str, more: &str| local.service(home.path(), role, &on_loopback(role, more)).unwrap();
        let builder = start("graph-builder", "");
        let profiler = start("profiler", &format!("path = {:?}\n", home.path().join("store")));
        let collector = format!("http://{NAME}:{COLLECTOR}");
        let walker = local.walker(home.path(), [&collector, &builder.address, &profiler.address]).unwrap();
        Self { hosts, home, walker, collectors, _others: [builder, profiler] }
    }

    fn know(&self, known: &[usize]) {
        know(&self.hosts, known);
    }

    fn diagnose(&self) -> Ended {
        let mut command = command::automap_behind(&self.hosts.on(WALKER), self.home.path()).unwrap();
        command.args(["diagnose", "incident", "--no-record", "--server", &self.walker.address]);
        command.output().unwrap().into()
    }

    /// Calls that each collector has answered.
    fn answered(&self) -> Vec<u64> {
        (1..=self.collectors.len())
            .map(|host| {
                let metrics = self.hosts.get(host, ADMIN, "/metrics").unwrap();
                let lines = metrics.lines().filter(|line| {
                    line.starts_with("grpc_server_handled_total{") && line.contains("CollectRecording")
                });
                lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
            })
            .collect()
    }

    /// Diagnoses so many times without a failure and answers how many calls each collector got.
    fn spread(&self, count: usize) -> Vec<u64> {
        let before = self.answered();
        for _ in 0..count {
            let ended = self.diagnose();
            assert_eq!(ended.code, 0, "{}", ended.stderr);
        }
        self.answered().iter().zip(before).map(|(now, before)| now - before).collect()
    }

    /// Diagnoses until the collectors get calls as wanted.
    fn wait_until(&self, wanted: impl Fn(&[u64]) -> bool) {
        let began = Instant::now();
        loop {
            let found = self.spread(4);
            if wanted(&found) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{found:?}");
        }
    }
}

#[test]
fn an_address_that_a_name_gains_is_used_and_one_that_it_loses_is_dropped() {
    let cluster = Cluster::start(4, &[1]);
    assert_eq!(cluster.spread(4), [4, 0, 0]);
    cluster.know(&[1, 2, 3]);
    cluster.wait_until(|found| found.iter().all(|calls| *calls > 0));
    // Each in its turn, however fast it is.
    assert_eq!(cluster.spread(6), [2, 2, 2]);
    cluster.know(&[2]);
    cluster.wait_until(|found| found == [0, 4, 0]);
    assert_eq!(cluster.spread(4), [0, 4, 0]);
    // A name server that fails takes no service with it.
    cluster.know(&[]);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(cluster.spread(4), [0, 4, 0]);
}

#[test]
fn a_host_that_is_gone_is_passed_over_until_it_is_back_under_its_name() {
    let mut cluster = Cluster::start(3, &[1, 2]);
    cluster.wait_until(|found| found.iter().all(|calls| *calls > 0));
    let gone = cluster.collectors.remove(0);
    assert_eq!(gone.terminate().unwrap(), Some(0));
    // Uploads are not sent twice: a call that meets the end of the service fails, and the address rests then.
    let began = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 6 {
        in_a_row = if cluster.diagnose().code == 0 { in_a_row + 1 } else { 0 };
        assert!(began.elapsed() < PATIENCE, "calls still go to a host that is gone");
    }
}
