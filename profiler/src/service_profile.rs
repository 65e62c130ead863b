//! Service profiles (paper, service profiling).

use automap_proto::{behavior_graph::BehaviorGraph, metric::METRIC_COUNT, profile::ServiceProfile};

use crate::class_table::ClassTable;

/// The profiles of `services`, in their order, from the graph of normal behaviour.
///
/// p_i = (1/(n − 1)) Σ_{j≠i} W_ij over the out-edges of i in `graph`, n its number of services, missing edges
/// counting as zero vectors; each number lies in 0..1. A service that `graph` does not know has a profile of zeros.
///
/// O(services · log n + edges).
pub fn service_profiles(
    services: &[String],
    graph: &BehaviorGraph,
    classes: &ClassTable,
) -> Vec<ServiceProfile> {
    services
        .iter()
        .map(|service| {
            let weights = graph
                .service_index(service)
                .map_or([0.0; METRIC_COUNT], |index| mean_of_out_edges(graph, index));
            ServiceProfile { service: service.clone(), weights, class: classes.classify(&weights) }
        })
        .collect()
}

fn mean_of_out_edges(graph: &BehaviorGraph, service: usize) -> [f64; METRIC_COUNT] {
    let others = graph.services().len().saturating_sub(1).max(1) as f64;
    let mut total = [0.0; METRIC_COUNT];
    for (_, weights) in graph.out_edges(service) {
        for (sum, weight) in total.iter_mut().zip(weights.weights()) {
            *sum += weight;
        }
    }
    // The contract promises at most 1, which rounding may pass by a hair.
    total.map(|sum| (sum / others).min(1.0))
}

#[cfg(test)]
mod tests {
    use automap_proto::profile::ServiceClass;

    use super::*;
    use crate::sample::graph;

    const SERVICES: [&str; 4] = ["s0", "s1", "s2", "s3"];

    fn first_profile(out_edges: &[[u32; 7]]) -> ServiceProfile {
        let edges: Vec<_> = out_edges.iter().enumerate().map(|(index, bits)| (0, index + 1, *bits)).collect();
        let built = graph(&SERVICES, &edges);
        service_profiles(built.services(), &built, &ClassTable::default()).remove(0)
    }

    fn printed(profile: &ServiceProfile) -> [String; 7] {
        profile.weights.map(|weight| format!("{weight:.3}"))
    }

    #[test]
    fn the_three_profiles_of_the_figure_have_the_printed_numbers_and_classes() {
        let thirds = [1, 0, 1, 0, 0, 0, 1];
        let first = first_profile(&[[1, 0, 0, 0, 1, 1, 1], thirds, [1, 0, 0, 0, 0, 0, 0]]);
        assert_eq!(printed(&first), ["0.528", "0.000", "0.111", "0.000", "0.083", "0.083", "0.194"]);
        assert_eq!(first.class, ServiceClass::Representational);

        let second = first_profile(&[[0, 0, 1, 0, 0, 0, 1], thirds]);
        assert_eq!(printed(&second), ["0.111", "0.000", "0.278", "0.000", "0.000", "0.000", "0.278"]);
        assert_eq!(second.class, ServiceClass::Networking);

        let third = first_profile(&[[1, 0, 0, 0, 1, 0, 1], thirds]);
        assert_eq!(printed(&third), ["0.222", "0.000", "0.111", "0.000", "0.111", "0.000", "0.222"]);
        assert_eq!(third.class, ServiceClass::Representational);
    }

    #[test]
    fn services_that_normal_behaviour_does_not_know_are_environmental_zeros() {
        let normal = graph(&SERVICES, &[(1, 2, [0, 0, 0, 1, 0, 0, 0])]);
        let asked = ["new".to_owned(), "s1".to_owned()];
        let profiles = service_profiles(&asked, &normal, &ClassTable::default());
        assert_eq!(profiles[0].weights, [0.0; 7]);
        assert_eq!(profiles[0].class, ServiceClass::Environmental);
        assert_eq!(profiles[1].class, ServiceClass::Computing);
        assert_eq!(profiles[1].service, "s1");
    }

    #[test]
    fn a_lone_service_has_a_profile_of_zeros() {
        let lone = graph(&["a"], &[]);
        assert_eq!(service_profiles(lone.services(), &lone, &ClassTable::default())[0].weights, [0.0; 7]);
    }
}
