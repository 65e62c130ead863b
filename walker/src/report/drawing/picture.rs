//! What a drawing of a behaviour graph shows.

use std::collections::{BTreeMap, BTreeSet};

use automap_proto::{
    behavior_graph::BehaviorGraph,
    edge_test::EdgeTest,
    hop::Hop,
    metric::MetricKind,
    profile::ServiceClass,
    ranking::{RankedService, Ranking},
};

/// How much is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Most services.
    pub services: usize,
    /// Most edges; laying out many more takes seconds.
    pub edges: usize,
}

impl Size {
    /// What is read at a glance.
    pub const USUAL: Self = Self { services: 24, edges: 60 };
    /// What can still be read.
    pub const LARGE: Self = Self { services: 40, edges: 120 };
}

/// How many of the top services have their paths drawn.
const DRAWN_PATHS: usize = 3;

/// Services and edges to draw, in an order that does not change.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Nodes, sorted by name.
    pub nodes: Vec<Node>,
    /// Edges between them, as indices into `nodes`; walked ones first, then those in the most metric types.
    pub edges: Vec<Edge>,
    /// Services of the graph that were left out.
    pub services_left_out: usize,
    /// Edges between the services shown that were left out: those that stand in the fewest metric types.
    pub edges_left_out: usize,
}

impl Picture {
    /// What is not shown, as a note for the drawing.
    pub fn note(&self) -> Option<String> {
        (self.services_left_out + self.edges_left_out > 0).then(|| {
            format!("{} services and {} edges left out", self.services_left_out, self.edges_left_out)
        })
    }
}

/// A service in a drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its rank, in a diagnosis.
    pub rank: Option<u32>,
    /// The class of its profile.
    pub class: Option<ServiceClass>,
    /// Whether it is the front end.
    pub front_end: bool,
}

/// An edge in a drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// Index of the node it leaves.
    pub from: usize,
    /// Index of the node it enters.
    pub to: usize,
    /// Whether it has an arrow.
    pub directed: bool,
    /// The metric types it stands in; empty for a step of a walk that is no edge of the graph.
    pub metrics: Vec<MetricKind>,
    /// Whether a drawn path walks it.
    pub walked: bool,
    /// Share of resamples in which it stands, where they were drawn.
    pub confidence: Option<f64>,
    /// The tests in its metric types, where they are known.
    pub tests: Vec<EdgeTest>,
}

impl Picture {
    /// The whole graph, or its services with the most edges where there are too many.
    pub fn of_graph(graph: &BehaviorGraph) -> Self {
        let mut degree: BTreeMap<&str, usize> =
            graph.services().iter().map(|service| (service.as_str(), 0)).collect();
        for (from, to, _, _) in graph.drawn_edges() {
            for end in [from, to] {
                *degree.entry(&graph.services()[end]).or_default() += 1;
            }
        }
        let mut order: Vec<(&str, usize)> = degree.into_iter().collect();
        order.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
        let chosen = order.into_iter().take(Size::USUAL.services).map(|(service, _)| service).collect();
        Self::new(graph, &chosen, &[], "", Size::USUAL)
    }

    /// The services that a diagnosis speaks of: the front end, the walked paths, and the top of the ranking.
    pub fn of_diagnosis(graph: &BehaviorGraph, ranking: &Ranking, front_end: &str, size: Size) -> Self {
        let ranked = ranking.services();
        let mut chosen: BTreeSet<&str> = BTreeSet::from([front_end]);
        chosen.extend(ranked.iter().take(DRAWN_PATHS).flat_map(|top| top.path.iter().map(String::as_str)));
        for service in ranked {
            if chosen.len() >= size.services {
                break;
            }
            chosen.insert(&service.service);
        }
        Self::new(graph, &chosen, ranked, front_end, size)
    }

    fn new(
        graph: &BehaviorGraph,
        chosen: &BTreeSet<&str>,
        ranked: &[RankedService],
        front_end: &str,
        size: Size,
    ) -> Self {
        let by_name: BTreeMap<&str, &RankedService> =
            ranked.iter().map(|service| (service.service.as_str(), service)).collect();
        let node = |name: &&str| Node {
            name: (*name).to_owned(),
            rank: by_name.get(name).map(|service| service.rank),
            class: by_name.get(name).and_then(|service| service.class),
            front_end: *name == front_end,
        };
        let nodes: Vec<Node> = chosen.iter().map(node).collect();
        let position: BTreeMap<&str, usize> =
            chosen.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        let mut steps = walked_steps(ranked, &position);
        let mut edges = Vec::new();
        for (from, to, directed, weights) in graph.drawn_edges() {
            let ends =
                (position.get(graph.services()[from].as_str()), position.get(graph.services()[to].as_str()));
            let confidence = graph.confidence(from, to);
            let stands = |test: &&EdgeTest| weights.weight(test.metric) > 0.0;
            let tests = graph.tests(from, to).iter().filter(stands).copied().collect();
            let (Some(&from), Some(&to)) = ends else { continue };
            let taken =
                [(from, to), (to, from)].map(|ends| steps.remove(&ends).map(|directed| (ends, directed)));
            let step = taken.into_iter().flatten().next();
            let walked = step.is_some();
            // A walked step is drawn as calls go, where it is known how.
            let ((from, to), directed) = step.filter(|(_, known)| *known).unwrap_or(((from, to), directed));
            let metrics = MetricKind::ALL.into_iter().filter(|kind| weights.weight(*kind) > 0.0).collect();
            edges.push(Edge { from, to, directed, metrics, walked, confidence, tests });
        }
        // A walk on the call graph takes steps that need not be edges of the behaviour graph.
        edges.extend(steps.into_iter().map(|((from, to), directed)| Edge {
            from,
            to,
            directed,
            metrics: Vec::new(),
            walked: true,
            confidence: None,
            tests: Vec::new(),
        }));
        edges.sort_by_key(|edge| (!edge.walked, std::cmp::Reverse(edge.metrics.len()), edge.from, edge.to));
        let edges_left_out = edges.len().saturating_sub(size.edges);
        edges.truncate(size.edges);
        let services_left_out =
            graph.services().iter().filter(|name| !position.contains_key(name.as_str())).count();
        Self { nodes, edges, services_left_out, edges_left_out }
    }
}

/// The steps of the top services' paths as pairs of nodes, each once, with whether the first calls the second and not the
/// other way.
fn walked_steps(
    ranked: &[RankedService],
    position: &BTreeMap<&str, usize>,
) -> BTreeMap<(usize, usize), bool> {
    let steps = ranked.iter().take(DRAWN_PATHS).flat_map(RankedService::steps);
    let of_nodes = steps.filter_map(|(near, hop, far)| {
        let (near, far) = (*position.get(near)?, *position.get(far)?);
        Some(match hop {
            Hop::Calls => ((near, far), true),
            Hop::CalledBy => ((far, near), true),
            Hop::Both | Hop::Unknown => ((near.min(far), near.max(far)), false),
        })
    });
    of_nodes.collect()
}

#[cfg(test)]
mod tests {
    use automap_proto::behavior_graph::EdgeWeights;

    use super::*;

    fn ranked(rank: u32, service: &str, path: &[&str]) -> RankedService {
        RankedService {
            rank,
            service: service.into(),
            score: -f64::from(rank),
            class: Some(ServiceClass::Storage),
            evidence: vec![],
            path: path.iter().map(|name| (*name).to_owned()).collect(),
            path_share: 1.0,
            path_hops: vec![Hop::Calls; path.len().saturating_sub(1)],
            onset: None,
            deviation: 0.0,
            unlearned_score: None,
        }
    }

    fn graph() -> BehaviorGraph {
        let mut graph = BehaviorGraph::new(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap();
        let weights = EdgeWeights::from_counts([1, 0, 0, 1, 0, 0, 0]).unwrap();
        graph.set_edge(0, 1, weights).unwrap();
        graph.set_edge(1, 0, weights).unwrap();
        graph.set_edge(2, 1, weights).unwrap();
        let test = |metric| EdgeTest { metric, p_value: 0.01, samples: 60, largest_p_value: None };
        // Memory was taken away with normal behaviour.
        graph.set_tests(0, 1, vec![test(MetricKind::Cpu), test(MetricKind::Memory)]).unwrap();
        graph
    }

    #[test]
    fn steps_beyond_the_graph_are_drawn_from_caller_to_callee() {
        let drawn = |hop: Hop| {
            let top = RankedService { path_hops: vec![hop], ..ranked(1, "c", &["a", "c"]) };
            let ranking = Ranking::new(vec![top, ranked(2, "b", &[]), ranked(3, "a", &[])]).unwrap();
            let picture = Picture::of_diagnosis(&graph(), &ranking, "a", Size::USUAL);
            let walked = picture.edges.iter().find(|edge| edge.walked).unwrap();
            (walked.from, walked.to, walked.directed)
        };
        assert_eq!(drawn(Hop::Calls), (0, 2, true));
        assert_eq!(drawn(Hop::CalledBy), (2, 0, true));
        assert_eq!([drawn(Hop::Both), drawn(Hop::Unknown)], [(0, 2, false); 2]);
    }

    #[test]
    fn a_walked_edge_points_as_calls_go_and_as_it_did_where_nobody_knows_how() {
        // c -> b in the graph.
        let drawn = |hop: Hop| {
            let top = RankedService { path_hops: vec![hop], ..ranked(1, "c", &["b", "c"]) };
            let ranking = Ranking::new(vec![top, ranked(2, "a", &[]), ranked(3, "b", &[])]).unwrap();
            let picture = Picture::of_diagnosis(&graph(), &ranking, "b", Size::USUAL);
            let walked = picture.edges.iter().find(|edge| edge.walked).unwrap();
            (walked.from, walked.to, walked.directed, walked.metrics.len())
        };
        assert_eq!(drawn(Hop::Calls), (1, 2, true, 2));
        assert_eq!([drawn(Hop::CalledBy), drawn(Hop::Unknown)], [(2, 1, true, 2); 2]);
    }

    #[test]
    fn walked_edges_are_marked_and_steps_beyond_the_graph_are_added() {
        let ranking =
            Ranking::new(vec![ranked(1, "c", &["a", "c"]), ranked(2, "b", &["a", "b"]), ranked(3, "a", &[])]);
        let picture = Picture::of_diagnosis(&graph(), &ranking.unwrap(), "a", Size::USUAL);
        let edges: Vec<(usize, usize, bool, bool)> =
            picture.edges.iter().map(|edge| (edge.from, edge.to, edge.directed, edge.walked)).collect();
        assert_eq!(edges, [(0, 1, true, true), (0, 2, true, true), (2, 1, true, false)]);
        assert_eq!(picture.edges[0].metrics, [MetricKind::Latency, MetricKind::Cpu]);
        let tested: Vec<MetricKind> = picture.edges[0].tests.iter().map(|test| test.metric).collect();
        assert_eq!(tested, [MetricKind::Cpu]);
        assert!(picture.nodes[0].front_end && picture.nodes[2].rank == Some(1));
    }

    #[test]
    fn a_large_graph_is_cut_to_its_best_connected_services_and_says_so() {
        let names: Vec<String> = (0..100).map(|index| format!("s{index:03}")).collect();
        let mut large = BehaviorGraph::new(names).unwrap();
        large.set_edge(98, 99, EdgeWeights::from_counts([1; 7]).unwrap()).unwrap();
        let picture = Picture::of_graph(&large);
        assert_eq!(
            (picture.nodes.len(), picture.services_left_out),
            (Size::USUAL.services, 100 - Size::USUAL.services)
        );
        assert_eq!(picture.edges.len(), 1);
    }

    #[test]
    fn a_dense_graph_is_cut_to_the_edges_of_the_most_metrics_and_drawings_say_so() {
        let names: Vec<String> = (0..20).map(|index| format!("s{index:03}")).collect();
        let mut dense = BehaviorGraph::new(names).unwrap();
        for from in 0..20 {
            for to in 0..from {
                let counts = if from == 19 { [1, 1, 0, 0, 0, 0, 0] } else { [1, 0, 0, 0, 0, 0, 0] };
                dense.set_edge(from, to, EdgeWeights::from_counts(counts).unwrap()).unwrap();
            }
        }
        let picture = Picture::of_graph(&dense);
        assert_eq!(
            (picture.edges.len(), picture.edges_left_out),
            (Size::USUAL.edges, 190 - Size::USUAL.edges)
        );
        assert_eq!(picture.edges.iter().filter(|edge| edge.metrics.len() == 2).count(), 19);
        for text in [super::super::dot::render(&picture), super::super::svg::document(&picture)] {
            assert!(text.contains("0 services and 130 edges left out"));
        }
    }
}
