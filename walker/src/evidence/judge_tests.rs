//! Whole incidents: culprits that only their callers see, and input of which nothing good can come.

use std::{ops::Range, sync::LazyLock};

use automap_proto::{
    behavior_graph::{BehaviorGraph, EdgeWeights},
    call_graph::CallGraph,
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    metric::MetricKind,
    ranking::Direction,
    time::UnixMillis,
};
use ndarray::{Array1, Array2};

use super::{
    call_graph_fit::CiShares,
    judge::{EvidenceInput, Judged, judge},
};
use crate::{
    edge_rules::EdgeRules,
    parameters::{EvidenceGraph, EvidenceParameters},
    stop::NEVER,
    test_frames::{TestSeries, frame_of},
};

mod renaming;

const ROWS: usize = 60;
const INCIDENT: usize = 50;
/// web calls cart and pay, both call db, and cart calls mq.
const CALLS: [(&str, &str); 5] =
    [("cart", "db"), ("cart", "mq"), ("pay", "db"), ("web", "cart"), ("web", "pay")];

/// From -1 to 1, the same in every run.
fn noise(row: usize, salt: usize) -> f64 {
    ((row * 7919 + salt * 104_729 + row * row * 31) % 1009) as f64 / 504.5 - 1.0
}

fn series(service: &'static str, metric: MetricKind, value: impl Fn(usize) -> f64) -> TestSeries {
    TestSeries { service, metric, name: metric.name(), samples: Array1::from_iter((0..ROWS).map(value)) }
}

/// Latency and cpu of each service; latency rises by `rise` of the service during the incident.
fn shop(services: &[&'static str], rise: impl Fn(&str) -> f64) -> MetricFrame {
    let mut all = Vec::new();
    for (salt, &service) in services.iter().enumerate() {
        let slower = rise(service);
        all.push(series(service, MetricKind::Latency, |row| {
            1.0 + 0.1 * noise(row, salt) + if row >= INCIDENT { slower } else { 0.0 }
        }));
        all.push(series(service, MetricKind::Cpu, |row| 0.5 + 0.1 * noise(row, salt + 17)));
    }
    frame_of(&all)
}

/// Measured calls; `change` gives what each adds to its latency and takes from its availability.
fn measured(change: impl Fn(&str, &str) -> (f64, f64)) -> EdgeFrame {
    let values = Array2::from_shape_fn((3 * CALLS.len(), ROWS), |(row, column)| {
        let (caller, callee) = CALLS[row / 3];
        let (slower, failing) = if column >= INCIDENT { change(caller, callee) } else { (0.0, 0.0) };
        match row % 3 {
            0 => 0.5 + 0.05 * noise(column, row) + slower,
            1 => 10.0,
            _ => 1.0 - 0.001 * noise(column, row).abs() - failing,
        }
    });
    let edges = CALLS.map(|(caller, callee)| (caller.to_owned(), callee.to_owned()));
    EdgeFrame::new(edges.to_vec(), values).unwrap()
}

fn context(calls: &[(&str, &str)]) -> IncidentContext {
    let pairs = calls.iter().map(|(caller, callee)| ((*caller).to_owned(), (*callee).to_owned()));
    let graph = CallGraph::new(pairs).unwrap();
    IncidentContext::new("shop", "web", UnixMillis(250_000), None, vec![], Some(graph)).unwrap()
}

fn rows(incident: usize) -> WindowRows {
    WindowRows {
        normal: (0..incident).collect(),
        incident: (incident..ROWS).collect(),
        exclusions_ignored: false,
    }
}

/// No rules of an expert.
static NO_RULES: LazyLock<EdgeRules> = LazyLock::new(EdgeRules::default);

/// What is judged, nothing else known.
fn input<'a>(
    frame: &'a MetricFrame,
    rows: &'a WindowRows,
    context: &'a IncidentContext,
    parameters: &'a EvidenceParameters,
) -> EvidenceInput<'a> {
    EvidenceInput {
        frame,
        rows,
        context,
        edges: None,
        rules: &NO_RULES,
        throughput: None,
        shares: None,
        remembered: 0,
        learned: None,
        seed: 1,
        parameters,
        stop: &NEVER,
    }
}

struct Case<'a> {
    frame: &'a MetricFrame,
    calls: &'a [(&'a str, &'a str)],
    edges: Option<&'a EdgeFrame>,
    incident: usize,
    parameters: EvidenceParameters,
}

impl<'a> Case<'a> {
    fn new(frame: &'a MetricFrame, edges: Option<&'a EdgeFrame>) -> Self {
        Self { frame, calls: &CALLS, edges, incident: INCIDENT, parameters: EvidenceParameters::default() }
    }

    fn judged(&self) -> Judged {
        let (rows, context) = (rows(self.incident), context(self.calls));
        let plain = input(self.frame, &rows, &context, &self.parameters);
        judge(&EvidenceInput { edges: self.edges, ..plain }).unwrap()
    }
}

fn first(judged: &Judged) -> &str {
    let best =
        (0..judged.scores.len()).max_by(|one, other| judged.scores[*one].total_cmp(&judged.scores[*other]));
    &judged.services[best.unwrap()]
}

fn evidence_of<'a>(judged: &'a Judged, service: &str) -> &'a [automap_proto::ranking::Evidence] {
    let state = judged.services.iter().position(|name| name == service).unwrap();
    &judged.evidence[state].evidence
}

const ALL: [&str; 5] = ["cart", "db", "mq", "pay", "web"];

/// What waiting for a slow db adds to the latency of each.
fn waiting(service: &str) -> f64 {
    match service {
        "cart" | "pay" => 2.0,
        "web" => 4.0,
        _ => 0.0,
    }
}

fn slow_network_of_db(caller: &str, callee: &str) -> (f64, f64) {
    match (caller, callee) {
        (_, "db") | ("web", _) => (2.0, 0.0),
        _ => (0.0, 0.0),
    }
}

#[test]
fn a_culprit_that_only_its_callers_see_is_found_by_them() {
    let frame = shop(&ALL, waiting);
    let edges = measured(slow_network_of_db);
    let judged = Case::new(&frame, Some(&edges)).judged();
    assert_eq!(first(&judged), "db", "{:?} {:?}", judged.services, judged.scores);
    let seen = &evidence_of(&judged, "db")[0];
    assert_eq!(
        (seen.metric, seen.series.as_str(), seen.direction),
        (MetricKind::Latency, "calls of its callers", Direction::Up)
    );
    let mut blind = Case::new(&frame, Some(&edges));
    blind.parameters.measured_calls = false;
    assert_ne!(first(&blind.judged()), "db");
}

#[test]
fn a_culprit_without_any_metrics_is_found_by_its_callers() {
    let frame = shop(&["cart", "mq", "pay", "web"], waiting);
    let edges = measured(slow_network_of_db);
    let mut case = Case::new(&frame, Some(&edges));
    case.calls = &[];
    let judged = case.judged();
    assert_eq!((first(&judged), judged.services.len()), ("db", 5));
}

#[test]
fn a_caller_whose_calls_are_all_slow_while_others_are_served_well_is_the_culprit() {
    let frame = shop(&ALL, |service| if service == "web" { 2.0 } else { 0.0 });
    let edges = measured(|caller, _| (if caller == "cart" { 2.0 } else { 0.0 }, 0.0));
    let judged = Case::new(&frame, Some(&edges)).judged();
    assert_eq!(first(&judged), "cart", "{:?} {:?}", judged.services, judged.scores);
    assert_eq!(evidence_of(&judged, "cart")[0].series, "calls to its callees");
}

#[test]
fn failing_calls_speak_of_the_callee_whose_callers_all_see_them() {
    let frame = shop(&ALL, |_| 0.0);
    let edges = measured(|caller, callee| match (caller, callee) {
        (_, "db") | ("web", _) => (0.0, 0.4),
        _ => (0.0, 0.0),
    });
    let judged = Case::new(&frame, Some(&edges)).judged();
    assert_eq!(first(&judged), "db", "{:?} {:?}", judged.services, judged.scores);
    let seen = &evidence_of(&judged, "db")[0];
    assert_eq!((seen.metric, seen.direction), (MetricKind::Availability, Direction::Down));
    assert_eq!(judged.assessment.root_cause_metrics[0].metric, MetricKind::Availability);
}

#[test]
fn an_incident_longer_than_its_normal_window_is_judged_with_a_warning() {
    let frame = shop(&ALL, |service| if service == "db" { 5.0 } else { 0.0 });
    let mut case = Case::new(&frame, None);
    case.incident = 20;
    let judged = case.judged();
    assert!(
        judged.warnings.iter().any(|one| one.contains("normal behaviour only 10")),
        "{:?}",
        judged.warnings
    );
    assert!(judged.scores.iter().all(|score| score.is_finite()));
}

#[test]
fn all_services_at_once_are_a_global_cause() {
    let global = Case::new(&shop(&ALL, |_| 5.0), None).judged();
    assert!(global.assessment.global_cause);
    let local = Case::new(&shop(&ALL, |service| if service == "db" { 5.0 } else { 0.0 }), None).judged();
    assert!(!local.assessment.global_cause);
}

#[test]
fn a_front_end_that_never_deviated_is_told() {
    let judged = Case::new(&shop(&ALL, |service| if service == "db" { 5.0 } else { 0.0 }), None).judged();
    assert!(judged.warnings.iter().any(|one| one.contains("web never left its normal range")));
    assert_eq!(first(&judged), "db");
}

#[test]
fn a_front_end_that_only_waits_for_others_left_its_normal_range() {
    let frame = shop(&ALL, waiting);
    let judged = Case::new(&frame, Some(&measured(slow_network_of_db))).judged();
    assert!(judged.warnings.iter().all(|one| !one.contains("web never left")), "{:?}", judged.warnings);
}

#[test]
fn cycles_strangers_constants_and_huge_values_leave_every_score_finite() {
    let frame = frame_of(&[
        series("web", MetricKind::Latency, |row| if row >= INCIDENT { f64::MAX } else { noise(row, 1) }),
        series("cart", MetricKind::Latency, |_| 7.0),
        series("db", MetricKind::Cpu, |row| if row == 0 { 1.0 } else { f64::NAN }),
    ]);
    let mut case = Case::new(&frame, None);
    case.calls = &[("web", "cart"), ("cart", "web"), ("cart", "cart"), ("cart", "db"), ("db", "stranger")];
    let judged = case.judged();
    assert_eq!(judged.services, ["cart", "db", "stranger", "web"]);
    assert!(judged.scores.iter().all(|score| score.is_finite() && *score >= 0.0), "{:?}", judged.scores);
    assert_eq!(first(&judged), "web");
    assert!((0.0..=1.0).contains(&judged.assessment.confidence));
    assert!(judged.assessment.contrast.is_finite());
}

#[test]
fn an_onset_cannot_lie_before_the_guard() {
    // Everything was slow from the first row on that may belong to the incident.
    let frame = shop(&ALL, |_| 0.0);
    let samples = frame.values().clone();
    let slow = Array2::from_shape_fn(samples.dim(), |(row, column)| {
        samples[[row, column]] + if column >= 30 { 9.0 } else { 0.0 }
    });
    let frame = MetricFrame::new(*frame.grid(), frame.series().to_vec(), slow).unwrap();
    let judged = Case::new(&frame, None).judged();
    assert!(judged.assessment.onset >= frame.grid().time(INCIDENT - (ROWS - INCIDENT)));
}

#[test]
fn a_call_graph_is_doubted_only_where_there_are_rows_enough_to_tell() {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "web"];
    let frame = shop(&NAMES, |service| if service == "d" { 5.0 } else { 0.0 });
    let mut chain = BehaviorGraph::new(frame.services().to_vec()).unwrap();
    let weights = EdgeWeights::from_counts([1, 0, 0, 1, 0, 0, 0]).unwrap();
    for from in 0..7 {
        chain.set_edge(from, from + 1, weights).unwrap();
    }
    let shares = CiShares::new(&frame, &chain);
    let wrong = [("a", "e"), ("e", "b"), ("b", "f"), ("f", "c"), ("c", "g"), ("g", "d"), ("d", "web")];
    let judged = |normal: Range<usize>, remembered: usize| {
        let rows = WindowRows {
            normal: normal.collect(),
            incident: (INCIDENT..ROWS).collect(),
            exclusions_ignored: false,
        };
        let (context, parameters) = (context(&wrong), EvidenceParameters::default());
        let plain = input(&frame, &rows, &context, &parameters);
        judge(&EvidenceInput { shares: Some(&shares), remembered, ..plain }).unwrap()
    };
    assert!(judged(0..INCIDENT, 0).assessment.call_graph_fit.is_some_and(|fit| !fit.trusted));
    assert_eq!(judged(40..INCIDENT, 0).assessment.call_graph_fit, None);
    assert_eq!(judged(0..INCIDENT, 40).assessment.call_graph_fit, None, "remembered rows were not tested");
}

/// The shop with a database `gone` from row 52 on, whose callers see so large a share of their calls `answered`, and a disk
/// behind it that nobody calls any more: its io falls to nothing, from where it followed the calls.
fn killed_db(answered: f64) -> (MetricFrame, EdgeFrame) {
    let gone = |service: &str, row: usize| service == "db" && row >= INCIDENT + 2;
    let mut all = Vec::new();
    for (salt, service) in ["cart", "db", "disk", "mq", "pay", "web"].into_iter().enumerate() {
        let there = |row: usize, value: f64| if gone(service, row) { f64::NAN } else { value };
        let calls = |row: usize| match (service, row >= INCIDENT) {
            ("disk", true) => 0.5,
            _ => 20.0 + 4.0 * noise(row, salt),
        };
        all.push(series(service, MetricKind::Memory, |row| there(row, 50.0 + 0.01 * noise(row, salt))));
        all.push(series(service, MetricKind::Throughput, |row| there(row, calls(row))));
        all.push(series(service, MetricKind::Io, |row| {
            there(row, 3.0 * calls(row) + 0.1 * noise(row, salt + 9))
        }));
    }
    let calls = [("cart", "db"), ("db", "disk"), ("pay", "db"), ("web", "cart"), ("web", "pay")];
    let values = Array2::from_shape_fn((3 * calls.len(), ROWS), |(row, column)| {
        let (caller, callee) = calls[row / 3];
        match row % 3 {
            _ if gone(caller, column) => f64::NAN,
            0 => 0.5 + 0.05 * noise(column, row),
            1 => 10.0,
            _ if callee == "db" && column >= INCIDENT => answered,
            _ => 1.0,
        }
    });
    let edges = calls.map(|(caller, callee)| (caller.to_owned(), callee.to_owned()));
    (frame_of(&all), EdgeFrame::new(edges.to_vec(), values).unwrap())
}

#[test]
fn a_killed_service_is_the_culprit_and_not_what_it_no_longer_calls() {
    let (frame, edges) = killed_db(0.0);
    let mut case = Case::new(&frame, Some(&edges));
    case.calls = &[];
    let judged = case.judged();
    assert_eq!(first(&judged), "db", "{:?} {:?}", judged.services, judged.scores);
    let gone = &evidence_of(&judged, "db")[0];
    assert_eq!((gone.metric, gone.direction), (MetricKind::Availability, Direction::Down));
    assert_eq!(gone.series, "its series stopped at 1970-01-01T00:04:20Z");
    assert!((gone.deviation.exp_m1() - 1000.0).abs() < 1e-6);
    assert_eq!(judged.onsets[1], Some(UnixMillis(260_000)));
    assert_eq!(judged.assessment.root_cause_metrics[0].metric, MetricKind::Availability);
    let falling = |judged: &Judged| {
        let fell = |kind: MetricKind| matches!(kind, MetricKind::Throughput | MetricKind::Io);
        let of_disk = evidence_of(judged, "disk").iter();
        of_disk.filter(|one| fell(one.metric)).map(|one| one.deviation).fold(0.0, f64::max)
    };
    assert_eq!(falling(&judged), 0.0);

    case.parameters.vanished_spreads = 0.0;
    let without = case.judged();
    assert_ne!(evidence_of(&without, "db")[0].series, gone.series);
    assert!(falling(&without) > 1.0);
}

#[test]
fn calls_that_are_not_to_count_do_not_tell_that_a_service_still_answers() {
    let (frame, edges) = killed_db(1.0);
    let mut case = Case::new(&frame, Some(&edges));
    case.calls = &[];
    let is_gone = |judged: &Judged| {
        evidence_of(judged, "db").iter().any(|one| one.series.starts_with("its series stopped"))
    };
    assert!(!is_gone(&case.judged()));
    case.parameters.measured_calls = false;
    let blind = case.judged();
    assert!(is_gone(&blind));
    assert_eq!(blind, Case { edges: None, ..case }.judged());
}

#[test]
fn a_service_under_another_name_is_told_and_is_no_evidence() {
    let there = |from: usize, to: usize| {
        move |row: usize| if (from..to).contains(&row) { 5.0 + noise(row, 3) } else { f64::NAN }
    };
    let mut all: Vec<TestSeries> = ["cart", "mq", "web"]
        .into_iter()
        .map(|name| series(name, MetricKind::Memory, there(0, ROWS)))
        .collect();
    all.push(series("db", MetricKind::Memory, there(0, 52)));
    all.push(series("db-2", MetricKind::Memory, there(52, ROWS)));
    let judged = Case::new(&frame_of(&all), None).judged();
    let told = "the series of db stopped at 1970-01-01T00:04:20Z and db-2 was measured since";
    assert!(judged.warnings.iter().any(|one| one.starts_with(told)), "{:?}", judged.warnings);
    assert!(evidence_of(&judged, "db").iter().all(|one| one.metric != MetricKind::Availability));
}

#[test]
fn a_service_that_fails_one_call_in_twenty_is_seen_and_named() {
    let mut all = Vec::new();
    for (salt, service) in ALL.into_iter().enumerate() {
        all.push(series(service, MetricKind::Latency, |row| 1.0 + 0.1 * noise(row, salt)));
        all.push(series(service, MetricKind::Throughput, |row| 200.0 + 10.0 * noise(row, salt + 9)));
        all.push(series(service, MetricKind::Availability, |row| {
            let failing = if service == "db" && row >= INCIDENT { 0.05 } else { 0.0 };
            1.0 - 0.0005 * noise(row, salt + 17).abs() - failing
        }));
    }
    let judged = Case::new(&frame_of(&all), None).judged();
    assert_eq!(first(&judged), "db");
    assert_eq!(judged.assessment.abstention, None, "confidence {}", judged.assessment.confidence);
    assert_eq!(evidence_of(&judged, "db")[0].metric, MetricKind::Availability);
}

#[test]
fn services_that_tie_for_the_first_place_share_its_confidence() {
    let alike = |service: &'static str| {
        series(service, MetricKind::Latency, |row| {
            1.0 + 0.1 * noise(row, 3) + if row >= INCIDENT { 5.0 } else { 0.0 }
        })
    };
    let both = frame_of(&[alike("cart"), alike("pay")]);
    let alone = frame_of(&[alike("cart")]);
    let confidence = |frame: &MetricFrame| {
        let parameters = EvidenceParameters { graph: EvidenceGraph::None, ..EvidenceParameters::default() };
        let judged = Case { calls: &[], parameters, ..Case::new(frame, None) }.judged();
        judged.assessment.confidence
    };
    assert!((confidence(&both) - confidence(&alone) / 2.0).abs() < 1e-12);
}

#[test]
fn a_short_fault_in_a_long_window_is_told() {
    // Two of ten minutes, after an hour of normal behaviour.
    const NORMAL: usize = 360;
    let judged = |fault: usize| {
        let one = |service: &'static str, salt: usize| TestSeries {
            service,
            metric: MetricKind::Cpu,
            name: "cpu",
            samples: Array1::from_iter((0..NORMAL + 60).map(|row| {
                let ill = service == "db" && (NORMAL..NORMAL + fault).contains(&row);
                1.0 + 0.1 * noise(row, salt) + if ill { 5.0 } else { 0.0 }
            })),
        };
        let frame = frame_of(&[one("cart", 1), one("db", 2), one("web", 3)]);
        let rows = WindowRows {
            normal: (0..NORMAL).collect(),
            incident: (NORMAL..NORMAL + 60).collect(),
            exclusions_ignored: false,
        };
        judge(&input(&frame, &rows, &context(&CALLS), &EvidenceParameters::default())).unwrap()
    };
    let told =
        |judged: &Judged| judged.warnings.iter().any(|warning| warning.contains("after 12 of 60 rows"));
    assert!(told(&judged(12)), "{:?}", judged(12).warnings);
    for lasting in [60, 0] {
        let warnings = judged(lasting).warnings;
        assert!(!warnings.iter().any(|warning| warning.contains("is over")), "{lasting}: {warnings:?}");
    }
}
