//! `automap store`: what is done to the profiler's memory as a whole.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arguments`] | the command line |
//! | [`transfer`] | export, import and backup, of a directory or of a running profiler |
//! | [`care`] | verify, compact, stats, salvage |

pub mod arguments;
pub mod care;
pub mod transfer;

use arguments::StoreCommand;

use crate::failure::Failure;

/// Runs the command.
///
/// # Errors
/// The store cannot be opened, is damaged, or a file cannot be read or written.
pub async fn run(command: StoreCommand) -> Result<(), Failure> {
    match command {
        StoreCommand::Verify(args) => care::verify(&args),
        StoreCommand::Export(args) => transfer::export(&args).await,
        StoreCommand::Import(args) => transfer::import(&args).await,
        StoreCommand::Backup(args) => transfer::backup(&args).await,
        StoreCommand::Compact(args) => care::compact(&args),
        StoreCommand::Stats(args) => care::stats(&args).await,
        StoreCommand::Salvage(args) => care::salvage(&args),
    }
}

/// `3 incidents, 1 diagnosis`, as far as there are any.
fn counted<'kind>(records: impl IntoIterator<Item = (&'kind String, &'kind u64)>) -> String {
    let parts: Vec<String> = records.into_iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if parts.is_empty() { "no records".into() } else { parts.join(", ") }
}
