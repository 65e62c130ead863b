//! Comma-separated files of the command, read for tests.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;

/// Columns of numbers by name; an empty cell is NaN. Cells that are no number stay out.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Cells of each column.
    pub columns: BTreeMap<String, Vec<f64>>,
    /// The rows as they stand.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Reads a file whose first line names the columns.
    ///
    /// # Errors
    /// It is not there, or a row has another number of cells.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next().context("the file is empty")?.split(',').collect();
        let mut table = Self::default();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            anyhow::ensure!(cells.len() == names.len(), "{line:?} has {} cells", cells.len());
            for (name, cell) in names.iter().zip(&cells) {
                let value = if cell.is_empty() { f64::NAN } else { cell.parse().unwrap_or(f64::NAN) };
                table.columns.entry((*name).to_owned()).or_default().push(value);
            }
            table.rows.push(cells.into_iter().map(str::to_owned).collect());
        }
        Ok(table)
    }

    /// The value of `column` in the row of `time`, unix seconds.
    ///
    /// # Errors
    /// There is no such column or row.
    pub fn at(&self, column: &str, time: i64) -> anyhow::Result<f64> {
        let times = self.columns.get("timestamp").context("there is no timestamp")?;
        let row = times.iter().position(|found| *found == time as f64);
        let row = row.with_context(|| format!("there is no row of {time}"))?;
        let known = || format!("there is no {column}: {:?}", self.columns.keys().collect::<Vec<_>>());
        Ok(self.columns.get(column).with_context(known)?[row])
    }
}
