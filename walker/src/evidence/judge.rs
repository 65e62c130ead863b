//! The steps of the method `evidence` in order: frame, rows and graph go in, scores and their assessment come out.

use std::sync::atomic::AtomicBool;

use automap_proto::{
    assessment::{Assessment, CallGraphFit, WalkedGraph},
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    metric::MetricKind,
    ranking::{Direction, Evidence},
    throughput::ThroughputFit,
    time::UnixMillis,
};

use super::{
    call_graph_fit::CiShares,
    callers_view::CallersView,
    confidence::{DEPARTED_SPREADS, Doubt, confidence, contrast},
    counterfactuals::{Leader, counterfactuals},
    deviation::{ServiceDeviation, TypeEvidence, service_evidence, total, weighted},
    evidence_weights::EvidenceWeights,
    guard::GuardedRows,
    measure::{Measured, WindowEvidence, measure},
    onset::{RowScores, incident_rows, row_scores, service_onset},
    placebo::placebo_windows,
    root_cause_metric::root_cause_metrics,
    throughput_graph::ThroughputGraph,
    walk::{WalkGraph, evidence_walk, indexed_calls, walked_services},
};
use crate::{
    parameters::{EvidenceGraph, EvidenceParameters},
    service_evidence::ServiceEvidence,
    stop::{self, Stopped},
};

/// Fewest services of which it can be said that most of them departed at once.
const MIN_GLOBAL_SERVICES: usize = 4;
/// Sum of row scores from which a service has an onset of its own.
const MIN_SERVICE_ONSET: f64 = 1.0;
/// What the evidence of callers is called where a series is named.
const SEEN_BY_CALLERS: &str = "client-latency of callers";

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct EvidenceInput<'a> {
    /// All series.
    pub frame: &'a MetricFrame,
    /// Normal and incident rows, by the alert.
    pub rows: &'a WindowRows,
    /// Front end and, where known, call graph.
    pub context: &'a IncidentContext,
    /// R² of throughput over the normal rows of [`guarded_rows`].
    pub throughput: Option<&'a ThroughputFit>,
    /// CI shares of pairs of services, against which a call graph is tested.
    pub shares: Option<&'a CiShares>,
    /// Weights by metric type and direction.
    pub weights: &'a EvidenceWeights,
    /// Seeds the permutations.
    pub seed: u64,
    /// Parameters.
    pub parameters: &'a EvidenceParameters,
    /// Ends the work when it is set.
    pub stop: &'a AtomicBool,
}

/// What was found. Lists are in the order of `services`.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Services of frame and call graph, sorted.
    pub services: Vec<String>,
    /// What speaks against each.
    pub evidence: Vec<ServiceEvidence>,
    /// Larger is more suspect; finite, >= 0.
    pub scores: Vec<f64>,
    /// Scores by equal weights; empty when the weights are equal.
    pub unlearned_scores: Vec<f64>,
    /// When each left its normal behaviour.
    pub onsets: Vec<Option<UnixMillis>>,
    /// How far the answer can be trusted.
    pub assessment: Assessment,
    /// Who would score highest had the one that does shown less.
    pub counterfactuals: Vec<Leader>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// The rows that are normal, and those in which the incident may lie (step 2). O(rows of the frame).
pub fn guarded_rows(frame: &MetricFrame, rows: &WindowRows, parameters: &EvidenceParameters) -> GuardedRows {
    if !parameters.guard {
        return GuardedRows::without_guard(rows);
    }
    let present = frame.rows_with_samples();
    let alert = rows.incident.first().copied().unwrap_or(present.len());
    let before: Vec<usize> = (0..alert).filter(|&row| present[row]).collect();
    GuardedRows::new(rows, &before)
}

/// Carries out all steps. Deterministic; the order of services and the unit of a series change nothing.
///
/// # Errors
/// [`Stopped`] soon after the flag was set.
///
/// # Complexity
/// That of [`measure`] and [`evidence_walk`].
pub fn judge(input: &EvidenceInput<'_>) -> Result<Judged, Stopped> {
    let (frame, parameters) = (input.frame, input.parameters);
    let guarded = guarded_rows(frame, input.rows, parameters);
    let row_scores = row_scores(frame, &guarded, parameters.direction, input.stop)?;
    let incident = if parameters.onset {
        incident_rows(&RowScores::sum(&row_scores, &guarded), &guarded, parameters.onset_gain)
    } else {
        guarded.incident.clone()
    };
    let placebo_rows = placebo_windows(guarded.normal.len(), incident.len(), parameters.placebo_windows);
    let measured = measure(frame, &guarded.normal, &incident, &placebo_rows, parameters, input.stop)?;

    let states = States::new(input);
    let graph = choose_graph(input, &states);
    stop::poll(input.stop)?;
    let laid_out = |window: &WindowEvidence| states.lay_out(window, &measured, graph.calls.as_deref());
    let found = laid_out(&measured.incident);
    let scored = |weights: &EvidenceWeights| graph.scores(&states, &found.totals(weights), parameters);
    let scores = scored(input.weights);
    let unlearned_scores =
        if input.weights.are_equal() { Vec::new() } else { scored(&EvidenceWeights::default()) };

    stop::poll(input.stop)?;
    let totals = found.totals(input.weights);
    let placebo: Vec<Found> = measured.placebo.iter().map(laid_out).collect();
    let top = highest(&scores);
    let largest_placebo: Vec<f64> = placebo
        .iter()
        .map(|window| window.totals(input.weights).iter().copied().fold(0.0, f64::max))
        .collect();
    let contrast = contrast(top.map_or(0.0, |top| totals[top]), &largest_placebo);
    let confidence = confidence(contrast);
    let evidence = found.evidence(frame, input.weights);
    let silent: Vec<&str> = (0..states.names.len())
        .filter(|&state| found.types[state].iter().all(|kind| kind.series().is_none()))
        .map(|state| states.names[state].as_str())
        .collect();
    let doubt = Doubt {
        furthest: found.deviations.as_flattened().iter().copied().fold(0.0, f64::max),
        confidence,
        abstain_below: parameters.abstain_below,
        silent: &silent,
        rows: incident.len(),
    };
    let assessment = Assessment {
        confidence,
        contrast,
        placebo_windows: u32::try_from(placebo.len()).unwrap_or(u32::MAX),
        abstention: doubt.abstention(),
        global_cause: found.is_global(&states, parameters.global_share),
        onset: incident.first().map_or(input.context.anomaly_start(), |&row| frame.grid().time(row)),
        root_cause_metrics: top.map_or_else(Vec::new, |top| {
            let normal: Vec<ServiceDeviation> = placebo.iter().map(|window| window.deviations[top]).collect();
            root_cause_metrics(&found.deviations[top], &normal)
        }),
        walked_graph: graph.walked,
        call_graph_fit: graph.fit,
    };
    let counterfactuals = top.map_or_else(Vec::new, |top| {
        let parts = weighted(&found.deviations[top], &found.types[top], input.weights);
        counterfactuals(top, &parts, &totals, |totals| graph.scores(&states, totals, parameters))
    });
    let span = guarded.span();
    let onsets = states.spread(
        row_scores.iter().map(|scores| {
            let position = service_onset(scores, &guarded, MIN_SERVICE_ONSET)?;
            Some(frame.grid().time(span[position]))
        }),
        None,
    );
    let mut warnings = graph.warnings;
    warnings.extend(window_warnings(input, &guarded));
    warnings.extend(front_end_warning(input, &states, &found));
    Ok(Judged {
        evidence,
        scores,
        unlearned_scores,
        onsets,
        assessment,
        counterfactuals,
        warnings,
        services: states.names,
    })
}

/// The services of the walk and where those of the frame stand among them.
struct States {
    names: Vec<String>,
    /// State of each service of the frame.
    of_frame: Vec<usize>,
}

impl States {
    fn new(input: &EvidenceInput<'_>) -> Self {
        let names = walked_services(input.frame.services(), input.context.call_graph());
        let of_frame =
            input.frame.services().iter().filter_map(|name| names.binary_search(name).ok()).collect();
        Self { names, of_frame }
    }

    /// Values of the frame's services laid over all states.
    fn spread<T: Clone>(&self, values: impl IntoIterator<Item = T>, other: T) -> Vec<T> {
        let mut all = vec![other; self.names.len()];
        for (state, value) in self.of_frame.iter().zip(values) {
            all[*state] = value;
        }
        all
    }

    /// The evidence of a window over all states, with what callers see where calls are known.
    fn lay_out(
        &self,
        window: &WindowEvidence,
        measured: &Measured,
        calls: Option<&[(usize, usize)]>,
    ) -> Found {
        let mut found = Found {
            types: self.spread(window.services.iter().copied(), Default::default()),
            deviations: self.spread(window.deviations(), Default::default()),
            seen_by_callers: vec![0.0; self.names.len()],
        };
        if let Some(calls) = calls {
            let view = CallersView {
                calls,
                throughput: &self.spread(measured.throughput.iter().copied(), None),
                spreads: &self.spread(measured.client_spreads.iter().copied(), None),
                rises: &self.spread(window.client_rises.iter().copied(), 0.0),
            };
            found.take_callers_view(&view);
        }
        found
    }
}

/// What a window shows against every state.
struct Found {
    types: Vec<[TypeEvidence; 7]>,
    deviations: Vec<ServiceDeviation>,
    seen_by_callers: Vec<f64>,
}

impl Found {
    fn take_callers_view(&mut self, view: &CallersView<'_>) {
        self.seen_by_callers = view.evidence();
        let explained = view.explained();
        for (state, deviation) in self.deviations.iter_mut().enumerate() {
            let latency = &mut deviation[MetricKind::Latency.index()];
            *latency = (*latency - explained[state]).max(0.0) + self.seen_by_callers[state];
        }
    }

    fn totals(&self, weights: &EvidenceWeights) -> Vec<f64> {
        self.deviations
            .iter()
            .zip(&self.types)
            .map(|(deviation, types)| total(deviation, types, weights))
            .collect()
    }

    fn evidence(&self, frame: &MetricFrame, weights: &EvidenceWeights) -> Vec<ServiceEvidence> {
        (0..self.deviations.len())
            .map(|state| {
                let mut own = self.deviations[state];
                let seen = self.seen_by_callers[state];
                let mostly_callers = seen > own[MetricKind::Latency.index()] / 2.0;
                if mostly_callers {
                    own[MetricKind::Latency.index()] = 0.0;
                }
                let mut found = service_evidence(frame, &own, &self.types[state], weights);
                if mostly_callers {
                    found.evidence.push(Evidence {
                        metric: MetricKind::Latency,
                        series: SEEN_BY_CALLERS.into(),
                        deviation: self.deviations[state][MetricKind::Latency.index()],
                        direction: Direction::Up,
                    });
                    found.evidence.sort_by(|left, right| right.deviation.total_cmp(&left.deviation));
                }
                found.total = total(&self.deviations[state], &self.types[state], weights);
                found
            })
            .collect()
    }

    /// Whether at least `share` of the measured services left their normal range.
    fn is_global(&self, states: &States, share: f64) -> bool {
        let departed = |state: &usize| {
            self.deviations[*state].iter().any(|deviation| *deviation >= DEPARTED_SPREADS.ln_1p())
        };
        let measured = states.of_frame.len();
        let count = states.of_frame.iter().filter(|state| departed(state)).count();
        measured >= MIN_GLOBAL_SERVICES && count as f64 >= share * measured as f64
    }
}

/// What the evidence is walked along.
struct ChosenGraph<'a> {
    walked: WalkedGraph,
    /// Calls that are believed, between states.
    calls: Option<Vec<(usize, usize)>>,
    throughput: Option<ThroughputGraph<'a>>,
    fit: Option<CallGraphFit>,
    warnings: Vec<String>,
}

impl ChosenGraph<'_> {
    fn scores(&self, states: &States, totals: &[f64], parameters: &EvidenceParameters) -> Vec<f64> {
        let graph = match (self.walked, &self.calls, &self.throughput) {
            (WalkedGraph::Calls, Some(calls), throughput) => WalkGraph::Calls(calls, throughput.as_ref()),
            (WalkedGraph::Throughput, _, Some(throughput)) => WalkGraph::Throughput(throughput),
            _ => return totals.to_vec(),
        };
        debug_assert_eq!(states.names.len(), totals.len(), "one total per state");
        evidence_walk(totals, graph, parameters)
    }
}

fn choose_graph<'a>(input: &EvidenceInput<'a>, states: &States) -> ChosenGraph<'a> {
    let parameters = input.parameters;
    let throughput = input
        .throughput
        .map(|fit| ThroughputGraph::new(&states.names, fit))
        .filter(ThroughputGraph::is_usable);
    let given = input.context.call_graph().filter(|calls| !calls.is_empty());
    let fit = given.zip(input.shares).and_then(|(calls, shares)| {
        let calls = indexed_calls(input.frame.services(), calls);
        shares.fit(&calls, parameters.fit_permutations, parameters.fit_level, input.seed)
    });
    let doubted = fit.is_some_and(|fit| !fit.trusted);
    let mut warnings = Vec::new();
    let use_calls = match parameters.graph {
        EvidenceGraph::Auto => !doubted,
        EvidenceGraph::Calls | EvidenceGraph::None => true,
        EvidenceGraph::Throughput => false,
    };
    if let (true, Some(fit)) = (doubted, &fit) {
        let consequence = match (parameters.graph, use_calls) {
            (EvidenceGraph::None, _) | (EvidenceGraph::Throughput, _) => "it was not walked",
            (_, true) => "it was walked all the same",
            (_, false) => {
                "it was not walked; check its names, or set evidence.graph = calls to walk it all the same"
            }
        };
        warnings.push(format!(
            "the call graph does not fit the metrics: services that call each other depend on each other no more than \
             chance has it (p = {:.2}); {consequence}",
            fit.p_value
        ));
    }
    let calls = given.filter(|_| use_calls).map(|calls| indexed_calls(&states.names, calls));
    let walked = match (parameters.graph, &calls, &throughput) {
        (EvidenceGraph::None, _, _) => WalkedGraph::None,
        (_, Some(_), _) => WalkedGraph::Calls,
        (_, None, Some(_)) => WalkedGraph::Throughput,
        (_, None, None) => WalkedGraph::None,
    };
    ChosenGraph { walked, calls, throughput, fit, warnings }
}

/// The state that scores highest; of equals the first.
fn highest(scores: &[f64]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (state, score) in scores.iter().enumerate() {
        if best.is_none_or(|known| *score > scores[known]) {
            best = Some(state);
        }
    }
    best
}

fn window_warnings(input: &EvidenceInput<'_>, guarded: &GuardedRows) -> Option<String> {
    let (normal, incident) = (guarded.normal.len(), input.rows.incident.len());
    (incident > normal).then(|| {
        format!(
            "the incident has {incident} rows and normal behaviour only {normal}: bring more time before the incident, or \
             set its end"
        )
    })
}

fn front_end_warning(input: &EvidenceInput<'_>, states: &States, found: &Found) -> Option<String> {
    let name = input.context.front_end();
    let state = states.names.binary_search_by(|one| one.as_str().cmp(name)).ok()?;
    let furthest = found.types[state].iter().map(TypeEvidence::deviation).fold(0.0, f64::max);
    let anybody = found.deviations.as_flattened().iter().any(|one| *one >= DEPARTED_SPREADS.ln_1p());
    (anybody && furthest < DEPARTED_SPREADS.ln_1p()).then(|| {
        format!(
            "the front end {name} never left its normal range: the cause found need not be that of its alert"
        )
    })
}
