//! `automap config`: which settings there are, what they are, and where they were set.

use automap_service_kit::config::{Entry, schema, settings};
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    arguments::{AnswerFormat, ConfigCommand, Role, SchemaArgs, ShowArgs},
    failure::Failure,
    services_config::{self, ServicesConfig},
    stdout,
};

/// Runs the command.
///
/// # Errors
/// The configuration is wrong; the message says where.
pub fn run(command: ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Show(args) => show(&args),
        ConfigCommand::Schema(args) => describe(&args),
    }
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let loaded = services_config::load(args.role, &args.config)?;
    services_config::warn_of_ignored(&loaded);
    // They may be there where the services run.
    for missing in loaded.config.missing_files(args.role) {
        stdout::warning(&services_config::refusal(&loaded, &missing));
    }
    let entries = loaded.entries(args.role.table());
    match args.output {
        AnswerFormat::Json => stdout::print_json(&entries),
        AnswerFormat::Table => {
            let rows =
                entries.iter().map(|entry| [entry.key.clone(), shown(entry), entry.origin.to_string()]);
            stdout::print(&render(["setting", "value", "set by"], rows))
        }
    }
}

/// A value as a person reads it.
fn shown(entry: &Entry) -> String {
    match &entry.value {
        serde_json::Value::Null => "-".into(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn describe(args: &SchemaArgs) -> Result<(), Failure> {
    match args.output {
        AnswerFormat::Json => stdout::print_json(&schema::<ServicesConfig>()),
        AnswerFormat::Table => {
            let rows = settings::<ServicesConfig>().into_iter().map(|setting| {
                let default = match setting.default {
                    serde_json::Value::Null => "-".into(),
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                [setting.key, setting.kind, default, setting.description]
            });
            stdout::print(&render(["setting", "type", "default", "meaning"], rows))
        }
    }
}

fn render<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    format!("{table}\n")
}

impl Role {
    /// The table of the configuration that this role reads; all of them for all roles.
    const fn table(self) -> Option<&'static str> {
        match self {
            Self::Collector => Some("collector"),
            Self::GraphBuilder => Some("graph-builder"),
            Self::Profiler => Some("profiler"),
            Self::Walker => Some("walker"),
            Self::All => None,
        }
    }
}
