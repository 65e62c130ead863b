//! How deep a JSON text is nested, without reading it.

/// The deepest nesting of objects and lists in `text`; brackets in strings do not count. Linear, without recursion.
pub(super) fn depth(text: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_outside_of_strings_only() {
        assert_eq!(depth(b""), 0);
        assert_eq!(depth(br#"{"a": [1, {"b": []}], "c": {}}"#), 4);
        assert_eq!(depth(br#"{"a": "[[[[\"[[[[\\"}"#), 1);
        assert_eq!(depth(&[b'['; 1000]), 1000);
        assert_eq!(depth(b"]]]]["), 1);
    }
}
