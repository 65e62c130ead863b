//! `automap check`: can a server be asked, and what of a preset does it hold.

use std::fmt::Write as _;

use automap_collector::query::{
    config::parse_duration,
    preflight::{self, Preflight, SeriesFinding},
    preset::shown,
    source::QueryServer,
};
use automap_service_kit::server::ServerConfig;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

use crate::{
    arguments::AnswerFormat, failure::Failure, named_source::NamedSource, progress::Spinner,
    source_arguments::CheckArgs, stdout,
};

/// Runs the command.
///
/// # Errors
/// A flag is wrong, the server cannot be asked, or it holds nothing of the preset.
pub async fn run(args: CheckArgs) -> Result<(), Failure> {
    let source = NamedSource::new(&args.source, args.step.as_deref())?;
    let history = parse_duration("--history", &args.history)
        .map_err(|invalid| Failure::Usage(format!("--history: {}", invalid.problem())))?;
    let found = {
        let _spinner = Spinner::new("asking the source");
        let server = QueryServer::new("source", source.config, ServerConfig::default().max_frame_bytes())?;
        let source = server.source("", None)?;
        preflight::check(&source, u64::try_from(history.as_millis()).unwrap_or(u64::MAX)).await?
    };
    match args.output {
        AnswerFormat::Json => stdout::print_json(&found)?,
        AnswerFormat::Table => stdout::print(&render(&found))?,
    }
    if found.usable() {
        return Ok(());
    }
    Err(Failure::TooLittleData(format!("{} holds nothing of {}", found.source, shown(&found.preset))))
}

fn render(found: &Preflight) -> String {
    let mut text = String::new();
    let seen = found.scrape_interval_seconds.map_or_else(
        || "how often samples are taken cannot be seen".to_owned(),
        |seconds| format!("samples every {seconds} s"),
    );
    let history = match found.holds_history {
        Some(true) => "and has samples",
        Some(false) => "but has no samples",
        None => "and did not say in time whether it has samples",
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{} ({}) answers, {history} of {} s ago; {seen}, a step of {} s, rates over {} s",
        found.source, found.server, found.history_seconds, found.step_seconds, found.rate_window_seconds
    );
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(["series", "services", "found"]);
    for series in &found.series {
        let services = format!("{} of {}", series.services, series.services_total);
        table.add_row([series.series.clone(), services, state(series)]);
    }
    let _ = writeln!(text, "{table}");
    if let Some(calls) = found.calls {
        let _ = writeln!(text, "{calls} calls between services");
    }
    for warning in &found.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    for advice in &found.advice {
        let _ = writeln!(text, "change: {advice}");
    }
    text
}

fn state(series: &SeriesFinding) -> String {
    match &series.failure {
        Some(failure) => failure.clone(),
        None if series.services > 0 => "yes".into(),
        None => match &series.missing_metrics {
            Some(missing) if !missing.is_empty() => format!("no {}", missing.join(", no ")),
            _ => "no series fit".into(),
        },
    }
}
