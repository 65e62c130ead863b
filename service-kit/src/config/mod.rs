//! Typed configuration in layers: defaults, then a TOML file, then environment variables, then flags.
//!
//! The types are the documentation: their schema says which keys there are, and each value knows where it came from.

mod error;
mod file;
mod key;
mod layer;
mod misfit;
mod origin;
mod settings;

use std::path::Path;

use automap_proto::invalid::Invalid;
use figment::{Figment, value::Value};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub use error::ConfigError;
use file::ConfigFile;
use layer::Layer;
pub use origin::Origin;
pub use settings::{Setting, schema, settings};

/// Where settings come from, from the weakest to the strongest; defaults are weaker than all of them.
#[derive(Debug, Clone, Default)]
pub struct Sources<'a> {
    /// A TOML file.
    pub file: Option<&'a Path>,
    /// What the names of variables begin with; levels are separated by two underscores
    /// (`AUTOMAP_WALKER__SERVER__LISTEN`). A variable without two underscores behind the prefix is no setting; one that has the
    /// words of a setting all the same is told by [`Loaded::ignored`].
    pub prefix: &'a str,
    /// The environment, in any order.
    pub environment: Vec<(String, String)>,
    /// Dotted keys and values of flags; of equal keys the last wins.
    pub flags: &'a [(String, String)],
}

/// A setting with its value and where that came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entry {
    /// The dotted key.
    pub key: String,
    /// The value, null when not set; that of a secret is hidden.
    pub value: serde_json::Value,
    /// The layer that set it.
    pub origin: Origin,
}

/// A configuration that fits its types, with the origin of every setting.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    settings: Vec<Setting>,
    /// From the strongest to the weakest.
    layers: Vec<Layer>,
    file: Option<ConfigFile>,
    merged: serde_json::Value,
    ignored: Vec<String>,
}

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// Reads a configuration.
///
/// # Errors
/// The file cannot be read or parsed, a key is unknown, or a value does not fit; the message names every key and where it
/// was set.
pub fn load<T>(sources: &Sources<'_>) -> Result<Loaded<T>, ConfigError>
where
    T: Default + Serialize + DeserializeOwned + JsonSchema,
{
    let settings = settings::<T>();
    let file = sources.file.map(ConfigFile::read).transpose()?;
    let mut unknown: Vec<String> = file.as_ref().map(|file| file.unknown_keys(&settings)).unwrap_or_default();
    let environment = layer::environment(sources, &settings, &mut unknown);
    let ignored = layer::ignored_variables(sources, &settings);
    let flags = layer::flags(sources, &settings, &mut unknown);
    if !unknown.is_empty() {
        return Err(ConfigError::new(unknown));
    }
    let defaults = Value::serialize(T::default())
        .ok()
        .and_then(Value::into_dict)
        .ok_or_else(|| ConfigError::new(vec!["the defaults are no table".into()]))?;
    let layers: Vec<Layer> = [
        Some(flags),
        Some(environment),
        file.as_ref().map(|file| Layer::new("file", file.values().clone())),
        Some(Layer::new("default", defaults)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let figment = layers.iter().rev().fold(Figment::new(), |merged, layer| merged.merge(layer.clone()));
    let merged = figment.extract().map_err(|error| ConfigError::new(vec![error.to_string()]))?;
    let loaded = Loaded { config: (), settings, layers, file, merged, ignored };
    match figment.extract::<T>() {
        Ok(config) => Ok(loaded.with(config)),
        Err(errors) => Err(ConfigError::new(errors.into_iter().map(|error| loaded.misfit(&error)).collect())),
    }
}

impl Loaded<()> {
    fn with<T>(self, config: T) -> Loaded<T> {
        let Self { settings, layers, file, merged, ignored, .. } = self;
        Loaded { config, settings, layers, file, merged, ignored }
    }

    /// Says which key does not fit its type, and where it was set.
    fn misfit(&self, error: &figment::Error) -> String {
        let key = key::of_path(&error.path, &self.merged);
        match misfit::unknown_name(&key, &error.kind) {
            Some(sentence) => self.told(&key, &sentence),
            None => self.placed(&key, &misfit::problem(&error.kind)),
        }
    }
}

impl<T> Loaded<T> {
    /// Where the value of `key`, or of the nearest table around it, was set.
    pub fn origin(&self, key: &str) -> Origin {
        let mut key = key;
        loop {
            for layer in &self.layers {
                if layer.has(key) {
                    return layer.origin(key, self.file.as_ref());
                }
            }
            match key::around(key) {
                Some(parent) => key = parent,
                None => return Origin::Default,
            }
        }
    }

    /// The error of a setting that contradicts another one or cannot be used, with the place where it was set.
    pub fn refuse(&self, invalid: &Invalid) -> ConfigError {
        ConfigError::new(vec![self.placed(invalid.field(), invalid.problem())])
    }

    /// A sentence for every variable that is no setting and has the words of one, with the name that was likely meant.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    fn placed(&self, key: &str, problem: &str) -> String {
        self.told(key, &format!("{key}: {problem}"))
    }

    /// A sentence about `key`, behind the place where that was set.
    fn told(&self, key: &str, sentence: &str) -> String {
        match self.origin(key) {
            Origin::Default => sentence.to_owned(),
            origin => format!("{origin}: {sentence}"),
        }
    }

    /// Every setting below the table `within`, or all of them, sorted by key.
    pub fn entries(&self, within: Option<&str>) -> Vec<Entry> {
        let wanted = |setting: &&Setting| {
            within
                .is_none_or(|table| setting.key.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
        };
        let entries = self.settings.iter().filter(wanted).flat_map(|setting| {
            setting.keys_in(&self.merged).into_iter().map(|key| self.entry(setting, key))
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        entries
    }

    fn entry(&self, setting: &Setting, key: String) -> Entry {
        let value = key.split('.').try_fold(&self.merged, |table, name| table.get(name));
        let value = value.cloned().unwrap_or_default();
        let value = if setting.secret && !value.is_null() { HIDDEN.into() } else { value };
        Entry { value, origin: self.origin(&key), key }
    }
}

#[cfg(test)]
mod tests;
