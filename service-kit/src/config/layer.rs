//! One layer of settings, and how variables and flags become one.

use figment::{
    Error, Metadata, Profile, Provider,
    value::{Dict, Empty, Map, Value},
};

use super::{
    Origin, Sources,
    file::ConfigFile,
    key,
    settings::{Setting, key_of_words, unknown},
};

/// Settings of one origin.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    name: &'static str,
    values: Dict,
    prefix: String,
}

impl Layer {
    pub(super) fn new(name: &'static str, values: Dict) -> Self {
        Self { name, values, prefix: String::new() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        let (mut table, mut found) = (Some(&self.values), None);
        for (name, place) in key::parts(key) {
            found = table.and_then(|table| table.get(name));
            if let Some(place) = place {
                found = found.and_then(Value::as_array).and_then(|list| list.get(place));
            }
            table = found.and_then(Value::as_dict);
        }
        found.is_some()
    }

    /// The origin of a key that this layer has.
    pub(super) fn origin(&self, key: &str, file: Option<&ConfigFile>) -> Origin {
        match (self.name, file) {
            ("file", Some(file)) => Origin::File { file: file.path().into(), line: file.line(key) },
            ("environment", _) => {
                // A variable sets a list as a whole.
                let set = key.split_once('[').map_or(key, |(list, _)| list);
                Origin::Environment { variable: variable(&self.prefix, set) }
            }
            ("flag", _) => Origin::Flag,
            _ => Origin::Default,
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// The name of the variable that sets `key`.
fn variable(prefix: &str, key: &str) -> String {
    format!("{prefix}{}", key.replace('.', "__").replace('-', "_").to_uppercase())
}

/// The layer of variables; those that name no setting are told.
pub(super) fn environment(sources: &Sources<'_>, settings: &[Setting], problems: &mut Vec<String>) -> Layer {
    let mut pairs = Vec::new();
    for (name, text) in &sources.environment {
        let Some(rest) = name.strip_prefix(sources.prefix).filter(|rest| rest.contains("__")) else {
            continue;
        };
        let key = rest.to_lowercase().replace("__", ".").replace('_', "-");
        let place = format!("variable {name}");
        pairs.extend(known(key, text, &place, settings, problems, |near| variable(sources.prefix, near)));
    }
    pairs.sort_by(|one, other| one.0.cmp(&other.0));
    Layer { prefix: sources.prefix.into(), ..Layer::new("environment", nested(pairs)) }
}

/// A sentence for every variable that is no setting and has the words of one, in the order of their names: what separates
/// levels is easily forgotten. What else begins with the prefix is not for here: variables of the command and of its tests,
/// and those that Kubernetes makes of the names of Services.
pub(super) fn ignored_variables(sources: &Sources<'_>, settings: &[Setting]) -> Vec<String> {
    let ignored = |(name, _): &(String, String)| {
        let rest = name.strip_prefix(sources.prefix).filter(|rest| !rest.contains("__"))?;
        let meant = variable(sources.prefix, &key_of_words(&rest.to_lowercase(), settings)?);
        Some(format!("variable {name} is not read; did you mean {meant}?"))
    };
    let mut sentences: Vec<String> = sources.environment.iter().filter_map(ignored).collect();
    sentences.sort();
    sentences
}

/// The layer of flags; those that name no setting are told.
pub(super) fn flags(sources: &Sources<'_>, settings: &[Setting], problems: &mut Vec<String>) -> Layer {
    let mut pairs = Vec::new();
    for (key, text) in sources.flags {
        pairs.extend(known(key.clone(), text, "flag --set", settings, problems, str::to_owned));
    }
    Layer::new("flag", nested(pairs))
}

fn known(
    key: String,
    text: &str,
    place: &str,
    settings: &[Setting],
    problems: &mut Vec<String>,
    spelled: impl Fn(&str) -> String,
) -> Option<(String, Value)> {
    match settings.iter().find(|setting| setting.is(&key)) {
        Some(setting) => Some((key, typed(setting, text))),
        None => {
            problems.push(format!("{place}: {}", unknown(&key, settings, spelled)));
            None
        }
    }
}

/// The value that a text means for a setting: what must be text stays text, even when it looks like a number, and an
/// empty one unsets what may be unset.
fn typed(setting: &Setting, text: &str) -> Value {
    if setting.optional && text.is_empty() {
        return Value::from(Empty::Unit);
    }
    if setting.text {
        return Value::from(text);
    }
    // The parser knows numbers, booleans and lists, and takes the rest for text.
    text.parse().unwrap_or_else(|_: std::convert::Infallible| Value::from(text))
}

fn nested(pairs: Vec<(String, Value)>) -> Dict {
    let mut root = Dict::new();
    for (key, value) in pairs {
        insert(&mut root, &key, value);
    }
    root
}

fn insert(table: &mut Dict, key: &str, value: Value) {
    let Some((name, rest)) = key.split_once('.') else {
        table.insert(key.into(), value);
        return;
    };
    let inner = table.entry(name.into()).or_insert_with(|| Value::from(Dict::new()));
    if let Value::Dict(_, inner) = inner {
        insert(inner, rest, value);
    }
}
