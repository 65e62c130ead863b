//! The server that flags and configuration name together.

use automap_collector::query::config::QuerySourceConfig;
use automap_proto::invalid::Invalid;

use crate::{arguments::ConfigArgs, failure::Failure, services_config, source_arguments::SourceArgs};

/// A server to query: its name, which stands in the embedded collector's configuration, and how it is reached.
#[derive(Debug, Clone)]
pub struct NamedSource {
    /// The name.
    pub name: String,
    /// What is known of it.
    pub config: QuerySourceConfig,
}

/// Name of a server that flags alone describe.
const FLAGGED: &str = "command-line";

impl NamedSource {
    /// Reads the configuration where `--source` is a name of it, and applies flags.
    ///
    /// # Errors
    /// No source is named, the configuration has none of the name, or a setting or flag cannot be used.
    pub fn new(args: &SourceArgs, step: Option<&str>) -> Result<Self, Failure> {
        let source = args.source.as_deref().ok_or_else(|| {
            Failure::Usage("--source is missing: name a server, such as http://prometheus:9090".into())
        })?;
        let (name, mut config) = if source.contains("://") {
            (FLAGGED.to_owned(), QuerySourceConfig { url: source.into(), ..QuerySourceConfig::default() })
        } else {
            (source.to_owned(), configured(source, args)?)
        };
        apply(&mut config, args, step);
        config.preset("").map_err(|invalid| refused(&invalid))?;
        config.check("").map_err(|invalid| refused(&invalid))?;
        Ok(Self { name, config })
    }
}

fn configured(name: &str, args: &SourceArgs) -> Result<QuerySourceConfig, Failure> {
    let files = ConfigArgs { config: args.config.clone(), settings: Vec::new() };
    let mut loaded = services_config::load(crate::arguments::Role::Collector, &files)?;
    services_config::warn_of_ignored(&loaded);
    let sources = &mut loaded.config.collector.sources;
    let known = sources.keys().cloned().collect::<Vec<_>>().join(", ");
    sources.remove(name).ok_or_else(|| {
        let way_out = if known.is_empty() {
            "the configuration names none: write an address such as http://prometheus:9090, or set \
             collector.sources.NAME.url and name the file with --config"
                .to_owned()
        } else {
            format!("the configuration has {known}")
        };
        Failure::Usage(format!("--source {name}: is neither an address nor a known source; {way_out}"))
    })
}

fn apply(config: &mut QuerySourceConfig, args: &SourceArgs, step: Option<&str>) {
    let set = |place: &mut Option<String>, given: &Option<String>| {
        if given.is_some() {
            place.clone_from(given);
        }
    };
    if let Some(preset) = &args.preset {
        config.preset.clone_from(preset);
    }
    if let Some(step) = step {
        config.step = step.into();
    }
    config.expressions.extend(args.expressions.iter().cloned());
    config.labels.extend(args.labels.iter().cloned());
    config.variables.extend(args.variables.iter().cloned());
    config.rename.extend(args.renames.iter().cloned());
    config.headers.extend(args.headers.iter().cloned());
    set(&mut config.scrape_interval, &args.scrape_interval);
    set(&mut config.end_offset, &args.end_offset);
    set(&mut config.proxy, &args.proxy);
    if let Some(file) = &args.source_token_file {
        config.bearer_token_file = Some(file.clone());
        (config.username, config.password_file) = (None, None);
    }
    if let Some(username) = &args.username {
        config.username = Some(username.clone());
        config.password_file.clone_from(&args.password_file);
        config.bearer_token_file = None;
    }
    let files = [
        (&mut config.tls.ca, &args.source_ca),
        (&mut config.tls.certificate, &args.source_cert),
        (&mut config.tls.key, &args.source_key),
    ];
    for (place, given) in files {
        if given.is_some() {
            place.clone_from(given);
        }
    }
}

/// A setting that cannot be used, in words of flags.
fn refused(invalid: &Invalid) -> Failure {
    let field = invalid.field().trim_start_matches('.');
    let flag = match field.split_once('.') {
        Some(("expressions" | "units", series)) => format!("--expression {series}"),
        Some(("labels", series)) => format!("--label {series}"),
        Some(("variables", name)) => format!("--variable {name}"),
        Some(("headers", name)) => format!("--header {name}"),
        Some(("tls", "ca")) => "--source-ca".into(),
        Some(("tls", "certificate")) => "--source-cert".into(),
        Some(("tls", "key")) => "--source-key".into(),
        _ => match field {
            "url" => "--source".into(),
            "bearer-token-file" => "--source-token-file".into(),
            other => format!("--{other}"),
        },
    };
    Failure::Usage(format!("{flag}: {}", invalid.problem()))
}
