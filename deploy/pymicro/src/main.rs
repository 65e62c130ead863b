//! The command `pymicro`: one service, the network, the load, or all of them on this machine.

mod arguments;

use std::process::ExitCode;

use anyhow::Context as _;
use arguments::{Arguments, Command};
use automap_pymicro::{load, proxy, service, testbed::Testbed, tie};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    if let Command::Tie { parent, command } = &command {
        let (program, arguments) = command.split_first().context("there is no program to start")?;
        return tie::tie(*parent, program, arguments);
    }
    // One thread: sixteen of these share a small machine.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = stopped()?;
        match command {
            Command::Service(arguments) => service::run(arguments.into(), stop).await,
            Command::Load(arguments) => load::run(arguments.try_into()?, stop).await,
            Command::Proxy(arguments) => proxy::run(arguments.into(), stop).await,
            Command::Testbed(arguments) => {
                let bed = Testbed::start(arguments.into()).await?;
                tracing::info!("Prometheus: {}; front end: {}", bed.prometheus_url(), bed.front_end_url());
                stop.await;
                Ok(bed.stop().await?)
            }
            Command::Tie { .. } => Ok(()),
        }
    })
}

/// Ends at SIGTERM or Ctrl-C.
fn stopped() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
