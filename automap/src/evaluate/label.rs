//! The answer to a recorded incident. Only the evaluator opens it.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

/// Name of the file.
pub const LABEL_FILE: &str = "label.json";

/// Who was at fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Label {
    /// One or several services.
    pub root_cause_services: Vec<String>,
}

impl Label {
    /// Reads the label of an incident directory.
    ///
    /// # Errors
    /// The file is missing, no JSON, or names no service.
    pub fn read(incident: &Path) -> anyhow::Result<Self> {
        let path = incident.join(LABEL_FILE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut label: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is no label", path.display()))?;
        label.root_cause_services.sort_unstable();
        label.root_cause_services.dedup();
        anyhow::ensure!(
            !label.root_cause_services.is_empty(),
            "{}: root_cause_services names no service",
            path.display()
        );
        Ok(label)
    }
}
