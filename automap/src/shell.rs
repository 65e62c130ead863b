//! `automap completions` and `automap man`: what a shell and a manual know about the command.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::{
    arguments::{Cli, CompletionsArgs, ManArgs},
    failure::Failure,
    stdout,
};

/// Prints the completion script of a shell.
///
/// # Errors
/// Standard output is closed or full.
pub fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    // Written at once below: the generators panic when standard output closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "automap", &mut script);
    stdout::print(&String::from_utf8(script).map_err(anyhow::Error::new)?)
}

/// Prints the manual page, or writes it and those of all subcommands into a directory.
///
/// # Errors
/// A file cannot be written, or standard output is closed.
pub fn man(args: &ManArgs) -> Result<(), Failure> {
    match &args.directory {
        Some(directory) => {
            write_pages(directory).with_context(|| format!("cannot write into {}", directory.display()))?;
            stdout::note(&format!("wrote the manual pages into {}", directory.display()));
            Ok(())
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            stdout::print(&String::from_utf8(page).map_err(anyhow::Error::new)?)
        }
    }
}

fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), directory)
}
