//! The command `automap`.

use std::process::ExitCode;

use automap::{arguments::Cli, stdout};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(automap::run(cli)),
        Err(error) => {
            stdout::error(&format!("cannot start: {error}"));
            ExitCode::FAILURE
        }
    }
}
