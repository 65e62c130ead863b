//! Configuration of the profiler.

use std::path::PathBuf;

use automap_proto::invalid::Invalid;
use automap_service_kit::server::ServerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{class_table::ClassTable, store::retention::Retention};

/// Port on which the profiler listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 4313;

/// Configuration of the profiler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ProfilerConfig {
    /// How it listens.
    pub server: ServerConfig,
    /// Directory of the store; made when it is not there. One process at a time may use it.
    pub path: PathBuf,
    /// Fewest normal windows whose sum is normal behaviour.
    pub min_normal_windows: usize,
    /// Days after which a remembered row of normal times counts half: how fast a deployed change becomes normal.
    pub normal_half_life_days: u32,
    /// How long after an incident its system is not normal yet, seconds.
    pub aftermath_seconds: u64,
    /// How many similar confirmed incidents vote on the metric weights, unless a request says so; 1 to 100.
    pub neighbours: usize,
    /// Which class a dominating metric makes of a service.
    pub classes: ClassTable,
    /// Largest import, MiB; all of it is held in memory while it is checked.
    pub max_import_mib: usize,
    /// Page cache of the store, MiB.
    pub cache_mib: u64,
    /// Changes are refused while less than this is free on the volume of the store, MiB; at least 4.
    pub reserve_mib: u64,
    /// A checkpoint is due when the journal is larger than this and than the last checkpoint, MiB.
    pub checkpoint_mib: u64,
    /// What is removed when.
    pub retention: Retention,
    /// What is done without being asked, and how often.
    pub schedule: ScheduleConfig,
}

/// What the server does on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ScheduleConfig {
    /// Retention and checkpoints, minutes apart; 0 for never.
    pub housekeeping_minutes: u64,
    /// Exports of the whole store, hours apart; 0 for never.
    pub export_hours: u64,
    /// Where they go; without it the directory `exports` in the store. Another volume is better.
    pub export_directory: Option<PathBuf>,
    /// The newest of them that are kept.
    pub exports_kept: usize,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { housekeeping_minutes: 10, export_hours: 24, export_directory: None, exports_kept: 3 }
    }
}

impl Default for ProfilerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::on_port(DEFAULT_PORT),
            path: PathBuf::from("automap-store"),
            min_normal_windows: 5,
            normal_half_life_days: 7,
            aftermath_seconds: 120,
            neighbours: 3,
            classes: ClassTable::default(),
            max_import_mib: 256,
            cache_mib: 64,
            reserve_mib: 64,
            checkpoint_mib: 32,
            retention: Retention::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl ProfilerConfig {
    /// # Errors
    /// A setting cannot be used; `profiler` is the table that holds it.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(1..=100).contains(&self.neighbours) {
            return Err(Invalid::new(
                "profiler.neighbours",
                format!("is {}; it must be from 1 to 100", self.neighbours),
            ));
        }
        if self.min_normal_windows == 0 {
            return Err(Invalid::new(
                "profiler.min-normal-windows",
                "is 0; normal behaviour needs at least 1 window",
            ));
        }
        if self.normal_half_life_days == 0 {
            return Err(Invalid::new(
                "profiler.normal-half-life-days",
                "is 0; give the days after which a row counts half",
            ));
        }
        self.server.check("profiler.server")
    }
}

#[cfg(test)]
mod tests {
    use automap_service_kit::config::{ConfigError, Loaded, Sources, load};

    use super::*;

    fn read(text: &str) -> Result<Loaded<ProfilerConfig>, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("profiler.toml");
        std::fs::write(&file, text).unwrap();
        load(&Sources { file: Some(&file), ..Sources::default() })
    }

    #[test]
    fn a_file_changes_what_it_names_and_a_mistyped_key_is_refused() {
        let config = read("min-normal-windows = 7\n[classes]\nmemory = \"S\"\n").unwrap().config;
        assert_eq!(config.min_normal_windows, 7);
        assert_eq!(config.classes.memory.letter(), 'S');
        assert_eq!(config.classes.latency.letter(), 'R');
        assert_eq!(config.server.listen.port(), DEFAULT_PORT);
        assert!(config.check().is_ok());
        for (text, named) in [
            ("neighbors = 3\n", "did you mean neighbours?"),
            ("[classes]\nmemory = \"X\"\n", "classes.memory"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        for (text, named) in [
            ("neighbours = 0", "neighbours"),
            ("min-normal-windows = 0", "min-normal-windows"),
            ("normal-half-life-days = 0", "normal-half-life-days"),
        ] {
            let error = read(text).unwrap().config.check().unwrap_err();
            assert_eq!(error.field(), format!("profiler.{named}"));
        }
    }
}
