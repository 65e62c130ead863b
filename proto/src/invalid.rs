//! The error of decoding a message or building a domain value.

use std::fmt;

/// A field that does not hold what it must.
///
/// Displays as `` field `frame.series[3].name`: is empty; name every series ``.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    field: String,
    problem: String,
}

impl Invalid {
    /// `problem` is a clause that says what is wrong and what would be right.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// A field that must be set and is not.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "is missing")
    }

    /// The dotted path of the field.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The same error seen from the message that contains this one in its field `parent`.
    pub fn within(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), problem: self.problem }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "field `{}`: {}", self.field, self.problem)
    }
}

/// The candidate that a mistyped name most likely meant, if any is near.
///
/// Near is a normalised Damerau-Levenshtein similarity of at least 0.6. Of equals the first in the given order wins.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let similarity = strsim::normalized_damerau_levenshtein(&lower, &candidate.to_lowercase());
        if similarity >= 0.6 && best.is_none_or(|(found, _)| similarity > found) {
            best = Some((similarity, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_path_from_the_outermost_message() {
        let error = Invalid::missing("start").within("grid").within("frame");
        assert_eq!(error.to_string(), "field `frame.grid.start`: is missing");
    }

    #[test]
    fn suggests_the_nearest_name_and_nothing_when_none_is_near() {
        let services = ["frontend", "cartservice", "adservice"];
        assert_eq!(did_you_mean("fronted", services), Some("frontend"));
        assert_eq!(did_you_mean("Cart-Service", services), Some("cartservice"));
        assert_eq!(did_you_mean("zookeeper", services), None);
    }
}
