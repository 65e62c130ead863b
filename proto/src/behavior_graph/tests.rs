use super::*;

#[test]
fn confidence_belongs_to_a_pair_whichever_way_and_survives_the_wire() {
    let mut graph = BehaviorGraph::new(["a", "b", "c"].map(str::to_owned).to_vec()).unwrap();
    graph.set_edge(1, 0, EdgeWeights::from_counts([1; METRIC_COUNT]).unwrap()).unwrap();
    graph.set_edge(1, 2, EdgeWeights::from_counts([1; METRIC_COUNT]).unwrap()).unwrap();
    graph.set_confidence(0, 1, 0.75).unwrap();
    assert_eq!((graph.confidence(1, 0), graph.confidence(1, 2)), (Some(0.75), None));
    let wire = v1::BehaviorGraph::from(&graph);
    assert_eq!(BehaviorGraph::try_from(&wire).unwrap(), graph);
    let mut wrong = wire;
    wrong.edges[0].confidence = Some(1.5);
    assert_eq!(BehaviorGraph::try_from(&wrong).unwrap_err().field(), "graph.edges[0].confidence");
}

#[test]
fn tests_belong_to_a_pair_whichever_way_and_survive_the_wire() {
    let one = EdgeWeights::from_counts([1, 0, 0, 1, 0, 0, 0]).unwrap();
    let test = |metric, largest_p_value| EdgeTest { metric, p_value: 0.01, samples: 60, largest_p_value };
    let tests = vec![test(MetricKind::Latency, Some(0.02)), test(MetricKind::Cpu, None)];
    let mut graph = BehaviorGraph::new(names(3)).unwrap();
    for (from, to) in [(0, 1), (1, 0), (1, 2)] {
        graph.set_edge(from, to, one).unwrap();
    }
    graph.set_tests(1, 0, tests.clone()).unwrap();
    assert_eq!((graph.tests(0, 1), graph.tests(1, 2)), (&tests[..], &[][..]));
    let wire = v1::BehaviorGraph::from(&graph);
    assert_eq!((wire.edges[0].tests.len(), &wire.edges[0].tests), (2, &wire.edges[1].tests));
    assert_eq!(BehaviorGraph::try_from(&wire).unwrap(), graph);
    let plain = graph.to_wire_without_tests();
    assert_eq!(BehaviorGraph::try_from(&plain).unwrap(), graph.clone().without_tests());

    graph.set_confidence(0, 1, 0.5).unwrap();
    let mut rest = BehaviorGraph::new(names(3)).unwrap();
    rest.set_edge(1, 0, one).unwrap();
    rest.inherit(&graph);
    assert_eq!((rest.tests(0, 1), rest.confidence(0, 1)), (&tests[..], Some(0.5)));
    assert!(rest.remove_edge(1, 0) && rest.tests(0, 1).is_empty());
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("s{index}")).collect()
}

#[test]
fn bits_become_weights_as_the_paper_prints_them() {
    let weights = EdgeWeights::from_counts([1, 0, 0, 0, 1, 1, 1]).unwrap();
    assert_eq!(weights.weights(), &[0.25, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25]);
    let weights = EdgeWeights::from_counts([1, 0, 0, 0, 0, 0, 1]).unwrap();
    assert_eq!(weights.weights(), &[0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
    assert_eq!(weights.support(), 2);
    assert_eq!(EdgeWeights::from_counts([0; 7]), None);
}

#[test]
fn weights_that_are_none_are_refused() {
    for bad in [f64::NAN, f64::INFINITY, -0.1] {
        assert_eq!(EdgeWeights::from_weights([bad, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None);
    }
    assert_eq!(EdgeWeights::from_weights([0.0; 7]), None);
}

#[test]
fn undirected_edges_stand_both_ways_and_are_drawn_once() {
    let mut graph = BehaviorGraph::new(names(3)).unwrap();
    let one = EdgeWeights::from_counts([1, 0, 0, 0, 0, 0, 0]).unwrap();
    graph.set_edge(0, 1, one).unwrap();
    graph.set_edge(1, 0, one).unwrap();
    graph.set_edge(2, 1, one).unwrap();
    let drawn: Vec<_> = graph.drawn_edges().map(|(from, to, directed, _)| (from, to, directed)).collect();
    assert_eq!(drawn, [(0, 1, false), (2, 1, true)]);
    assert_eq!(graph.out_edges(1).map(|(to, _)| to).collect::<Vec<_>>(), [0]);
    assert_eq!(BehaviorGraph::try_from(&v1::BehaviorGraph::from(&graph)).unwrap(), graph);
}

#[test]
fn hostile_graphs_are_refused_by_field() {
    let edge =
        |from, to| v1::BehaviorEdge { from, to, bit_counts: vec![1; 7], ..v1::BehaviorEdge::default() };
    let wire = |edges| v1::BehaviorGraph { services: names(2), edges };
    let tested = |tests| v1::BehaviorEdge { tests, ..edge(0, 1) };
    let good = v1::EdgeTest { metric: 1, p_value: 0.01, samples: 60, largest_p_value: Some(0.02) };
    for (edges, field) in [
        (vec![edge(0, 2)], "graph.edges[0]"),
        (vec![edge(0, 1), edge(1, 1)], "graph.edges[1]"),
        (vec![edge(0, 1), edge(0, 1)], "graph.edges[1]"),
        (vec![v1::BehaviorEdge { bit_counts: vec![1; 8], ..edge(0, 1) }], "graph.edges[0]"),
        (vec![v1::BehaviorEdge { weights: vec![1.0; 7], ..edge(0, 1) }], "graph.edges[0]"),
        (vec![tested(vec![v1::EdgeTest { metric: 8, ..good }])], "graph.edges[0].tests[0].metric"),
        (vec![tested(vec![good; 2])], "graph.edges[0].tests[1].metric"),
        (vec![tested(vec![v1::EdgeTest { samples: 0, ..good }])], "graph.edges[0].tests[0].samples"),
    ] {
        assert_eq!(BehaviorGraph::try_from(&wire(edges)).unwrap_err().field(), field);
    }
    let unsorted = v1::BehaviorGraph { services: vec!["b".into(), "a".into()], edges: vec![] };
    assert_eq!(BehaviorGraph::try_from(&unsorted).unwrap_err().field(), "graph.services[1]");
}
