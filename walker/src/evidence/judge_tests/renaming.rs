//! Names do not matter: services under other names, and so in another order, have the same scores, evidence and assessment.
//!
//! Without shares of a behaviour graph: the permutation test of the call graph draws by position, so that its p-value is the
//! same within its own error only.

use std::collections::BTreeSet;

use automap_proto::throughput::ThroughputFit;
use proptest::prelude::*;

use super::*;

const SERVICES: usize = 6;
/// None is part of another, or of any sentence.
const NAMES: [&str; SERVICES] = ["q0q", "q1q", "q2q", "q3q", "q4q", "q5q"];
/// Sums over services are added up in the order of their names.
const ROUNDING: f64 = 1e-9;

#[derive(Debug, Clone)]
struct Drawn {
    salt: usize,
    /// What the incident adds to latency and cpu of each, in a hundred spreads.
    rises: Vec<f64>,
    calls: BTreeSet<(usize, usize)>,
    measured: bool,
    /// R² of each pair, where throughput is known.
    throughput: Option<Vec<f64>>,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let rise = prop_oneof![2 => Just(0.0), 3 => 0.2..6.0_f64];
    let call = (0..SERVICES, 0..SERVICES).prop_filter("two services", |(from, to)| from != to);
    (
        0..1000_usize,
        proptest::collection::vec(rise, SERVICES),
        proptest::collection::btree_set(call, 0..9),
        any::<bool>(),
        proptest::option::of(proptest::collection::vec(0.0..1.0_f64, SERVICES * SERVICES)),
    )
        .prop_map(|(salt, rises, calls, measured, throughput)| Drawn {
            salt,
            rises,
            calls,
            measured,
            throughput,
        })
}

/// The case with service i under the name `NAMES[order[i]]`; service 0 is the front end.
fn judged_under(case: &Drawn, order: &[usize]) -> Judged {
    let name = |service: usize| NAMES[order[service]];
    let mut all = Vec::new();
    for (service, rise) in case.rises.iter().enumerate() {
        let salt = case.salt + 10 * service;
        let incident = |row: usize| if row >= INCIDENT { *rise } else { 0.0 };
        all.push(series(name(service), MetricKind::Latency, |row| {
            1.0 + 0.1 * noise(row, salt) + incident(row)
        }));
        all.push(series(name(service), MetricKind::Throughput, |row| 20.0 + noise(row, salt + 1)));
        all.push(series(name(service), MetricKind::Cpu, |row| {
            0.5 + 0.1 * noise(row, salt + 2) + 0.3 * incident(row)
        }));
    }
    let frame = frame_of(&all);
    let named = |(from, to): &(usize, usize)| (name(*from).to_owned(), name(*to).to_owned());
    let graph = CallGraph::new(case.calls.iter().map(named)).unwrap();
    let calls: Vec<(usize, usize)> = case.calls.iter().copied().collect();
    let edges = (case.measured && !calls.is_empty()).then(|| {
        let values = Array2::from_shape_fn((3 * calls.len(), ROWS), |(row, column)| {
            let slower = if column >= INCIDENT { case.rises[calls[row / 3].1] } else { 0.0 };
            match row % 3 {
                0 => 0.5 + 0.05 * noise(column, row + case.salt) + slower,
                1 => 10.0,
                _ => 1.0 - 0.001 * noise(column, row + case.salt).abs(),
            }
        });
        EdgeFrame::new(calls.iter().map(named).collect(), values).unwrap()
    });
    // Services in the order of their names, and the pairs of these.
    let mut by_name: Vec<usize> = (0..SERVICES).collect();
    by_name.sort_by_key(|service| order[*service]);
    let fit = case.throughput.as_ref().map(|r_squared| {
        let pairs = (0..SERVICES).flat_map(|one| (one + 1..SERVICES).map(move |other| (one, other)));
        let shares = pairs.map(|(one, other)| {
            let (one, other) = (by_name[one], by_name[other]);
            r_squared[SERVICES * one.min(other) + one.max(other)]
        });
        ThroughputFit::new(frame.services().to_vec(), shares.collect()).unwrap()
    });
    let context =
        IncidentContext::new("shop", name(0), UnixMillis(250_000), None, vec![], Some(graph)).unwrap();
    let (rows, parameters) = (rows(INCIDENT), EvidenceParameters::default());
    let plain = input(&frame, &rows, &context, &parameters);
    judge(&EvidenceInput { edges: edges.as_ref(), throughput: fit.as_ref(), ..plain }).unwrap()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= ROUNDING * (1.0 + one.abs())
}

/// Sentences with every name in place of the one that it stands for.
fn said(warnings: &[String], order: &[usize]) -> Vec<String> {
    let plainly = |text: &String| {
        order.iter().enumerate().fold(text.clone(), |text, (service, new)| {
            text.replace(NAMES[*new], &format!("service {service}"))
        })
    };
    let mut all: Vec<String> = warnings.iter().map(plainly).collect();
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn renaming_services_renames_the_diagnosis_and_changes_nothing_else(
        case in drawn(),
        order in Just((0..SERVICES).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let plain: Vec<usize> = (0..SERVICES).collect();
        let (before, after) = (judged_under(&case, &plain), judged_under(&case, &order));
        prop_assert_eq!(before.services.len(), SERVICES);
        for (old, &new) in order.iter().enumerate() {
            prop_assert!(near(before.scores[old], after.scores[new]), "{:?} {:?}", before.scores, after.scores);
            prop_assert_eq!(before.onsets[old], after.onsets[new]);
            let (one, other) = (&before.evidence[old], &after.evidence[new]);
            prop_assert!(near(one.total, other.total), "{one:?} {other:?}");
            prop_assert_eq!(one.evidence.len(), other.evidence.len());
            for (one, other) in one.evidence.iter().zip(&other.evidence) {
                prop_assert_eq!(
                    (one.metric, one.direction, &one.series),
                    (other.metric, other.direction, &other.series)
                );
                prop_assert!(near(one.deviation, other.deviation), "{one:?} {other:?}");
            }
        }
        let (one, other) = (&before.assessment, &after.assessment);
        prop_assert!(near(one.confidence, other.confidence), "{one:?} {other:?}");
        prop_assert!(near(one.contrast, other.contrast), "{one:?} {other:?}");
        prop_assert_eq!(
            (one.placebo_windows, one.global_cause, one.onset, one.walked_graph),
            (other.placebo_windows, other.global_cause, other.onset, other.walked_graph)
        );
        prop_assert_eq!(
            one.abstention.as_ref().map(|(abstention, _)| *abstention),
            other.abstention.as_ref().map(|(abstention, _)| *abstention)
        );
        prop_assert_eq!(said(&before.warnings, &plain), said(&after.warnings, &order));
        // Of equals the first by name is the first; of the others, it is the same.
        let best = before.scores.iter().copied().fold(0.0, f64::max);
        if before.scores.iter().filter(|score| near(**score, best)).count() == 1 {
            prop_assert_eq!(order[NAMES.iter().position(|name| *name == first(&before)).unwrap()],
                NAMES.iter().position(|name| *name == first(&after)).unwrap());
            let metrics = |judged: &Judged| {
                judged.assessment.root_cause_metrics.iter().map(|found| found.metric).collect::<Vec<_>>()
            };
            prop_assert_eq!(metrics(&before), metrics(&after));
            let left_out = |judged: &Judged| {
                judged.counterfactuals.iter().map(|leader| leader.metric).collect::<Vec<_>>()
            };
            prop_assert_eq!(left_out(&before), left_out(&after));
        }
    }
}
