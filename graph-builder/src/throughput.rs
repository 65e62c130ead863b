//! How much of one service's throughput the throughput of another explains.

use automap_proto::{frame::MetricFrame, metric::MetricKind};

use crate::{
    correlation::Correlation,
    standardise::{Standardised, select},
};

/// R²_ij of every pair of services whose throughput varies (section 9, step 6).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ThroughputFit {
    /// Positions of those services in the frame, ascending.
    pub services: Vec<usize>,
    /// The upper triangle without the diagonal, row by row.
    pub r_squared: Vec<f64>,
}

/// R²_ij = clip((n r² − 1) / (n − 1), 0, 1) from the Pearson correlation r of the throughput of two services over
/// the n given rows that both have. 0 for fewer than four common rows.
///
/// # Complexity
/// O(services² · rows).
pub fn throughput_fit(frame: &MetricFrame, rows: &[usize]) -> ThroughputFit {
    let standardised = Standardised::new(select(frame, rows, MetricKind::Throughput));
    let correlation = Correlation::new(&standardised);
    let services = standardised.members().to_vec();
    let mut r_squared = Vec::with_capacity(services.len() * services.len().saturating_sub(1) / 2);
    for (position, &first) in services.iter().enumerate() {
        for &second in &services[position + 1..] {
            let samples = f64::from(correlation.common_rows(first, second));
            let coefficient = correlation.coefficient(first, second);
            let explained = (samples * coefficient * coefficient - 1.0) / (samples - 1.0);
            r_squared.push(if coefficient == 0.0 { 0.0 } else { explained.clamp(0.0, 1.0) });
        }
    }
    ThroughputFit { services, r_squared }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::test_frames::{frame_of, key};

    #[test]
    fn explained_shares_are_corrected_for_the_number_of_rows() {
        let series = ["a", "b", "c", "d"].map(|name| key(name, MetricKind::Throughput, "throughput"));
        let frame = frame_of(
            series.to_vec(),
            array![
                [1.0, 2.0, 3.0, 4.0, 5.0],
                [1.0, 3.0, 2.0, 5.0, 4.0],
                [9.0, 9.0, 9.0, 9.0, 9.0],
                [1.0, -1.0, 0.0, 1.0, -1.0],
            ],
        );
        let fit = throughput_fit(&frame, &[0, 1, 2, 3, 4]);
        assert_eq!(fit.services, [0, 1, 3]);
        // r = 0.8: (5 · 0.64 − 1) / 4.
        assert!((fit.r_squared[0] - 0.55).abs() < 1e-12);
        // r² = 0.1 and 0.025, both below 1/n.
        assert_eq!(fit.r_squared[1..], [0.0, 0.0]);
        assert_eq!(throughput_fit(&frame, &[0, 1, 2]).r_squared, [0.0; 3]);
        assert_eq!(throughput_fit(&frame, &[]), ThroughputFit::default());
    }
}
