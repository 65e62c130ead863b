//! Many names in one sentence.

/// Names that a sentence lists before it only counts the rest.
const SHOWN: usize = 5;

/// Longest name that a list shows whole, bytes; those of services are never longer.
const NAME_BYTES: usize = 300;

/// Longest sentence that is passed on, bytes: a call that fails has room for some thousand.
const SENTENCE_BYTES: usize = 1500;

/// A sentence that quotes what others wrote, cut where it is longer than a caller can be told.
pub(crate) fn cut_sentence(text: String) -> String {
    cut(text, SENTENCE_BYTES)
}

/// `text` where it has at most so many bytes, else its beginning and `…`.
pub(crate) fn cut(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

/// `a, b and 7 more`. Sorts, so that the sentence does not depend on the order of columns.
pub(crate) fn list(mut names: Vec<String>) -> String {
    names.sort_unstable();
    let rest = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let names: Vec<String> = names.into_iter().map(|name| cut(name, NAME_BYTES)).collect();
    let shown = names.join(", ");
    if rest == 0 { shown } else { format!("{shown} and {rest} more") }
}

/// `1 column`, `2 columns`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_sorted_and_cut() {
        let names = |count: usize| (0..count).rev().map(|index| format!("n{index}")).collect();
        assert_eq!(list(names(2)), "n0, n1");
        assert_eq!(list(names(7)), "n0, n1, n2, n3, n4 and 2 more");
        assert_eq!(list(vec!["ä".repeat(500)]), "ä".repeat(150) + "…");
        assert_eq!(cut("ää".into(), 3), "ä…");
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(0, "row"), "0 rows");
    }
}
