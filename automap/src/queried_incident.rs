//! An incident whose metrics are asked of a server: which one, and which window.

use automap_collector::{call_graph, query::config::parse_duration};
use automap_proto::{
    incident::IncidentContext,
    time::{TimeWindow, UnixMillis, duration_to_wire},
    v1::{self, metric_source::Source},
};
use automap_walker::report::verdict::moment;

use crate::{
    answer::Reference,
    arguments::DiagnoseArgs,
    failure::Failure,
    incident_request::{parse_step, parse_time},
    named_source::NamedSource,
    remembered::GuessedSystem,
    source_arguments::SourceArgs,
};

/// A request for a walker, and the server that an embedded collector has to know for it.
#[derive(Debug, Clone)]
pub struct QueriedIncident {
    /// The request, settings left out.
    pub request: v1::DiagnoseRequest,
    /// The server; none when a walker elsewhere is asked, whose collector knows its own.
    pub source: Option<NamedSource>,
    /// What is known of its time: no alert where flags name none.
    pub reference: Reference,
    /// Why it counts to its system, where no flag names one.
    pub guessed_system: Option<GuessedSystem>,
}

impl QueriedIncident {
    /// Reads the flags of a diagnosis with a source.
    ///
    /// # Errors
    /// The front end is missing, or a flag cannot be used.
    pub fn new(args: &DiagnoseArgs) -> Result<Self, Failure> {
        let incident = &args.incident;
        if let Some(file) = &incident.edges {
            return Err(Failure::Usage(format!(
                "--edges {}: cannot be used with --source, which is asked for what callers measure",
                file.display()
            )));
        }
        let front_end = incident.front_end.as_deref().ok_or_else(|| {
            Failure::Usage(
                "the front end is not known: name the service that alerts with --front-end SERVICE".into(),
            )
        })?;
        let time = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| parse_time(flag, text)).transpose()
        };
        let at = time("--at", &args.window.at)?;
        let told_end = time("--anomaly-end", &incident.anomaly_end)?;
        let end = told_end.or(at).unwrap_or_else(now);
        let start = match time("--anomaly-start", &incident.anomaly_start)? {
            Some(start) => start,
            None => before(end, "--incident-length", &args.window.incident_length)?,
        };
        let first = before(start, "--normal-length", &args.window.normal_length)?;
        let window = TimeWindow::new("window", first, end)
            .and_then(|window| TimeWindow::new("window", start, end).map(|_| window))
            .map_err(|_| {
                Failure::Usage(format!(
                    "the incident would end at {} before it starts at {}; set --at or --anomaly-start",
                    moment(end),
                    moment(start)
                ))
            })?;
        let call_graph = incident.call_graph.as_deref().map(call_graph::read_csv).transpose()?;
        let system = incident.system.as_deref().unwrap_or("default");
        let context = IncidentContext::new(system, front_end, start, None, Vec::new(), call_graph)?
            .with_late_alert(incident.late_alert);
        let step = incident.step.as_deref();
        let (query, source) = match &args.remote.server {
            Some(_) => (known_elsewhere(&args.source, step)?, None),
            None => {
                let source = NamedSource::new(&args.source, step)?;
                (v1::QuerySource { name: source.name.clone(), ..v1::QuerySource::default() }, Some(source))
            }
        };
        let request = v1::DiagnoseRequest {
            source: Some(v1::MetricSource { source: Some(Source::Query(query)) }),
            context: Some((&context).into()),
            settings: None,
            window: Some(window.to_wire()),
            alerts: None,
        };
        let reference = match (&incident.anomaly_start, at, told_end) {
            (Some(_), _, _) => Reference::alert(start),
            (None, Some(at), _) => Reference { time: at, name: "--at" },
            (None, None, Some(end)) => Reference { time: end, name: "its end" },
            (None, None, None) => Reference { time: end, name: "it was seen" },
        };
        let guessed_system = incident.system.is_none().then_some(GuessedSystem::Default);
        Ok(Self { request, source, reference, guessed_system })
    }
}

/// A source in the configuration of another collector: it can be named, and not described.
///
/// # Errors
/// A flag describes it.
pub(crate) fn known_elsewhere(source: &SourceArgs, step: Option<&str>) -> Result<v1::QuerySource, Failure> {
    let name = source.source.clone().unwrap_or_default();
    if name.contains("://") {
        return Err(Failure::Usage(format!(
            "--source {name}: the walker at --server asks what its collector is configured with (collector.sources.NAME); \
             name one of these in place of an address"
        )));
    }
    let described = [
        ("--expression", !source.expressions.is_empty()),
        ("--label", !source.labels.is_empty()),
        ("--variable", !source.variables.is_empty()),
        ("--rename", !source.renames.is_empty()),
        ("--header", !source.headers.is_empty()),
        ("--scrape-interval", source.scrape_interval.is_some()),
        ("--end-offset", source.end_offset.is_some()),
        ("--source-token-file", source.source_token_file.is_some()),
        ("--username", source.username.is_some()),
        ("--proxy", source.proxy.is_some()),
        ("--source-ca", source.source_ca.is_some()),
        ("--source-cert", source.source_cert.is_some()),
    ];
    if let Some((flag, _)) = described.iter().find(|(_, given)| *given) {
        return Err(Failure::Usage(format!(
            "{flag} cannot be used with --server: the collector's configuration describes its sources"
        )));
    }
    let step = step.map(parse_step).transpose()?.flatten().map(duration_to_wire);
    Ok(v1::QuerySource { name, preset: source.preset.clone().unwrap_or_default(), step })
}

pub(crate) fn before(time: UnixMillis, flag: &str, length: &str) -> Result<UnixMillis, Failure> {
    let length = parse_duration(flag, length)
        .map_err(|invalid| Failure::Usage(format!("{flag}: {}", invalid.problem())))?;
    let milliseconds = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Ok(UnixMillis(time.0.saturating_sub(milliseconds)))
}

pub(crate) fn now() -> UnixMillis {
    UnixMillis(jiff::Timestamp::now().as_millisecond())
}
