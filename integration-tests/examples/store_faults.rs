//! Long runs of the faults that a store must survive; short ones are among the tests.
//!
//! ```text
//! cargo build --release --workspace
//! cargo run --release --example store_faults -- kills 1000
//! cargo run --release --example store_faults -- power 1000
//! cargo run --release --example store_faults -- damage 500
//! cargo run --release --example store_faults -- imports 100
//! ```
//!
//! A second number seeds every random choice. Figures go to standard output as JSON; exit code 1 means that something was
//! lost, and the error says what.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use automap_integration_tests::store_faults::{damage, imports, kills, power};

/// Kills between two lines of progress.
const TOLD_EVERY: usize = 50;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: Option<u64>| -> anyhow::Result<u64> {
        match (arguments.get(index), default) {
            (Some(text), _) => text.parse().with_context(|| format!("{text} is no number")),
            (None, Some(default)) => Ok(default),
            (None, None) => bail!("usage: store_faults kills|power|damage|imports NUMBER [SEED]"),
        }
    };
    let (count, seed) = (number(1, None)? as usize, number(2, Some(0))?);
    let home = tempfile::tempdir()?;
    let figures = match run(arguments.first().map(String::as_str), home.path(), count, seed).await {
        Ok(figures) => figures,
        Err(error) => {
            let kept = home.keep();
            return Err(error.context(format!("what it rests on stays in {}", kept.display())));
        }
    };
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

/// A line of progress every so often: a thousand kills take half an hour.
fn tell(report: &kills::Report) {
    if report.kills.is_multiple_of(TOLD_EVERY) {
        let kills::Report { kills, acknowledged, checked, .. } = report;
        writeln!(std::io::stderr(), "{kills} kills, {acknowledged} writes, {checked} records found whole")
            .ok();
    }
}

async fn run(fault: Option<&str>, home: &Path, count: usize, seed: u64) -> anyhow::Result<String> {
    Ok(match fault {
        Some("kills") => serde_json::to_string(&kills::run(home, count, seed, tell).await?)?,
        Some("power") => {
            let lives = (count / 20).clamp(4, 40);
            serde_json::to_string(&power::run(home, lives, count, seed).await?)?
        }
        Some("damage") => serde_json::to_string(&damage::run(home, count, seed).await?)?,
        Some("imports") => serde_json::to_string(&imports::run(home, count, seed).await?)?,
        _ => bail!("usage: store_faults kills|power|damage|imports NUMBER [SEED]"),
    })
}
