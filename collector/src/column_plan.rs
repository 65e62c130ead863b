//! Which columns of a metrics file are kept, decided from its header.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::metric::MetricKind;

use crate::{
    column::{ColumnMeaning, LeftOut, read_column},
    error::CollectError,
    layout::{RecordingLayout, no_time_column},
    listing::{count, list},
};

/// A column that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedColumn {
    /// Which cell of a row it is.
    pub(crate) position: usize,
    /// Its name in the header.
    pub(crate) name: String,
    pub(crate) meaning: ColumnMeaning,
}

impl PlannedColumn {
    fn service(&self) -> &str {
        match &self.meaning {
            ColumnMeaning::Series(key) => &key.service,
            ColumnMeaning::FailedRequests { service } => service,
        }
    }
}

/// What is read of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnPlan {
    /// Cells of a row.
    pub(crate) width: usize,
    /// Which cell holds the time.
    pub(crate) time: usize,
    pub(crate) layout: RecordingLayout,
    /// In the order of the file; never empty.
    pub(crate) columns: Vec<PlannedColumn>,
    /// What was left out and why.
    pub(crate) warnings: Vec<String>,
    /// Those of the warnings that tell of series which the frame will not have.
    pub(crate) left_out: Vec<String>,
    /// That the time column alone makes it a file of a layout that does not know some of its columns; also among the warnings.
    pub(crate) misread: Option<String>,
}

impl ColumnPlan {
    /// Reads the header of `file`. Without `layout` the time column tells it.
    ///
    /// # Errors
    /// There is no time column, two columns are the same, or no column is left.
    pub(crate) fn new(
        file: &str,
        layout: Option<RecordingLayout>,
        header: &[String],
    ) -> Result<Self, CollectError> {
        let layout = match layout {
            Some(layout) => layout,
            None => RecordingLayout::detect(file, header)?,
        };
        let time = find_time(file, layout, header)?;
        let mut columns = Vec::new();
        let mut unknown = Vec::new();
        let mut derived = Vec::new();
        let mut of_automap = Vec::new();
        for (position, name) in header.iter().enumerate() {
            if name == layout.time_column() {
                continue;
            }
            match read_column(layout, name) {
                Ok(meaning) => columns.push(PlannedColumn { position, name: name.clone(), meaning }),
                Err(LeftOut::Derived) => derived.push(name.clone()),
                Err(LeftOut::Unknown { .. })
                    if layout == RecordingLayout::Rcaeval
                        && read_column(RecordingLayout::Automap, name).is_ok() =>
                {
                    of_automap.push(format!("{name:?}"));
                }
                Err(LeftOut::Unknown { near: Some(near) }) => {
                    unknown.push(format!("{name:?} (did you mean {near}?)"));
                }
                Err(LeftOut::Unknown { near: None }) => unknown.push(format!("{name:?}")),
            }
        }
        refuse_columns_of_one_series(file, &columns)?;
        let misread = (!of_automap.is_empty()).then(|| {
            format!(
                "{file}: read as a file of RCAEval, because its time column is `{}`; left out {} that RCAEval's layout does \
                 not have: {}; to have them read, name the time column `{}`",
                layout.time_column(),
                count(of_automap.len(), "column"),
                list(of_automap),
                RecordingLayout::Automap.time_column(),
            )
        });
        let mut left_out: Vec<String> = misread.iter().cloned().collect();
        if !unknown.is_empty() {
            left_out.push(format!(
                "{file}: left out {} whose name is not <service>_<metric> with a known metric: {}",
                count(unknown.len(), "column"),
                list(unknown),
            ));
        }
        let mut warnings = left_out.clone();
        if !derived.is_empty() {
            warnings.push(format!(
                "{file}: left out {} of congestion, which is derived from throughput and latency: {}",
                count(derived.len(), "column"),
                list(derived),
            ));
        }
        let lonely = take_failures_without_requests(&mut columns);
        if !lonely.is_empty() {
            let without_workload = format!(
                "{file}: left out {} of errors, which tell availability only beside a workload: {}",
                count(lonely.len(), "column"),
                list(lonely),
            );
            left_out.push(without_workload.clone());
            warnings.push(without_workload);
        }
        if columns.is_empty() {
            let seen = warnings.first().map_or_else(String::new, |warning| format!(" ({warning})"));
            return Err(CollectError::malformed(format!(
                "{file} line 1: no column holds a series; name columns <service>_<metric>, such as cart_cpu or \
                 cart_latency-p99{seen}"
            )));
        }
        Ok(Self { width: header.len(), time, layout, columns, warnings, left_out, misread })
    }

    /// Names of the services that have a column, sorted.
    pub(crate) fn services(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.columns.iter().map(PlannedColumn::service).collect();
        names.into_iter().map(str::to_owned).collect()
    }
}

/// RCAEval's own files repeat their time column; there the first counts.
fn find_time(file: &str, layout: RecordingLayout, header: &[String]) -> Result<usize, CollectError> {
    let mut times = (0..header.len()).filter(|&position| header[position] == layout.time_column());
    let first = times.next().ok_or_else(|| no_time_column(file, layout, header))?;
    match times.next() {
        Some(second) if layout == RecordingLayout::Automap => Err(CollectError::malformed(format!(
            "{file} line 1: columns {} and {} are both named {}; keep one",
            first + 1,
            second + 1,
            layout.time_column()
        ))),
        _ => Ok(first),
    }
}

fn refuse_columns_of_one_series(file: &str, columns: &[PlannedColumn]) -> Result<(), CollectError> {
    let mut seen: BTreeMap<(&str, &str), &PlannedColumn> = BTreeMap::new();
    for column in columns {
        let series = match &column.meaning {
            ColumnMeaning::Series(key) => key.name.as_str(),
            ColumnMeaning::FailedRequests { .. } => MetricKind::Availability.name(),
        };
        if let Some(earlier) = seen.insert((column.service(), series), column) {
            let names = if earlier.name == column.name {
                format!(" are both named {}", column.name)
            } else {
                format!(
                    ", {} and {}, are both the {series} of {}",
                    earlier.name,
                    column.name,
                    column.service()
                )
            };
            return Err(CollectError::malformed(format!(
                "{file} line 1: columns {} and {}{names}; keep one",
                earlier.position + 1,
                column.position + 1
            )));
        }
    }
    Ok(())
}

/// Removes error columns of services without throughput and answers their names.
fn take_failures_without_requests(columns: &mut Vec<PlannedColumn>) -> Vec<String> {
    let with_requests: BTreeSet<String> = columns
        .iter()
        .filter_map(|column| match &column.meaning {
            ColumnMeaning::Series(key) if key.metric == MetricKind::Throughput => Some(key.service.clone()),
            _ => None,
        })
        .collect();
    let mut lonely = Vec::new();
    columns.retain(|column| match &column.meaning {
        ColumnMeaning::FailedRequests { service } if !with_requests.contains(service) => {
            lonely.push(column.name.clone());
            false
        }
        _ => true,
    });
    lonely
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(layout: Option<RecordingLayout>, header: &str) -> Result<ColumnPlan, CollectError> {
        let names: Vec<String> = header.split(',').map(str::to_owned).collect();
        ColumnPlan::new("m.csv", layout, &names)
    }

    #[test]
    fn unknown_columns_are_left_out_and_named() {
        let plan = plan(None, "timestamp,a_cpu,a_cpux,total,b_congestion,b_io").unwrap();
        assert_eq!(plan.columns.iter().map(|column| column.position).collect::<Vec<_>>(), [1, 5]);
        assert_eq!(plan.services(), ["a", "b"]);
        assert_eq!(
            plan.warnings,
            [
                "m.csv: left out 2 columns whose name is not <service>_<metric> with a known metric: \
                 \"a_cpux\" (did you mean cpu?), \"total\"",
                "m.csv: left out 1 column of congestion, which is derived from throughput and latency: b_congestion",
            ]
        );
        assert_eq!(
            (plan.left_out, plan.misread),
            (plan.warnings[..1].to_vec(), None),
            "congestion is not lost"
        );
    }

    #[test]
    fn a_file_of_unknown_columns_only_is_refused() {
        let error = plan(None, "timestamp,foo,bar").unwrap_err().to_string();
        assert!(error.starts_with("m.csv line 1: no column holds a series; name columns <service>_<metric>"));
        assert!(error.contains("\"bar\", \"foo\""), "{error}");
    }

    #[test]
    fn a_duplicate_column_is_named_with_both_places() {
        let error = plan(None, "timestamp,a_cpu,b_cpu,a_cpu").unwrap_err();
        assert_eq!(error.to_string(), "m.csv line 1: columns 2 and 4 are both named a_cpu; keep one");
        let error = plan(None, "timestamp,a_mem,a_memory").unwrap_err();
        assert_eq!(
            error.to_string(),
            "m.csv line 1: columns 2 and 3, a_mem and a_memory, are both the memory of a; keep one"
        );
        let error = plan(None, "timestamp,a_cpu,timestamp").unwrap_err();
        assert!(error.to_string().contains("columns 1 and 3"), "{error}");
    }

    #[test]
    fn a_repeated_time_column_of_rcaeval_is_borne() {
        let plan = plan(None, "time,a_cpu,time").unwrap();
        assert_eq!((plan.time, plan.layout), (0, RecordingLayout::Rcaeval));
        assert!(plan.warnings.is_empty());
    }

    #[test]
    fn columns_of_the_other_layout_are_left_out_for_that_reason() {
        let plan = plan(None, "time,a_availability,a_cpu,a_memory,a_cpux").unwrap();
        assert_eq!(plan.layout, RecordingLayout::Rcaeval);
        assert_eq!(
            plan.warnings,
            [
                "m.csv: read as a file of RCAEval, because its time column is `time`; left out 2 columns that RCAEval's \
                 layout does not have: \"a_availability\", \"a_memory\"; to have them read, name the time column `timestamp`",
                "m.csv: left out 1 column whose name is not <service>_<metric> with a known metric: \"a_cpux\" (did you mean \
                 cpu?)",
            ]
        );
        assert_eq!(plan.misread.as_ref(), plan.warnings.first());
        assert_eq!(plan.left_out, plan.warnings);
    }

    #[test]
    fn errors_without_a_workload_are_left_out() {
        let plan = plan(None, "time,a_error,b_error,b_workload").unwrap();
        assert_eq!(plan.services(), ["b"]);
        assert!(plan.warnings[0].ends_with("a_error"), "{:?}", plan.warnings);
    }

    #[test]
    fn a_layout_that_was_told_needs_its_own_time_column() {
        assert!(plan(Some(RecordingLayout::Rcaeval), "timestamp,a_cpu").is_err());
        assert!(plan(Some(RecordingLayout::Automap), "time,a_cpu").is_err());
    }
}
