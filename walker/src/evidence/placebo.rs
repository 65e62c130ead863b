//! Placebo windows: normal rows diagnosed as if they were the incident, to know what normal times look like.

use std::ops::Range;

use automap_proto::incident::MIN_NORMAL_ROWS;

/// At most `most` disjoint windows of `length` rows among `normal` ones, spread evenly, as ranges of positions. Where
/// fewer than five rows would remain to compare with, windows are shorter; none where five rows are all there are. A
/// shorter window strays further, so that it makes an incident look less unusual rather than more. O(most).
pub fn placebo_windows(normal: usize, length: usize, most: usize) -> Vec<Range<usize>> {
    let length = length.min(normal.saturating_sub(MIN_NORMAL_ROWS));
    if length == 0 {
        return Vec::new();
    }
    let count = (normal / length).min(most);
    let last_start = normal - length;
    (0..count)
        .map(|index| if count == 1 { last_start } else { index * last_start / (count - 1) })
        .map(|start| start..start + length)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_disjoint_and_spread_over_all_normal_rows() {
        assert_eq!(placebo_windows(20, 5, 12), [0..5, 5..10, 10..15, 15..20]);
        assert_eq!(placebo_windows(100, 10, 3), [0..10, 45..55, 90..100]);
        for (normal, length, most) in [(23, 5, 12), (720, 7, 12), (11, 2, 4)] {
            let windows = placebo_windows(normal, length, most);
            assert!(windows.windows(2).all(|pair| pair[0].end <= pair[1].start), "{windows:?}");
            assert_eq!(windows.last().map(|last| last.end), Some(normal));
        }
    }

    #[test]
    fn five_rows_must_remain_and_windows_are_the_shorter_for_it() {
        assert_eq!(placebo_windows(10, 5, 1).first(), Some(&(5..10)));
        assert_eq!(placebo_windows(9, 5, 12), [0..4, 5..9]);
        assert_eq!(placebo_windows(6, 5, 12), [0..1, 1..2, 2..3, 3..4, 4..5, 5..6]);
        assert!(placebo_windows(5, 5, 12).is_empty());
        assert!(placebo_windows(10, 0, 12).is_empty());
        assert!(placebo_windows(10, 2, 0).is_empty());
    }
}
