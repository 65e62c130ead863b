//! What tests want of a testbed of Pymicro.

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;
use automap_pymicro::testbed::{Options, Testbed};
use serde_json::Value;

use crate::{command, http};

/// How often Prometheus asks in tests: twice a second, so that a rate over two seconds is to be had.
const SCRAPE_INTERVAL: Duration = Duration::from_millis(500);

/// Starts a testbed in `directory`.
///
/// # Errors
/// As [`Testbed::start`], or the command was not built.
pub async fn start(directory: &Path) -> anyhow::Result<Testbed> {
    let options = Options {
        binary: Some(command::binary()?.with_file_name("pymicro")),
        scrape_interval: SCRAPE_INTERVAL,
        patience: Duration::from_secs(120),
        ..Options::in_directory(directory)
    };
    Ok(Testbed::start(options).await?)
}

/// The value of a query that gives one sample or none.
///
/// # Errors
/// Prometheus does not answer, or with several samples.
pub fn value(url: &str, query: &str) -> anyhow::Result<Option<f64>> {
    let address = url.strip_prefix("http://").context("the address is one of HTTP")?;
    let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = http::get(address, &format!("/api/v1/query?query={encoded}"))?;
    let body: Value = serde_json::from_str(&answer.body).with_context(|| format!("{query}: {answer:?}"))?;
    let samples = body["data"]["result"].as_array().with_context(|| format!("{query}: {}", answer.body))?;
    anyhow::ensure!(samples.len() < 2, "{query} gives {} samples", samples.len());
    let Some(sample) = samples.first() else { return Ok(None) };
    let text = sample["value"][1].as_str().context("a sample has a value")?;
    Ok(Some(text.parse()?))
}

/// Processes that were started for a testbed in `directory`, as their number and command.
pub fn processes(directory: &Path) -> Vec<(i32, String)> {
    with_variable(&format!("PYMICRO_TESTBED={}", directory.display()))
}

/// The process of a service of the testbed in `directory`.
///
/// # Errors
/// There is none, or several.
pub fn process(directory: &Path, service: &str) -> anyhow::Result<i32> {
    let of_testbed = processes(directory);
    let mut found = with_variable(&format!("PYMICRO_SERVICE={service}"));
    found.retain(|process| of_testbed.contains(process));
    let [(id, _)] = found.as_slice() else { anyhow::bail!("processes of {service}: {found:?}") };
    Ok(*id)
}

/// Processes in whose environment `variable` stands, `NAME=VALUE`.
fn with_variable(variable: &str) -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let environment = fs::read(entry.path().join("environ")).ok()?;
            environment.split(|byte| *byte == 0).find(|found| *found == variable.as_bytes())?;
            let command = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            Some((id, command.replace('\0', " ")))
        })
        .collect()
}
