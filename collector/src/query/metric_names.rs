//! Which metrics an expression reads.

use std::collections::BTreeSet;

/// Words before a list of labels in parentheses.
const BEFORE_LABELS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Other words of the language and of MetricsQL, and numbers that are words.
const WORDS: [&str; 13] = [
    "and",
    "or",
    "unless",
    "offset",
    "bool",
    "atan2",
    "inf",
    "nan",
    "default",
    "if",
    "ifnot",
    "limit",
    "keep_metric_names",
];

/// Names of metrics that `expression` reads, also those that a selector names by `__name__`: what must exist for the expression
/// to answer.
pub(crate) fn metric_names(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression;
    let begins = |letter: char| is_start(letter) || letter.is_ascii_digit() || "\"'`{[$".contains(letter);
    while let Some(start) = rest.find(begins) {
        let found = &rest[start..];
        rest = match found.chars().next() {
            Some(quote @ ('"' | '\'' | '`')) => after_string(found, quote),
            Some('{') => after_selector(found, &mut names),
            // A variable, such as $window.
            Some('$') => found[1..].trim_start_matches(is_part),
            // Durations, and the ends of a range.
            Some('[') => found.split_once(']').map_or("", |(_, after)| after),
            Some(digit) if digit.is_ascii_digit() => {
                found.trim_start_matches(|letter: char| is_part(letter) || letter == '.')
            }
            _ => after_word(found, &mut names),
        };
    }
    names
}

/// What follows the word that `text` begins with, which may be the name of a metric.
fn after_word<'t>(text: &'t str, names: &mut BTreeSet<String>) -> &'t str {
    let end = text.find(|letter: char| !is_part(letter)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    let is = |words: &[&str], word: &str| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    let next = after.trim_start();
    if is(&BEFORE_LABELS, word) {
        let labels = next.strip_prefix('(').and_then(|labels| labels.split_once(')'));
        return labels.map_or(after, |(_, after)| after);
    }
    let following = &next[..next.find(|letter: char| !is_part(letter)).unwrap_or(next.len())];
    let aggregates = is(&["by", "without"], following);
    if !is(&WORDS, word) && !aggregates && !next.starts_with('(') {
        names.insert(word.to_owned());
    }
    after
}

/// What follows the selector that `text` begins with; metrics that it names are added.
fn after_selector<'t>(text: &'t str, names: &mut BTreeSet<String>) -> &'t str {
    let mut rest = &text[1..];
    while let Some(start) = rest.find(|letter: char| is_start(letter) || "\"'`}".contains(letter)) {
        let found = &rest[start..];
        rest = match found.chars().next() {
            Some('}') => return &found[1..],
            Some(quote @ ('"' | '\'' | '`')) => after_string(found, quote),
            _ => {
                let end = found.find(|letter: char| !is_part(letter)).unwrap_or(found.len());
                let (label, after) = found.split_at(end);
                if label == "__name__" {
                    names.extend(named_by_selector(after));
                }
                after
            }
        };
    }
    ""
}

const fn is_start(letter: char) -> bool {
    letter.is_ascii_alphabetic() || letter == '_' || letter == ':'
}

const fn is_part(letter: char) -> bool {
    is_start(letter) || letter.is_ascii_digit()
}

/// What follows a string that `text` begins with, in these quotes.
fn after_string(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = quote != '`',
            letter if letter == quote => return &text[index + 1..],
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
        assert_eq!(names("app_cpu"), ["app_cpu"]);
        assert_eq!(
            names(
                "SUM(app_cpu) BY (pod) / ignoring (x, y) group_left (z) limits unless on () up offset 5m > bool 1e3"
            ),
            ["app_cpu", "limits", "up"]
        );
        assert_eq!(
            names("sum without (a) (b {c='d', e=`\\`}) + 0x1f * max_over_time(f[1h:5m] @ start()) - Inf"),
            ["b", "f"]
        );
        assert_eq!(
            names("histogram_quantile(0.99, sum by (le, service) (rate(x_bucket[$window])))"),
            ["x_bucket"]
        );
        assert_eq!(
            names("a_total offset $window default b if c ifnot d limit 5"),
            ["a_total", "b", "c", "d"]
        );
        assert_eq!(names("rate(a_total[5m]) keep_metric_names"), ["a_total"]);
        assert!(names("vector(1)").is_empty());
        assert!(names("\"unclosed").is_empty());
    }
}
