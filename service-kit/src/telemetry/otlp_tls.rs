//! A receiver of spans that is reached over TLS, with the certificates that `OTEL_EXPORTER_OTLP_*` name: the same TLS as that
//! of services, so that errors are told in the same words and renewed files are followed.

use std::path::PathBuf;

use automap_proto::invalid::Invalid;
use tonic::transport::Channel;

use super::environment::ENDPOINTS;
use crate::{
    client::{ClientConfig, Dialer},
    tls::ClientTlsConfig,
};

/// Where settings of the exporter are set: for traces, else for all signals.
const PREFIXES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];

/// Settings of TLS, and the variables in whose words they are told.
const KEYS: [(&str, &str); 3] = [
    ("otlp.tls.ca", "CERTIFICATE"),
    ("otlp.tls.certificate", "CLIENT_CERTIFICATE"),
    ("otlp.tls.key", "CLIENT_KEY"),
];

/// The channel to a receiver whose address begins with `https://`, or has no scheme, which means the same unless
/// `OTEL_EXPORTER_OTLP_INSECURE` is true; `None` for one that is reached in clear. Must be called within a tokio runtime.
///
/// # Errors
/// The endpoint is no address, or a certificate cannot be used; the field is a variable.
pub(crate) fn secure_channel(get: impl Fn(&str) -> Option<String>) -> Result<Option<Channel>, Invalid> {
    let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let of_signal = |name: &str| {
        let names = PREFIXES.map(|prefix| format!("{prefix}{name}"));
        names.into_iter().find_map(|name| Some((get(&name)?, name)))
    };
    let Some((endpoint, field)) = ENDPOINTS.into_iter().find_map(|name| Some((get(name)?, name))) else {
        return Ok(None);
    };
    let insecure = of_signal("INSECURE").is_some_and(|(value, _)| value.eq_ignore_ascii_case("true"));
    let url = match endpoint.split_once("://") {
        Some(("https", _)) => endpoint,
        None if !insecure => format!("https://{endpoint}"),
        _ => return Ok(None),
    };
    let file = |name: &str| of_signal(name).map(|(file, _)| PathBuf::from(file));
    let tls = ClientTlsConfig {
        ca: file("CERTIFICATE"),
        certificate: file("CLIENT_CERTIFICATE"),
        key: file("CLIENT_KEY"),
        ..ClientTlsConfig::default()
    };
    let config = ClientConfig { tls, ..ClientConfig::default() };
    let variable =
        |name: &str| of_signal(name).map_or_else(|| format!("{}{name}", PREFIXES[1]), |(_, set)| set);
    let spelled = |text: &str| {
        KEYS.iter().fold(text.to_owned(), |text, &(key, name)| text.replace(key, &variable(name)))
    };
    let named = |invalid: Invalid| Invalid::new(spelled(invalid.field()), spelled(invalid.problem()));
    let dialer = Dialer::new("otlp", &config, &[&url]).map_err(named)?;
    dialer.untraced(field, &url).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(variables: &[(&str, &str)]) -> Result<bool, String> {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        secure_channel(get).map(|channel| channel.is_some()).map_err(|invalid| invalid.to_string())
    }

    #[tokio::test]
    async fn only_a_secure_endpoint_needs_certificates_and_each_is_named_by_its_variable() {
        let missing = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem");
        assert_eq!(channel(&[]), Ok(false));
        assert_eq!(channel(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), missing]), Ok(false));
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317");
        assert_eq!(channel(&[bare, ("OTEL_EXPORTER_OTLP_INSECURE", "true"), missing]), Ok(false));
        for endpoint in [bare, ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317")] {
            let error = channel(&[endpoint, missing]).unwrap_err();
            assert!(error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{error}");
            assert!(error.contains("/nowhere/ca.pem cannot be read"), "{error}");
            let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/nowhere/traces.pem");
            let error = channel(&[endpoint, missing, of_traces]).unwrap_err();
            assert!(error.contains("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"), "{error}");
            let lone = ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/me.key");
            let error = channel(&[endpoint, lone]).unwrap_err();
            assert!(error.contains("OTEL_EXPORTER_OTLP_CLIENT_KEY"), "{error}");
            assert!(error.contains("needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE beside it"), "{error}");
        }
    }
}
