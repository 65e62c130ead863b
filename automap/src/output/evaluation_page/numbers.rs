//! How numbers are written.

use maud::{Markup, html};

use crate::evaluate::bootstrap::Estimate;

/// Two digits: a third would be noise at these numbers of incidents.
pub(in crate::output) fn plain(value: f64) -> String {
    format!("{:.2}", rounded(value))
}

/// With its sign.
pub(super) fn signed(value: f64) -> String {
    format!("{:+.2}", rounded(value))
}

/// Adding zero makes minus zero the same zero.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0 + 0.0
}

/// A figure with its interval, in a cell.
pub(super) fn cell(estimate: &Estimate) -> Markup {
    html! { td.number { (plain(estimate.value)) span.interval { (plain(estimate.low)) "–" (plain(estimate.high)) } } }
}

/// A difference with its interval, in a cell; strong when the interval does not hold zero.
pub(super) fn difference(estimate: &Estimate) -> Markup {
    let sure = estimate.low > 0.0 || estimate.high < 0.0;
    html! {
        td.number.sure[sure] {
            (signed(estimate.value)) span.interval { (signed(estimate.low)) " to " (signed(estimate.high)) }
        }
    }
}

/// A figure or a dash.
pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), plain)
}

/// `1 incident`, `3 incidents`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
