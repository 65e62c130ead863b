//! What the standard variables `OTEL_*` say about the export of spans.

/// Whether spans are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Export {
    /// There are no spans at all.
    Disabled,
    /// Spans have identities, which travel with calls and stand in logs, and go nowhere.
    Off,
    /// To an OTLP receiver.
    Otlp,
}

/// What the environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TraceSettings {
    pub(crate) export: Export,
    /// A setting that cannot be followed. The specification of OpenTelemetry asks for a warning: such variables are often
    /// set for every program of a cluster.
    pub(crate) warning: Option<String>,
}

/// Where the receiver is named: for traces, else for all signals.
pub(super) const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Reads the variables through `get`. Spans are exported when an endpoint is named, or when `OTEL_TRACES_EXPORTER` asks for
/// it.
pub(crate) fn trace_settings(get: impl Fn(&str) -> Option<String>) -> TraceSettings {
    // An empty variable counts as unset.
    let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let without = |export, warning| TraceSettings { export, warning };
    if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return without(Export::Disabled, None);
    }
    match get("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => return without(Export::Off, None),
        Some("otlp") => {}
        None if ENDPOINTS.iter().any(|name| get(name).is_some()) => {}
        None => return without(Export::Off, None),
        Some(other) => {
            return without(
                Export::Off,
                Some(format!(
                    "spans are not exported: OTEL_TRACES_EXPORTER is {other}, and only otlp and none are known"
                )),
            );
        }
    }
    for name in PROTOCOLS {
        match get(name).as_deref() {
            None => {}
            Some("grpc") => break,
            Some(other) => {
                return without(
                    Export::Off,
                    Some(format!("spans are not exported: {name} is {other}, and only grpc is spoken")),
                );
            }
        }
    }
    without(Export::Otlp, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> TraceSettings {
        trace_settings(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn export(variables: &[(&str, &str)]) -> Export {
        let found = settings(variables);
        assert_eq!(found.warning, None);
        found.export
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");

    #[test]
    fn export_is_off_until_asked_for() {
        assert_eq!(export(&[]), Export::Off);
        assert_eq!(export(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Export::Off);
        assert_eq!(export(&[("OTEL_SERVICE_NAME", "walker")]), Export::Off);
        assert_eq!(export(&[ENDPOINT]), Export::Otlp);
        assert_eq!(export(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4317")]), Export::Otlp);
        assert_eq!(export(&[("OTEL_TRACES_EXPORTER", "otlp")]), Export::Otlp);
    }

    #[test]
    fn export_can_be_forbidden() {
        assert_eq!(export(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Export::Off);
        assert_eq!(export(&[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")]), Export::Disabled);
    }

    #[test]
    fn what_cannot_be_followed_is_said() {
        let found = settings(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]);
        assert_eq!(found.export, Export::Off);
        assert!(found.warning.unwrap().contains("OTEL_EXPORTER_OTLP_PROTOCOL is http/protobuf"));
        let found = settings(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "zipkin")]);
        assert_eq!(found.export, Export::Off);
        assert!(found.warning.unwrap().contains("zipkin"));
        // The variable of traces wins over the one of all signals.
        let variables = [
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ];
        assert_eq!(export(&variables), Export::Otlp);
    }
}
