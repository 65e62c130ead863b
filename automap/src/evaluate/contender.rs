//! What is compared: methods, and variants of the default method.

use std::collections::BTreeMap;

use automap_proto::{invalid::Invalid, method::Method};
use automap_walker::{ablations::ABLATIONS, parameters::MethodParameters};
use serde::Serialize;

/// A method with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contender {
    /// Unique; that of the method, or of the method and what differs: `evidence, without the walk`.
    pub name: String,
    /// The method.
    pub method: Method,
    /// Parameters that differ from the defaults, by dotted name.
    pub parameters: BTreeMap<String, String>,
    /// Whether it learns from incidents that were confirmed.
    pub learns: bool,
}

impl Contender {
    /// Whether this one differs from `other` in nothing but that it learns.
    pub fn is_learned_form_of(&self, other: &Self) -> bool {
        self.learns && !other.learns && self.method == other.method && self.parameters == other.parameters
    }
}

/// The contenders in order: `methods`, all when empty, each once, with `settings` in force. With `ablations` the
/// variants of the default method follow it; with `learning` each method that can learn is followed by its learned
/// form.
///
/// # Errors
/// A setting is unknown or out of range.
pub fn contenders(
    methods: &[Method],
    settings: &BTreeMap<String, String>,
    ablations: bool,
    learning: bool,
) -> Result<Vec<Contender>, Invalid> {
    MethodParameters::default().with_overrides(settings)?;
    let asked = if methods.is_empty() { &Method::ALL[..] } else { methods };
    let mut found: Vec<Contender> = Vec::new();
    for &method in asked {
        if found.iter().any(|earlier| earlier.method == method) {
            continue;
        }
        let plain =
            Contender { name: method.name().into(), method, parameters: settings.clone(), learns: false };
        found.push(plain.clone());
        if learning && matches!(method, Method::Evidence | Method::Automap) {
            found.push(Contender { name: format!("{method}, learned"), learns: true, ..plain });
        }
        if ablations && method == Method::default() {
            let variants = ABLATIONS.iter().filter(|ablation| !ablation.overrides.is_empty());
            found.extend(variants.map(|ablation| {
                let mut parameters = settings.clone();
                parameters.extend(ablation.parameters());
                let name = format!("{method}, {}", ablation.name);
                Contender { name, method, parameters, learns: false }
            }));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_stand_once_and_variants_follow_the_default() {
        let settings = BTreeMap::from([("automap.alpha".to_owned(), "0.01".to_owned())]);
        let methods = [Method::Random, Method::Evidence, Method::Random];
        let found = contenders(&methods, &settings, true, false).unwrap();
        assert_eq!(found.len(), 2 + ABLATIONS.iter().filter(|row| !row.overrides.is_empty()).count());
        assert_eq!((found[0].name.as_str(), found[1].name.as_str()), ("random", "evidence"));
        assert!(found[2].name.starts_with("evidence, "));
        assert!(found.iter().all(|one| one.parameters["automap.alpha"] == "0.01"));
        assert_eq!(contenders(&[], &settings, false, false).unwrap().len(), Method::ALL.len());
    }

    #[test]
    fn methods_that_can_learn_are_followed_by_their_learned_form() {
        let found =
            contenders(&[Method::Evidence, Method::NSigma, Method::Automap], &BTreeMap::new(), false, true)
                .unwrap();
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["evidence", "evidence, learned", "n-sigma", "automap", "automap, learned"]);
        assert!(found[1].is_learned_form_of(&found[0]) && !found[4].is_learned_form_of(&found[0]));
    }

    #[test]
    fn unknown_settings_are_refused_before_anything_runs() {
        let settings = BTreeMap::from([("automap.alhpa".to_owned(), "1".to_owned())]);
        assert!(contenders(&[], &settings, false, false).is_err());
    }
}
