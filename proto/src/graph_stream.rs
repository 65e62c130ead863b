//! Behaviour graphs on their way: a header, then edges in parts, for one graph after the other.

use std::collections::BTreeMap;

use crate::{
    behavior_graph::{BehaviorGraph, edge_from_wire},
    invalid::Invalid,
    metric::{METRIC_COUNT, MetricKind},
    throughput::ThroughputFit,
    v1::{self, build_graph_response::Part},
};

/// A graph as the graph-builder answers it.
#[derive(Debug, Clone, PartialEq)]
pub struct BuiltGraph {
    /// The graph.
    pub graph: BehaviorGraph,
    /// Conditional independence tests made.
    pub tests: u64,
    /// |Pearson correlation| with the front end, per metric type and service, 0..1; zeros when none was named.
    pub correlations: [Vec<f64>; METRIC_COUNT],
    /// What its reader should know: sentences.
    pub warnings: Vec<String>,
    /// Whether a budget ended the search for some pairs, which keep their edges.
    pub is_cut: bool,
}

/// Puts graphs together from the parts of an answer.
#[derive(Debug, Default)]
pub struct GraphAssembler {
    finished: BTreeMap<String, BuiltGraph>,
    open: Option<OpenGraph>,
    throughput: Option<OpenFit>,
}

/// A throughput fit of which not all parts may have come.
#[derive(Debug, Default)]
struct OpenFit {
    services: Vec<String>,
    /// Little-endian doubles.
    r_squared: Vec<u8>,
}

#[derive(Debug)]
struct OpenGraph {
    selection: String,
    edge_count: u64,
    built: BuiltGraph,
}

impl GraphAssembler {
    /// Takes the next part; progress is handed back.
    ///
    /// # Errors
    /// Edges came before their graph, a graph ended early, or a value is bad.
    pub fn push(&mut self, part: Part) -> Result<Option<v1::GraphProgress>, Invalid> {
        match part {
            Part::Progress(progress) => return Ok(Some(progress)),
            Part::Graph(header) => {
                self.close()?;
                self.open = Some(OpenGraph {
                    selection: header.selection.clone(),
                    edge_count: header.edge_count,
                    built: BuiltGraph {
                        correlations: correlations_from_wire(&header)?,
                        graph: BehaviorGraph::new(header.services)?,
                        tests: header.tests,
                        is_cut: header.levels.iter().any(|level| level.cut_pairs > 0),
                        warnings: header.warnings,
                    },
                });
            }
            Part::Edges(edges) => {
                let Some(open) = self.open.as_mut() else {
                    return Err(Invalid::new("graph.edges", "came before the graph they belong to"));
                };
                for edge in &edges.edges {
                    let weights = edge_from_wire("graph.edges", edge)?;
                    let (from, to) = (edge.from as usize, edge.to as usize);
                    open.built.graph.set_edge(from, to, weights)?;
                    open.built.graph.know_from_wire("graph.edges", edge)?;
                }
            }
            Part::Throughput(part) => {
                let fit = self.throughput.get_or_insert_default();
                fit.services.extend(part.services);
                fit.r_squared.extend_from_slice(&part.r_squared);
            }
        }
        Ok(None)
    }

    /// All graphs by the name of their selection.
    ///
    /// # Errors
    /// The last graph ended early.
    pub fn finish(mut self) -> Result<BTreeMap<String, BuiltGraph>, Invalid> {
        self.close()?;
        Ok(self.finished)
    }

    /// All graphs by the name of their selection, and the throughput fit where one was asked for.
    ///
    /// # Errors
    /// The last graph or the fit ended early, or a share is none.
    pub fn finish_with_throughput(
        mut self,
    ) -> Result<(BTreeMap<String, BuiltGraph>, Option<ThroughputFit>), Invalid> {
        let fit = self.throughput.take().map(|fit| {
            let (values, _) = fit.r_squared.as_chunks::<{ size_of::<f64>() }>();
            let values = values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
            ThroughputFit::new(fit.services, values)
        });
        Ok((self.finish()?, fit.transpose()?))
    }

    fn close(&mut self) -> Result<(), Invalid> {
        if let Some(OpenGraph { selection, edge_count, built }) = self.open.take() {
            let received = built.graph.edges().len();
            if received as u64 != edge_count {
                return Err(Invalid::new(
                    "graph.edges",
                    format!("of {selection} ended after {received} of {edge_count} edges"),
                ));
            }
            self.finished.insert(selection, built);
        }
        Ok(())
    }
}

fn correlations_from_wire(header: &v1::GraphHeader) -> Result<[Vec<f64>; METRIC_COUNT], Invalid> {
    let mut correlations: [Vec<f64>; METRIC_COUNT] =
        std::array::from_fn(|_| vec![0.0; header.services.len()]);
    for row in &header.correlations {
        let kind = MetricKind::from_wire("graph.correlations.metric", row.metric)?;
        let valid = row.absolute.len() == header.services.len()
            && row.absolute.iter().all(|value| (0.0..=1.0).contains(value));
        if !valid {
            return Err(Invalid::new("graph.correlations.absolute", "must hold 0 to 1 for every service"));
        }
        correlations[kind.index()].clone_from(&row.absolute);
    }
    Ok(correlations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(edge_count: u64) -> Part {
        Part::Graph(v1::GraphHeader {
            selection: "incident".into(),
            services: vec!["a".into(), "b".into()],
            tests: 3,
            edge_count,
            ..v1::GraphHeader::default()
        })
    }

    fn edges() -> Part {
        let edge =
            v1::BehaviorEdge { to: 1, bit_counts: vec![1; METRIC_COUNT], ..v1::BehaviorEdge::default() };
        Part::Edges(v1::GraphEdges { edges: vec![edge] })
    }

    #[test]
    fn a_whole_graph_is_kept_under_its_name() {
        let mut assembler = GraphAssembler::default();
        assembler.push(header(1)).unwrap();
        assembler.push(edges()).unwrap();
        let graphs = assembler.finish().unwrap();
        assert_eq!((graphs["incident"].tests, graphs["incident"].graph.edges().len()), (3, 1));
    }

    #[test]
    fn a_throughput_fit_is_put_together_from_its_parts() {
        let part = |services: &[&str], values: &[f64]| {
            Part::Throughput(v1::ThroughputFit {
                services: services.iter().map(|name| (*name).to_owned()).collect(),
                r_squared: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            })
        };
        let mut assembler = GraphAssembler::default();
        assembler.push(part(&["a", "b", "c"], &[0.1, 0.2])).unwrap();
        assembler.push(part(&[], &[0.3])).unwrap();
        let fit = assembler.finish_with_throughput().unwrap().1.unwrap();
        assert_eq!(fit.between(2, 1), Some(0.3));
        let mut early = GraphAssembler::default();
        early.push(part(&["a", "b", "c"], &[0.1])).unwrap();
        assert!(early.finish_with_throughput().is_err());
        assert_eq!(GraphAssembler::default().finish_with_throughput().unwrap().1, None);
    }

    #[test]
    fn edges_keep_their_tests_and_hostile_ones_are_refused() {
        let told = |p_value| {
            let Part::Edges(mut part) = edges() else { unreachable!("edges are edges") };
            part.edges[0].tests =
                vec![v1::EdgeTest { metric: 4, p_value, samples: 60, largest_p_value: None }];
            Part::Edges(part)
        };
        let mut assembler = GraphAssembler::default();
        assembler.push(header(1)).unwrap();
        assembler.push(told(0.01)).unwrap();
        let graph = &assembler.finish().unwrap()["incident"].graph;
        assert_eq!((graph.tests(1, 0)[0].metric, graph.tests(1, 0)[0].samples), (MetricKind::Cpu, 60));
        for hostile in [f64::NAN, -0.1, 1.1] {
            let mut assembler = GraphAssembler::default();
            assembler.push(header(1)).unwrap();
            let error = assembler.push(told(hostile)).unwrap_err();
            assert_eq!(error.field(), "graph.edges.tests[0].p_value");
        }
    }

    #[test]
    fn graphs_that_end_early_or_begin_with_edges_are_refused() {
        assert!(GraphAssembler::default().push(edges()).is_err());
        let mut assembler = GraphAssembler::default();
        assembler.push(header(2)).unwrap();
        assembler.push(edges()).unwrap();
        assert!(assembler.push(header(0)).unwrap_err().problem().contains("1 of 2 edges"));
        let mut assembler = GraphAssembler::default();
        assembler.push(header(1)).unwrap();
        assert!(assembler.finish().is_err());
    }
}
