//! The verdict of a diagnosis: the root cause with what it is worth, or why none is named.

use automap_proto::{
    assessment::{Abstention, Assessment},
    time::UnixMillis,
};

use super::answer::{Answer, Reference};
use crate::{evidence::confidence::of_a_hundred, explain};

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
        lines.push(format!("{} such incidents", how_often_right(assessment.confidence)));
    }
    let candidates: Vec<&str> =
        assessment.root_cause_metrics.iter().map(|candidate| candidate.metric.name()).collect();
    if !candidates.is_empty() {
        lines.push(format!("metric at fault: {}", candidates.join(", or else ")));
    }
    let beside = answer.reference.map_or_else(String::new, |Reference { time, name }| {
        let seconds = (time.0 - assessment.onset.0) as f64 / 1000.0;
        if seconds > 0.0 {
            format!(", {seconds} s before {name}")
        } else if seconds < 0.0 {
            format!(", {} s after {name}", -seconds)
        } else {
            format!(", with {name}")
        }
    });
    let of_first = of_the_first(answer, assessment.onset).unwrap_or_default();
    lines.push(format!("the incident began at {}{beside}{of_first}", moment(assessment.onset)));
    if assessment.global_cause {
        lines.push(
            "nearly all services left their normal behaviour at once: look also for a cause outside them, such as \
             load, a node, the network or a shared store"
                .to_owned(),
        );
    }
    lines
}

/// What the service ranked first did before or after the beginning, which all services together tell; `None` where it left
/// its normal behaviour just then, or no time is known.
fn of_the_first(answer: &Answer, beginning: UnixMillis) -> Option<String> {
    let first = answer.ranking.services().first()?;
    let seconds = (first.onset?.0 - beginning.0) as f64 / 1000.0;
    let apart = match seconds {
        0.0 => return None,
        later if later > 0.0 => format!("{later} s later"),
        earlier => format!("{} s earlier", -earlier),
    };
    Some(format!(
        ", as all services together show; {} itself left its normal behaviour {apart}",
        first.service
    ))
}

/// Beyond this a confidence says no more. All 23 surest answers of its calibration were right, of which 95 % intervals
/// say no more than that such answers are right in 86 of 100 or more.
const SUREST: f64 = 0.85;

/// `right in about 83 of 100`, or that it is more often than the calibration can tell.
pub fn how_often_right(confidence: f64) -> String {
    if confidence > SUREST {
        format!("right in more than {:.0} of 100", 100.0 * SUREST)
    } else {
        format!("right in {}", of_a_hundred(confidence))
    }
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
        ranking::{Evidence, RankedService, Ranking},
        v1,
    };

    use super::*;

    fn alert_at(time: i64) -> v1::Alert {
        v1::Alert { starts_at: Some(UnixMillis(time).to_wire()), ..v1::Alert::default() }
    }

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
            path_hops: vec![],
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
            alerts: Some(v1::AlertList {
                alerts: [95_000, 90_000].map(alert_at).to_vec(),
                ..v1::AlertList::default()
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
    fn the_beginning_is_told_beside_what_is_known_and_nothing_else() {
        let began = |reference| lines(&Answer { reference, ..answer(None) })[3].clone();
        let at = |time, name| Some(Reference { time: UnixMillis(time), name });
        assert_eq!(began(None), "  the incident began at 1970-01-01T00:01:00Z");
        assert!(began(at(68_600, "it was seen")).ends_with(", 8.6 s before it was seen"));
        assert!(began(at(50_000, "--at")).ends_with(", 10 s after --at"));
        assert!(began(at(60_000, "the alert")).ends_with(", with the alert"));
        let mut of_no_alert = answer(None).wire;
        of_no_alert.alerts = None;
        assert_eq!(Answer::try_from(of_no_alert).unwrap().reference, None);
    }

    #[test]
    fn the_first_cause_that_left_before_or_after_the_beginning_does_not_contradict_it() {
        let began = |onset: i64| {
            let mut answer = answer(None);
            let first =
                RankedService { onset: Some(UnixMillis(onset)), ..answer.ranking.services()[0].clone() };
            answer.ranking = Ranking::new(vec![first]).unwrap();
            lines(&answer)[3].clone()
        };
        let told = "  the incident began at 1970-01-01T00:01:00Z, 30 s before the alert";
        assert_eq!(began(60_000), told);
        let together =
            format!("{told}, as all services together show; cart itself left its normal behaviour");
        assert_eq!(began(78_000), format!("{together} 18 s later"));
        assert_eq!(began(53_500), format!("{together} 6.5 s earlier"));
    }

    #[test]
    fn a_confidence_is_told_as_far_as_its_calibration_goes() {
        assert_eq!(how_often_right(0.85), "right in about 85 of 100");
        assert_eq!(how_often_right(0.851), "right in more than 85 of 100");
        assert_eq!(how_often_right(0.9952), "right in more than 85 of 100");
        assert_eq!(how_often_right(0.04), "right in fewer than 30 of 100");
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
