//! Which settings there are, read from the types.

use automap_proto::invalid::did_you_mean;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

/// Stands in a key for a name of the user's choosing: `collector.sources.*.url`.
const ANY_NAME: &str = "*";

/// A setting, as its type describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// The dotted key; a name that the user chooses is a star.
    pub key: String,
    /// What it may be: a type, or the values separated by `|`.
    pub kind: String,
    /// The default, null when it has none.
    pub default: Value,
    /// What it means.
    pub description: String,
    /// Whether it may be left unset.
    pub optional: bool,
    /// Whether its value must never be shown.
    pub secret: bool,
    #[serde(skip)]
    pub(super) text: bool,
}

impl Setting {
    /// Whether `key` names this setting.
    pub(super) fn is(&self, key: &str) -> bool {
        self.below(key) == Some("")
    }

    /// Whether this setting lies below the table `key`.
    pub(super) fn is_within(&self, key: &str) -> bool {
        self.below(key).is_some_and(|rest| !rest.is_empty())
    }

    /// What is left of this key below the table `table`; all of it below the empty one.
    fn below(&self, table: &str) -> Option<&str> {
        let mut rest = self.key.as_str();
        for name in table.split('.').filter(|_| !table.is_empty()) {
            let (own, after) = rest.split_once('.').unwrap_or((rest, ""));
            if own.is_empty() || (own != name && own != ANY_NAME) {
                return None;
            }
            rest = after;
        }
        Some(rest)
    }

    /// The keys that `values` has of this setting: one, or one for each name that the user chose.
    pub(super) fn keys_in(&self, values: &Value) -> Vec<String> {
        let names: Vec<&str> = self.key.split('.').collect();
        let mut found = Vec::new();
        expand(&names, String::new(), Some(values), &mut found);
        found
    }
}

fn expand(names: &[&str], key: String, table: Option<&Value>, found: &mut Vec<String>) {
    let Some((name, rest)) = names.split_first() else {
        found.push(key);
        return;
    };
    let under = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    if *name != ANY_NAME {
        expand(rest, under(name), table.and_then(|table| table.get(name)), found);
        return;
    }
    for (chosen, value) in table.and_then(Value::as_object).into_iter().flatten() {
        expand(rest, under(chosen), Some(value), found);
    }
}

/// The JSON schema of a configuration; editors read it for completion and checks.
pub fn schema<T: JsonSchema>() -> Schema {
    // Inlined, so that the description of a field is that of its place and not that of its type.
    SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
}

/// Every setting of a configuration, sorted by key.
pub fn settings<T: Default + Serialize + JsonSchema>() -> Vec<Setting> {
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    let mut found = Vec::new();
    collect(schema::<T>().as_value(), &defaults, "", &mut found);
    found
}

fn collect(schema: &Value, defaults: &Value, parent: &str, found: &mut Vec<Setting>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        let key = if parent.is_empty() { name.clone() } else { format!("{parent}.{name}") };
        let default = defaults.get(name).or_else(|| property.get("default")).unwrap_or(&Value::Null);
        let of_any_name = property.get("additionalProperties").filter(|values| values.is_object());
        if property.get("properties").is_some() {
            collect(property, default, &key, found);
        } else if let Some(values) = of_any_name {
            let key = format!("{key}.{ANY_NAME}");
            if values.get("properties").is_some() {
                collect(values, &Value::Null, &key, found);
            } else {
                let map = setting(key, property, &Value::Null);
                found.push(Setting {
                    description: map.description,
                    secret: map.secret,
                    ..setting(map.key, values, &Value::Null)
                });
            }
        } else {
            found.push(setting(key, property, default));
        }
    }
}

fn setting(key: String, property: &Value, default: &Value) -> Setting {
    let types = types(property);
    let choices = choices(property);
    let kind = if choices.is_empty() {
        types.iter().find(|name| **name != "null").map_or("any", |name| name).to_owned()
    } else {
        choices.join("|")
    };
    let description = property.get("description").and_then(Value::as_str).unwrap_or_default();
    Setting {
        key,
        text: types.contains(&"string") || !choices.is_empty(),
        kind,
        default: default.clone(),
        description: description.split_whitespace().collect::<Vec<_>>().join(" "),
        optional: types.contains(&"null"),
        secret: property.get("writeOnly").and_then(Value::as_bool).unwrap_or(false),
    }
}

/// The types that a value may have; an enumeration that may be left out is one of several schemas.
fn types(property: &Value) -> Vec<&str> {
    match (property.get("type"), property.get("anyOf").and_then(Value::as_array)) {
        (Some(Value::String(one)), _) => vec![one],
        (Some(Value::Array(several)), _) => several.iter().filter_map(Value::as_str).collect(),
        (_, Some(schemas)) => schemas.iter().flat_map(types).collect(),
        _ => Vec::new(),
    }
}

/// The values of an enumeration.
fn choices(property: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return values.iter().filter_map(text).collect();
    }
    let variants = property.get("oneOf").or_else(|| property.get("anyOf")).and_then(Value::as_array);
    let Some(variants) = variants else { return Vec::new() };
    let of_variant = |variant: &Value| match variant.get("const").and_then(text) {
        Some(one) => vec![one],
        None => choices(variant),
    };
    variants.iter().flat_map(of_variant).collect()
}

/// What is said of a key that no setting has. `spelled` says how the place where it stands spells a key.
pub(super) fn unknown(key: &str, settings: &[Setting], spelled: impl Fn(&str) -> String) -> String {
    let hint = nearest(key, settings).map_or_else(
        || "; `automap config schema` lists all keys".to_owned(),
        |near| format!("; did you mean {}?", spelled(&near)),
    );
    format!("unknown key {key}{hint}")
}

/// The key whose words are those of `text`, whatever separates them there.
pub(super) fn key_of_words(text: &str, settings: &[Setting]) -> Option<String> {
    let words: Vec<&str> = text.split(['.', '-', '_']).collect();
    settings.iter().find_map(|setting| {
        let names: Vec<&str> = setting.key.split('.').collect();
        key_of_names(&names, &words)
    })
}

/// The key of `names` where these are made of all of `words`; a name of the user's choosing may be made of several.
fn key_of_names(names: &[&str], words: &[&str]) -> Option<String> {
    let Some((name, below)) = names.split_first() else {
        return words.is_empty().then(String::new);
    };
    let count = name.split('-').count();
    let counts = if *name == ANY_NAME { 1..=words.len() } else { count..=count };
    counts.filter(|count| *count <= words.len()).find_map(|count| {
        let (own, rest) = words.split_at(count);
        let own = own.join("-");
        if *name != ANY_NAME && own != *name {
            return None;
        }
        let below = key_of_names(below, rest)?;
        Some(if below.is_empty() { own } else { format!("{own}.{below}") })
    })
}

/// The key that was meant: one of the same words, else one with a mistyped name in the same table, else the same name in another
/// table.
fn nearest(key: &str, settings: &[Setting]) -> Option<String> {
    if let Some(meant) = key_of_words(key, settings) {
        return Some(meant);
    }
    // The outermost name that is wrong decides: what is below it may be right.
    let mut parent = String::new();
    let mut rest = key;
    loop {
        let (name, below) = rest.split_once('.').unwrap_or((rest, ""));
        let known: Vec<&str> = settings
            .iter()
            .filter_map(|setting| setting.below(parent.trim_end_matches('.')))
            .map(|left| left.split_once('.').map_or(left, |(first, _)| first))
            .collect();
        if !known.contains(&name) && !known.contains(&ANY_NAME) {
            let Some(near) = did_you_mean(name, known) else { break };
            let whole = [parent.as_str(), near, if below.is_empty() { "" } else { "." }, below].concat();
            return Some(whole);
        }
        if below.is_empty() {
            break;
        }
        parent = format!("{parent}{name}.");
        rest = below;
    }
    let last = key.rsplit('.').next().unwrap_or(key);
    let same_name = settings
        .iter()
        .map(|setting| setting.key.as_str())
        .filter(|known| known.rsplit('.').next() == Some(last));
    did_you_mean(key, same_name).map(str::to_owned)
}
