//! The answer to a recorded incident. Only the evaluator opens it.

use std::path::Path;

use anyhow::Context as _;
use automap_proto::metric::MetricKind;
use serde::{Deserialize, Serialize};

/// Name of the file.
pub const LABEL_FILE: &str = "label.json";

/// Who was at fault, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// One or several services, sorted.
    pub root_cause_services: Vec<String>,
    /// The metric type at fault, where it is known.
    #[serde(default)]
    pub root_cause_metric: Option<MetricKind>,
    /// What was done to the service, where it is known.
    #[serde(default)]
    pub fault_type: Option<String>,
}

impl Label {
    /// Reads the label of an incident directory.
    ///
    /// # Errors
    /// The file is missing, no JSON, names no service, or a metric that is none of the seven types.
    pub fn read(incident: &Path) -> anyhow::Result<Self> {
        let path = incident.join(LABEL_FILE);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is no label", path.display()))
    }

    /// The label that a file says.
    ///
    /// # Errors
    /// It is no JSON, names no service, or a metric that is none of the seven types.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut label: Self = serde_json::from_str(text)?;
        label.root_cause_services.sort_unstable();
        label.root_cause_services.dedup();
        anyhow::ensure!(
            label.root_cause_services.iter().any(|service| !service.is_empty()),
            "root_cause_services names no service"
        );
        Ok(label)
    }

    /// Writes the label into an incident directory.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, incident: &Path) -> anyhow::Result<()> {
        let path = incident.join(LABEL_FILE);
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Whether `service` is a root cause.
    pub fn names(&self, service: &str) -> bool {
        self.root_cause_services.binary_search_by(|root| root.as_str().cmp(service)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Label> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(LABEL_FILE), text).unwrap();
        Label::read(home.path())
    }

    #[test]
    fn services_are_sorted_and_what_is_not_known_may_be_null_or_missing() {
        let label = read(r#"{"root_cause_services": ["b", "a", "b"], "root_cause_metric": null}"#).unwrap();
        assert_eq!(label.root_cause_services, ["a", "b"]);
        assert!(label.names("b") && !label.names("c"));
        assert_eq!((label.root_cause_metric, label.fault_type), (None, None));
        let label = read(r#"{"root_cause_services": ["a"], "root_cause_metric": "cpu", "fault_type": "x"}"#);
        let label = label.unwrap();
        assert_eq!(label.root_cause_metric, Some(MetricKind::Cpu));
        let home = tempfile::tempdir().unwrap();
        label.write(home.path()).unwrap();
        assert_eq!(Label::read(home.path()).unwrap(), label);
    }

    #[test]
    fn labels_that_answer_nothing_are_refused() {
        for (text, part) in [
            ("{}", "root_cause_services"),
            (r#"{"root_cause_services": []}"#, "names no service"),
            (r#"{"root_cause_services": ["a"], "root_cause_metric": "disk"}"#, "is no label"),
            ("cart", "is no label"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
        assert!(Label::read(Path::new("/nowhere")).is_err());
    }
}
