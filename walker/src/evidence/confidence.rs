//! Step 8, confidence: is this incident any different from normal times, and how often is such an answer right?
//!
//! ```text
//! contrast = ln((a_top + κ) / (mean over placebo windows of max_s a_s + κ))
//! confidence = 1 / (1 + e^−(α + β·contrast)) / services that tie for the first place
//! ```

use automap_proto::assessment::{Abstention, Assessment, WalkedGraph};

use crate::parameters::EvidenceParameters;

/// Below this a confidence says no more than that it is low: of the 45 least sure answers of its calibration, which state .11 on
/// average, 6 were right, of which the 95 % interval says 6 to 26 of 100.
const LEAST_STATED: f64 = 0.3;

/// How unusual the evidence against the service ranked first is. `placebo` holds the largest evidence against any
/// service in each placebo window; without such windows nothing is known of normal times, and the contrast is zero.
/// `softening`, κ, keeps it finite where nothing departs.
pub fn contrast(top: f64, placebo: &[f64], softening: f64) -> f64 {
    if placebo.is_empty() {
        return 0.0;
    }
    let normal = placebo.iter().sum::<f64>() / placebo.len() as f64;
    ((top + softening) / (normal + softening)).ln()
}

/// The chance that the service ranked first is a root cause, 0 to 1, where `tied` services share the first place.
pub fn confidence(contrast: f64, tied: usize, parameters: &EvidenceParameters) -> f64 {
    let exponent = parameters.confidence_intercept + parameters.confidence_slope * contrast;
    1.0 / (1.0 + (-exponent).exp()) / tied.max(1) as f64
}

/// `about 83 of 100`, or no number where the calibration has none.
pub fn of_a_hundred(confidence: f64) -> String {
    if confidence < LEAST_STATED {
        format!("fewer than {:.0} of 100", 100.0 * LEAST_STATED)
    } else {
        format!("about {:.0} of 100", 100.0 * confidence)
    }
}

/// What decides whether a root cause is named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doubt<'a> {
    /// The largest ln(1 + spreads) of any series of any service.
    pub furthest: f64,
    /// See [`confidence`].
    pub confidence: f64,
    /// Services that tie for the first place.
    pub tied: usize,
    /// Along which graph the evidence was walked.
    pub walked: WalkedGraph,
    /// Spreads from which a series has left its normal range.
    pub departed_spreads: f64,
    /// Least confidence with which a root cause is named.
    pub abstain_below: f64,
    /// Services without any series that counts, for what was missing.
    pub silent: &'a [&'a str],
    /// Rows of the incident.
    pub rows: usize,
}

impl Doubt<'_> {
    /// Why no root cause is named, with a sentence on what was missing; `None` when one is.
    pub fn abstention(&self) -> Option<(Abstention, String)> {
        if self.furthest < self.departed_spreads.ln_1p() {
            let mut reason = format!(
                "no series of any service left its normal range by more than {} spreads in {} rows; \
                 check the time of the anomaly, or bring metrics that show it",
                self.departed_spreads, self.rows
            );
            if let [first, ..] = self.silent {
                reason.push_str(&format!(
                    "; {} services have no series that can be compared, such as {first}",
                    self.silent.len()
                ));
            }
            return Some((Abstention::NothingDeparted, reason));
        }
        (self.confidence < self.abstain_below).then(|| {
            let right = of_a_hundred(self.confidence);
            let alone = self.confidence * self.tied.max(1) as f64;
            let reason = if alone >= self.abstain_below {
                let graph = if self.walked == WalkedGraph::None { "a call graph or " } else { "" };
                format!(
                    "{} services tie for the first place, so that each of them is right in {right} such incidents; \
                     {graph}metrics nearer to the fault may tell them apart",
                    self.tied
                )
            } else {
                format!(
                    "services left their normal behaviour hardly further than in normal times, so that the first is right \
                     in {right} such incidents; a longer normal window or metrics nearer to the fault may tell more"
                )
            };
            (Abstention::NotUnusual, reason)
        })
    }
}

/// The assessment, whose abstention names the metrics that the source has and that were not read: what they would have shown may
/// be the root cause.
pub fn naming_unread(mut assessment: Assessment, unread: &[String]) -> Assessment {
    if let Some((_, reason)) = &mut assessment.abstention {
        for sentence in unread {
            reason.push_str("; ");
            reason.push_str(sentence);
        }
    }
    assessment
}

#[cfg(test)]
mod tests {
    use automap_proto::time::UnixMillis;

    use super::*;

    #[test]
    fn a_contrast_worked_by_hand() {
        assert!((contrast(5.9, &[1.0, 2.8], 0.1) - 3.0_f64.ln()).abs() < 1e-12);
        assert_eq!(contrast(5.9, &[], 0.1), 0.0);
        assert_eq!(contrast(0.0, &[0.0], 0.1), 0.0);
    }

    #[test]
    fn confidence_grows_with_the_contrast_and_stays_a_share() {
        let of = |contrast| confidence(contrast, 1, &EvidenceParameters::default());
        let rising: Vec<f64> = [-800.0, -1.0, 0.0, 1.0, 800.0].map(of).to_vec();
        assert!(rising.is_sorted() && rising[0] >= 0.0 && rising[4] <= 1.0);
    }

    #[test]
    fn services_that_tie_for_the_first_place_share_its_confidence() {
        let parameters = EvidenceParameters {
            confidence_intercept: 0.0,
            confidence_slope: 2.0,
            ..EvidenceParameters::default()
        };
        assert_eq!(confidence(0.0, 1, &parameters), 0.5);
        assert_eq!(confidence(0.0, 4, &parameters), 0.125);
        assert!((confidence(1.0, 1, &parameters) - 1.0 / (1.0 + (-2.0_f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn no_percentage_is_told_below_thirty() {
        assert_eq!(of_a_hundred(0.3), "about 30 of 100");
        assert_eq!(of_a_hundred(0.003), "fewer than 30 of 100");
    }

    #[test]
    fn an_abstention_names_what_was_not_read_and_an_answer_does_not() {
        let assessment = |abstention| Assessment {
            confidence: 0.1,
            contrast: 0.0,
            placebo_windows: 12,
            abstention,
            global_cause: false,
            onset: UnixMillis(0),
            root_cause_metrics: vec![],
            walked_graph: WalkedGraph::None,
            call_graph_fit: None,
        };
        let unread = ["m.csv: left out 1 column".to_owned(), "late: cpu".to_owned()];
        let abstains = assessment(Some((Abstention::NothingDeparted, "nothing departed".into())));
        let reason = naming_unread(abstains.clone(), &unread).abstention.unwrap().1;
        assert_eq!(reason, "nothing departed; m.csv: left out 1 column; late: cpu");
        assert_eq!(naming_unread(abstains.clone(), &[]), abstains);
        assert_eq!(naming_unread(assessment(None), &unread), assessment(None));
    }

    #[test]
    fn it_abstains_where_nothing_departed_or_normal_times_look_the_same() {
        let doubt = Doubt {
            furthest: 2.0,
            confidence: 0.5,
            tied: 1,
            walked: WalkedGraph::Calls,
            departed_spreads: 3.0,
            abstain_below: 0.35,
            silent: &["db", "mq"],
            rows: 5,
        };
        assert_eq!(doubt.abstention(), None);
        let (kind, reason) = Doubt { furthest: 1.3, ..doubt }.abstention().unwrap();
        assert_eq!(kind, Abstention::NothingDeparted);
        assert!(reason.ends_with("2 services have no series that can be compared, such as db"), "{reason}");
        let (kind, reason) = Doubt { confidence: 0.3, ..doubt }.abstention().unwrap();
        assert_eq!(kind, Abstention::NotUnusual);
        assert!(reason.contains("hardly further") && reason.contains("about 30 of 100"), "{reason}");
        let (kind, reason) = Doubt { confidence: 0.33, tied: 3, ..doubt }.abstention().unwrap();
        assert_eq!(kind, Abstention::NotUnusual);
        assert!(reason.starts_with("3 services tie for the first place"), "{reason}");
        assert!(!reason.contains("call graph"), "it has one: {reason}");
        let without = Doubt { confidence: 0.33, tied: 3, walked: WalkedGraph::None, ..doubt };
        assert!(without.abstention().unwrap().1.contains("a call graph or metrics"));
        let reason = Doubt { confidence: 0.1, tied: 2, ..doubt }.abstention().unwrap().1;
        assert!(reason.contains("hardly further") && reason.contains("fewer than 30"), "{reason}");
    }
}
