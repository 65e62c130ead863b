//! The verdict of a diagnosis: the root cause with what it is worth, or why none is named.

use automap_proto::{
    assessment::{Abstention, Assessment},
    time::UnixMillis,
};

use super::answer::Answer;
use crate::explain;

/// The verdict for a person, most important line first. Empty without any service.
pub fn lines(answer: &Answer) -> Vec<String> {
    let ranked = answer.ranking.services();
    let Some(first) = ranked.first() else {
        return Vec::new();
    };
    let front_end = &answer.wire.front_end;
    let mut lines = Vec::new();
    match &answer.assessment {
        Some(Assessment { abstention: Some((Abstention::NothingDeparted, reason)), .. }) => {
            lines.push("No service left its normal behaviour: the order below says nothing.".to_owned());
            lines.push(format!("  {reason}"));
            return lines;
        }
        Some(Assessment { abstention: Some((Abstention::NotUnusual, reason)), .. }) => {
            lines.push(format!(
                "No root cause of the alert on {front_end} stands out; first is {}",
                first.service
            ));
            lines.push(format!("  {reason}"));
        }
        None if ranked.iter().all(|service| explain::departures(service).is_empty()) => {
            lines.push("No service left its normal behaviour: the order below says nothing.".to_owned());
            return lines;
        }
        _ => lines.push(format!("Most likely root cause of the alert on {front_end}: {}", first.service)),
    }
    if let Some(assessment) = &answer.assessment {
        lines.extend(about(answer, assessment).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn about(answer: &Answer, assessment: &Assessment) -> Vec<String> {
    let mut lines = Vec::new();
    if assessment.abstention.is_none() {
        lines.push(format!("right in about {:.0} of 100 such incidents", 100.0 * assessment.confidence));
    }
    let candidates: Vec<&str> =
        assessment.root_cause_metrics.iter().map(|candidate| candidate.metric.name()).collect();
    if !candidates.is_empty() {
        lines.push(format!("metric at fault: {}", candidates.join(", or else ")));
    }
    let alert = answer
        .wire
        .window
        .as_ref()
        .and_then(|window| UnixMillis::from_wire("window.start", window.start).ok());
    let beside = alert.map_or_else(String::new, |alert| {
        let seconds = (alert.0 - assessment.onset.0) as f64 / 1000.0;
        if seconds > 0.0 {
            format!(", {seconds} s before the alert")
        } else if seconds < 0.0 {
            format!(", {} s after the alert", -seconds)
        } else {
            ", with the alert".to_owned()
        }
    });
    lines.push(format!("the incident began at {}{beside}", moment(assessment.onset)));
    if assessment.global_cause {
        lines.push(
            "nearly all services left their normal behaviour at once: look also for a cause outside them, such as \
             load, a node, the network or a shared store"
                .to_owned(),
        );
    }
    lines
}

/// The time of day, for what is near a moment that is told in full.
pub fn clock(time: UnixMillis) -> String {
    let text = moment(time);
    text.split_once('T').map_or_else(|| text.clone(), |(_, clock)| clock.to_owned())
}

/// A time as a person reads it.
pub fn moment(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use automap_proto::{
        assessment::{MetricCandidate, WalkedGraph},
        metric::MetricKind,
        ranking::{Evidence, RankedService},
        v1,
    };

    use super::*;

    fn answer(abstention: Option<(Abstention, String)>) -> Answer {
        let cart = RankedService {
            rank: 1,
            service: "cart".into(),
            score: 0.5,
            class: None,
            evidence: vec![Evidence {
                metric: MetricKind::Cpu,
                series: "cpu".into(),
                deviation: 3.0,
                direction: automap_proto::ranking::Direction::Up,
            }],
            path: vec![],
            path_share: 0.0,
            onset: Some(UnixMillis(60_000)),
            deviation: 3.0,
            unlearned_score: None,
        };
        let candidate = |metric| MetricCandidate { metric, score: 1.0 };
        let assessment = Assessment {
            confidence: 0.834,
            contrast: 1.2,
            placebo_windows: 12,
            abstention,
            global_cause: true,
            onset: UnixMillis(60_000),
            root_cause_metrics: vec![candidate(MetricKind::Cpu), candidate(MetricKind::Latency)],
            walked_graph: WalkedGraph::Calls,
            call_graph_fit: None,
        };
        Answer::try_from(v1::Diagnosis {
            front_end: "web".into(),
            method: v1::Method::Evidence.into(),
            window: Some(v1::WindowSummary {
                start: Some(UnixMillis(90_000).to_wire()),
                ..v1::WindowSummary::default()
            }),
            ranking: vec![(&cart).into()],
            assessment: Some((&assessment).into()),
            ..v1::Diagnosis::default()
        })
        .unwrap()
    }

    #[test]
    fn the_root_cause_comes_first_with_what_it_is_worth() {
        let lines = lines(&answer(None));
        assert_eq!(
            lines[..4],
            [
                "Most likely root cause of the alert on web: cart",
                "  right in about 83 of 100 such incidents",
                "  metric at fault: cpu, or else latency",
                "  the incident began at 1970-01-01T00:01:00Z, 30 s before the alert",
            ]
        );
        assert!(lines[4].contains("nearly all services"), "{lines:?}");
    }

    #[test]
    fn an_answer_that_abstains_names_no_root_cause_and_says_why() {
        let doubtful = answer(Some((Abstention::NotUnusual, "normal times look the same".into())));
        assert_eq!(lines(&doubtful)[0], "No root cause of the alert on web stands out; first is cart");
        assert_eq!(lines(&doubtful)[1], "  normal times look the same");
        let nothing = answer(Some((Abstention::NothingDeparted, "check the time".into())));
        assert!(lines(&nothing)[0].starts_with("No service left its normal behaviour"));
        assert_eq!(lines(&nothing).len(), 2);
    }
}
