//! Arguments of `automap store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::{arguments::AnswerFormat, profiler_client::StoreArgs};

/// Subcommands of `store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read every record from both copies of a store, and name what is damaged. Changes nothing.
    #[command(after_help = "\
Examples:
  automap store verify --store /var/lib/automap/store
  automap store verify --output json

A store keeps everything twice: in the engine's files, and in checkpoint and
journal. While one copy is whole, opening the store repairs the other.

Both are read in copies, which take about as much room as the store for as long
as this runs: in the directory that TMPDIR names, or else in /tmp. No server may
have the store open.

Exit codes: 0 sound, 1 failed, 2 wrong usage, 5 damaged")]
    Verify(VerifyArgs),
    /// Write every record into one file, also while a server runs.
    #[command(after_help = "\
Examples:
  automap store export automap.export
  automap store export automap.export --store /var/lib/automap/store
  automap store export automap.export --server http://profiler.automap:4313

The file has a version, a checksum per record and one over all. It appears under
its name when it is whole and synced.

Exit codes: 0 written, 1 failed, 2 wrong usage")]
    Export(ExportArgs),
    /// Take the records of an export: all of them, or none.
    #[command(after_help = "\
Examples:
  automap store import automap.export --store /var/lib/automap/new-store
  automap store import automap.export --existing keep
  automap store import automap.export --server http://profiler.automap:4313 \\
      --existing replace

Exit codes: 0 taken, 1 failed or refused, 2 wrong usage")]
    Import(ImportArgs),
    /// Write an export named for the time into a directory, read it back, and remove the oldest.
    #[command(after_help = "\
Examples:
  automap store backup /backup/automap
  automap store backup /backup/automap --keep 30 \\
      --server http://profiler.automap:4313

The server does the same by itself: see profiler.schedule in `automap config
schema`.

Exit codes: 0 written, 1 failed, 2 wrong usage")]
    Backup(BackupArgs),
    /// Rewrite the engine's files without what they have outlived.
    #[command(after_help = "\
Examples:
  automap store compact --store /var/lib/automap/store

No server may have the store open. The volume needs room for a second copy
meanwhile.

Exit codes: 0 compacted, 1 failed, 2 wrong usage")]
    Compact(CompactArgs),
    /// Tell how many records a store has and what it takes on disk.
    #[command(after_help = "\
Examples:
  automap store stats
  automap store stats --server http://profiler.automap:4313 --output json

Exit codes: 0 answered, 1 failed, 2 wrong usage")]
    Stats(StatsArgs),
    /// Write what can be read of a damaged store into an export, and say what is missing. Changes nothing else.
    #[command(after_help = "\
Examples:
  automap store salvage saved.export --store /var/lib/automap/store
  automap store salvage saved.export --store /var/lib/automap/store \\
      --from-export /backup/automap
  automap store import saved.export --store /var/lib/automap/new-store

Records come from checkpoint and journal, from the engine's files, and where
neither has one, from earlier exports: those named, of a directory the newest
that can be read by its name, and those that the server left in the directory
`exports` of the store.

Beside the export both copies of the store are copied for as long as this runs:
its volume needs room for the store once more and for the export. No server may
have the store open.

Exit codes: 0 everything was saved, 1 failed, 2 wrong usage, 5 something is
missing or may be older than it was")]
    Salvage(SalvageArgs),
}

impl StoreCommand {
    /// The subcommand as it is typed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Verify(_) => "store verify",
            Self::Export(_) => "store export",
            Self::Import(_) => "store import",
            Self::Backup(_) => "store backup",
            Self::Compact(_) => "store compact",
            Self::Stats(_) => "store stats",
            Self::Salvage(_) => "store salvage",
        }
    }
}

/// A store on this machine.
#[derive(Debug, Default, Args)]
pub struct LocalStoreArgs {
    /// Directory of the store; without it the user's state directory.
    #[arg(long, value_name = "DIR", env = "AUTOMAP_STORE")]
    pub store: Option<PathBuf>,
}

/// Arguments of `store verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Which store.
    #[command(flatten)]
    pub place: LocalStoreArgs,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `store export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Where the export goes.
    pub file: PathBuf,
    /// Which store.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// What an import does with a record that is kept already with another content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Existing {
    /// Refuse the whole import.
    #[default]
    Refuse,
    /// Keep what is there, and add the rest.
    Keep,
    /// Replace it.
    Replace,
    /// Refuse a store that holds anything at all.
    Empty,
}

/// Arguments of `store import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The export.
    pub file: PathBuf,
    /// Which store; made when it is not there.
    #[command(flatten)]
    pub place: StoreArgs,
    /// What to do with a record that is kept already with another content.
    #[arg(long, value_enum, default_value_t)]
    pub existing: Existing,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `store backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Directory of the backups; made when it is not there.
    pub directory: PathBuf,
    /// The newest of them that are kept.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: u32,
    /// Which store.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `store compact`.
#[derive(Debug, Args)]
pub struct CompactArgs {
    /// Which store.
    #[command(flatten)]
    pub place: LocalStoreArgs,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `store stats`.
#[derive(Debug, Args)]
pub struct StatsArgs {
    /// Which store.
    #[command(flatten)]
    pub place: StoreArgs,
    /// How the figures are printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}

/// Arguments of `store salvage`.
#[derive(Debug, Args)]
pub struct SalvageArgs {
    /// Where the export goes.
    pub file: PathBuf,
    /// Which store.
    #[command(flatten)]
    pub place: LocalStoreArgs,
    /// An earlier export or a directory of them, for what the store itself cannot give any more; may be given many times, the
    /// best first.
    #[arg(long, value_name = "PATH")]
    pub from_export: Vec<PathBuf>,
    /// How the report is printed.
    #[arg(long, value_enum, default_value_t)]
    pub output: AnswerFormat,
}
