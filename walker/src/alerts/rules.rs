//! From the labels of an alert to what is diagnosed.

use std::collections::BTreeMap;

use automap_proto::invalid::Invalid;
use regex::{Regex, RegexBuilder};

use super::config::{AlertRule, FromLabel};

/// Most memory that one expression may take, bytes.
const REGEX_BYTES: usize = 1 << 20;

/// What is diagnosed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) system: String,
    pub(crate) front_end: String,
    pub(crate) source: String,
    /// Empty for the one that the collector is configured with.
    pub(crate) preset: String,
}

/// The configured rules, ready for use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    conditions: Vec<(String, Regex)>,
    system: Value,
    front_end: Value,
    source: Value,
    preset: Value,
}

#[derive(Debug, Clone)]
struct Value {
    label: Option<String>,
    regex: Option<Regex>,
    default: Option<String>,
}

impl Rules {
    /// # Errors
    /// An expression cannot be read, or a rule can never find what it must.
    pub(crate) fn new(rules: &[AlertRule]) -> Result<Self, Invalid> {
        let one = |(index, rule): (usize, &AlertRule)| {
            Rule::new(rule).map_err(|invalid| invalid.within(&format!("rules[{index}]")))
        };
        rules.iter().enumerate().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// What an alert with these labels asks for: the first rule that takes it decides. Linear in the labels' bytes and the
    /// number of rules.
    pub(crate) fn target(&self, labels: &BTreeMap<String, String>) -> Option<Target> {
        self.0.iter().find_map(|rule| rule.target(labels))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    fn new(rule: &AlertRule) -> Result<Self, Invalid> {
        let condition =
            |(label, text): (&String, &String)| Ok((label.clone(), whole(&format!("where.{label}"), text)?));
        let needed = |name: &str, from: &FromLabel| {
            if from.label.is_none() && from.default.is_none() {
                return Err(Invalid::new(name, "is missing; give it a label or a default"));
            }
            Value::new(name, from)
        };
        Ok(Self {
            conditions: rule.conditions.iter().map(condition).collect::<Result<_, Invalid>>()?,
            system: needed("system", &rule.system)?,
            front_end: needed("front-end", &rule.front_end)?,
            source: needed("source", &rule.source)?,
            preset: Value::new("preset", &rule.preset)?,
        })
    }

    fn target(&self, labels: &BTreeMap<String, String>) -> Option<Target> {
        let value = |label: &str| labels.get(label).map_or("", String::as_str);
        if !self.conditions.iter().all(|(label, regex)| regex.is_match(value(label))) {
            return None;
        }
        Some(Target {
            system: self.system.of(labels)?,
            front_end: self.front_end.of(labels)?,
            source: self.source.of(labels)?,
            preset: self.preset.of(labels).unwrap_or_default(),
        })
    }
}

impl Value {
    fn new(name: &str, from: &FromLabel) -> Result<Self, Invalid> {
        if from.regex.is_some() && from.label.is_none() {
            return Err(Invalid::new(format!("{name}.regex"), "is of use with a label only"));
        }
        let regex = from.regex.as_deref().map(|text| whole(&format!("{name}.regex"), text)).transpose()?;
        Ok(Self { label: from.label.clone(), regex, default: from.default.clone() })
    }

    fn of(&self, labels: &BTreeMap<String, String>) -> Option<String> {
        let told = self.label.as_ref().and_then(|label| labels.get(label)).and_then(|text| {
            let Some(regex) = &self.regex else { return Some(text.as_str()) };
            let found = regex.captures(text)?;
            found.get(1).or_else(|| found.get(0)).map(|part| part.as_str())
        });
        told.filter(|text| !text.is_empty()).map(str::to_owned).or_else(|| self.default.clone())
    }
}

/// An expression that matches whole values, as those of Prometheus do.
fn whole(field: &str, text: &str) -> Result<Regex, Invalid> {
    RegexBuilder::new(&format!("^(?:{text})$"))
        .size_limit(REGEX_BYTES)
        .build()
        .map_err(|error| Invalid::new(field, format!("{text:?} is no regular expression: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(value: &str) -> FromLabel {
        FromLabel { default: Some(value.into()), ..FromLabel::default() }
    }

    fn label(label: &str, regex: Option<&str>, default: Option<&str>) -> FromLabel {
        FromLabel {
            label: Some(label.into()),
            regex: regex.map(str::to_owned),
            default: default.map(str::to_owned),
        }
    }

    fn rule(change: impl FnOnce(&mut AlertRule)) -> AlertRule {
        let mut rule = AlertRule {
            system: fixed("shop"),
            front_end: label("service", None, None),
            source: fixed("prod"),
            ..AlertRule::default()
        };
        change(&mut rule);
        rule
    }

    fn target(rules: &[AlertRule], labels: &[(&str, &str)]) -> Option<Target> {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Rules::new(rules).unwrap().target(&labels)
    }

    #[test]
    fn the_first_rule_that_takes_an_alert_and_knows_all_of_its_target_decides() {
        let rules = [
            rule(|rule| _ = rule.conditions.insert("severity".into(), "page|critical".into())),
            rule(|rule| {
                rule.system = label("namespace", Some("(.+)-prod"), Some("rest"));
                rule.front_end = label("service", None, Some("web"));
                rule.preset = fixed("istio");
            }),
        ];
        let found = target(&rules, &[("severity", "page"), ("service", "cart")]).unwrap();
        assert_eq!(
            (found.system.as_str(), found.front_end.as_str(), found.preset.as_str()),
            ("shop", "cart", "")
        );
        let found = target(&rules, &[("severity", "pager"), ("namespace", "books-prod")]).unwrap();
        assert_eq!(
            (found.system.as_str(), found.front_end.as_str(), found.preset.as_str()),
            ("books", "web", "istio")
        );
        let found = target(&rules, &[("severity", "page"), ("namespace", "books-test")]).unwrap();
        assert_eq!((found.system.as_str(), found.front_end.as_str()), ("rest", "web"), "no service label");
        assert_eq!(target(&rules[..1], &[("severity", "page"), ("service", "")]), None);
        assert_eq!(target(&[], &[("service", "cart")]), None);
    }

    #[test]
    fn an_absent_label_has_the_empty_value() {
        let rules = [rule(|rule| _ = rule.conditions.insert("silenced".into(), String::new()))];
        assert!(target(&rules, &[("service", "cart")]).is_some());
        assert!(target(&rules, &[("service", "cart"), ("silenced", "yes")]).is_none());
    }

    #[test]
    fn a_rule_that_cannot_work_is_named() {
        let refused =
            |change: fn(&mut AlertRule)| Rules::new(&[rule(|_| ()), rule(change)]).unwrap_err().to_string();
        assert!(
            refused(|rule| rule.system = FromLabel::default())
                .starts_with("field `rules[1].system`: is missing")
        );
        assert!(refused(|rule| rule.source.regex = Some("x".into())).contains("rules[1].source.regex"));
        assert!(refused(|rule| rule.front_end.regex = Some("(".into())).contains("is no regular expression"));
        let huge = refused(|rule| _ = rule.conditions.insert("a".into(), "(\\w{1000}){1000}".into()));
        assert!(huge.contains("rules[1].where.a"), "{huge}");
    }
}
