//! A configuration file: its values, and the lines on which they stand.

use std::path::{Path, PathBuf};

use figment::{
    providers::{Format as _, Toml},
    value::Dict,
};
use toml_edit::{ImDocument, TableLike};

use super::{
    ConfigError,
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
        for name in key.split('.') {
            let Some((found, item)) = table.get_key_value(name) else { break };
            if let Some(span) = found.span().or_else(|| item.span()) {
                line = self.line_at(span.start);
            }
            let Some(next) = item.as_table_like() else { break };
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
