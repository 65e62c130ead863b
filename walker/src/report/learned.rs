//! What a diagnosis owes to confirmed incidents, for a person.

use automap_proto::ranking::{Direction, RankedService};

use super::answer::Answer;

/// Most weights that are named.
const NAMED: usize = 4;
/// Weights whose logarithm is nearer to 0 than this are not worth a word.
const TOLD_CHANGE: f64 = 0.05;

/// Which weights were learned from how many incidents, and what the ranking would be without. Empty where nothing was
/// learned.
pub fn lines(answer: &Answer) -> Vec<String> {
    let Some(learned) = &answer.learned else {
        return Vec::new();
    };
    let shown =
        learned.changed().map(|(kind, direction, weight)| (format!("{kind} {}", word(direction)), weight));
    let leads = learned.changed_leads().map(|(kind, weight)| (format!("most {kind}"), weight));
    let mut weights: Vec<(String, f64)> =
        shown.chain(leads).filter(|(_, weight)| weight.ln().abs() >= TOLD_CHANGE).collect();
    weights.sort_by(|left, right| right.1.ln().abs().total_cmp(&left.1.ln().abs()));
    let named: Vec<String> =
        weights.iter().take(NAMED).map(|(what, weight)| format!("{what} ×{weight:.2}")).collect();
    let count = learned.incidents();
    let taught =
        if named.is_empty() { "that all evidence counts alike".to_owned() } else { named.join(", ") };
    let mut lines = vec![format!("learned from {count} confirmed incidents: {taught}")];
    let ranked = answer.ranking.services();
    let without = by_unlearned_score(ranked);
    if let (Some(first), Some(plain)) = (ranked.first(), without.first()) {
        lines.push(match first.service == plain.service {
            true => format!("without what was learned {} is first too", first.service),
            false => format!(
                "without what was learned {} would be first and {} in place {}",
                plain.service,
                first.service,
                1 + without.iter().take_while(|one| one.service != first.service).count()
            ),
        });
    }
    lines
}

/// The services as they would be ranked without what was learned.
fn by_unlearned_score(ranked: &[RankedService]) -> Vec<&RankedService> {
    let mut order: Vec<&RankedService> =
        ranked.iter().filter(|service| service.unlearned_score.is_some()).collect();
    order.sort_by(|left, right| {
        let score = |service: &RankedService| service.unlearned_score.unwrap_or_default();
        score(right).total_cmp(&score(left)).then_with(|| left.service.cmp(&right.service))
    });
    order
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

#[cfg(test)]
mod tests {
    use automap_proto::{learned_weights::LearnedWeights, metric::MetricKind, v1};

    use super::*;

    fn answer(scores: [(f64, f64); 2]) -> Answer {
        let mut weights = [[1.0; 2]; 7];
        weights[MetricKind::Cpu.index()] = [1.8, 1.01];
        let mut leads = [1.0; 7];
        leads[MetricKind::Latency.index()] = 0.5;
        let learned = LearnedWeights::new(weights, leads, 1.0, 12).unwrap();
        let ranked = |rank: u32, service: &str, (score, unlearned): (f64, f64)| v1::RankedService {
            rank,
            service: service.into(),
            score,
            unlearned_score: Some(unlearned),
            ..v1::RankedService::default()
        };
        Answer::try_from(v1::Diagnosis {
            method: v1::Method::Evidence.into(),
            ranking: vec![ranked(1, "db", scores[0]), ranked(2, "cart", scores[1])],
            learned_weights: Some((&learned).into()),
            ..v1::Diagnosis::default()
        })
        .unwrap()
    }

    #[test]
    fn weights_and_the_ranking_without_them_are_told() {
        assert_eq!(
            lines(&answer([(0.6, 0.1), (0.4, 0.9)])),
            [
                "learned from 12 confirmed incidents: most latency ×0.50, cpu up ×1.80",
                "without what was learned cart would be first and db in place 2"
            ]
        );
        let same = lines(&answer([(0.6, 0.5), (0.4, 0.5)]));
        assert_eq!(
            same[1], "without what was learned cart would be first and db in place 2",
            "ties go by name"
        );
        assert_eq!(lines(&answer([(0.6, 0.6), (0.4, 0.5)]))[1], "without what was learned db is first too");
    }
}
