//! The figures that are reported of a ranking.

use serde::Serialize;

use super::precision::{MAX_K, average_at_five};

/// A figure of one ranking. With one root cause per incident PR@K is AC@K.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// PR@1.
    Ac1,
    /// PR@3.
    Ac3,
    /// PR@5.
    Ac5,
    /// Mean of PR@1 to PR@5.
    Avg5,
}

impl Figure {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Ac1, Self::Ac3, Self::Ac5, Self::Avg5];
    /// Those by which methods are judged: the first answer, and all five.
    pub const HEADLINES: [Self; 2] = [Self::Ac1, Self::Avg5];

    /// As papers write it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ac1 => "AC@1",
            Self::Ac3 => "AC@3",
            Self::Ac5 => "AC@5",
            Self::Avg5 => "Avg@5",
        }
    }

    /// Its value for one ranking with PR@1 to PR@5.
    pub fn of(self, precision: &[f64; MAX_K]) -> f64 {
        match self {
            Self::Ac1 => precision[0],
            Self::Ac3 => precision[2],
            Self::Ac5 => precision[4],
            Self::Avg5 => average_at_five(precision),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_ranking_worked_by_hand() {
        let precision = [0.0, 0.5, 0.5, 1.0, 1.0];
        assert_eq!(Figure::ALL.map(|figure| figure.of(&precision)), [0.0, 0.5, 1.0, 0.6]);
        assert_eq!(serde_json::to_value(Figure::Avg5).unwrap(), "avg5");
    }
}
