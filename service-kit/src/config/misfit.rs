//! What does not fit a setting's type, in words that need no knowledge of types.

use automap_proto::invalid::did_you_mean;
use figment::error::{Actual, Kind};

use super::key;

/// What is wrong with a value.
pub(super) fn problem(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
            format!("is {}; it must be {}", told(found), meant(wanted))
        }
        Kind::ISizeOutOfRange(number) => format!("is {number}; it must be a smaller number"),
        Kind::USizeOutOfRange(number) => format!("is {number}; it must be a smaller number"),
        Kind::Message(text) if text == "invalid socket address syntax" => {
            "is no address with a port; write one such as 127.0.0.1:4310 or [::1]:4310, a name such as localhost is not \
             looked up"
                .into()
        }
        other => other.to_string(),
    }
}

/// What is said of `key` where the table around it takes no such name.
pub(super) fn unknown_name(key: &str, kind: &Kind) -> Option<String> {
    let Kind::UnknownField(name, known) = kind else { return None };
    let hint = did_you_mean(name, known.iter().copied()).map_or_else(
        || format!("; there are {}", known.join(", ")),
        |near| match key::around(key) {
            Some(table) => format!("; did you mean {table}.{near}?"),
            None => format!("; did you mean {near}?"),
        },
    );
    Some(format!("unknown key {key}{hint}"))
}

fn told(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        other => other.to_string(),
    }
}

fn meant(wanted: &str) -> String {
    match wanted {
        "usize" | "u128" | "u64" => "a whole number from 0 on".into(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "isize" | "i128" | "i64" | "i32" | "i16" | "i8" => "a whole number".into(),
        "f64" | "f32" => "a number".into(),
        "bool" | "a boolean" => "true or false".into(),
        "a string" | "string" | "path string" => "text in quotes".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_too_large_is_told_the_range() {
        let said = |wanted: &str, found: u64| {
            problem(&Kind::InvalidValue(Actual::Unsigned(found.into()), wanted.into()))
        };
        assert_eq!(
            said("u32", 5_000_000_000),
            "is 5000000000; it must be a whole number from 0 to 4294967295"
        );
        assert_eq!(said("u16", 70_000), "is 70000; it must be a whole number from 0 to 65535");
        assert_eq!(said("u8", 256), "is 256; it must be a whole number from 0 to 255");
    }
}
