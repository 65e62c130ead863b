//! Values of flags, read and checked.

use automap_proto::metric::METRIC_COUNT;
use automap_service_kit::logging::LogFormat;

/// A key and a value as they stand.
pub(crate) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.trim().into(), value.trim().into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

/// A key and the value that is meant.
pub(crate) fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = parse_pair(text).map_err(|_| "write KEY=VALUE, such as automap.alpha=0.01")?;
    Ok((key, unquoted(&value)))
}

/// A value as it is meant: where it is a string of TOML, as it would stand in a file, what that holds.
fn unquoted(value: &str) -> String {
    if !value.starts_with(['"', '\'']) {
        return value.into();
    }
    let line: Option<toml::Table> = format!("value = {value}").parse().ok();
    let text = line.and_then(|line| Some(line.get("value")?.as_str()?.to_owned()));
    text.unwrap_or_else(|| value.into())
}

pub(crate) fn parse_delay(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|delay: &f64| delay.abs() <= 10.0)
        .ok_or_else(|| "must be a number of incident lengths from -10 to 10, such as 0.5".into())
}

pub(crate) fn parse_resamples(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (100..=100_000).contains(count))
        .ok_or_else(|| "must be a whole number from 100 to 100000; fewer resamples give no interval".into())
}

pub(crate) fn parse_factor(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|factor: &f64| *factor > 0.0 && *factor <= 1e6)
        .ok_or_else(|| "must be a positive number of incident lengths, such as 1.5".into())
}

pub(crate) fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=100_000).contains(&count) => Ok(count),
        _ => Err("use a whole number from 1 to 100000".into()),
    }
}

pub(crate) fn parse_metric_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=METRIC_COUNT).contains(&count) => Ok(count),
        _ => Err(format!("use a whole number from 1 to {METRIC_COUNT}")),
    }
}

pub(crate) fn parse_log_format(name: &str) -> Result<LogFormat, String> {
    match name {
        "human" => Ok(LogFormat::Human),
        "json" => Ok(LogFormat::Json),
        _ => Err("use human or json".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_need_a_key_and_an_equals_sign() {
        assert_eq!(parse_setting("a.b = 1"), Ok(("a.b".into(), "1".into())));
        assert_eq!(parse_setting("a.b").unwrap_err(), "write KEY=VALUE, such as automap.alpha=0.01");
        assert!(parse_setting("=1").is_err());
        assert_eq!(parse_pair("x-scope").unwrap_err(), "write NAME=VALUE");
    }

    #[test]
    fn a_value_may_be_quoted_as_in_a_file() {
        let value = |text: &str| parse_setting(&format!("a={text}")).unwrap().1;
        assert_eq!((value("\"slack\""), value("'slack'")), ("slack".into(), "slack".into()));
        assert_eq!(value(r#""a \"b\" \u00e9""#), "a \"b\" é");
        assert_eq!(parse_pair("cpu=\"text\"").unwrap().1, "\"text\"", "an expression is left as it is");
        for plain in ["slack", "\"a\"b\"", "\"", "[\"a\"]", "web->cart, cart->db", "it's"] {
            assert_eq!(value(plain), plain);
        }
    }

    #[test]
    fn delays_and_factors_are_numbers_of_incident_lengths() {
        assert_eq!((parse_delay("-0.5"), parse_factor("1.5")), (Ok(-0.5), Ok(1.5)));
        assert!(["NaN", "11", "half", "inf"].iter().all(|text| parse_delay(text).is_err()));
        assert!(["0", "-1", "inf", "NaN", ""].iter().all(|text| parse_factor(text).is_err()));
        assert_eq!(parse_resamples("2000"), Ok(2000));
        assert!(["0", "99", "-5", "1e6", "many"].iter().all(|text| parse_resamples(text).is_err()));
    }
}
