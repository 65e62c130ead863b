//! A grid in parts that a server answers: none has more points than it allows.

use automap_proto::time::{TimeGrid, UnixMillis};

/// Most points of a series that Prometheus answers to one query.
pub(crate) const MAX_POINTS: usize = 11_000;

/// Most points of a window: a hundred queries for each expression. At a step of 15 s that is half a year.
pub(crate) const MAX_WINDOW_POINTS: usize = 100 * MAX_POINTS;

/// Points `first <= i < first + points` of a grid: one range query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) first: usize,
    pub(crate) points: usize,
}

impl Part {
    /// All of `grid`, in order, in parts of equal size (but one point) and at most `most` points.
    pub(crate) fn of(grid: &TimeGrid, most: usize) -> Vec<Self> {
        let count = grid.samples().div_ceil(most.max(1));
        let bound = |index: usize| grid.samples() * index / count;
        (0..count)
            .map(|index| Self { first: bound(index), points: bound(index + 1) - bound(index) })
            .collect()
    }

    /// Both halves; `None` when there is nothing to divide.
    pub(crate) fn halves(self) -> Option<[Self; 2]> {
        let half = self.points / 2;
        (half > 0).then(|| {
            [
                Self { first: self.first, points: half },
                Self { first: self.first + half, points: self.points - half },
            ]
        })
    }

    /// Time of the first point.
    pub(crate) fn start(self, grid: &TimeGrid) -> UnixMillis {
        grid.time(self.first)
    }

    /// Time of the last point.
    pub(crate) fn end(self, grid: &TimeGrid) -> UnixMillis {
        grid.time(self.first + self.points - 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(samples: usize) -> TimeGrid {
        TimeGrid::new(UnixMillis(0), 1000, samples).unwrap()
    }

    #[test]
    fn a_grid_within_the_limit_is_one_part() {
        assert_eq!(Part::of(&grid(11_000), MAX_POINTS), [Part { first: 0, points: 11_000 }]);
        let two = Part::of(&grid(11_001), MAX_POINTS);
        assert_eq!(two, [Part { first: 0, points: 5500 }, Part { first: 5500, points: 5501 }]);
        assert_eq!(two[1].start(&grid(11_001)), UnixMillis(5_500_000));
        assert_eq!(two[1].end(&grid(11_001)), UnixMillis(11_000_000));
        assert_eq!(Part { first: 3, points: 1 }.halves(), None);
    }

    proptest! {
        #[test]
        fn parts_cover_every_point_once(samples in 1_usize..50_000, most in 1_usize..12_000) {
            let mut next = 0;
            let mut waiting = Part::of(&grid(samples), most);
            prop_assert!(waiting.iter().all(|part| part.points <= most));
            if let Some([one, other]) = waiting[0].halves() {
                waiting.splice(0..1, [one, other]);
            }
            for part in waiting {
                prop_assert_eq!(part.first, next);
                prop_assert!(part.points > 0);
                next += part.points;
            }
            prop_assert_eq!(next, samples);
        }
    }
}
