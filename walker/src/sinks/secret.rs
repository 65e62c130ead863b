//! Secrets in files: read anew whenever they are needed, so that they can be renewed, and never told.

use std::path::Path;

/// Longest secret, bytes.
const MAX_BYTES: usize = 16 << 10;
/// What stands for a secret in a message.
const HIDDEN: &str = "***";

/// Reads the secret of the setting `field`; surrounding blanks and the end of the line do not count.
///
/// # Errors
/// It cannot be read, or is empty or too long; the file is named and nothing of it.
pub(super) fn read(field: &str, file: &Path) -> Result<String, String> {
    let wrong = |problem: &dyn std::fmt::Display| format!("{field}: {} {problem}", file.display());
    let text =
        std::fs::read_to_string(file).map_err(|error| wrong(&format_args!("cannot be read: {error}")))?;
    let secret = text.trim();
    if secret.is_empty() || secret.len() > MAX_BYTES {
        return Err(wrong(&"holds no secret of 1 to 16384 bytes"));
    }
    Ok(secret.to_owned())
}

/// What somebody said, without the secrets that he may repeat.
pub(super) fn hidden(said: &str, secrets: &[String]) -> String {
    secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(said.to_owned(), |said, secret| said.replace(secret.as_str(), HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_end_and_an_empty_file_is_named() {
        let home = std::env::temp_dir().join(format!("automap-secret-{}", std::process::id()));
        std::fs::write(&home, "k3y\n").unwrap();
        assert_eq!(read("routing-key-file", &home).unwrap(), "k3y");
        std::fs::write(&home, "\n").unwrap();
        let refused = read("routing-key-file", &home).unwrap_err();
        assert!(
            refused.starts_with("routing-key-file: ") && refused.contains("holds no secret"),
            "{refused}"
        );
        std::fs::remove_file(&home).unwrap();
        assert!(read("url-file", &home).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn what_is_repeated_is_hidden() {
        let secrets = ["k3y".to_owned(), String::new()];
        assert_eq!(hidden("no such key k3y; k3y?", &secrets), "no such key ***; ***?");
    }
}
