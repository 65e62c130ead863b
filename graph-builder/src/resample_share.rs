//! What bootstrap resamples may take of the budget of their graph.

use automap_proto::metric::METRIC_COUNT;

/// Tests of each metric type, by its index.
pub type TestsByMetric = [u64; METRIC_COUNT];

/// A resample gets at least so many times what its graph took: it holds rows several times, more of its pairs stay
/// connected, and each of those has more sets.
const ROOM: u128 = 4;

/// The resamples that a budget is enough for, and what each of them may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResampleShare {
    /// Resamples that were asked for.
    pub asked: u32,
    /// The first so many of them are drawn.
    pub drawn: u32,
    /// Most tests of each; `None` for as many as it takes.
    pub most_tests: Option<TestsByMetric>,
}

impl ResampleShare {
    /// Of a budget of `max_tests`, of which the graph took `spent`: as many of `asked` resamples as what is left is enough
    /// for, and these share it alike. A metric type gets the part that it took of the graph. All together never take more
    /// than what is left.
    ///
    /// Numbers alone decide, so that it is the same wherever resamples are tested.
    pub fn new(max_tests: Option<u64>, spent: &TestsByMetric, asked: u32) -> Self {
        let Some(most) = max_tests else {
            return Self { asked, drawn: asked, most_tests: None };
        };
        let of_graph: u128 = spent.iter().map(|&tests| u128::from(tests)).sum();
        let left = u128::from(most).saturating_sub(of_graph);
        let enough_for = left / (ROOM * of_graph.max(1));
        let drawn = u32::try_from(enough_for).unwrap_or(u32::MAX).min(asked);
        let all = of_graph.max(1) * u128::from(drawn.max(1));
        // Below 2^64 times 2^64, and no more than what is left.
        let share = |tests: u64| u64::try_from(u128::from(tests) * left / all).unwrap_or(u64::MAX);
        Self { asked, drawn, most_tests: Some(spent.map(share)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resamples_share_what_is_left_and_no_more() {
        let spent = [0, 10, 0, 0, 30, 0, 0];
        assert_eq!(
            ResampleShare::new(None, &spent, 9),
            ResampleShare { asked: 9, drawn: 9, most_tests: None }
        );
        for (most, asked, drawn) in [
            (39, 9, 0),
            (40, 9, 0),
            (199, 9, 0),
            (200, 9, 1),
            (10_000, 9, 9),
            (10_000, 1000, 62),
            (u64::MAX, 1000, 1000),
        ] {
            let share = ResampleShare::new(Some(most), &spent, asked);
            assert_eq!((share.asked, share.drawn), (asked, drawn), "{most}");
            let each = share.most_tests.unwrap();
            let of_all: u128 = each.iter().map(|&tests| u128::from(tests) * u128::from(drawn)).sum();
            assert!(of_all <= u128::from(most.saturating_sub(40)), "{most}: {each:?}");
            assert!(drawn == 0 || (each[1] >= 40 && each[4] >= 120), "{most}: {each:?}");
        }
    }

    #[test]
    fn a_graph_without_a_test_and_one_with_all_have_a_share() {
        assert_eq!(ResampleShare::new(Some(100), &[0; 7], 9).drawn, 9);
        assert_eq!(ResampleShare::new(Some(0), &[0; 7], 9).drawn, 0);
        assert_eq!(ResampleShare::new(Some(u64::MAX), &[u64::MAX; 7], 9).drawn, 0);
    }
}
