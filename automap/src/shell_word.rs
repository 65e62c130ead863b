//! Names and paths in commands that a person is told to paste into a shell.

use std::borrow::Cow;

/// What every shell takes as it stands.
const PLAIN: &str = "-_./:@%+,";

/// `word` as one word of a POSIX shell that expands nothing in it: as it is where it is plain, else in single quotes.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || PLAIN.contains(one);
    if !word.is_empty() && word.chars().all(is_plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for word in ["cart", "a b", "$(reboot)", "`x`;y", "it's", "", "~", "*", "\\", "\"", "ü&|<>", "=ls"] {
            let script = format!("printf %s {}", shell_word(word));
            let read = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(read.stdout).unwrap(), word, "{script}");
        }
        assert_eq!(shell_word("/var/lib/a-b_c.1"), "/var/lib/a-b_c.1");
    }
}
