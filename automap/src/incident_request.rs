//! What is known of a recorded incident: from its files, overridden by flags.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use automap_client::Upload;
use automap_collector::{
    call_graph,
    error::CollectError,
    query::config::Step,
    recording::{self, RecordingFiles},
};
use automap_proto::{incident::IncidentContext, time::UnixMillis, v1};
use automap_walker::report::verdict::moment;

use crate::{
    arguments::IncidentArgs, failure::Failure, piped_metrics::PipedMetrics, remembered::GuessedSystem, stdout,
};

/// What a file packed by gzip begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A recording with all that a diagnosis needs to know.
#[derive(Debug, Clone)]
pub struct IncidentRequest {
    metrics_file: PathBuf,
    edges_file: Option<PathBuf>,
    description: v1::RecordingDescription,
    context: IncidentContext,
    guessed: Option<GuessedSystem>,
}

impl IncidentRequest {
    /// Reads the files around the metrics at `path`, and of the metrics file only the header. Flags override what the
    /// files say.
    ///
    /// # Errors
    /// A file is missing or malformed, or neither files nor flags name the front end and the start of the anomaly.
    pub fn new(path: &Path, args: &IncidentArgs) -> Result<Self, Failure> {
        refuse_packed(path, &path.display().to_string(), "gunzip --keep")?;
        Self::of_files(recording::describe(path)?, args)
    }

    /// The same of metrics that came through a pipe and must stay until the request was carried out: flags tell the rest.
    ///
    /// # Errors
    /// They are malformed, or flags do not name the front end and the start of the anomaly.
    pub fn of_pipe(metrics: &PipedMetrics, args: &IncidentArgs) -> Result<Self, Failure> {
        refuse_packed(metrics.path(), metrics.shown(), "zcat FILE | automap diagnose -")?;
        Self::of_files(recording::describe_lone(metrics.path(), metrics.shown())?, args)
    }

    fn of_files(mut files: RecordingFiles, args: &IncidentArgs) -> Result<Self, Failure> {
        apply_flags(&mut files, args)?;
        for warning in files.warnings.iter().chain(&files.misread()) {
            stdout::warning(warning);
        }
        let description = files.description()?;
        let known = files.context.clone();
        let front_end = known.front_end.ok_or_else(|| unknown("the front end", "--front-end SERVICE"))?;
        let start =
            known.anomaly_start.ok_or_else(|| unknown("the start of the anomaly", "--anomaly-start TIME"))?;
        if let Some(end) = known.anomaly_end.filter(|end| *end < start) {
            return Err(Failure::Usage(format!(
                "the incident would end at {} before it starts at {}; set --anomaly-start or --anomaly-end",
                moment(end),
                moment(start)
            )));
        }
        let guessed = match &known.system {
            None => Some(GuessedSystem::Default),
            Some(_) => files.system_guessed.then_some(GuessedSystem::Directory),
        };
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
            guessed,
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

    /// Why it counts to its system, where neither files nor flags name one.
    pub const fn guessed_system(&self) -> Option<GuessedSystem> {
        self.guessed
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

/// Refuses a packed file, which messages call `shown`, with the command that unpacks it.
fn refuse_packed(path: &Path, shown: &str, unpacking: &str) -> Result<(), Failure> {
    // What is not there, or is no file, is told by who reads it.
    if !path.is_file() {
        return Ok(());
    }
    let mut first = [0; 2];
    let is_packed =
        fs::File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok() && first == GZIP;
    if is_packed {
        return Err(Failure::Usage(format!("{shown}: is compressed; unpack it first, as by {unpacking}")));
    }
    Ok(())
}

fn apply_flags(files: &mut RecordingFiles, args: &IncidentArgs) -> Result<(), Failure> {
    let context = &mut files.context;
    if let Some(front_end) = &args.front_end {
        context.front_end = Some(front_end.clone());
    }
    if let Some(system) = &args.system {
        context.system = Some(system.clone());
        files.system_guessed = false;
    }
    if let Some(start) = &args.anomaly_start {
        context.anomaly_start = Some(parse_time("--anomaly-start", start)?);
    }
    if let Some(end) = &args.anomaly_end {
        context.anomaly_end = Some(parse_time("--anomaly-end", end)?);
    }
    if let Some(step) = &args.step {
        context.step_ms = parse_step(step)?;
    }
    if let Some(file) = &args.call_graph {
        context.call_graph = Some(call_graph::read_csv(file)?);
    }
    Ok(())
}

/// Milliseconds of a step such as 15s; `None` for `auto`, which is found in the metrics.
pub(crate) fn parse_step(text: &str) -> Result<Option<u64>, Failure> {
    match text.parse::<Step>() {
        Ok(Step::Fixed(milliseconds)) => Ok(Some(milliseconds)),
        Ok(Step::Auto) => Ok(None),
        Err(invalid) => Err(Failure::Usage(format!("--step: {}", invalid.problem()))),
    }
}

/// Unix seconds, or a time with its offset such as 2026-03-01T10:20:00Z.
pub(crate) fn parse_time(flag: &str, text: &str) -> Result<UnixMillis, Failure> {
    recording::parse_instant(text).map_err(|problem| Failure::Usage(format!("{flag} {text}: {problem}")))
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
    fn a_step_is_a_duration_or_seconds() {
        for (text, milliseconds) in [("15s", 15_000), ("15", 15_000), ("0.5", 500), ("1m30s", 90_000)] {
            assert_eq!(parse_step(text).unwrap(), Some(milliseconds));
        }
        assert_eq!(parse_step("auto").unwrap(), None);
        for wrong in ["0", "-1", "15 seconds", "", "nan", "400d", "5x"] {
            let error = parse_step(wrong).unwrap_err();
            assert!(matches!(&error, Failure::Usage(text) if text.starts_with("--step")), "{error}");
        }
    }

    #[test]
    fn times_are_unix_seconds_or_carry_their_offset() {
        assert_eq!(parse_time("--t", "2026-03-01T10:00:00Z").unwrap(), UnixMillis(1_772_359_200_000));
        let error = parse_time("--t", "1772359200000").unwrap_err();
        assert!(
            matches!(&error, Failure::Usage(text) if text.starts_with("--t 1772359200000: is no time in unix seconds")),
            "{error}"
        );
    }
}
