//! The time column of a metrics file, and copies of the file with fewer rows.

use std::path::Path;

use anyhow::{Context as _, ensure};
use automap_proto::time::UnixMillis;

/// Names of the time column in the layouts that are read.
const TIME_COLUMNS: [&str; 2] = ["timestamp", "time"];

/// The time of every row, in the order of the file. Rows whose time cannot be read are left out: the collector names
/// them when the file is diagnosed.
///
/// # Errors
/// The file cannot be read, or has no time column.
pub fn row_times(file: &Path) -> anyhow::Result<Vec<UnixMillis>> {
    let mut reader = open(file)?;
    let column = time_column(file, reader.headers()?)?;
    let mut times = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {}", file.display()))?;
        times.extend(record.get(column).and_then(time));
    }
    Ok(times)
}

/// Copies the rows of `from` whose time is kept to the new file `to`; rows whose time cannot be read are copied too.
///
/// # Errors
/// A file cannot be read or written, or has no time column.
pub fn copy_rows(from: &Path, to: &Path, keep: impl Fn(UnixMillis) -> bool) -> anyhow::Result<()> {
    let mut reader = open(from)?;
    let header = reader.headers()?.clone();
    let column = time_column(from, &header)?;
    let mut writer = csv::WriterBuilder::new().flexible(true).from_path(to)?;
    writer.write_record(&header)?;
    for record in reader.records() {
        let record = record.with_context(|| format!("cannot read {}", from.display()))?;
        if record.get(column).and_then(time).is_none_or(&keep) {
            writer.write_record(&record)?;
        }
    }
    Ok(writer.flush()?)
}

fn open(file: &Path) -> anyhow::Result<csv::Reader<std::fs::File>> {
    csv::ReaderBuilder::new()
        .flexible(true)
        .from_path(file)
        .with_context(|| format!("cannot open {}", file.display()))
}

fn time_column(file: &Path, header: &csv::StringRecord) -> anyhow::Result<usize> {
    let found =
        header.iter().position(|name| TIME_COLUMNS.contains(&name.trim().trim_start_matches('\u{feff}')));
    ensure!(found.is_some(), "{} has no column timestamp or time", file.display());
    Ok(found.unwrap_or_default())
}

fn time(cell: &str) -> Option<UnixMillis> {
    UnixMillis::from_seconds("timestamp", cell.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dropped_by_their_time_and_bad_ones_stay_for_the_collector() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("metrics.csv"), home.path().join("cut.csv"));
        std::fs::write(&from, "a_cpu,timestamp\n1,10\n2,20\n,30\n4,never\n").unwrap();
        assert_eq!(row_times(&from).unwrap(), [UnixMillis(10_000), UnixMillis(20_000), UnixMillis(30_000)]);
        copy_rows(&from, &to, |time| time != UnixMillis(20_000)).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "a_cpu,timestamp\n1,10\n,30\n4,never\n");
        std::fs::write(&from, "a_cpu\n1\n").unwrap();
        assert!(row_times(&from).unwrap_err().to_string().contains("no column timestamp"));
    }
}
