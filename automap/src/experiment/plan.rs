//! The plan of an experiment: what is done, how often, and how long.

use std::{collections::BTreeMap, fmt, path::Path, time::Duration};

use anyhow::Context as _;
use automap_collector::query::config::{Step, parse_duration};
use automap_proto::method::Method;
use automap_pymicro::{fault::Fault, load::Traffic, testbed::Options};
use serde::{Deserialize, Serialize};

use super::schedule::{Choice, schedule};
use crate::{
    evaluate::contender::{Contender, contenders},
    failure::Failure,
};

/// The plan that holds where a plan does not say otherwise, with its documentation.
pub const DEFAULT_PLAN: &str = include_str!("default_plan.toml");
/// Most rounds of an experiment.
const MAX_ROUNDS: usize = 10_000;
/// Least normal behaviour and least fault, in steps: what a diagnosis needs, with room for the window of rates.
const MIN_STEPS: u32 = 5;

/// A duration in a plan, such as 45s or 1m30s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration("duration", &text).map(Self).map_err(|invalid| invalid.problem().to_owned())
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            whole if whole % 1000 == 0 => write!(formatter, "{}s", whole / 1000),
            milliseconds => write!(formatter, "{milliseconds}ms"),
        }
    }
}

/// How long the parts of a round take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Normal behaviour before the fault.
    pub normal: Span,
    /// The fault.
    pub fault: Span,
    /// What is left alone after it.
    pub recovery: Span,
}

/// How metrics are taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricTimes {
    /// How often Prometheus asks the services of a testbed.
    pub scrape: Span,
    /// Distance of samples.
    pub step: Span,
    /// How long after the end of a fault its samples are asked for.
    pub lag: Span,
}

/// Requests to the application of a testbed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrafficPlan {
    /// Mean number per second.
    pub requests_per_second: f64,
    /// How far a day swings, 0 to 1.
    pub swing: f64,
    /// How long a day takes.
    pub day: Span,
    /// Standard deviation of the noise, 0 to 1.
    pub noise: f64,
}

impl TrafficPlan {
    fn traffic(&self, seed: u64) -> Traffic {
        Traffic {
            requests_per_second: self.requests_per_second,
            swing: self.swing,
            day: self.day.0,
            noise: self.noise,
            seed,
        }
    }
}

/// An experiment before it is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Faults that are injected, one per round.
    pub rounds: usize,
    /// Seeds the choice of services and faults, and the methods.
    pub seed: u64,
    /// Services that may be harmed; all of the application when empty.
    pub services: Vec<String>,
    /// How incidents are diagnosed.
    pub methods: Vec<Method>,
    /// Whether methods that learn are also asked with what earlier rounds taught.
    pub learn: bool,
    /// Parameters of the methods.
    pub settings: BTreeMap<String, String>,
    /// Durations.
    pub times: Times,
    /// Samples.
    pub metrics: MetricTimes,
    /// Requests.
    pub traffic: TrafficPlan,
    /// Faults, each with its strength.
    pub faults: Vec<Fault>,
}

impl Plan {
    /// Reads a plan; without a file the default one.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key, or a value that cannot be used.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Self::parse("").map_err(Failure::Usage) };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the plan {}", file.display()))?;
        Self::parse(&text).map_err(|problem| Failure::Usage(format!("--plan {}: {problem}", file.display())))
    }

    /// A plan that says what differs from the default one.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let own: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut table: toml::Table = toml::from_str(DEFAULT_PLAN).map_err(|error| error.to_string())?;
        for (key, value) in own {
            // Of these a plan may name one key; who names faults wants these and no others.
            let in_part = matches!(key.as_str(), "times" | "metrics" | "traffic");
            match (in_part, table.get_mut(&key), value) {
                (true, Some(toml::Value::Table(place)), toml::Value::Table(inner)) => place.extend(inner),
                (_, _, value) => drop(table.insert(key, value)),
            }
        }
        let plan: Self = table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), String> {
        if !(1..=MAX_ROUNDS).contains(&self.rounds) {
            return Err(format!("rounds: must be a whole number from 1 to {MAX_ROUNDS}"));
        }
        if self.faults.is_empty() {
            return Err("faults: names none".into());
        }
        let traffic = self.traffic.traffic(self.seed).validate();
        traffic.map_err(|problem| format!("traffic: {problem}"))?;
        self.faults.iter().try_for_each(Fault::validate).map_err(|error| format!("faults: {error}"))?;
        let least = self.metrics.step.0 * MIN_STEPS;
        for (name, span) in [("times.normal", self.times.normal), ("times.fault", self.times.fault)] {
            if span.0 < least {
                return Err(format!("{name}: {span} is too short, it must be at least {MIN_STEPS} steps"));
            }
        }
        let step = self.metrics.step;
        if !matches!(step.to_string().parse(), Ok(Step::Fixed(_))) {
            return Err(format!("metrics.step: {step} must lie between 1ms and 366d"));
        }
        self.contenders().map(|_| ()).map_err(|error| format!("settings: {error}"))
    }

    /// Who diagnoses each incident.
    ///
    /// # Errors
    /// A setting is unknown or out of range.
    pub fn contenders(&self) -> Result<Vec<Contender>, automap_proto::invalid::Invalid> {
        contenders(&self.methods, &self.settings, false, self.learn)
    }

    /// The rounds, with services of `all`.
    ///
    /// # Errors
    /// A service of the plan is none of them.
    pub fn schedule(&self, all: &[&str]) -> Result<Vec<Choice<Fault>>, Failure> {
        if let Some(unknown) = self.services.iter().find(|service| !all.contains(&service.as_str())) {
            return Err(Failure::Usage(format!(
                "services: {unknown} is no service of the application, which has {}",
                all.join(", ")
            )));
        }
        let eligible: Vec<String> = match self.services.as_slice() {
            [] => all.iter().map(|&service| service.to_owned()).collect(),
            some => some.to_vec(),
        };
        Ok(schedule(self.rounds, self.seed, &eligible, &self.faults))
    }

    /// The testbed of the plan, with its files in `directory`.
    pub fn testbed(&self, directory: &Path) -> Options {
        Options {
            scrape_interval: self.metrics.scrape.0,
            traffic: self.traffic.traffic(self.seed),
            seed: self.seed,
            ..Options::in_directory(directory)
        }
    }

    /// What one round takes, its diagnoses left out.
    pub fn round_length(&self) -> Duration {
        self.times.normal.0 + self.times.fault.0 + self.metrics.lag.0 + self.times.recovery.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: [&str; 4] = ["view", "a", "b", "db1"];

    #[test]
    fn the_default_plan_says_all_and_a_plan_of_ones_own_what_differs() {
        let plan = Plan::parse("").unwrap();
        assert_eq!((plan.rounds, plan.faults.len(), plan.learn), (16, 6, true));
        assert_eq!(toml::from_str::<Plan>(DEFAULT_PLAN).unwrap(), plan);
        let own = Plan::parse(
            "rounds = 4\ntimes.fault = \"1m30s\"\n[[faults]]\nkind = \"cpu-stress\"\ncores = 0.3\n",
        )
        .unwrap();
        assert_eq!((own.rounds, own.seed, own.times.normal), (4, plan.seed, plan.times.normal));
        assert_eq!(own.times.fault.0, Duration::from_secs(90));
        assert_eq!(own.faults, [Fault::CpuStress { cores: 0.3 }], "who names faults wants these alone");
    }

    #[test]
    fn plans_that_cannot_be_run_are_refused_by_the_name_of_the_key() {
        for (text, part) in [
            ("rounds = 0", "rounds: must be"),
            ("ronds = 3", "ronds"),
            ("faults = []", "faults: names none"),
            ("[[faults]]\nkind = \"earthquake\"", "earthquake"),
            ("[[faults]]\nkind = \"cpu-stress\"\ncore = 1", "core"),
            ("[[faults]]\nkind = \"network-loss\"\nshare = 3.0", "faults: share of network-loss"),
            ("times.fault = \"4s\"", "times.fault: 4s is too short"),
            ("times.fault = \"soon\"", "is no duration"),
            ("times.faults = \"40s\"", "faults"),
            ("traffic.swing = 2.0", "traffic: swing"),
            ("methods = [\"magic\"]", "magic"),
            ("[settings]\n\"automap.alhpa\" = \"1\"", "settings: "),
            ("rounds = ", "rounds"),
        ] {
            let problem = Plan::parse(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }

    #[test]
    fn only_services_of_the_application_are_harmed_and_only_those_of_the_plan() {
        let plan = Plan::parse("rounds = 6\nservices = [\"a\", \"db1\"]").unwrap();
        let rounds = plan.schedule(&SERVICES).unwrap();
        assert_eq!(rounds.len(), 6);
        assert!(rounds.iter().all(|round| ["a", "db1"].contains(&round.service.as_str())));
        let error = Plan::parse("services = [\"z\"]").unwrap().schedule(&SERVICES).unwrap_err();
        assert!(error.to_string().contains("z is no service of the application"), "{error}");
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["45s", "1500ms", "90s"] {
            assert_eq!(Span::try_from(text.to_owned()).unwrap().to_string(), text);
        }
        assert_eq!(Span::try_from("1m30s".to_owned()).unwrap().to_string(), "90s");
    }
}
