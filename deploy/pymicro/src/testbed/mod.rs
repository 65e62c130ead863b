//! Pymicro on one machine: a real ZooKeeper, sixteen processes, the network between them, requests, and a real Prometheus.
//!
//! Everything listens on free ports of loopback addresses that are the testbed's own, so that a process which is started
//! again finds its port free. All processes die with the thread that started them, whatever ended it, and their faults
//! with them: keep the runtime in which a testbed was started for as long as the testbed.

mod addresses;
mod child;
mod error;
mod instance;
mod options;
mod prometheus;
mod questions;
mod zookeeper;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    net::SocketAddr,
    time::Duration,
};

use http::Method;
use tokio::time::{Instant, sleep};

pub use error::Error;
pub use options::Options;

use crate::{
    conditions::{NetworkConditions, ProcessConditions},
    fault::Fault,
    listening::Ready,
    topology::{FRONT_END, SERVICES},
};
use addresses::Addresses;
use child::{Child, Program};
use instance::Instance;
use prometheus::Prometheus;
use questions::Questions;
use zookeeper::ZooKeeper;

/// How long one question may take; everything is on this machine, which the fault itself may keep busy.
const QUESTION: Duration = Duration::from_secs(30);

/// How often something that is not yet so is looked at again.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a process may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(5);

/// Answers of the front end in a row that show that all services are well.
const WELL: usize = 5;

/// A running testbed. Dropped, all its processes are killed.
#[derive(Debug)]
pub struct Testbed {
    ground: Ground,
    services: BTreeMap<&'static str, Instance>,
    load: Child,
    prometheus: Prometheus,
}

/// What services stand on.
#[derive(Debug)]
struct Ground {
    options: Options,
    program: Program,
    addresses: Addresses,
    questions: Questions,
    zookeeper: ZooKeeper,
    proxy: Child,
    /// Where the proxy is told what to do.
    network: SocketAddr,
    /// The address of the front end for users.
    front_end: SocketAddr,
    _lock: File,
}

impl Testbed {
    /// Starts everything and returns when all services answer through one another and Prometheus has asked them all.
    ///
    /// The directory is made where it is missing. What an earlier testbed left there is replaced, samples included.
    ///
    /// # Errors
    /// A setting cannot be, a program is missing, another testbed runs in the directory, or something was not ready in
    /// time: the message ends with what its log says.
    pub async fn start(options: Options) -> Result<Self, Error> {
        options.validate()?;
        let deadline = Instant::now() + options.patience;
        let mut ground = Ground::prepare(options, deadline).await?;

        let mut started = Vec::new();
        for service in SERVICES {
            started.push((service, ground.launch(service, None).await?));
        }
        let mut services = BTreeMap::new();
        for (service, child) in started {
            services.insert(service, ground.admit(service, child, deadline).await?);
        }
        ground.front_end = ground.route(FRONT_END, Some(services[FRONT_END].listen), false).await?;

        let targets: Vec<_> =
            services.iter().map(|(&service, instance)| (service, instance.listen)).collect();
        let host = ground.addresses.prometheus();
        let prometheus = prometheus::start(&ground.program, &ground.options, host, &targets)?;
        // Without requests until all is found: the first ones should not fail.
        ground.answers_well(deadline).await?;
        let load = ground.start_load(deadline).await?;
        let mut testbed = Self { ground, services, load, prometheus };
        testbed.until_well(deadline).await?;
        Ok(testbed)
    }

    /// Where Prometheus answers, `http://host:port`.
    pub fn prometheus_url(&self) -> String {
        format!("http://{}", self.prometheus.address)
    }

    /// The address of the front end for users, `http://host:port/`.
    pub fn front_end_url(&self) -> String {
        format!("http://{}/", self.ground.front_end)
    }

    /// Puts `fault` on `service`; it is there when this returns. A service has one fault at a time: another one
    /// replaces it, but one that is in its process does not replace one that is in its network.
    ///
    /// # Errors
    /// There is no such service, the fault cannot be, the service was killed before, or its process or the network does
    /// not do as asked.
    pub async fn inject(&mut self, service: &str, fault: &Fault) -> Result<(), Error> {
        fault.validate()?;
        let Some(instance) = self.services.get_mut(service) else {
            let known = SERVICES.join(", ");
            return Err(Error::Invalid(format!("`{service}` is no service: name one of {known}")));
        };
        if !instance.child.runs() {
            return Err(Error::Invalid(format!("{service} was killed and is not healed yet")));
        }
        tracing::info!(service, ?fault, "inject");
        if let Some(conditions) = fault.in_process() {
            self.ground.questions.put(instance.control, "/conditions", &conditions).await?;
        } else if let Some(conditions) = fault.in_network() {
            let path = format!("/conditions/{service}");
            self.ground.questions.put(self.ground.network, &path, &conditions).await?;
        } else {
            instance.child.kill().await?;
            self.ground.route(service, None, false).await?;
        }
        Ok(())
    }

    /// Ends all faults and starts again what was killed or has ended. Whatever can be healed is, even if something else
    /// cannot; without faults it changes nothing. When it returns, [`Self::verify_healed`] tells whether all is well.
    ///
    /// # Errors
    /// The first of what could not be healed.
    pub async fn heal(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.ground.options.patience;
        let Self { ground, services, .. } = self;
        let mut healed = ground
            .questions
            .ask(Method::DELETE, ground.network, "/conditions", String::new())
            .await
            .map(|_| ());
        let mut started = Vec::new();
        for (&service, instance) in services.iter_mut() {
            let well = if instance.child.runs() {
                let well = ProcessConditions::default();
                ground.questions.put(instance.control, "/conditions", &well).await.map(|_| ())
            } else {
                tracing::info!(service, "starts again");
                let launched = ground.launch(service, Some(instance.listen)).await;
                launched.map(|child| started.push((service, child)))
            };
            healed = healed.and(well);
        }
        for (service, child) in started {
            match ground.admit(service, child, deadline).await {
                Ok(instance) => {
                    services.insert(service, instance);
                }
                Err(error) => healed = healed.and(Err(error)),
            }
        }
        healed
    }

    /// Checks, at this moment, that there is no fault, that everything runs and is announced, and that Prometheus reaches
    /// every service.
    ///
    /// # Errors
    /// What is not well.
    pub async fn check(&mut self) -> Result<(), Error> {
        let Self { ground, services, load, prometheus } = self;
        for child in [&mut ground.zookeeper.child, &mut ground.proxy, load, &mut prometheus.child] {
            child.check()?;
        }
        let questions = &ground.questions;
        let network: BTreeMap<String, NetworkConditions> =
            questions.get(ground.network, "/conditions").await?;
        if let Some((service, conditions)) = network.first_key_value() {
            return Err(Error::NotWell(format!("the network of {service} has {conditions:?}")));
        }
        for (service, instance) in services {
            instance.child.check()?;
            let conditions: ProcessConditions = questions.get(instance.control, "/conditions").await?;
            if conditions != ProcessConditions::default() {
                return Err(Error::NotWell(format!("{service} has {conditions:?}")));
            }
            questions.ask(Method::GET, instance.listen, "/healthz", String::new()).await?;
        }
        let reached = questions.reached(prometheus.address).await?;
        if reached != SERVICES.len() {
            return Err(Error::NotWell(format!(
                "Prometheus reaches {reached} of {} services",
                SERVICES.len()
            )));
        }
        Ok(())
    }

    /// Checks as [`Self::check`] does, and that the front end answers well several times in a row. What is not yet so may
    /// become so within the patience of the options.
    ///
    /// # Errors
    /// What is not well.
    pub async fn verify_healed(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.ground.options.patience;
        self.until_well(deadline).await
    }

    /// Ends everything in order.
    ///
    /// # Errors
    /// A process that could not be killed. All others have ended.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { ground, services, load, prometheus } = self;
        let services: Vec<Child> = services.into_values().map(|instance| instance.child).collect();
        let others = [ground.proxy, prometheus.child, ground.zookeeper.child];
        // Who calls ends before who is called.
        let mut ended = Ok(());
        for group in [vec![load], services, others.into()] {
            group.iter().for_each(Child::ask_to_end);
            for child in group {
                ended = ended.and(child.end(FAREWELL).await);
            }
        }
        ended
    }

    async fn until_well(&mut self, deadline: Instant) -> Result<(), Error> {
        loop {
            let Err(error) = self.check().await else { return self.ground.answers_well(deadline).await };
            if Instant::now() > deadline {
                return Err(Error::NotWell(error.to_string()));
            }
            sleep(PAUSE).await;
        }
    }
}

impl Ground {
    /// Starts what comes before services.
    async fn prepare(options: Options, deadline: Instant) -> Result<Self, Error> {
        let directory = &options.directory;
        let written = |error: std::io::Error| Error::directory(directory, &error);
        fs::create_dir_all(directory).map_err(written)?;
        let lock = File::create(directory.join("testbed.lock")).map_err(written)?;
        lock.try_lock().map_err(|_| Error::InUse(directory.clone()))?;
        let program = Program::find(&options)?;
        let addresses = Addresses::of_this_process();
        let control = SocketAddr::new(addresses.proxy(), 0);
        let arguments = ["proxy", "--control", &control.to_string(), "--seed", &options.seed.to_string()];
        let mut proxy = program.pymicro("proxy", &arguments.map(str::to_owned), [])?;
        let zookeeper = zookeeper::start(&program, directory, addresses.zookeeper(), deadline).await?;
        let Ready { listen: network, .. } = proxy.ready(deadline).await?;
        Ok(Self {
            options,
            program,
            addresses,
            questions: Questions::new(),
            zookeeper,
            proxy,
            network,
            front_end: network,
            _lock: lock,
        })
    }

    async fn start_load(&self, deadline: Instant) -> Result<Child, Error> {
        let traffic = &self.options.traffic;
        let host = self.addresses.load();
        let arguments = [
            "load".to_owned(),
            format!("--target=http://{}/", self.front_end),
            format!("--listen={host}:0"),
            format!("--source={host}"),
            format!("--requests-per-second={}", traffic.requests_per_second),
            format!("--swing={}", traffic.swing),
            format!("--day-seconds={}", traffic.day.as_secs_f64()),
            format!("--noise={}", traffic.noise),
            format!("--seed={}", traffic.seed),
        ];
        let mut load = self.program.pymicro("load", &arguments, [])?;
        load.ready(deadline).await?;
        Ok(load)
    }

    /// Waits until the front end answers well several times in a row.
    async fn answers_well(&self, deadline: Instant) -> Result<(), Error> {
        let mut in_a_row = 0;
        while in_a_row < WELL {
            match self.questions.ask(Method::GET, self.front_end, "/", String::new()).await {
                Ok(_) => in_a_row += 1,
                Err(error) if Instant::now() > deadline => return Err(Error::NotWell(error.to_string())),
                Err(_) => {
                    in_a_row = 0;
                    sleep(PAUSE).await;
                }
            }
        }
        Ok(())
    }
}
