//! The command `automap`.

use std::process::ExitCode;

use automap::{arguments::Cli, failure::Failure, stdout};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            stdout::note(&format!("error: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(automap::run(cli.command));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::OutputClosed) => Failure::OutputClosed.exit_code(),
        Err(failure) => {
            stdout::note(&format!("error: {failure}"));
            failure.exit_code()
        }
    }
}
