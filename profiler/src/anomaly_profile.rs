//! The anomaly profile of an incident: its graph with the classes of its services.

use automap_proto::{behavior_graph::BehaviorGraph, invalid::Invalid, profile::ServiceProfile, v1};

use crate::{
    algebra::{KeptEdges, subtract},
    class_table::ClassTable,
    service_profile::service_profiles,
    similarity::SimilarityVector,
};

/// An anomaly graph whose vertices are labelled with their profiles, one for each service in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct AnomalyProfile {
    graph: BehaviorGraph,
    profiles: Vec<ServiceProfile>,
}

impl AnomalyProfile {
    /// # Errors
    /// The profiles are not one for each service in the order of the graph.
    pub fn new(graph: BehaviorGraph, profiles: Vec<ServiceProfile>) -> Result<Self, Invalid> {
        let names = profiles.iter().map(|profile| &profile.service);
        if !names.eq(graph.services()) {
            return Err(Invalid::new(
                "profiles",
                "must be one for each service of anomaly_graph, in the same order",
            ));
        }
        Ok(Self { graph, profiles })
    }

    /// Incident graph − normal graph, its services labelled by their normal behaviour (paper, anomaly profile).
    ///
    /// Without a normal graph nothing is subtracted, and the incident graph gives the classes.
    ///
    /// # Errors
    /// None for graphs that were built.
    pub fn of_incident(
        incident: &BehaviorGraph,
        normal: Option<&BehaviorGraph>,
        kept: KeptEdges,
        classes: &ClassTable,
    ) -> Result<Self, Invalid> {
        let profiles = service_profiles(incident.services(), normal.unwrap_or(incident), classes);
        let anomaly = match normal {
            Some(behaviour) => subtract(incident, behaviour, kept)?,
            None => incident.clone(),
        };
        Self::new(anomaly, profiles)
    }

    /// Decodes the fields `anomaly_graph` and `profiles` of a message. Similarity compares weights alone: the tests of edges
    /// are not kept.
    ///
    /// # Errors
    /// The graph or a profile is invalid, or they do not belong together.
    pub fn from_wire(graph: &v1::BehaviorGraph, profiles: &[v1::ServiceProfile]) -> Result<Self, Invalid> {
        let graph = decode_graph("anomaly_graph", graph)?.without_tests();
        let profiles = profiles
            .iter()
            .enumerate()
            .map(|(index, profile)| {
                ServiceProfile::try_from(profile).map_err(|error| {
                    let field = error.field().replacen("profile", &format!("profiles[{index}]"), 1);
                    Invalid::new(field, error.problem())
                })
            })
            .collect::<Result<_, _>>()?;
        Self::new(graph, profiles)
    }

    /// The graph.
    pub const fn graph(&self) -> &BehaviorGraph {
        &self.graph
    }

    /// The profiles, in the order of the graph's services.
    pub fn profiles(&self) -> &[ServiceProfile] {
        &self.profiles
    }

    /// The numbers that similarity compares.
    pub fn similarity_vector(&self) -> SimilarityVector {
        SimilarityVector::new(&self.graph, &self.profiles)
    }
}

/// Decodes a graph that stands in `field`: the domain type names its fields from `graph` on.
pub(crate) fn decode_graph(field: &str, graph: &v1::BehaviorGraph) -> Result<BehaviorGraph, Invalid> {
    BehaviorGraph::try_from(graph)
        .map_err(|error| Invalid::new(error.field().replacen("graph", field, 1), error.problem()))
}

#[cfg(test)]
mod tests {
    use automap_proto::profile::ServiceClass;

    use super::*;
    use crate::sample::graph;

    const CPU: [u32; 7] = [0, 0, 0, 1, 0, 0, 0];
    const CPU_AND_LATENCY: [u32; 7] = [1, 0, 0, 1, 0, 0, 0];

    #[test]
    fn the_graph_is_the_difference_and_the_classes_are_those_of_normal_behaviour() {
        let incident = graph(&["a", "b"], &[(0, 1, CPU_AND_LATENCY)]);
        let normal = graph(&["a", "b"], &[(0, 1, CPU)]);
        let of = |behaviour| {
            AnomalyProfile::of_incident(&incident, behaviour, KeptEdges::default(), &ClassTable::default())
                .unwrap()
        };
        let profile = of(Some(&normal));
        assert_eq!(profile.profiles()[0].class, ServiceClass::Computing);
        let left = profile.graph().edge(0, 1).unwrap().weights();
        assert_eq!(left, &[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let alone = of(None);
        assert_eq!(alone.graph(), &incident);
        assert_eq!(alone.profiles()[0].class, ServiceClass::Representational);
    }

    #[test]
    fn profiles_must_name_the_services_of_the_graph() {
        let built = graph(&["a", "b"], &[]);
        let mut profiles = service_profiles(built.services(), &built, &ClassTable::default());
        assert!(AnomalyProfile::new(built.clone(), profiles.clone()).is_ok());
        profiles.swap(0, 1);
        let error = AnomalyProfile::new(built.clone(), profiles.clone()).unwrap_err();
        assert_eq!(error.field(), "profiles");
        profiles.pop();
        assert!(AnomalyProfile::new(built, profiles).is_err());
    }

    #[test]
    fn bad_graphs_and_profiles_are_named_by_their_field() {
        let hostile = v1::BehaviorGraph {
            services: vec!["a".into()],
            edges: vec![v1::BehaviorEdge { to: 9, bit_counts: vec![1; 7], ..v1::BehaviorEdge::default() }],
        };
        let error = AnomalyProfile::from_wire(&hostile, &[]).unwrap_err();
        assert_eq!(error.field(), "anomaly_graph.edges[0]");
        let fine = v1::BehaviorGraph { edges: vec![], ..hostile };
        let profile = v1::ServiceProfile { service: "a".into(), weights: vec![2.0; 7], service_class: 1 };
        let error = AnomalyProfile::from_wire(&fine, &[profile]).unwrap_err();
        assert_eq!(error.field(), "profiles[0].weights");
    }
}
