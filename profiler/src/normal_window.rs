//! Graphs of normal windows, which of them belong together, and their running sum.

use std::collections::BTreeMap;

use automap_proto::{
    behavior_graph::BehaviorGraph,
    frame::check_name,
    invalid::Invalid,
    settings::GraphSettings,
    time::{TimeWindow, UnixMillis},
    v1,
};

use crate::{abnormal::AbnormalTimes, algebra, anomaly_profile::decode_graph};

/// What graphs must share before they may be added: the application and how they were built.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalGroup {
    /// The application.
    pub system: String,
    /// How the graphs were built.
    pub settings: GraphSettings,
}

/// The graph of one normal window.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalWindow {
    group: NormalGroup,
    window: TimeWindow,
    window_ms: u64,
    graph: BehaviorGraph,
}

/// Which normal windows are asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NormalSelector {
    /// Application and settings.
    pub group: NormalGroup,
    /// Length of the windows, samples times step, milliseconds.
    pub window_ms: u64,
}

impl NormalWindow {
    /// Application and settings.
    pub const fn group(&self) -> &NormalGroup {
        &self.group
    }

    /// Time of the first sample.
    pub const fn start(&self) -> UnixMillis {
        self.window.start()
    }

    /// From its first sample to its last.
    pub const fn window(&self) -> TimeWindow {
        self.window
    }

    /// Length of the window, rows times step, milliseconds.
    pub const fn window_ms(&self) -> u64 {
        self.window_ms
    }

    /// The graph.
    pub const fn graph(&self) -> &BehaviorGraph {
        &self.graph
    }
}

impl NormalSelector {
    /// Whether windows of a length are asked for: of the same length, give or take a tenth, because the rows of an incident
    /// are rarely a round number.
    pub const fn takes(&self, window_ms: u64) -> bool {
        self.window_ms.abs_diff(window_ms) <= self.window_ms / 10
    }
}

impl TryFrom<&v1::NormalGraph> for NormalWindow {
    type Error = Invalid;

    /// Fields are named from `normal_graph` on. The tests of edges are not kept: sums have none.
    fn try_from(wire: &v1::NormalGraph) -> Result<Self, Invalid> {
        let window = wire.window.as_ref().ok_or_else(|| Invalid::missing("normal_graph.window"))?;
        let graph = wire.graph.as_ref().ok_or_else(|| Invalid::missing("normal_graph.graph"))?;
        let graph = decode_graph("normal_graph.graph", graph)?.without_tests();
        for (index, (_, _, weights)) in graph.edges().enumerate() {
            // Larger counts would let one window outvote all others in the sum.
            if !weights.counts().is_some_and(|counts| counts.iter().all(|&count| count <= 1)) {
                return Err(Invalid::new(
                    format!("normal_graph.graph.edges[{index}]"),
                    "must have bit_counts of 0 and 1, as the graph of one window has",
                ));
            }
        }
        Ok(Self {
            group: NormalGroup::from_wire("normal_graph", &wire.system, wire.settings.as_ref())?,
            window: TimeWindow::from_wire("normal_graph.window", window)?,
            window_ms: window_length("normal_graph.window_ms", wire.window_ms)?,
            graph,
        })
    }
}

impl From<&NormalWindow> for v1::NormalGraph {
    fn from(normal: &NormalWindow) -> Self {
        Self {
            system: normal.group.system.clone(),
            window: Some(normal.window.to_wire()),
            settings: Some((&normal.group.settings).into()),
            graph: Some((&normal.graph).into()),
            window_ms: normal.window_ms,
        }
    }
}

impl NormalGroup {
    fn from_wire(parent: &str, system: &str, settings: Option<&v1::GraphSettings>) -> Result<Self, Invalid> {
        check_name(&format!("{parent}.system"), system)?;
        let settings = settings.ok_or_else(|| Invalid::missing(format!("{parent}.settings")))?;
        Ok(Self {
            system: system.to_owned(),
            settings: GraphSettings::try_from(settings)
                .map_err(|error| error.within(&format!("{parent}.settings")))?,
        })
    }
}

fn window_length(field: &str, milliseconds: u64) -> Result<u64, Invalid> {
    if milliseconds == 0 {
        return Err(Invalid::new(field, "is zero; give rows times step"));
    }
    Ok(milliseconds)
}

impl NormalSelector {
    /// Decodes the selector that `field` holds.
    ///
    /// # Errors
    /// A name or the settings are invalid, or the length is zero.
    pub fn from_wire(field: &str, wire: &v1::NormalGraphSelector) -> Result<Self, Invalid> {
        Ok(Self {
            group: NormalGroup::from_wire(field, &wire.system, wire.settings.as_ref())?,
            window_ms: window_length(&format!("{field}.window_ms"), wire.window_ms)?,
        })
    }
}

/// The sum of normal graphs of one group, each window once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormalSum {
    graph: BehaviorGraph,
    /// Their ends by length and start.
    windows: BTreeMap<(u64, UnixMillis), UnixMillis>,
}

impl NormalSum {
    /// Adds a window; `false` when it was there already.
    ///
    /// # Errors
    /// As [`algebra::add`].
    pub fn add(&mut self, window: &NormalWindow) -> Result<bool, Invalid> {
        let key = (window.window_ms(), window.start());
        if self.windows.contains_key(&key) {
            return Ok(false);
        }
        self.graph = algebra::add(&self.graph, &window.graph)?;
        self.windows.insert(key, window.window().end());
        Ok(true)
    }

    /// Adds all windows of another sum, which must have none in common with this one.
    ///
    /// # Errors
    /// As [`algebra::add`].
    pub fn merge(&mut self, other: &Self) -> Result<(), Invalid> {
        self.graph = algebra::add(&self.graph, &other.graph)?;
        self.windows.extend(other.windows.iter());
        Ok(())
    }

    /// The sum of the graphs.
    pub const fn graph(&self) -> &BehaviorGraph {
        &self.graph
    }

    /// Whether it holds a window with a time that is not normal. O(windows · log intervals).
    pub(crate) fn meets(&self, abnormal: &AbnormalTimes) -> bool {
        self.windows.iter().any(|(&(_, start), &end)| abnormal.meet_any(start, end))
    }

    /// Length and start of its windows without a time that is not normal, in order.
    pub(crate) fn normal(&self, abnormal: &AbnormalTimes) -> impl Iterator<Item = (u64, UnixMillis)> {
        let normal = |(&(window_ms, start), &end): (&(u64, UnixMillis), &UnixMillis)| {
            (!abnormal.meet_any(start, end)).then_some((window_ms, start))
        };
        self.windows.iter().filter_map(normal)
    }

    /// Whether its windows are those of another sum without a time that is not normal.
    pub(crate) fn is_rest_of(&self, all: &Self, abnormal: &AbnormalTimes) -> bool {
        all.normal(abnormal).eq(self.windows.keys().copied())
    }

    /// How many windows it holds.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn window(start_seconds: i64) -> NormalWindow {
        NormalWindow::try_from(&sample::normal_graph(start_seconds)).unwrap()
    }

    fn selector(window_ms: u64) -> NormalSelector {
        NormalSelector { group: window(0).group, window_ms }
    }

    #[test]
    fn a_window_belongs_to_its_length_in_rows_times_step_whatever_its_span() {
        let takes = |wanted, window: NormalWindow| selector(wanted).takes(window.window_ms());
        assert!(takes(30_000, window(0)));
        assert!(takes(28_000, window(0)) && !takes(27_000, window(0)));
        assert!(takes(33_000, window(0)) && !takes(34_000, window(0)));
        let stretched = v1::NormalGraph { window_ms: 20_000, ..sample::normal_graph(0) };
        assert!(takes(20_000, NormalWindow::try_from(&stretched).unwrap()));
    }

    #[test]
    fn the_same_window_counts_once() {
        let mut total = NormalSum::default();
        assert!(total.add(&window(0)).unwrap());
        assert!(total.add(&window(30)).unwrap());
        assert!(!total.add(&window(0)).unwrap());
        assert_eq!(total.windows(), 2);
        assert_eq!(total.graph().edge(2, 0).unwrap().counts(), Some(&[2, 0, 0, 0, 0, 0, 0]));
    }

    #[test]
    fn one_window_cannot_outvote_the_others() {
        let mut wire = sample::normal_graph(0);
        wire.graph.as_mut().unwrap().edges[0].bit_counts[0] = 2;
        let error = NormalWindow::try_from(&wire).unwrap_err();
        assert_eq!(error.field(), "normal_graph.graph.edges[0]");
        let edge = &mut wire.graph.as_mut().unwrap().edges[0];
        (edge.weights, edge.bit_counts) = (vec![1.0; 7], vec![]);
        assert!(NormalWindow::try_from(&wire).is_err());
    }

    #[test]
    fn windows_survive_the_wire_and_bad_ones_are_refused_by_field() {
        let good = sample::normal_graph(60);
        assert_eq!(v1::NormalGraph::from(&NormalWindow::try_from(&good).unwrap()), good);
        for (wire, field) in [
            (v1::NormalGraph { system: String::new(), ..good.clone() }, "normal_graph.system"),
            (v1::NormalGraph { window: None, ..good.clone() }, "normal_graph.window"),
            (v1::NormalGraph { settings: None, ..good.clone() }, "normal_graph.settings"),
            (v1::NormalGraph { graph: None, ..good.clone() }, "normal_graph.graph"),
            (v1::NormalGraph { window_ms: 0, ..good.clone() }, "normal_graph.window_ms"),
            (
                v1::NormalGraph {
                    settings: Some(v1::GraphSettings { alpha: 7.0, ..Default::default() }),
                    ..good
                },
                "normal_graph.settings.alpha",
            ),
        ] {
            assert_eq!(NormalWindow::try_from(&wire).unwrap_err().field(), field);
        }
    }
}
