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
    let named = |(kind, count): (&String, &u64)| match (*count, kind.as_str()) {
        (1, "diagnoses") => "1 diagnosis".to_owned(),
        (1, plural) => format!("1 {}", plural.trim_end_matches('s')),
        (count, plural) => format!("{count} {plural}"),
    };
    let parts: Vec<String> = records.into_iter().map(named).collect();
    if parts.is_empty() { "no records".into() } else { parts.join(", ") }
}

/// `12.3 MB`
fn size(bytes: u64) -> String {
    if bytes < 1_000_000 {
        return format!("{:.1} kB", bytes as f64 / 1e3);
    }
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn counts_and_sizes_read_well() {
        let records = [("diagnoses", 1), ("incidents", 2), ("normal windows", 1)];
        let records: BTreeMap<String, u64> = records.map(|(kind, count)| (kind.to_owned(), count)).into();
        assert_eq!(counted(&records), "1 diagnosis, 2 incidents, 1 normal window");
        assert_eq!(counted(&BTreeMap::new()), "no records");
        assert_eq!((size(900), size(12_340_000)), ("0.9 kB".into(), "12.3 MB".into()));
    }
}
