use super::*;
use crate::graph::combine;

/// Directed edges and, as (first, second) with first < second, undirected ones.
type Drawn = (Vec<(usize, usize)>, Vec<(usize, usize)>);

fn drawn(services: usize, skeletons: &[(usize, Skeleton)]) -> Drawn {
    let orientation = orient(&combine(skeletons), services, skeletons);
    let (undirected, directed): (Vec<_>, Vec<_>) =
        orientation.arrows().partition(|&(from, to)| orientation.runs(to, from));
    (directed, undirected.into_iter().filter(|(from, to)| from < to).collect())
}

fn one_metric(
    services: usize,
    edges: &[(u32, u32)],
    separating_sets: impl IntoIterator<Item = ((u32, u32), Vec<u32>)>,
) -> Drawn {
    drawn(services, &[(0, Skeleton::of(services, edges, separating_sets))])
}

#[test]
fn a_middle_that_does_not_separate_is_a_collider() {
    let edges = [(0, 1), (1, 2)];
    assert_eq!(one_metric(3, &edges, []), (vec![(0, 1), (2, 1)], vec![]));
    assert_eq!(one_metric(3, &edges, [((0, 2), vec![1])]), (vec![], vec![(0, 1), (1, 2)]));
}

#[test]
fn a_metric_without_edges_makes_no_collider() {
    let chain = Skeleton::of(3, &[(0, 1), (1, 2)], [((0, 2), vec![1])]);
    let constant = Skeleton::of(3, &[], []);
    assert_eq!(drawn(3, &[(0, chain.clone()), (3, constant)]), (vec![], vec![(0, 1), (1, 2)]));
    let half = Skeleton::of(3, &[(0, 1)], []);
    assert_eq!(drawn(3, &[(0, chain), (3, half)]), (vec![], vec![(0, 1), (1, 2)]));
}

#[test]
fn one_metric_suffices_for_a_collider() {
    let chain = Skeleton::of(3, &[(0, 1), (1, 2)], [((0, 2), vec![1])]);
    let collider = Skeleton::of(3, &[(0, 1), (1, 2)], []);
    assert_eq!(drawn(3, &[(0, chain), (3, collider)]), (vec![(0, 1), (2, 1)], vec![]));
}

#[test]
fn conflicting_arrowheads_leave_the_edge_undirected() {
    // 0 → 1 ← 2 and 1 → 2 ← 3.
    assert_eq!(one_metric(4, &[(0, 1), (1, 2), (2, 3)], []), (vec![(0, 1), (3, 2)], vec![(1, 2)]));
}

#[test]
fn rule_1_carries_an_arrow_on_past_a_collider() {
    let sets = [((0, 3), vec![1]), ((2, 3), vec![1])];
    assert_eq!(one_metric(4, &[(0, 1), (1, 2), (1, 3)], sets), (vec![(0, 1), (1, 3), (2, 1)], vec![]));
}

#[test]
fn rule_2_closes_no_cycle() {
    // 0 → 1 ← 4 by a collider, 1 → 2 by rule 1, and then 0 – 2 must be 0 → 2.
    let edges = [(0, 1), (0, 2), (1, 2), (1, 4)];
    let sets = [((2, 4), vec![1])];
    let (directed, undirected) = one_metric(5, &edges, sets);
    assert_eq!(directed, [(0, 1), (0, 2), (1, 2), (4, 1)]);
    assert_eq!(undirected, []);
}

#[test]
fn rule_3_directs_the_edge_between_two_ways() {
    // 1 → 3 ← 2 is a collider; 0 neighbours all of them and separates 1 from 2.
    let edges = [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)];
    let sets = [((1, 2), vec![0])];
    let (directed, undirected) = one_metric(4, &edges, sets);
    assert_eq!(directed, [(0, 3), (1, 3), (2, 3)]);
    assert_eq!(undirected, [(0, 1), (0, 2)]);
}

#[test]
fn contradicting_demands_of_a_rule_direct_nothing() {
    // 0 → 1 ← 4 and 3 → 2 ← 5 at the ends of 1 – 2.
    let edges = [(0, 1), (1, 4), (1, 2), (2, 3), (2, 5)];
    let sets = [((0, 2), vec![1]), ((2, 4), vec![1]), ((1, 3), vec![2]), ((1, 5), vec![2])];
    let (directed, undirected) = one_metric(6, &edges, sets);
    assert_eq!(directed, [(0, 1), (3, 2), (4, 1), (5, 2)]);
    assert_eq!(undirected, [(1, 2)]);
}
