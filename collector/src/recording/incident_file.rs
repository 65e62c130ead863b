//! `incident.json`: what a person on call knew.

use automap_proto::{
    frame::check_name,
    invalid::did_you_mean,
    time::{TimeGrid, TimeWindow, UnixMillis},
};
use serde_json::{Map, Value};

use super::{context::PartialContext, instant::parse_instant, place::SourceFile};
use crate::error::CollectError;

/// The fields that are read.
const FIELDS: [&str; 6] =
    ["system", "front_end", "anomaly_start", "anomaly_end", "step_seconds", "exclude_intervals"];
/// A field that recordings of others have, and that is not needed: which metric of the front end alerted.
const NOT_NEEDED: &str = "front_end_metric";
/// Fields of other names that a warning lists.
const LISTED: usize = 5;

/// Reads the fields `system`, `front_end`, `anomaly_start`, `anomaly_end`, `step_seconds` and
/// `exclude_intervals`, each of which may be absent or null. Other fields are ignored with a warning, for one may be a
/// field that is read and mistyped. Times are unix seconds, or texts such as `2026-03-01T10:20:00Z`.
///
/// # Errors
/// The file is no JSON object, or a field has the wrong type or an impossible value; file and field are named.
pub(crate) fn read(file: &SourceFile, warnings: &mut Vec<String>) -> Result<PartialContext, CollectError> {
    let value: Value = serde_json::from_str(&file.text()?)
        .map_err(|error| CollectError::malformed(format!("{} is no JSON: {error}", file.shown)))?;
    let Value::Object(fields) = value else {
        return Err(CollectError::malformed(format!(
            "{} must hold one JSON object, {{\"front_end\": …}}",
            file.shown
        )));
    };
    let fields = Fields { file, fields };
    warnings.extend(fields.unknown());
    let context = PartialContext {
        system: fields.name("system")?,
        front_end: fields.name("front_end")?,
        anomaly_start: fields.instant("anomaly_start")?,
        anomaly_end: fields.instant("anomaly_end")?,
        step_ms: fields.step()?,
        excluded: fields.excluded()?,
        call_graph: None,
    };
    if let (Some(start), Some(end)) = (context.anomaly_start, context.anomaly_end) {
        TimeWindow::new("anomaly_end", start, end)
            .map_err(|error| fields.wrong(error.field(), error.problem()))?;
    }
    Ok(context)
}

struct Fields<'a> {
    file: &'a SourceFile,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn wrong(&self, field: &str, problem: &str) -> CollectError {
        CollectError::malformed(format!("{}: field `{field}`: {problem}", self.file.shown))
    }

    /// What to tell of fields that are not read.
    fn unknown(&self) -> Option<String> {
        let known = |name: &str| name == NOT_NEEDED || FIELDS.contains(&name);
        let told: Vec<String> = self
            .fields
            .keys()
            .filter(|name| !known(name))
            .map(|name| match did_you_mean(name, FIELDS) {
                Some(near) => format!("`{}` (did you mean `{near}`?)", short(name)),
                None => format!("`{}`", short(name)),
            })
            .collect();
        let (listed, more) = (told.len().min(LISTED), told.len().saturating_sub(LISTED));
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let noun = if told.len() == 1 { "field" } else { "fields" };
        (listed > 0).then(|| {
            format!("{}: unknown {noun} {}{more}: ignored", self.file.shown, told[..listed].join(", "))
        })
    }

    fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn name(&self, field: &str) -> Result<Option<String>, CollectError> {
        let Some(value) = self.get(field) else {
            return Ok(None);
        };
        let name = value
            .as_str()
            .ok_or_else(|| self.wrong(field, &format!("{} is no text in quotes", brief(value))))?;
        check_name(field, name).map_err(|error| self.wrong(field, error.problem()))?;
        Ok(Some(name.to_owned()))
    }

    fn instant(&self, field: &str) -> Result<Option<UnixMillis>, CollectError> {
        self.get(field).map(|value| self.instant_of(field, value)).transpose()
    }

    fn instant_of(&self, field: &str, value: &Value) -> Result<UnixMillis, CollectError> {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        parse_instant(&text).map_err(|problem| self.wrong(field, &format!("{} {problem}", brief(value))))
    }

    fn step(&self) -> Result<Option<u64>, CollectError> {
        const FIELD: &str = "step_seconds";
        let Some(value) = self.get(FIELD) else {
            return Ok(None);
        };
        value
            .as_f64()
            .map(|seconds| (seconds * 1000.0).round())
            .filter(|milliseconds| (1.0..=TimeGrid::MAX_STEP_MS as f64).contains(milliseconds))
            .map(|milliseconds| Some(milliseconds as u64))
            .ok_or_else(|| {
                self.wrong(FIELD, &format!("{} is no number of seconds from 0.001 to 366 days", brief(value)))
            })
    }

    fn excluded(&self) -> Result<Vec<TimeWindow>, CollectError> {
        const FIELD: &str = "exclude_intervals";
        let Some(value) = self.get(FIELD) else {
            return Ok(Vec::new());
        };
        let intervals = value
            .as_array()
            .ok_or_else(|| self.wrong(FIELD, &format!("{} is no list of [start, end]", brief(value))))?;
        intervals
            .iter()
            .enumerate()
            .map(|(index, interval)| {
                let field = format!("{FIELD}[{index}]");
                let Some([start, end]) = interval.as_array().map(Vec::as_slice) else {
                    let problem = format!("{} is no pair [start, end]", brief(interval));
                    return Err(self.wrong(&field, &problem));
                };
                let (start, end) = (self.instant_of(&field, start)?, self.instant_of(&field, end)?);
                TimeWindow::new(&field, start, end).map_err(|error| self.wrong(&field, error.problem()))
            })
            .collect()
    }
}

/// A name as a message quotes it.
fn short(name: &str) -> String {
    if name.chars().count() > 40 || name.contains(char::is_control) { "…".into() } else { name.into() }
}

/// The value as a message quotes it: short, and without what it nests.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        Value::String(text) if text.chars().count() > 40 => "a long text".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<PartialContext, CollectError> {
        warned(json).map(|(context, _)| context)
    }

    fn warned(json: &str) -> Result<(PartialContext, Vec<String>), CollectError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("incident.json");
        std::fs::write(&path, json).unwrap();
        let file = SourceFile::find(&path, "incident.json".into(), None).unwrap();
        let mut warnings = Vec::new();
        let context = read(&file.unwrap(), &mut warnings)?;
        Ok((context, warnings))
    }

    #[test]
    fn all_fields_are_read_and_others_ignored_with_a_warning() {
        let (context, warnings) = warned(
            r#"{"system": "shop", "front_end": "web", "anomaly_start": 100, "anomaly_end": 160.5, "step_seconds": 2.5,
                "exclude_intervals": [[10, 20]], "front_end_metric": "latency", "severity": {"x": [1]}}"#,
        )
        .unwrap();
        assert_eq!(warnings, ["incident.json: unknown field `severity`: ignored"]);
        assert_eq!(context.system.as_deref(), Some("shop"));
        assert_eq!(context.anomaly_start, Some(UnixMillis(100_000)));
        assert_eq!(context.anomaly_end, Some(UnixMillis(160_500)));
        assert_eq!(context.step_ms, Some(2500));
        assert_eq!(context.excluded[0].end(), UnixMillis(20_000));
        assert_eq!(parse("{}").unwrap(), PartialContext::default());
        assert_eq!(parse(r#"{"anomaly_end": null}"#).unwrap(), PartialContext::default());
    }

    #[test]
    fn a_mistyped_field_is_told_with_what_it_may_mean() {
        let (context, warnings) = warned(r#"{"frontend": "web", "anomoly_end": 9, "x": 1}"#).unwrap();
        assert_eq!(context, PartialContext::default());
        assert_eq!(
            warnings,
            [
                "incident.json: unknown fields `anomoly_end` (did you mean `anomaly_end`?), `frontend` (did you mean \
              `front_end`?), `x`: ignored"
            ]
        );
        let many: Vec<String> = (0..9).map(|one| format!("\"{}{one}\": 0", "x".repeat(50))).collect();
        let (_, warnings) = warned(&format!("{{{}}}", many.join(", "))).unwrap();
        assert_eq!(warnings, ["incident.json: unknown fields `…`, `…`, `…`, `…`, `…` and 4 more: ignored"]);
    }

    #[test]
    fn a_time_is_told_in_seconds_or_with_its_offset() {
        for start in [
            "1772361300.25",
            "\"1772361300.25\"",
            "\"2026-03-01T10:35:00.25Z\"",
            "\"2026-03-01T11:35:00.25+01:00\"",
        ] {
            let context = parse(&format!("{{\"anomaly_start\": {start}}}")).unwrap();
            assert_eq!(context.anomaly_start, Some(UnixMillis(1_772_361_300_250)), "{start}");
        }
    }

    #[test]
    fn wrong_fields_are_named_with_the_file() {
        for (json, sentence) in [
            (
                r#"{"anomaly_start": "soon"}"#,
                "incident.json: field `anomaly_start`: \"soon\" is no time; use unix seconds or a time with its offset such as \
                 2026-03-01T10:20:00Z",
            ),
            (
                r#"{"anomaly_start": 1772361300000}"#,
                "incident.json: field `anomaly_start`: 1772361300000 is no time in unix seconds, but one in milliseconds; \
                 write 1772361300",
            ),
            (
                r#"{"anomaly_end": 1e300}"#,
                "incident.json: field `anomaly_end`: 1e+300 is no time; use unix seconds or a time with its offset such as \
                 2026-03-01T10:20:00Z",
            ),
            (r#"{"front_end": 7}"#, "incident.json: field `front_end`: 7 is no text in quotes"),
            (r#"{"system": ""}"#, "incident.json: field `system`: is empty"),
            (
                r#"{"step_seconds": 0}"#,
                "incident.json: field `step_seconds`: 0 is no number of seconds from 0.001 to 366 days",
            ),
            (
                r#"{"exclude_intervals": {}}"#,
                "incident.json: field `exclude_intervals`: an object is no list of [start, end]",
            ),
            (
                r#"{"exclude_intervals": [[1, 2], [3]]}"#,
                "incident.json: field `exclude_intervals[1]`: a list is no pair [start, end]",
            ),
            (
                r#"{"exclude_intervals": [[2, 1]]}"#,
                "incident.json: field `exclude_intervals[0]`: ends at 1 before it starts at 2",
            ),
            (
                r#"{"anomaly_start": 5, "anomaly_end": 4}"#,
                "incident.json: field `anomaly_end`: ends at 4 before it starts at 5",
            ),
            ("[]", "incident.json must hold one JSON object, {\"front_end\": …}"),
        ] {
            assert_eq!(parse(json).unwrap_err().to_string(), sentence);
        }
        let error = parse("{").unwrap_err().to_string();
        assert!(error.starts_with("incident.json is no JSON: EOF"), "{error}");
    }
}
