//! A recorded incident on disk.

use std::path::Path;

use automap_collector::recording;
use automap_proto::{incident::IncidentContext, invalid::Invalid, v1};

use crate::{Error, Settings, Upload};

/// The application of a recording that names none.
const DEFAULT_SYSTEM: &str = "default";

/// A directory with `metrics.csv` and what is known of its incident, or a lone metrics file.
#[derive(Debug, Clone)]
pub struct Recording {
    upload: Upload,
    warnings: Vec<String>,
}

impl Recording {
    /// Reads what the files say of the incident, and of the metrics only the header.
    ///
    /// # Errors
    /// A file is missing or malformed, or none names the front end and the start of the anomaly.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let files = recording::describe(path)?;
        let description = files.description()?;
        let known = files.context.clone();
        let missing = |field: &str| Invalid::new(field, "is not known: the recording does not say");
        let context = IncidentContext::new(
            known.system.unwrap_or_else(|| DEFAULT_SYSTEM.into()),
            known.front_end.ok_or_else(|| missing("front_end"))?,
            known.anomaly_start.ok_or_else(|| missing("anomaly_start"))?,
            known.anomaly_end,
            known.excluded,
            known.call_graph,
        )?;
        let incident = v1::RecordedIncident {
            description: Some(v1::RecordingDescription::from(&description)),
            context: Some((&context).into()),
            settings: None,
        };
        let edges_file = files.edges_file().map(Path::to_owned);
        let metrics_file = files.metrics_file().to_owned();
        Ok(Self { upload: Upload { incident, metrics_file, edges_file }, warnings: files.warnings })
    }

    /// What is odd about the files and does not keep them from being diagnosed.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What is uploaded to have it diagnosed.
    pub fn upload(&self, settings: Settings) -> Upload {
        let mut upload = self.upload.clone();
        upload.incident.settings = Some(settings);
        upload
    }
}
