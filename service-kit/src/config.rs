//! Typed configuration: defaults, then a TOML file, then environment variables.

use std::path::Path;

use figment::{
    Figment,
    providers::{Env, Format as _, Serialized, Toml},
};
use serde::{Serialize, de::DeserializeOwned};

/// Configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Reads a configuration: `defaults`, overridden by the TOML `file`, overridden by environment variables that start
/// with `env_prefix` and separate levels by two underscores (`AUTOMAP_WALKER__SERVER__LISTEN`). A variable without
/// two underscores is none of these.
///
/// # Errors
/// The file cannot be read or parsed, a key is unknown (types deny unknown fields), or a value does not fit; the
/// message names the key and where it came from.
pub fn load<T>(defaults: &T, file: Option<&Path>, env_prefix: &str) -> Result<T, ConfigError>
where
    T: Serialize + DeserializeOwned,
{
    let mut figment = Figment::from(Serialized::defaults(defaults));
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!("cannot read the configuration file {}: {error}", path.display()))
        })?;
        figment = figment.merge(Toml::string(&text));
    }
    let environment = Env::prefixed(env_prefix)
        .filter(|key| key.as_str().contains("__"))
        .map(|key| key.as_str().replace('_', "-").into())
        .split("--");
    figment.merge(environment).extract().map_err(|error| {
        let place = file.map_or_else(String::new, |path| format!(" (configuration file {})", path.display()));
        ConfigError(format!("configuration: {error}{place}"))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Server {
        listen: String,
        drain_seconds: u64,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Sample {
        server: Server,
    }

    fn defaults() -> Sample {
        Sample { server: Server { listen: "127.0.0.1:1".into(), drain_seconds: 5 } }
    }

    fn load_text(text: &str) -> Result<Sample, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(&defaults(), Some(file.path()), "AUTOMAP_CONFIG_TEST_")
    }

    #[test]
    fn a_file_overrides_only_what_it_names() {
        let config = load_text("[server]\ndrain-seconds = 9\n").unwrap();
        assert_eq!(config.server, Server { listen: "127.0.0.1:1".into(), drain_seconds: 9 });
        assert_eq!(load(&defaults(), None, "AUTOMAP_CONFIG_TEST_").unwrap(), defaults());
    }

    #[test]
    fn unknown_keys_wrong_types_and_missing_files_are_named() {
        let error = load_text("[server]\ndrain-second = 9\n").unwrap_err().to_string();
        assert!(error.contains("drain-second"), "{error}");
        let error = load_text("[server]\ndrain-seconds = \"soon\"\n").unwrap_err().to_string();
        assert!(error.contains("drain-seconds"), "{error}");
        let missing = Path::new("/nowhere/automap.toml");
        let error = load(&defaults(), Some(missing), "AUTOMAP_CONFIG_TEST_").unwrap_err().to_string();
        assert!(error.contains("/nowhere/automap.toml"), "{error}");
    }
}
