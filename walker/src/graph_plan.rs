//! Which rows the behaviour graphs of a diagnosis are built from (section 2 of the method, its last paragraph).

use automap_proto::{
    incident::WindowRows, invalid::Invalid, metric::MetricKind, settings::GraphSettings, time::TimeGrid,
    time::TimeWindow,
};

use crate::parameters::AutomapParameters;

/// Fewest rows of a window from which a graph is built.
pub const MIN_GRAPH_ROWS: usize = 30;
/// Most normal windows that one diagnosis builds: the ones nearest to the incident.
pub const MAX_NORMAL_WINDOWS: usize = 12;

/// The rows to build graphs from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphPlan {
    /// Rows of the incident graph.
    pub incident: Vec<usize>,
    /// Rows of each normal window, oldest first; empty when nothing can be subtracted.
    pub normal: Vec<Vec<usize>>,
    /// Why nothing is subtracted, as a warning.
    pub warning: Option<String>,
}

impl GraphPlan {
    /// The incident window alone when it has at least [`MIN_GRAPH_ROWS`] rows, and then as many normal windows of
    /// the same number of rows as there are; otherwise normal and incident rows together, without normal windows.
    pub fn new(rows: &WindowRows) -> Self {
        let length = rows.incident.len();
        if length < MIN_GRAPH_ROWS {
            return Self {
                incident: rows.all(),
                normal: Vec::new(),
                warning: Some(format!(
                    "the incident has {length} rows, fewer than {MIN_GRAPH_ROWS}: the behaviour graph is built from \
                     normal and incident rows together, and no normal behaviour is subtracted"
                )),
            };
        }
        let mut normal: Vec<Vec<usize>> =
            rows.normal.rchunks_exact(length).take(MAX_NORMAL_WINDOWS).map(<[usize]>::to_vec).collect();
        normal.reverse();
        Self { incident: rows.incident.clone(), normal, warning: None }
    }

    /// The span of a normal window.
    pub fn window(grid: &TimeGrid, rows: &[usize]) -> Option<TimeWindow> {
        let (first, last) = (rows.first()?, rows.last()?);
        TimeWindow::new("normal_window", grid.time(*first), grid.time(*last)).ok()
    }

    /// Length of the normal windows, milliseconds: rows times step.
    pub fn window_ms(&self, grid: &TimeGrid) -> u64 {
        self.incident.len() as u64 * grid.step_ms()
    }
}

/// The rows of each whole window of `length_ms` in which at least nine of ten rows are there, [`MIN_GRAPH_ROWS`] or more, and
/// none lies in `abnormal`. Windows begin at whole multiples of their length, so that one is the same whenever it is learned.
/// `rows` ascend. O(rows · abnormal).
pub fn whole_windows(
    grid: &TimeGrid,
    rows: &[usize],
    length_ms: u64,
    abnormal: &[TimeWindow],
) -> Vec<Vec<usize>> {
    let length = i64::try_from(length_ms.max(1)).unwrap_or(i64::MAX);
    let number = |row: usize| grid.time(row).0.div_euclid(length);
    let full = length_ms / grid.step_ms();
    rows.chunk_by(|one, next| number(*one) == number(*next))
        .filter(|window| window.len() >= MIN_GRAPH_ROWS && window.len() as u64 * 10 >= full * 9)
        .filter(|window| {
            !window.iter().any(|&row| abnormal.iter().any(|known| known.contains(grid.time(row))))
        })
        .map(<[usize]>::to_vec)
        .collect()
}

/// The name under which the incident graph is asked for.
pub const INCIDENT_GRAPH: &str = "incident";

/// The name under which the skeleton is asked for that tells how well pairs of services hang together.
pub const SKELETON_GRAPH: &str = "skeleton";
/// Its largest conditioning set: deeper tests leave too few edges to tell good pairs from bad.
pub const SKELETON_LEVEL: u32 = 1;

/// The name under which the graph of normal window `index` is asked for.
pub fn normal_graph_name(index: usize) -> String {
    format!("normal-{index}")
}

/// The settings of the impact graph of `cloud-ranger`: the same tests, of latency alone.
///
/// # Errors
/// As those of [`graph_settings`].
pub fn impact_settings(parameters: &AutomapParameters, front_end: &str) -> Result<GraphSettings, Invalid> {
    settings_for(parameters, vec![MetricKind::Latency], front_end)
}

/// The settings of a diagnosis' graphs.
///
/// # Errors
/// A parameter is out of its range, which checked ones are not.
pub fn graph_settings(parameters: &AutomapParameters, front_end: &str) -> Result<GraphSettings, Invalid> {
    settings_for(parameters, Vec::new(), front_end)
}

/// The settings of the skeleton, which are those that its test was measured with, whatever the graph of the incident is
/// tested by: Fisher's z at .05, no load removed.
///
/// # Errors
/// None: the defaults are valid.
pub fn skeleton_settings(parameters: &AutomapParameters, front_end: &str) -> Result<GraphSettings, Invalid> {
    let measured =
        AutomapParameters { max_condition: parameters.max_condition, ..AutomapParameters::default() };
    graph_settings(&measured, front_end)
}

fn settings_for(
    parameters: &AutomapParameters,
    metrics: Vec<MetricKind>,
    front_end: &str,
) -> Result<GraphSettings, Invalid> {
    GraphSettings::new(parameters.ci_test, parameters.significance(), parameters.max_condition, metrics)?
        .with_bins(parameters.bins)
        .with_load_removal(parameters.load_removal, front_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(normal: usize, incident: usize) -> WindowRows {
        WindowRows {
            normal: (0..normal).collect(),
            incident: (normal..normal + incident).collect(),
            exclusions_ignored: false,
        }
    }

    #[test]
    fn a_short_incident_is_joined_with_normal_rows_and_says_so() {
        let plan = GraphPlan::new(&rows(200, 29));
        assert_eq!(plan.incident.len(), 229);
        assert!(plan.normal.is_empty() && plan.warning.is_some());
    }

    #[test]
    fn normal_windows_are_as_long_as_the_incident_and_nearest_to_it() {
        let plan = GraphPlan::new(&rows(200, 30));
        assert_eq!(plan.incident, (200..230).collect::<Vec<_>>());
        assert_eq!(plan.normal.len(), 6);
        assert_eq!(plan.normal[0].first(), Some(&20));
        assert_eq!(plan.normal[5].last(), Some(&199));
        assert_eq!(GraphPlan::new(&rows(10_000, 30)).normal.len(), MAX_NORMAL_WINDOWS);
    }

    #[test]
    fn whole_windows_begin_at_multiples_of_their_length_and_hold_nothing_abnormal() {
        use automap_proto::time::UnixMillis;
        // A row every 10 s from 5 min 50 s on: the first window of 10 min lacks its beginning.
        let grid = TimeGrid::new(UnixMillis(350_000), 10_000, 350).unwrap();
        let all: Vec<usize> = (0..350).collect();
        let starts = |rows: &[usize], abnormal: &[TimeWindow]| -> Vec<i64> {
            let found = whole_windows(&grid, rows, 600_000, abnormal);
            found.iter().map(|window| grid.time(window[0]).0 / 60_000).collect()
        };
        assert_eq!(starts(&all, &[]), [10, 20, 30, 40, 50]);
        let fault = TimeWindow::new("abnormal", UnixMillis(1_500_000), UnixMillis(1_500_000)).unwrap();
        assert_eq!(starts(&all, &[fault]), [10, 30, 40, 50]);
        let gappy: Vec<usize> = all.iter().copied().filter(|row| row % 5 > 0 || *row > 200).collect();
        assert_eq!(starts(&gappy, &[]), [40, 50], "a fifth of the rows of the first is missing");
        assert!(whole_windows(&grid, &all, 200_000, &[]).is_empty(), "20 rows make no graph");
    }

    #[test]
    fn a_call_graph_is_tested_alike_whatever_tests_the_incident_graph() {
        use automap_proto::{load_removal::LoadRemoval, settings::CiTest};
        let measured = skeleton_settings(&AutomapParameters::default(), "web").unwrap();
        let other = AutomapParameters {
            ci_test: CiTest::G2,
            alpha: Some(0.2),
            load_removal: LoadRemoval::FrontEnd,
            ..AutomapParameters::default()
        };
        assert_eq!(skeleton_settings(&other, "web").unwrap(), measured);
        assert_eq!(graph_settings(&AutomapParameters::default(), "web").unwrap(), measured);
        assert_ne!(graph_settings(&other, "web").unwrap(), measured);
    }
}
