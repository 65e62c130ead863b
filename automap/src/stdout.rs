//! Standard output belongs to results; everything else goes to standard error.

use std::io::Write as _;

use serde::Serialize;

use crate::{failure::Failure, verbosity::Verbosity};

/// Prints a result.
///
/// # Errors
/// Standard output is closed or full.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()?;
    Ok(())
}

/// Prints a result as JSON, indented, with a line end.
///
/// # Errors
/// Standard output is closed or full.
pub fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(anyhow::Error::new)?;
    text.push('\n');
    print(&text)
}

/// Tells the person something that is no result, unless only errors are wanted.
pub fn note(text: &str) {
    if Verbosity::chosen() > Verbosity::Quiet {
        write_to_stderr(text);
    }
}

/// Tells the person what an answer rests on, unless only errors are wanted.
pub fn warning(text: &str) {
    note(&format!("warning: {text}"));
}

/// Tells the person what is needed and does not belong to the result, even if only errors are wanted.
pub fn aside(text: &str) {
    write_to_stderr(text);
}

/// Tells the person why there is no answer.
pub fn error(text: &str) {
    write_to_stderr(&format!("error: {text}"));
}

fn write_to_stderr(text: &str) {
    // Nobody is left to tell when standard error is closed.
    writeln!(std::io::stderr(), "{text}").ok();
}
