//! Numbers of any size in few characters.

/// Three significant digits, thousands and more by letter: `0.0123`, `4.57`, `12.3k`, `1.20G`.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if !size.is_finite() {
        return "?".to_owned();
    }
    if size < 1e-4 {
        return if size == 0.0 { "0".to_owned() } else { format!("{value:.1e}") };
    }
    for (unit, letter) in [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")] {
        // What would be rounded to 1000 belongs to the next letter.
        if size >= 0.9995 * unit {
            return format!("{}{letter}", digits(value / unit));
        }
    }
    digits(value)
}

fn digits(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        _ if size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.09995 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.000_012, "1.2e-5"),
            (0.012_345, "0.0123"),
            (0.5, "0.5"),
            (-4.567, "-4.57"),
            (10.0, "10"),
            (123.4, "123"),
            (999.9, "1k"),
            (12_345.0, "12.3k"),
            (1.2e9, "1.2G"),
            (f64::NAN, "?"),
            (f64::INFINITY, "?"),
        ] {
            assert_eq!(short(value), text);
        }
        assert!(short(1e300).ends_with('T'));
    }
}
