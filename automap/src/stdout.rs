//! Standard output belongs to results; everything else goes to standard error.

use std::io::Write as _;

use serde::Serialize;

use crate::failure::Failure;

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

/// Tells the person something that is no result.
pub fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    writeln!(std::io::stderr(), "{text}").ok();
}
