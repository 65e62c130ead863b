//! Puts scores, evidence, classes and paths together into a ranking.

use std::collections::BTreeMap;

use automap_proto::{
    hop::Hop,
    invalid::Invalid,
    profile::{ServiceClass, ServiceProfile},
    ranking::{Evidence, RankedService, Ranking},
    time::UnixMillis,
};

use crate::{explain::left_normal, path_tally::WalkedPath};

/// The score of the baseline `random` for each of `count` services: all alike, so that an evaluation that counts
/// ties as expected hits measures what chance gives.
pub fn random_scores(count: usize) -> Vec<f64> {
    vec![0.0; count]
}

/// What is known of each service, in the order of `services`; lists may be shorter where nothing more is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Findings<'a> {
    /// Names, sorted, each once.
    pub services: &'a [String],
    /// Larger is more suspect; what is not finite counts as zero.
    pub scores: &'a [f64],
    /// Largest first.
    pub evidence: &'a [Vec<Evidence>],
    /// What speaks against each before any walk; what is not finite or negative counts as zero.
    pub deviations: &'a [f64],
    /// When each left its normal range; of one whose evidence shows that it did not, no time is told: what departed is
    /// explained by others.
    pub onsets: &'a [Option<UnixMillis>],
    /// Scores without what confirmed incidents taught; empty where nothing was learned.
    pub unlearned_scores: &'a [f64],
    /// Profiles by name, in any order; empty without a behaviour graph.
    pub profiles: &'a [ServiceProfile],
    /// How the front end leads to each.
    pub paths: &'a [Option<WalkedPath>],
    /// Known calls (caller, callee) as indices of services, sorted; by them the steps of paths are told apart.
    pub calls: &'a [(usize, usize)],
}

/// Orders services by falling score, equals by name. Every service stands in the ranking once. O(n log n).
///
/// # Errors
/// A name is bad or stands twice.
pub fn rank(findings: &Findings<'_>) -> Result<Ranking, Invalid> {
    let classes: BTreeMap<&str, ServiceClass> =
        findings.profiles.iter().map(|profile| (profile.service.as_str(), profile.class)).collect();
    let mut ranked: Vec<RankedService> = findings
        .services
        .iter()
        .enumerate()
        .map(|(index, service)| {
            let path = findings.paths.get(index).and_then(Option::as_ref);
            let evidence = findings.evidence.get(index).cloned().unwrap_or_default();
            let has_left = evidence.iter().any(left_normal);
            RankedService {
                rank: 0,
                service: service.clone(),
                score: comparable(findings.scores.get(index).copied()),
                class: classes.get(service.as_str()).copied(),
                evidence,
                path: path.map_or_else(Vec::new, |path| names(&path.services, findings.services)),
                path_share: path.map_or(0.0, |path| path.share),
                path_hops: path.map_or_else(Vec::new, |path| hops(&path.services, findings.calls)),
                onset: findings.onsets.get(index).copied().flatten().filter(|_| has_left),
                deviation: comparable(findings.deviations.get(index).copied()).max(0.0),
                unlearned_score: findings.unlearned_scores.get(index).map(|score| comparable(Some(*score))),
            }
        })
        .collect();
    ranked.sort_by(|left, right| {
        right.score.total_cmp(&left.score).then_with(|| left.service.cmp(&right.service))
    });
    for (place, service) in (1..).zip(&mut ranked) {
        service.rank = place;
    }
    Ranking::new(ranked)
}

/// Adding zero makes minus zero the same zero.
fn comparable(score: Option<f64>) -> f64 {
    score.filter(|score| score.is_finite()).unwrap_or(0.0) + 0.0
}

fn names(path: &[usize], services: &[String]) -> Vec<String> {
    path.iter().filter_map(|&index| services.get(index).cloned()).collect()
}

/// Who calls whom at each step. O(steps · log calls).
fn hops(path: &[usize], calls: &[(usize, usize)]) -> Vec<Hop> {
    let is_known = |caller: usize, callee: usize| calls.binary_search(&(caller, callee)).is_ok();
    path.windows(2).map(|two| Hop::new(is_known(two[0], two[1]), is_known(two[1], two[0]))).collect()
}

#[cfg(test)]
mod tests {
    use automap_proto::{metric::MetricKind, ranking::Direction};
    use proptest::prelude::*;

    use super::*;

    fn services(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn order(ranking: &Ranking) -> Vec<&str> {
        ranking.services().iter().map(|ranked| ranked.service.as_str()).collect()
    }

    #[test]
    fn equals_are_ordered_by_name_and_keep_equal_scores() {
        let names = services(&["a", "b", "c", "d"]);
        let ranking =
            rank(&Findings { services: &names, scores: &[0.0, 1.0, -0.0, 1.0], ..Findings::default() })
                .unwrap();
        assert_eq!(order(&ranking), ["b", "d", "a", "c"]);
        assert_eq!(ranking.services()[2].score.to_bits(), ranking.services()[3].score.to_bits());
    }

    #[test]
    fn scores_that_are_no_numbers_or_missing_count_as_zero() {
        let names = services(&["a", "b", "c", "d", "e"]);
        let scores = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.5];
        let ranking = rank(&Findings { services: &names, scores: &scores, ..Findings::default() }).unwrap();
        assert_eq!(order(&ranking), ["d", "a", "b", "c", "e"]);
    }

    #[test]
    fn class_and_path_follow_their_service() {
        let names = services(&["a", "b"]);
        let profiles =
            [ServiceProfile { service: "b".into(), weights: [0.0; 7], class: ServiceClass::Storage }];
        let paths = [None, Some(WalkedPath { services: vec![0, 1], share: 0.75 })];
        let findings = Findings {
            services: &names,
            scores: &[0.0, 1.0],
            profiles: &profiles,
            paths: &paths,
            ..Findings::default()
        };
        let ranking = rank(&findings).unwrap();
        let first = &ranking.services()[0];
        assert_eq!((first.class, first.path_share), (Some(ServiceClass::Storage), 0.75));
        assert_eq!(first.path, ["a", "b"]);
        assert!(ranking.services()[1].path.is_empty());
    }

    #[test]
    fn each_step_of_a_path_tells_who_calls_whom() {
        let names = services(&["a", "b", "c", "d", "e"]);
        let walked = WalkedPath { services: vec![0, 1, 2, 3, 4], share: 1.0 };
        let findings = Findings {
            services: &names,
            scores: &[1.0],
            paths: &[Some(walked)],
            calls: &[(0, 1), (2, 1), (2, 3), (3, 2)],
            ..Findings::default()
        };
        let told = rank(&findings).unwrap().services()[0].path_hops.clone();
        assert_eq!(told, [Hop::Calls, Hop::CalledBy, Hop::Both, Hop::Unknown]);
    }

    #[test]
    fn a_time_is_told_only_of_services_that_left_their_normal_behaviour() {
        let names = services(&["a", "b", "c"]);
        let cpu = |spreads: f64| {
            let deviation = spreads.ln_1p();
            vec![Evidence {
                metric: MetricKind::Cpu,
                series: "cpu".into(),
                deviation,
                direction: Direction::Up,
            }]
        };
        let onset = Some(UnixMillis(60_000));
        let findings = Findings {
            services: &names,
            scores: &[3.0, 2.0, 1.0],
            evidence: &[cpu(3.5), cpu(2.5), vec![]],
            onsets: &[onset; 3],
            ..Findings::default()
        };
        let ranking = rank(&findings).unwrap();
        let told: Vec<Option<UnixMillis>> = ranking.services().iter().map(|ranked| ranked.onset).collect();
        assert_eq!(told, [onset, None, None]);
    }

    proptest! {
        #[test]
        fn every_service_is_ranked_once(scores in proptest::collection::vec(any::<f64>(), 0..30)) {
            let names: Vec<String> = (0..scores.len()).map(|index| format!("s{index:02}")).collect();
            let ranking = rank(&Findings { services: &names, scores: &scores, ..Findings::default() }).unwrap();
            let mut found = order(&ranking);
            found.sort_unstable();
            prop_assert_eq!(found, names);
        }
    }
}
