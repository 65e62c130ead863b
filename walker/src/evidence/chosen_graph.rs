//! Step 6, along what the evidence is walked: calls that are believed, or throughput, or nothing.

use automap_proto::assessment::{CallGraphFit, WalkedGraph};

use super::{
    found::States,
    judge::EvidenceInput,
    pair_weights::PairWeights,
    throughput_graph::ThroughputGraph,
    walk::{WalkGraph, evidence_walk, indexed_calls},
};
use crate::{
    graph_plan::MIN_GRAPH_ROWS,
    parameters::{EvidenceGraph, EvidenceParameters},
};

/// Fewest rows from which CI shares tell anything of a call graph. With ten rows tests find next to no dependence, and the
/// right graph of a recorded system was doubted in 29 of 52 incidents.
const MIN_FIT_ROWS: usize = MIN_GRAPH_ROWS;

/// What the evidence is walked along.
pub(crate) struct ChosenGraph<'a> {
    pub(crate) walked: WalkedGraph,
    /// Calls that are believed, between states.
    pub(crate) calls: Option<Vec<(usize, usize)>>,
    pub(crate) throughput: Option<ThroughputGraph<'a>>,
    /// The weights of all pairs, where those are walked.
    pub(crate) pairs: Option<PairWeights>,
    pub(crate) fit: Option<CallGraphFit>,
    pub(crate) warnings: Vec<String>,
}

impl ChosenGraph<'_> {
    pub(crate) fn scores(
        &self,
        states: &States,
        totals: &[f64],
        parameters: &EvidenceParameters,
    ) -> Vec<f64> {
        let graph = match (self.walked, &self.calls, &self.pairs) {
            (WalkedGraph::Calls, Some(calls), _) => WalkGraph::Calls(calls, self.throughput.as_ref()),
            (WalkedGraph::Throughput, _, Some(pairs)) => WalkGraph::Pairs(pairs),
            _ => return totals.to_vec(),
        };
        debug_assert_eq!(states.names.len(), totals.len(), "one total per state");
        evidence_walk(totals, graph, parameters)
    }
}

/// Chooses what is walked. `normal_rows` are those behind R² of throughput, `rows` those behind the CI shares.
pub(crate) fn choose_graph<'a>(
    input: &EvidenceInput<'a>,
    states: &States,
    normal_rows: usize,
    rows: usize,
) -> ChosenGraph<'a> {
    let parameters = input.parameters;
    let throughput = input
        .throughput
        .map(|fit| ThroughputGraph::new(&states.names, fit, normal_rows))
        .filter(ThroughputGraph::is_usable);
    let given = input.context.call_graph().filter(|calls| !calls.is_empty());
    let shares = input.shares.filter(|_| rows >= MIN_FIT_ROWS);
    let fit = given.zip(shares).and_then(|(calls, shares)| {
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
            "the call graph does not fit the metrics: of graphs of its shape with the names mixed up, {:.0} of 100 fit as \
             well or better; {consequence}",
            100.0 * fit.p_value
        ));
    }
    let mut calls = given.filter(|_| use_calls).map(|calls| indexed_calls(&states.names, calls));
    // What was measured is there, whatever becomes of the calls that were only told.
    let rules = input.rules.indexed(&states.names);
    if parameters.graph != EvidenceGraph::Throughput {
        if !states.measured.is_empty() || throughput.is_none() && !rules.forced.is_empty() {
            calls.get_or_insert_default().extend_from_slice(&states.measured);
        }
        calls = calls.map(|known| rules.applied(&known));
    }
    let walked = match (parameters.graph, &calls, &throughput) {
        (EvidenceGraph::None, _, _) => WalkedGraph::None,
        (_, Some(_), _) => WalkedGraph::Calls,
        (_, None, Some(_)) => WalkedGraph::Throughput,
        (_, None, None) => WalkedGraph::None,
    };
    let pairs = throughput.as_ref().filter(|_| walked == WalkedGraph::Throughput).map(|throughput| {
        PairWeights::new(states.names.len(), &rules, |one, other| throughput.between(one, other))
    });
    ChosenGraph { walked, calls, throughput, pairs, fit, warnings }
}
