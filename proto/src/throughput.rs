//! How much of one service's throughput the throughput of another explains.

use crate::{frame::check_name, invalid::Invalid};

/// R²_ij for every pair of services whose throughput varies.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ThroughputFit {
    services: Vec<String>,
    /// The upper triangle without the diagonal, row by row.
    r_squared: Vec<f64>,
}

impl ThroughputFit {
    /// `services` are sorted; `r_squared` is the upper triangle without the diagonal, row by row.
    ///
    /// # Errors
    /// A name is bad, names are not sorted, or the triangle has not one share from 0 to 1 for each pair.
    pub fn new(services: Vec<String>, r_squared: Vec<f64>) -> Result<Self, Invalid> {
        for (index, service) in services.iter().enumerate() {
            check_name(&format!("throughput.services[{index}]"), service)?;
        }
        if !services.is_sorted_by(|left, right| left < right) {
            return Err(Invalid::new("throughput.services", "are not sorted, or one is given twice"));
        }
        let pairs = services.len() * services.len().saturating_sub(1) / 2;
        if r_squared.len() != pairs || !r_squared.iter().all(|value| (0.0..=1.0).contains(value)) {
            return Err(Invalid::new(
                "throughput.r_squared",
                format!("must hold 0 to 1 for each of {pairs} pairs of services"),
            ));
        }
        Ok(Self { services, r_squared })
    }

    /// Services whose throughput varies, sorted.
    pub fn services(&self) -> &[String] {
        &self.services
    }

    /// R² of two of the services, by position. `None` when both are one or a position is out of range.
    pub fn between(&self, one: usize, other: usize) -> Option<f64> {
        let (first, second) = (one.min(other), one.max(other));
        if first == second || second >= self.services.len() {
            return None;
        }
        // Rows before `first` hold n − 1, n − 2, … values.
        let before = first * (2 * self.services.len() - first - 1) / 2;
        self.r_squared.get(before + second - first - 1).copied()
    }

    /// The mean over all pairs; zero without any.
    pub fn mean(&self) -> f64 {
        self.r_squared.iter().sum::<f64>() / self.r_squared.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("s{index}")).collect()
    }

    #[test]
    fn pairs_are_found_in_the_triangle_whatever_their_order() {
        let fit = ThroughputFit::new(names(4), vec![0.01, 0.02, 0.03, 0.12, 0.13, 0.23]).unwrap();
        assert_eq!(fit.between(0, 1), Some(0.01));
        assert_eq!(fit.between(3, 0), Some(0.03));
        assert_eq!(fit.between(1, 3), Some(0.13));
        assert_eq!(fit.between(3, 2), Some(0.23));
        assert_eq!((fit.between(2, 2), fit.between(0, 4)), (None, None));
        assert!((fit.mean() - 0.09).abs() < 1e-12);
        assert_eq!(ThroughputFit::default().mean(), 0.0);
    }

    #[test]
    fn triangles_that_do_not_fit_are_refused() {
        for (services, values, field) in [
            (names(3), vec![0.1; 2], "throughput.r_squared"),
            (names(2), vec![1.5], "throughput.r_squared"),
            (names(2), vec![f64::NAN], "throughput.r_squared"),
            (vec!["b".into(), "a".into()], vec![0.1], "throughput.services"),
            (vec![String::new()], vec![], "throughput.services[0]"),
        ] {
            assert_eq!(ThroughputFit::new(services, values).unwrap_err().field(), field);
        }
    }
}
