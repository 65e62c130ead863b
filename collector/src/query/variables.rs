//! Variables in expressions: `$name` stands for a text of the preset, `$window` for the window of rates.

use std::{borrow::Cow, collections::BTreeMap};

use automap_proto::invalid::Invalid;

/// The variable that is filled in when the step is known.
const WINDOW: &str = "window";

/// Variables may stand for texts with variables; deeper than this they stand for themselves.
const DEPTH: usize = 8;

/// `text` with every variable but `$window` replaced. `$1`, a group of a regular expression, stays.
///
/// # Errors
/// A variable is unknown, or stands for itself.
pub(crate) fn fill(field: &str, text: &str, variables: &BTreeMap<String, String>) -> Result<String, Invalid> {
    let mut filled = text.to_owned();
    for _ in 0..DEPTH {
        let mut again = false;
        filled = replace(&filled, |name| {
            if name == WINDOW {
                return Ok(None);
            }
            again = true;
            variables.get(name).map(|text| Some(Cow::from(text))).ok_or_else(|| {
                let known: Vec<&str> = variables.keys().map(String::as_str).chain([WINDOW]).collect();
                Invalid::new(field, format!("names a variable ${name}; there are ${}", known.join(", $")))
            })
        })?;
        if !again {
            return Ok(filled);
        }
    }
    Err(Invalid::new(field, "names variables that stand for themselves"))
}

/// An expression whose rates look back over `milliseconds`.
pub(crate) fn with_window(expression: &str, milliseconds: u64) -> String {
    let window = duration(milliseconds);
    let filled: Result<String, std::convert::Infallible> =
        replace(expression, |name| Ok((name == WINDOW).then(|| Cow::from(window.as_str()))));
    match filled {
        Ok(text) => text,
    }
}

/// A duration of PromQL.
pub(crate) fn duration(milliseconds: u64) -> String {
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}

/// Replaces each `$name` by what `by` answers; `None` leaves it.
fn replace<'v, E>(
    text: &str,
    mut by: impl FnMut(&str) -> Result<Option<Cow<'v, str>>, E>,
) -> Result<String, E> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        replaced.push_str(before);
        let length = after
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(after.len());
        let name = &after[..length];
        let is_name = name.starts_with(|letter: char| letter.is_ascii_alphabetic());
        match if is_name { by(name)? } else { None } {
            Some(value) => replaced.push_str(value.trim()),
            None => {
                replaced.push('$');
                replaced.push_str(name);
            }
        }
        rest = &after[length..];
    }
    replaced.push_str(rest);
    Ok(replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect()
    }

    #[test]
    fn variables_stand_for_texts_with_variables_and_groups_stay() {
        let known = variables(&[("pod", "{namespace=~\"$namespace\"}"), ("namespace", ".+")]);
        let filled = fill("x", "rate(a$pod[$window]) $1", &known).unwrap();
        assert_eq!(filled, "rate(a{namespace=~\".+\"}[$window]) $1");
        assert_eq!(with_window(&filled, 60_000), "rate(a{namespace=~\".+\"}[60s]) $1");
        assert_eq!(with_window("a[$window]", 1500), "a[1500ms]");
    }

    #[test]
    fn unknown_and_circular_variables_are_refused() {
        let error = fill("expressions.cpu", "a{$pods}", &variables(&[("pod", "x")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "field `expressions.cpu`: names a variable $pods; there are $pod, $window"
        );
        let circular = variables(&[("a", "$b"), ("b", "$a")]);
        assert!(fill("x", "$a", &circular).unwrap_err().problem().contains("themselves"));
    }
}
