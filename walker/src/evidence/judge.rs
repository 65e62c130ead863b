//! The steps of the method `evidence` in order: frame, rows and graph go in, scores and their assessment come out.

use std::sync::atomic::AtomicBool;

use automap_proto::{
    assessment::Assessment,
    edge_frame::EdgeFrame,
    frame::MetricFrame,
    incident::{IncidentContext, WindowRows},
    learned_weights::LearnedWeights,
    metric::MetricKind,
    throughput::ThroughputFit,
    time::UnixMillis,
};

use super::{
    call_graph_fit::CiShares,
    callers_view::ClientLatency,
    chosen_graph::choose_graph,
    confidence::{Doubt, confidence, contrast},
    counterfactuals::{Leader, counterfactuals},
    deviation::ServiceDeviation,
    found::{Found, States},
    front_end::departure_as_measured,
    guard::GuardedRows,
    measure::{WindowEvidence, measure},
    measured_calls::MeasuredCalls,
    onset::{RowScores, end_point, incident_rows, row_scores, service_onset},
    placebo::placebo_windows,
    root_cause_metric::root_cause_metrics,
    vanished::{Vanished, vanished},
};
use crate::{
    edge_rules::EdgeRules,
    explain::moment,
    parameters::EvidenceParameters,
    service_evidence::ServiceEvidence,
    stop::{self, Stopped},
};

/// Sum of row scores from which a service has an onset of its own.
const MIN_SERVICE_ONSET: f64 = 1.0;
/// Rows from which a window is long enough to hold a fault that is but a small part of it.
const LONG_WINDOW: usize = 10;
/// Share of a score by which sums in another order may differ: services so near to each other tie.
const TIE: f64 = 1e-9;

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub struct EvidenceInput<'a> {
    /// All series.
    pub frame: &'a MetricFrame,
    /// Normal and incident rows, by the alert.
    pub rows: &'a WindowRows,
    /// Front end and, where known, call graph.
    pub context: &'a IncidentContext,
    /// What callers measured of their calls, over the grid of the frame.
    pub edges: Option<&'a EdgeFrame>,
    /// Edges that are forced or forbidden.
    pub rules: &'a EdgeRules,
    /// R² of throughput over the normal rows of [`guarded_rows`].
    pub throughput: Option<&'a ThroughputFit>,
    /// CI shares of pairs of services, against which a call graph is tested.
    pub shares: Option<&'a CiShares>,
    /// So many of the first rows are remembered ones, of which `throughput` and `shares` know nothing.
    pub remembered: usize,
    /// What confirmed incidents taught, where they did.
    pub learned: Option<&'a LearnedWeights>,
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
    /// Scores before anything learned; empty where nothing was.
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

/// How many of `scores` tie with the highest of them.
fn ties(scores: &[f64], highest: f64) -> usize {
    let nearly = highest - TIE * highest.abs();
    scores.iter().filter(|score| **score >= nearly).count()
}

/// Carries out all steps. Deterministic; the order of services changes nothing, nor does the unit of a series, with one
/// exception: the sampling error of an availability (0 to 1) takes throughput to be in calls a second.
///
/// # Errors
/// [`Stopped`] soon after the flag was set.
///
/// # Complexity
/// That of [`measure`] and [`evidence_walk`](super::walk::evidence_walk).
pub fn judge(input: &EvidenceInput<'_>) -> Result<Judged, Stopped> {
    let (frame, parameters) = (input.frame, input.parameters);
    let guarded = guarded_rows(frame, input.rows, parameters);
    let row_scores = row_scores(frame, &guarded, parameters.direction, input.stop)?;
    let (all_scores, alerted) = (RowScores::sum(&row_scores, &guarded), guarded.incident.len());
    let incident = if parameters.onset {
        incident_rows(&all_scores, &guarded, parameters.onset_gain)
    } else {
        guarded.incident.clone()
    };
    let onset = guarded.guard.len() + alerted - incident.len();
    let over = end_point(&all_scores, onset, alerted, parameters.onset_gain).saturating_sub(onset);
    let placebo_rows = placebo_windows(guarded.normal.len(), incident.len(), parameters.placebo_windows);
    let edges = input.edges.filter(|_| parameters.measured_calls);
    let calls = edges.map(|edges| MeasuredCalls::new(edges, &guarded.normal, frame.grid().step_ms()));
    // Single calls tell the same more exactly.
    let client_latency = if calls.is_some() { ClientLatency::Ignored } else { parameters.client_latency };
    let measuring = EvidenceParameters { client_latency, ..parameters.clone() };
    let rows = (guarded.normal.as_slice(), incident.as_slice());
    let measured = measure(frame, rows, &placebo_rows, calls.as_ref(), &measuring, input.stop)?;

    let states = States::new(input, edges);
    let own = own_rows(input);
    let own_normal = guarded_rows(frame, &own, parameters).normal.len();
    let graph = choose_graph(input, &states, own_normal, own.normal.len() + own.incident.len());
    stop::poll(input.stop)?;
    let laid_out = |window: &WindowEvidence| states.lay_out(window, &measured, graph.calls.as_deref());
    let mut found = laid_out(&measured.incident);
    let gone = if parameters.vanished_spreads > 0.0 {
        vanished(frame, edges, &guarded, &incident)
    } else {
        Vec::new()
    };
    found.take_vanished(&gone, (&states, frame), graph.calls.as_deref(), parameters.vanished_spreads);
    let totals = found.totals();
    let directed = found.directed();
    let walked = graph.scores(&states, &totals, parameters);
    let (scores, unlearned_scores) = match input.learned {
        Some(learned) => (learned.rescored(&walked, &directed), walked),
        None => (walked, Vec::new()),
    };

    stop::poll(input.stop)?;
    let placebo: Vec<Found> = measured
        .placebo
        .iter()
        .map(|window| stop::poll(input.stop).map(|()| laid_out(window)))
        .collect::<Result<_, Stopped>>()?;
    let top = highest(&scores);
    let largest_placebo: Vec<f64> =
        placebo.iter().map(|window| window.totals().iter().copied().fold(0.0, f64::max)).collect();
    let contrast =
        contrast(top.map_or(0.0, |top| totals[top]), &largest_placebo, parameters.contrast_softening);
    let tied = top.map_or(1, |top| ties(&scores, scores[top]));
    let confidence = confidence(contrast, tied, parameters);
    let evidence = found.evidence(frame);
    let silent: Vec<&str> = (0..states.names.len())
        .filter(|&state| found.types[state].iter().all(|kind| kind.series().is_none()))
        .map(|state| states.names[state].as_str())
        .collect();
    let doubt = Doubt {
        furthest: found.deviations.as_flattened().iter().copied().fold(0.0, f64::max),
        confidence,
        tied,
        walked: graph.walked,
        departed_spreads: parameters.departed_spreads,
        abstain_below: parameters.abstain_below,
        silent: &silent,
        rows: incident.len(),
    };
    let assessment = Assessment {
        confidence,
        contrast,
        placebo_windows: u32::try_from(placebo.len()).unwrap_or(u32::MAX),
        abstention: doubt.abstention(),
        global_cause: found.is_global(&states, parameters.global_share, parameters.departed_spreads),
        onset: incident.first().map_or(input.context.anomaly_start(), |&row| frame.grid().time(row)),
        root_cause_metrics: top.map_or_else(Vec::new, |top| {
            let normal: Vec<ServiceDeviation> = placebo.iter().map(|window| window.deviations[top]).collect();
            root_cause_metrics(&found.deviations[top], &normal)
        }),
        walked_graph: graph.walked,
        call_graph_fit: graph.fit,
    };
    let counterfactuals = top.map_or_else(Vec::new, |top| {
        let parts = MetricKind::ALL.map(|kind| (kind, found.deviations[top][kind.index()]));
        counterfactuals(top, &parts, &totals, |totals, without| {
            let walked = graph.scores(&states, totals, parameters);
            let Some(learned) = input.learned else {
                return walked;
            };
            let mut directed = directed.clone();
            for kind in MetricKind::ALL.into_iter().filter(|kind| without.is_none_or(|one| one == *kind)) {
                directed[top][kind.index()].0 = 0.0;
            }
            learned.rescored(&walked, &directed)
        })
    });
    let span = guarded.span();
    let mut onsets = states.spread(
        row_scores.iter().map(|scores| {
            let position = service_onset(scores, &guarded, MIN_SERVICE_ONSET)?;
            Some(frame.grid().time(span[position]))
        }),
        None,
    );
    for (onset, stopped) in onsets.iter_mut().zip(&found.stopped) {
        // A service may have been ill before it was gone.
        *onset = [*onset, *stopped].into_iter().flatten().min();
    }
    let mut warnings = graph.warnings;
    warnings.extend(gone.iter().filter_map(|one| succession_warning(frame, one)));
    warnings.extend(window_warnings(input, &guarded));
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len().max(1) as f64;
    let row_score =
        mean(all_scores.span.get(onset..onset + over).unwrap_or_default()) - mean(&all_scores.normal);
    // A row of which one series lies that many spreads off scores so much; where none does, nothing was there to be over.
    if row_score >= parameters.departed_spreads.max(1.0).ln() {
        warnings.extend(brief_warning(frame, &incident, over));
    }
    warnings.extend(front_end_warning(input, rows, &found));
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

/// The rows without those that are remembered.
fn own_rows(input: &EvidenceInput<'_>) -> WindowRows {
    let own = |rows: &[usize]| rows.iter().copied().filter(|row| *row >= input.remembered).collect();
    WindowRows {
        normal: own(&input.rows.normal),
        incident: own(&input.rows.incident),
        exclusions_ignored: input.rows.exclusions_ignored,
    }
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

fn succession_warning(frame: &MetricFrame, gone: &Vanished) -> Option<String> {
    let successor = &frame.services()[gone.successor?];
    let (service, time) = (&frame.services()[gone.service], moment(frame.grid().time(gone.row)));
    Some(format!(
        "the series of {service} stopped at {time} and {successor} was measured since: taken for the same service under another \
         name, and for no evidence"
    ))
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

/// What departs is over after the first `over` rows of the incident, so that its median and percentiles show little of it.
fn brief_warning(frame: &MetricFrame, incident: &[usize], over: usize) -> Option<String> {
    let last = over.checked_sub(1).and_then(|last| incident.get(last))?;
    (incident.len() >= LONG_WINDOW && 2 * over <= incident.len()).then(|| {
        format!(
            "what departs most is over after {over} of {} rows, at {}: a short fault shows little in a long window, so set the \
             end of the incident",
            incident.len(),
            moment(frame.grid().time(*last))
        )
    })
}

fn front_end_warning(input: &EvidenceInput<'_>, rows: (&[usize], &[usize]), found: &Found) -> Option<String> {
    let name = input.context.front_end();
    let left = input.parameters.departed_spreads.ln_1p();
    let anybody = found.deviations.as_flattened().iter().any(|one| *one >= left);
    let furthest = departure_as_measured(input.frame, name, rows, input.parameters)?;
    (anybody && furthest < left).then(|| {
        format!(
            "the front end {name} never left its normal range: the cause found need not be that of its alert"
        )
    })
}
