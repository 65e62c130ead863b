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
pub fn read(field: &str, file: &Path) -> Result<String, String> {
    let wrong = |problem: &dyn std::fmt::Display| format!("{field}: {} {problem}", file.display());
    let text =
        std::fs::read_to_string(file).map_err(|error| wrong(&format_args!("cannot be read: {error}")))?;
    let secret = text.trim();
    if secret.is_empty() || secret.len() > MAX_BYTES {
        return Err(wrong(&"holds no secret of 1 to 16384 bytes"));
    }
    Ok(secret.to_owned())
}

/// What somebody said, without the secrets that he may repeat: those given, and what stands after a scheme's name.
pub fn hidden(said: &str, secrets: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut said = said.to_owned();
    for secret in secrets {
        if !secret.as_ref().is_empty() {
            said = said.replace(secret.as_ref(), HIDDEN);
        }
    }
    for scheme in ["Bearer ", "Basic "] {
        let mut from = 0;
        while let Some(found) = said[from..].find(scheme) {
            let start = from + found + scheme.len();
            let end = said[start..].find(|c: char| c.is_whitespace() || "\"',;)".contains(c));
            said.replace_range(start..end.map_or(said.len(), |end| start + end), HIDDEN);
            from = start + HIDDEN.len();
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_end_and_an_empty_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("key");
        std::fs::write(&file, "k3y\n").unwrap();
        assert_eq!(read("routing-key-file", &file).unwrap(), "k3y");
        for wrong in ["\n".to_owned(), "x".repeat(MAX_BYTES + 1)] {
            std::fs::write(&file, wrong).unwrap();
            let refused = read("routing-key-file", &file).unwrap_err();
            assert!(
                refused.starts_with("routing-key-file: ") && refused.contains("holds no secret"),
                "{refused}"
            );
        }
        assert!(read("url-file", &home.path().join("none")).unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn what_is_repeated_is_hidden() {
        assert_eq!(hidden("no user secret here; secret?", ["secret", ""]), "no user *** here; ***?");
        let none: [&str; 0] = [];
        assert_eq!(
            hidden("unknown token \"Bearer old\", or Basic bTpzZWNyZXQ=", none),
            "unknown token \"Bearer ***\", or Basic ***"
        );
        assert_eq!(hidden("Bearer ", none), "Bearer ***");
    }
}
