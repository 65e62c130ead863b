//! The method `evidence`: which service left its own normal behaviour, and who is to blame for whom.
//!
//! It keeps the shape of the published method (graph, profiles, walk over services) and needs no history. Its steps:
//!
//! | step | module | what it does |
//! |---|---|---|
//! | 1, series | [`series_values`] | which values count, none interpolated |
//! | 2, guard | [`guard`] | rows before the alert that are not taken for normal |
//! | 3, onset | [`onset`] | when the incident began |
//! | 4, deload | [`deload`] | takes off what the service's own load explains |
//! | 5, deviation | [`deviation`], [`robust_range`], [`least_spread`], [`sorted_values`], [`measure`](mod@measure) | how far each series left its normal range |
//! | 5, callers | [`callers_view`] | what callers see of their callees over all their calls |
//! | 5, calls | [`measured_calls`], [`edges_view`] | what they measure call by call, and of whom it speaks |
//! | 5, gone | [`vanished`](mod@vanished) | services whose series stop |
//! | 6, graph | [`throughput_graph`], [`call_graph_fit`], `chosen_graph` | what is walked along, and whether a given call graph fits |
//! | 7, walk | [`walk`], [`pair_weights`] | follows evidence along the graph |
//! | 8, confidence | [`placebo`], [`confidence`] | what normal times look like, and whether this is any different |
//! | 9, root-cause metric | [`root_cause_metric`] | which resource is at fault |
//! | beside them | [`front_end`] | whether the front end itself shows anything |
//! | all | [`judge`](mod@judge), `found` | in order, and what they find in one window |

pub mod call_graph_fit;
pub mod callers_view;
mod chosen_graph;
pub mod confidence;
pub mod counterfactuals;
pub mod deload;
pub mod deviation;
pub mod edges_view;
mod found;
pub mod front_end;
pub mod guard;
pub mod judge;
pub mod least_spread;
pub mod measure;
pub mod measured_calls;
pub mod onset;
pub mod pair_weights;
pub mod placebo;
pub mod robust_range;
pub mod root_cause_metric;
pub mod series_values;
pub mod sorted_values;
pub mod throughput_graph;
pub mod vanished;
pub mod walk;

#[cfg(test)]
mod judge_tests;
