//! A configuration file: its values, and the lines on which they stand.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use figment::{
    providers::{Format as _, Toml},
    value::Dict,
};
use toml_edit::{ImDocument, Item, TableLike, Value};

use super::{
    ConfigError, key,
    settings::{Setting, unknown},
};

/// A TOML file that was read.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    path: PathBuf,
    text: String,
    document: ImDocument<String>,
    values: Dict,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError::new(vec![format!("cannot read the configuration file {}: {error}", path.display())])
        })?;
        let malformed = |error: String| {
            ConfigError::new(vec![format!("{} is no TOML: {}", path.display(), error.trim_end())])
        };
        let document = ImDocument::parse(text.clone()).map_err(|error| malformed(error.to_string()))?;
        let values = Toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        Ok(Self { path: path.into(), text, document, values })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn values(&self) -> &Dict {
        &self.values
    }

    /// The line on which `key` stands, or the nearest table around it.
    pub(super) fn line(&self, key: &str) -> usize {
        let mut table: &dyn TableLike = self.document.as_table();
        let mut line = 1;
        for (name, place) in key::parts(key) {
            let Some((found, item)) = table.get_key_value(name) else { break };
            let (element, next) = match place {
                Some(place) => element(item, place),
                None => (None, item.as_table_like()),
            };
            if let Some(span) = element.or_else(|| found.span()).or_else(|| item.span()) {
                line = self.line_at(span.start);
            }
            let Some(next) = next else { break };
            table = next;
        }
        line
    }

    fn line_at(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    /// A sentence for every key that no setting has, with its line.
    pub(super) fn unknown_keys(&self, settings: &[Setting]) -> Vec<String> {
        let mut problems = Vec::new();
        self.collect_unknown(self.document.as_table(), "", settings, &mut problems);
        problems
    }

    fn collect_unknown(
        &self,
        table: &dyn TableLike,
        parent: &str,
        settings: &[Setting],
        problems: &mut Vec<String>,
    ) {
        for (name, item) in table.iter() {
            let key = if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") };
            if settings.iter().any(|setting| setting.is(&key)) {
                continue;
            }
            let is_table = settings.iter().any(|setting| setting.is_within(&key));
            match item.as_table_like() {
                Some(inner) if is_table => self.collect_unknown(inner, &key, settings, problems),
                // A value in place of a table has the wrong type, which is told elsewhere.
                None if is_table => {}
                _ => problems.push(format!(
                    "{}:{}: {}",
                    self.path.display(),
                    self.line(&key),
                    unknown(&key, settings, str::to_owned)
                )),
            }
        }
    }
}

/// Where an element of a list stands, and what it holds where it is a table.
fn element(list: &Item, place: usize) -> (Option<Range<usize>>, Option<&dyn TableLike>) {
    if let Some(table) = list.as_array_of_tables().and_then(|tables| tables.get(place)) {
        return (table.span(), Some(table));
    }
    let value = list.as_array().and_then(|values| values.get(place));
    let table = value.and_then(Value::as_inline_table);
    (value.and_then(Value::span), table.map(|table| table as &dyn TableLike))
}
