//! JSON answers without what may differ from run to run.

use anyhow::Context as _;
use serde_json::Value;

/// The text of a diagnosis without its id and timings.
///
/// # Errors
/// The text is no JSON object.
pub fn without_ids_and_timings(text: &str) -> anyhow::Result<String> {
    let mut value: Value = serde_json::from_str(text).context("the answer is no JSON")?;
    let fields = value.as_object_mut().context("the answer is no JSON object")?;
    for name in ["diagnosis_id", "seconds"] {
        fields.remove(name).with_context(|| format!("the answer has no {name}"))?;
    }
    Ok(serde_json::to_string_pretty(&value)?)
}
