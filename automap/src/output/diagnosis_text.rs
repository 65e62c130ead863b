//! A diagnosis for a person at three in the morning: the verdict first, reasons next, details last.

use automap_proto::{metric::MetricKind, ranking::RankedService};
use automap_walker::{
    explain,
    report::{
        context::{recurrence, what_was_diagnosed},
        learned,
        verdict::{self, clock},
    },
};

use super::paragraph::{Page, Screen};
use crate::{answer::Answer, remembered::Remembered, shell_word::shell_word};

/// Causes that get three lines each; further ones get one.
const TOP_CAUSES: usize = 3;
/// Most series that are told of one service.
const REASONS: usize = 3;

/// The text of a diagnosis with the first `top` services, in lines that fit the screen, where there is one. The last line
/// is the command that confirms the incident in the memory `remembered`, where it was recorded there.
pub fn render(
    answer: &Answer,
    top: usize,
    screen: Option<Screen>,
    remembered: Option<&Remembered>,
) -> String {
    let mut page = Page::new(screen);
    let mut verdict = verdict::lines(answer).into_iter();
    if let Some(headline) = verdict.next() {
        page.headline(&headline);
        for line in verdict {
            page.line(2, line.trim_start());
        }
        page.gap();
    }
    let ranked = answer.ranking.services();
    let shown = &ranked[..top.min(ranked.len())];
    let (causes, others) = shown.split_at(TOP_CAUSES.min(shown.len()));
    for service in causes {
        cause(&mut page, service);
    }
    for service in others {
        let reasons = explain::departures_in_short(service, REASONS);
        page.entry(service.rank, &service.service, &format!(": {reasons}"));
    }
    if ranked.len() > shown.len() {
        page.line(3, &format!("{} more services: --top N, or --output json", ranked.len() - shown.len()));
    }
    page.gap();
    page.line(0, &what_was_diagnosed(answer));
    if let Some(guessed) = remembered.and_then(|memory| memory.guessed) {
        page.line(0, &guessed.sentence(&answer.wire.system));
    }
    if let Some(line) = lacking(answer) {
        page.line(0, &line);
    }
    for line in learned::lines(answer) {
        page.line(0, &line);
    }
    for incident in &answer.wire.similar {
        page.line(0, &recurrence(incident));
    }
    for warning in warnings(answer) {
        page.line(0, &format!("warning: {warning}"));
    }
    if let (Some(Remembered { place, .. }), false) = (remembered, answer.wire.incident_id.is_empty()) {
        page.line(0, &format!("incident {}; when its root cause is known:", answer.wire.incident_id));
        page.command(&confirm_command(answer, place));
    }
    page.into_text()
}

/// The warnings, but for those that the reason of an abstention holds: they stand above.
fn warnings(answer: &Answer) -> impl Iterator<Item = &String> {
    let abstention = answer.assessment.as_ref().and_then(|known| known.abstention.as_ref());
    let reason = abstention.map_or("", |(_, reason)| reason.as_str());
    answer.wire.warnings.iter().filter(move |warning| !reason.contains(warning.as_str()))
}

/// `automap incidents confirm inc-3f9a12cc5d0e4b17 cart`
fn confirm_command(answer: &Answer, place: &str) -> String {
    let abstains = answer.assessment.as_ref().is_some_and(|known| known.abstention.is_some());
    let first = answer.ranking.services().first().filter(|_| !abstains);
    let cause = first.map_or("SERVICE".into(), |first| shell_word(&first.service));
    let command = format!("automap incidents confirm {}", answer.wire.incident_id);
    if first.is_some_and(|first| first.service.starts_with('-')) {
        // Quotes do not keep it from being read as a flag.
        return format!("{} -- {cause}", format!("{command} {place}").trim_end());
    }
    format!("{command} {cause} {place}").trim_end().to_owned()
}

/// Its place and onset, what speaks against it, and how the front end leads to it.
fn cause(page: &mut Page, service: &RankedService) {
    let class = service.class.map_or_else(String::new, |class| format!(", {}", explain::class_name(class)));
    let onset = service.onset.map_or_else(String::new, |onset| format!(", abnormal from {}", clock(onset)));
    page.entry(
        service.rank,
        &service.service,
        &format!(" (score {}{class}{onset})", explain::score(service.score)),
    );
    page.line(3, &explain::departures_in_short(service, REASONS));
    page.line(3, &explain::path_in_short(service));
}

/// Services that are named of those that lack a metric.
const NAMED: usize = 3;

/// `without samples: memory of 2 of 16 services (db, cache), io of all`
fn lacking(answer: &Answer) -> Option<String> {
    let parts: Vec<String> = answer
        .wire
        .coverage
        .iter()
        .filter_map(|one| {
            let metric = MetricKind::from_wire("metric", one.metric).ok()?;
            if one.services == 0 {
                return Some(format!("{metric} of all"));
            }
            let (few, more) = one.lacking.split_at(NAMED.min(one.lacking.len()));
            let dots = if more.is_empty() { "" } else { ", …" };
            let all = one.lacking.len() + one.services as usize;
            Some(format!("{metric} of {} of {all} services ({}{dots})", one.lacking.len(), few.join(", ")))
        })
        .collect();
    (!parts.is_empty()).then(|| format!("without samples: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use automap_proto::{
        hop::Hop,
        metric::MetricKind,
        profile::ServiceClass,
        ranking::{Direction, Evidence},
        time::UnixMillis,
        v1,
    };

    use super::*;
    use crate::remembered::GuessedSystem;

    fn answer() -> Answer {
        answer_about(["cart", "a-service-with-a-very-long-name-indeed", "c", "d", "e", "f"])
    }

    fn answer_about(names: [&str; 6]) -> Answer {
        let service = |rank: u32, name: &str| RankedService {
            rank,
            service: name.into(),
            score: 0.5 / f64::from(rank),
            class: Some(ServiceClass::Computing),
            evidence: vec![Evidence {
                metric: MetricKind::Latency,
                series: "latency-p99".into(),
                deviation: 3.0,
                direction: Direction::Up,
            }],
            path: vec!["web".into(), "checkout".into(), name.into()],
            path_share: 0.61,
            path_hops: vec![Hop::Calls; 2],
            onset: Some(UnixMillis(60_000)),
            deviation: 3.0,
            unlearned_score: None,
        };
        Answer::try_from(v1::Diagnosis {
            system: "shop".into(),
            front_end: "web".into(),
            method: v1::Method::Evidence.into(),
            ranking: (1..).zip(names).map(|(rank, name)| (&service(rank, name)).into()).collect(),
            warnings: vec![
                "the call graph was not followed, because it fits the metrics no better than chance".into(),
            ],
            ..v1::Diagnosis::default()
        })
        .unwrap()
    }

    #[test]
    fn the_verdict_comes_first_and_each_top_cause_has_three_lines() {
        let text = render(&answer(), 5, None, None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "Most likely root cause of the alert on web: cart",
                "",
                "1. cart (score 0.500, computing, abnormal from 00:01:00Z)",
                "   latency-p99 up 19 normal spreads",
                "   web → checkout → cart, 61 % of walks",
            ]
        );
        assert_eq!(
            lines[11..14],
            [
                "4. d: latency-p99 up 19 normal spreads",
                "5. e: latency-p99 up 19 normal spreads",
                "   1 more services: --top N, or --output json"
            ]
        );
        assert!(lines[16].starts_with("warning: the call graph"), "{text}");
    }

    #[test]
    fn the_last_line_is_the_command_that_confirms_and_is_never_wrapped() {
        let mut answer = answer();
        let narrow = Some(Screen { columns: 40, bold: false });
        let last = |answer: &Answer, place: Option<&str>| {
            let memory = place.map(|place| Remembered { place: place.to_owned(), guessed: None });
            render(answer, 5, narrow, memory.as_ref()).lines().last().unwrap().to_owned()
        };
        assert!(!last(&answer, Some("")).contains("confirm"), "it was not recorded");
        answer.wire.incident_id = "inc-3f9a12cc5d0e4b17".into();
        assert!(!last(&answer, None).contains("confirm"), "nobody remembers it");
        assert_eq!(last(&answer, Some("")), "  automap incidents confirm inc-3f9a12cc5d0e4b17 cart");
        assert!(last(&answer, Some("--store there")).ends_with(" cart --store there"));

        // A service may be called anything without control characters, and this line is pasted into a shell.
        let mut answer = answer_about(["x; touch `pwned` $(pwned)", "b", "c", "d", "e", "f"]);
        answer.wire.incident_id = "inc-3f9a12cc5d0e4b17".into();
        assert!(last(&answer, Some("")).ends_with(" 'x; touch `pwned` $(pwned)'"));
        let mut answer = answer_about(["--server=x", "b", "c", "d", "e", "f"]);
        answer.wire.incident_id = "inc-3f9a12cc5d0e4b17".into();
        assert!(last(&answer, Some("--store there")).ends_with(" --store there -- '--server=x'"));
    }

    #[test]
    fn a_system_that_was_guessed_is_told_where_there_is_a_memory() {
        let with = |guessed| Some(Remembered { place: String::new(), guessed });
        let told = |memory: Option<Remembered>| render(&answer(), 5, None, memory.as_ref());
        assert!(
            told(with(Some(GuessedSystem::Directory)))
                .contains("\nremembered under system shop, called like")
        );
        for memory in [None, with(None)] {
            assert!(!told(memory).contains("--system"));
        }
    }

    #[test]
    fn what_services_lack_is_told_in_one_line() {
        let mut answer = answer();
        assert_eq!(lacking(&answer), None);
        let kind = |metric: MetricKind| i32::from(metric.to_wire());
        answer.wire.coverage = vec![
            v1::MetricGap {
                metric: kind(MetricKind::Cpu),
                services: 2,
                lacking: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
            },
            v1::MetricGap { metric: kind(MetricKind::Memory), services: 0, lacking: Vec::new() },
        ];
        assert_eq!(
            lacking(&answer).unwrap(),
            "without samples: cpu of 4 of 6 services (a, b, c, …), memory of all"
        );
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [40, 80] {
            let text = render(&answer(), 5, Some(Screen { columns, bold: false }), None);
            assert!(text.lines().all(|line| line.chars().count() <= columns), "{text}");
        }
        assert!(
            render(&answer(), 0, Some(Screen { columns: 80, bold: true }), None).contains("6 more services")
        );
    }
}
