//! What is known of a recorded incident: from its files, overridden by flags.

use std::path::{Path, PathBuf};

use automap_client::Upload;
use automap_collector::{
    call_graph,
    error::CollectError,
    recording::{self, RecordingFiles},
};
use automap_proto::{incident::IncidentContext, time::UnixMillis, v1};

use crate::{arguments::IncidentArgs, failure::Failure, stdout};

/// A recording with all that a diagnosis needs to know.
#[derive(Debug, Clone)]
pub struct IncidentRequest {
    metrics_file: PathBuf,
    edges_file: Option<PathBuf>,
    description: v1::RecordingDescription,
    context: IncidentContext,
}

impl IncidentRequest {
    /// Reads the files around the metrics at `path`, and of the metrics file only the header. Flags override what the
    /// files say.
    ///
    /// # Errors
    /// A file is missing or malformed, or neither files nor flags name the front end and the start of the anomaly.
    pub fn new(path: &Path, args: &IncidentArgs) -> Result<Self, Failure> {
        let mut files = recording::describe(path)?;
        apply_flags(&mut files, args)?;
        for warning in &files.warnings {
            stdout::warning(warning);
        }
        let description = files.description()?;
        let known = files.context.clone();
        let front_end = known.front_end.ok_or_else(|| unknown("the front end", "--front-end SERVICE"))?;
        let start =
            known.anomaly_start.ok_or_else(|| unknown("the start of the anomaly", "--anomaly-start TIME"))?;
        let system = known.system.unwrap_or_else(|| "default".into());
        let context = IncidentContext::new(
            system,
            front_end,
            start,
            known.anomaly_end,
            known.excluded,
            known.call_graph,
        )?
        .with_late_alert(args.late_alert);
        Ok(Self {
            metrics_file: files.metrics_file().to_owned(),
            edges_file: args.edges.clone().or_else(|| files.edges_file().map(Path::to_owned)),
            description: v1::RecordingDescription::from(&description),
            context,
        })
    }

    /// The same incident with other knowledge of it, and another file of the same layout.
    pub fn with(self, context: IncidentContext, metrics_file: PathBuf) -> Self {
        Self { context, metrics_file, ..self }
    }

    /// The metrics file.
    pub fn metrics_file(&self) -> &Path {
        &self.metrics_file
    }

    /// How the metrics file is to be read.
    pub const fn description(&self) -> &v1::RecordingDescription {
        &self.description
    }

    /// The incident.
    pub const fn context(&self) -> &IncidentContext {
        &self.context
    }

    /// What is uploaded to have the incident diagnosed.
    pub fn into_upload(self, settings: v1::DiagnosisSettings) -> Upload {
        let incident = v1::RecordedIncident {
            description: Some(self.description),
            context: Some((&self.context).into()),
            settings: Some(settings),
        };
        Upload { incident, metrics_file: self.metrics_file, edges_file: self.edges_file }
    }
}

fn apply_flags(files: &mut RecordingFiles, args: &IncidentArgs) -> Result<(), Failure> {
    let context = &mut files.context;
    if let Some(front_end) = &args.front_end {
        context.front_end = Some(front_end.clone());
    }
    if let Some(system) = &args.system {
        context.system = Some(system.clone());
    }
    if let Some(start) = &args.anomaly_start {
        context.anomaly_start = Some(parse_time("--anomaly-start", start)?);
    }
    if let Some(end) = &args.anomaly_end {
        context.anomaly_end = Some(parse_time("--anomaly-end", end)?);
    }
    if let Some(step) = args.step {
        let milliseconds = (step * 1000.0).round();
        if !(1.0..=1e15).contains(&milliseconds) {
            return Err(Failure::Usage(format!("--step {step}: must be at least 0.001 seconds")));
        }
        context.step_ms = Some(milliseconds as u64);
    }
    if let Some(file) = &args.call_graph {
        context.call_graph = Some(call_graph::read_csv(file)?);
    }
    Ok(())
}

/// Unix seconds, or a time with its offset such as 2026-03-01T10:20:00Z.
pub(crate) fn parse_time(flag: &str, text: &str) -> Result<UnixMillis, Failure> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok(UnixMillis::from_seconds(flag, seconds)?);
    }
    let wrong = || {
        Failure::Usage(format!(
            "{flag} {text}: use unix seconds or a time with its offset such as 2026-03-01T10:20:00Z"
        ))
    };
    text.parse::<jiff::Timestamp>().map(|time| UnixMillis(time.as_millisecond())).map_err(|_| wrong())
}

fn unknown(what: &str, flag: &str) -> Failure {
    Failure::Usage(format!("{what} is not known: the recording does not say, so name it with {flag}"))
}

impl From<CollectError> for Failure {
    fn from(error: CollectError) -> Self {
        Self::Failed(anyhow::Error::new(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_carry_their_offset() {
        assert_eq!(parse_time("--t", "1661270702.5").unwrap(), UnixMillis(1_661_270_702_500));
        assert_eq!(parse_time("--t", "2026-03-01T10:00:00Z").unwrap(), UnixMillis(1_772_359_200_000));
        assert_eq!(parse_time("--t", "2026-03-01T11:00:00+01:00").unwrap(), UnixMillis(1_772_359_200_000));
        for wrong in ["yesterday", "2026-03-01T10:00:00", "inf", ""] {
            assert!(matches!(parse_time("--t", wrong), Err(Failure::Usage(_))), "{wrong}");
        }
    }
}
