//! Dotted keys. An element of a list is told by its place, counted from 0: `walker.alerts.rules[0].source`.

use serde_json::Value;

/// The names of a key from the outermost table on, each with the place of an element where it names one of a list.
pub(super) fn parts(key: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
    key.split('.').map(|part| {
        let element = part.strip_suffix(']').and_then(|part| part.split_once('['));
        match element.and_then(|(name, place)| Some((name, place.parse().ok()?))) {
            Some((name, place)) => (name, Some(place)),
            None => (part, None),
        }
    })
}

/// What `key` stands in: the list of an element, else the table around it; `None` for an outermost one.
pub(super) fn around(key: &str) -> Option<&str> {
    let list = key.strip_suffix(']').and_then(|key| key.rsplit_once('['));
    list.or_else(|| key.rsplit_once('.')).map(|(around, _)| around)
}

/// The key of a path into `values`, whose parts are names and, within lists, places.
pub(super) fn of_path(path: &[String], values: &Value) -> String {
    let mut key = String::new();
    let mut within = Some(values);
    for part in path {
        within = match within {
            Some(Value::Array(list)) => {
                key = format!("{key}[{part}]");
                part.parse::<usize>().ok().and_then(|place| list.get(place))
            }
            other => {
                key = if key.is_empty() { part.clone() } else { format!("{key}.{part}") };
                other.and_then(|table| table.get(part.as_str()))
            }
        };
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_lists_are_told_by_their_place() {
        let key = "walker.rules[12].where.a[b].c[]";
        let found: Vec<_> = parts(key).collect();
        let wanted = [("walker", None), ("rules", Some(12)), ("where", None), ("a[b]", None), ("c[]", None)];
        assert_eq!(found, wanted);
        let ways: Vec<_> = std::iter::successors(Some("walker.rules[1].where"), |key| around(key)).collect();
        assert_eq!(ways, ["walker.rules[1].where", "walker.rules[1]", "walker.rules", "walker"]);
    }

    #[test]
    fn a_number_is_a_place_in_a_list_and_a_name_in_a_table() {
        let values = serde_json::json!({"rules": [{"0": "x"}], "sources": {"0": {}}});
        let of =
            |path: &[&str]| of_path(&path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>(), &values);
        assert_eq!(of(&["rules", "0", "0"]), "rules[0].0");
        assert_eq!(of(&["sources", "0", "url"]), "sources.0.url");
        assert_eq!(of(&["rules", "1", "where"]), "rules[1].where");
    }
}
