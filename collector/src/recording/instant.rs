//! Times as people write them.

use automap_proto::time::UnixMillis;

/// The time that `text` tells: unix seconds, or a time with its offset such as 2026-03-01T10:20:00Z.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that begins with `text`.
pub fn parse_instant(text: &str) -> Result<UnixMillis, String> {
    let text = text.trim();
    let number = text.parse::<f64>().ok();
    let seconds = |number: f64| UnixMillis::from_seconds("time", number).ok();
    let with_offset = || text.parse::<jiff::Timestamp>().ok().map(|time| UnixMillis(time.as_millisecond()));
    number.and_then(seconds).or_else(with_offset).ok_or_else(|| {
        number.and_then(|number| seconds(number / 1000.0)).map_or_else(
            || "is no time; use unix seconds or a time with its offset such as 2026-03-01T10:20:00Z".into(),
            |instant| {
                format!("is no time in unix seconds, but one in milliseconds; write {}", instant.seconds())
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_unix_seconds_or_carry_their_offset() {
        for (text, milliseconds) in [
            ("1661270702.5", 1_661_270_702_500),
            ("2026-03-01T10:00:00Z", 1_772_359_200_000),
            (" 2026-03-01T11:00:00+01:00 ", 1_772_359_200_000),
        ] {
            assert_eq!(parse_instant(text), Ok(UnixMillis(milliseconds)));
        }
        for wrong in ["yesterday", "2026-03-01T10:00:00", "inf", "nan", "1e300", ""] {
            assert!(parse_instant(wrong).unwrap_err().starts_with("is no time; use unix seconds"), "{wrong}");
        }
        let milliseconds = parse_instant("1772361300500").unwrap_err();
        assert!(milliseconds.ends_with("one in milliseconds; write 1772361300.5"), "{milliseconds}");
    }
}
