//! `call_graph.csv`: who calls whom.

use std::path::Path;

use automap_proto::{call_graph::CallGraph, frame::check_name};
use csv::ReaderBuilder;

use crate::{bounded_lines::BoundedLines, error::CollectError, recording::SourceFile};

/// The columns that must be there; others are ignored.
const COLUMNS: [&str; 2] = ["caller", "callee"];

/// Reads a call graph from a CSV file with the columns `caller` and `callee`.
///
/// # Errors
/// There is no such file, a column is missing, or a row names no service; the sentence names file and line.
pub fn read_csv(path: &Path) -> Result<CallGraph, CollectError> {
    let shown = path.display();
    match SourceFile::find(path, shown.to_string(), None)? {
        Some(file) => read_file(&file),
        None => Err(CollectError::reading(shown, &std::io::ErrorKind::NotFound.into())),
    }
}

pub(crate) fn read_file(file: &SourceFile) -> Result<CallGraph, CollectError> {
    let text = file.text()?;
    let shown = &file.shown;
    let malformed =
        |line: u64, problem: String| CollectError::malformed(format!("{shown} line {line}: {problem}"));
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(BoundedLines::new(text.as_bytes(), usize::MAX));
    let mut record = csv::StringRecord::new();
    let mut places: Option<[usize; 2]> = None;
    let mut calls = Vec::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| CollectError::malformed(format!("{shown}: {error}")))?
    {
        let line = reader.position().line().saturating_sub(1).max(1);
        let Some([caller, callee]) = places else {
            places = Some(
                find_columns(&record)
                    .ok_or_else(|| malformed(line, "the header must be caller,callee".to_owned()))?,
            );
            continue;
        };
        let mut names = [String::new(), String::new()];
        for ((name, position), column) in names.iter_mut().zip([caller, callee]).zip(COLUMNS) {
            let cell = record.get(position).unwrap_or_default();
            check_name(column, cell).map_err(|error| {
                malformed(line, format!("the {column} {}; write caller,callee", error.problem()))
            })?;
            *name = cell.to_owned();
        }
        let [caller_name, callee_name] = names;
        calls.push((caller_name, callee_name));
    }
    if places.is_none() {
        return Err(CollectError::malformed(format!(
            "{shown} is empty; its first line must be caller,callee"
        )));
    }
    Ok(CallGraph::new(calls)?)
}

fn find_columns(header: &csv::StringRecord) -> Option<[usize; 2]> {
    let place = |wanted: &str| header.iter().position(|name| name == wanted);
    Some([place(COLUMNS[0])?, place(COLUMNS[1])?])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<CallGraph, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("calls.csv");
        std::fs::write(&path, text).unwrap();
        let prefix = format!("{}/", directory.path().display());
        read_csv(&path).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    #[test]
    fn calls_are_read_whatever_the_order_of_columns_and_line_ends() {
        let graph = read("\u{feff}callee,weight,caller\r\nb,1,a\r\n\r\nc,1,b\r\nb,1,b\r\n").unwrap();
        assert_eq!(graph.calls().collect::<Vec<_>>(), [("a", "b"), ("b", "c")]);
        assert_eq!(graph.self_calls(), 1);
        assert!(read("caller,callee\n").unwrap().is_empty());
    }

    #[test]
    fn bad_rows_are_named_by_line() {
        for (text, sentence) in [
            ("", "calls.csv is empty; its first line must be caller,callee"),
            ("from,to\na,b\n", "calls.csv line 1: the header must be caller,callee"),
            ("caller,callee\na,b\n\nc\n", "calls.csv line 4: the callee is empty; write caller,callee"),
            ("caller,callee\n,b\n", "calls.csv line 2: the caller is empty; write caller,callee"),
        ] {
            assert_eq!(read(text).unwrap_err(), sentence);
        }
        let missing = read_csv(Path::new("/nowhere/calls.csv")).unwrap_err();
        assert_eq!(missing.to_string(), "/nowhere/calls.csv: there is no such file or directory");
    }
}
