//! Which metrics an expression reads.

use std::collections::BTreeSet;

/// Names in `expression` that are followed by a selector or a range, and those that a selector names by `__name__`: the
/// metrics that must exist for the expression to answer. A bare name without braces cannot be told from a keyword or a
/// label and is passed over.
pub(crate) fn metric_names(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|letter: char| is_start(letter) || letter == '"') {
        if rest[start..].starts_with('"') {
            rest = after_string(&rest[start..]);
            continue;
        }
        let word = &rest[start..];
        let end = word.find(|letter: char| !is_part(letter)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        if name == "__name__" {
            names.extend(named_by_selector(after));
        } else if after.starts_with(['{', '[']) {
            names.insert(name.to_owned());
        }
        rest = after;
    }
    names
}

const fn is_start(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == ':'
}

const fn is_part(letter: char) -> bool {
    is_start(letter) || letter.is_ascii_digit()
}

/// What follows a string that `text` begins with.
fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[index + 1..],
            _ => {}
        }
    }
    ""
}

/// The alternatives of `=~"a|b"` or `="a"`.
fn named_by_selector(after: &str) -> Vec<String> {
    let Some(value) = after.strip_prefix("=~\"").or_else(|| after.strip_prefix("=\"")) else {
        return Vec::new();
    };
    let value = value.split('"').next().unwrap_or_default();
    value.split('|').filter(|name| !name.is_empty() && name.chars().all(is_part)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(expression: &str) -> Vec<String> {
        metric_names(expression).into_iter().collect()
    }

    #[test]
    fn metrics_are_told_from_functions_labels_and_strings() {
        assert_eq!(
            names(
                "sum by (service) (rate(a_total{status=~\"5..\\\"x{\"}[$window])) / on (pod) b{} or 0 * c:d[5m]"
            ),
            ["a_total", "b", "c:d"]
        );
        assert_eq!(names("{__name__=~\"x_count|y_count\"}"), ["x_count", "y_count"]);
        assert!(names("vector(1)").is_empty());
        assert!(names("\"unclosed").is_empty());
    }
}
