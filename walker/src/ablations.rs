//! The method `evidence` with one of its steps changed or left out: what each step is worth.
//!
//! `automap evaluate --ablations` measures each row of the table; any of them can be had by `--set` as well.

use std::collections::BTreeMap;

/// A variant of the method `evidence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ablation {
    /// What differs, for a table: unique.
    pub name: &'static str,
    /// Parameters that differ from the defaults, by dotted name.
    pub overrides: &'static [(&'static str, &'static str)],
}

impl Ablation {
    /// The overrides as a request carries them.
    pub fn parameters(&self) -> BTreeMap<String, String> {
        self.overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }
}

/// All variants, the method as it is first.
pub const ABLATIONS: [Ablation; 3] = [
    Ablation { name: "all steps", overrides: &[] },
    Ablation { name: "without backward moves", overrides: &[("evidence.backward", "0")] },
    Ablation { name: "without the walk", overrides: &[("evidence.restart", "1")] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::MethodParameters;

    #[test]
    fn every_variant_can_be_had_and_differs_from_the_others() {
        let defaults = MethodParameters::default();
        let mut seen = Vec::new();
        for ablation in &ABLATIONS {
            let found = defaults.with_overrides(&ablation.parameters()).unwrap();
            assert!(!seen.contains(&found), "{} changes nothing", ablation.name);
            seen.push(found);
        }
        assert_eq!(seen[0], defaults);
        let names: std::collections::BTreeSet<&str> = ABLATIONS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), ABLATIONS.len());
    }
}
