//! The order of rows by time.

use automap_proto::time::UnixMillis;

use crate::error::CollectError;

/// Rows in the order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowOrder {
    /// Indices of rows, sorted by time.
    pub(crate) rows: Vec<usize>,
    /// Rows that come after a later one.
    pub(crate) out_of_order: usize,
}

/// Sorts the rows of `file` by time.
///
/// # Errors
/// Two rows have the same time, to the millisecond; both lines are named.
///
/// # Complexity
/// O(rows) when they are sorted, as they usually are; O(rows · log rows) otherwise.
pub(crate) fn order_rows(file: &str, times: &[UnixMillis], lines: &[u64]) -> Result<RowOrder, CollectError> {
    let mut latest = UnixMillis(i64::MIN);
    let mut out_of_order = 0;
    for &time in times {
        out_of_order += usize::from(time < latest);
        latest = latest.max(time);
    }
    let mut rows: Vec<usize> = (0..times.len()).collect();
    if out_of_order > 0 {
        rows.sort_by_key(|&row| times[row]);
    }
    if let Some(twice) = rows.windows(2).find(|pair| times[pair[0]] == times[pair[1]]) {
        return Err(CollectError::malformed(format!(
            "{file}: lines {} and {} are both of time {}; keep one row per time",
            lines[twice[0]],
            lines[twice[1]],
            times[twice[0]].seconds()
        )));
    }
    Ok(RowOrder { rows, out_of_order })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seconds: &[i64]) -> Result<RowOrder, CollectError> {
        let times: Vec<_> = seconds.iter().map(|&second| UnixMillis(second * 1000)).collect();
        let lines: Vec<u64> = (2..).take(times.len()).collect();
        order_rows("m.csv", &times, &lines)
    }

    #[test]
    fn rows_out_of_order_are_sorted_and_counted() {
        let sorted = order(&[10, 30, 20, 25, 40]).unwrap();
        assert_eq!(sorted.rows, [0, 2, 3, 1, 4]);
        assert_eq!(sorted.out_of_order, 2);
        assert_eq!(order(&[1, 2, 3]).unwrap().out_of_order, 0);
    }

    #[test]
    fn two_rows_of_one_time_are_refused_with_both_lines() {
        let error = order(&[10, 30, 20, 30]).unwrap_err();
        assert_eq!(error.to_string(), "m.csv: lines 3 and 5 are both of time 30; keep one row per time");
    }
}
