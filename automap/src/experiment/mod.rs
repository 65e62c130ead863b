//! `automap experiment`: an application harmed on purpose, round by round, and what each method makes of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`plan`], [`schedule`] | what is done how long, and which service is harmed how |
//! | [`driver`] | what is needed of the application |
//! | [`local`] | the application on this machine |
//! | [`kubernetes`], [`kubectl`], [`manifest`] | the application in a cluster, harmed by Chaos Mesh |
//! | [`rounds`] | the rounds themselves |
//! | [`recording`], [`answering`] | an incident as files, and who diagnoses it |
//! | [`state`] | what is done, kept over interruptions |
//! | [`interruption`], [`pacing`] | signals, and waiting |
//! | [`report`] | how often the root cause was found |

pub mod answering;
pub mod arguments;
pub mod driver;
pub mod interruption;
pub mod kubectl;
pub mod kubernetes;
pub mod local;
pub mod manifest;
pub mod pacing;
pub mod plan;
pub mod recording;
pub mod report;
pub mod rounds;
pub mod schedule;
pub mod state;

use automap_proto::call_graph::CallGraph;
use automap_pymicro::topology::{FRONT_END, SERVICES, callees};

use crate::{failure::Failure, named_source::NamedSource, shell_word::shell_word, stdout};
use answering::Answering;
use arguments::{ExperimentCommand, PlanArgs, RunArgs};
use driver::Driver;
use kubectl::Kubectl;
use kubernetes::Kubernetes;
use local::Local;
use pacing::Pacing;
use plan::{DEFAULT_PLAN, Plan};
use recording::Application;
use rounds::Experiment;
use state::{DriverKind, ExperimentDirectory};

/// Name of the application, of its preset, and of the dataset that its incidents are.
const PYMICRO: &str = "pymicro";

/// Runs a subcommand.
///
/// # Errors
/// The plan cannot be used, the application or a file failed, or the process was asked to end.
pub async fn run(command: ExperimentCommand) -> Result<(), Failure> {
    match command {
        ExperimentCommand::Plan(args) => print_plan(&args),
        ExperimentCommand::Run(args) => run_rounds(*args).await,
        ExperimentCommand::Report(args) => report::run(&args),
    }
}

fn print_plan(args: &PlanArgs) -> Result<(), Failure> {
    if !args.schedule {
        return stdout::print(DEFAULT_PLAN);
    }
    let plan = Plan::read(args.plan.as_deref())?;
    let mut text = String::new();
    for (index, round) in plan.schedule(&SERVICES)?.iter().enumerate() {
        text += &format!("{:>3}  {:<5} {}\n", index + 1, round.service, round.fault.name());
    }
    let minutes = (plan.round_length() * u32::try_from(plan.rounds).unwrap_or(u32::MAX)).as_secs_f64() / 60.0;
    text += &format!(
        "{} rounds of {:.0} s: {minutes:.0} min, and what the diagnoses take\n",
        plan.rounds,
        plan.round_length().as_secs_f64()
    );
    stdout::print(&text)
}

async fn run_rounds(mut args: RunArgs) -> Result<(), Failure> {
    let plan = Plan::read(args.plan.as_deref())?;
    let step = plan.metrics.step.to_string();
    match args.driver {
        DriverKind::Local => {
            if let Some(source) = &args.source.source {
                return Err(Failure::Usage(format!(
                    "--source {source}: the local driver starts a Prometheus of its own; leave --source out, or use --driver kubernetes"
                )));
            }
            let mut driver = Local::new(plan.testbed(&args.out.join("testbed")), step);
            experiment(&plan, &args, &mut driver).await
        }
        DriverKind::Kubernetes => {
            args.source.preset.get_or_insert_with(|| PYMICRO.into());
            let mut source = NamedSource::new(&args.source, Some(&step))?;
            if source.config.preset == PYMICRO {
                // Other services of the cluster are scraped with a label `service`, too.
                let namespace = args.cluster.namespace.clone();
                source.config.variables.entry("namespace".into()).or_insert(namespace);
            }
            let kubectl = Kubectl {
                program: args.cluster.kubectl.clone(),
                context: args.cluster.context.clone(),
                namespace: args.cluster.namespace.clone(),
            };
            let services = SERVICES.map(str::to_owned).to_vec();
            let mut driver = Kubernetes::new(kubectl, source, services, plan.times.fault.0);
            experiment(&plan, &args, &mut driver).await
        }
    }
}

async fn experiment(plan: &Plan, args: &RunArgs, driver: &mut impl Driver) -> Result<(), Failure> {
    let rounds = plan.schedule(&SERVICES)?;
    let calls = SERVICES
        .into_iter()
        .flat_map(|caller| callees(caller).iter().map(move |&callee| (caller.to_owned(), callee.to_owned())));
    let application = Application {
        system: PYMICRO.into(),
        front_end: FRONT_END.into(),
        call_graph: CallGraph::new(calls)?,
    };
    // Before anything is started: whatever comes then, faults are removed when the process is asked to end.
    let stop = interruption::watch()?;
    let directory = ExperimentDirectory::open(&args.out, plan, args.driver)?;
    let answering = Answering::start(plan.contenders()?, plan.seed, &directory).await?;
    let left = u32::try_from(rounds.len() - directory.state.rounds.len()).unwrap_or(u32::MAX);
    let pacing = Pacing::new(plan.round_length() * left, stop);
    Experiment { directory, rounds, application, answering, pacing, harmed: false }.run(driver).await?;
    let (count, out) = (plan.rounds, args.out.to_string_lossy());
    let out = shell_word(&out);
    stdout::note(&format!("{count} rounds done; next: automap experiment report {out}"));
    Ok(())
}
