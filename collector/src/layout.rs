//! How the columns of a recording are named, and what a metrics file is said to be.

use automap_proto::{
    frame::check_name,
    invalid::{Invalid, did_you_mean},
    time::TimeGrid,
    v1,
};

use crate::error::CollectError;

/// The naming of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingLayout {
    /// `timestamp`, then `<service>_<metric>` split at the last underscore.
    Automap,
    /// RCAEval: `time`, then `<service>_<metric>` with RCAEval's metric names.
    Rcaeval,
}

impl RecordingLayout {
    /// Name of the column that holds unix seconds.
    pub const fn time_column(self) -> &'static str {
        match self {
            Self::Automap => "timestamp",
            Self::Rcaeval => "time",
        }
    }

    /// Tells the layout by the time column of a header. `timestamp` wins where both are there.
    ///
    /// # Errors
    /// There is neither; the sentence names the nearest column.
    pub(crate) fn detect(file: &str, header: &[String]) -> Result<Self, CollectError> {
        [Self::Automap, Self::Rcaeval]
            .into_iter()
            .find(|layout| header.iter().any(|name| name == layout.time_column()))
            .ok_or_else(|| no_time_column(file, Self::Automap, header))
    }

    /// Decodes the wire value of `field`; unspecified means that the header decides.
    ///
    /// # Errors
    /// The value is unknown.
    pub fn from_wire(field: &str, value: i32) -> Result<Option<Self>, Invalid> {
        match v1::RecordingLayout::try_from(value) {
            Ok(v1::RecordingLayout::Unspecified) => Ok(None),
            Ok(v1::RecordingLayout::Automap) => Ok(Some(Self::Automap)),
            Ok(v1::RecordingLayout::Rcaeval) => Ok(Some(Self::Rcaeval)),
            Err(_) => Err(Invalid::new(
                field,
                format!("{value} is no layout of a recording; send 0 to let the header decide"),
            )),
        }
    }

    /// The wire value.
    pub const fn to_wire(self) -> v1::RecordingLayout {
        match self {
            Self::Automap => v1::RecordingLayout::Automap,
            Self::Rcaeval => v1::RecordingLayout::Rcaeval,
        }
    }
}

/// The sentence for a header without the time column of `layout`.
pub(crate) fn no_time_column(file: &str, layout: RecordingLayout, header: &[String]) -> CollectError {
    let wanted = layout.time_column();
    let first = header.first().map_or("", String::as_str);
    let hint = match header {
        [only] if only.contains([';', '\t']) => "; separate columns by commas".to_owned(),
        _ => match did_you_mean(wanted, header.iter().map(String::as_str)) {
            Some(near) => format!("; is it the column {near:?}? then rename it"),
            None => format!("; the first column is {first:?}"),
        },
    };
    CollectError::malformed(format!("{file} line 1: there is no column `{wanted}` of unix seconds{hint}"))
}

/// What a metrics file is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingDescription {
    layout: Option<RecordingLayout>,
    file_name: String,
    step_ms: Option<u64>,
}

impl RecordingDescription {
    /// Name of a file that has none.
    pub const DEFAULT_FILE_NAME: &str = "metrics.csv";

    /// `file_name` is what messages call the file; empty means `metrics.csv`. Without `layout` the header decides,
    /// without `step_ms` the median distance of two timestamps.
    ///
    /// # Errors
    /// The name is no name, or the step is zero or longer than 366 days.
    pub fn new(
        layout: Option<RecordingLayout>,
        file_name: impl Into<String>,
        step_ms: Option<u64>,
    ) -> Result<Self, Invalid> {
        let mut file_name = file_name.into();
        if file_name.is_empty() {
            file_name = Self::DEFAULT_FILE_NAME.into();
        }
        check_name("description.file_name", &file_name)?;
        if step_ms.is_some_and(|step| !(1..=TimeGrid::MAX_STEP_MS).contains(&step)) {
            return Err(Invalid::new("description.step_ms", "must lie between one millisecond and 366 days"));
        }
        Ok(Self { layout, file_name, step_ms })
    }

    /// The naming of columns, where it was told.
    pub const fn layout(&self) -> Option<RecordingLayout> {
        self.layout
    }

    /// What messages call the file.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The sampling step in milliseconds, where it was told.
    pub const fn step_ms(&self) -> Option<u64> {
        self.step_ms
    }
}

impl TryFrom<&v1::RecordingDescription> for RecordingDescription {
    type Error = Invalid;

    fn try_from(wire: &v1::RecordingDescription) -> Result<Self, Invalid> {
        Self::new(
            RecordingLayout::from_wire("description.layout", wire.layout)?,
            &wire.file_name,
            (wire.step_ms > 0).then_some(wire.step_ms),
        )
    }
}

impl From<&RecordingDescription> for v1::RecordingDescription {
    fn from(description: &RecordingDescription) -> Self {
        Self {
            layout: description
                .layout
                .map_or(v1::RecordingLayout::Unspecified, RecordingLayout::to_wire)
                .into(),
            file_name: description.file_name.clone(),
            step_ms: description.step_ms.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn the_time_column_tells_the_layout_wherever_it_stands() {
        let detect = |names: &[&str]| RecordingLayout::detect("m.csv", &header(names));
        assert_eq!(detect(&["a_cpu", "timestamp"]), Ok(RecordingLayout::Automap));
        assert_eq!(detect(&["time", "a_cpu"]), Ok(RecordingLayout::Rcaeval));
        assert_eq!(detect(&["time", "timestamp"]), Ok(RecordingLayout::Automap));
    }

    #[test]
    fn a_header_without_time_says_what_was_likely_meant() {
        let sentence =
            |names: &[&str]| RecordingLayout::detect("m.csv", &header(names)).unwrap_err().to_string();
        assert_eq!(
            sentence(&["Time_stamp", "a_cpu"]),
            "m.csv line 1: there is no column `timestamp` of unix seconds; is it the column \"Time_stamp\"? then rename it"
        );
        assert!(sentence(&["a_cpu"]).ends_with("the first column is \"a_cpu\""));
        assert!(sentence(&["timestamp;a_cpu"]).ends_with("separate columns by commas"));
    }

    #[test]
    fn descriptions_survive_the_wire_and_bad_ones_are_refused_by_field() {
        let description =
            RecordingDescription::new(Some(RecordingLayout::Rcaeval), "x.csv", Some(5000)).unwrap();
        let wire = v1::RecordingDescription::from(&description);
        assert_eq!(RecordingDescription::try_from(&wire), Ok(description));
        let unnamed = RecordingDescription::try_from(&v1::RecordingDescription::default()).unwrap();
        assert_eq!(unnamed.file_name(), "metrics.csv");
        for (layout, file_name, step_ms, field) in [
            (7, "x", 0, "description.layout"),
            (0, "a\nb", 0, "description.file_name"),
            (0, "x", u64::MAX, "description.step_ms"),
        ] {
            let wire = v1::RecordingDescription { layout, file_name: file_name.into(), step_ms };
            assert_eq!(RecordingDescription::try_from(&wire).unwrap_err().field(), field);
        }
    }
}
