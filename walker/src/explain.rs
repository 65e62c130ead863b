//! Why a service is ranked where it is, in sentences.

use automap_proto::{
    hop::Hop,
    metric::MetricKind,
    profile::ServiceClass,
    ranking::{Direction, Evidence, RankedService},
    time::UnixMillis,
    v1,
};

const NOTHING_DEPARTED: &str = "no series left its normal range";
/// How evidence of a service begins that is no longer measured.
const STOPPED: &str = "its series stopped at ";

/// Why the service is ranked where it is: its place, the evidence largest first, when it departed, and the path. Never
/// empty.
pub fn sentences(ranked: &RankedService) -> Vec<String> {
    let service = &ranked.service;
    let class = ranked.class.map_or_else(String::new, |class| {
        format!("; its metrics are of class {}, {}", class.letter(), class_name(class))
    });
    let mut sentences =
        vec![format!("{service} is ranked {} with score {}{class}", ranked.rank, score(ranked.score))];
    let departed: Vec<&Evidence> = ranked.evidence.iter().filter(|item| left_normal(item)).collect();
    sentences.extend(departed.iter().map(|item| match stopped(item) {
        true => format!("{service}: {}", departure(item)),
        false => format!("{service}: {} (series {})", departure(item), item.series),
    }));
    if departed.is_empty() {
        sentences.push(format!("{service}: {NOTHING_DEPARTED}"));
    }
    if let Some(onset) = ranked.onset {
        sentences.push(format!("{service}: left its normal behaviour at {}", moment(onset)));
    }
    sentences.push(format!("{service}: {}", path(ranked)));
    sentences
}

/// What would have to differ for `service` to be ranked first, or no longer: by leaving out evidence against the service that
/// is. Empty where nothing of the kind is known.
pub fn what_would_differ(service: &str, counterfactuals: &[v1::Counterfactual]) -> Vec<String> {
    let Some(first) = counterfactuals.first().map(|one| one.service.as_str()) else {
        return Vec::new();
    };
    let had = |one: &v1::Counterfactual| match MetricKind::from_wire("metric", one.metric) {
        Ok(kind) => format!("had the {kind} of {first} stayed normal"),
        Err(_) => format!("had {first} shown nothing at all"),
    };
    if service == first {
        return counterfactuals
            .iter()
            .map(|one| {
                let then = if one.ranked_first == first {
                    format!("{first} would be ranked first all the same")
                } else {
                    format!("{} would be ranked first", one.ranked_first)
                };
                format!("{}, {then}", had(one))
            })
            .collect();
    }
    let leading: Vec<&v1::Counterfactual> =
        counterfactuals.iter().filter(|one| one.ranked_first == service).collect();
    if let Some(least) = leading.first() {
        return vec![format!("{service} would be ranked first {}", had(least))];
    }
    counterfactuals
        .last()
        .map(|most| {
            format!("{service} would not be ranked first even {}; {} would", had(most), most.ranked_first)
        })
        .into_iter()
        .collect()
}

/// A time as people write it, in UTC.
pub(crate) fn moment(time: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(time.0).map_or_else(|_| "?".to_owned(), |time| time.to_string())
}

/// What stands in place of a series where a service is gone: `its series stopped at 2026-03-01T10:00:05Z`.
pub(crate) fn stopped_at(time: UnixMillis) -> String {
    format!("{STOPPED}{}", moment(time))
}

fn stopped(item: &Evidence) -> bool {
    item.series.starts_with(STOPPED)
}

/// Every series that left its normal range, largest first: `cpu up, 34 times its normal spread`. For a table.
pub fn departures(ranked: &RankedService) -> Vec<String> {
    ranked.evidence.iter().filter(|item| left_normal(item)).map(departure).collect()
}

/// What speaks against the service in one line, at most `most` series of it, largest first: `cpu up 34, latency-p99 up 12
/// normal spreads`.
pub fn departures_in_short(ranked: &RankedService, most: usize) -> String {
    let (gone, departed): (Vec<&Evidence>, Vec<&Evidence>) =
        ranked.evidence.iter().filter(|item| left_normal(item)).take(most).partition(|item| stopped(item));
    let measured: Vec<String> = departed
        .into_iter()
        .map(|item| format!("{} {} {}", item.series, direction(item), spreads(item)))
        .collect();
    let measured = (!measured.is_empty()).then(|| format!("{} normal spreads", measured.join(", ")));
    let all: Vec<String> = gone.into_iter().map(|item| item.series.clone()).chain(measured).collect();
    if all.is_empty() { NOTHING_DEPARTED.to_owned() } else { all.join("; ") }
}

/// The way to the service in short: `web → checkout → cart, 61 % of walks`.
pub fn path_in_short(ranked: &RankedService) -> String {
    match ranked.path.as_slice() {
        [] | [_] => path(ranked),
        _ => format!("{}, {} of walks", path_with_arrows(ranked), share(ranked.path_share)),
    }
}

/// The services from the front end on, with arrows from caller to callee: `web → checkout → db ← cart`. `↔`: each calls
/// the other; `–`: no call is known. Empty without a path.
pub fn path_with_arrows(ranked: &RankedService) -> String {
    let mut text = ranked.path.first().cloned().unwrap_or_default();
    for (_, hop, next) in ranked.steps() {
        let arrow = match hop {
            Hop::Calls => '→',
            Hop::CalledBy => '←',
            Hop::Both => '↔',
            Hop::Unknown => '–',
        };
        text.extend([' ', arrow, ' ']);
        text.push_str(next);
    }
    text
}

/// How the front end leads to the service: `reached from web through checkout in 61 % of the walks that came here`, and
/// where that goes from callee to caller.
pub fn path(ranked: &RankedService) -> String {
    match ranked.path.as_slice() {
        [] => "no walk from the front end came here".to_owned(),
        [_] => "the front end, where every walk begins".to_owned(),
        [front_end, between @ .., _] => {
            let through = if between.is_empty() {
                "directly".to_owned()
            } else {
                format!("through {}", between.join(", "))
            };
            let against: Vec<String> = ranked
                .steps()
                .filter(|(_, hop, _)| *hop == Hop::CalledBy)
                .map(|(callee, _, caller)| format!("{caller} calls {callee}"))
                .collect();
            let against = match against.as_slice() {
                [] => String::new(),
                calls => format!("; against the call, as {}", calls.join(", and ")),
            };
            format!(
                "reached from {front_end} {through} in {} of the walks that came here{against}",
                share(ranked.path_share)
            )
        }
    }
}

/// Spreads below which a departure counts in the score but is no reason to tell: series do that when all is well.
const TOLD_SPREADS: f64 = 3.0;

/// Whether the departure is large enough to tell.
pub(crate) fn left_normal(item: &Evidence) -> bool {
    item.deviation >= TOLD_SPREADS.ln_1p()
}

/// A score as a person reads it.
pub fn score(score: f64) -> String {
    if score != 0.0 && score.abs() < 0.001 { format!("{score:.1e}") } else { format!("{score:.3}") }
}

/// `cpu up, 34 times its normal spread`
pub fn departure(item: &Evidence) -> String {
    if stopped(item) {
        return item.series.clone();
    }
    format!("{} {}, {} times its normal spread", item.metric, direction(item), spreads(item))
}

const fn direction(item: &Evidence) -> &'static str {
    match item.direction {
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

fn spreads(item: &Evidence) -> String {
    let spreads = item.deviation.exp_m1();
    if spreads > 1e6 {
        "more than a million".to_owned()
    } else if spreads >= 9.95 {
        format!("{spreads:.0}")
    } else {
        format!("{spreads:.1}")
    }
}

fn share(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 1.0 { "less than 1 %".to_owned() } else { format!("{percent:.0} %") }
}

/// What a class is called.
pub const fn class_name(class: ServiceClass) -> &'static str {
    match class {
        ServiceClass::Representational => "representational",
        ServiceClass::Computing => "computing",
        ServiceClass::Networking => "networking",
        ServiceClass::Storage => "storage",
        ServiceClass::Environmental => "environmental",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cart() -> RankedService {
        let evidence = |metric, series: &str, spreads: f64, direction| Evidence {
            metric,
            series: series.into(),
            deviation: spreads.ln_1p(),
            direction,
        };
        RankedService {
            rank: 1,
            service: "cart".into(),
            score: 0.41234,
            class: Some(ServiceClass::Computing),
            evidence: vec![
                evidence(MetricKind::Cpu, "cpu", 34.2, Direction::Up),
                evidence(MetricKind::Availability, "availability", 3.26, Direction::Down),
            ],
            path: ["frontend", "checkout", "cart"].map(str::to_owned).to_vec(),
            path_share: 0.61,
            path_hops: vec![Hop::Calls; 2],
            onset: None,
            deviation: 4.9,
            unlearned_score: None,
        }
    }

    #[test]
    fn place_evidence_and_path_are_told_in_this_order() {
        assert_eq!(
            sentences(&cart()),
            [
                "cart is ranked 1 with score 0.412; its metrics are of class C, computing",
                "cart: cpu up, 34 times its normal spread (series cpu)",
                "cart: availability down, 3.3 times its normal spread (series availability)",
                "cart: reached from frontend through checkout in 61 % of the walks that came here",
            ]
        );
        assert_eq!(
            departures(&cart()),
            ["cpu up, 34 times its normal spread", "availability down, 3.3 times its normal spread"]
        );
    }

    #[test]
    fn what_would_differ_is_told_of_the_first_and_of_others() {
        let without = |metric: Option<MetricKind>, ranked_first: &str| v1::Counterfactual {
            service: "cart".into(),
            metric: metric.map_or(0, |kind| kind.to_wire().into()),
            ranked_first: ranked_first.into(),
        };
        let known = [
            without(Some(MetricKind::Cpu), "cart"),
            without(Some(MetricKind::Latency), "db"),
            without(None, "db"),
        ];
        assert_eq!(
            what_would_differ("cart", &known),
            [
                "had the cpu of cart stayed normal, cart would be ranked first all the same",
                "had the latency of cart stayed normal, db would be ranked first",
                "had cart shown nothing at all, db would be ranked first",
            ]
        );
        assert_eq!(
            what_would_differ("db", &known),
            ["db would be ranked first had the latency of cart stayed normal"]
        );
        assert_eq!(
            what_would_differ("web", &known),
            ["web would not be ranked first even had cart shown nothing at all; db would"]
        );
        assert!(what_would_differ("cart", &[]).is_empty());
    }

    #[test]
    fn one_line_holds_the_largest_departures() {
        assert_eq!(departures_in_short(&cart(), 3), "cpu up 34, availability down 3.3 normal spreads");
        assert_eq!(departures_in_short(&cart(), 1), "cpu up 34 normal spreads");
        assert_eq!(path_in_short(&cart()), "frontend → checkout → cart, 61 % of walks");
        let silent = RankedService { evidence: vec![], ..cart() };
        assert_eq!(departures_in_short(&silent, 3), "no series left its normal range");
    }

    #[test]
    fn arrows_lead_from_caller_to_callee() {
        let path = ["web", "a", "db", "b", "c", "d"].map(str::to_owned).to_vec();
        let path_hops = vec![Hop::Calls, Hop::Calls, Hop::CalledBy, Hop::Both];
        let ranked = RankedService { path, path_hops, ..cart() };
        assert_eq!(path_with_arrows(&ranked), "web → a → db ← b ↔ c – d");
        assert_eq!(
            super::path(&ranked),
            "reached from web through a, db, b, c in 61 % of the walks that came here; against the call, as b calls db"
        );
        assert_eq!(path_with_arrows(&RankedService { path: vec![], ..cart() }), "");
    }

    #[test]
    fn a_service_that_is_gone_is_told_by_when_its_series_stopped() {
        let mut ranked = cart();
        ranked.evidence[0].series = stopped_at(UnixMillis(1_772_359_205_000));
        assert_eq!(sentences(&ranked)[1], "cart: its series stopped at 2026-03-01T10:00:05Z");
        assert_eq!(
            departures_in_short(&ranked, 3),
            "its series stopped at 2026-03-01T10:00:05Z; availability down 3.3 normal spreads"
        );
        assert_eq!(departures(&ranked)[0], "its series stopped at 2026-03-01T10:00:05Z");
        ranked.evidence.truncate(1);
        assert_eq!(departures_in_short(&ranked, 3), "its series stopped at 2026-03-01T10:00:05Z");
    }

    #[test]
    fn the_time_at_which_a_service_departed_is_told() {
        let ranked = RankedService { onset: Some(UnixMillis(1_772_359_205_000)), ..cart() };
        assert_eq!(sentences(&ranked)[3], "cart: left its normal behaviour at 2026-03-01T10:00:05Z");
    }

    #[test]
    fn a_service_without_evidence_or_path_says_so() {
        let silent = RankedService { class: None, evidence: vec![], path: vec![], score: 0.0, ..cart() };
        assert_eq!(
            sentences(&silent),
            [
                "cart is ranked 1 with score 0.000",
                "cart: no series left its normal range",
                "cart: no walk from the front end came here",
            ]
        );
    }

    #[test]
    fn less_than_three_spreads_are_no_reason() {
        let mut ranked = cart();
        ranked.evidence[1].deviation = 2.9_f64.ln_1p();
        assert_eq!(sentences(&ranked).len(), 3);
        ranked.evidence.remove(0);
        assert!(departures(&ranked).is_empty());
    }

    #[test]
    fn extremes_stay_readable() {
        let mut ranked = cart();
        ranked.score = 0.000_012;
        ranked.evidence[0].deviation = 700.0;
        ranked.evidence.truncate(1);
        ranked.path = vec!["frontend".into(), "cart".into()];
        ranked.path_share = 0.004;
        assert_eq!(
            sentences(&ranked)[..],
            [
                "cart is ranked 1 with score 1.2e-5; its metrics are of class C, computing",
                "cart: cpu up, more than a million times its normal spread (series cpu)",
                "cart: reached from frontend directly in less than 1 % of the walks that came here",
            ]
        );
        ranked.path = vec!["cart".into()];
        assert!(sentences(&ranked)[2].ends_with("the front end, where every walk begins"));
    }
}
