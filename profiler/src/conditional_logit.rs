//! Conditional logit with a ridge: which features tell the chosen alternatives from the others (McFadden,
//! *Conditional logit analysis of qualitative choice behavior*, 1974).
//!
//! One decision has alternatives with features x_s, of which some were chosen. With weights w
//!
//! ```text
//! P(s) = exp(wᵀx_s) / Σ_t exp(wᵀx_t)
//! w = argmax  Σ_decisions (mean over the chosen of ln P) − Σ_k λ_k/2 · (w_k − c_k)²
//! ```
//!
//! The ridge draws the weights towards a centre c: few decisions change little, and the weights of features that no decision
//! shows stay where they are. The problem is concave.

/// Newton steps; ten are enough from where the fits begin.
const MAX_STEPS: usize = 50;
/// Largest change of a weight at which a fit has converged.
const TOLERANCE: f64 = 1e-10;
/// Share of the objective that rounding may take: near the maximum no step gains visibly.
const ROUNDING: f64 = 1e-13;
/// Halvings of a step that does not gain.
const MAX_HALVINGS: usize = 40;
/// Where the weight of a lone feature may lie.
const SHARPNESS: (f64, f64) = (0.02, 5.0);

/// One decision.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<const FEATURES: usize> {
    /// Features of each alternative.
    alternatives: Vec<[f64; FEATURES]>,
    /// Positions of those that were chosen; at least one.
    chosen: Vec<usize>,
}

impl<const FEATURES: usize> Decision<FEATURES> {
    /// `None` when nothing was chosen, a choice is none of the alternatives, or a feature is not finite.
    pub fn new(alternatives: Vec<[f64; FEATURES]>, chosen: Vec<usize>) -> Option<Self> {
        let finite = alternatives.as_flattened().iter().all(|value| value.is_finite());
        let known = !chosen.is_empty() && chosen.iter().all(|&one| one < alternatives.len());
        (finite && known).then_some(Self { alternatives, chosen })
    }

    /// Mean over the chosen alternatives of ln P, and the probabilities.
    fn outcome(&self, weights: &[f64; FEATURES]) -> (f64, Vec<f64>) {
        let utilities: Vec<f64> = self.alternatives.iter().map(|features| dot(weights, features)).collect();
        let highest = utilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = utilities.iter().map(|utility| (utility - highest).exp()).sum();
        let level = highest + total.ln();
        let chosen = self.chosen.iter().map(|&one| utilities[one] - level).sum::<f64>();
        (chosen / self.chosen.len() as f64, utilities.iter().map(|utility| (utility - level).exp()).collect())
    }
}

/// Σ over the decisions of the mean over the chosen of ln P. O(alternatives · features).
pub fn log_likelihood<const FEATURES: usize>(
    decisions: &[&Decision<FEATURES>],
    weights: &[f64; FEATURES],
) -> f64 {
    decisions.iter().map(|decision| decision.outcome(weights).0).sum()
}

/// The weight of feature `feature` alone that explains the decisions best, from .02 to 5. O(alternatives) per step.
pub fn sharpness<const FEATURES: usize>(decisions: &[&Decision<FEATURES>], feature: usize) -> f64 {
    // ln L is concave: its slope falls, and where it crosses zero is found by halving.
    let slope = |weight: f64| -> f64 {
        let mut weights = [0.0; FEATURES];
        weights[feature] = weight;
        decisions.iter().map(|decision| gradient(decision, &weights)[feature]).sum()
    };
    let (mut low, mut high) = SHARPNESS;
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Gradient of the mean ln P of the chosen.
fn gradient<const FEATURES: usize>(
    decision: &Decision<FEATURES>,
    weights: &[f64; FEATURES],
) -> [f64; FEATURES] {
    let (_, probabilities) = decision.outcome(weights);
    let mut slope = [0.0; FEATURES];
    let share = 1.0 / decision.chosen.len() as f64;
    for &one in &decision.chosen {
        add(&mut slope, share, &decision.alternatives[one]);
    }
    for (probability, features) in probabilities.iter().zip(&decision.alternatives) {
        add(&mut slope, -probability, features);
    }
    slope
}

/// The weights; see the module. Every `ridge` λ_k > 0.
///
/// # Complexity
/// O(alternatives · features²) per Newton step, about ten steps.
pub fn fit<const FEATURES: usize>(
    decisions: &[&Decision<FEATURES>],
    centre: &[f64; FEATURES],
    ridge: &[f64; FEATURES],
) -> [f64; FEATURES] {
    let objective = |weights: &[f64; FEATURES]| {
        let apart = weights.iter().zip(centre).map(|(weight, centre)| (weight - centre).powi(2));
        let penalty: f64 = apart.zip(ridge).map(|(square, ridge)| ridge / 2.0 * square).sum();
        log_likelihood(decisions, weights) - penalty
    };
    let mut weights = *centre;
    let mut reached = objective(&weights);
    for _ in 0..MAX_STEPS {
        let step = newton_step(decisions, &weights, centre, ridge);
        let mut length = 1.0;
        let mut moved = None;
        for _ in 0..MAX_HALVINGS {
            let next: [f64; FEATURES] =
                std::array::from_fn(|feature| weights[feature] + length * step[feature]);
            let value = objective(&next);
            if value >= reached - ROUNDING * (1.0 + reached.abs()) {
                moved = Some((next, value));
                break;
            }
            length /= 2.0;
        }
        let Some((next, value)) = moved else {
            break;
        };
        let change = next.iter().zip(&weights).map(|(new, old)| (new - old).abs()).fold(0.0, f64::max);
        (weights, reached) = (next, value);
        if change < TOLERANCE {
            break;
        }
    }
    weights
}

/// Where the quadratic approximation of the objective is largest, from `weights`.
fn newton_step<const FEATURES: usize>(
    decisions: &[&Decision<FEATURES>],
    weights: &[f64; FEATURES],
    centre: &[f64; FEATURES],
    ridge: &[f64; FEATURES],
) -> [f64; FEATURES] {
    let mut slope: [f64; FEATURES] =
        std::array::from_fn(|feature| -ridge[feature] * (weights[feature] - centre[feature]));
    let mut curvature = [[0.0; FEATURES]; FEATURES];
    for (feature, row) in curvature.iter_mut().enumerate() {
        row[feature] = ridge[feature];
    }
    for decision in decisions {
        let (_, probabilities) = decision.outcome(weights);
        let mut mean = [0.0; FEATURES];
        for (probability, features) in probabilities.iter().zip(&decision.alternatives) {
            add(&mut mean, *probability, features);
        }
        add(&mut slope, 1.0, &gradient(decision, weights));
        for (probability, features) in probabilities.iter().zip(&decision.alternatives) {
            let apart: [f64; FEATURES] = std::array::from_fn(|feature| features[feature] - mean[feature]);
            for (row, one) in curvature.iter_mut().zip(apart).filter(|(_, one)| *one != 0.0) {
                add(row, probability * one, &apart);
            }
        }
    }
    solve(curvature, slope)
}

/// Solves a x = b for a symmetric positive definite matrix, by Cholesky's decomposition.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for column in 0..N {
        for row in column..N {
            let product: f64 = (0..column).map(|inner| matrix[row][inner] * matrix[column][inner]).sum();
            let left = matrix[row][column] - product;
            matrix[row][column] = if row == column {
                left.max(f64::MIN_POSITIVE).sqrt()
            } else {
                left / matrix[column][column]
            };
        }
    }
    for row in 0..N {
        let known: f64 = (0..row).map(|column| matrix[row][column] * right[column]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    for row in (0..N).rev() {
        let known: f64 = (row + 1..N).map(|below| matrix[below][row] * right[below]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

fn dot<const N: usize>(left: &[f64; N], right: &[f64; N]) -> f64 {
    left.iter().zip(right).map(|(one, other)| one * other).sum()
}

fn add<const N: usize>(sum: &mut [f64; N], factor: f64, values: &[f64; N]) {
    for (total, value) in sum.iter_mut().zip(values) {
        *total += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decision(alternatives: &[[f64; 2]], chosen: usize) -> Decision<2> {
        Decision::new(alternatives.to_vec(), vec![chosen]).unwrap()
    }

    #[test]
    fn a_fit_worked_by_hand() {
        // Two alternatives that differ by 1 in the first feature, λ 1, centre 1: w = 1 + 1/(1 + e^w), so w = 1.24157...
        let one = decision(&[[1.0, 3.0], [0.0, 3.0]], 0);
        let found = fit(&[&one], &[1.0, 0.5], &[1.0; 2]);
        assert!((found[0] - 1.0 - 1.0 / (1.0 + found[0].exp())).abs() < 1e-9, "{found:?}");
        assert!((found[1] - 0.5).abs() < 1e-12, "both have it alike");
    }

    #[test]
    fn what_is_chosen_gains_weight_and_what_misleads_loses() {
        let taught: Vec<Decision<2>> = (0..20).map(|_| decision(&[[2.0, 0.0], [0.0, 3.0]], 0)).collect();
        let taught: Vec<&Decision<2>> = taught.iter().collect();
        let centre = [0.5, 0.5];
        let [first, second] = fit(&taught, &centre, &[2.0; 2]);
        assert!(first > 0.6 && second < 0.4, "{first} {second}");
        let shrunk = fit(&taught, &centre, &[200.0; 2]);
        assert!(shrunk[0] < first && shrunk[1] > second, "a larger ridge changes less: {shrunk:?}");
        assert!(fit(&taught[..1], &centre, &[2.0; 2])[0] < first, "and so do fewer decisions");
    }

    #[test]
    fn sharpness_is_high_where_a_feature_tells_and_low_where_it_misleads() {
        let right = decision(&[[4.0, 1.0], [2.0, 9.0]], 0);
        let wrong = decision(&[[4.0, 1.0], [2.0, 9.0]], 1);
        assert!(sharpness(&[&right], 0) > 4.9);
        assert!(sharpness(&[&wrong], 0) < 0.03);
        let middle = sharpness(&[&right, &right, &right, &wrong], 0);
        // Two apart: P = 3/4 = 1/(1 + e^-2β).
        assert!((middle - 3.0_f64.ln() / 2.0).abs() < 1e-9, "{middle}");
    }

    #[test]
    fn decisions_without_a_choice_or_with_odd_numbers_are_none() {
        assert_eq!(Decision::<1>::new(vec![[1.0]], vec![]), None);
        assert_eq!(Decision::<1>::new(vec![[1.0]], vec![1]), None);
        assert_eq!(Decision::<1>::new(vec![[f64::NAN]], vec![0]), None);
    }

    proptest! {
        #[test]
        fn a_fit_is_a_maximum_and_does_not_depend_on_the_order_of_alternatives(
            rows in proptest::collection::vec(proptest::array::uniform2(0.0..8.0_f64), 2..8),
            chosen in 0..8_usize,
            ridge in 0.5..20.0_f64,
        ) {
            let chosen = chosen % rows.len();
            let one = decision(&rows, chosen);
            let centre = [0.7, 0.0];
            let found = fit(&[&one], &centre, &[ridge; 2]);
            let value = |weights: &[f64; 2]| {
                let apart = weights.iter().zip(centre).map(|(weight, centre)| (weight - centre).powi(2));
                log_likelihood(&[&one], weights) - ridge / 2.0 * apart.sum::<f64>()
            };
            for nudge in [[1e-3, 0.0], [-1e-3, 0.0], [0.0, 1e-3], [0.0, -1e-3]] {
                let near = [found[0] + nudge[0], found[1] + nudge[1]];
                prop_assert!(value(&near) <= value(&found) + 1e-12);
            }
            let mut turned = rows.clone();
            turned.reverse();
            let other = fit(&[&decision(&turned, rows.len() - 1 - chosen)], &centre, &[ridge; 2]);
            prop_assert!((other[0] - found[0]).abs() < 1e-8 && (other[1] - found[1]).abs() < 1e-8);
        }
    }
}
